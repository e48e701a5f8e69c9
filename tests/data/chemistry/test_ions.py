import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.analysis.structure_prediction.substitution_probability import SubstitutionProbability
from pymatgen.core import Species

from matloop.data.chemistry.ions import MOST_ELEMENTS, Ions, assign_ions, load_ions
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from tests.strategies import batch_of, formula_of


@pytest.fixture(scope="module")
def ions() -> Ions:
    return load_ions()


@pytest.fixture(scope="module")
def published() -> SubstitutionProbability:
    return SubstitutionProbability()


def species(ions: Ions, ion: int) -> Species:
    return Species(SYMBOLS[ions.elements[ion]], int(ions.charges[ion]))


def assigned(formula: str, ions: Ions) -> list[str] | None:
    """The ions of a formula, lightest element first; None where it has no assignment."""
    compositions, _ = batch_of(formula).compositions.reduced()
    chosen, found = assign_ions(compositions, ions)
    assert (chosen >= 0).all() == found[0]
    return [ions.label(ion) for ion in chosen] if found[0] else None


def test_every_published_ion_is_there_but_the_noble_gases(ions: Ions, published: SubstitutionProbability) -> None:
    ours = {species(ions, ion) for ion in range(len(ions.elements))}
    left_out = {str(ion) for ion in published.species - ours}
    assert ours < published.species
    assert left_out == {"Kr2+", "Xe2+", "Xe6+"}  # no radius
    keys = list(zip(ions.elements.tolist(), ions.charges.tolist(), strict=True))
    assert keys == sorted(set(keys))
    assert (ions.charges != 0).all()


def test_substitution_probabilities_are_those_of_pymatgen(ions: Ions, published: SubstitutionProbability) -> None:
    sample = range(0, len(ions.elements), 6)
    for held, taking in itertools.product(sample, sample):
        expected = published.cond_prob(species(ions, taking), species(ions, held))
        assert np.exp(ions.log_probability[held, taking]) == pytest.approx(expected, rel=1e-9)


def test_probabilities_add_up_to_one(ions: Ions, published: SubstitutionProbability) -> None:
    total = np.exp(ions.log_probability).sum(axis=1)
    assert (total <= 1 + 1e-12).all()
    assert (total > 0.95).all()  # what is missing goes to the noble gases
    for ion in range(0, len(ions.elements), 10):
        assert np.exp(ions.log_prior[ion]) == pytest.approx(published.get_px(species(ions, ion)) / published.Z)


def test_radii_are_those_of_shannon(ions: Ions) -> None:
    radii = {ions.label(ion): ions.radii[ion] for ion in range(len(ions.elements))}
    assert (ions.radii > 0).all()
    for label, radius in {"Na+": 1.16, "Cl-": 1.67, "O2-": 1.26, "Ti4+": 0.745, "Ba2+": 1.49}.items():
        assert radii[label] == pytest.approx(radius, abs=0.011)  # crystal radii, sixfold coordination


def test_loading_is_quiet_and_happens_once(ions: Ions, recwarn: pytest.WarningsRecorder) -> None:
    load_ions.__wrapped__()
    assert not recwarn.list
    assert load_ions() is ions


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("NaCl", ["Na+", "Cl-"]),
        ("TiO2", ["O2-", "Ti4+"]),
        ("BaTiO3", ["O2-", "Ti4+", "Ba2+"]),
        ("LiFePO4", ["Li+", "O2-", "P5+", "Fe2+"]),
        ("MgAl2O4", ["O2-", "Mg2+", "Al3+"]),
        ("La2SO2", ["O2-", "S2-", "La3+"]),
        ("KMnO4", ["O2-", "K+", "Mn7+"]),
        ("ZrSiO4", ["O2-", "Si4+", "Zr4+"]),
        ("FeO", ["O2-", "Fe2+"]),
        ("Fe2O3", ["O2-", "Fe3+"]),
        ("Cu2S", ["S2-", "Cu+"]),
        ("NH3", ["H+", "N3-"]),
    ],
)
def test_textbook_cases(formula: str, expected: list[str], ions: Ions) -> None:
    assert assigned(formula, ions) == expected


@pytest.mark.parametrize(
    ("formula", "why"),
    [
        ("Fe3O4", "mixed valence"),
        ("Pb3O4", "mixed valence"),
        ("TiAl", "no anion"),
        ("NiAl", "no anion"),
        ("Cu", "one element"),
        ("OF2", "the more electronegative fluorine cannot balance an oxygen anion"),
        ("OgF2", "an element outside the table"),
        ("LiNaKRbCsMgO4", "seven elements"),
    ],
)
def test_refused(formula: str, why: str, ions: Ions) -> None:
    assert assigned(formula, ions) is None, why


def test_entries_of_a_refused_composition_stay_empty(ions: Ions) -> None:
    compositions, _ = batch_of("Fe3O4", "NaCl", "TiAl", "MgO").compositions.reduced()
    chosen, found = assign_ions(compositions, ions)
    assert found.tolist() == [False, True, False, True]
    labels = [ions.label(ion) if ion >= 0 else "" for ion in chosen]
    assert labels == ["", "", "Na+", "Cl-", "", "", "O2-", "Mg2+"]


def test_no_compositions(ions: Ions) -> None:
    chosen, found = assign_ions(batch_of().compositions, ions)
    assert len(chosen) == len(found) == 0


ELECTRONEGATIVITY = {
    "Na": 0.93,
    "Cl": 3.16,
    "Fe": 1.83,
    "O": 3.44,
    "S": 2.58,
    "Cu": 1.9,
    "Ti": 1.54,
    "P": 2.19,
    "Mn": 1.55,
}


@given(st.dictionaries(st.sampled_from(sorted(ELECTRONEGATIVITY)), st.integers(1, 6), min_size=2, max_size=4))
def test_the_most_usual_neutral_choice_is_found(composition: dict[str, int]) -> None:
    ions = load_ions()
    batch = batch_of(formula_of(composition))
    chosen, found = assign_ions(batch.compositions.reduced()[0], ions)
    elements = batch.compositions.elements
    amounts = [composition[SYMBOLS[number]] for number in elements]
    anion = max(composition, key=ELECTRONEGATIVITY.__getitem__)
    position = elements.tolist().index(ATOMIC_NUMBERS[anion])
    neutral = [
        choice
        for choice in itertools.product(*(np.flatnonzero(ions.elements == number) for number in elements))
        if ions.charges[list(choice)] @ amounts == 0 and ions.charges[choice[position]] < 0
    ]
    assert found[0] == bool(neutral)
    if neutral:
        best = max(ions.log_prior[list(choice)].sum() for choice in neutral)
        assert ions.log_prior[chosen].sum() == pytest.approx(best)
        assert (ions.elements[chosen] == elements).all()
        assert ions.charges[chosen] @ amounts == 0


def test_six_elements_are_still_assigned(ions: Ions) -> None:
    formula = "LiNaMgAlSiO5"
    assert len(batch_of(formula).compositions.elements) == MOST_ELEMENTS
    # Li+ Na+ Mg2+ Al3+ Si4+ make 11 positive charges, five oxygen ions 10.
    assert assigned(formula, ions) is None
    assert assigned("LiNaMgAlBO5", ions) == ["Li+", "B3+", "O2-", "Na+", "Mg2+", "Al3+"]
