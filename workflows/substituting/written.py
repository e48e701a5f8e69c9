"""Replacements as a CSV table and as JSON: every number with its unit, source and date."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matloop.data.element_facts.composition_scores import SCORES
from matloop.data.element_facts.fact_tables import fact_table
from matloop.data.errors import RunError
from matloop.data.packaged.known_compositions import KNOWN_LISTS
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.whole_files import write_csv, write_json
from matloop.screening.substitution.element_profile import ElementProfile
from matloop.workflows.substituting.known_values import KnownValue
from matloop.workflows.substituting.property_outlook import PropertyValue
from matloop.workflows.substituting.search import Material, Replacement, Replacements

FORMATS = (".csv", ".json")


def check_output(output: Path) -> None:
    """Make sure that a file of replacements can be written.

    Raises:
        RunError: If its folder does not exist, or its suffix names no format.
    """
    if output.suffix.lower() not in FORMATS:
        raise RunError(f"--out {output.name} names no format", " or ".join(FORMATS), f"such as --out {output.stem}.csv")
    if not output.parent.is_dir():
        raise RunError(f"no folder {output.parent} to write {output.name} into", "an existing folder")


def write_replacements(output: Path, searches: Sequence[Replacements], *, on: dt.date) -> None:
    """Write what searches found, all of it, whole or not at all.

    Args:
        output: A ``.csv`` or ``.json`` file.
        searches: One for each material.
        on: Today, for facts that are out of date.
    """
    if output.suffix.lower() == ".json":
        write_json(output, {"materials": [_search_record(one, on) for one in searches]})
        return
    records = [_row(one, place, found) for found in searches for place, one in enumerate(found.found, start=1)]
    header = list(dict.fromkeys(name for record in records for name in record)) or ["material", "formula"]
    write_csv(output, header, ([record.get(name, "") for name in header] for record in records))


def _search_record(found: Replacements, on: dt.date) -> dict[str, Any]:
    wish = found.wish
    return {
        "material": _material_record(found.material, found),
        "replaced": wish.replaced,
        "ion": found.leaving,
        "same_charge_ions": found.by_ions,
        "region": wish.facts.region,
        "near_hull": {"value": wish.near_hull, "unit": "eV/atom"},
        "keep": [
            {
                "property": one.condition.name, "rule": one.condition.rule, "limit": one.condition.limit,
                "unit": property_named(one.condition.name).unit, "provenance": one.provenance,
                "training_set": one.table,
            }
            for one in found.properties
        ],
        "replacements": [_replacement_record(one, place, found) for place, one in enumerate(found.found, start=1)],
        "refused": found.refused,
        "facts": [
            {
                "table": table.name, "label": table.label.en, "source": table.source, "as_of": str(table.as_of),
                "expires": str(table.expires), "out_of_date": table.expired(on), "licence": table.licence,
            }
            for table in map(fact_table, found.tables)
        ],
        "own_facts": [fact._asdict() for fact in wish.facts.own],
    }  # fmt: skip


def _material_record(material: Material, found: Replacements) -> dict[str, Any]:
    phases = material.phases
    names = [one.condition.name for one in found.properties]
    return {
        "formula": material.formula,
        "properties": {name: _value_record(one) for name, one in zip(names, material.values, strict=True)},
        "phase": {
            "lists": [f"{KNOWN_LISTS[name].label.en} ({KNOWN_LISTS[name].year})" for name in phases.lists],
            "energy_above_hull": {name: _number(value) for name, value in phases.distances.items()},
            "unit": "eV/atom",
            "known_others": phases.known,
            "share_with_energy": _number(phases.coverage),
            Column.MAKEABLE_PROBABILITY: _number(phases.makeable),
            "phase_probability": _number(phases.probability),
        },
        "scores": {
            name: {"value": _number(score.value), "unit": SCORES[name].unit, "unknown": score.unknown}
            for name, score in material.profile.scores.items()
        },
        "lists": [mark._asdict() for mark in material.profile.marks],
        "radioactive": list(material.profile.radioactive),
    }


def _value_record(value: PropertyValue) -> dict[str, Any]:
    return {
        "known": _known_record(value.known), "measured": _known_record(value.measured),
        "predicted": _number(value.predicted), "low": _number(value.low), "high": _number(value.high),
        "in_domain": value.in_domain, "code": value.code,
    }  # fmt: skip


def _known_record(known: KnownValue | None) -> dict[str, Any] | None:
    return None if known is None else known._asdict()


def _replacement_record(one: Replacement, place: int, found: Replacements) -> dict[str, Any]:
    names = [outlooks.condition.name for outlooks in found.properties]
    return {
        "place": place,
        **_material_record(one.material, found),
        "ion": one.replacing.ion,
        "substitution_probability": one.replacing.probability,
        "radius_change": _number(one.replacing.radius_change),
        "changes": {
            name: {
                "change": _number(outlook.change), "low": _number(outlook.change_low),
                "high": _number(outlook.change_high), "unit": property_named(name).unit,
                "probability_kept": _number(outlook.kept),
            }
            for name, outlook in zip(names, one.outlooks, strict=True)
        },
        "probability_kept": _number(one.kept),
        "price_change": {"value": _number(one.price_change), "unit": "USD/mol"},
        "harmful_element": one.harmful,
    }  # fmt: skip


def _row(one: Replacement, place: int, found: Replacements) -> dict[str, Any]:
    """A line of the table; units stand in the headings."""
    row: dict[str, Any] = {
        "material": found.material.formula, "replaced": found.leaving, "place": place,
        "formula": one.material.formula, "ion": one.replacing.ion,
        "P(substitution)": one.replacing.probability, "radius_change": _number(one.replacing.radius_change),
    }  # fmt: skip
    for outlooks, outlook in zip(found.properties, one.outlooks, strict=True):
        name, unit = outlooks.condition.name, property_named(outlooks.condition.name).unit
        value, bracket = outlook.value, "" if unit == "1" else f" ({unit})"
        row |= {
            f"{name} known{bracket}": None if value.known is None else value.known.value,
            f"{name} source": "" if value.known is None else f"{value.known.source}, {value.known.provenance}",
            f"{name} predicted{bracket}": _number(value.predicted), f"{name} low{bracket}": _number(value.low),
            f"{name} high{bracket}": _number(value.high), f"{name} in_domain": value.in_domain,
            f"{name} code": value.code, f"{name} change{bracket}": _number(outlook.change),
            f"{name} change low{bracket}": _number(outlook.change_low),
            f"{name} change high{bracket}": _number(outlook.change_high), f"{name} P(kept)": _number(outlook.kept),
        }  # fmt: skip
    phases = one.material.phases
    row |= {"known in": "; ".join(phases.lists)}
    row |= {f"above hull of {name} (eV/atom)": value for name, value in phases.distances.items()}
    row |= {
        "known others": phases.known, "share with energy": _number(phases.coverage),
        "P(makeable)": _number(phases.makeable), "P(phase)": _number(phases.probability),
        **_scores(found.material.profile, one.material.profile),
        "price change (USD/mol)": _number(one.price_change), "harmful element": one.harmful,
        "lists": "; ".join(
            f"{mark.table} {fact_table(mark.table).as_of}: {mark.symbol}{'' if mark.every_form else '?'}"
            for mark in one.material.profile.marks
        ),
    }  # fmt: skip
    return row


def _scores(old: ElementProfile, new: ElementProfile) -> dict[str, Any]:
    """Scores before and after; the tables that they rest on stand in the headings with their days."""
    row: dict[str, Any] = {}
    for name, score in new.scores.items():
        unit = "" if SCORES[name].unit == "1" else f" ({SCORES[name].unit})"
        row[f"{name} before{unit}"] = _number(old.scores[name].value)
        row[f"{name}{unit}"] = _number(score.value)
        row[f"{name} unknown"] = score.unknown
    return row


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
