"""Relaxation under guard: crystals under a time and a memory limit, in a process that may be killed.

A process that calls :func:`relax_guarded` keeps one child, into which the potential is loaded once. Crystals go to the
child in batches of as many sites as the potential asks for. A batch that fails is halved until the crystal at fault
stands alone: only that crystal fails.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.allowed_modules import allowed_modules, allowing
from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import (
    ROW_CODES,
    CapabilityError,
    GuardError,
    MatloopError,
    NotAllowedError,
    PlugInImportError,
    PotentialError,
    UnknownNameError,
    unknown_name,
)  # fmt: skip
from matloop.data.guard.guarded import Failure, GuardedWorker, LongItem
from matloop.data.guard.messages import pack, unpack
from matloop.data.guard.shared_workers import shared_worker
from matloop.models.potentials.contract import (
    Evaluates,
    Potential,
    RelaxesBatches,
    device_of,
    require_capability,
    shared_potential,
)  # fmt: skip
from matloop.models.potentials.device import PROCESSOR
from matloop.models.potentials.relaxation import (
    OPTIMIZERS,
    Exploded,
    code_of,
    gated,
    relax_crystal,
    relaxed_batch,
    rows_to_relax,
)  # fmt: skip
from matloop.models.potentials.relaxed_crystal import Outcome, RelaxationLimits, RelaxedCrystal, failed
from matloop.models.potentials.validation import example_crystals

ANSWER = "matloop.models.potentials.guarded_relaxation:answer"
CODES = {
    "E-GUARD-TIMEOUT": "E-POTENTIAL-TIMEOUT",
    "E-GUARD-MEMORY": "E-POTENTIAL-MEMORY",
    "E-GUARD-CRASH": "E-POTENTIAL-CRASH",
}
_ERRORS = {
    error.code: error for error in (UnknownNameError, CapabilityError, NotAllowedError, PlugInImportError)
}  # fmt: skip
_MOST_SITES = 1_000_000  # of a batch, whatever a potential asks for


@dataclass(frozen=True)
class GuardedRelaxationSettings:
    """How crystals are relaxed under guard.

    Attributes:
        limits: When a relaxation ends; checked between two steps.
        grace_seconds: How long beyond ``limits.seconds`` a crystal may take, for its last step, before its process is
            killed, even inside native code. A batch may take as long as its crystals together.
        megabytes: Memory a batch may ask for, beyond what the process with the potential holds when idle.
        optimizer: Name in :data:`matloop.models.potentials.relaxation.OPTIMIZERS`; a potential that relaxes batches
            has its own.
        relax_cell: Whether the cell relaxes too.
        parameters: Options of the potential; plain JSON values.
    """

    limits: RelaxationLimits = field(default_factory=RelaxationLimits)
    grace_seconds: float = 60.0
    megabytes: float = 4000.0
    optimizer: str = "bfgs"
    relax_cell: bool = True
    parameters: Mapping[str, Any] = field(default_factory=dict)


def relax_guarded(
    potential: str, batch: CandidateBatch, settings: GuardedRelaxationSettings | None = None
) -> CandidateBatch:
    """Relax each crystal of a batch as :func:`.relaxation.relax` does, but survive crystals that end their process.

    A potential that relaxes batches does so by its own means, and the limits of explosions hold for what it gives.

    Args:
        potential: Name of a registered potential that evaluates crystals or relaxes batches of them.
        batch: n crystals that passed :meth:`Crystals.row_codes`.
        settings: How they are relaxed.

    Returns:
        What :func:`~matloop.models.potentials.relaxation.relax` returns. Crystals that took too long, asked for too
        much memory or ended their process fail with the ``relaxation_code`` ``E-POTENTIAL-TIMEOUT``,
        ``E-POTENTIAL-MEMORY`` or ``E-POTENTIAL-CRASH``. They do not change the results of the other crystals.

    Raises:
        BatchError: If the batch has no crystals.
        UnknownNameError: For an unknown potential, option or optimiser.
        CapabilityError: If the potential neither evaluates nor relaxes.
        PotentialError: If the potential cannot be loaded.
    """
    chosen = settings or GuardedRelaxationSettings()
    if chosen.optimizer not in OPTIMIZERS:
        raise unknown_name("optimizer", chosen.optimizer, OPTIMIZERS)
    rows = rows_to_relax(batch)
    crystals = batch.crystals
    assert crystals is not None  # as rows_to_relax made sure
    timeout = chosen.limits.seconds + chosen.grace_seconds
    worker = shared_worker(ANSWER, memory_limit=int(chosen.megabytes * 1e6), timeout=timeout)
    batch_sites = get_ready(worker, potential, chosen.parameters)
    manner = {
        "potential": potential, "parameters": dict(chosen.parameters), "limits": asdict(chosen.limits),
        "optimizer": chosen.optimizer, "relax_cell": chosen.relax_cell, "allowed": allowed_modules(),
    }  # fmt: skip
    ends: dict[int, RelaxedCrystal] = {}
    groups = list(_groups(rows, crystals.site_counts, batch_sites))
    while groups:
        parts = [crystals.take(np.array(group)) for group in groups]
        replies = worker.map(LongItem(_message(part, manner), timeout * len(part)) for part in parts)
        halves: list[list[int]] = []
        for group, part, reply in zip(groups, parts, replies, strict=True):
            found = _ends(part, reply)
            if found is None:
                halves += [group[: len(group) // 2], group[len(group) // 2 :]]
            else:
                ends.update(zip(group, found, strict=True))
        groups = halves
    return relaxed_batch(batch, [ends[row] for row in rows])


def _groups(rows: Sequence[int], site_counts: NDArray[np.int64], batch_sites: int) -> Iterator[list[int]]:
    """Group neighbouring rows: at least one row, and together no more sites than allowed."""
    group: list[int] = []
    sites = 0
    for row in rows:
        sites += int(site_counts[row])
        if group and sites > batch_sites:
            yield group
            group, sites = [], int(site_counts[row])
        group.append(row)
    if group:
        yield group


def answer(message: bytes) -> bytes:
    """Relax the crystals in a message, in the child; a message without crystals gets the potential ready.

    Raises:
        MemoryError: If there is not enough memory.
    """
    values, arrays = unpack(message)
    with allowing(values["allowed"]):
        return _relaxed(values, arrays) if arrays else readiness(values["potential"], values["parameters"])


def _relaxed(values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    potential = shared_potential(values["potential"], values["parameters"])
    limits = RelaxationLimits(**{**values["limits"], "volume_ratio": tuple(values["limits"]["volume_ratio"])})
    crystals = Crystals(arrays["lattice"], arrays["offsets"], arrays["species"], arrays["places"])
    batch, relax_cell = CandidateBatch.from_crystals(crystals), values["relax_cell"]
    ends: Sequence[RelaxedCrystal]
    if isinstance(potential, RelaxesBatches):
        ends = _relaxed_together(potential, batch, limits, relax_cell=relax_cell)
    else:
        assert isinstance(potential, Evaluates)  # as it was when it got ready
        ends = [
            relax_crystal(
                batch.atoms(row), potential, limits=limits, optimizer=values["optimizer"], relax_cell=relax_cell
            )
            for row in range(len(batch))
        ]
    for end in ends:
        if end.code == "E-POTENTIAL-MEMORY":
            raise MemoryError(end.detail)  # the guard tries once more, in a fresh process
    return _packed(ends)


def _relaxed_together(
    potential: RelaxesBatches, batch: CandidateBatch, limits: RelaxationLimits, *, relax_cell: bool
) -> Sequence[RelaxedCrystal]:
    """Relax crystals together; an error that one crystal alone causes becomes its outcome."""
    crystals = batch.crystals
    assert crystals is not None
    try:
        ends = potential.relax_batch(batch, limits=limits, relax_cell=relax_cell)
    except Exception as error:  # a potential may raise anything for a strange crystal; it is kept
        if len(batch) > 1:
            raise  # the caller halves the batch
        detail = f"{type(error).__name__}: {error}"[:500]
        return [failed(crystals.lattice[0], crystals.frac_coords, code=code_of(error), detail=detail)]
    starts = [crystals.take(np.array([row])) for row in range(len(crystals))]
    return [_within_limits(end, start, limits) for end, start in zip(ends, starts, strict=True)]


def _within_limits(end: RelaxedCrystal, start: Crystals, limits: RelaxationLimits) -> RelaxedCrystal:
    """Apply our limits of explosions to a relaxation that was made by the potential itself."""
    if end.outcome not in (Outcome.CONVERGED, Outcome.NOT_CONVERGED):
        return end._replace(cell=start.lattice[0], frac_coords=start.frac_coords)
    try:
        volume = float(start.volumes[0])
        gated(end.cell, end.frac_coords @ end.cell, start.species, start_volume=volume, limits=limits)
    except Exploded as error:
        return RelaxedCrystal(
            Outcome.EXPLODED, start.lattice[0], start.frac_coords, (end.energies[0], np.nan), end.steps, end.seconds,
            np.nan, detail=str(error),
        )  # fmt: skip
    if not np.isfinite(end.energies).all():
        return failed(start.lattice[0], start.frac_coords, code="E-POTENTIAL-NONFINITE", detail="no finite energy")
    return end


def _packed(ends: Sequence[RelaxedCrystal]) -> bytes:
    known = [{"outcome": end.outcome.value, "code": end.code, "detail": end.detail} for end in ends]
    numbers = [[*end.energies, end.steps, end.seconds, end.largest_force] for end in ends]
    cells = np.array([end.cell for end in ends], float)
    places = np.concatenate([end.frac_coords for end in ends])
    return pack({"ends": known}, {"cells": cells, "places": places, "numbers": np.array(numbers, float)})


def readiness(name: str, options: Mapping[str, Any]) -> bytes:
    """Load a potential in the nursery; the answer tells how many sites it wants in a batch, or why it has no use."""
    try:
        potential, example = shared_potential(name, options), example_crystals().take([0])
        require_capability(potential, RelaxesBatches.__name__, Evaluates.__name__)
        if device_of(potential) == PROCESSOR:  # a GPU that was used here could not be used by forked processes
            _warm_up(potential, example)
    except MatloopError as error:
        return pack({"error": [error.code, error.got, error.allowed, error.fix]})
    return pack({"batch_sites": potential.batch_sites})


def _warm_up(potential: Potential, example: CandidateBatch) -> None:
    """Load and compile now what would otherwise count against the time of the first crystal."""
    limits = RelaxationLimits(steps=1)
    if isinstance(potential, RelaxesBatches):
        potential.relax_batch(example, limits=limits, relax_cell=True)
    else:
        assert isinstance(potential, Evaluates)
        potential.evaluate(example)
        relax_crystal(example.atoms(0), potential, limits=limits)


def get_ready(worker: GuardedWorker, potential: str, parameters: Mapping[str, Any]) -> int:
    """Load the potential into the nursery; return the most sites that it wants in a batch."""
    asked = {"potential": potential, "parameters": dict(parameters), "allowed": allowed_modules()}
    try:
        known = unpack(worker.prepare(pack(asked))).values
    except GuardError as error:
        raise PotentialError(f"potential '{potential}' cannot be used: {error.got}", error.allowed) from error
    if "error" in known:
        code, *parts = known["error"]
        raise _ERRORS.get(code, PotentialError)(*parts)
    return min(max(int(known["batch_sites"]), 1), _MOST_SITES)


def _message(crystals: Crystals, manner: Mapping[str, Any]) -> bytes:
    arrays = {
        "lattice": crystals.lattice, "offsets": crystals.offsets, "species": crystals.species,
        "places": crystals.frac_coords,
    }  # fmt: skip
    return pack(manner, arrays)


def _ends(starts: Crystals, reply: bytes | Failure) -> list[RelaxedCrystal] | None:
    """Return how relaxations ended, or None if a batch has to be halved; the answer of the child is checked."""
    if isinstance(reply, Failure):
        code, detail = CODES[reply.code], reply.detail
    else:
        try:
            return _read(starts, reply)
        except (ValueError, KeyError, TypeError) as error:
            code, detail = "E-POTENTIAL-CRASH", f"the process gave no usable answer: {error}"[:200]
    return [failed(starts.lattice[0], starts.frac_coords, code=code, detail=detail)] if len(starts) == 1 else None


def _read(starts: Crystals, reply: bytes) -> list[RelaxedCrystal]:
    """Read the ends of relaxations from the answer of a child.

    Raises:
        ValueError: If the answer holds no valid ends.
    """
    values, arrays = unpack(reply)
    cells, places, numbers, known = (*(arrays[name] for name in ("cells", "places", "numbers")), values["ends"])
    expected = (starts.lattice.shape, starts.frac_coords.shape, (len(starts), 5), len(starts))
    if (cells.shape, places.shape, numbers.shape, len(known)) != expected:
        raise ValueError("arrays of the wrong shape")
    ends = []
    for row, (first, stop) in enumerate(itertools.pairwise(starts.offsets.tolist())):
        code, detail = str(known[row]["code"]), str(known[row]["detail"])[:500]
        if code not in {"", *ROW_CODES}:
            raise ValueError("an unknown code")
        before, after, steps, seconds, force = numbers[row].tolist()
        outcome, cell, coords = Outcome(known[row]["outcome"]), cells[row], places[first:stop]
        ends.append(RelaxedCrystal(outcome, cell, coords, (before, after), int(steps), seconds, force, code, detail))
    return ends
