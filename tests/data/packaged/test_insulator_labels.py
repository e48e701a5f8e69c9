"""Labels of insulators and metals: what either source says of textbook compounds, and where the two disagree."""

import numpy as np
import pytest

from matloop.data.packaged.insulators import insulator_labels


@pytest.mark.parametrize("formula", ["NaCl", "MgO", "SiO2", "Al2O3", "ZnS", "BN"])
def test_textbook_insulators_are_insulators_by_transport(formula: str) -> None:
    labels = insulator_labels()
    assert labels.computed[labels.formulas.index(formula)] > 0.5


@pytest.mark.parametrize("formula", ["ReO3", "NbO", "LaNiO3", "Ti2O3", "RuO2", "IrO2", "SrRuO3"])
def test_textbook_metals_are_metals_by_transport(formula: str) -> None:
    labels = insulator_labels()
    assert labels.computed[labels.formulas.index(formula)] < 0.5


def test_a_composition_stands_once_and_its_value_is_the_mean_of_what_the_sources_say() -> None:
    labels = insulator_labels()
    assert len(set(labels.formulas)) == len(labels)
    row = labels.formulas.index("ReO3")  # a gap of 2.3 eV stands in the measured list
    assert (labels.computed[row], labels.measured[row], labels.values[row]) == (0.0, 1.0, 0.5)
    assert labels.disagreeing[row]
    assert np.isfinite(labels.values).all()
    assert ((labels.values >= 0) & (labels.values <= 1)).all()
    single = np.isnan(labels.computed) | np.isnan(labels.measured)
    assert not labels.disagreeing[single].any()


def test_compositions_are_left_out_however_they_are_written() -> None:
    labels = insulator_labels()
    fewer = labels.without(["O3Re", "Ti4O6"])
    assert len(labels) - len(fewer) == 2
    assert not {"ReO3", "Ti2O3"} & set(fewer.formulas)
