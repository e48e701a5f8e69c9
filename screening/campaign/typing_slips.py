"""Slips of typing in a campaign file that YAML takes for something else, found in the text of its lines.

YAML says of such a line only what confused it, often some lines later. The functions here name the line, what stands
there and how to write it. They are asked only for files that have a problem, since a title may hold any character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_FULL_WIDTH = {
    "：": ":", "，": ",", "；": ";", "、": ",", "“": '"', "”": '"', "‘": "'", "’": "'", "【": "[", "】": "]",
    "［": "[", "］": "]", "｛": "{", "｝": "}", "＃": "#", "－": "-", "＂": '"', "\u3000": "blank",
}  # fmt: skip
"""Punctuation of Chinese and Japanese keyboards -> what YAML needs in its place."""

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\']|\'\')*\'')
_COMMENT = re.compile(r"(?:^|\s)#.*")
_FREE_TEXT = re.compile(r"\s*title(?:_zh)?\s*:")
_WINDOWS_PATH = re.compile(r'"([A-Za-z]:\\(?!\\)\w[^"\\]*(?:\\[^"\\]+)*)"')
_DECIMAL_COMMA = re.compile(r":\s*(-?\d+),(\d+)(?=\s*[,}\]]|\s*$)")


def find_slips(text: str) -> Iterator[tuple[int, str]]:
    """Find what was probably mistyped.

    Args:
        text: A campaign file.

    Yields:
        Line, counted from 1, and what to write there.

    >>> list(find_slips("name：films"))
    [(1, "a full-width '：'; write ':'")]
    """
    yield from windows_paths(text)
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r" *\t[\t ]*\S", line):
            yield number, "a tab at its beginning; indent with blanks"
            continue
        bare = _COMMENT.sub("", _QUOTED.sub('""', line))
        marks = [] if _FREE_TEXT.match(bare) else [mark for mark in dict.fromkeys(bare) if mark in _FULL_WIDTH]
        if marks:
            shown = " and ".join(f"'{mark}'" if mark.strip() else "blank" for mark in marks)
            wanted = " and ".join(
                f"'{plain}'" if plain != "blank" else "a plain blank" for plain in map(_FULL_WIDTH.__getitem__, marks)
            )
            yield number, f"a full-width {shown}; write {wanted}"
        elif match := _DECIMAL_COMMA.search(bare):
            yield number, f"a decimal comma in '{match[1]},{match[2]}'; write {match[1]}.{match[2]}"


def windows_paths(text: str) -> Iterator[tuple[int, str]]:
    r"""Find paths of Windows in double quotes, in which YAML takes ``\n`` for a line break and ``\t`` for a tab.

    >>> dict(windows_paths('path: "D:\\new.csv"'))[1].split("; ")[1]
    "write 'D:\\new.csv' or D:/new.csv"
    """
    for number, line in enumerate(text.splitlines(), 1):
        match = _WINDOWS_PATH.search(line)
        if match and not _COMMENT.search(line[: match.start()]):
            path = match[1]
            escape = path[path.index("\\") :][:2]
            read = {r"\n": "a line break", r"\t": "a tab"}.get(escape, "no backslash")
            yield (
                number,
                (
                    f"a path with single backslashes in double quotes, where {escape} is {read}; "
                    f"write '{path}' or {path.replace(chr(92), '/')}"
                ),
            )
