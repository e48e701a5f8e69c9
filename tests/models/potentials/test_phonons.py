"""Vibrations against a mass-weighted Hessian of the supercell made by brute force, and crystals whose fate is known."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import PotentialError
from matloop.data.guard.shared_workers import close_shared_workers
from matloop.models.potentials import phonons as module
from matloop.models.potentials.contract import Evaluates, shared_potential
from matloop.models.potentials.guarded_phonons import phonons_guarded
from matloop.models.potentials.phonons import (
    PhononSettings,
    harmonic,
    require_phonopy,
    supercell_of,
    symmetric_primitive,
    vibrations,
)
from matloop.models.potentials.relaxation import relax_crystal
from matloop.models.potentials.relaxed_crystal import RelaxationLimits
from tests.models.potentials.pair_potential import PairPotential
from tests.models.potentials.test_guarded_relaxation import PAIR
from tests.plugins import install_plugin

pytest.importorskip("phonopy", reason="phonopy is not installed (extra phonons)")
THZ = 15.633302  # of the square root of 1 eV/Å2/u


def at_rest(atoms: Atoms) -> Atoms:
    end = relax_crystal(atoms.copy(), PairPotential(), limits=RelaxationLimits(largest_force=1e-4, steps=500))
    return Atoms(atoms.numbers, cell=end.cell, scaled_positions=end.frac_coords, pbc=True)


def by_brute_force(cell: Atoms, repeats: tuple[int, ...]) -> np.ndarray:
    """Frequencies in THz of all normal modes of a supercell, without symmetry: every atom moves in every direction."""
    supercell, step = cell.repeat(repeats), 0.005
    moved = []
    for atom, axis, sign in itertools.product(range(len(supercell)), range(3), (1, -1)):
        places = supercell.positions.copy()
        places[atom, axis] += sign * step
        moved.append(Atoms(supercell.numbers, cell=supercell.cell, positions=places, pbc=True))
    forces = PairPotential().evaluate(CandidateBatch.from_atoms(moved).batch).forces
    forces = forces.reshape(len(supercell) * 3, 2, -1)
    hessian = -(forces[:, 0] - forces[:, 1]) / (2 * step)
    masses = np.sqrt(np.repeat(supercell.get_masses(), 3))
    squares = np.linalg.eigvalsh((hessian + hessian.T) / 2 / np.outer(masses, masses))
    return THZ * np.sign(squares) * np.sqrt(np.abs(squares))


@pytest.mark.parametrize(
    ("cell", "repeats"), [(bulk("Ge", "fcc", a=4.1), (2, 2, 2)), (bulk("Si", "sc", a=2.9), (2, 2, 1))]
)
def test_frequencies_are_those_of_all_normal_modes_of_the_supercell(cell: Atoms, repeats: tuple[int, int, int]) -> None:
    """At wave vectors that fit the supercell nothing is interpolated: both are the same normal modes."""
    cell = at_rest(cell)
    phonons = harmonic(cell, repeats, PairPotential(), ends=math.inf)
    points = list(itertools.product(*(np.arange(n) / n for n in repeats)))
    phonons.run_qpoints(points)
    found = np.sort(np.ravel(phonons.qpoints.frequencies))
    np.testing.assert_allclose(found, by_brute_force(cell, repeats), atol=0.05)
    assert np.sort(np.abs(found))[:3] == pytest.approx(0, abs=1e-3)  # acoustic sum rule


def test_a_closest_packing_has_no_imaginary_frequency_and_a_simple_cubic_crystal_has() -> None:
    packed = vibrations(bulk("Ge", "fcc", a=4.1, cubic=True), PairPotential())
    assert packed.code == ""
    assert packed.supercell == (2, 2, 2)
    assert packed.displacements == 1  # of the primitive cell, by symmetry
    assert packed.lowest > 0.5
    assert not packed.is_imaginary
    cubic = vibrations(bulk("Si", "sc", a=2.9), PairPotential())
    assert cubic.is_imaginary
    assert cubic.point != (0, 0, 0)  # one atom in the cell: all at the zone centre are rigid
    brute = by_brute_force(at_rest(bulk("Si", "sc", a=2.9)), (2, 2, 2))
    assert cubic.lowest == pytest.approx(brute.min(), abs=0.1)
    assert cubic.highest == pytest.approx(brute.max(), abs=0.1)


def test_what_has_no_frequencies_says_why() -> None:
    packed = bulk("Ge", "fcc", a=4.1)
    assert vibrations(packed, PairPotential(), PhononSettings(most_atoms=0)).code == "E-POTENTIAL-SIZE"
    slow = vibrations(packed, PairPotential(), PhononSettings(seconds=-1))
    assert (slow.code, slow.supercell) == ("E-POTENTIAL-TIMEOUT", ())
    assert slow.detail == "0 of 1 displacements of 8 atoms in the time allowed"
    restless = PhononSettings(resting=RelaxationLimits(largest_force=1e-6, steps=300, seconds=1e-6))
    hurried = vibrations(bulk("Ge", "fcc", a=4.0), PairPotential(), restless)
    assert hurried.code == "E-POTENTIAL-TIMEOUT"  # it would come to rest elsewhere on another machine
    assert hurried.detail.startswith("the crystal did not come to rest")
    stopped = PhononSettings(resting=RelaxationLimits(steps=1))
    shaken = vibrations(bulk("Ge", "fcc", a=3.5), PairPotential(), stopped)
    assert shaken.code == "E-POTENTIAL-FAILED"
    assert "stopped after 1 steps" in shaken.detail


def test_supercells_keep_the_number_of_atoms_and_symmetry_takes_the_primitive_cell() -> None:
    conventional = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    primitive = symmetric_primitive(conventional)
    assert (len(conventional), len(primitive)) == (8, 2)
    assert supercell_of(np.asarray(primitive.cell), 2, 16) == (2, 2, 2)
    assert supercell_of(np.asarray(primitive.cell), 2, 15).count(2) == 2


def test_a_missing_phonopy_is_told_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PotentialError, match=r"phonopy is not installed.*\[phonons\]"):
        require_phonopy()


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    install_plugin(tmp_path_factory.mktemp("pair"), monkeypatch, group="matloop.potentials", name="pair", source=PAIR)
    yield
    close_shared_workers()


def test_the_guard_gives_the_same_answer_and_a_candidate_without_crystal_a_code(pair: None) -> None:
    batch = CandidateBatch.from_atoms([bulk("Ge", "fcc", a=4.1), bulk("Si", "sc", a=2.9)]).batch
    found = phonons_guarded("pair", batch)
    plain = [vibrations(batch.atoms(row), PairPotential()) for row in range(2)]
    assert found.column("phonon_lowest").tolist() == [each.lowest for each in plain]
    assert found.column("phonon_imaginary").tolist() == [False, True]
    assert found.table["phonon_supercell"].to_pylist() == ["2 x 2 x 2"] * 2
    assert found.table["phonon_code"].to_pylist() == ["", ""]


def test_perovskites_that_distort_are_flagged_and_ionic_and_covalent_crystals_are_clean() -> None:
    """SrTiO3 tilts at R and BaTiO3 is ferroelectric at the zone centre (Ghosez et al., Phys. Rev. B 60, 836, 1999)."""
    pytest.importorskip("torch", reason="torch is not installed (extra potentials)")
    pytest.importorskip("chgnet", reason="chgnet is not installed (extra potentials)")
    potential = shared_potential("chgnet", {})
    assert isinstance(potential, Evaluates)
    corners = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    barium, strontium = (
        vibrations(Atoms([a, "Ti", "O", "O", "O"], cell=[edge] * 3, scaled_positions=corners, pbc=True), potential)
        for a, edge in (("Ba", 4.0), ("Sr", 3.905))
    )
    assert barium.lowest < -4
    assert barium.point == (0, 0, 0)
    assert strontium.is_imaginary
    assert strontium.point == (0.5, 0.5, 0.5)
    rest = [bulk("Si", "diamond", a=5.43), bulk("MgO", "rocksalt", a=4.21), bulk("NaCl", "rocksalt", a=5.64)]
    silicon, magnesia, salt = (vibrations(atoms, potential) for atoms in rest)
    assert [each.is_imaginary for each in (silicon, magnesia, salt)] == [False] * 3
    # Measured zone-centre and zone-boundary modes: 15.5 THz in Si, 12 to 21 THz in MgO, 4.9 to 7.8 THz in NaCl. CHGNet
    # is known to be soft (Deng et al., npj Comput. Mater. 11, 9, 2025).
    assert 10 < silicon.highest < 16.5
    assert 11 < magnesia.highest < 19
    assert 4 < salt.highest < 7
