"""The featurizer ``d_electrons`` against electron counts of ligand-field theory that textbooks print."""

import numpy as np
import pytest

from matloop.data.chemistry.open_shells import shell_electrons, shell_of
from matloop.featurizers.d_electrons import DElectrons
from tests.strategies import batch_of


def values_of(formula: str) -> dict[str, float]:
    features = DElectrons()
    (row,) = features.featurize(batch_of(formula)).values
    return dict(zip(features.feature_names, row.tolist(), strict=True))


@pytest.mark.parametrize(
    ("formula", "electrons", "share"),
    [("TiO2", 0, 1 / 3), ("VO2", 1, 1 / 3), ("CrO2", 2, 1 / 3), ("Cr2O3", 3, 2 / 5), ("NiO", 8, 1 / 2),
     ("Cu2O", 10, 2 / 3), ("ReO3", 1, 1 / 4), ("LaNiO3", 7, 1 / 5)],
)  # fmt: skip
def test_ions_have_the_electrons_of_textbooks(formula: str, electrons: int, share: float) -> None:
    found = values_of(formula)
    assert found[f"ions with {electrons} d electrons"] == pytest.approx(share)
    others = [value for name, value in found.items() if name.startswith("ions with") and name.endswith("d electrons")]
    assert sum(others) == pytest.approx(share)  # lanthanum belongs to the f block


def test_multiples_of_a_formula_have_the_same_features() -> None:
    once, twice = DElectrons().featurize(batch_of("Fe3O4", "Fe6O8")).values
    np.testing.assert_allclose(once, twice)


def test_what_has_no_oxidation_states_says_so_and_nothing_else() -> None:
    found = values_of("Ni3Al")
    assert found.pop("no oxidation states") == 1.0
    assert set(found.values()) == {0.0}


def test_many_ions_at_once_have_the_electrons_of_each() -> None:
    elements, charges = np.repeat(np.arange(1, 104), 9), np.tile(np.arange(9.0), 103)
    for kind, found in zip("df", shell_electrons(elements, charges), strict=True):
        for element, charge, count in zip(elements.tolist(), charges.tolist(), found.tolist(), strict=True):
            shell = shell_of(element, charge)
            known = shell is not None and shell.kind == kind
            assert (count == shell.electrons) if known and shell is not None else np.isnan(count)
