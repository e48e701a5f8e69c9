"""The stability stage: all relaxed candidates of a run are placed on one hull, where they compete with each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from matloop.data.bounded_files import read_table
from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.candidates.reasons import POLYMORPH, Reason
from matloop.data.properties.columns import Column
from matloop.models.stability.competition import POLYMORPHS, places_among_polymorphs
from matloop.models.stability.hull import Hull, PhaseEnergies, Product
from matloop.models.stability.local_prediction import LocalPrediction
from matloop.models.stability.opinions import mixed_opinions
from matloop.models.stability.stability import Judgement, Stability
from matloop.workflows.stages.fates import REJECTED, Fates
from matloop.workflows.stages.makeable import by_kinship_and_potential, supported_after_relaxing
from matloop.workflows.stages.potential import energies_of, phases_of, source_of, stability_of
from matloop.workflows.stages.scoring import ScoringTask, StageTables, best_rows, judge

STAGE = "stability"


def judge_together(task: ScoringTask, intake: Intake, *, competitors: Path | None = None) -> StageTables:
    """Judge the stability of all relaxed candidates of a run against each other; those that can be ranked go on.

    The result does not depend on the order of the candidates, nor on the partitions in which they were relaxed.

    Args:
        task: The campaign, with the name of the last scoring stage.
        intake: Every candidate that the potential stage hands on.
        competitors: File with energies of known phases that join the hull of the potential's own energies.
    """
    settings = task.campaign.potential
    assert settings is not None
    batch = intake.batch
    fates, rows = Fates(len(batch), STAGE), np.arange(len(batch))
    learnt, energies = learnt_with(task, competitors), energies_of(batch, settings)
    judgement, second = learnt.predict(energies, competing=True), _second_judgement(task, batch)
    predictions = mixed_opinions(judgement, second)
    judged = {name: predictions[name] for name in task.ranges if name in predictions}
    together = by_kinship_and_potential(task.campaign, task.ranges, judged, batch)
    of_stability = replace(task, ranges={name: task.ranges[name] for name in judged})
    columns = judge(of_stability, rows, together, fates, supported_after_relaxing(task.campaign, of_stability.ranges))
    _end_polymorphs(energies, rows[fates.scored(rows)], fates)
    for number in (Column.PROBABILITY, Column.RANKING_SCORE):
        columns[number] = batch.column(number) * columns[number]
    columns[Column.CAPPED_TARGETS] = _joined_names(batch.column(Column.CAPPED_TARGETS), columns[Column.CAPPED_TARGETS])
    columns[Column.IN_DOMAIN] &= batch.column(Column.IN_DOMAIN).astype(bool)
    columns |= _hull_columns(judgement)
    if second is not None:
        columns[Column.HULL_DISTANCE_SECOND] = second.distances.energy_above_hull
    if learnt.elements.corrections.any():
        columns[Column.FORMATION_CORRECTION] = learnt.elements.added_to_formation_energies(batch.compositions)
    best = best_rows(batch, rows, columns, fates, criterion=task.criterion, keep=len(rows))
    return StageTables(fates.table(batch, rows, columns), best)


def learnt_with(task: ScoringTask, competitors: Path | None) -> Stability:
    """What the potential of the campaign tells of stability.

    Args:
        task: Names the campaign and the run.
        competitors: File with energies of known phases that join the hull of the potential's own energies.
    """
    settings = task.campaign.potential
    assert settings is not None
    learnt = stability_of(task.folder, settings)
    return learnt if competitors is None else _with_competitors(learnt, competitors, source_of(settings))


def predicted_stability(
    task: ScoringTask, batch: CandidateBatch, competitors: Path | None
) -> dict[str, LocalPrediction]:
    """Predictions of the targets that potentials judge, by property, of all relaxed candidates of a run.

    Args:
        task: The campaign and its ranges.
        batch: Every candidate that the potential stage hands on.
        competitors: As for :func:`learnt_with`.
    """
    assert task.campaign.potential is not None
    judgement = learnt_with(task, competitors).predict(energies_of(batch, task.campaign.potential), competing=True)
    predictions = mixed_opinions(judgement, _second_judgement(task, batch))
    return {name: predictions[name] for name in task.ranges if name in predictions}


def _joined_names(first: NDArray[Any], second: NDArray[np.str_]) -> NDArray[np.str_]:
    """Join names of targets by a comma, row by row, shape (n,)."""
    return np.array([",".join(filter(None, names)) for names in zip(first, second, strict=True)], str)


def _second_judgement(task: ScoringTask, batch: CandidateBatch) -> Judgement | None:
    """What the second potential of the campaign says of relaxed candidates; None without one."""
    stage = None if task.campaign.potential is None else task.campaign.potential.second_stage
    if stage is None:
        return None
    energies = PhaseEnergies(source_of(stage), batch.compositions, batch.column(Column.SECOND_ENERGY), batch.ids)
    return stability_of(task.folder, stage, second=True).predict(energies, competing=True)


def _with_competitors(learnt: Stability, path: Path, source: str) -> Stability:
    """Let phases whose energies lie in a file join the hull of the potential's own energies."""
    table = read_table(path, inside=path.parent)
    phases = phases_of(table.filter(pc.equal(table[Column.CODE], "")), source)
    if not phases.ids:
        return learnt
    return replace(learnt, own_hull=Hull(learnt.own_hull.references.joined(learnt.elements.formation_energies(phases))))


def _end_polymorphs(energies: PhaseEnergies, rows: NDArray[np.int64], fates: Fates) -> None:
    """Reject all but the lowest polymorphs of each composition.

    Args:
        energies: Of all candidates by the potential.
        rows: Those whose fate is open.
        fates: Told of the rows that end here.
    """
    phases = energies.take(rows)
    places, lowest = places_among_polymorphs(phases)
    ending = np.flatnonzero(places >= POLYMORPHS)
    above = phases.energies - phases.energies[lowest]
    reasons = [Reason(POLYMORPH, float(above[at]), POLYMORPHS, phases.ids[lowest[at]]) for at in ending]
    fates.end(rows[ending], REJECTED, STAGE, reasons)


def _hull_columns(judgement: Judgement) -> dict[str, NDArray[Any]]:
    """Where candidates lie on the hull of a database and on that of the potential, and what the hull does not know."""
    distances, coverage = judgement.distances, judgement.coverage
    products = [" + ".join(_product_words(product) for product in each) for each in distances.products]
    return {
        Column.HULL_DISTANCE: distances.energy_above_hull,
        Column.HULL_PRODUCTS: np.array(products, dtype=object),
        Column.HULL_REFERENCE_PHASES: distances.reference_counts,
        Column.HULL_COVERAGE: coverage.shares,
        Column.HULL_KNOWN_COMPOSITIONS: coverage.known,
        Column.HULL_WITHOUT_ENERGY: np.array([", ".join(names) for names in coverage.without_energy], dtype=object),
        Column.HULL_SPANS_SYSTEM: coverage.spans_system,
        Column.HULL_INCOMPLETE: judgement.incomplete,
        Column.HULL_DISTANCE_OWN: judgement.own_distances,
    }


def _product_words(product: Product) -> str:
    """Its share of the atoms, formula, and identifier where it has another one."""
    identifier = "" if product.phase_id == product.formula else f" ({product.phase_id})"
    return f"{product.fraction:.2f} {product.formula}{identifier}"
