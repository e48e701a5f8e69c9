"""Labels of one property in several files make one set: materials are merged and groups joined across them."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.errors import TrainingSetError
from matloop.data.own_labels.label_account import assembled, together
from matloop.data.own_labels.labelled_formulas import LabelledFormulas

SALTS = [metal + halide for metal in ("Li", "Na", "K", "Rb", "Cs", "Ag") for halide in ("F", "Cl", "Br", "I")]


def labels(folder: Path, name: str, rows: Sequence[Sequence[Any]], **options: Any) -> LabelledFormulas:
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["formula", "gap", "paper", "T"], *rows])
    return LabelledFormulas(path, property="band_gap", column="gap", **{"source": "exp", "group": "paper", **options})


def test_two_files_with_too_few_rows_each_are_enough_together(tmp_path: Path) -> None:
    halves = [SALTS[:12], SALTS[12:]]
    parts = [
        labels(tmp_path, f"{place}.csv", [[salt, 5 + row / 10, f"{place} {row}", ""] for row, salt in enumerate(half)])
        for place, half in enumerate(halves)
    ]
    with pytest.raises(TrainingSetError, match="12 materials"):
        parts[0].read()
    training, account = assembled([part.read_rows() for part in parts])
    assert (len(training), training.name) == (24, "0.csv; 1.csv")
    assert str(account).startswith("0.csv; 1.csv: 24 of 24 rows teach band_gap (24 materials, 24 groups, ")


def test_a_paper_in_two_files_is_one_group(tmp_path: Path) -> None:
    rows = [[salt, 5 + place / 10, f"paper {place % 12}", ""] for place, salt in enumerate(SALTS)]
    parts = [labels(tmp_path, "first.csv", rows[:12]), labels(tmp_path, "second.csv", rows[12:])]
    training, account = assembled([part.read_rows() for part in parts])
    assert account.groups == 12
    np.testing.assert_array_equal(training.groups[:12], training.groups[12:])


def test_a_material_of_two_files_is_merged_and_contradictions_are_told(tmp_path: Path) -> None:
    first = [[salt, 5 + place / 100, f"a {place}", ""] for place, salt in enumerate(SALTS)]
    second = [[salt, gap + 0.02, f"b {paper}", ""] for salt, gap, paper, _ in first[:-1]] + [[SALTS[-1], 9, "b", ""]]
    parts = [labels(tmp_path, "first.csv", first), labels(tmp_path, "second.csv", second)]
    training, account = assembled([part.read_rows() for part in parts])
    assert (len(training), account.repeats) == (24, 24)
    assert training.values[0] == pytest.approx(5.01)
    assert training.noise is not None
    (told,) = [sentence for sentence in account.suspicious if "contradict" in sentence]
    assert "AgI" in told
    assert "first.csv" in told
    assert "second.csv" in told


def test_labels_of_another_source_or_under_conditions_stay_apart(tmp_path: Path) -> None:
    rows = [[salt, 5, str(place), 300] for place, salt in enumerate(SALTS)]
    kinds: list[dict[str, Any]] = [
        {}, {"source": "exp:here"}, {"conditions": {"temperature": {"column": "T", "unit": "K"}}}, {}
    ]  # fmt: skip
    parts = [labels(tmp_path, f"{place}.csv", rows, **options) for place, options in enumerate(kinds)]
    read = [part.read_rows() for part in parts]
    read.append(replace(read[0], name="derived.csv", derived=True))
    found = together(read)
    assert [[part.name for part in some] for some in found] == [
        ["0.csv", "3.csv"],
        ["1.csv"],
        ["2.csv"],
        ["derived.csv"],
    ]
