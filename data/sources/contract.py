"""What every source of candidates is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from matloop.data.candidates.batch import Intake

Recipe = Callable[[], Intake]
"""A batch that is still to be made; travels to whatever process makes it."""


@runtime_checkable
class Source(Protocol):
    """Candidates as a stream of batches.

    Attributes:
        name: Name in the registry.
    """

    name: str

    def count(self) -> int:
        """Exact number of rows that :meth:`intakes` streams, candidates and refused rows together."""
        ...

    def intakes(self, size: int) -> Iterator[Intake]:
        """Batches of at most ``size`` candidates with the rows refused on the way; the same stream every time.

        Every candidate has the column ``origin``: where it comes from, for people. A source whose candidates are known
        compounds says so in the column ``known``; what else a run knows is marked when it takes candidates in.
        """
        ...


@runtime_checkable
class FileSource(Source, Protocol):
    """A source that reads files, so that a run can tell whether they are still what they were."""

    def files(self) -> Sequence[Path]:
        """Every file whose content decides what :meth:`intakes` streams, and no other."""
        ...


@runtime_checkable
class GeneratingSource(Source, Protocol):
    """A source that computes its candidates, so that any process can make any batch of them."""

    def recipes(self, size: int) -> Iterator[Recipe]:
        """What :meth:`intakes` streams, batch by batch, with the costly part still to be done."""
        ...
