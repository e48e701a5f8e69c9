"""A check of the contract of a potential, for authors of new potentials."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import PotentialError
from matloop.models.potentials.contract import (
    BATCHING_TOLERANCE,
    CAPABILITIES,
    FORCE_BATCHING_TOLERANCE,
    Embeds,
    Evaluates,
    Evaluation,
    Potential,
    RelaxesBatches,
    capabilities_of,
    check_facts,
    require_capability,
)  # fmt: skip
from matloop.models.potentials.relaxed_crystal import Outcome, RelaxationLimits, RelaxedCrystal

ENERGY_TOLERANCE = 2e-5
"""eV/atom; single precision over a few dozen messages per atom."""
FORCE_TOLERANCE = 3e-3
"""eV/Å; of a difference quotient over 0.02 Å of energies in single precision."""
STRESS_TOLERANCE = 0.05
"""GPa; of a difference quotient over a strain of 0.004."""
EMBEDDING_TOLERANCE = 1e-3
"""By which a component of an embedding may differ between settings of one crystal."""
_STEP = 0.01  # Å
_STRAIN = 0.002
_GPA = 160.2176634  # GPa per eV/Å3
_TURN = Rotation.from_euler("xyz", [0.4, 1.1, -0.7]).as_matrix()


def validate_potential(potential: Potential) -> tuple[str, ...]:
    """Check the contract of each capability that a potential offers, on a few small crystals.

    Every potential must state what it is and which settings its energies depend on. A crystal must get the same numbers
    alone, in a batch and in another order. A crystal that the potential cannot handle must get a row code and no
    number, without an effect on its neighbours. A potential that evaluates must return finite numbers of the right
    shapes and types. Supercells, shifts, rotations and other settings of the cell must change no energy. Forces must be
    the slopes of the energy and add up to zero; stresses must be the slopes along strain. For a potential that embeds,
    the same changes of the cell must change no vector. For one that relaxes batches, energies must fall, zero steps
    must leave the crystals unchanged, and the cell must stay fixed when asked to.

    Args:
        potential: The potential, able to handle sodium, chlorine, silicon and titanium oxide.

    Returns:
        The capabilities that were checked: names in :data:`matloop.models.potentials.contract.CAPABILITIES`.

    Raises:
        CapabilityError: If it offers no capability.
        PotentialError: If a clause is broken; the message names the first.
    """
    check_facts(potential)
    _check_that_no_capability_is_half_there(potential)
    require_capability(potential, *CAPABILITIES)
    batch = example_crystals()
    _require(bool((potential.row_codes(batch) == "").all()), "sound crystals get a row code")
    if isinstance(potential, Evaluates):
        _check_shapes(potential, batch)
        _check_independence(potential, batch)
        _check_invariance(potential, batch)
        _check_forces(potential, batch)
        _check_stresses(potential, batch)
        _check_refusals(potential, batch)
    if isinstance(potential, Embeds):
        _check_embeddings(potential, batch)
    if isinstance(potential, RelaxesBatches):
        _check_relaxations(potential, batch)
    return capabilities_of(potential)


def _check_that_no_capability_is_half_there(potential: Potential) -> None:
    for name, needed in {"Evaluates": {"energies", "evaluate"}}.items():
        there = {method for method in needed if hasattr(potential, method)}
        if there and there != needed:
            _require(False, f"it has {', '.join(there)}, and {name} also needs {', '.join(needed - there)}")


def example_crystals() -> CandidateBatch:
    """Return rock salt, diamond silicon, rutile and a distorted rock salt, in that order."""
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


def _check_shapes(potential: Evaluates, batch: CandidateBatch) -> None:
    n, sites = len(batch), 24
    energies, result = potential.energies(batch), potential.evaluate(batch)
    shapes = {
        "energies": (energies, (n,)), "evaluate's energies": (result.energies, (n,)),
        "forces": (result.forces, (sites, 3)), "stresses": (result.stresses, (n, 3, 3)),
        "magnetic moments": (result.magnetic_moments, (sites,)),
    }  # fmt: skip
    for name, (array, shape) in shapes.items():
        _require(array.shape == shape and array.dtype == np.float64, f"{name} are {array.dtype} of shape {array.shape}")
        without = name == "magnetic moments" and bool(np.isnan(array).all())  # a potential may have none
        _require(without or bool(np.isfinite(array).all()), f"{name} of sound crystals are not finite")
    _require(bool((result.codes == "").all()), "sound crystals get a row code")
    _require(_close(energies, result.energies, BATCHING_TOLERANCE), "energies and evaluate disagree")
    _require(not (result.magnetic_moments < 0).any(), "a magnetic moment is negative")
    nothing = batch.take([])
    _require(potential.energies(nothing).shape == (0,), "an empty batch gets an answer of another shape")


def _check_independence(potential: Evaluates, batch: CandidateBatch) -> None:
    whole, turned = potential.evaluate(batch), potential.evaluate(batch.take([3, 2, 1, 0]))
    _require(_close(turned.energies[::-1], whole.energies, BATCHING_TOLERANCE), "the order of a batch matters")
    _require(_close(turned.forces[:8], whole.forces[16:], FORCE_BATCHING_TOLERANCE), "forces depend on the batch")
    for row in range(len(batch)):
        alone = potential.energies(batch.take([row]))
        _require(_close(alone, whole.energies[row : row + 1], BATCHING_TOLERANCE), "the energy depends on the batch")


def _other_settings(batch: CandidateBatch) -> tuple[list[str], CandidateBatch]:
    """Return the distorted rock salt, the same crystal described in other ways, and the names of these ways."""
    lattice, species, frac = _cell(batch, 3)
    shifted = frac + np.array([0.37, -1.21, 4.6])
    doubled = np.concatenate([frac, frac + np.array([0, 0, 1])]) / [1, 1, 2]
    setting = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]])
    same: dict[str, Cell] = {
        "a shift": (lattice, species, shifted),
        "a rotation": (lattice @ _TURN.T, species, frac),
        "a supercell": (lattice * [[1], [1], [2]], species * 2, doubled),
        "another setting of the cell": (setting @ lattice, species, frac @ np.linalg.inv(setting)),
        "another order of the sites": (lattice, species[::-1], frac[::-1]),
    }
    return list(same), _batch([(lattice, species, frac), *same.values()])


def _check_invariance(potential: Evaluates, batch: CandidateBatch) -> None:
    names, changed = _other_settings(batch)
    energies = potential.energies(changed)
    for row, name in enumerate(names, 1):
        _require(abs(energies[row] - energies[0]) < ENERGY_TOLERANCE, f"{name} changes the energy per atom")
    result = potential.evaluate(changed.take([0, 2]))
    _require(_close(result.forces[8:], result.forces[:8] @ _TURN.T, 1e-3), "forces do not turn with the crystal")
    stress = _TURN @ result.stresses[0] @ _TURN.T
    _require(_close(result.stresses[1], stress, STRESS_TOLERANCE), "stresses do not turn with the crystal")


def _check_forces(potential: Evaluates, batch: CandidateBatch) -> None:
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


def _check_stresses(potential: Evaluates, batch: CandidateBatch) -> None:
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


def _check_refusals(potential: Evaluates, batch: CandidateBatch) -> None:
    mixed = _with_refused(batch)
    codes, energies = potential.row_codes(mixed), potential.energies(mixed)
    refused = codes != ""
    _require(bool((np.isnan(energies) == refused).all()), "nan and row codes do not go together")
    _require(not refused[[0, 3]].any() and bool(refused[2]), "oganesson is not refused, or its neighbours are")
    sound = potential.energies(batch.take([0, 1]))
    _require(_close(energies[[0, 3]], sound, BATCHING_TOLERANCE), "a refused crystal changes its neighbours' energies")


def _with_refused(batch: CandidateBatch) -> CandidateBatch:
    """Return two crystals to refuse (atoms 30 Å apart, an element without data) between two sound ones."""
    far = (30.0 * np.eye(3), [11], np.zeros((1, 3)))
    strange = (5.0 * np.eye(3), [118, 8], np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))
    return _batch([_cell(batch, 0), far, strange, _cell(batch, 1)])


def _check_embeddings(potential: Embeds, batch: CandidateBatch) -> None:
    vectors = potential.embeddings(batch)
    _require(
        vectors.ndim == 2 and len(vectors) == len(batch) and vectors.dtype == np.float64,
        f"embeddings are {vectors.dtype} of shape {vectors.shape}",
    )
    _require(bool(np.isfinite(vectors).all()), "embeddings of sound crystals are not finite")
    nothing = potential.embeddings(batch.take([]))
    _require(nothing.shape == (0, vectors.shape[1]), "an empty batch gets embeddings of another width")
    alone = np.concatenate([potential.embeddings(batch.take([row])) for row in range(len(batch))])
    _require(_close(alone, vectors, EMBEDDING_TOLERANCE), "the embedding depends on the batch")
    names, changed = _other_settings(batch)
    turned = potential.embeddings(changed)
    for row, name in enumerate(names, 1):
        _require(_close(turned[row], turned[0], EMBEDDING_TOLERANCE), f"{name} changes the embedding")
    mixed = _with_refused(batch)
    lost = np.isnan(potential.embeddings(mixed)).any(axis=1)
    _require(bool((lost == (potential.row_codes(mixed) != "")).all()), "nan and row codes of embeddings differ")


def _check_relaxations(potential: RelaxesBatches, batch: CandidateBatch) -> None:
    still, limits = (RelaxationLimits(steps=steps, volume_ratio=(0.1, 10)) for steps in (0, 5))
    before = _ends(potential, batch, still)
    after = _ends(potential, batch, limits)
    assert batch.crystals is not None
    for row, (start, end) in enumerate(zip(before, after, strict=True)):
        lattice, _, frac = _cell(batch, row)
        _require(_close(start.cell, lattice, 1e-6) and _close(start.frac_coords, frac, 1e-6), "no steps move a crystal")
        _require(end.steps <= limits.steps, "a relaxation takes more steps than allowed")
        _require(end.energies[1] <= end.energies[0] + ENERGY_TOLERANCE, "relaxing raises an energy")
        _require(abs(end.energies[0] - start.energies[1]) < ENERGY_TOLERANCE, "the first energy is not the start's")
        if isinstance(potential, Evaluates):
            own = potential.energies(_batch([(end.cell, _cell(batch, row)[1], end.frac_coords)]))[0]
            _require(abs(own - end.energies[1]) < ENERGY_TOLERANCE, "the last energy is not that of the last crystal")
        alone = _ends(potential, batch.take([row]), limits)[0]
        _require(abs(alone.energies[1] - end.energies[1]) < 1e-3, "a relaxation depends on the batch")
        fixed = potential.relax_batch(batch.take([row]), limits=limits, relax_cell=False)[0]
        _require(_close(fixed.cell, lattice, 1e-6), "the cell relaxes although it should not")
    mixed = _with_refused(batch)
    lost = [end.outcome == Outcome.FAILED for end in potential.relax_batch(mixed, limits=still, relax_cell=True)]
    _require(lost == (potential.row_codes(mixed) != "").tolist(), "failed relaxations and row codes do not go together")


def _ends(potential: RelaxesBatches, batch: CandidateBatch, limits: RelaxationLimits) -> list[RelaxedCrystal]:
    ends = list(potential.relax_batch(batch, limits=limits, relax_cell=True))
    _require(len(ends) == len(batch), f"{len(batch)} crystals are relaxed into {len(ends)}")
    for end in ends:
        sound = end.outcome in (Outcome.CONVERGED, Outcome.NOT_CONVERGED) and not end.code
        sound &= bool(np.isfinite(end.energies).all())
        _require(sound, f"a sound crystal ends as {end.outcome} with energies {end.energies}: {end.detail}")
    return ends


def _close(found: NDArray[np.float64], expected: NDArray[np.float64], tolerance: float) -> bool:
    return bool(np.allclose(found, expected, rtol=0, atol=tolerance))


def _require(held: bool, clause: str) -> None:
    if not held:
        raise PotentialError(f"the potential breaks its contract: {clause}", "see matloop.models.potentials.contract")
