"""Hard filters: each says for every candidate of a batch whether it stays, and if not, why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import ELEMENT_COUNT, EXCLUDED_ELEMENT, KNOWN_COMPOUND, REQUIRED_ELEMENT, Reason
from matloop.data.elements import ATOMIC_NUMBERS, RADIOACTIVE, SYMBOLS
from matloop.data.errors import unknown_name
from matloop.data.properties.columns import Column


class Verdict(NamedTuple):
    """What a filter says of n candidates.

    Attributes:
        keep: Whether each stays, shape (n,).
        reasons: A :class:`Reason` for each that goes; None where it stays, shape (n,).
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


class Filter(Protocol):
    """A predicate over batches.

    Attributes:
        name: Name in the registry.
    """

    name: str

    def judge(self, batch: CandidateBatch) -> Verdict:
        """Which candidates stay."""
        ...


class ExcludeElements:
    """No candidate with any of these elements.

    Args:
        elements: Symbols.

    Raises:
        UnknownNameError: For a symbol that is no element.
    """

    name = "exclude_elements"

    def __init__(self, elements: Sequence[str]) -> None:
        self.numbers = _numbers(elements)

    def judge(self, batch: CandidateBatch) -> Verdict:
        """Which candidates stay."""
        present = batch.compositions.element_mask()[:, self.numbers]
        keep = ~np.any(present, axis=1)
        named = [Reason(EXCLUDED_ELEMENT, SYMBOLS[number], source=self.name) for number in self.numbers]
        return Verdict.of(keep, [named[place] for place in present.argmax(axis=1)] if named else [])


class ExcludeRadioactive(ExcludeElements):
    """No candidate with an element that has no stable isotope (technetium, promethium, polonium and beyond)."""

    name = "exclude_radioactive"

    def __init__(self) -> None:
        super().__init__(sorted(RADIOACTIVE))


class RequireElements:
    """Only candidates with at least one of these elements.

    Args:
        elements: Symbols.

    Raises:
        UnknownNameError: For a symbol that is no element.
    """

    name = "require_elements"

    def __init__(self, elements: Sequence[str]) -> None:
        self.numbers = _numbers(elements)

    def judge(self, batch: CandidateBatch) -> Verdict:
        """Which candidates stay."""
        keep = np.any(batch.compositions.element_mask()[:, self.numbers], axis=1)
        wanted = ", ".join(SYMBOLS[number] for number in self.numbers)
        return Verdict.of(keep, Reason(REQUIRED_ELEMENT, limit=wanted, source=self.name))


class NewCompounds:
    """Only compositions that are not known to the packaged crystals or the transport data."""

    name = "new_compounds"

    def judge(self, batch: CandidateBatch) -> Verdict:
        """Which candidates stay."""
        keep = ~batch.column(Column.KNOWN).astype(bool)
        return Verdict.of(keep, Reason(KNOWN_COMPOUND, source=self.name))


class ElementCount:
    """Only candidates with so many different elements.

    Args:
        least: Smallest number of elements.
        most: Largest number of elements.
    """

    name = "element_count"

    def __init__(self, *, least: int = 1, most: int = 10) -> None:
        self.least, self.most = least, most

    def judge(self, batch: CandidateBatch) -> Verdict:
        """Which candidates stay."""
        counts = batch.compositions.lengths
        keep = (counts >= self.least) & (counts <= self.most)
        limit = f"{self.least}–{self.most}"
        return Verdict.of(keep, [Reason(ELEMENT_COUNT, int(n), limit, self.name) for n in counts])


def _numbers(elements: Sequence[str]) -> NDArray[np.int64]:
    if isinstance(elements, str):
        elements = [elements]  # `exclude_elements: Cd` means cadmium, not C and d
    for symbol in elements:
        if symbol not in ATOMIC_NUMBERS:
            raise unknown_name("element", str(symbol), ATOMIC_NUMBERS)
    return np.array([ATOMIC_NUMBERS[symbol] for symbol in elements], np.int64)
