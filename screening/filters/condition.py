"""A filter that a campaign writes as a text: conditions on elements, facts and scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.element_facts.own_facts import own_fact_of
from matloop.data.label import Label
from matloop.data.training.known_materials import KnownMaterials
from matloop.screening.filters.combined import COMBINED_WORDS, Answer, Predicate, answer_of
from matloop.screening.filters.element_count import ElementCount
from matloop.screening.filters.element_facts import OnList, ScoreLimit
from matloop.screening.filters.elements import ExcludeElements, RequireElements
from matloop.screening.filters.expression import read_condition
from matloop.screening.filters.known_compounds import KnownCompounds, NewCompounds
from matloop.screening.filters.stated_value import StatedValue

_PARTS = (ExcludeElements, RequireElements, ElementCount, KnownCompounds, NewCompounds, StatedValue, ScoreLimit, OnList)


class Condition(Predicate):
    """Keep candidates that are known to meet a condition on elements, facts about them and scores of compositions.

    For example ``(no_elements(Cd, Pb) & supply_risk <= 0.3) | recycled``. What is not known, such as the price of an
    element, never speaks for a candidate.

    Args:
        text: Filters with their options, lists of elements (``eu_rohs``) and limits on scores (``supply_risk <= 0.3``),
            joined by ``&``, ``|`` and ``~``.
        region: Whose lists and own facts count: ``cn``, ``eu``, ``us`` or ``world``.
        company: Whose own facts count besides those for all.
        facts: CSV file of own facts, which replace packaged ones; a run keeps their rows in its place.

    Raises:
        CampaignError: For a text that is no condition, naming the place.
        UnknownNameError: For a name that nothing has.
        InputFileError: If the file of own facts cannot be used.
    """

    name = "condition"
    reason_words: ClassVar[Mapping[str, Label]] = {
        code: words for part in _PARTS for code, words in part.reason_words.items()
    } | dict(COMBINED_WORDS)

    def __init__(
        self, text: str, *, region: str = "world", company: str = "", facts: str | list[dict[str, Any]] | None = None
    ) -> None:
        if isinstance(facts, list):
            read = ElementFacts.read(None, region=region)
            chosen = ElementFacts(read.region, company, tuple(map(own_fact_of, facts)))
        else:
            chosen = ElementFacts.read(facts, region=region, company=company)
        self.condition = read_condition(text, facts=chosen)

    def __str__(self) -> str:
        return str(self.condition)

    @property
    def fact_tables(self) -> tuple[str, ...]:
        """Tables of facts that the condition rests on."""
        return self.condition.fact_tables

    def answer(self, batch: CandidateBatch) -> Answer:
        """Which candidates meet the condition."""
        return answer_of(self.condition, batch)

    @classmethod
    def title(cls) -> Label:
        """What it looks at."""
        return Label("condition", "条件")

    def margin(self, finalist: CandidateBatch, *, known: KnownMaterials) -> Label:
        """By what margin a candidate meets the parts."""
        return self.condition.margin(finalist, known=known)
