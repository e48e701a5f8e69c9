r"""Find where the entries of JSON files begin and end, by counting brackets and without building any objects.

A file holds one value, or several after one another (JSON lines). A value that is a list, or an object whose member
``data``, ``entries`` or ``structures`` is a list, is split into the entries of that list. Whatever else stands between
or behind the entries is an entry of its own, so that nothing of a broken or cut file passes uncounted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{},:]', re.DOTALL)
_LISTS = frozenset({'"data"', '"entries"', '"structures"'})
_OF_ONE_CRYSTAL = frozenset({'"sites"', '"structure"', '"lattice_vectors"', '"attributes"'})


def find_entries(text: str) -> Iterator[tuple[int, int]]:
    r"""Yield start and stop of each entry, in order.

    >>> text = '{"entries": [{"a": 1}, {"b": 2}]}'
    >>> [text[start:stop].strip() for start, stop in find_entries(text)]
    ['{"a": 1}', '{"b": 2}']
    >>> text = '{"a": 1}\n{"b":\n{"c": 3}\n'
    >>> [text[start:stop].strip() for start, stop in find_entries(text)]
    ['{"a": 1}', '{"b":', '{"c": 3}']
    """
    end = text.find("\n")
    if end < 0 or not text[end:].strip() or not _is_whole(text, end):
        yield from _entries(text, 0, len(text))
        return
    start = 0
    while start < len(text):  # JSON lines: one that is broken does not harm the others
        stop = text.find("\n", start) + 1 or len(text)
        yield from _entries(text, start, stop)
        start = stop


def _is_whole(text: str, end: int) -> bool:
    """Whether the first line opens a bracket, and closes all that it opens."""
    depth, opened = 0, False
    for match in _TOKEN.finditer(text, 0, end):
        depth += (match[0] in ("[", "{")) - (match[0] in ("]", "}"))
        opened = opened or depth > 0
    return opened and depth == 0


def _entries(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the spans of the entries in a part of the text; ``begin`` is where the text not yet returned begins."""
    begin, depth, list_depth = start, 0, 0
    key = last = ""
    is_split = is_crystal = False
    for match in _TOKEN.finditer(text, start, stop):
        token = match[0]
        if token in ("[", "{"):
            if depth == 0:
                if text[begin : match.start()].strip():
                    yield begin, match.start()
                begin, key, is_split, is_crystal = match.start(), "", False, False
            may_begin = depth == 0 or (depth == 1 and key in _LISTS and not is_crystal)
            depth += 1
            if token == "[" and may_begin and not list_depth:
                begin, list_depth, is_split = match.end(), depth, True
        elif token in ("]", "}") and depth:
            if depth == list_depth:
                if text[begin : match.start()].strip():
                    yield begin, match.start()
                begin, list_depth = match.end(), 0
            depth -= 1
            if depth == 0:
                if is_crystal or not is_split:
                    yield begin, match.end()
                begin = match.end()
        elif token == "," and depth == list_depth and list_depth:
            yield begin, match.start()
            begin = match.end()
        elif token == ":" and depth == 1:
            key = last
            is_crystal = is_crystal or key in _OF_ONE_CRYSTAL
        last = token
    if text[begin:stop].strip():
        yield begin, stop
