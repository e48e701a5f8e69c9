"""What a registered thing says of itself: its options with their defaults, and the words of its docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple


class Description(NamedTuple):
    """What the docstring of a registered thing says.

    Attributes:
        summary: First paragraph, in one line of Markdown.
        options: Meaning of each option, by its name.
    """

    summary: str
    options: dict[str, str]


def options_of(factory: Callable[..., Any]) -> dict[str, Any]:
    """Default by option of a registered thing; ``inspect.Parameter.empty`` where the option is required.

    >>> from matloop.screening.filters.element_count import ElementCount
    >>> options_of(ElementCount)
    {'least': 1, 'most': 10}
    """
    parameters = inspect.signature(factory).parameters.values()
    return {
        given.name: given.default for given in parameters if given.kind not in (given.VAR_POSITIONAL, given.VAR_KEYWORD)
    }


def read_docstring(docstring: str) -> Description:
    """Read the first paragraph of a docstring, and the description of each argument in its section ``Args``.

    Args:
        docstring: Text without indentation, as :func:`inspect.getdoc` returns it.
    """
    summary = " ".join(docstring.partition("\n\n")[0].split())
    section = re.search(r"^Args:\n((?: {4}.*\n?|\n)+)", docstring, re.MULTILINE)
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section[1], re.MULTILINE) if section else []
    return Description(as_markdown(summary), {name: as_markdown(" ".join(text.split())) for name, text in entries})


def as_markdown(text: str) -> str:
    """Markup of docstrings as Markdown: a role becomes the last part of the name.

    >>> as_markdown("Mixes of :class:`~a.b.Metal`, or ``None``.")
    'Mixes of `Metal`, or `None`.'
    """
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text)
    return text.replace("``", "`")
