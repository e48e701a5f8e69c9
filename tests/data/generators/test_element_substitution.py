"""Children of packaged crystals without ions: which elements replace which, and what the children are."""

import itertools

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.symmetry import SYMMETRY_TOLERANCE, symmetry_of
from matloop.data.chemistry.charge_balance import charge_balance
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.errors import GeneratorError
from matloop.data.generators.element_substitution import ElementSubstitution, element_replacements
from matloop.data.generators.ionic_substitution import IonicSubstitution

SETTINGS = {"max_sites": 6, "min_probability": 0.03, "limit": 50_000}


@pytest.fixture(scope="module")
def generator() -> ElementSubstitution:
    return ElementSubstitution(**SETTINGS)


@pytest.fixture(scope="module")
def children(generator: ElementSubstitution) -> CandidateBatch:
    (intake,) = generator.intakes(50_000)
    assert not intake.refused
    return intake.batch


@pytest.fixture(scope="module")
def parent_rows(generator: ElementSubstitution, children: CandidateBatch) -> np.ndarray:
    row = {name: at for at, name in enumerate(generator.parents.batch.table["material_id"].to_pylist())}
    return np.array([row[name] for name in children.table["parent_id"].to_pylist()])


def best_replacements(symbol: str, count: int) -> set[str]:
    table = element_replacements()
    row = table.elements.tolist().index(ATOMIC_NUMBERS[symbol])
    order = np.argsort(-table.log_probability[row])
    assert order[0] == row
    return {SYMBOLS[table.elements[other]] for other in order[1 : count + 1]}


@pytest.mark.parametrize(
    ("symbol", "neighbours"),
    [("As", {"P", "Sb"}), ("Ba", {"Sr", "Ca"}), ("Si", {"Ge", "Sn"}), ("Pt", {"Pd", "Ir"}), ("K", {"Rb", "Na", "Cs"})],
)
def test_elements_of_one_group_replace_each_other(symbol: str, neighbours: set[str]) -> None:
    assert neighbours <= best_replacements(symbol, 4)


def test_probabilities_of_replacing_an_element_add_up_to_one() -> None:
    probability = np.exp(element_replacements().log_probability)
    assert (np.diag(probability) == 1).all()
    np.testing.assert_allclose(probability.sum(axis=1), 2.0)
    assert (np.diff(element_replacements().elements.astype(int)) > 0).all()


def test_no_crystal_is_a_parent_of_both_generators(generator: ElementSubstitution) -> None:
    ours = set(generator.parents.batch.table["material_id"].to_pylist())
    theirs = set(IonicSubstitution(max_sites=6).parents.batch.table["material_id"].to_pylist())
    assert len(ours) > 500
    assert not ours & theirs


def test_probability_is_the_product_over_the_new_elements(
    generator: ElementSubstitution, children: CandidateBatch
) -> None:
    plan, table, parents = generator.plan, element_replacements(), generator.parents
    starts = parents.batch.compositions.offsets
    assert (np.diff(plan.log_probability) <= 1e-8).all()
    for row in range(0, len(children), 50):
        new = plan.ions[plan.offsets[row] : plan.offsets[row + 1]]
        old = parents.ions[starts[plan.parents[row]] :][: len(new)]
        changed = new != old
        assert changed.any()
        expected = np.exp(table.log_probability[old[changed], new[changed]].sum())
        assert children.column("substitution_probability")[row] == pytest.approx(expected)
        assert expected >= SETTINGS["min_probability"]


def test_children_have_the_symmetry_of_their_parents_and_no_atoms_too_close(children: CandidateBatch) -> None:
    assert not children.crystals.row_codes().astype(bool).any()
    groups, bounds = children.column("space_group_number"), children.crystals.offsets.tolist()
    found = []
    for row, (start, stop) in list(enumerate(itertools.pairwise(bounds)))[::25]:
        sites = children.crystals.frac_coords[start:stop], children.crystals.species[start:stop]
        found.append(symmetry_of(children.crystals.lattice[row], *sites, SYMMETRY_TOLERANCE).number == groups[row])
    assert np.mean(found) > 0.97  # the tolerance is in Å, and the cells have other sizes


def test_charges_balance_wherever_they_do_in_the_parent(
    generator: ElementSubstitution, children: CandidateBatch, parent_rows: np.ndarray
) -> None:
    before = charge_balance(generator.parents.batch.compositions.take(parent_rows))
    after = charge_balance(children.compositions)
    usual = before.neutral | before.metallic
    assert (after.neutral | after.metallic)[usual].all()
    assert 0 < (~usual).mean() < 0.2


def test_volumes_scale_with_the_elements(
    generator: ElementSubstitution, children: CandidateBatch, parent_rows: np.ndarray
) -> None:
    base = generator.parents.batch.crystals.take(parent_rows)
    ratio = children.crystals.volumes / base.volumes
    assert ((ratio > 0.3) & (ratio < 3)).mean() > 0.98
    assert ((ratio > 0.1) & (ratio < 10)).all()
    swaps = [origin.split(", ", 1)[1] for origin in children.table["origin"].to_pylist()]
    for swap, least, most in (("Ba to Sr", 0.7, 1.0), ("As to Sb", 1.0, 1.4), ("Pt to Pd", 0.95, 1.05)):
        found = ratio[[one == swap for one in swaps]]
        assert len(found) > 2
        assert ((found > least) & (found < most)).all()


def test_limit_keeps_the_most_probable(children: CandidateBatch) -> None:
    (intake,) = ElementSubstitution(**{**SETTINGS, "limit": 300}).intakes(1000)
    assert intake.batch.ids == children.ids[:300]


@pytest.mark.parametrize("settings", [{"limit": 0}, {"min_probability": 1.0}, {"max_sites": 0}])
def test_settings_that_make_nothing_are_refused(settings: dict) -> None:
    with pytest.raises(GeneratorError, match="E-GENERATOR"):
        ElementSubstitution(**settings)


def test_no_parent_small_enough() -> None:
    with pytest.raises(GeneratorError, match="no parent crystal with at most 1 sites"):
        ElementSubstitution(max_sites=1).count()
