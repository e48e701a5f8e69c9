"""Shared parts of the contract checks of sources, featurizers and filters."""

from __future__ import annotations

import hashlib
import pickle
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.errors import ContractError

T = TypeVar("T")
# Edges of rock-salt cells in Å.
_ROCK_SALT = {
    ("Li", "F"): 4.03, ("Na", "Cl"): 5.64, ("K", "Br"): 6.60, ("Mg", "O"): 4.21, ("Ca", "O"): 4.81, ("Ba", "S"): 6.39,
    ("Pb", "Te"): 6.46, ("Ti", "N"): 4.24, ("Mn", "O"): 4.44,
}  # fmt: skip


class Clauses(NamedTuple):
    """Raises an error that names the clause of a contract that something breaks.

    Attributes:
        subject: Name of the thing that is checked: ``source 'table'``.
        contract: Place where the contract is written.
    """

    subject: str
    contract: str

    def require(self, held: bool, clause: str) -> None:
        """Check that a clause holds.

        Raises:
            ContractError: If it does not; the message names the clause.
        """
        if not held:
            raise ContractError(f"{self.subject} breaks its contract: {clause}", f"see {self.contract}")

    def copied(self, thing: T) -> T:
        """Return a copy as another process receives it.

        Raises:
            ContractError: If it cannot be pickled.
        """
        try:
            return pickle.loads(pickle.dumps(thing))  # noqa: S301  # made right here
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            self.require(held=False, clause=f"it cannot be pickled, so that no worker can have it: {error}")
            raise


def content_of(batch: CandidateBatch) -> str:
    """Hash the whole content of a batch, which reveals a change in place."""
    sink = pa.BufferOutputStream()
    table = batch.to_arrow()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def sample_crystals() -> CandidateBatch:
    """Nine crystals with the structure of rock salt, with which featurizers and filters can be tried.

    >>> sample_crystals().formulas[:3]
    ['LiF', 'NaCl', 'KBr']
    """
    half = np.ones((3, 3)) - np.eye(3)
    species = [ATOMIC_NUMBERS[symbol] for pair in _ROCK_SALT for symbol in pair]
    count = len(_ROCK_SALT)
    crystals = Crystals(
        np.stack([edge / 2 * half for edge in _ROCK_SALT.values()]),
        2 * np.arange(count + 1),
        np.array(species, np.uint8),
        np.tile([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]], (count, 1)),
    )
    return CandidateBatch.from_crystals(crystals)
