"""Relaxation of crystals with a potential; each ends as converged, not_converged, exploded or failed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import BatchError, unknown_name
from matloop.data.properties.columns import Column
from matloop.models.potentials.contract import Evaluates
from matloop.models.potentials.relaxed_crystal import (
    Outcome,
    RelaxationLimits,
    RelaxedCrystal,
    failed,
    unconverged_detail,
)

if TYPE_CHECKING:
    from ase import Atoms

OPTIMIZERS = {"fire": FIRE, "bfgs": BFGS}
"""Optimisers by name. From 48 starts stretched or squeezed by 8-10 % with atoms moved by 0.15 Å, BFGS took about half
the steps of FIRE (a third from better starts) and ended between 8 meV/atom lower and 1 meV/atom higher."""
_GPA = 160.2176634  # GPa per eV/Å3


class Exploded(Exception):
    """Raised when the next crystal to evaluate has passed the volume or distance gate."""


class _Unanswered(Exception):
    """Raised with a row code and details when the potential has no numbers for a crystal."""


class PotentialCalculator(Calculator):
    """An ASE calculator over a :class:`~matloop.models.potentials.contract.Evaluates`.

    Args:
        potential: Where energies, forces and stresses come from.
        limits: Gate that each crystal passes before it is evaluated.
        start_volume: Å3, what the volume ratio refers to.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress", "magmoms"]  # noqa: RUF012  # as in ASE

    def __init__(self, potential: Evaluates, limits: RelaxationLimits, start_volume: float) -> None:
        super().__init__()
        self.potential, self.limits, self.start_volume = potential, limits, start_volume

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = tuple(all_changes)) -> None:
        """Called by ASE whenever atoms or cell have changed."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None  # set by the call above
        batch = gated(
            np.asarray(self.atoms.cell), self.atoms.positions, self.atoms.numbers,
            start_volume=self.start_volume, limits=self.limits,
        )  # fmt: skip
        found = self.potential.evaluate(batch)
        if found.codes[0]:
            raise _Unanswered(str(found.codes[0]), found.details.get(0, ""))
        energy = float(found.energies[0]) * len(self.atoms)
        stress = found.stresses[0] / _GPA
        voigt = np.array([stress[0, 0], stress[1, 1], stress[2, 2], stress[1, 2], stress[0, 2], stress[0, 1]])
        self.results = {
            "energy": energy, "free_energy": energy, "forces": found.forces,
            "stress": voigt, "magmoms": found.magnetic_moments,
        }  # fmt: skip


def gated(
    cell: NDArray[np.float64],
    positions: NDArray[np.float64],
    numbers: NDArray[np.integer],
    *,
    start_volume: float,
    limits: RelaxationLimits,
) -> CandidateBatch:
    """Return a crystal as a batch of one, if it has not exploded.

    Args:
        cell: Row vectors in Å, shape (3, 3).
        positions: Cartesian coordinates in Å, shape (sites, 3).
        numbers: Atomic numbers, shape (sites,).
        start_volume: Å3, what the volume ratio refers to.
        limits: Limits of volume and distance beyond which it has exploded.

    Raises:
        Exploded: If its volume or shortest distance is outside the limits.
    """
    if not (np.isfinite(cell).all() and np.isfinite(positions).all()):
        raise Exploded("a position or cell vector is not finite")
    ratio = np.linalg.det(cell) / start_volume
    low, high = limits.volume_ratio
    if not low <= abs(ratio) <= high:
        raise Exploded(f"volume {abs(ratio):.2f} times that of the start (allowed {low} to {high})")
    sites = np.array([0, len(numbers)])
    crystals = Crystals(cell[None], sites, numbers.astype(np.uint8), positions @ np.linalg.inv(cell))
    code = crystals.row_codes()[0]
    shortest = crystals.shortest_distances()[0] if not code else 0.0
    if code or shortest < limits.shortest_distance:
        raise Exploded(str(code) or f"two atoms {shortest:.2f} Å apart")
    return CandidateBatch.from_crystals(crystals)


def relax(
    batch: CandidateBatch,
    potential: Evaluates,
    *,
    limits: RelaxationLimits | None = None,
    optimizer: str = "bfgs",
    relax_cell: bool = True,
) -> CandidateBatch:
    """Relax each crystal of a batch.

    Args:
        batch: n crystals that passed :meth:`Crystals.row_codes`.
        potential: Where energies and forces come from.
        limits: When a relaxation is over.
        optimizer: Name in :data:`OPTIMIZERS`.
        relax_cell: Whether the cell relaxes too (by :class:`ase.filters.FrechetCellFilter`), or the atoms alone.

    Returns:
        The batch with final cells and coordinates (those of the start where the outcome is exploded or failed), the
        same candidate ids, and the columns ``relaxation_outcome``, ``relaxation_energy_start`` and
        ``relaxation_energy`` (eV/atom), ``relaxation_volume_change`` (relative), ``relaxation_largest_force`` (eV/Å),
        ``relaxation_steps``, ``relaxation_seconds``, ``relaxation_code`` (row code where the outcome is failed, else
        empty) and ``relaxation_detail``.

    Raises:
        BatchError: If the batch has no crystals.
        UnknownNameError: For an unknown optimiser.
    """
    if optimizer not in OPTIMIZERS:
        raise unknown_name("optimizer", optimizer, OPTIMIZERS)
    bounds = limits or RelaxationLimits()
    ends = [
        relax_crystal(batch.atoms(row), potential, limits=bounds, optimizer=optimizer, relax_cell=relax_cell)
        for row in rows_to_relax(batch)
    ]
    return relaxed_batch(batch, ends)


def rows_to_relax(batch: CandidateBatch) -> list[int]:
    """Return the rows of the candidates that have a crystal.

    Raises:
        BatchError: If the batch has no crystals.
    """
    if batch.crystals is None:
        raise BatchError("candidates without crystals", "a batch with cells and sites")
    return np.flatnonzero(batch.has_crystal).tolist()


def relaxed_batch(batch: CandidateBatch, ends: Sequence[RelaxedCrystal]) -> CandidateBatch:
    """Make the batch with final cells and coordinates, and the columns that :func:`relax` lists.

    Args:
        batch: n candidates; those without a crystal have failed.
        ends: How the relaxation of each of :func:`rows_to_relax` ended, in order.
    """
    start = batch.crystals
    assert start is not None  # as rows_to_relax made sure
    every = [_without_crystal() for _ in range(len(batch))]
    for row, end in zip(rows_to_relax(batch), ends, strict=True):
        every[row] = end
    crystals = Crystals(
        np.array([end.cell for end in every]).reshape(-1, 3, 3), start.offsets, start.species,
        np.concatenate([*(end.frac_coords for end in every), np.empty((0, 3))]),
    )  # fmt: skip
    finished = np.array([end.outcome in (Outcome.CONVERGED, Outcome.NOT_CONVERGED) for end in every], bool)
    change = np.full(len(batch), np.nan)
    change[finished] = crystals.volumes[finished] / start.volumes[finished] - 1
    columns: dict[str, Any] = {
        Column.RELAXATION_OUTCOME: [end.outcome.value for end in every],
        Column.RELAXATION_ENERGY_START: np.array([end.energies[0] for end in every], float),
        Column.RELAXATION_ENERGY: np.array([end.energies[1] for end in every], float),
        Column.RELAXATION_VOLUME_CHANGE: change,
        Column.RELAXATION_LARGEST_FORCE: np.array([end.largest_force for end in every], float),
        Column.RELAXATION_STEPS: np.array([end.steps for end in every], np.int64),
        Column.RELAXATION_SECONDS: np.array([end.seconds for end in every], float),
        Column.RELAXATION_CODE: [end.code for end in every],
        Column.RELAXATION_DETAIL: [end.detail for end in every],
    }
    done = batch.with_block(CRYSTALS, crystals)
    return done.with_columns(columns)


def _without_crystal() -> RelaxedCrystal:
    return failed(np.zeros((3, 3)), np.empty((0, 3)), code="E-POTENTIAL-CRYSTAL", detail="")


def relax_crystal(
    atoms: Atoms, potential: Evaluates, *, limits: RelaxationLimits, optimizer: str = "bfgs", relax_cell: bool = True
) -> RelaxedCrystal:
    """Relax one crystal; any error becomes its outcome.

    Args:
        atoms: The crystal; it is changed in place.
        potential: Where energies and forces come from.
        limits: When the relaxation is over.
        optimizer: Name in :data:`OPTIMIZERS`.
        relax_cell: Whether the cell relaxes too.
    """
    begun, steps = time.perf_counter(), 0
    cell, frac_coords = np.asarray(atoms.cell).copy(), atoms.get_scaled_positions(wrap=False)
    energies, force, code = (np.nan, np.nan), np.nan, ""
    try:
        atoms.calc = PotentialCalculator(potential, limits, abs(float(np.linalg.det(cell))))
        energies = (float(atoms.get_potential_energy()) / len(atoms), np.nan)
        moving = FrechetCellFilter(atoms) if relax_cell else atoms
        run = OPTIMIZERS[optimizer](moving, logfile=None)
        converged = False
        for converged in run.irun(fmax=limits.largest_force, steps=limits.steps):
            steps = run.nsteps
            if converged or time.perf_counter() - begun > limits.seconds:
                break
        force = float(np.linalg.norm(moving.get_forces(), axis=1).max())
        last = float(atoms.get_potential_energy()) / len(atoms)
        outcome = Outcome.CONVERGED if converged else Outcome.NOT_CONVERGED
        detail = "" if converged else unconverged_detail(steps, force)
        cell, frac_coords = np.asarray(atoms.cell).copy(), atoms.get_scaled_positions(wrap=False)
        energies = (energies[0], last)
    except Exploded as error:
        outcome, detail = Outcome.EXPLODED, str(error)
    except _Unanswered as error:
        code, said = error.args
        outcome, detail = Outcome.FAILED, f"{said} (after {steps} steps)" if said else f"after {steps} steps"
    except Exception as error:  # noqa: BLE001  # a potential may raise anything for a strange crystal; it is kept
        outcome, code, detail = Outcome.FAILED, code_of(error), f"{type(error).__name__}: {error}"[:500]
    return RelaxedCrystal(outcome, cell, frac_coords, energies, steps, time.perf_counter() - begun, force, code, detail)


def code_of(error: Exception) -> str:
    """Return the row code of a crystal for which a potential raised an error."""
    # torch says so in a RuntimeError of its own, in other words for a GPU.
    said = str(error)
    short_of_memory = isinstance(error, MemoryError) or "can't allocate memory" in said or "CUDA out of memory" in said
    return "E-POTENTIAL-MEMORY" if short_of_memory else "E-POTENTIAL-FAILED"
