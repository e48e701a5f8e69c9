"""Blocks: flat arrays on the rows of a table of candidates, such as compositions and crystals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

COMPOSITIONS = "compositions"
CRYSTALS = "crystals"


@runtime_checkable
class Block(Protocol):
    """Data of n candidates in flat arrays.

    Attributes:
        columns: The Arrow columns that hold the block in a table.
    """

    columns: ClassVar[tuple[str, ...]]

    def __len__(self) -> int:
        """Number of candidates."""
        ...

    def take(self, indices: NDArray[np.integer]) -> Self:
        """The candidates at ``indices``, in that order."""
        ...

    def present(self) -> NDArray[np.bool_]:
        """Which candidates have content in the block, shape (n,)."""
        ...

    def to_columns(self) -> dict[str, pa.Array]:
        """The block as Arrow columns of length n, named by :attr:`columns`."""
        ...

    @classmethod
    def from_columns(cls, arrays: Mapping[str, pa.Array]) -> Self:
        """Read the block that :meth:`to_columns` wrote; a null is a candidate without content."""
        ...


def list_array(offsets: NDArray[np.int64], values: NDArray[Any]) -> pa.ListArray:
    """An Arrow list column from offsets and flat values."""
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values))


def list_parts(array: pa.ListArray) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Offsets from zero and flat values of an Arrow list column; a null counts as an empty list."""
    offsets = array.offsets.to_numpy().astype(np.int64)
    return offsets - offsets[0], array.flatten().to_numpy(zero_copy_only=False)
