"""Lattice vibrations under guard: crystals under a time and a memory limit, in a process that may be killed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from ase import Atoms
from numpy.typing import NDArray

from matloop.data.allowed_modules import allowed_modules, allowing
from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import ROW_CODES
from matloop.data.guard.guarded import Failure, LongItem
from matloop.data.guard.messages import pack, unpack
from matloop.data.guard.shared_workers import shared_worker
from matloop.data.properties.columns import Column
from matloop.models.potentials.contract import Evaluates, shared_potential
from matloop.models.potentials.guarded_relaxation import CODES, get_ready, readiness
from matloop.models.potentials.phonons import PhononSettings, Vibrations, require_phonopy, vibrations
from matloop.models.potentials.relaxation import rows_to_relax
from matloop.models.potentials.relaxed_crystal import RelaxationLimits

ANSWER = "matloop.models.potentials.guarded_phonons:answer"
_GRACE_SECONDS = 60.0
_MEGABYTES = 4000.0


def phonons_guarded(
    potential: str,
    batch: CandidateBatch,
    settings: PhononSettings | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
) -> CandidateBatch:
    """Find the lowest frequency of each crystal of a batch, and survive crystals that end their process.

    Args:
        potential: Name of a registered potential that evaluates crystals.
        batch: n crystals.
        settings: Limits for each of them.
        parameters: Options of the potential; plain JSON values.

    Returns:
        The batch with the columns ``phonon_lowest`` (THz), ``phonon_imaginary``, ``phonon_point``,
        ``phonon_supercell``, ``phonon_code`` and ``phonon_detail``. A crystal without frequencies has a code, and says
        no more.

    Raises:
        BatchError: If the batch has no crystals.
        UnknownNameError: For an unknown potential or option.
        PotentialError: If phonopy is not installed, or the potential cannot be loaded.
    """
    require_phonopy()
    chosen, options = settings or PhononSettings(), dict(parameters or {})
    timeout = chosen.seconds + chosen.resting.seconds + _GRACE_SECONDS
    rows = rows_to_relax(batch)
    worker = shared_worker(ANSWER, memory_limit=int(_MEGABYTES * 1e6), timeout=timeout)
    get_ready(worker, potential, options)
    manner = {
        "potential": potential, "parameters": options, "settings": asdict(chosen), "allowed": allowed_modules(),
    }  # fmt: skip
    messages = (LongItem(_message(batch, row, manner), timeout) for row in rows)
    found = [Vibrations(code="E-POTENTIAL-CRYSTAL")] * len(batch)
    for row, reply in zip(rows, worker.map(messages), strict=True):
        found[row] = _read(reply)
    columns: dict[str, Any] = {
        Column.PHONON_LOWEST: pa.array([each.lowest for each in found], pa.float64(), from_pandas=True),
        Column.PHONON_IMAGINARY: pa.array([None if each.code else each.is_imaginary for each in found], pa.bool_()),
        Column.PHONON_POINT: ["" if each.code else " ".join(f"{x:g}" for x in each.point) for each in found],
        Column.PHONON_SUPERCELL: [" x ".join(map(str, each.supercell)) for each in found],
        Column.PHONON_CODE: [each.code for each in found],
        Column.PHONON_DETAIL: [each.detail for each in found],
    }
    return batch.with_columns(columns)


def answer(message: bytes) -> bytes:
    """Find the vibrations of the crystal in a message, in the child; one without a crystal gets the potential ready.

    Raises:
        MemoryError: If there is not enough memory.
    """
    values, arrays = unpack(message)
    with allowing(values["allowed"]):
        if not arrays:
            return readiness(values["potential"], values["parameters"])
        potential = shared_potential(values["potential"], values["parameters"])
        if not isinstance(potential, Evaluates):
            found = Vibrations(code="E-POTENTIAL-FAILED", detail="the potential gives no forces")
        else:
            atoms = Atoms(arrays["species"], cell=arrays["cell"], scaled_positions=arrays["places"], pbc=True)
            found = vibrations(atoms, potential, _settings(values["settings"]))
    if found.code == "E-POTENTIAL-MEMORY":
        raise MemoryError(found.detail)  # the guard tries once more, in a fresh process
    numbers = np.array([found.lowest, found.highest, *found.point], float)
    told = {
        "code": found.code, "detail": found.detail, "supercell": list(found.supercell),
        "displacements": found.displacements,
    }  # fmt: skip
    return pack(told, {"numbers": numbers})


def _settings(values: Mapping[str, Any]) -> PhononSettings:
    resting = {**values["resting"], "volume_ratio": tuple(values["resting"]["volume_ratio"])}
    return PhononSettings(**{**values, "resting": RelaxationLimits(**resting)})


def _message(batch: CandidateBatch, row: int, manner: Mapping[str, Any]) -> bytes:
    cell, species, places = batch.cell(row)
    arrays: dict[str, NDArray[Any]] = {"cell": cell, "species": species, "places": places}
    return pack(manner, arrays)


def _read(reply: bytes | Failure) -> Vibrations:
    """Read the answer of a child; one that makes no sense is that of a broken process."""
    if isinstance(reply, Failure):
        return Vibrations(code=CODES[reply.code], detail=reply.detail)
    try:
        values, arrays = unpack(reply)
        lowest, highest, *point = arrays["numbers"].tolist()
        x, y, z = point
        code, detail = str(values["code"]), str(values["detail"])[:500]
        repeats = tuple(int(repeat) for repeat in values["supercell"][:3])
        if code not in {"", *ROW_CODES} or (not code and not np.isfinite([lowest, highest]).all()):
            raise ValueError("a code or frequency that cannot be")
        return Vibrations(lowest, (x, y, z), repeats, highest, int(values["displacements"]), code, detail)
    except (ValueError, KeyError, TypeError) as error:
        return Vibrations(code="E-POTENTIAL-CRASH", detail=f"the process gave no usable answer: {error}"[:200])
