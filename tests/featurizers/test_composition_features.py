"""The compiled composition features against matminer, and against what they are defined to be."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matminer.featurizers import composition as matminer
from pymatgen.core import Composition

from matloop.data.candidates.batch import CandidateBatch
from matloop.featurizers.composition import ElementFraction, Magpie, Stoichiometry, ValenceOrbital
from tests.strategies import batch_of, formula_of, whole_compositions

pytestmark = [
    pytest.mark.filterwarnings("ignore:No Pauling electronegativity"),
    pytest.mark.filterwarnings("ignore:.*impute_nan"),
]

PAIRS = [
    (Magpie(missing="impute"), matminer.ElementProperty.from_preset("magpie", impute_nan=True)),
    (Stoichiometry(), matminer.Stoichiometry()),
    (ValenceOrbital(), matminer.ValenceOrbital()),
    (ElementFraction(), matminer.ElementFraction()),
]
SMALL_PAIRS = PAIRS[1:]
NAMES = [type(ours).__name__ for ours, _ in PAIRS]


def by_matminer(featurizer: Any, formulas: Sequence[str]) -> np.ndarray:
    return np.array([featurizer.featurize(Composition(formula)) for formula in formulas], float)


@pytest.fixture(scope="module")
def formulas(materials: CandidateBatch) -> list[str]:
    return sorted(set(materials.formulas))


@pytest.mark.slow
def test_magpie_is_matminers_on_every_packaged_formula(formulas: list[str]) -> None:
    assert len(formulas) == 5667
    imputing, reference = PAIRS[0]
    expected = by_matminer(reference, formulas)
    values, codes, _ = imputing.featurize(batch_of(*formulas))
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-9)
    assert not codes.any()

    values, codes, _ = Magpie().featurize(batch_of(*formulas))
    refused = codes != ""
    np.testing.assert_allclose(values[~refused], expected[~refused], rtol=1e-9, atol=1e-9)
    assert [formulas[row] for row in np.flatnonzero(refused)] == ["He", "Ne"]


@pytest.mark.parametrize(("ours", "reference"), SMALL_PAIRS, ids=NAMES[1:])
def test_other_sets_are_matminers_on_every_packaged_formula(ours: Any, reference: Any, formulas: list[str]) -> None:
    values, codes, _ = ours.featurize(batch_of(*formulas))
    np.testing.assert_allclose(values, by_matminer(reference, formulas), rtol=1e-9, atol=1e-9)
    assert not codes.any()


@pytest.mark.parametrize(("ours", "reference"), PAIRS, ids=NAMES)
def test_names_and_order_are_matminers(ours: Any, reference: Any) -> None:
    assert list(ours.feature_names) == reference.feature_labels()


@pytest.mark.parametrize(("ours", "reference"), PAIRS, ids=NAMES)
@given(composition=whole_compositions())
def test_any_composition_is_featurized_as_by_matminer(ours: Any, reference: Any, composition: dict[str, int]) -> None:
    formula = formula_of(composition)
    values, codes, _ = ours.featurize(batch_of(formula))
    if codes[0]:  # an element without data, for which matminer would make up a number
        assert np.isnan(values).any()
    else:
        np.testing.assert_allclose(values, by_matminer(reference, [formula]), rtol=1e-9, atol=1e-9)


def magpie(formula: str, feature: str, missing: Any = "refuse") -> float:
    featurizer = Magpie(missing=missing)
    values, _, _ = featurizer.featurize(batch_of(formula))
    return float(values[0, featurizer.feature_names.index(f"MagpieData {feature}")])


@pytest.mark.parametrize(
    ("formula", "mode"),
    [
        ("NaCl", 11),  # a tie: the smaller value
        ("ClNa", 11),
        ("BaTiO3", 8),
        ("LiCoNiMnO2", 8),
        ("LiCoNiMn", 3),
        ("Ba3Ti3O3", 8),
        ("Na0.5Cl0.5", 11),
        ("Na0.499999Cl0.500001", 11),  # equal within one part in 100,000
        ("Na0.4999Cl0.5001", 17),
    ],
)
def test_mode_of_equally_abundant_elements_is_the_smallest_value(formula: str, mode: int) -> None:
    assert magpie(formula, "mode Number") == mode


def test_magpie_statistics_by_hand() -> None:
    # Fe2O3: atomic numbers 26 and 8 with fractions 0.4 and 0.6.
    assert magpie("Fe2O3", "minimum Number") == 8
    assert magpie("Fe2O3", "maximum Number") == 26
    assert magpie("Fe2O3", "range Number") == 18
    assert magpie("Fe2O3", "mean Number") == pytest.approx(15.2)
    assert magpie("Fe2O3", "avg_dev Number") == pytest.approx(0.4 * 10.8 + 0.6 * 7.2)


@pytest.mark.parametrize("ours", [Magpie(), Stoichiometry(), ValenceOrbital(), ElementFraction()], ids=NAMES)
@given(composition=whole_compositions(), factor=st.sampled_from([2, 3, 7, 0.5, 0.1]))
def test_features_do_not_depend_on_the_formula_unit(ours: Any, composition: dict[str, int], factor: float) -> None:
    other = {symbol: f"{amount * factor:.6f}" for symbol, amount in reversed(composition.items())}
    batch = batch_of(formula_of(composition), "".join(symbol + amount for symbol, amount in other.items()))
    values, codes, _ = ours.featurize(batch)
    assert codes[0] == codes[1]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("ours", [Magpie(), ValenceOrbital()])
def test_elements_without_data_are_refused_and_neighbours_unharmed(ours: Any) -> None:
    values, codes, _ = ours.featurize(batch_of("SiO2", "Og2", "OgSi", "NaCl"))
    assert codes.tolist() == ["", "E-FEATURE-NODATA", "E-FEATURE-NODATA", ""]
    assert np.isfinite(values).all(axis=1).tolist() == [True, False, False, True]
    np.testing.assert_array_equal(values[[0, 3]], ours.featurize(batch_of("SiO2", "NaCl")).values)


def test_missing_numbers_hide_nothing_in_the_statistics() -> None:
    # A minimum over {number, nan} must be nan, not the number.
    for statistic in ("minimum", "maximum", "range", "mean", "avg_dev", "mode"):
        assert np.isnan(magpie("OgSi2", f"{statistic} MeltingT")), statistic
        assert np.isfinite(magpie("OgSi2", f"{statistic} MeltingT", missing="impute")), statistic


@given(whole_compositions())
def test_stoichiometry_and_fractions_are_what_they_say(composition: dict[str, int]) -> None:
    batch = batch_of(formula_of(composition))
    fractions = np.array(list(composition.values())) / sum(composition.values())
    expected = [len(fractions), *((fractions**p).sum() ** (1 / p) for p in (2, 3, 5, 7, 10))]
    np.testing.assert_allclose(Stoichiometry().featurize(batch).values[0], expected, rtol=1e-12)
    row = dict(zip(ElementFraction().feature_names, ElementFraction().featurize(batch).values[0], strict=True))
    assert {symbol for symbol, share in row.items() if share} == set(composition)
    assert sum(row.values()) == pytest.approx(1)
