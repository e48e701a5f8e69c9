"""Output of hidden families and elements: tables on the screen and ``families.json``."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from matloop.data.whole_files import write_json
from matloop.screening.language.text import number, percent
from matloop.workflows.bench.families import (
    FEWEST_HIDDEN,
    LEVEL,
    PROPERTIES,
    FamiliesRun,
    FamiliesSettings,
    HiddenRows,
    PropertyResult,
    coverage_by_distance,
    figures,
)
from matloop.workflows.bench.hardware import describe_machine
from matloop.workflows.bench.seeds import plain

_BAND = (0.85, 0.95)  # coverage of 90 % intervals that counts as held
_HEADINGS = (
    "rows", "MAE", "of mean", "refused", "outside", "inside", "held inside", "by chance", "held outside", "enrichment",
)  # fmt: skip
_NAME_WIDTH = 46


def write_families(run: FamiliesRun, folder: Path) -> None:
    """Write ``families.json`` into a folder."""
    write_json(folder / "families.json", families_json(run))


def families_json(run: FamiliesRun) -> dict[str, Any]:
    """The run as plain JSON values; all but ``seconds`` and ``machine`` is the same for the same seed and versions."""
    settings = run.settings
    return plain(
        {
            "benchmark": "families",
            "command": command_of(settings),
            "settings": {
                "rows": settings.rows,
                "folds": settings.folds,
                "family": settings.family,
                "seed": settings.seed,
            },
            "level": LEVEL,
            "properties": {name: _of_property(name, found) for name, found in run.properties.items()},
            "seconds": round(run.seconds, 1),
            "machine": describe_machine(),
        }
    )


def command_of(settings: FamiliesSettings) -> str:
    """Return the command that repeats the figures.

    >>> command_of(FamiliesSettings(("band_gap",), rows=500))
    'matloop bench families --property band_gap --rows 500 --family extra_trees --seed 0'
    """
    words = ["matloop bench families"]
    if settings.properties != tuple(PROPERTIES):
        words += [f"--property {name}" for name in settings.properties]
    words += [] if settings.rows is None else [f"--rows {settings.rows}"]
    words += [] if settings.folds is None else [f"--folds {settings.folds}"]
    return " ".join([*words, f"--family {settings.family} --seed {settings.seed}"])


def print_families(run: FamiliesRun, console: Console) -> None:
    """Print one table for each property: its families, the elements with the worst coverage, and all together."""
    for name, found in families_json(run)["properties"].items():
        scale = "log10 " if found["transform"] == "log10" else ""
        console.print(f"\n{scale}{_heading(name, found)}", markup=False, highlight=False, soft_wrap=True)
        lines = [_line(family, one) for family, one in found["families"].items()]
        lines.append(_line("all families", found["all_families"]))
        lines += [_line(symbol, one) for symbol, one in _worst(found["elements"])]
        lines.append(_line(f"all {len(found['elements'])} elements", found["all_elements"]))
        lines.append(_line("families and elements", found["all"]))
        for line in [["", *_HEADINGS], *lines]:
            console.print(_text(line), markup=False, highlight=False, soft_wrap=True)
        console.print(_near_and_far(found["by_distance"]), markup=False, highlight=False, soft_wrap=True)


def _heading(name: str, found: Mapping[str, Any]) -> str:
    held, limits = found["held"], found["limits"]
    return (
        f"{name}: {found['rows']:,} rows, {found['formulas']:,} formulas; limit of the domain {limits['least']:.2f} to"
        f" {limits['most']:.2f} of the widest, in the middle {limits['median']:.2f}\n"
        f"90 % intervals, coverage of {held['counted']} families and elements with {FEWEST_HIDDEN} rows in domain:"
        f" {held['between']} between {_BAND[0]:.0%} and {_BAND[1]:.0%}, {held['below']} below, {held['above']} above;"
        f" by more than chance {held['surely_below']} below, {held['surely_above']} above"
    )


def _near_and_far(found: Sequence[Mapping[str, Any]]) -> str:
    """Tell how many hidden rows lie within shares of the widest limit, and how many intervals hold there."""
    shares = (
        f"{one['within']:g}: {percent(one['share'], 1)} of rows, {percent(one['coverage'], 1)} held"
        for one in found
        if one["coverage"] is not None
    )
    return f"within shares of the widest limit  {'; '.join(shares)}"


def _of_property(name: str, found: PropertyResult) -> dict[str, Any]:
    sign = PROPERTIES[name]

    def of(hidden: Sequence[HiddenRows]) -> dict[str, Any]:
        return {one.name: {**figures([one], sign=sign), "trained": one.trained} for one in hidden}

    families, elements = of(found.families), of(found.elements)
    return {
        "sha256": found.data.sha256,
        "rows": len(found.data.target),
        "formulas": len(set(found.data.groups.tolist())),
        "transform": found.data.known.transform,
        "families": families,
        "elements": elements,
        "all_families": figures(found.families, sign=sign) if families else None,
        "all_elements": figures(found.elements, sign=sign) if elements else None,
        "all": figures([*found.families, *found.elements], sign=sign),
        "held": _held([*families.values(), *elements.values()]),
        "limits": _limits([*found.families, *found.elements]),
        "by_distance": coverage_by_distance([*found.families, *found.elements]),
        "seconds": round(found.seconds, 1),
    }


def _held(found: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Count families and elements by their coverage in domain, those with enough rows there.

    Those below or above by more than chance are those whose binomial interval of 95 % lies wholly there.
    """
    counted = [one for one in found if one["rows_in_domain"] >= FEWEST_HIDDEN]
    coverage = [one["coverage_in_domain"] for one in counted]
    below, above = sum(one < _BAND[0] for one in coverage), sum(one > _BAND[1] for one in coverage)
    return {
        "counted": len(counted), "between": len(counted) - below - above, "below": below, "above": above,
        "surely_below": sum(one["coverage_interval"][1] < _BAND[0] for one in counted),
        "surely_above": sum(one["coverage_interval"][0] > _BAND[1] for one in counted),
    }  # fmt: skip


def _limits(hidden: Sequence[HiddenRows]) -> dict[str, float]:
    """Least, median and largest limit of the domain over families and elements, in units of the widest."""
    limits = [one.limit for one in hidden]
    return {"least": min(limits), "median": statistics.median(limits), "most": max(limits)}


def _worst(elements: Mapping[str, Mapping[str, Any]], count: int = 5) -> list[tuple[str, Mapping[str, Any]]]:
    """Find the elements with the least coverage in domain, among those with enough rows there."""
    counted = [(name, one) for name, one in elements.items() if one["rows_in_domain"] >= FEWEST_HIDDEN]
    return sorted(counted, key=lambda each: each[1]["coverage_in_domain"])[:count]


def _line(name: str, found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return [name, *["–"] * len(_HEADINGS)]
    held, beyond = (
        "–" if found[share] is None else percent(found[share], 1)
        for share in ("coverage_in_domain", "coverage_outside")
    )
    chance = found["coverage_interval"]
    return [
        name, f"{found['rows']:,}", _figure(found["mae"]), _figure(found["mae_of_mean"]), percent(found["refused"], 1),
        percent(found["outside"], 1), f"{found['rows_in_domain']:,}", held,
        "–" if chance is None else f"{chance[0]:.0%}-{chance[1]:.0%}", beyond, _figure(found["enrichment"]),
    ]  # fmt: skip


def _text(line: Sequence[str]) -> str:
    """Put a name and figures below each other's headings, on one line however narrow the screen is."""
    cells = (f"{cell:>{max(len(heading) + 2, 9)}}" for cell, heading in zip(line[1:], _HEADINGS, strict=True))
    return f"{line[0]:<{_NAME_WIDTH}}{''.join(cells)}"


def _figure(value: float | None) -> str:
    return "–" if value is None else number(value)
