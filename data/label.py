"""A short text in both languages, for things that have a title of their own."""

from __future__ import annotations

from typing import NamedTuple


class Label(NamedTuple):
    """The same short text in English and Chinese.

    >>> Label("density", "密度").zh
    '密度'
    """

    en: str
    zh: str
