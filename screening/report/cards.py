"""The shortlisted candidates as the run report shows them, one card each."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.properties.catalogue import catalogue, property_named
from matloop.data.properties.columns import Column, probability_of, property_column
from matloop.screening.explaining.related_training import Related, related_training
from matloop.screening.filters.element_scores import own_facts_of
from matloop.screening.flags.flag_words import FlagWords
from matloop.screening.language.supported_probability import capped_words
from matloop.screening.language.text import (
    Words,
    formula_markup,
    interval_words,
    number,
    origin_words,
    property_words,
    range_words,
    space_group_markup,
    unit_text,
    with_unit,
)  # fmt: skip
from matloop.screening.ranking.nearest_known import KnownCompound, nearest_known
from matloop.screening.ranking.shares_of_misses import telling_shares
from matloop.screening.report.axes import Axis, density, property_axis
from matloop.screening.report.batch_columns import numbers, texts
from matloop.screening.report.crystal_drawing import Ball, Scene, Stroke, colour_of, crystal_scene, still_drawing
from matloop.screening.report.element_scores import ScoreRow, element_score_rows
from matloop.screening.report.explanations import ExplanationWords, explanation_words
from matloop.screening.report.flags import ChemistryWords, SiteTable, card_flags, chemistry_words, site_table
from matloop.screening.report.hull_evidence import HullEvidence, hull_evidence
from matloop.screening.report.insulators import GAP, insulator_words
from matloop.screening.report.novelty import NoveltyWords, novelty_words
from matloop.screening.report.probability_sources import probability_source
from matloop.screening.report.rattling import rattle_words
from matloop.screening.report.stability import Relaxation, hull_distance_text, relaxations
from matloop.screening.report.tradeoffs import TradeoffWords, robustness_words, tradeoff_words
from matloop.screening.report.vibrations import VibrationWords, vibration_words
from matloop.screening.runs.run_view import RunView

MOST_CARDS = 30
_NEIGHBOURS = 5
_PROPERTIES_OF_NEIGHBOURS = 6
DRAWINGS: dict[str, Callable[[Any, int], Scene | None]] = {CRYSTALS: crystal_scene}
"""What draws one candidate, by the block that it draws."""


class Strip(NamedTuple):
    """The stretch of a property on which intervals are drawn; positions run from 0 to 1000.

    Attributes:
        name: Property.
        axis: The stretch.
        background: Outline of the training data's density (an SVG path, 0 to 100 high), empty without training data.
        wanted: Left and right end of the wanted range; equal where nothing is wanted.
        ticks: Position and text of each tick.
    """

    name: str
    axis: Axis
    background: str
    wanted: tuple[float, float]
    ticks: list[tuple[float, str]]


class TargetRow(NamedTuple):
    """How one candidate stands to one target.

    Attributes:
        name: Property.
        label: Its label.
        wanted: Range in words.
        predicted: Predicted value with unit.
        interval: 90 % interval, with its unit.
        selected: The same for candidates that were picked, None where there is none.
        hull_distance: Distance from the hull of the potential that judged the target, where that is not cut off at 0 as
            the predicted value is; empty where no potential judged it.
        computed: The same on the scale of computed values, with unit; empty where the prediction is on that scale.
        insulator: How probable it is that there is a band gap at all, and its value then; None where this is not asked.
        judged_by: What gives the probability; None where it is that of the interval.
        related: How many rows that taught it share two or more elements with the candidate, and of how many.
        probability: Of lying in the wanted range.
        marks: Left end, value and right end of the interval on the strip.
    """

    name: str
    label: Words
    wanted: Words
    predicted: str
    interval: Words
    selected: Words | None
    hull_distance: str
    computed: str
    insulator: Words | None
    judged_by: Words | None
    related: Words
    probability: float
    marks: tuple[float, float, float]


class Neighbour(NamedTuple):
    """A known compound near a candidate, ready to print."""

    formula: Markup
    material_id: str
    space_group: Markup
    distance: str
    values: list[str]


class Card(NamedTuple):
    """One shortlisted candidate."""

    place: int
    rank: int
    formula: Markup
    plain_formula: str
    candidate_id: str
    space_group_number: int | None
    space_group: Markup
    probability: float
    capped: list[Words]
    in_domain: bool
    targets: list[TargetRow]
    origin: Words
    substitution_probability: float
    makeable_probability: float
    makeable_counted: float
    neighbour_columns: list[tuple[Words, str]]
    neighbours: list[Neighbour]
    scene: Scene | None
    drawing: list[Stroke | Ball]
    cell: tuple[str, str] | None
    cif_name: str
    cif_data: Markup
    expected_misses: float
    relaxation: Relaxation | None
    rattle: Words | None
    vibrations: VibrationWords | None
    flags: list[FlagWords]
    chemistry: ChemistryWords | None
    sites: SiteTable | None
    stability: HullEvidence | None
    element_scores: list[ScoreRow]
    novelty: NoveltyWords | None
    explanation: ExplanationWords | None
    tradeoff: TradeoffWords | None
    robustness: Words | None


def strips(run: RunView) -> dict[str, Strip]:
    """The strip of each target."""
    return {name: _strip(run, name) for name in run.properties}


def cards(run: RunView, drawn: dict[str, Strip]) -> list[Card]:
    """Cards of the first shortlisted candidates, best place first.

    Args:
        run: The run.
        drawn: Strip of each target.
    """
    batch = run.shortlisted.take(np.arange(min(len(run.shortlisted), MOST_CARDS)))
    neighbours = nearest_known(batch, run.training.known, count=_NEIGHBOURS) if len(batch) else []
    potential = run.campaign.potential
    relaxed = relaxations(batch, potential.name) if potential else [None] * len(batch)
    rattled, vibrating, judged = rattle_words(batch), vibration_words(batch), hull_evidence(run, batch)
    scored = element_score_rows(batch, own_facts_of(run.campaign))
    shares = telling_shares(numbers(run.shortlisted, Column.EXPECTED_MISSES))
    return [
        _card(run, batch, row, neighbours[row], drawn)._replace(
            expected_misses=float(shares[row]),
            relaxation=relaxed[row],
            rattle=rattled[row],
            vibrations=vibrating[row],
            stability=judged[row],
            element_scores=scored[row],
        )
        for row in range(len(batch))
    ]


def _strip(run: RunView, name: str) -> Strip:
    axis = property_axis(run, name)
    path = ""
    if name in run.held_out:
        heights = density(run.held_out[name].target, axis)
        points = [f"{1000 * (k + 0.5) / len(heights):.0f},{100 - 100 * height:.0f}" for k, height in enumerate(heights)]
        path = f"M0,100L0,{100 - 100 * heights[0]:.0f}L{'L'.join(points)}L1000,{100 - 100 * heights[-1]:.0f}L1000,100Z"
    low, high = run.ranges[name]
    left = 0.0 if low is None else 1000 * axis.position(low)
    right = 1000.0 if high is None else 1000 * axis.position(high)
    wanted = (0.0, 0.0) if low is None and high is None else (round(left, 1), round(right, 1))
    ticks = [(round(1000 * axis.position(tick), 1), text) for tick, text in axis.labelled_ticks()]
    return Strip(name, axis, path, wanted, ticks)


def _card(run: RunView, batch: CandidateBatch, row: int, known: list[KnownCompound], drawn: dict[str, Strip]) -> Card:
    scene = _scene(batch, row)
    group = numbers(batch, Column.SPACE_GROUP_NUMBER)[row]
    group_number = int(group) if np.isfinite(group) else None
    in_domain = batch.table[Column.IN_DOMAIN][row].as_py() if Column.IN_DOMAIN in batch.table.column_names else True
    place = int(numbers(batch, Column.SHORTLISTED)[row])
    cif_name, cif = run.cifs.get(place, ("", ""))
    columns = _neighbour_properties(run, known)
    return Card(
        place=place,
        rank=int(numbers(batch, Column.RANK)[row]),
        formula=formula_markup(batch.formulas[row]),
        plain_formula=batch.formulas[row],
        candidate_id=batch.ids[row],
        space_group_number=group_number,
        space_group=space_group_markup(group_number),
        probability=float(numbers(batch, Column.PROBABILITY)[row]),
        capped=capped_words(texts(batch, Column.CAPPED_TARGETS)[row] or "", run.summary.supported),
        in_domain=bool(in_domain),
        targets=[_target_row(run, batch, row, drawn[name]) for name in run.properties],
        origin=origin_words(texts(batch, Column.ORIGIN)[row]),
        substitution_probability=float(numbers(batch, Column.SUBSTITUTION_PROBABILITY)[row]),
        makeable_probability=float(numbers(batch, Column.MAKEABLE_PROBABILITY)[row]),
        makeable_counted=float(numbers(batch, Column.PROBABILITY_MAKEABLE)[row]),
        neighbour_columns=[(property_words(name), unit_text(property_named(name).unit)) for name in columns],
        neighbours=[_neighbour(compound, columns) for compound in known],
        scene=scene,
        drawing=[] if scene is None else still_drawing(scene),
        cell=_cell(batch, row),
        cif_name=cif_name,
        cif_data=Markup(base64.b64encode(cif.encode("utf-8", "replace")).decode("ascii")),
        expected_misses=math.nan,
        relaxation=None,
        rattle=None,
        vibrations=None,
        flags=card_flags(batch, row),
        chemistry=chemistry_words(batch, row),
        sites=site_table(batch, row),
        stability=None,
        element_scores=[],
        novelty=novelty_words(run.novelty, batch.ids[row], own_list=run.own_list),
        explanation=explanation_words(run.explanations, batch.ids[row]),
        tradeoff=tradeoff_words(run, batch, row),
        robustness=robustness_words(run, batch, row),
    )


def _scene(batch: CandidateBatch, row: int) -> Scene | None:
    """Drawing of a candidate, None where its kind has none or there is too much to draw."""
    drawn = batch.kinds[row].drawing
    return None if drawn is None else DRAWINGS[drawn](batch.blocks[drawn], row)


def _target_row(run: RunView, batch: CandidateBatch, row: int, strip: Strip) -> TargetRow:
    name, unit = strip.name, property_named(strip.name).unit
    value, low, high = (float(numbers(batch, f"{name}_{suffix}")[row]) for suffix in ("pred", "lo", "hi"))
    return TargetRow(
        name,
        property_words(name),
        range_words(run.ranges[name], unit),
        with_unit(number(value, high - low), unit),
        interval_words(low, high, high - low, unit),
        _selected_interval(batch, row, name),
        hull_distance_text(batch, row, name),
        _computed_text(batch, row, name, high - low),
        insulator_words(run.insulator_card, batch, row) if name == GAP else None,
        probability_source(run.campaign, name),
        _related_words(related_training(run.training, name, batch, row)),
        float(numbers(batch, probability_of(name))[row]),
        tuple(
            round(1000 * strip.axis.position(position), 1) if np.isfinite(position) else 1000.0 * (position == np.inf)
            for position in (low, value, high)
        ),  # type: ignore[arg-type]
    )


def _related_words(found: Related) -> Words:
    """How many rows that taught a property are of the chemistry of a candidate."""
    return Words(
        f"{found.alike:,} of the {found.rows:,} rows that taught it share two or more of its elements",
        f"{found.rows:,} 条训练数据中有 {found.alike:,} 条与其共有两种或以上元素",
    )


def _computed_text(batch: CandidateBatch, row: int, name: str, width: float) -> str:
    """The prediction on the computed scale beside one on the measured scale; empty where there is none."""
    value = float(numbers(batch, property_column(name, "computed"))[row])
    return with_unit(number(value, width), property_named(name).unit) if np.isfinite(value) else ""


def _selected_interval(batch: CandidateBatch, row: int, name: str) -> Words | None:
    low, high = (float(numbers(batch, f"{name}_selected_{end}")[row]) for end in ("lo", "hi"))
    if not (np.isfinite(low) and np.isfinite(high)):
        return None
    told = interval_words(low, high, high - low, property_named(name).unit)
    if numbers(batch, f"{name}_selected_exact")[row] == 0:
        return Words(f"about {told.en} (few crystals rank as high)", f"约 {told.zh}（排名相当的晶体很少）")
    return told


def _neighbour_properties(run: RunView, known: list[KnownCompound]) -> list[str]:
    """Properties any of the neighbours has: the targets first, then those most of them have."""
    having: dict[str, int] = {}
    for compound in known:
        for name in compound.properties:
            having[name] = having.get(name, 0) + 1
    shared = [name for name in catalogue() if name in having]
    shared.sort(key=lambda name: (name not in run.properties, -having[name]))
    return shared[: max(_PROPERTIES_OF_NEIGHBOURS, sum(name in run.properties for name in shared))]


def _neighbour(compound: KnownCompound, columns: list[str]) -> Neighbour:
    return Neighbour(
        formula_markup(compound.formula),
        compound.material_id,
        space_group_markup(compound.space_group_number),
        f"{compound.distance:.2f}",
        [number(compound.properties.get(name)) for name in columns],
    )


def _cell(batch: CandidateBatch, row: int) -> tuple[str, str] | None:
    """Cell edges and angles in words, None without a crystal."""
    if batch.crystals is None or not batch.has_crystal[row]:
        return None
    lattice = batch.crystals.lattice[row]
    edges = np.linalg.norm(lattice, axis=1)
    cosines = [lattice[i] @ lattice[j] / (edges[i] * edges[j]) for i, j in ((1, 2), (0, 2), (0, 1))]
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    sizes = ", ".join(f"{name} = {edge:.3f}" for name, edge in zip("abc", edges, strict=True))
    return f"{sizes} Å", ", ".join(f"{name} = {angle:.1f}°" for name, angle in zip("αβγ", angles, strict=True))


def scenes_json(items: list[Card]) -> list[dict[str, Any] | None]:
    """The crystals of the cards for the viewer, None where there is none to draw."""
    return [None if card.scene is None else card.scene.as_json() for card in items]


def element_gradients(items: list[Card]) -> dict[str, tuple[str, str, str]]:
    """Light, own and dark colour of each element that is drawn, for the shading of its spheres."""
    kinds = sorted({kind for card in items if card.scene is not None for kind in card.scene.elements})
    return {
        kind: (_mixed(colour_of(kind), 255, 0.65), colour_of(kind), _mixed(colour_of(kind), 0, 0.35)) for kind in kinds
    }


def _mixed(colour: str, towards: int, share: float) -> str:
    parts = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return "#" + "".join(f"{round(part + share * (towards - part)):02x}" for part in parts)
