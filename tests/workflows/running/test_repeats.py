"""R32: which row a candidate takes everything from, whatever the order of the rows and the size of the batches."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.candidates.reasons import REPEATED
from matloop.data.candidates.seen_ids import SeenIds
from matloop.workflows.running.repeats import without_repeats

ROWS = [
    ("SiO2", "b", 1.0), ("Si2O4", "a", 2.0), ("SiO2", "a", 1.0), ("TiO2", "c", 3.0), ("ZnO", "d", 4.0),
    ("Zn2O2", "d", 4.0), ("ZnO", "d", 5.0), ("O2Si", "e", float("nan")), ("GaN", "f", 6.0),
]  # fmt: skip


def intakes(rows: list[tuple[str, str, float]], size: int) -> Iterator[Intake]:
    for start in range(0, len(rows), size):
        formulas, origins, numbers = zip(*rows[start : start + size], strict=True)
        batch = CandidateBatch.from_formulas(list(formulas)).batch
        yield Intake(batch.with_columns(origin=list(origins), table_x=list(numbers)), [])


def taken(
    rows: list[tuple[str, str, float]], size: int, folder: Path, seen: SeenIds
) -> tuple[dict[str, str], list[str]]:
    """What the candidates are, by formula; and the origins of all rows, those of repeats last."""
    found, origins, repeats = {}, [], []
    for intake in without_repeats(intakes(rows, size), seen, folder=folder):
        for row in intake.batch.to_arrow().to_pylist():
            assert row["formula"] not in found
            found[row["formula"]] = repr(row)
            origins.append(row["origin"])
        assert {row.code for row in intake.refused} <= {REPEATED}
        repeats += [row.detail for row in intake.refused]
    assert not list(folder.iterdir())
    return found, [*sorted([*origins, *repeats])]


@given(rows=st.permutations(ROWS), size=st.integers(1, 10))
def test_r32_the_order_of_rows_decides_nothing(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, float]], size: int
) -> None:
    folder = tmp_path_factory.mktemp("candidates")
    found, origins = taken(rows, size, folder, SeenIds())
    expected, _ = taken(ROWS, 3, folder, SeenIds())
    assert found == expected
    assert origins == sorted(origin for _, origin, _ in ROWS)  # each row is a candidate or a repeat
    for formula, origin, number in (("SiO2", "a", 1.0), ("ZnO", "d", 4.0), ("TiO2", "c", 3.0), ("GaN", "f", 6.0)):
        assert f"'origin': '{origin}', 'table_x': {number}" in found[formula]
    assert "[1.0, 2.0]" in found["SiO2"] or "[2.0, 1.0]" in found["SiO2"]


def test_candidates_of_earlier_sources_stay(tmp_path: Path) -> None:
    seen = SeenIds()
    taken([("Si4O8", "first", 0.0)], 5, tmp_path, seen)
    found, origins = taken(ROWS, 4, tmp_path, seen)
    assert "SiO2" not in found
    assert origins == sorted(origin for _, origin, _ in ROWS)
