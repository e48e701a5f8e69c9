import numpy as np
from pymatgen.core import Lattice, Structure

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.properties.columns import Column
from matloop.screening.flags.symmetric_sites import symmetric_sites

SPINEL = Structure.from_spacegroup(
    "Fd-3m:2", Lattice.cubic(8.08), ["Mg", "Al", "O"], [[0.125] * 3, [0.5] * 3, [0.2624] * 3]
)


def spinel(**columns: list[object]) -> CandidateBatch:
    return CandidateBatch.from_structures([SPINEL.get_primitive_structure()]).batch.with_columns(columns)


def test_every_site_of_the_conventional_cell_has_its_letter_state_and_sum() -> None:
    found = symmetric_sites(spinel(), 0)
    assert len(found.atoms) == len(found.letters) == 56
    told = set(zip(found.letters, found.chemistry.states.tolist(), strict=True))
    assert told == {("8a", 2.0), ("16d", 3.0), ("32e", -2.0)}
    of_letter = dict(zip(found.letters, found.chemistry.sums.tolist(), strict=True))
    assert abs(of_letter["8a"] - 2) < 0.4
    assert abs(of_letter["16d"] - 3) < 0.4
    symmetric = Structure(found.cell.lattice, found.cell.species[found.atoms].tolist(), found.places)
    assert symmetric.matches(SPINEL)


def test_a_child_that_was_not_relaxed_has_letters_and_charges_and_no_sums() -> None:
    found = symmetric_sites(spinel(**{Column.PARENT_ID: ["mp-1"]}), 0)
    assert set(found.letters) == {"8a", "16d", "32e"}
    assert np.isnan(found.chemistry.sums).all()
    assert np.isfinite(found.chemistry.states).all()
