"""Labelled data: every row used or counted, columns found, bad input refused under a code; splits by formula."""

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from matloop.data.errors import InputFileError, MatloopError, UnknownNameError
from matloop.workflows.bench import labelled
from matloop.workflows.bench.discovery_settings import share_named
from matloop.workflows.bench.labelled import ModelChoice, model_choice, read_labelled
from matloop.workflows.bench.seeds import grouped_split, summary
from tests.workflows.bench.labelled_tables import CHEAP, electrons, labelled_with, some_formulas, write_labels

FORMULAS = some_formulas(150)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_labels(tmp_path / "gaps.parquet", FORMULAS, electrons(FORMULAS))


def test_every_row_is_used_or_counted(tmp_path: Path) -> None:
    labels = electrons(FORMULAS)
    labels[[3, 4]], labels[5], labels[6] = np.nan, 99.0, -1.0
    formulas = [*FORMULAS, "Xx2O", "", "Og2"]
    path = write_labels(tmp_path / "a.parquet", formulas, np.concatenate([labels, [1.0, 1.0, 1.0]]))
    data = read_labelled(str(path), "band_gap", features=[*CHEAP, "magpie"])
    assert data.rows == 153
    assert data.left_out == {
        "E-FEATURE-NODATA": 1, "E-FORMULA-ELEMENT": 1, "E-FORMULA-EMPTY": 1,
        "no value of band_gap_exp": 2, "value outside 0 to 20 eV": 2,
    }  # fmt: skip
    assert len(data.target) + sum(data.left_out.values()) == data.rows
    np.testing.assert_array_equal(data.target, np.delete(labels, [3, 4, 5, 6]))
    assert len(data.features) == len(data.groups) == len(data.target)


def test_rows_with_a_spoilt_cell_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["formula", "band_gap_exp"])
        writer.writerows([formula, "n.d." if row == 7 else row / 10] for row, formula in enumerate(FORMULAS))
    data = read_labelled(str(path), "band_gap", features=CHEAP)
    assert data.left_out == {"E-TABLE-NUMBER": 1}
    assert len(data.target) == 149


def test_windows_of_a_file_without_labels_are_counted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled, "_ROWS_AT_ONCE", 20)
    labels = electrons(FORMULAS)
    labels[:40] = np.nan
    data = read_labelled(str(write_labels(tmp_path / "a.parquet", FORMULAS, labels)), "band_gap", features=CHEAP)
    assert (data.rows, len(data.target), data.left_out) == (150, 110, {"no value of band_gap_exp": 40})
    np.testing.assert_array_equal(data.target, labels[40:])


def test_formulas_written_differently_are_one_group(tmp_path: Path) -> None:
    formulas = [*FORMULAS, "NaCl", "Na2Cl2", "ClNa"]
    data = read_labelled(
        str(write_labels(tmp_path / "a.parquet", formulas, np.ones(153))), "band_gap", features=CHEAP
    )  # fmt: skip
    assert len(set(data.groups[-3:])) == 1
    assert len(np.unique(data.groups)) < len(data.groups)


def test_columns_by_property_by_name_and_packaged(tmp_path: Path, table: Path) -> None:
    assert read_labelled(str(table), "band_gap", features=CHEAP).column == "band_gap_exp"
    assert read_labelled(str(table), "band_gap_exp", features=CHEAP).column == "band_gap_exp"
    own = write_labels(tmp_path / "own.parquet", FORMULAS, np.ones(150), "Eg optical")
    data = read_labelled(str(own), "band_gap", column="Eg optical", features=CHEAP)
    assert (data.column, data.known.unit, len(data.target)) == ("Eg optical", "eV", 150)
    packaged = read_labelled("materials", "refractive_index", features=CHEAP)
    assert packaged.column == "refractive_index_dft"
    assert packaged.rows == 6317
    assert len(packaged.target) + sum(packaged.left_out.values()) == 6317
    assert len(packaged.sha256) == 64


def test_transport_rows_add_up() -> None:
    data = read_labelled("transport", "seebeck_p", features=["stoichiometry"])
    assert data.rows == 47_737
    assert len(data.target) + sum(data.left_out.values()) == data.rows


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"property_name": "bandgap"}, UnknownNameError, "did you mean 'band_gap'"),
        ({"data": "material"}, UnknownNameError, "did you mean 'materials'"),
        ({"features": ["stoichiometri"]}, UnknownNameError, "did you mean 'stoichiometry'"),
        ({"column": "band_gap_ex"}, InputFileError, "did you mean --column band_gap_exp"),
        ({"property_name": "refractive_index"}, InputFileError, "no column of numbers 'refractive_index_dft'"),
        ({"formula_column": "formulas"}, InputFileError, "no column 'formulas'"),
        ({"data": "missing.csv"}, InputFileError, "no file missing.csv"),
    ],
)
def test_what_is_not_there_is_refused(table: Path, asked: dict[str, Any], error: type, words: str) -> None:
    options: dict[str, Any] = {"data": str(table), "property_name": "band_gap", "features": CHEAP, **asked}
    with pytest.raises(error, match=words):
        read_labelled(options.pop("data"), options.pop("property_name"), **options)


def test_two_provenances_text_and_too_few_rows_are_refused(tmp_path: Path) -> None:
    both = tmp_path / "both.parquet"
    pq.write_table(
        pa.table({"formula": FORMULAS, "band_gap_exp": np.ones(150), "band_gap_dft": np.ones(150)}), both
    )  # fmt: skip
    with pytest.raises(InputFileError, match="band_gap_exp and band_gap_dft"):
        read_labelled(str(both), "band_gap", features=CHEAP)
    assert read_labelled(str(both), "band_gap_dft", features=CHEAP).column == "band_gap_dft"
    text = tmp_path / "text.parquet"
    pq.write_table(pa.table({"formula": FORMULAS, "hardness": ["high"] * 150}), text)
    with pytest.raises(InputFileError, match="no column of numbers 'hardness'"):
        read_labelled(str(text), "band_gap", column="hardness", features=CHEAP)
    few = write_labels(tmp_path / "few.parquet", FORMULAS[:120], np.where(np.arange(120) < 99, 1.0, np.nan))
    with pytest.raises(InputFileError, match=r"99 usable rows of 120.*21 with no value of band_gap_exp"):
        read_labelled(str(few), "band_gap", features=CHEAP)


def test_names_and_logarithms_are_checked(table: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'extra_trees'"):
        model_choice("extra_tree", "identity")
    with pytest.raises(UnknownNameError, match="did you mean 'log10'"):
        model_choice("extra_trees", "log1")
    data = read_labelled(str(table), "band_gap", features=CHEAP)
    ModelChoice("extra_trees", "log10").check(data)
    with pytest.raises(InputFileError, match="1 of 150 values"):
        ModelChoice("extra_trees", "log10").check(labelled_with(data, np.append(data.target[1:], 0.0)))


@pytest.mark.parametrize("text", ["", "%", "one", "1 percent", "1%%"])
def test_shares_are_numbers(text: str) -> None:
    with pytest.raises(MatloopError, match="such as 1%"):
        share_named(text)


@given(st.lists(st.integers(0, 30), min_size=20, max_size=200), st.floats(0.05, 0.95), st.integers(0, 100))
def test_splits_keep_groups_together_and_their_share(rows: list[int], share: float, seed: int) -> None:
    groups = np.unique(rows, return_inverse=True)[1]
    first, others = grouped_split(groups, share, seed=seed)
    assert not set(groups[first]) & set(groups[others])
    assert sorted([*first, *others]) == list(range(len(groups)))
    assert abs(len(first) - share * len(groups)) <= np.bincount(groups).max() / 2 + 1e-9
    np.testing.assert_array_equal(first, grouped_split(groups, share, seed=seed)[0])


def test_summary_is_that_of_scipy() -> None:
    figures = [0.2, 0.5, 0.4, math.nan, 0.9]
    found = summary(figures)
    expected = stats.ttest_1samp([0.2, 0.5, 0.4, 0.9], 0).confidence_interval(0.95)
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))
    assert found["standard_error"] == pytest.approx(stats.sem([0.2, 0.5, 0.4, 0.9]))
    assert found["seeds"] == 4
    assert summary([math.nan]) == {"mean": None, "standard_error": None, "low": None, "high": None, "seeds": 0}


def test_family_gets_the_columns_that_it_needs(table: Path) -> None:
    assert read_labelled(str(table), "band_gap", features=CHEAP, family="extra_trees").feature_names == tuple(CHEAP)
    data = read_labelled(str(table), "band_gap", features=CHEAP, family="element_attention")
    assert data.feature_names == ("element_fraction", *CHEAP)
    assert data.features.names[:2] == ("H", "He")
    named = read_labelled(str(table), "band_gap", features=[*CHEAP, "element_fraction"], family="element_attention")
    assert named.feature_names == (*CHEAP, "element_fraction")
