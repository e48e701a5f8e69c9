"""One parent at a time: its children against pymatgen's own search and against textbook knowledge."""

import numpy as np
import pytest
from pymatgen.analysis.structure_prediction.substitution_probability import SubstitutionPredictor
from pymatgen.core import Species

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import gather_rows
from matloop.data.chemistry.ions import load_ions
from matloop.data.elements import SYMBOLS
from matloop.data.generators.ionic_substitution import IonicSubstitution, Parents


def of_parent(formula: str, space_group: int, min_probability: float) -> IonicSubstitution:
    """A generator that knows one parent only."""
    every = IonicSubstitution().parents
    match = (np.array(every.batch.formulas) == formula) & (every.batch.column("space_group_number") == space_group)
    row = np.flatnonzero(match)[:1]
    entries, _ = gather_rows(every.batch.compositions.offsets, row)
    sites, _ = gather_rows(every.batch.crystals.offsets, row)
    generator = IonicSubstitution(min_probability=min_probability, limit=100_000)
    generator.parents = Parents(
        every.batch.take(row), every.ions[entries], every.site_slots[sites], every.slot_signatures[entries]
    )
    return generator


def children_of(generator: IonicSubstitution) -> CandidateBatch:
    (intake,) = generator.intakes(1_000_000)
    return intake.batch


@pytest.mark.parametrize(
    ("formula", "space_group", "threshold", "at_least"),
    [("NaCl", 225, 3e-3, 10), ("SnO2", 136, 2e-3, 10), ("BaTiO3", 221, 2e-3, 10), ("Mg(GaO2)2", 227, 3e-3, 5)],
)
def test_same_substitutions_as_pymatgen(formula: str, space_group: int, threshold: float, at_least: int) -> None:
    generator = of_parent(formula, space_group, threshold)
    ions, parents = load_ions(), generator.parents
    old = [Species(SYMBOLS[ions.elements[ion]], int(ions.charges[ion])) for ion in parents.ions]
    amounts = dict(zip(old, parents.batch.compositions.amounts.tolist(), strict=True))
    # The parent's ions are the fixed ones and its children's vary, as in the paper's equation 6: this is what
    # pymatgen does where it is asked for what leads "to" a composition.
    expected: dict[tuple[str, ...], float] = {}
    for found in SubstitutionPredictor(threshold=threshold).composition_prediction(amounts, True):
        taking = {before: after for after, before in found["substitutions"].items()}
        elements = tuple(taking[ion].element.symbol for ion in old)
        if len(set(elements)) == len(old) and elements != tuple(ion.element.symbol for ion in old):
            expected[elements] = max(found["probability"], expected.get(elements, 0.0))  # one child per set of elements
    plan = generator.plan
    ours = {
        tuple(SYMBOLS[ions.elements[ion]] for ion in plan.ions[start : start + len(old)]): probability
        for start, probability in zip(plan.offsets[:-1], np.exp(plan.log_probability), strict=True)
    }
    assert len(expected) >= at_least
    assert set(ours) == set(expected)
    for elements, probability in ours.items():
        assert probability == pytest.approx(expected[elements], rel=1e-9), elements


def test_potassium_chloride_from_sodium_chloride() -> None:
    generator = of_parent("NaCl", 225, 1e-4)
    children = children_of(generator)
    row = children.formulas.index("KCl")
    ratio = (children.crystals.volumes[row] / generator.parents.batch.crystals.volumes[0]) ** (1 / 3)
    assert ratio == pytest.approx(6.29 / 5.64, rel=0.02)  # measured lattice constants in Å
    assert children.table["origin"][row].as_py().endswith(", Na+ to K+")


def test_charges_may_change_together() -> None:
    children = children_of(of_parent("NaCl", 225, 1e-4))
    row = children.formulas.index("MgO")  # Na+ to Mg2+, Cl- to O2-
    assert children.table["origin"][row].as_py().endswith(", Na+ to Mg2+, Cl- to O2-")
    assert "MgCl" not in children.formulas


@pytest.mark.parametrize(
    ("parent", "space_group", "formula", "swap"),
    [("MgMn2O4", 141, "Mn3O4", "Mg2+ to Mn2+"), ("Mg(RhO2)2", 227, "Fe3O4", "Rh3+ to Fe3+")],
)
def test_mixed_valence_makes_the_spinels_of_one_metal(parent: str, space_group: int, formula: str, swap: str) -> None:
    generator = of_parent(parent, space_group, 1e-4)
    children = children_of(generator)
    row = children.formulas.index(formula)
    assert swap in children.table["origin"][row].as_py()
    assert children.column("space_group_number")[row] == space_group
    assert "Zn3O4" not in children.formulas


def test_size_of_the_cell_does_not_make_another_prototype() -> None:
    """Rock salt comes in cells of 2, 4 (antiferromagnetic) and 8 sites; each child is made from one of them only."""
    every = IonicSubstitution().parents
    rows = np.flatnonzero(every.batch.column("space_group_number") == 225)
    rows = rows[every.batch.compositions.take(rows).totals == 2]
    sizes = every.batch.crystals.site_counts[rows]
    assert {2, 4, 8} <= set(sizes.tolist())
    entries, _ = gather_rows(every.batch.compositions.offsets, rows)
    assert len(set(every.slot_signatures[entries].tolist())) == 1  # cation and anion sites are of one kind
    rutile = of_parent("SnO2", 136, 1e-3).parents
    assert len({*rutile.slot_signatures.tolist(), every.slot_signatures[entries][0]}) == 3


def test_a_parent_with_a_single_child_and_with_none() -> None:
    generator = of_parent("NaCl", 225, 1e-4)
    best = float(np.exp(generator.plan.log_probability[0]))
    just_below, just_above = (of_parent("NaCl", 225, best * factor) for factor in (0.9999999, 1.0000001))
    assert just_below.count() == 1
    assert just_above.count() == 0
    assert list(just_above.intakes(10)) == []
