"""A hash set of candidate ids that takes 20 bytes for each of a million, not 120."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import NDArray

_FIRST_SIZE = 1 << 16
_FULLEST = 0.6


class SeenIds:
    """Ids of candidates met so far, in open addressing.

    Only the 80 bits of the hash in an id are kept, not its kind (see :mod:`matloop.data.candidates.identity`).

    >>> seen = SeenIds()
    >>> seen.add(["x00000000000000000001", "x00000000000000000002", "x00000000000000000001"]).tolist()
    [True, True, False]
    """

    def __init__(self) -> None:
        self._low, self._high = np.zeros(_FIRST_SIZE, np.uint64), np.zeros(_FIRST_SIZE, np.uint16)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, ids: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each id, a letter and 20 hexadecimal digits, is met for the first time, shape (n,)."""
        raw = np.frombuffer(bytes.fromhex("".join(name[1:] for name in ids)), np.uint8).reshape(len(ids), 10)
        low = np.ascontiguousarray(raw[:, :8]).view(np.uint64).reshape(-1)
        high = np.ascontiguousarray(raw[:, 8:]).view(np.uint16).reshape(-1)
        while self._count + len(ids) > _FULLEST * len(self._low):
            self._grow()
        new = np.zeros(len(ids), np.bool_)
        _insert(self._low, self._high, low, high, new)
        self._count += int(new.sum())
        return new

    def _grow(self) -> None:
        low, high = self._low, self._high
        self._low, self._high = np.zeros(2 * len(low), np.uint64), np.zeros(2 * len(low), np.uint16)
        used = (low != 0) | (high != 0)
        _insert(self._low, self._high, low[used], high[used], np.zeros(int(used.sum()), np.bool_))


@numba.njit(cache=True, nogil=True)
def _insert(table_low, table_high, low, high, new):  # type: ignore[no-untyped-def]
    """Insert keys; a slot of zeros is free, and a key of zeros (one hash of 2^80) is kept as one."""
    mask = np.uint64(len(table_low) - 1)
    for i in range(len(low)):
        key, rest = low[i], high[i]
        if key == 0 and rest == 0:
            key = np.uint64(1)
        slot = key & mask
        while True:
            if table_low[slot] == 0 and table_high[slot] == 0:
                table_low[slot], table_high[slot] = key, rest
                new[i] = True
                break
            if table_low[slot] == key and table_high[slot] == rest:
                break
            slot = (slot + np.uint64(1)) & mask
