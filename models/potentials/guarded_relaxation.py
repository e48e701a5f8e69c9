"""Relaxation under guard: each crystal under a time and a memory limit, in a process that may be killed.

A process that calls :func:`relax_guarded` keeps one child, into which the potential is loaded once.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import ROW_CODES, GuardError, MatloopError, PotentialError, UnknownNameError, unknown_name
from matloop.data.guard.guarded import Failure, GuardedWorker
from matloop.data.guard.messages import pack, unpack
from matloop.data.guard.shared_workers import shared_worker
from matloop.models.potentials.contract import Potential, potential_named
from matloop.models.potentials.relaxation import (
    OPTIMIZERS,
    Outcome,
    RelaxationLimits,
    RelaxedCrystal,
    failed,
    relax_crystal,
    relaxed_batch,
    rows_to_relax,
)
from matloop.models.potentials.validation import example_crystals

ANSWER = "matloop.models.potentials.guarded_relaxation:answer"
_CODES = {
    "E-GUARD-TIMEOUT": "E-POTENTIAL-TIMEOUT",
    "E-GUARD-MEMORY": "E-POTENTIAL-MEMORY",
    "E-GUARD-CRASH": "E-POTENTIAL-CRASH",
}


@dataclass(frozen=True)
class GuardedRelaxationSettings:
    """How crystals are relaxed under guard.

    Attributes:
        limits: When a relaxation is over; looked at between two steps.
        grace_seconds: How long beyond ``limits.seconds`` a crystal may take, for its last step, before its process is
            killed, even inside native code.
        megabytes: Memory a crystal may ask for, beyond what the process with the potential holds when idle.
        optimizer: Name in :data:`matloop.models.potentials.relaxation.OPTIMIZERS`.
        relax_cell: Whether the cell relaxes too.
        parameters: Settings of the potential; plain JSON values.
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
    """Relax each crystal of a batch as :func:`.relaxation.relax` does, whatever it does to its process.

    Args:
        potential: Name of a registered potential.
        batch: n crystals that passed :meth:`Crystals.row_codes`.
        settings: How they are relaxed.

    Returns:
        What :func:`~matloop.models.potentials.relaxation.relax` returns. Crystals that took too long, asked for too
        much memory or ended their process have failed with ``relaxation_code`` ``E-POTENTIAL-TIMEOUT``,
        ``E-POTENTIAL-MEMORY`` or ``E-POTENTIAL-CRASH``; the others are what they would be without them.

    Raises:
        BatchError: If the batch has no crystals.
        UnknownNameError: For an unknown potential or optimiser.
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
    _get_ready(worker, potential, chosen.parameters)
    manner = {"limits": asdict(chosen.limits), "optimizer": chosen.optimizer, "relax_cell": chosen.relax_cell}
    starts = [crystals.take(np.array([row])) for row in rows]
    replies = worker.map(_message(potential, chosen.parameters, start, manner) for start in starts)
    return relaxed_batch(batch, [_end(start, reply) for start, reply in zip(starts, replies, strict=True)])


def answer(message: bytes) -> bytes:
    """In the child: relax the crystal in a message, or, where it holds none, get the potential ready.

    Raises:
        MemoryError: If there is not enough memory.
    """
    values, arrays = unpack(message)
    if not arrays:
        return _readiness(values["potential"])
    limits = RelaxationLimits(**{**values["limits"], "volume_ratio": tuple(values["limits"]["volume_ratio"])})
    crystal = Crystals(arrays["lattice"], np.array([0, len(arrays["species"])]), arrays["species"], arrays["places"])
    end = relax_crystal(
        CandidateBatch.from_crystals(crystal).atoms(0), _potential(values["potential"]),
        limits=limits, optimizer=values["optimizer"], relax_cell=values["relax_cell"],
    )  # fmt: skip
    if end.code == "E-POTENTIAL-MEMORY":
        raise MemoryError(end.detail)  # the guard tries once more, in a fresh process
    numbers = np.array([*end.energies, end.steps, end.seconds, end.largest_force], float)
    known = {"outcome": end.outcome.value, "code": end.code, "detail": end.detail}
    return pack(known, {"cell": end.cell, "frac_coords": end.frac_coords, "numbers": numbers})


def _readiness(made_of: str) -> bytes:
    try:
        # What is loaded or compiled when first used must not count against the first crystal's time.
        potential, example = _potential(made_of), example_crystals().take([0])
        potential.evaluate(example)
        relax_crystal(example.atoms(0), potential, limits=RelaxationLimits(steps=1))
    except MatloopError as error:
        return pack({"error": [error.code, error.got, error.allowed, error.fix]})
    return pack({})


def _get_ready(worker: GuardedWorker, potential: str, parameters: Mapping[str, Any]) -> None:
    try:
        known = unpack(worker.prepare(pack(_made_of(potential, parameters)))).values
    except GuardError as error:
        raise PotentialError(f"potential '{potential}' cannot be used: {error.got}", error.allowed) from error
    if "error" in known:
        code, *parts = known["error"]
        raise (UnknownNameError if code == UnknownNameError.code else PotentialError)(*parts)


@functools.lru_cache
def _potential(made_of: str) -> Potential:
    name, parameters = json.loads(made_of)
    return potential_named(name, **parameters)


def _made_of(potential: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    return {"potential": json.dumps([potential, dict(parameters)], sort_keys=True)}


def _message(potential: str, parameters: Mapping[str, Any], crystal: Crystals, manner: Mapping[str, Any]) -> bytes:
    arrays = {"lattice": crystal.lattice, "species": crystal.species, "places": crystal.frac_coords}
    return pack({**_made_of(potential, parameters), **manner}, arrays)


def _end(start: Crystals, reply: bytes | Failure) -> RelaxedCrystal:
    """How a relaxation ended; what the child says is not believed blindly."""
    if isinstance(reply, Failure):
        return failed(start.lattice[0], start.frac_coords, code=_CODES[reply.code], detail=reply.detail)
    try:
        values, arrays = unpack(reply)
        cell, frac_coords, numbers = (arrays[name] for name in ("cell", "frac_coords", "numbers"))
        first, last, steps, seconds, force = numbers.tolist()
        if cell.shape != (3, 3) or frac_coords.shape != start.frac_coords.shape or values["code"] not in {
            "", *ROW_CODES
        }:  # fmt: skip
            raise ValueError("an unknown code, or arrays of the wrong shape")
        outcome = Outcome(values["outcome"])
        code, detail = str(values["code"]), str(values["detail"])[:500]
        return RelaxedCrystal(outcome, cell, frac_coords, (first, last), int(steps), seconds, force, code, detail)
    except (ValueError, KeyError, TypeError) as error:
        detail = f"the process gave no usable answer: {error}"[:200]
        return failed(start.lattice[0], start.frac_coords, code="E-POTENTIAL-CRASH", detail=detail)
