"""R11: one crystal in several cell settings is one candidate."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Structure

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.comparison.equal_crystals import crystal_groups
from matloop.data.packaged.materials import load_materials


@settings(max_examples=15)
@given(st.integers(0, 6316), st.permutations([1, 2, 3]))
def test_r11_primitive_conventional_and_supercell_are_one(row: int, multiples: list[int]) -> None:
    materials = load_materials()
    structure = materials.structure(row % 2000)
    settings_of_one: list[Structure] = [
        structure.get_primitive_structure(),
        structure.to_conventional(),
        structure.get_primitive_structure().make_supercell([1, *multiples[:2]][:3], in_place=False),
    ]
    small = [one for one in settings_of_one if len(one) <= 120]
    intake = CandidateBatch.from_structures(small)
    assert not intake.refused
    groups = crystal_groups(intake.batch)
    assert len(groups.members) == 1
    assert set(groups.representatives.tolist()) == {int(groups.members[0][0])}


def test_r11_nearly_equal_cells_of_other_detected_symmetry_are_one() -> None:
    """A key of formula and space group would keep most of these apart."""
    materials = load_materials()
    flla = materials.take(np.flatnonzero(materials.column("in_flla")))
    formulas = np.array(flla.formulas)
    merged = flla.take(np.flatnonzero(np.isin(formulas, ["KNbO3", "SrHfO3", "NaNbO3", "ReO3", "SnO"])))
    groups = crystal_groups(merged)
    space_groups = merged.column("space_group_number")
    assert len(groups.duplicates) == 5
    assert sum(len(set(space_groups[rows].tolist())) > 1 for rows in groups.duplicates) >= 3
