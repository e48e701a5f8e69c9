"""Charge balance and electron counts: textbook compounds, pymatgen's charges, and what they must not depend on."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pymatgen.core import Composition, Element

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.chemistry import oxidation_states
from matloop.data.chemistry.charge_balance import charge_balance
from matloop.featurizers import charge_balance as module
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.charge_balance import ChargeBalanceFeatures, outer_electrons
from tests.strategies import batch_of, formula_of, whole_compositions

pytestmark = pytest.mark.filterwarnings("ignore:No Pauling electronegativity")
FEATURES = ChargeBalanceFeatures()


def feature(name: str, *formulas: str) -> NDArray[np.float64]:
    values, codes, _ = FEATURES.featurize(batch_of(*formulas))
    assert not codes.any()
    return values[:, FEATURES.feature_names.index(name)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("charges balance", {"NaCl": 1, "Fe3O4": 1, "NaCl2": 0, "Ni3Al": 0}),
        ("metallic composition", {"Ni3Al": 1, "NaCl": 0}),
        ("charge imbalance per atom", {"NaCl": 0, "NaCl2": 1 / 3}),
        # 11 + 17, 26 + 8 * 2 and 63 + 8 electrons; in La2CuO4 the copper has nine d electrons
        ("odd electrons", {"NaCl": 0, "La2CuO4": 1, "EuO": 1, "Na0.87123456Cl": 0.5}),
        ("anion share", {"NaCl": 1 / 2, "TiO2": 2 / 3, "Ni3Al": 0, "NaClO4": 4 / 6, "BaVClO3": 4 / 6, "NH4Cl": 2 / 6}),
        ("mean cation charge", {"NaCl": 1, "Fe2O3": 3, "Fe3O4": 8 / 3, "MgAl2O4": 8 / 3, "Si": 0}),
        # Ni3Al has no anion and keeps 3 * 1 + 3 charges; the silicon of CaSi2 bonds to itself instead of taking 8
        ("charge out of reach per atom", {"NaCl": 0, "Ni3Al": -6 / 4, "CaSi2": 2, "Fe3O4": 0, "Si": 0}),
        ("place in range of cation charges", {"FeO": 0, "FeO2": 1, "Fe2O3": 0.5, "NaCl": 1}),
        ("share of cations of several valences", {"NaCl": 0, "FeO": 1, "NaFeO2": 0.5}),
        ("electronegativity difference", {"NaCl": 3.16 - 0.93, "MgAl2O4": 3.44 - (1.31 + 2 * 1.61) / 3, "Ni3Al": 0}),
        ("electronegativity step", {"MgAl2O4": 3.44 - 1.61, "NaClO4": 3.44 - 3.16}),
        ("outer electrons per atom", {"GaAs": 4, "ZnS": 4, "CuInSe2": 4, "ZrNiSn": 6, "Fe2VAl": 6, "MgO": 4}),
        ("deviation from four outer electrons per atom", {"GaAs": 0, "ZrNiSn": 2}),
        ("outer electrons per anion", {"NaCl": 8, "MgO": 8, "TiO2": 8, "GaAs": 8, "SnO": 10, "Ni3Al": 24}),
        ("deviation from the octet", {"NaCl": 0, "SnO": 2, "Ni3Al": 8}),
        ("outer electrons left on cations per atom", {"TiO2": 0, "FeO": 6 / 2, "Fe2O3": 2 * 5 / 5, "SnO": 2 / 2}),
        # d6, d5, d8 (two holes), d9 (one hole), d10
        ("open d electrons per atom", {"FeO": 4 / 2, "Fe2O3": 10 / 5, "NiO": 2 / 2, "CuO": 1 / 2, "Cu2O": 0}),
        ("lone pair electrons per atom", {"SnO": 2 / 2, "SnO2": 0, "TlCl": 2 / 2, "FeO": 0, "NaCl": 0}),
    ],
)  # fmt: skip
def test_textbook_compounds(name: str, expected: dict[str, float]) -> None:
    np.testing.assert_allclose(feature(name, *expected), list(expected.values()), atol=1e-9)


def test_ways_are_those_of_the_charge_balance_on_a_capped_log_scale(materials: CandidateBatch) -> None:
    batch = materials.take(range(0, len(materials), 20))
    values = FEATURES.featurize(batch).values
    balance = charge_balance(batch.compositions)
    np.testing.assert_array_equal(values[:, 0], balance.neutral)
    np.testing.assert_allclose(10 ** values[:, 1] - 1, np.minimum(balance.ways, 1000))
    assert feature("log ways to balance charges", "MnFeCrVMoWO10Cl3Br2I")[0] == pytest.approx(np.log10(1001))


def group_electrons(symbol: str) -> int:
    """Electrons by the group of the periodic table: 1 and 2, 13 to 18 less ten, 3 to 10 as they are, 11 and 12."""
    group = Element(symbol).group
    return group if group <= 10 else group - 10


def test_outer_electrons_are_the_group_of_the_periodic_table() -> None:
    found = outer_electrons()
    blocks = {Element.from_Z(z).symbol: z for z in range(1, 104) if Element.from_Z(z).block != "f"}
    wrong = {s: found[z] for s, z in blocks.items() if found[z] != group_electrons(s) and s not in ("La", "Ac", "He")}
    assert wrong == {}
    assert (found[57:72] >= 3).all()
    assert (found[57:72] <= 4).all()


def usual_oxidation_states(formulas: list[str]) -> list[dict[str, float] | None]:
    guesses = [Composition(formula).oxi_state_guesses() for formula in formulas]
    return [dict(found[0]) if found else None for found in guesses]


def test_anions_and_their_charge_agree_with_pymatgen(materials: CandidateBatch) -> None:
    formulas = [f for f in sorted(set(materials.formulas)) if 2 <= len(re.findall("[A-Z]", f)) <= 4][::12]
    formulas = [formula for formula in formulas if Composition(formula).num_atoms <= 20]
    assert len(formulas) > 300
    shares, charges = (feature(name, *formulas) for name in ("anion share", "anion charge per atom"))
    balanced = feature("charges balance", *formulas) == 1
    same_share, same_charge, both_balance = [], [], []
    for row, (formula, states) in enumerate(zip(formulas, usual_oxidation_states(formulas), strict=True)):
        both_balance.append(balanced[row] == (states is not None))
        if states is None:
            continue
        atoms = Composition(formula)
        negative = sum(atoms[symbol] for symbol, charge in states.items() if charge < 0)
        positive = sum(atoms[symbol] * charge for symbol, charge in states.items() if charge > 0)
        same_share.append(shares[row] == pytest.approx(negative / atoms.num_atoms))
        same_charge.append(charges[row] == pytest.approx(positive / atoms.num_atoms))
    # pymatgen lets a metal be a cation beside a less electronegative anion (Pt4+ in SiPt2), and weighs charges by how
    # often they occur; peroxides and pyrites take smaller charges than the octet.
    assert np.mean(same_share) > 0.93
    assert np.mean(same_charge) > 0.87
    assert np.mean(both_balance) > 0.85


@given(composition=whole_compositions(), factor=st.sampled_from([2, 3, 7, 0.5, 0.1]))
def test_formula_unit_and_order_do_not_matter(composition: dict[str, int], factor: float) -> None:
    other = "".join(f"{symbol}{amount * factor:.6f}" for symbol, amount in reversed(composition.items()))
    values, codes, _ = FEATURES.featurize(batch_of(formula_of(composition), other))
    assert codes[0] == codes[1]
    np.testing.assert_array_equal(values[0], values[1])


def test_fe2o3_is_fe4o6() -> None:
    values = FEATURES.featurize(batch_of("Fe2O3", "Fe4O6", "O3Fe2")).values
    np.testing.assert_array_equal(values[1:], values[[0, 0]])


@given(whole_compositions())
def test_values_stay_in_their_ranges(composition: dict[str, int]) -> None:
    values, codes, _ = FEATURES.featurize(batch_of(formula_of(composition)))
    if codes[0]:
        assert codes[0] == "E-FEATURE-NODATA"
        return
    row = dict(zip(FEATURES.feature_names, values[0], strict=True))
    assert {row["charges balance"], row["metallic composition"]} <= {0, 1}
    assert 0 <= row["anion share"] < 1
    assert 0 <= row["place in range of cation charges"] <= 1
    assert 0 <= row["deviation from the octet"] <= 8
    assert 0 <= row["lone pair electrons per atom"] <= 2
    assert 0 <= row["open d electrons per atom"] <= 5
    # What the anions ask for is what the cations give, up to what is out of reach.
    low_or_high = row["anion charge per atom"] - row["charge out of reach per atom"]
    assert low_or_high >= -1e-9


def test_elements_without_electron_counts_are_refused_and_neighbours_unharmed() -> None:
    values, codes, _ = FEATURES.featurize(batch_of("SiO2", "RfO2", "NaCl"))
    assert codes.tolist() == ["", "E-FEATURE-NODATA", ""]
    np.testing.assert_array_equal(values[[0, 2]], FEATURES.featurize(batch_of("SiO2", "NaCl")).values)


def test_fingerprint_follows_the_table_of_oxidation_states(monkeypatch: pytest.MonkeyPatch) -> None:
    before = FeatureSet((FEATURES,)).fingerprint
    other: dict[str, Any] = {**oxidation_states.OXIDATION_STATES, "Fe": (2, 3)}
    monkeypatch.setattr(module, "OXIDATION_STATES", other)
    module.states_digest.cache_clear()
    try:
        assert FeatureSet((ChargeBalanceFeatures(),)).fingerprint != before
    finally:
        module.states_digest.cache_clear()
