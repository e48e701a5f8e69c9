"""The child process of :mod:`matloop.featurizers.guard.guarded`, which featurizes candidates."""

from __future__ import annotations

import contextlib
import functools
import json
from typing import Any

import numpy as np
import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import COMPOSITIONS, CRYSTALS
from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import MatloopError
from matloop.data.guard.messages import pack, unpack
from matloop.data.options import check_options
from matloop.data.properties.columns import Column
from matloop.data.registry import lookup
from matloop.featurizers.base import Featurizer, featurize_checked
from matloop.featurizers.registry import FEATURIZERS

_TABLE = {**FEATURIZERS, "matminer": "matloop.featurizers.matminer.rows:MatminerRows"}
del _TABLE["guarded"]  # a guarded featurizer must not start another guard


def batch_message(batch: CandidateBatch, made_of: str) -> bytes:
    """Pack candidates as a message to :func:`answer`.

    Args:
        batch: Candidates; columns other than identity, composition and crystal are left out.
        made_of: Name and options of the featurizer, as JSON.
    """
    compositions, crystals = batch.compositions, batch.crystals
    arrays: dict[str, Any] = {
        "element_offsets": compositions.offsets, "elements": compositions.elements, "amounts": compositions.amounts
    }  # fmt: skip
    if crystals is not None:
        arrays |= {
            "lattice": crystals.lattice, "offsets": crystals.offsets, "species": crystals.species,
            "frac_coords": crystals.frac_coords,
        }  # fmt: skip
    return pack({"made_of": made_of, "candidate_id": batch.ids, "formula": batch.formulas}, arrays)


def answer(message: bytes) -> bytes:
    """Compute features of the candidates in a message, or describe the featurizer if the message holds none.

    Raises:
        MemoryError: If there is not enough memory; any other exception of the featurizer is part of the answer.
    """
    values, arrays = unpack(message)
    featurizer = values["made_of"]
    if "formula" not in values:
        return _description(featurizer)
    try:
        features = featurize_checked(_featurizer(featurizer), _candidates(values, arrays))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  # a featurizer may raise anything for a strange material
        return pack({"error": f"{type(error).__name__}: {error}"[:500]})
    details = {str(row): detail for row, detail in features.details.items()}
    return pack({"codes": features.codes.tolist(), "details": details}, {"features": features.values})


def _description(made_of: str) -> bytes:
    try:
        featurizer = _featurizer(made_of)
    except MatloopError as error:
        return pack({"error": [error.code, error.got, error.allowed, error.fix]})
    with contextlib.suppress(Exception):  # some featurizers cannot compute rock salt
        featurize_checked(featurizer, _salt())  # so that imports and compiled code are ready in every child
    return pack(
        {
            "version": featurizer.version,
            "feature_names": list(featurizer.feature_names),
            "needs": sorted(featurizer.needs),
            "parameters": dict(featurizer.parameters),
            "words": [featurizer.words(name).to_json() for name in featurizer.feature_names],
        }
    )


def _salt() -> CandidateBatch:
    cell = 2.82 * (np.ones((1, 3, 3)) - np.eye(3))
    sites = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    return CandidateBatch.from_crystals(Crystals(cell, np.array([0, 2]), np.array([11, 17], np.uint8), sites))


@functools.lru_cache
def _featurizer(made_of: str) -> Featurizer:
    name, options = json.loads(made_of)
    factory = lookup("featurizer", _TABLE, name)
    check_options(name, factory, options)
    return factory(**options)


def _candidates(values: dict[str, Any], arrays: dict[str, Any]) -> CandidateBatch:
    table = pa.table({name: pa.array(values[name], pa.string()) for name in (Column.CANDIDATE_ID, Column.FORMULA)})
    compositions = Compositions(*(arrays[name] for name in ("element_offsets", "elements", "amounts")))
    if "lattice" not in arrays:
        return CandidateBatch(table, {COMPOSITIONS: compositions})
    crystals = Crystals(*(arrays[name] for name in ("lattice", "offsets", "species", "frac_coords")))
    return CandidateBatch(table, {COMPOSITIONS: compositions, CRYSTALS: crystals})
