"""Functions that the generators share: reading element pools, and making batches of compositions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.candidates.blocks import COMPOSITIONS
from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.kinds import COMPOSITION
from matloop.data.elements import require_elements
from matloop.data.errors import GeneratorError
from matloop.data.properties.columns import Column


def element_pool(symbols: Iterable[str]) -> NDArray[np.int64]:
    """Return the atomic numbers of a pool, ascending.

    Raises:
        UnknownNameError: If an entry is not the symbol of an element.
        GeneratorError: If an element occurs twice, or the pool is one text instead of a list.

    >>> element_pool(["O", "Fe"]).tolist()
    [8, 26]
    """
    if isinstance(symbols, str):
        raise GeneratorError(f"the elements '{symbols}' as one text", "a list of symbols", 'write ["Fe", "O"]')
    names: list[Any] = list(symbols)  # read from a file, so it may hold anything
    numbers = require_elements([name if isinstance(name, str) else str(name) for name in names])
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise GeneratorError(f"the elements {', '.join(repeated)} more than once", "each element once")
    return np.sort(np.array(numbers, np.int64))


def require_whole(what: str, value: Any, *, least: int, most: int | None = None) -> int:
    """Return a value as a whole number within bounds; YAML reads 1e5 as a float.

    Raises:
        GeneratorError: If the value is not a whole number or out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        allowed = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"
        raise GeneratorError(f"{what}={value!r}", allowed)
    return value


def composition_intake(compositions: Compositions, origin: str) -> Intake:
    """Make an intake in which all compositions are candidates and none is refused."""
    return Intake(composition_batch(compositions, origin=origin), [])


def composition_batch(compositions: Compositions, *, origin: str | Sequence[str]) -> CandidateBatch:
    """Make candidates without a crystal, with the column ``origin``.

    Args:
        compositions: n compositions, elements ascending within each.
        origin: Where the candidates come from: one text for all, or one for each.
    """
    n = len(compositions)
    origins = pa.repeat(pa.scalar(origin, pa.string()), n) if isinstance(origin, str) else pa.array(origin, pa.string())
    batch = CandidateBatch.of_kind(COMPOSITION, {COMPOSITIONS: compositions})
    return batch.with_columns({Column.ORIGIN: origins})
