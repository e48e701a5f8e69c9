"""What a wrong value of a campaign is told with: plain words and an example instead of a pattern or a Python type."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from matloop.data.plain_text import one_line
from matloop.screening.campaign.campaign import NAME
from matloop.screening.campaign.cluster_settings import ADDRESS, DIRECTIVE, MEMORY, WALLTIME, WORD

_FORMS: Mapping[str, str] = {
    NAME: "1 to 80 letters, digits, dots, hyphens and underscores, such as wide-gap_oxides",
    MEMORY: "a whole number with MB, GB, MiB or GiB, such as 4GB",
    WALLTIME: 'hours, minutes and seconds, such as "4:00:00"; days before them, such as "1-00:00:00"; or minutes',
    WORD: "one word that begins with a letter or digit, at most 80 characters, such as ib0 or long",
    ADDRESS: "an address of a scheduler, such as tls://10.0.0.1:8786",
    DIRECTIVE: "one line of 1 to 200 plain characters, such as --constraint=milan",
}
"""Pattern of a text -> what it means."""

_BOUNDS = {
    "greater_than": ("gt", "larger than"),
    "greater_than_equal": ("ge", "of at least"),
    "less_than": ("lt", "smaller than"),
    "less_than_equal": ("le", "of at most"),
}
_LENGTHS = {"too_short": "min_length", "too_long": "max_length"}
_NATURES = {
    "int_type": "a whole number is expected",
    "int_parsing": "a whole number is expected",
    "int_from_float": "a whole number is expected",
    "float_type": "a number is expected",
    "float_parsing": "a number is expected",
    "finite_number": "a finite number is expected",
    "bool_type": "true or false is expected",
    "bool_parsing": "true or false is expected",
    "tuple_type": "a list is expected; write [a, b], or one item a line after '- '",
    "model_type": "keys with values are expected, each on a line of its own",
    "dict_type": "keys with values are expected, each on a line of its own",
}
"""Kind of a problem, as pydantic names it -> what is expected."""


def problem_words(details: Mapping[str, Any]) -> str:
    """Say what is wrong with a value.

    Args:
        details: One entry of ``ValidationError.errors()``.

    >>> problem_words({"type": "greater_than", "loc": ("size",), "msg": "", "input": 0, "ctx": {"gt": 0}})
    'a number larger than 0 is expected (got 0)'
    """
    kind, written, context = details["type"], details.get("input"), details.get("ctx", {})
    got = f" (got {written_value(written)})"
    if kind in ("string_type", "invalid-json-value") and isinstance(written, bool | int | float | dt.date):
        plain = written_value(written).strip("'\"")
        return f'text is expected, and {plain} without quotes is none; write {details["loc"][-1]}: "{plain}"'
    if kind == "string_pattern_mismatch" and context["pattern"] in _FORMS:
        return f"{_FORMS[context['pattern']]}, is expected{got}"
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"a number {words} {context[key]} is expected{got}"
    if kind in _LENGTHS:
        words = "at least" if kind == "too_short" else "at most"
        return f"a list of {words} {context[_LENGTHS[kind]]} is expected (got {context['actual_length']})"
    if kind == "string_too_long":
        return f"text of at most {context['max_length']} characters is expected (got {len(str(written))})"
    if kind == "string_type":
        return f"text is expected{got}"
    if kind == "literal_error":
        return f"one of {context['expected'].replace(' or ', ', ')} is expected{got}"
    message = str(details["msg"]).removeprefix("Value error, ")
    if kind == "value_error":
        return message if isinstance(written, bool | Mapping | list) else f"{message}{got}"
    return f"{_NATURES.get(kind, message)}{got}"


def written_value(value: Any) -> str:
    """A value as a campaign writes it, cut if it is long.

    >>> written_value([True, float("nan"), "Fe"])
    '[true, nan, "Fe"]'
    """
    if isinstance(value, str):
        return repr(value)[:80]
    text = one_line(json.dumps(value, default=str, ensure_ascii=False))
    text = text.replace("NaN", "nan").replace("Infinity", "inf")
    return text if len(text) <= 80 else f"{text[:80]}..."
