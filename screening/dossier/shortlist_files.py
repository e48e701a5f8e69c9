"""Files that are handed to a lab: the shortlist as CSV and the crystals as CIF."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import CHEMISTRY_COLUMNS, Column, probability_of
from matloop.data.runs.directory import RunDirectory
from matloop.data.whole_files import write_csv, write_text
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.target import Target
from matloop.screening.flags.relaxed_volume import volume_changed_much
from matloop.screening.ranking.shares_of_misses import telling_shares

_HULL_DISTANCE = (Column.HULL_DISTANCE, "hull_distance (eV/atom)")
LARGE_VOLUME_CHANGE = "large_volume_change"
"""Column of the CSV that says whether a volume changed by more than 20 % while the crystal was relaxed."""


def write_shortlist(
    run: RunDirectory,
    ranked: CandidateBatch,
    campaign: Campaign,
    *,
    novelty: Iterable[Mapping[str, Any]] = (),
    energies: str = "",
) -> None:
    """Write ``shortlist.csv`` and one CIF per shortlisted crystal.

    Args:
        run: Where to.
        ranked: The ranked candidates, with ``shortlisted`` = 1, 2, 3 ... for the chosen ones and 0 for the others.
        campaign: Names the properties.
        novelty: What ``novelty.json`` says of each finalist; its label goes into the CSV.
        energies: Name of the energies that relaxed candidates have, with potential, version and settings.
    """
    place = ranked.column(Column.SHORTLISTED)
    chosen = ranked.take(np.flatnonzero(place > 0)[np.argsort(place[place > 0], kind="stable")])
    if labels := {report["candidate_id"]: str(report["novelty"]) for report in novelty}:
        chosen = chosen.with_columns({Column.NOVELTY: [labels.get(name) for name in chosen.ids]})
    shares = chosen.column(Column.EXPECTED_MISSES) if Column.EXPECTED_MISSES in chosen.table.column_names else None
    if shares is not None and not np.isfinite(telling_shares(shares)).any():
        chosen = chosen.without_columns(Column.EXPECTED_MISSES)
    if Column.RELAXATION_VOLUME_CHANGE in chosen.table.column_names:
        changes = chosen.column(Column.RELAXATION_VOLUME_CHANGE).astype(np.float64)
        flags = {
            LARGE_VOLUME_CHANGE: volume_changed_much(changes),
            Column.RELAXATION_VOLUME_CHANGE: pa.array(100 * changes, from_pandas=True),
        }
        table = chosen.with_columns(flags).table
    else:
        table = chosen.table
    columns = [(name, label) for name, label in _columns(campaign) if name in table.column_names]
    rows = table.select([name for name, _ in columns]).to_pylist()
    write_csv(
        run.shortlist, [label for _, label in columns], [[_rounded(value) for value in row.values()] for row in rows]
    )
    for row, kind in enumerate(chosen.kinds):
        if kind.file_ending:
            name = f"{row + 1:02d}_{safe_name(chosen.formulas[row])}_{safe_name(chosen.ids[row])}"
            text = kind.export(chosen, row, facts=_facts(chosen, row, campaign, energies))
            write_text(run.cif / f"{name}.{kind.file_ending}", text)


def _facts(chosen: CandidateBatch, row: int, campaign: Campaign, energies: str) -> dict[str, str | float]:
    """What the file of a candidate says besides what it is: where it comes from, its energies and their potential."""

    def value(name: str) -> Any:
        found = chosen.table[name][row].as_py() if name in chosen.table.column_names else None
        return "" if found is None else found

    facts: dict[str, Any] = {Column.CANDIDATE_ID: chosen.ids[row], Column.ORIGIN: value(Column.ORIGIN)}
    if value(Column.RELAXATION_OUTCOME):
        facts |= {
            "potential": energies or (campaign.potential.name if campaign.potential else ""),
            Column.RELAXATION_OUTCOME: value(Column.RELAXATION_OUTCOME),
            "relaxed_energy_eV_per_atom": value(Column.RELAXATION_ENERGY),
            "hull_distance_eV_per_atom": value(Column.HULL_DISTANCE),
            "formation_energy_correction_eV_per_atom": value(Column.FORMATION_CORRECTION),
        }
    facts |= {name: value(name) for name in (*CHEMISTRY_COLUMNS, Column.FLAGS)}
    for known in (property_named(target.property) for target in campaign.targets):
        if known.unit == "eV/atom":
            facts |= {
                f"predicted_{known.name}_eV_per_atom": value(known.column("pred")),
                f"predicted_{known.name}_eV_per_atom_90_from": value(known.column("lo")),
                f"predicted_{known.name}_eV_per_atom_90_to": value(known.column("hi")),
            }
    return facts


def safe_name(text: str) -> str:
    """Text as part of a file name: letters, digits, dot, dash and underscore, at most 80.

    >>> safe_name("Ba(PO3)2")
    'Ba-PO3-2'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80] or "unnamed"


def _target_columns(target: Target) -> list[tuple[str, str]]:
    """Columns of what a target asks for and their headings."""
    known = property_named(target.property)
    unit = "" if known.unit == "1" else f" ({known.unit})"
    columns = [
        (known.column("pred"), f"{known.name}{unit}"),
        (known.column("lo"), f"{known.name} 90 % from{unit}"),
        (known.column("hi"), f"{known.name} 90 % to{unit}"),
        (known.column("selected_lo"), f"{known.name} 90 % given selection from{unit}"),
        (known.column("selected_hi"), f"{known.name} 90 % given selection to{unit}"),
        (probability_of(known.name), probability_of(known.name)),
    ]
    if target.transfer is not None:
        columns.append((known.column("computed"), f"{known.name} on the computed scale{unit}"))
    if known.name == "energy_above_hull":
        # The prediction ends at 0; this one does not, and says by how much a candidate lies below the hull.
        columns.append(_HULL_DISTANCE)
    return columns


def _columns(campaign: Campaign) -> list[tuple[str, str]]:
    """Columns of the CSV and their headings; those of stages that did not run are left out."""
    columns: list[tuple[str, str]] = [
        (Column.SHORTLISTED, "place"),
        (Column.CANDIDATE_ID, Column.CANDIDATE_ID),
        (Column.FORMULA, Column.FORMULA),
        (Column.SPACE_GROUP_NUMBER, Column.SPACE_GROUP_NUMBER),
        (Column.PROBABILITY, "probability_of_all_targets"),
        (Column.CAPPED_TARGETS, Column.CAPPED_TARGETS),
        (Column.TRADEOFF_SCORE, Column.TRADEOFF_SCORE),
        (Column.PARETO_FRONT, Column.PARETO_FRONT),
        (Column.NON_DOMINATED, Column.NON_DOMINATED),
        (Column.LISTED_WHEN_MOVED, Column.LISTED_WHEN_MOVED),
        (Column.WORST_RANK, Column.WORST_RANK),
        *(column for target in campaign.targets for column in _target_columns(target)),
    ]
    columns += [
        (Column.RELAXATION_OUTCOME, Column.RELAXATION_OUTCOME),
        (Column.RELAXATION_LARGEST_FORCE, "relaxation_largest_force (eV/Å)"),
        (Column.RELAXATION_VOLUME_CHANGE, "relaxation_volume_change (%)"),
        (LARGE_VOLUME_CHANGE, LARGE_VOLUME_CHANGE),
        *([] if _HULL_DISTANCE in columns else [_HULL_DISTANCE]),
        (Column.HULL_PRODUCTS, Column.HULL_PRODUCTS),
        (Column.MAKEABLE_PROBABILITY, Column.MAKEABLE_PROBABILITY),
        (Column.INSULATOR_PROBABILITY, Column.INSULATOR_PROBABILITY),
        (Column.INSULATOR_VALUE, "insulator_value (eV)"),
        (Column.PROBABILITY_MAKEABLE, Column.PROBABILITY_MAKEABLE),
        (Column.HULL_DISTANCE_SECOND, "hull_distance_second (eV/atom)"),
        (Column.HULL_DISTANCE_OWN, "hull_distance_own (eV/atom)"),
        (Column.HULL_COVERAGE, Column.HULL_COVERAGE),
        (Column.HULL_KNOWN_COMPOSITIONS, Column.HULL_KNOWN_COMPOSITIONS),
        (Column.HULL_WITHOUT_ENERGY, Column.HULL_WITHOUT_ENERGY),
        (Column.HULL_SPANS_SYSTEM, Column.HULL_SPANS_SYSTEM),
        (Column.HULL_INCOMPLETE, Column.HULL_INCOMPLETE),
        (Column.RELAXATION_RATTLE_GAIN, "relaxation_rattle_gain (eV/atom)"),
        (Column.PHONON_LOWEST, "phonon_lowest (THz)"),
        (Column.PHONON_IMAGINARY, Column.PHONON_IMAGINARY),
        (Column.SUPPLY_RISK, Column.SUPPLY_RISK),
        (Column.PRICE_PER_KILOGRAM, "price_per_kilogram (USD/kg)"),
        (Column.PRICE_PER_MOLE, "price_per_mole (USD/mol)"),
        (Column.CRITICAL_SHARE_EU, Column.CRITICAL_SHARE_EU),
        (Column.CRITICAL_SHARE_US, Column.CRITICAL_SHARE_US),
        (Column.RECYCLABILITY, Column.RECYCLABILITY),
        (Column.FLAGS, Column.FLAGS),
        (Column.OXIDATION_STATES, Column.OXIDATION_STATES),
        (Column.OPEN_SHELL, Column.OPEN_SHELL),
        (Column.BOND_VALENCE_SUMS, Column.BOND_VALENCE_SUMS),
        (Column.INSTABILITY_INDEX, Column.INSTABILITY_INDEX),
        (Column.VALENCE_MISFITS, Column.VALENCE_MISFITS),
        (Column.LONE_PAIR_SWAPS, Column.LONE_PAIR_SWAPS),
        (Column.ORDERED_SLICE, Column.ORDERED_SLICE),
        (Column.INDEX_BY_POLARISABILITIES, Column.INDEX_BY_POLARISABILITIES),
        (Column.INDEX_DISAGREEMENT, Column.INDEX_DISAGREEMENT),
        (Column.EXPECTED_MISSES, "expected_share_of_misses_among_ranked"),
        (Column.NOVELTY, Column.NOVELTY),
        (Column.IN_DOMAIN, Column.IN_DOMAIN),
        (Column.ORIGIN, Column.ORIGIN),
    ]
    return columns


def _rounded(value: Any) -> Any:
    """A number as it is written; empty where there is none, and ``inf`` where an interval is open."""
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.4g}")
    return value
