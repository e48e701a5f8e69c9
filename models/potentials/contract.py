"""Interatomic potentials by their capabilities, and the name of the source of their energies.

A potential offers one or more capabilities: it evaluates crystals (:class:`Evaluates`), it embeds them
(:class:`Embeds`), or it relaxes several of them at once (:class:`RelaxesBatches`).
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from matloop.data.allowed_modules import allowed_modules
from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import CapabilityError, PotentialError
from matloop.data.options import check_options
from matloop.data.registry import lookup
from matloop.models.potentials.device import PROCESSOR
from matloop.models.potentials.relaxed_crystal import RelaxationLimits, RelaxedCrystal
from matloop.models.registry import POTENTIALS

BATCHING_TOLERANCE = 1e-5
"""eV/atom by which a crystal's energy may differ between batches: potentials work in single precision."""
FORCE_BATCHING_TOLERANCE = 2e-4
"""eV/Å by which a force may differ between batches; straight bond angles amplify rounding."""

GGA_AND_U = ("Co", "Cr", "Fe", "Mn", "Mo", "Ni", "V", "W")
"""Elements that the Materials Project computes with +U in oxides and fluorides, and without elsewhere."""

_LONGEST_SETTINGS = 200  # characters of an energy source: it stands in reports


@dataclass(frozen=True)
class Evaluation:
    """Energies and their derivatives for n crystals with ``sites`` atoms in all; nan for crystals with a code.

    Attributes:
        energies: Potential energy in eV/atom, shape (n,).
        forces: Negative derivative of the energy by positions in eV/Å, shape (sites, 3).
        stresses: Derivative of the energy by strain per volume in GPa, shape (n, 3, 3). Positive under tension: a
            crystal squeezed below its equilibrium volume has a negative trace (as in ASE, opposite to VASP).
        magnetic_moments: Size of the moment on each site in Bohr magnetons, nan for a potential without moments, shape
            (sites,).
        codes: Row code of each crystal without numbers, else empty, shape (n,).
        details: More about the codes, by row, where the potential knows more.
    """

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    stresses: NDArray[np.float64]
    magnetic_moments: NDArray[np.float64]
    codes: NDArray[np.str_]
    details: Mapping[int, str] = field(default_factory=dict)


@runtime_checkable
class Potential(Protocol):
    """Facts that every potential states about itself.

    A crystal's numbers do not depend on the others in its batch, within the tolerances above. Crystals that a potential
    cannot handle get nan and a row code and do not disturb the others. An instance can be pickled to worker processes.
    :func:`matloop.models.potentials.validation.validate_potential` checks what a potential offers.

    A potential may also have ``cites``, a tuple of :class:`matloop.data.packaged.citations.Citation` for the report. It
    may have ``corrected_elements``, symbols of the elements that it learned with +U beside oxygen and fluorine and
    without elsewhere, or with other corrections than the reference phases have: formation energies then count a
    correction for each of them, fitted with the elements. One that can compute on a GPU says under ``device`` where it
    does, ``cpu`` or ``cuda``.

    Attributes:
        name: Name in the registry.
        version: Version of the trained potential.
        weights_sha256: Hash of its weights file.
        licence: Licence of the weights.
        settings: Settings that its energies depend on, besides the weights, as plain JSON values by option name. Every
            option that was given another value than its default stands here, except the neutral ones. They become part
            of the energy source.
        neutral_options: Options that change no energy beyond rounding, such as a number of threads.
        batch_sites: Most sites, of several crystals together, that it is given at once for relaxation. With 1 each
            crystal goes alone. A potential whose numbers depend on the batch in the last digits should say 1.
    """

    name: str
    version: str
    weights_sha256: str
    licence: str
    settings: Mapping[str, Any]
    neutral_options: frozenset[str]
    batch_sites: int

    def row_codes(self, batch: CandidateBatch) -> NDArray[np.str_]:
        """Row code of each candidate it cannot handle, else empty, shape (n,)."""
        ...


@runtime_checkable
class Evaluates(Potential, Protocol):
    """A potential that gives energies, forces and stresses of crystals."""

    def energies(self, batch: CandidateBatch) -> NDArray[np.float64]:
        """Energies in eV/atom, nan for candidates with a row code, shape (n,)."""
        ...

    def evaluate(self, batch: CandidateBatch) -> Evaluation:
        """Energies, forces, stresses and magnetic moments."""
        ...


@runtime_checkable
class Embeds(Potential, Protocol):
    """A potential that gives a vector for each crystal."""

    def embeddings(self, batch: CandidateBatch) -> NDArray[np.float64]:
        """A vector for each crystal that does not depend on cell setting or rotation, shape (n, k)."""
        ...


@runtime_checkable
class RelaxesBatches(Potential, Protocol):
    """A potential that relaxes several crystals at once by its own means."""

    def relax_batch(
        self, batch: CandidateBatch, *, limits: RelaxationLimits, relax_cell: bool
    ) -> Sequence[RelaxedCrystal]:
        """How the relaxation of each crystal ended, in order.

        With ``limits.steps`` of 0 the crystals stay as they are and only get their energies.
        """
        ...


CAPABILITIES: Mapping[str, type] = {"Evaluates": Evaluates, "Embeds": Embeds, "RelaxesBatches": RelaxesBatches}
"""What a potential may offer, by name."""


def capabilities_of(potential: object) -> tuple[str, ...]:
    """Names of the capabilities that a potential offers."""
    return tuple(name for name, capability in CAPABILITIES.items() if isinstance(potential, capability))


def require_capability(potential: Potential, *names: str) -> None:
    """Make sure that a potential offers one of several capabilities.

    Args:
        potential: Any potential.
        names: Names in :data:`CAPABILITIES`; one of them is enough.

    Raises:
        CapabilityError: If it offers none of them.
    """
    offered = capabilities_of(potential)
    if not set(names) & set(offered):
        raise CapabilityError(
            f"potential '{potential.name}', which offers {' and '.join(offered) or 'no capability'}",
            f"a potential that offers {' or '.join(names)}",
            f"see matloop.models.potentials.contract.{names[0]}, or choose another potential",
        )


def corrected_elements(potential: Potential) -> tuple[str, ...]:
    """Symbols of the elements whose energies need a correction beside oxygen and fluorine; mostly none."""
    return tuple(getattr(potential, "corrected_elements", ()))


def device_of(potential: Potential) -> str:
    """Device on which a potential computes, ``cpu`` or ``cuda``; the processor unless it says otherwise."""
    return str(getattr(potential, "device", PROCESSOR))


def energy_source(potential: Potential) -> str:
    """Return the name of the energies of a potential; energies with different names never share a hull.

    Args:
        potential: Any potential.

    Returns:
        Name, version, the first twelve digits of the weights' hash and, where there are any, the settings; of settings
        that take more than 200 characters their sha256.
    """
    source = f"{potential.name}-{potential.version}-{potential.weights_sha256[:12]}"
    if not potential.settings:
        return source
    settings = json.dumps(dict(potential.settings), sort_keys=True, allow_nan=False)
    if len(settings) > _LONGEST_SETTINGS:
        settings = f"settings {hashlib.sha256(settings.encode()).hexdigest()}"
    return f"{source} {settings}"


def potential_named(name: str, **options: Any) -> Potential:
    """Make the registered potential of a name.

    Args:
        name: Name in :data:`matloop.models.registry.POTENTIALS`, or of an entry point in ``matloop.potentials``.
        options: Options of the potential.

    Raises:
        UnknownNameError: For an unknown potential or option, with the nearest known name.
        PotentialError: If it is not installed, its weights are not the released ones, or it does not say what its
            energies depend on.
    """
    factory = lookup("potential", POTENTIALS, name)
    check_options(name, factory, options)
    potential = factory(**options)
    check_facts(potential)
    if potential.name != name:
        raise PotentialError(f"potential '{name}', which calls itself '{potential.name}'", "one name for one potential")
    usual = inspect.signature(factory).parameters
    for option, value in options.items():
        changes_energies = option not in potential.neutral_options and usual[option].default != value
        if changes_energies and potential.settings.get(option) != value:
            raise PotentialError(
                f"potential '{name}' with option {option} = {value!r}, which is not among its settings",
                "every option in settings or neutral_options",
                "let the potential say so: energies under two settings must not meet in one hull",
            )
    return potential


def shared_potential(name: str, options: Mapping[str, Any]) -> Potential:
    """Return the result of :func:`potential_named`, loaded once per process for each set of options.

    Args:
        name: Name of a registered potential.
        options: Its options, plain JSON values.
    """
    return _loaded(name, json.dumps(dict(options), sort_keys=True), allowed_modules())


@functools.lru_cache(maxsize=4)
def _loaded(name: str, options: str, allowed: tuple[str, ...]) -> Potential:
    """Kept by the modules that are allowed too: what was allowed once is not allowed for good."""
    return potential_named(name, **json.loads(options))


def check_facts(potential: object) -> None:
    """Check that a potential states the facts that :class:`Potential` lists.

    Raises:
        PotentialError: If a fact is missing or wrong; the message names it.
    """
    missing = [fact for fact in (*Potential.__annotations__, "row_codes") if not hasattr(potential, fact)]
    if missing or not isinstance(potential, Potential):
        raise PotentialError(
            f"{type(potential).__name__} does not say its {', '.join(missing)}",
            f"a potential with {', '.join(Potential.__annotations__)} and row_codes",
            "see matloop.models.potentials.contract.Potential",
        )
    texts: tuple[Any, ...] = (potential.name, potential.version, potential.licence)
    sites: Any = potential.batch_sites
    sha256 = str(potential.weights_sha256)
    problems = {
        "name, version and licence are texts that are not empty": all(isinstance(t, str) and t for t in texts),
        "weights_sha256 is a sha256 in hexadecimal digits": re.fullmatch("[0-9a-f]{64}", sha256) is not None,
        "settings are plain JSON values by option name": _is_json(potential.settings),
        "no setting is a neutral option": not set(potential.settings) & potential.neutral_options,
        "batch_sites is a whole number of at least 1": isinstance(sites, int) and sites >= 1,
    }
    for clause, held in problems.items():
        if not held:
            raise PotentialError(f"{type(potential).__name__} breaks the rule that {clause}", "all of them kept")


def _is_json(settings: Mapping[str, Any]) -> bool:
    try:
        return bool(json.loads(json.dumps(dict(settings), allow_nan=False)) == dict(settings))
    except (TypeError, ValueError):
        return False


def codes_beyond(batch: CandidateBatch, elements: Iterable[int]) -> NDArray[np.str_]:
    """Return the row code of each candidate without a crystal, or with another element, else empty, shape (n,).

    Args:
        batch: n candidates.
        elements: Atomic numbers that a potential knows.
    """
    codes = np.full(len(batch), "", dtype="<U32")
    if batch.crystals is None:
        codes[:] = "E-POTENTIAL-CRYSTAL"
        return codes
    codes[~batch.has_crystal] = "E-POTENTIAL-CRYSTAL"
    owner = np.repeat(np.arange(len(batch)), batch.crystals.site_counts)
    codes[owner[~np.isin(batch.crystals.species, list(elements))]] = "E-POTENTIAL-ELEMENT"
    return codes
