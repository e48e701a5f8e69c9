"""Interatomic potentials: what each of them offers, and the name under which its energies may meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.registry import lookup
from matloop.models.registry import POTENTIALS

BATCHING_TOLERANCE = 1e-5
"""eV/atom by which a crystal's energy may differ between batches: potentials work in single precision."""
FORCE_BATCHING_TOLERANCE = 2e-4
"""eV/Å by which a force may differ between batches; straight bond angles amplify rounding."""


@dataclass(frozen=True)
class Evaluation:
    """Energies and their derivatives for n crystals with ``sites`` atoms in all; nan for crystals with a code.

    Attributes:
        energies: Potential energy in eV/atom, shape (n,).
        forces: Negative derivative of the energy by positions in eV/Å, shape (sites, 3).
        stresses: Derivative of the energy by strain per volume in GPa, shape (n, 3, 3). Positive under tension: a
            crystal squeezed below its equilibrium volume has a negative trace (as in ASE, opposite to VASP).
        magnetic_moments: Size of the moment on each site in Bohr magnetons, shape (sites,).
        codes: Row code of each crystal without numbers, else empty, shape (n,).
    """

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    stresses: NDArray[np.float64]
    magnetic_moments: NDArray[np.float64]
    codes: NDArray[np.str_]


@runtime_checkable
class Potential(Protocol):
    """A universal interatomic potential.

    A crystal's numbers do not depend on the others in its batch, within the tolerances above. Crystals it cannot
    handle get nan and a row code and do not disturb the others. An instance can be pickled to worker processes.
    :func:`matloop.models.potentials.validation.validate_potential` checks all of it.

    Attributes:
        name: Name in the registry.
        version: Version of the trained potential.
        weights_sha256: Hash of its weights file.
        licence: Licence of the weights.
    """

    name: str
    version: str
    weights_sha256: str
    licence: str

    def row_codes(self, batch: CandidateBatch) -> NDArray[np.str_]:
        """Row code of each candidate it cannot evaluate, else empty, shape (n,)."""
        ...

    def energies(self, batch: CandidateBatch) -> NDArray[np.float64]:
        """Energies in eV/atom, nan for candidates with a row code, shape (n,)."""
        ...

    def evaluate(self, batch: CandidateBatch) -> Evaluation:
        """Energies, forces, stresses and magnetic moments."""
        ...

    def embeddings(self, batch: CandidateBatch) -> NDArray[np.float64]:
        """A vector for each crystal that does not depend on cell setting or rotation, shape (n, k)."""
        ...


def energy_source(potential: Potential) -> str:
    """The name of the energies of a potential; energies of two different names never meet in one hull.

    Args:
        potential: Any potential.

    Returns:
        Name, version and the first twelve digits of the weights' hash.
    """
    return f"{potential.name}-{potential.version}-{potential.weights_sha256[:12]}"


def potential_named(name: str, **parameters: Any) -> Potential:
    """The registered potential of that name.

    Args:
        name: Name in :data:`matloop.models.registry.POTENTIALS`, or of an entry point in ``matloop.potentials``.
        parameters: Settings of the potential.

    Raises:
        UnknownNameError: With the nearest known name.
        PotentialError: If it is not installed or its weights are not the released ones.
    """
    return lookup("potential", POTENTIALS, name)(**parameters)
