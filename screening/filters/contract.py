"""The contract of hard filters: predicates over batches that say why a candidate is rejected, and how one passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import Reason
from matloop.data.label import Label
from matloop.data.packaged.citations import Citation
from matloop.data.training.known_materials import KnownMaterials


class Verdict(NamedTuple):
    """The verdict of a filter on n candidates.

    Attributes:
        keep: Whether each candidate stays, shape (n,).
        reasons: A :class:`Reason` for each candidate that is rejected; None for one that stays, shape (n,).
    """

    keep: NDArray[np.bool_]
    reasons: NDArray[Any]

    @classmethod
    def of(cls, keep: NDArray[np.bool_], reasons: Reason | Sequence[Reason]) -> Verdict:
        """A verdict with one reason for all that go, or with the reasons of the n candidates, those that stay included.

        >>> Verdict.of(np.array([True, False]), Reason("R-MY-OWN")).reasons.tolist()
        [None, Reason(code='R-MY-OWN', value='', limit='', source='')]
        """
        given = np.full(len(keep), None, dtype=object)
        gone = np.flatnonzero(~keep).tolist()
        for row in gone:
            given[row] = reasons if isinstance(reasons, Reason) else reasons[row]
        return cls(keep, given)


@runtime_checkable
class Filter(Protocol):
    """A predicate over batches.

    A filter derives from this class and thereby inherits :meth:`title` and :meth:`margin`; one that writes its own is
    understood better. Filters compose: ``one & other`` keeps what both keep, ``one | other`` what either keeps,
    ``~one`` what it rejects. ``str`` of a filter is the text that :mod:`matloop.screening.filters.expression` reads.

    Attributes:
        name: Name in the registry.
        cites: What the report says of data that the filter rests on.
        reason_words: Words of each code that its reasons have; ``{value}`` is what was met, ``{limit}`` what was
            allowed. A code is one of its own, such as ``R-MY-FILTER-TOO-HEAVY``.
    """

    name: str
    cites: ClassVar[tuple[Citation, ...]] = ()
    reason_words: ClassVar[Mapping[str, Label]] = {}

    def judge(self, batch: CandidateBatch) -> Verdict:
        """Which candidates stay."""
        ...

    @property
    def fact_tables(self) -> tuple[str, ...]:
        """Names of the packaged tables of facts about elements that it rests on."""
        return ()

    def __str__(self) -> str:
        return self.name

    def __and__(self, other: Filter) -> Filter:
        from matloop.screening.filters.combined import AllOf  # which derives from this class

        return AllOf(self, other)

    def __or__(self, other: Filter) -> Filter:
        from matloop.screening.filters.combined import AnyOf

        return AnyOf(self, other)

    def __invert__(self) -> Filter:
        from matloop.screening.filters.combined import Negation

        return Negation(self)

    @classmethod
    def title(cls) -> Label:
        """What it looks at, in a few words of both languages; its name where nothing is written."""
        name = cls.name.replace("_", " ")
        return Label(name, name)

    def margin(self, finalist: CandidateBatch, *, known: KnownMaterials) -> Label:  # filters use them
        """By what margin a candidate passes, in both languages.

        Args:
            finalist: One candidate, which passes.
            known: What the run knows.
        """
        return Label("passes", "通过")
