"""Filters by elements: exclude some, or require at least one of some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import Reason
from matloop.data.elements import SYMBOLS, require_elements
from matloop.data.label import Label
from matloop.data.training.known_materials import KnownMaterials
from matloop.screening.filters.contract import Filter, Verdict

EXCLUDED_ELEMENT = "R-FILTER-EXCLUDED-ELEMENT"
"""Holds an element that must not be there; the value is its symbol."""
REQUIRED_ELEMENT = "R-FILTER-REQUIRED-ELEMENT"
"""Holds none of the elements of which one must be there; the limit names them."""


class ExcludeElements(Filter):
    """Reject candidates with any of these elements.

    Args:
        elements: Symbols, or one symbol.

    Raises:
        UnknownNameError: For a symbol that is no element.
    """

    name = "exclude_elements"
    reason_words: ClassVar[Mapping[str, Label]] = {EXCLUDED_ELEMENT: Label("contains {value}", "含 {value}")}

    def __init__(self, elements: str | Sequence[str]) -> None:
        self.numbers = _numbers(elements)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(SYMBOLS[number] for number in self.numbers)})"

    def judge(self, batch: CandidateBatch) -> Verdict:
        """Which candidates stay."""
        present = batch.compositions.element_mask()[:, self.numbers]
        keep = ~np.any(present, axis=1)
        named = [Reason(EXCLUDED_ELEMENT, SYMBOLS[number], source=self.name) for number in self.numbers]
        return Verdict.of(keep, [named[place] for place in present.argmax(axis=1)] if named else [])

    @classmethod
    def title(cls) -> Label:
        """What it looks at."""
        return Label("unwanted elements", "排除指定元素")

    def margin(self, finalist: CandidateBatch, *, known: KnownMaterials) -> Label:
        """Say how many excluded elements it lacks."""
        count = len(self.numbers)
        return Label(f"none of the {count} excluded elements", f"不含 {count} 种排除元素中的任何一种")


class RequireElements(Filter):
    """Keep candidates with at least one of these elements.

    Args:
        elements: Symbols, or one symbol.

    Raises:
        UnknownNameError: For a symbol that is no element.
    """

    name = "require_elements"
    reason_words: ClassVar[Mapping[str, Label]] = {
        REQUIRED_ELEMENT: Label("contains none of {limit}", "不含以下任何元素：{limit}")
    }

    def __init__(self, elements: str | Sequence[str]) -> None:
        self.numbers = _numbers(elements)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(SYMBOLS[number] for number in self.numbers)})"

    def judge(self, batch: CandidateBatch) -> Verdict:
        """Which candidates stay."""
        keep = np.any(batch.compositions.element_mask()[:, self.numbers], axis=1)
        wanted = ", ".join(SYMBOLS[number] for number in self.numbers)
        return Verdict.of(keep, Reason(REQUIRED_ELEMENT, limit=wanted, source=self.name))

    @classmethod
    def title(cls) -> Label:
        """What it looks at."""
        return Label("required elements", "须含指定元素")

    def margin(self, finalist: CandidateBatch, *, known: KnownMaterials) -> Label:
        """Say which of its elements make it pass."""
        held = [SYMBOLS[number] for number in np.intersect1d(finalist.compositions.elements, self.numbers)]
        return Label(f"falls out without {' and '.join(held)}", f"若不含{'、'.join(held)}则出局")


def _numbers(elements: str | Sequence[str]) -> NDArray[np.int64]:
    if isinstance(elements, str):
        elements = [elements]  # `exclude_elements: Cd` means cadmium, not C and d
    return np.array(require_elements(elements), np.int64)
