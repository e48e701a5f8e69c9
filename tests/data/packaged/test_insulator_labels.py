"""Labels of insulators and metals: what either source says of textbook compounds, and where the two disagree."""

import numpy as np
import pytest

from matloop.data.packaged.insulators import GAPS, MEASURED, TRANSPORT, insulator_labels


@pytest.mark.parametrize("formula", ["NaCl", "MgO", "SiO2", "Al2O3", "ZnS", "BN"])
def test_textbook_insulators_are_insulators_by_gap_and_transport(formula: str) -> None:
    labels = insulator_labels()
    assert (labels.answers[labels.formulas.index(formula), :2] > 0.5).all()


@pytest.mark.parametrize("formula", ["ReO3", "NbO", "LaNiO3", "Ti2O3", "RuO2", "IrO2", "SrRuO3"])
def test_textbook_metals_are_metals_by_gap_and_transport(formula: str) -> None:
    labels = insulator_labels()
    assert (labels.answers[labels.formulas.index(formula), :2] < 0.5).all()


def test_a_composition_stands_once_with_what_each_source_says() -> None:
    labels = insulator_labels()
    assert len(set(labels.formulas)) == len(labels)
    row = labels.formulas.index("ReO3")  # a gap of 2.3 eV stands in the measured list
    assert [labels.of(source)[row] for source in (GAPS, TRANSPORT, MEASURED)] == [0.0, 0.0, 1.0]
    assert labels.disagreeing[row]
    known = np.isfinite(labels.answers)
    assert known.any(axis=1).all()
    assert ((labels.answers[known] >= 0) & (labels.answers[known] <= 1)).all()
    assert not labels.disagreeing[known.sum(axis=1) < 2].any()


def test_compositions_are_left_out_however_they_are_written() -> None:
    labels = insulator_labels()
    fewer = labels.without(["O3Re", "Ti4O6"])
    assert len(labels) - len(fewer) == 2
    assert not {"ReO3", "Ti2O3"} & set(fewer.formulas)
