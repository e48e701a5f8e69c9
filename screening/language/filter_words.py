"""Titles and words of filters: our own and those of other packages."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from matloop.data.errors import PlugInError, UnknownNameError
from matloop.data.label import Label
from matloop.data.registry import lookup, plug_ins
from matloop.screening.registry import FILTERS


def filter_title(name: str) -> Label:
    """Return the title of a filter, or its name if it is not installed.

    >>> filter_title("exclude_radioactive").en, filter_title("not_installed").en
    ('radioactive elements', 'not installed')
    """
    plain = name.replace("_", " ")
    try:
        found = lookup("filter", FILTERS, name)
    except (UnknownNameError, PlugInError):
        return Label(plain, plain)
    return found.title() if hasattr(found, "title") else Label(plain, plain)


@functools.cache
def filter_reasons() -> Mapping[str, Label]:
    """Return the words of the codes of filters, our own and those of other packages; ours are never replaced."""
    words: dict[str, Label] = {}
    for name in [*FILTERS, *(found.name for found in plug_ins("filter"))]:
        try:
            found = lookup("filter", FILTERS, name)
        except PlugInError:
            continue  # what cannot be loaded is told when a campaign asks for it, and by the doctor
        words = {**getattr(found, "reason_words", {}), **words}
    return words
