"""The finalists of a run and those ranked next, with everything that speaks for and against their stability.

``python benchmarks/workflows/finalists.py RUN``
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from matloop.data.properties.columns import RELAXATION_COLUMNS, Column
from matloop.screening.runs.run_view import RunView

NEXT = 10
"""Candidates ranked behind the shortlist that are told of too."""
TOLD = (
    Column.SUBSTITUTION_PROBABILITY, Column.PROBABILITY_BEFORE_RELAXING, Column.SPACE_GROUP_NUMBER,
    Column.SPACE_GROUP_BEFORE_RATTLE, Column.SECOND_ENERGY, *RELAXATION_COLUMNS,
    *(key for key in Column if key.name.startswith(("HULL_", "PHONON", "MAKEABLE"))),
)  # fmt: skip
"""What is told of each, where the run has it."""


def told(value: Any) -> str:
    """Write a value for people, or nothing where there is none."""
    if isinstance(value, float):
        return f"{value:.3f}" if math.isfinite(value) else ""
    return "" if value is None else str(value)


def siblings(rows: list[dict[str, Any]], own: dict[str, Any]) -> str:
    """Other ranked candidates whose elements are all among those of a candidate."""
    others = [
        f"{row[Column.FORMULA]} ({row[Column.CANDIDATE_ID][:8]}, {told(row.get(Column.HULL_DISTANCE))})"
        for row in rows
        if row is not own and set(row[Column.ELEMENTS]) <= set(own[Column.ELEMENTS])
    ]
    return ", ".join(others) or "none"


def print_finalists(view: RunView) -> None:
    """Print the shortlist and the candidates ranked next."""
    rows = view.ranked.to_arrow().to_pylist()
    size = view.campaign.shortlist.size
    first = sorted((row for row in rows if row[Column.SHORTLISTED]), key=lambda row: row[Column.SHORTLISTED])
    rest = [row for row in rows if not row[Column.SHORTLISTED]][:NEXT]
    print(f"{len(rows)} ranked candidates, {len(first)} of {size} places taken")
    for row in [*first, *rest]:
        place = f"finalist {row[Column.SHORTLISTED]}" if row[Column.SHORTLISTED] else "next"
        print(f"\n{row[Column.FORMULA]} ({row[Column.CANDIDATE_ID][:8]}), {place}, rank {row[Column.RANK]}")
        print(f"  made from: {row[Column.ORIGIN]}")
        chances = {name: value for name, value in row.items() if name.startswith(Column.PROBABILITY)}
        print("  P: " + ", ".join(f"{name} {told(value)}" for name, value in chances.items()))
        predicted = {name: value for name, value in row.items() if name.endswith(("_pred", "_lo", "_hi"))}
        print("  predicted: " + ", ".join(f"{name} {told(value)}" for name, value in predicted.items()))
        for name in TOLD:
            if name not in chances and (text := told(row.get(name))):
                print(f"  {name.replace('_', ' ')}: {text}" + f" {name.unit}" * (name.unit != "1"))
        print(f"  siblings within its elements: {siblings(rows, row)}")


def main() -> None:
    """Print the table of a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    print_finalists(RunView(parser.parse_args().run))


if __name__ == "__main__":
    main()
