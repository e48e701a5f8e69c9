"""The contract of a potential, as a check that authors of new potentials can run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import PotentialError
from matloop.models.potentials.contract import BATCHING_TOLERANCE, FORCE_BATCHING_TOLERANCE, Evaluation, Potential

ENERGY_TOLERANCE = 2e-5
"""eV/atom; single precision over a few dozen messages per atom."""
FORCE_TOLERANCE = 3e-3
"""eV/Å; of a difference quotient over 0.02 Å of energies in single precision."""
STRESS_TOLERANCE = 0.05
"""GPa; of a difference quotient over a strain of 0.004."""
_STEP = 0.01  # Å
_STRAIN = 0.002
_GPA = 160.2176634  # GPa per eV/Å3


def validate_potential(potential: Potential) -> None:
    """Hold a potential to its contract on a few small crystals.

    Checked: shapes and types; finite numbers; a crystal alone, in a batch and in another order gets the same numbers;
    supercells, shifts, rotations and other settings of the cell change no energy and no embedding; forces are the
    slopes of the energy and add up to zero; stresses are the slopes along strain; a crystal it cannot handle gets a row
    code and nan and leaves its neighbours alone.

    Args:
        potential: The potential, able to handle sodium, chlorine, silicon and titanium oxide.

    Raises:
        PotentialError: Naming the first clause that is broken.
    """
    batch = example_crystals()
    _check_shapes(potential, batch)
    _check_independence(potential, batch)
    _check_invariance(potential, batch)
    _check_forces(potential, batch)
    _check_stresses(potential, batch)
    _check_refusals(potential, batch)


def example_crystals() -> CandidateBatch:
    """Rock salt, diamond silicon, rutile and a distorted rock salt, in that order."""
    halves = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    salt = np.concatenate([halves, halves + 0.5]) % 1
    u = 0.305
    oxygen = [[u, u, 0], [-u, -u, 0], [0.5 + u, 0.5 - u, 0.5], [0.5 - u, 0.5 + u, 0.5]]
    rutile = np.array([[0, 0, 0], [0.5, 0.5, 0.5], *oxygen])
    diamond = np.array([[0, 0, 0], [0.25, 0.25, 0.25]])
    skew = np.array([[5.5, 0.2, 0.0], [0.1, 5.8, 0.3], [-0.2, 0.1, 5.6]])
    shaken = salt + 0.03 * np.sin(np.arange(24.0).reshape(8, 3) ** 2)
    return _batch(
        [
            (5.64 * np.eye(3), [11] * 4 + [17] * 4, salt),
            (5.43 * (np.ones((3, 3)) - np.eye(3)) / 2, [14, 14], diamond),
            (np.diag([4.6, 4.6, 2.96]), [22, 22, 8, 8, 8, 8], rutile),
            (skew, [11] * 4 + [17] * 4, shaken),
        ]
    )


Cell = tuple[NDArray[np.float64], list[int], NDArray[np.float64]]


def _batch(cells: list[Cell]) -> CandidateBatch:
    offsets = np.cumsum([0, *(len(species) for _, species, _ in cells)]).astype(np.int64)
    species = np.concatenate([np.array(species, np.uint8) for _, species, _ in cells])
    crystals = Crystals(np.array([c for c, _, _ in cells]), offsets, species, np.concatenate([f for _, _, f in cells]))
    return CandidateBatch.from_crystals(crystals)


def _cell(batch: CandidateBatch, row: int) -> Cell:
    assert batch.crystals is not None
    crystals = batch.crystals.take(np.array([row]))
    return crystals.lattice[0], crystals.species.tolist(), crystals.frac_coords


def _check_shapes(potential: Potential, batch: CandidateBatch) -> None:
    n, sites = len(batch), 24
    energies, result, embeddings = potential.energies(batch), potential.evaluate(batch), potential.embeddings(batch)
    shapes = {
        "energies": (energies, (n,)), "evaluate's energies": (result.energies, (n,)),
        "forces": (result.forces, (sites, 3)), "stresses": (result.stresses, (n, 3, 3)),
        "magnetic moments": (result.magnetic_moments, (sites,)), "embeddings": (embeddings, (n, embeddings.shape[-1])),
    }  # fmt: skip
    for name, (array, shape) in shapes.items():
        _require(array.shape == shape and array.dtype == np.float64, f"{name} are {array.dtype} of shape {array.shape}")
        _require(bool(np.isfinite(array).all()), f"{name} of sound crystals are not finite")
    _require(bool((result.codes == "").all()), "sound crystals get a row code")
    _require(_close(energies, result.energies, BATCHING_TOLERANCE), "energies and evaluate disagree")
    _require(bool((result.magnetic_moments >= 0).all()), "a magnetic moment is negative")
    _require(len(potential.weights_sha256) == 64 and bool(potential.licence), "no hash of the weights, or no licence")
    nothing = batch.take([])
    _require(potential.energies(nothing).shape == (0,), "an empty batch gets an answer of another shape")


def _check_independence(potential: Potential, batch: CandidateBatch) -> None:
    whole, turned = potential.evaluate(batch), potential.evaluate(batch.take([3, 2, 1, 0]))
    _require(_close(turned.energies[::-1], whole.energies, BATCHING_TOLERANCE), "the order of a batch matters")
    _require(_close(turned.forces[:8], whole.forces[16:], FORCE_BATCHING_TOLERANCE), "forces depend on the batch")
    for row in range(len(batch)):
        alone = potential.energies(batch.take([row]))
        _require(_close(alone, whole.energies[row : row + 1], BATCHING_TOLERANCE), "the energy depends on the batch")


def _check_invariance(potential: Potential, batch: CandidateBatch) -> None:
    lattice, species, frac = _cell(batch, 3)
    turn = Rotation.from_euler("xyz", [0.4, 1.1, -0.7]).as_matrix()
    shifted = frac + np.array([0.37, -1.21, 4.6])
    doubled = np.concatenate([frac, frac + np.array([0, 0, 1])]) / [1, 1, 2]
    setting = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]])
    same: dict[str, Cell] = {
        "a shift": (lattice, species, shifted),
        "a rotation": (lattice @ turn.T, species, frac),
        "a supercell": (lattice * [[1], [1], [2]], species * 2, doubled),
        "another setting of the cell": (setting @ lattice, species, frac @ np.linalg.inv(setting)),
        "another order of the sites": (lattice, species[::-1], frac[::-1]),
    }
    changed = _batch([(lattice, species, frac), *same.values()])
    energies, embeddings = potential.energies(changed), potential.embeddings(changed)
    for row, name in enumerate(same, 1):
        _require(abs(energies[row] - energies[0]) < ENERGY_TOLERANCE, f"{name} changes the energy per atom")
        _require(_close(embeddings[row], embeddings[0], 1e-3), f"{name} changes the embedding")
    result = potential.evaluate(changed.take([0, 2]))
    _require(_close(result.forces[8:], result.forces[:8] @ turn.T, 1e-3), "forces do not turn with the crystal")
    stress = turn @ result.stresses[0] @ turn.T
    _require(_close(result.stresses[1], stress, STRESS_TOLERANCE), "stresses do not turn with the crystal")


def _check_forces(potential: Potential, batch: CandidateBatch) -> None:
    lattice, species, frac = _cell(batch, 3)
    forces = potential.evaluate(batch.take([3])).forces
    _require(_close(forces.sum(axis=0), np.zeros(3), 1e-3), "the forces on a crystal do not add up to zero")
    moved = []
    for site, axis in ((0, 0), (3, 1), (5, 2), (7, 0)):
        for sign in (1, -1):
            step = np.zeros((len(species), 3))
            step[site, axis] = sign * _STEP
            moved.append((lattice, species, frac + step @ np.linalg.inv(lattice)))
    energies = potential.energies(_batch(moved)) * len(species)
    slopes = -(energies[::2] - energies[1::2]) / (2 * _STEP)
    expected = np.array([forces[0, 0], forces[3, 1], forces[5, 2], forces[7, 0]])
    _require(
        _close(slopes, expected, FORCE_TOLERANCE), f"forces {expected} are not the slopes {slopes} of the energy, eV/Å"
    )


def _check_stresses(potential: Potential, batch: CandidateBatch) -> None:
    lattice, species, frac = _cell(batch, 3)
    result: Evaluation = potential.evaluate(batch.take([3]))
    strained, parts = [], ((0, 0), (2, 2), (0, 1), (1, 2))
    for i, j in parts:
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[i, j] += sign * _STRAIN / 2
            strain[j, i] += sign * _STRAIN / 2
            strained.append((lattice @ (np.eye(3) + strain), species, frac))
    energies = potential.energies(_batch(strained)) * len(species)
    slopes = (energies[::2] - energies[1::2]) / (2 * _STRAIN) / np.linalg.det(lattice) * _GPA
    expected = np.array([result.stresses[0][part] for part in parts])
    _require(
        _close(slopes, expected, STRESS_TOLERANCE), f"stresses {expected} are not the slopes {slopes} along strain, GPa"
    )
    _require(_close(result.stresses, result.stresses.transpose(0, 2, 1), STRESS_TOLERANCE), "a stress is not symmetric")


def _check_refusals(potential: Potential, batch: CandidateBatch) -> None:
    """An atom 30 Å from the next one and an element without data, between two sound crystals."""
    far = (30.0 * np.eye(3), [11], np.zeros((1, 3)))
    strange = (5.0 * np.eye(3), [118, 8], np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))
    mixed = _batch([_cell(batch, 0), far, strange, _cell(batch, 1)])
    codes, energies = potential.row_codes(mixed), potential.energies(mixed)
    refused = codes != ""
    _require(bool((np.isnan(energies) == refused).all()), "nan and row codes do not go together")
    _require(not refused[[0, 3]].any() and bool(refused[2]), "oganesson is not refused, or its neighbours are")
    sound = potential.energies(batch.take([0, 1]))
    _require(_close(energies[[0, 3]], sound, BATCHING_TOLERANCE), "a refused crystal changes its neighbours' energies")


def _close(found: NDArray[np.float64], expected: NDArray[np.float64], tolerance: float) -> bool:
    return bool(np.allclose(found, expected, rtol=0, atol=tolerance))


def _require(held: bool, clause: str) -> None:
    if not held:
        raise PotentialError(
            f"the potential breaks its contract: {clause}", "see matloop.models.potentials.contract.Potential"
        )
