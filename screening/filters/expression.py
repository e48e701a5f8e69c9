"""The language of conditions: predicates joined by ``&``, ``|`` and ``~``, read without running anything.

    condition = alternative ("|" alternative)*
    alternative = part ("&" part)*
    part = "~" part | "(" condition ")" | score comparison number | name ["(" argument ("," argument)* ")"]
    argument = value | word "=" value
    value = word | number | '"' text '"'

A name is a registered filter (``element_count(least=2, most=5)``, ``new_compounds``), a list of elements (``eu_rohs``)
or one of the words in :data:`WORDS`; a score is one of
:data:`~matloop.data.element_facts.composition_scores.SCORES`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

from matloop.data.element_facts.composition_scores import SCORES
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.errors import CampaignError, unknown_name
from matloop.data.registry import lookup
from matloop.screening.filters.combined import AllOf, AnyOf
from matloop.screening.filters.contract import Filter
from matloop.screening.filters.element_facts import COMPARISONS, LISTS, OnList, ScoreLimit
from matloop.screening.registry import FILTERS

WORDS: Mapping[str, str] = {"no_elements": "exclude_elements", "any_element": "require_elements"}
"""Further words for registered filters."""
RECYCLED = "recycled"
"""Every metal of the compound is recycled at its end of life by more than one half."""
_TAKE_LISTS = frozenset({"exclude_elements", "require_elements", "new_compounds", "known_compounds"})
_TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)|(?P<word>[A-Za-z_]\w*)"
    r"|\"(?P<text>[^\"]*)\"|(?P<sign><=|>=|[≤≥<>&|~(),=]))"
)
_ALSO_WRITTEN = {"≤": "<=", "≥": ">="}
_LONGEST = 2_000
_DEEPEST = 40


class _Token(NamedTuple):
    kind: str
    text: str
    place: int


def read_condition(text: str, *, facts: ElementFacts | None = None) -> Filter:
    """Read a condition.

    Args:
        text: At most 2,000 characters, brackets at most 40 deep.
        facts: Facts about elements; the packaged ones of the world by default.

    Raises:
        CampaignError: For a text that is no condition, naming the place.
        UnknownNameError: For a name that nothing has.

    >>> condition = read_condition("(no_elements(Cd, Pb) & supply_risk <= 0.3) | recycled")
    >>> str(condition)
    '(exclude_elements(Cd, Pb) & supply_risk <= 0.3) | recyclability >= 0.5'
    """
    return _Reader(text, facts or ElementFacts()).read()


class _Reader:
    """Reads one condition from left to right."""

    def __init__(self, text: str, facts: ElementFacts) -> None:
        self.text, self.facts, self.depth, self.next = text, facts, 0, 0
        if not isinstance(text, str):  # a campaign file may hold anything in its place
            raise CampaignError(
                f"a condition that is {type(text).__name__} instead of text", "one text", 'write "no_elements(Cd, Pb)"'
            )
        if len(text) > _LONGEST:
            raise CampaignError(f"a condition of {len(text):,} characters", f"at most {_LONGEST:,}")
        self.tokens = self._tokens()

    def _tokens(self) -> list[_Token]:
        tokens, place = [], 0
        while place < len(self.text.rstrip()):
            found = _TOKEN.match(self.text, place)
            if found is None:
                self._refuse(place)
            kind = str(found.lastgroup)
            tokens.append(_Token(kind, _ALSO_WRITTEN.get(found[kind], found[kind]), found.start(kind)))
            place = found.end()
        return [*tokens, _Token("end", "", len(self.text))]

    def read(self) -> Filter:
        condition = self._joined("|", AnyOf, lambda: self._joined("&", AllOf, self._part))
        if self.tokens[self.next].kind != "end":
            self._refuse(self.tokens[self.next].place)
        return condition

    def _joined(self, sign: str, combined: Callable[..., Filter], read_part: Callable[[], Filter]) -> Filter:
        parts = [read_part()]
        while self._took(sign):
            parts.append(read_part())
        return parts[0] if len(parts) == 1 else combined(*parts)

    def _part(self) -> Filter:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise CampaignError(f"a condition nested more than {_DEEPEST} deep", "fewer brackets")
        try:
            if self._took("~"):
                return ~self._part()
            if self._took("("):
                inner = self._joined("|", AnyOf, lambda: self._joined("&", AllOf, self._part))
                self._require(")")
                return inner
            return self._named(self._take("word"))
        finally:
            self.depth -= 1

    def _named(self, word: _Token) -> Filter:
        name = WORDS.get(word.text, word.text)
        if name in SCORES:
            comparison = self._take("sign")
            if comparison.text not in COMPARISONS:
                self._refuse(comparison.place)
            return ScoreLimit(name, comparison.text, float(self._take("number").text), facts=self.facts)
        if name in LISTS:
            return OnList(name, facts=self.facts)
        if name == RECYCLED:
            return ScoreLimit("recyclability", ">=", 0.5, facts=self.facts)
        if name not in FILTERS or name == "condition":
            raise unknown_name(
                "part of a condition", word.text, [*FILTERS.keys() - {"condition"}, *SCORES, *LISTS, *WORDS, RECYCLED]
            )
        listed, named = self._arguments()
        factory = lookup("filter", FILTERS, name)
        try:
            return factory(listed, **named) if name in _TAKE_LISTS and listed else factory(*listed, **named)
        except TypeError as error:
            options = _options_in_words(factory)
            given = ", ".join([*map(str, listed), *(f"{key}={value}" for key, value in named.items())])
            raise CampaignError(
                f"{word.text}({given}) in a condition",
                f"{word.text}({options})" if options else f"{word.text} without options",
            ) from error

    def _arguments(self) -> tuple[list[Any], dict[str, Any]]:
        listed: list[Any] = []
        named: dict[str, Any] = {}
        if not self._took("("):
            return listed, named
        while not self._took(")"):
            if listed or named:
                self._require(",")
            value = self._take("word", "number", "text")
            if value.kind == "word" and self._took("="):
                if value.text in named:
                    self._refuse(value.place, f"{value.text} once")
                named[value.text] = _plain(self._take("word", "number", "text"))
            else:
                listed.append(_plain(value))
        return listed, named

    def _took(self, sign: str) -> bool:
        token = self.tokens[self.next]
        found = token.kind == "sign" and token.text == sign
        self.next += found
        return found

    def _require(self, sign: str) -> None:
        if not self._took(sign):
            self._refuse(self.tokens[self.next].place, f"'{sign}'")

    def _take(self, *kinds: str) -> _Token:
        token = self.tokens[self.next]
        if token.kind not in kinds:
            self._refuse(token.place, f"a {' or a '.join(kinds)}")
        self.next += 1
        return token

    def _refuse(self, place: int, wanted: str = "conditions joined by &, | and ~") -> NoReturn:
        rest = self.text[place : place + 30]
        told = f"'{rest}'" if rest else "its end"
        raise CampaignError(
            f"the condition {self.text!r} cannot be read at {told}", wanted,
            "write for example (no_elements(Cd, Pb) & supply_risk <= 0.3) | recycled",
        )  # fmt: skip


def _options_in_words(factory: Callable[..., Filter]) -> str:
    """The options of a filter as they are written in a condition: ``least=..., most=...``."""
    names = inspect.signature(factory).parameters
    if factory.name in _TAKE_LISTS:  # type: ignore[attr-defined]
        return f"{next(iter(names))}, separated by commas"
    return ", ".join(f"{name}=..." for name in names)


def _plain(token: _Token) -> Any:
    if token.kind != "number":
        return token.text
    number = float(token.text)
    return int(number) if number.is_integer() and re.fullmatch(r"[-+]?\d+", token.text) else number
