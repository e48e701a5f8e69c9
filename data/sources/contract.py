"""The interface of every source of candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from matloop.data.candidates.batch import Intake

Recipe = Callable[[], Intake]
"""A function that makes one batch of candidates. It can be sent to another process."""


@runtime_checkable
class Source(Protocol):
    """Yields candidates as a stream of batches.

    Attributes:
        name: Name in the registry.

    A source that reads a file or folder takes it as its option ``path``: in a campaign, a relative one starts at the
    folder of the campaign file.

    A source may also have ``cites``, a tuple of :class:`matloop.data.packaged.citations.Citation` for the report, and
    ``caution``, a :class:`matloop.data.label.Label` that the report shows where its crystals were not relaxed.
    A source of formulas alone has ``gives_crystals = False``, so that a campaign that needs crystals is refused early.
    """

    name: str

    def count(self) -> int:
        """Exact number of rows that :meth:`intakes` yields: candidates plus refused rows."""
        ...

    def intakes(self, size: int) -> Iterator[Intake]:
        """Yield batches of at most ``size`` candidates and the refused rows. The stream is the same on every call.

        Every candidate has the column ``origin``, which tells people where it comes from. A source of known compounds
        sets the column ``known``. A run also marks the candidates that it knows from elsewhere.
        """
        ...


@runtime_checkable
class FileSource(Source, Protocol):
    """A source that reads files, so that a run can check whether the files have changed."""

    def files(self) -> Sequence[Path]:
        """Exactly those files whose content decides what :meth:`intakes` yields."""
        ...


@runtime_checkable
class GeneratingSource(Source, Protocol):
    """A source that computes its candidates, so that any process can make any batch of them."""

    def recipes(self, size: int) -> Iterator[Recipe]:
        """Yield one recipe for each batch of :meth:`intakes`; the costly work is done when the recipe is called."""
        ...
