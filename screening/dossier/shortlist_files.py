"""Files that are handed to a lab: the shortlist as CSV and the crystals as CIF."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column, probability_of
from matloop.data.runs.directory import RunDirectory
from matloop.data.whole_files import write_csv, write_text
from matloop.screening.campaign.campaign import Campaign


def write_shortlist(
    run: RunDirectory, ranked: CandidateBatch, campaign: Campaign, *, novelty: Iterable[Mapping[str, Any]] = ()
) -> None:
    """Write ``shortlist.csv`` and one CIF per shortlisted crystal.

    Args:
        run: Where to.
        ranked: The ranked candidates, with ``shortlisted`` = 1, 2, 3 ... for the chosen ones and 0 for the others.
        campaign: Names the properties.
        novelty: What ``novelty.json`` says of each finalist; its label goes into the CSV.
    """
    place = ranked.column(Column.SHORTLISTED)
    chosen = ranked.take(np.flatnonzero(place > 0)[np.argsort(place[place > 0], kind="stable")])
    if labels := {report["candidate_id"]: str(report["novelty"]) for report in novelty}:
        chosen = chosen.with_columns({Column.NOVELTY: [labels.get(name) for name in chosen.ids]})
    columns = _columns(campaign)
    rows = chosen.table.select([name for name, _ in columns if name in chosen.table.column_names]).to_pylist()
    header = [label for name, label in columns if name in chosen.table.column_names]
    write_csv(run.shortlist, header, [[_rounded(value) for value in row.values()] for row in rows])
    for row, kind in enumerate(chosen.kinds):
        if kind.file_ending:
            name = f"{row + 1:02d}_{safe_name(chosen.formulas[row])}_{safe_name(chosen.ids[row])}"
            write_text(run.cif / f"{name}.{kind.file_ending}", kind.export(chosen, row))


def safe_name(text: str) -> str:
    """Text as part of a file name: letters, digits, dot, dash and underscore, at most 80.

    >>> safe_name("Ba(PO3)2")
    'Ba-PO3-2'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80] or "unnamed"


def _columns(campaign: Campaign) -> list[tuple[str, str]]:
    """Columns of the CSV and their headings; those of stages that did not run are left out."""
    columns: list[tuple[str, str]] = [
        (Column.SHORTLISTED, "place"),
        (Column.CANDIDATE_ID, Column.CANDIDATE_ID),
        (Column.FORMULA, Column.FORMULA),
    ]
    columns += [
        (Column.SPACE_GROUP_NUMBER, Column.SPACE_GROUP_NUMBER),
        (Column.PROBABILITY, "probability_of_all_targets"),
    ]
    for target in campaign.targets:
        known = property_named(target.property)
        unit = "" if known.unit == "1" else f" ({known.unit})"
        columns += [
            (known.column("pred"), f"{known.name}{unit}"),
            (known.column("lo"), f"{known.name} 90 % from{unit}"),
            (known.column("hi"), f"{known.name} 90 % to{unit}"),
            (known.column("selected_lo"), f"{known.name} 90 % given selection from{unit}"),
            (known.column("selected_hi"), f"{known.name} 90 % given selection to{unit}"),
            (probability_of(known.name), probability_of(known.name)),
        ]
    columns += [
        (Column.RELAXATION_OUTCOME, Column.RELAXATION_OUTCOME),
        (Column.RELAXATION_LARGEST_FORCE, "relaxation_largest_force (eV/Å)"),
        (Column.HULL_DISTANCE, "hull_distance (eV/atom)"),
        (Column.HULL_PRODUCTS, Column.HULL_PRODUCTS),
        (Column.HULL_SPARSE, Column.HULL_SPARSE),
        (Column.EXPECTED_MISSES, "expected_share_of_misses_among_ranked"),
        (Column.NOVELTY, Column.NOVELTY),
        (Column.IN_DOMAIN, Column.IN_DOMAIN),
        (Column.ORIGIN, Column.ORIGIN),
    ]
    return columns


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
