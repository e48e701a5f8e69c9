"""Predicates made of filters: all of some, any of some, and the opposite of one, with what is not known kept apart.

A candidate may meet a predicate, not meet it, or it may not be known, as where the price of one of its elements is not.
Combined predicates follow the logic of S. C. Kleene, Introduction to Metamathematics (1952), section 64: what is not
known decides nothing as long as the other parts leave the answer open, and its opposite is not known either. Only
candidates that are known to meet a predicate pass. So a fact that is not known never speaks for a candidate.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import Reason
from matloop.data.label import Label
from matloop.data.training.known_materials import KnownMaterials
from matloop.screening.filters.contract import Filter, Verdict

NEGATED = "R-FILTER-NEGATED"
"""Meets what must not be met; the limit tells it."""
NO_ALTERNATIVE = "R-FILTER-NO-ALTERNATIVE"
"""Meets none of several alternatives; the value is that of the first one, the limit tells all of them."""


class Answer(NamedTuple):
    """Whether each of n candidates meets a predicate.

    Attributes:
        met: Whether it is known that the candidate meets it, shape (n,).
        unknown: Whether it is not known, shape (n,); never where it is met.
        against: A :class:`Reason` for each candidate that does not meet it or of which it is not known, else None,
            shape (n,).
        in_favour: A :class:`Reason` that the opposite would give for each candidate that meets it, else None, shape
            (n,).
    """

    met: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    against: NDArray[Any]
    in_favour: NDArray[Any]


def answer_of(filter_: Filter, batch: CandidateBatch) -> Answer:
    """What a filter says of candidates; a plain filter leaves nothing unknown."""
    if isinstance(filter_, Predicate):
        return filter_.answer(batch)
    verdict = filter_.judge(batch)
    opposite = reasons_where(verdict.keep, Reason(NEGATED, limit=str(filter_)))
    return Answer(verdict.keep, np.zeros(len(batch), bool), verdict.reasons, opposite)


def reasons_where(mask: NDArray[np.bool_], reason: Reason | Callable[[int], Reason]) -> NDArray[Any]:
    """Reasons of the candidates of a mask, None elsewhere, shape (n,).

    Args:
        mask: Shape (n,).
        reason: One for all of them, or what makes that of a candidate by its place.
    """
    reasons = np.full(len(mask), None, dtype=object)
    for row in np.flatnonzero(mask).tolist():
        reasons[row] = reason if isinstance(reason, Reason) else reason(row)
    return reasons


class Predicate(Filter):
    """A filter that tells what is not known apart from what is not met."""

    @abstractmethod
    def answer(self, batch: CandidateBatch) -> Answer:
        """Which candidates meet it, and of which that is not known."""

    def judge(self, batch: CandidateBatch) -> Verdict:
        """Which candidates stay: those that are known to meet it."""
        answer = self.answer(batch)
        named = [reason and dataclasses.replace(reason, source=self.name) for reason in answer.against.tolist()]
        reasons = np.full(len(named), None, dtype=object)
        reasons[:] = named
        return Verdict(answer.met, reasons)


class _Combined(Predicate):
    """Several filters with a sign between them."""

    sign: ClassVar[str]

    def __init__(self, *parts: Filter) -> None:
        inner = [part.parts if isinstance(part, type(self)) else (part,) for part in parts]
        self.parts: tuple[Filter, ...] = tuple(part for several in inner for part in several)
        self.reason_words = words_of(*self.parts)  # type: ignore[misc]

    @property
    def fact_tables(self) -> tuple[str, ...]:
        """Tables of facts that its parts rest on, each once."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.fact_tables))

    def __str__(self) -> str:
        return f" {self.sign} ".join(_bracketed(part) for part in self.parts)


class AllOf(_Combined):
    """Candidates that meet every part.

    >>> from matloop.screening.filters.element_count import ElementCount
    >>> from matloop.screening.filters.elements import ExcludeElements
    >>> str(ExcludeElements(["Cd", "Pb"]) & ElementCount(least=2, most=4))
    'exclude_elements(Cd, Pb) & element_count(least=2, most=4)'
    """

    name = "all_of"
    sign = "&"

    def answer(self, batch: CandidateBatch) -> Answer:
        """Which candidates meet every part; the reason is that of the first part that is not met."""
        answers = [answer_of(part, batch) for part in self.parts]
        failed = np.array([~answer.met & ~answer.unknown for answer in answers])
        met = np.all([answer.met for answer in answers], axis=0)
        unknown = ~met & ~failed.any(axis=0)
        against = np.full(len(batch), None, dtype=object)
        for deciding in (np.array([answer.unknown for answer in answers]), failed):  # what is not met goes first
            first, rows = deciding.argmax(axis=0), np.flatnonzero(deciding.any(axis=0))
            for row in rows.tolist():
                against[row] = answers[first[row]].against[row]
        return Answer(met, unknown, against, reasons_where(met, Reason(NEGATED, limit=str(self))))

    @classmethod
    def title(cls) -> Label:
        """What it looks at."""
        return Label("several conditions", "多项条件")

    def margin(self, finalist: CandidateBatch, *, known: KnownMaterials) -> Label:
        """By what margin a candidate meets each part."""
        return _joined([part.margin(finalist, known=known) for part in self.parts])


class AnyOf(_Combined):
    """Candidates that meet at least one part.

    >>> from matloop.screening.filters.elements import ExcludeElements, RequireElements
    >>> str(ExcludeElements("Pb") | (RequireElements("Ti") & RequireElements("Zr")))
    'exclude_elements(Pb) | (require_elements(Ti) & require_elements(Zr))'
    """

    name = "any_of"
    sign = "|"

    def answer(self, batch: CandidateBatch) -> Answer:
        """Which candidates meet a part."""
        answers = [answer_of(part, batch) for part in self.parts]
        met = np.any([answer.met for answer in answers], axis=0)
        unclear = np.array([answer.unknown for answer in answers])
        unknown = ~met & unclear.any(axis=0)
        first, text = unclear.argmax(axis=0), str(self)
        against = np.full(len(batch), None, dtype=object)
        for row in np.flatnonzero(~met).tolist():
            if unknown[row]:
                against[row] = answers[first[row]].against[row]
            else:
                against[row] = Reason(NO_ALTERNATIVE, answers[0].against[row].value, text)
        return Answer(met, unknown, against, reasons_where(met, Reason(NEGATED, limit=text)))

    @classmethod
    def title(cls) -> Label:
        """What it looks at."""
        return Label("one of several conditions", "多项条件之一")

    def margin(self, finalist: CandidateBatch, *, known: KnownMaterials) -> Label:
        """By what margin a candidate meets those parts that it meets."""
        meets = [part for part in self.parts if answer_of(part, finalist).met.all()]
        return _joined([part.margin(finalist, known=known) for part in meets])


class Negation(Predicate):
    """Candidates of which it is known that they do not meet a filter.

    >>> from matloop.screening.filters.elements import RequireElements
    >>> str(~RequireElements("O"))
    '~require_elements(O)'
    """

    name = "negation"

    def __init__(self, part: Filter) -> None:
        self.part = part
        self.reason_words = words_of(part)  # type: ignore[misc]

    @property
    def fact_tables(self) -> tuple[str, ...]:
        """Tables of facts that its part rests on."""
        return self.part.fact_tables

    def __str__(self) -> str:
        return f"~{_bracketed(self.part)}"

    def __invert__(self) -> Filter:
        return self.part

    def answer(self, batch: CandidateBatch) -> Answer:
        """Which candidates do not meet it."""
        answer = answer_of(self.part, batch)
        met = ~answer.met & ~answer.unknown
        against = np.where(answer.unknown, answer.against, answer.in_favour)
        return Answer(met, answer.unknown, against, reasons_where(met, lambda row: answer.against[row]))

    @classmethod
    def title(cls) -> Label:
        """What it looks at."""
        return Label("the opposite of a condition", "条件的否定")

    def margin(self, finalist: CandidateBatch, *, known: KnownMaterials) -> Label:
        """Say what the candidate does not meet."""
        return Label(f"does not meet {self.part}", f"不满足 {self.part}")


COMBINED_WORDS: Mapping[str, Label] = {
    NEGATED: Label("meets {limit}", "满足 {limit}"),
    NO_ALTERNATIVE: Label("meets none of: {limit}", "以下条件均不满足：{limit}"),
}
"""Words of the reasons that combined predicates give themselves."""


def words_of(*parts: Filter) -> Mapping[str, Label]:
    """Words of the reasons of some filters, and of what is made of them."""
    return {code: words for part in parts for code, words in part.reason_words.items()} | dict(COMBINED_WORDS)


def _bracketed(part: Filter) -> str:
    return f"({part})" if isinstance(part, _Combined) else str(part)


def _joined(margins: Sequence[Label]) -> Label:
    return Label("; ".join(margin.en for margin in margins), "；".join(margin.zh for margin in margins))
