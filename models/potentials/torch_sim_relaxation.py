"""Relaxation of several crystals together with torch-sim, judged by the limits of the relaxation with ASE.

The steps are those of FIRE with the cell as in :class:`ase.filters.FrechetCellFilter`, as torch-sim takes them for all
crystals at once. What ends a relaxation is decided here after every step: torch-sim by itself looks at the forces on
atoms alone or at the energy, and returns crystals that did not converge among those that did. The steps are made on the
processor in double precision; the energies come from wherever the potential computes.

O. Cohen et al., TorchSim, doi:10.5281/zenodo.15127004.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import BatchError, PotentialError
from matloop.data.installation import install_command
from matloop.models.potentials.contract import Evaluation
from matloop.models.potentials.relaxation import Exploded, gated
from matloop.models.potentials.relaxed_crystal import Outcome, RelaxationLimits, RelaxedCrystal, unconverged_detail

if TYPE_CHECKING:
    import torch

_GPA = 160.2176634  # GPa per eV/Å3
_EXTRA = "matloop[torch-sim]"


def require_torch_sim() -> None:
    """Make sure that torch-sim is installed, without importing it.

    Raises:
        PotentialError: If it is not; the message says how to install it.
    """
    if importlib.util.find_spec("torch_sim") is None:
        raise PotentialError("torch-sim is not installed", "torch-sim 0.3", install_command(_EXTRA))


def relax_together(
    evaluate: Callable[[CandidateBatch], Evaluation],
    batch: CandidateBatch,
    *,
    limits: RelaxationLimits,
    relax_cell: bool,
) -> list[RelaxedCrystal]:
    """Relax the crystals of a batch at the same time.

    The time of each step is shared equally among the crystals that still move, and the share counts against
    ``limits.seconds`` of each.

    Args:
        evaluate: Gives energies, forces and stresses of crystals, or their row codes.
        batch: n crystals that passed :meth:`Crystals.row_codes`.
        limits: When each relaxation is over.
        relax_cell: Whether the cells relax too, or the atoms alone.

    Returns:
        How each relaxation ended, in order, with the outcomes of :func:`.relaxation.relax_crystal`.

    Raises:
        BatchError: If a candidate has no crystal.
        PotentialError: If torch-sim is not installed, or is another version than the one that is known here.
    """
    if batch.crystals is None or not batch.has_crystal.all():
        raise BatchError("candidates without crystals", "a batch with cells and sites")
    starts = [_Relaxation.of(batch.crystals, row) for row in range(len(batch))]
    if not starts:
        return []
    make_state, optimizer = _torch_sim(relax_cell=relax_cell)
    model = _GatedPotential(evaluate, limits, starts)
    begin, step = optimizer(model)
    state = begin(make_state(starts))
    while True:
        forces = _largest_forces(state, model.forces, relax_cell=relax_cell)
        for one, force, cell, positions in zip(model.moving, forces, *_geometry(state), strict=True):
            one.judge(force, cell if relax_cell else None, positions, limits)
        still = [place for place, one in enumerate(model.moving) if one.end is None]
        if not still:
            return [one.end for one in starts if one.end is not None]
        if len(still) < len(model.moving):
            # A crystal without numbers would change the steps of its neighbours.
            state, model.moving = state[still], [model.moving[place] for place in still]
        state = step(state)
        for one in model.moving:
            one.steps += one.end is None


def largest_forces(
    forces: NDArray[np.float64], site_counts: Sequence[int], cell_forces: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return what has to fall below the limit of forces for each of n crystals, in eV/Å, shape (n,).

    Args:
        forces: On atoms in eV/Å, shape (sites, 3).
        site_counts: Sites of each crystal, shape (n,).
        cell_forces: Rows of stress times volume per atom in eV, shape (n, 3, 3), if cells relax.

    >>> largest_forces(np.zeros((1, 3)), [1], 0.4 * np.eye(3)[None]).tolist()  # no force, and a strained cell
    [0.4]
    """
    largest = np.zeros(len(site_counts))
    np.maximum.at(largest, np.repeat(np.arange(len(site_counts)), site_counts), np.linalg.norm(forces, axis=1))
    if cell_forces is None:
        return largest
    return np.maximum(largest, np.linalg.norm(cell_forces, axis=2).max(axis=1))


@dataclass(eq=False)
class _Relaxation:
    """One crystal on its way.

    Attributes:
        cell: Of the start, row vectors in Å, shape (3, 3).
        frac_coords: Of the start, shape (sites, 3).
        numbers: Atomic numbers, shape (sites,).
        hand: -1 where the cell is left-handed: then the mirror image is relaxed, which has the same energy, since
            torch-sim takes the determinant of a cell for its volume. Fractional coordinates are the same.
        energies: First and last energy in eV/atom.
        steps: Steps taken.
        seconds: Its share of the time.
        end: How it ended, None before.
    """

    cell: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    numbers: NDArray[np.integer]
    hand: float
    energies: tuple[float, float] = (np.nan, np.nan)
    steps: int = 0
    seconds: float = 0.0
    end: RelaxedCrystal | None = None

    @classmethod
    def of(cls, crystals: Crystals, row: int) -> _Relaxation:
        cell, sites = crystals.lattice[row], slice(*crystals.offsets[row : row + 2])
        return cls(cell, crystals.frac_coords[sites], crystals.species[sites], float(np.sign(np.linalg.det(cell))))

    def note(self, energy: float) -> None:
        """Keep the energy of the crystal as it now is, in eV/atom."""
        self.energies = (energy if np.isnan(self.energies[0]) else self.energies[0], energy)

    def judge(
        self,
        force: float,
        cell: NDArray[np.float64] | None,
        positions: NDArray[np.float64],
        limits: RelaxationLimits,
    ) -> None:
        """End as converged, or at the limits of steps and seconds as not converged.

        Args:
            force: Largest force in eV/Å, with those on the cell.
            cell: As it now is, if it relaxes; of the mirror image where that is relaxed.
            positions: Cartesian coordinates in Å, likewise.
            limits: When the relaxation is over.
        """
        converged = force < limits.largest_force
        if self.end is not None or not (converged or self.steps >= limits.steps or self.seconds > limits.seconds):
            return
        now, places = self.cell, self.frac_coords
        if self.steps:
            now = self.cell if cell is None else self.hand * cell
            places = positions @ np.linalg.inv(self.hand * now)
        outcome = Outcome.CONVERGED if converged else Outcome.NOT_CONVERGED
        detail = "" if converged else unconverged_detail(self.steps, force)
        self.end = RelaxedCrystal(
            outcome, now, places, self.energies, self.steps, self.seconds, float(force), detail=detail
        )

    def explode(self, detail: str) -> None:
        """End as exploded."""
        self.end = self._lost(Outcome.EXPLODED, "", detail)

    def fail(self, code: str, said: str) -> None:
        """End as failed with a row code."""
        when = f"after {self.steps} steps"
        self.end = self._lost(Outcome.FAILED, code, f"{said} ({when})" if said else when)

    def _lost(self, outcome: Outcome, code: str, detail: str) -> RelaxedCrystal:
        energies = (self.energies[0], np.nan)
        return RelaxedCrystal(
            outcome, self.cell, self.frac_coords, energies, self.steps, self.seconds, np.nan, code, detail
        )


class _GatedPotential:
    """What torch-sim asks about crystals: a potential, behind the gate of explosions.

    Crystals that exploded, or that the potential has no numbers for, end; torch-sim is given zeros for them.

    Args:
        evaluate: Gives energies, forces and stresses.
        limits: Gate that each crystal passes before it is evaluated.
        moving: The crystals that torch-sim has in hand, in its order.
    """

    def __init__(
        self,
        evaluate: Callable[[CandidateBatch], Evaluation],
        limits: RelaxationLimits,
        moving: Sequence[_Relaxation],
    ) -> None:
        import torch

        self.evaluate, self.limits, self.moving = evaluate, limits, list(moving)
        self.device, self.dtype = torch.device("cpu"), torch.float64
        self.forces = np.empty((0, 3))
        self._asked = time.perf_counter()

    def __call__(self, state: Any) -> dict[str, torch.Tensor]:
        """Energies in eV, forces in eV/Å, and stresses in eV/Å3."""
        import torch

        counts = [len(one.numbers) for one in self.moving]
        bounds = np.cumsum([0, *counts])
        energies, stresses = np.zeros(len(counts)), np.zeros((len(counts), 3, 3))
        self.forces = np.zeros((bounds[-1], 3))
        sound, batch = self._gated(*_geometry(state))
        found = self.evaluate(batch)
        spent = time.perf_counter() - self._asked
        self._asked += spent
        for one in self.moving:
            one.seconds += spent / len(self.moving)
        first = 0
        for row, place in enumerate(sound):
            one, sites = self.moving[place], slice(first, first + counts[place])
            first = sites.stop
            energy, forces, stress = found.energies[row], found.forces[sites], found.stresses[row]
            if found.codes[row]:
                one.fail(str(found.codes[row]), found.details.get(row, ""))
            elif not (np.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(stress).all()):
                one.fail("E-POTENTIAL-NONFINITE", "a number that is not finite")
            else:
                one.note(float(energy))
                energies[place], stresses[place] = energy * counts[place], stress / _GPA
                self.forces[bounds[place] : bounds[place + 1]] = forces
        arrays = {"energy": energies, "forces": self.forces, "stress": stresses}
        return {name: torch.tensor(array, dtype=self.dtype) for name, array in arrays.items()}

    def _gated(
        self, cells: NDArray[np.float64], positions: Sequence[NDArray[np.float64]]
    ) -> tuple[list[int], CandidateBatch]:
        """Places of the crystals that may be evaluated, and these crystals."""
        sound, parts = [], []
        for place, (one, cell, where) in enumerate(zip(self.moving, cells, positions, strict=True)):
            volume = abs(float(np.linalg.det(one.cell)))
            try:
                gated(cell, where, one.numbers, start_volume=volume, limits=self.limits)
            except Exploded as error:
                one.explode(str(error))
            else:
                sound.append(place)
                parts.append((cell, one.numbers.astype(np.uint8), where @ np.linalg.inv(cell)))
        crystals = Crystals(
            np.array([cell for cell, _, _ in parts]).reshape(-1, 3, 3),
            np.cumsum([0, *(len(species) for _, species, _ in parts)]).astype(np.int64),
            np.concatenate([np.empty(0, np.uint8), *(species for _, species, _ in parts)]),
            np.concatenate([np.empty((0, 3)), *(places for _, _, places in parts)]),
        )
        return sound, CandidateBatch.from_crystals(crystals)


def _torch_sim(*, relax_cell: bool) -> tuple[Callable[[Sequence[_Relaxation]], Any], Callable[[Any], Any]]:
    """What makes a state of torch-sim from crystals, and its optimiser.

    Raises:
        PotentialError: If torch-sim is not installed, or has no such optimiser.
    """
    require_torch_sim()
    try:
        import torch
        from torch_sim.optimizers import fire, frechet_cell_fire
        from torch_sim.state import SimState
    except ImportError as error:
        raise PotentialError(
            f"torch-sim cannot be used: {error}", "torch-sim 0.3 with all that it needs", install_command(_EXTRA)
        ) from error

    def make_state(starts: Sequence[_Relaxation]) -> Any:
        cells = np.array([one.hand * one.cell for one in starts])
        positions = np.concatenate([one.frac_coords @ cell for one, cell in zip(starts, cells, strict=True)])
        owner = np.repeat(np.arange(len(starts)), [len(one.numbers) for one in starts])
        return SimState(
            positions=torch.tensor(positions, dtype=torch.float64),
            masses=torch.ones(len(positions), dtype=torch.float64),  # this FIRE knows no masses
            cell=torch.tensor(cells, dtype=torch.float64).mT.contiguous(),  # its cells have columns for vectors
            pbc=True,
            atomic_numbers=torch.tensor(np.concatenate([one.numbers for one in starts]).astype(np.int64)),
            system_idx=torch.tensor(owner, dtype=torch.int64),
        )

    return make_state, frechet_cell_fire if relax_cell else fire


def _geometry(state: Any) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Cells of n crystals in Å, row vectors, shape (n, 3, 3), and Cartesian coordinates of each in Å."""
    cells = state.row_vector_cell.numpy().copy()
    ends = np.cumsum(np.bincount(state.system_idx.numpy(), minlength=len(cells)))
    return cells, np.split(state.positions.numpy().copy(), ends[:-1])


def _largest_forces(state: Any, forces: NDArray[np.float64], *, relax_cell: bool) -> NDArray[np.float64]:
    """The forces that are judged, with those on the cell as :class:`ase.filters.FrechetCellFilter` has them."""
    owner = state.system_idx.numpy()
    counts = np.bincount(owner, minlength=state.n_systems).tolist()
    if not relax_cell:
        return largest_forces(forces, counts)
    turned = np.einsum("si,sij->sj", forces, state.deform_grad().numpy()[owner])
    return largest_forces(turned, counts, state.cell_forces.numpy())
