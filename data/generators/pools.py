"""What the generators share: element pools as users write them, and batches of bare compositions."""

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
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.errors import GeneratorError, UnknownNameError, unknown_name
from matloop.data.properties.columns import Column


def element_pool(symbols: Iterable[str]) -> NDArray[np.int64]:
    """Atomic numbers of a pool, ascending.

    Raises:
        UnknownNameError: If something in it is not the symbol of an element.
        GeneratorError: If an element occurs twice, or the pool is one text instead of a list.

    >>> element_pool(["O", "Fe"]).tolist()
    [8, 26]
    """
    if isinstance(symbols, str):
        raise GeneratorError(f"the elements '{symbols}' as one text", "a list of symbols", 'write ["Fe", "O"]')
    names: list[Any] = list(symbols)  # from a file, where anything may stand
    for name in names:
        if not isinstance(name, str) or name not in ATOMIC_NUMBERS:
            if str(name).capitalize() in ATOMIC_NUMBERS:
                raise UnknownNameError(f"unknown element '{name}'", fix=f"did you mean '{str(name).capitalize()}'?")
            raise unknown_name("element", str(name), ATOMIC_NUMBERS)
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise GeneratorError(f"the elements {', '.join(repeated)} more than once", "each element once")
    return np.sort(np.array([ATOMIC_NUMBERS[name] for name in names], np.int64))


def require_whole(what: str, value: Any, *, least: int, most: int | None = None) -> int:
    """A whole number within bounds.

    Raises:
        GeneratorError: If it is something else; YAML reads 1e5 as a fraction.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        allowed = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"
        raise GeneratorError(f"{what}={value!r}", allowed)
    return value


def composition_intake(compositions: Compositions, origin: str) -> Intake:
    """What a generator of compositions streams: all of them are candidates."""
    return Intake(composition_batch(compositions, origin=origin), [])


def composition_batch(compositions: Compositions, *, origin: str | Sequence[str]) -> CandidateBatch:
    """Candidates known by composition alone, with the column ``origin``.

    Args:
        compositions: n compositions, elements ascending within each.
        origin: Where they come from; one text for all, or one for each.
    """
    n = len(compositions)
    origins = pa.repeat(pa.scalar(origin, pa.string()), n) if isinstance(origin, str) else pa.array(origin, pa.string())
    batch = CandidateBatch.of_kind(COMPOSITION, {COMPOSITIONS: compositions})
    return batch.with_columns({Column.ORIGIN: origins})
