"""Harmonic lattice vibrations of one crystal by finite displacements, to see whether it is dynamically stable.

A crystal at a saddle point of the energy has vibrations of imaginary frequency. Atoms of a supercell are displaced one
after another, the forces of the potential give the force constants (Parlinski, Li and Kawazoe, Phys. Rev. Lett. 78,
4063, 1997), and phonopy (Togo, J. Phys. Soc. Jpn. 92, 012001, 2023) does so with the fewest displacements that symmetry
leaves. Frequencies are asked for only at wave vectors that are commensurate with the supercell: there they follow from
the forces alone, and nothing is interpolated. Forces between charges over long distances, which raise longitudinal
optical modes near the zone centre, are left out; they make no frequency imaginary.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.symmetry import SYMMETRY_TOLERANCE, symmetry_of
from matloop.data.errors import PotentialError
from matloop.data.installation import install_command
from matloop.models.potentials.contract import Evaluates
from matloop.models.potentials.relaxation import code_of, relax_crystal
from matloop.models.potentials.relaxed_crystal import Outcome, RelaxationLimits

if TYPE_CHECKING:
    from phonopy import Phonopy

IMAGINARY = -0.3
"""THz. A frequency below it counts as imaginary. Forces in single precision are certain to about 1e-4 eV/Å.
Divided by a displacement of 0.03 Å that is 0.003 eV/Å2, which moves a mode of zero frequency by 0.1 to 0.2 THz."""
LONGEST_DOUBLED = 10.0
"""Å. Cells are doubled along an axis where lattice planes are closer than this."""
_DISPLACEMENT = 0.03  # Å
_SYMMETRY = 1e-2  # Å, of the crystal relaxed under tight limits
_MOST_VOLUME_CHANGE = 0.01  # by which symmetrising may change the volume per atom
_RESTING_FORCE = 0.05  # eV/Å, largest one that is taken off as what displacements do not cause


@dataclass(frozen=True)
class PhononSettings:
    """Limits of the vibrations of one crystal.

    Attributes:
        most_atoms: Of a supercell.
        seconds: Longest wall time; a single evaluation is never interrupted.
        resting: When the relaxation ends that comes first. Vibrations need a crystal at rest.
    """

    most_atoms: int = 160
    seconds: float = 300.0
    resting: RelaxationLimits = field(
        default_factory=lambda: RelaxationLimits(largest_force=0.005, steps=300, seconds=150)
    )


class Vibrations(NamedTuple):
    """Vibrations of one crystal at the wave vectors that fit its supercell.

    Attributes:
        lowest: Lowest frequency in THz, without the three rigid translations; an imaginary one is negative.
        point: Its wave vector in units of the reciprocal vectors of the primitive cell.
        supercell: Repeats of the primitive cell along its axes; empty if nothing was computed.
        highest: Highest frequency in THz.
        displacements: Displaced supercells whose forces were evaluated.
        code: Row code, where there are no frequencies.
        detail: More about it.
    """

    lowest: float = float("nan")
    point: tuple[float, float, float] = (0.0, 0.0, 0.0)
    supercell: tuple[int, ...] = ()
    highest: float = float("nan")
    displacements: int = 0
    code: str = ""
    detail: str = ""

    @property
    def is_imaginary(self) -> bool:
        """Whether the lowest frequency is imaginary beyond numerical noise."""
        return self.lowest < IMAGINARY


class _TooSlow(Exception):
    """Raised when the time is over."""


def require_phonopy() -> None:
    """Make sure that phonopy is installed.

    Raises:
        PotentialError: If it is not; the message says how to install it.
    """
    if importlib.util.find_spec("phonopy") is None:
        raise PotentialError("phonopy is not installed", fix=install_command("matloop[phonons]"))


def vibrations(atoms: Atoms, potential: Evaluates, settings: PhononSettings | None = None) -> Vibrations:
    """Find the lowest frequency of a crystal; any error becomes its outcome.

    The crystal is symmetrised, reduced to its primitive cell, and relaxed under tight limits first.

    Args:
        atoms: The crystal.
        potential: Where forces come from.
        settings: Limits.

    Raises:
        PotentialError: If phonopy is not installed.
    """
    require_phonopy()
    chosen = settings or PhononSettings()
    ends = time.perf_counter() + chosen.seconds
    try:
        at_rest = symmetric_primitive(atoms)
        repeats = supercell_of(np.asarray(at_rest.cell), len(at_rest), chosen.most_atoms)
        if not repeats:
            allowed = f"{len(at_rest)} atoms in the primitive cell, at most {chosen.most_atoms} are allowed"
            return Vibrations(code="E-POTENTIAL-SIZE", detail=allowed)
        end = relax_crystal(at_rest, potential, limits=chosen.resting)
        if end.outcome == Outcome.NOT_CONVERGED and end.steps < chosen.resting.steps:
            raise _TooSlow(f"the crystal did not come to rest in the time allowed: {end.detail}")
        if end.outcome not in (Outcome.CONVERGED, Outcome.NOT_CONVERGED) or not end.largest_force < _RESTING_FORCE:
            return Vibrations(code=end.code or "E-POTENTIAL-FAILED", detail=end.detail or f"relaxation {end.outcome}")
        at_rest = Atoms(at_rest.numbers, cell=end.cell, scaled_positions=end.frac_coords, pbc=True)
        return _of_supercell(at_rest, repeats, potential, ends)
    except _TooSlow as error:
        return Vibrations(code="E-POTENTIAL-TIMEOUT", detail=str(error))
    except Exception as error:  # noqa: BLE001  # a potential may raise anything for a strange crystal; it is kept
        return Vibrations(code=code_of(error), detail=f"{type(error).__name__}: {error}"[:500])


def symmetric_primitive(atoms: Atoms) -> Atoms:
    """Return the symmetrised primitive cell of a crystal, or the crystal itself where symmetry would change it."""
    found = symmetry_of(np.asarray(atoms.cell), atoms.get_scaled_positions(), atoms.numbers, SYMMETRY_TOLERANCE)
    if found is None:
        return atoms.copy()
    cell = found.prim_std_cell
    primitive = Atoms(cell.numbers, cell=cell.basis, scaled_positions=cell.positions, pbc=True)
    before, after = (np.bincount(each.numbers, minlength=120) / len(each) for each in (atoms, primitive))
    change = (primitive.get_volume() / len(primitive)) / (atoms.get_volume() / len(atoms)) - 1
    same = np.allclose(before, after) and abs(change) <= _MOST_VOLUME_CHANGE
    return primitive if same else atoms.copy()


def supercell_of(cell: NDArray[np.float64], sites: int, most_atoms: int) -> tuple[int, ...]:
    """Repeats of a cell along its axes: two along as many axes as the number of atoms allows, closest planes first.

    Doubling an axis reaches the boundary of the Brillouin zone, where most of the distortions lie that a single cell
    cannot show, such as tilts of octahedra.

    Args:
        cell: Row vectors in Å, shape (3, 3).
        sites: Atoms in the cell.
        most_atoms: Of the supercell; a larger cell has none.

    >>> supercell_of(4 * np.eye(3), 5, 160), supercell_of(np.diag([4.0, 5.0, 12.0]), 20, 160)
    ((2, 2, 2), (2, 2, 1))
    >>> supercell_of(np.diag([4.0, 5.0, 6.0]), 30, 160), supercell_of(4 * np.eye(3), 200, 160)
    ((2, 2, 1), ())
    """
    if sites > most_atoms:
        return ()
    spacings = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    repeats = [1, 1, 1]
    for axis in np.argsort(spacings, kind="stable").tolist():
        if spacings[axis] < LONGEST_DOUBLED and 2 * sites * np.prod(repeats) <= most_atoms:
            repeats[axis] = 2
    return tuple(repeats)


def _of_supercell(at_rest: Atoms, repeats: tuple[int, ...], potential: Evaluates, ends: float) -> Vibrations:
    """Frequencies at all wave vectors that fit a supercell.

    Raises:
        _TooSlow: If the time is over.
    """
    from phonopy.harmonic.dynmat_to_fc import get_commensurate_points

    phonons = harmonic(at_rest, repeats, potential, ends=ends)
    points = np.asarray(get_commensurate_points(np.diag(repeats)), float)
    phonons.run_qpoints(points)
    assert phonons.qpoints is not None  # as they were run
    frequencies = np.sort(np.asarray(phonons.qpoints.frequencies, float), axis=1)
    gamma = int(np.argmin(np.linalg.norm(points, axis=1)))
    rigid = np.argsort(np.abs(frequencies[gamma]))[:3]
    frequencies[gamma, rigid] = np.nan
    at = int(np.nanargmin(np.nanmin(np.nan_to_num(frequencies, nan=np.inf), axis=1)))
    x, y, z = (float(value) for value in points[at])
    return Vibrations(
        float(np.nanmin(frequencies)), (x, y, z), repeats, float(np.nanmax(frequencies)),
        len(phonons.supercells_with_displacements or []),
    )  # fmt: skip


def harmonic(at_rest: Atoms, repeats: tuple[int, ...], potential: Evaluates, *, ends: float) -> Phonopy:
    """Force constants of a crystal by the forces of a potential, with the acoustic sum rule.

    Forces of the supercell without displacement are taken off.

    Args:
        at_rest: Primitive cell of a crystal at rest.
        repeats: Repeats along its axes.
        potential: Where forces come from.
        ends: Value of :func:`time.perf_counter` at which the time is over.

    Raises:
        _TooSlow: If the time is over.
    """
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    cell = PhonopyAtoms(
        numbers=at_rest.numbers.tolist(), cell=np.asarray(at_rest.cell), scaled_positions=at_rest.get_scaled_positions()
    )
    with warnings.catch_warnings():  # of supercells that are less symmetric than the crystal; theirs counts then
        warnings.filterwarnings("ignore", ".*Point group symmetries", UserWarning)
        phonons = Phonopy(cell, np.diag(repeats), primitive_matrix=np.eye(3), symprec=_SYMMETRY, log_level=0)
    phonons.generate_displacements(distance=_DISPLACEMENT)
    before = _forces(phonons.supercell, potential)
    forces = []
    displaced: list[Any] = phonons.supercells_with_displacements or []
    for number, supercell in enumerate(displaced):
        if time.perf_counter() > ends:
            raise _TooSlow(f"{number} of {len(displaced)} displacements of {len(supercell)} atoms in the time allowed")
        forces.append(_forces(supercell, potential) - before)
    phonons.forces = np.array(forces)
    phonons.produce_force_constants(show_drift=False)
    phonons.symmetrize_force_constants(show_drift=False)
    return phonons


def _forces(supercell: Any, potential: Evaluates) -> NDArray[np.float64]:
    """Forces on the atoms of a supercell in eV/Å, shape (sites, 3).

    Raises:
        PotentialError: If the potential has none.
    """
    crystal = Atoms(supercell.numbers, cell=supercell.cell, scaled_positions=supercell.scaled_positions, pbc=True)
    intake = CandidateBatch.from_atoms([crystal])
    if not len(intake.batch):
        raise PotentialError(f"a supercell refused as {intake.refused[0].code}")
    found = potential.evaluate(intake.batch)
    if found.codes[0]:
        raise PotentialError(f"no forces: {found.codes[0]} {found.details.get(0, '')}")
    return np.asarray(found.forces, float)
