"""The items of one CIF block: tags with their values, and tables (Hall, Allen, Brown, Acta Cryst. A47, 655, 1991)."""

from __future__ import annotations

import re

from matloop.data.readers.structure_split import Unreadable

_TOKEN = re.compile(r"""#.*|'((?:[^']|'(?=\S))*)'(?=\s|$)|"((?:[^"]|"(?=\S))*)"(?=\s|$)|(\S+)""")
_LONGEST_LINE = 20_000
_NO_LOOP = -1
# Tags that describe the crystal; a contradiction between two of them is never resolved by taking one.
_OF_CRYSTALS = (
    "_cell", "_atom_site", "_symmetry", "_space_group", "_chemical_formula_sum", "_magn", "_parent",
)  # fmt: skip

_Word = tuple[str, bool]


class CifBlock:
    r"""Values by tag. Tags are in lower case, with underscores in place of dots and dashes, and none at the end.

    Args:
        text: Text of one block.

    Raises:
        Unreadable: If the block breaks the rules of CIF, or states a tag of the crystal twice with different values.

    >>> CifBlock("data_a\n_symmetry_space_group_name_H-M 'P 1'").text("_symmetry_space_group_name_h_m")
    'P 1'
    """

    def __init__(self, text: str) -> None:
        self._values: dict[str, list[str]] = {}
        self._loops: dict[str, int] = {}
        self._read(_words_of(text))

    @property
    def tags(self) -> list[str]:
        """Tags with at least one value that is not missing."""
        return [tag for tag, values in self._values.items() if any(values)]

    @property
    def all_tags(self) -> list[str]:
        """Tags of the block, those with missing values too."""
        return list(self._values)

    def text(self, *tags: str) -> str:
        """Return the first value that one of the tags has, or an empty text."""
        for tag in tags:
            value = next(iter(self._values.get(tag, [])), "").strip()
            if value:
                return value
        return ""

    def column(self, *tags: str) -> list[str]:
        """Return the values of the first of the tags that occurs in the block; a missing value is an empty text."""
        return next((self._values[tag] for tag in tags if tag in self._values), [])

    def column_beside(self, neighbour: str, tag: str) -> list[str]:
        """Return a column of the table in which another column stands; empty if the block lacks it.

        Raises:
            Unreadable: If it stands in another table, so that its rows cannot be assigned.
        """
        if tag in self._values and self._loops[tag] != self._loops.get(neighbour):
            raise Unreadable("E-FILE-SYNTAX", f"{tag} and {neighbour} stand in different tables")
        return self._values.get(tag, [])

    def _read(self, words: list[_Word]) -> None:
        at = headers = loops = 0
        while at < len(words):
            word, quoted = words[at]
            lower = word.lower()
            at += 1
            if quoted:
                continue
            if lower.startswith("data_"):
                headers += 1
                if headers > 1:
                    raise Unreadable("E-FILE-SYNTAX", f"the header {_short(word)} does not begin a line")
            elif lower.startswith("_"):
                if at == len(words) or _is_reserved(words[at]):
                    raise Unreadable("E-FILE-SYNTAX", f"{_short(word)} has no value")
                self._set(word, [_value(words[at])], _NO_LOOP)
                at += 1
            elif lower == "loop_":
                at = self._read_loop(words, at, loops)
                loops += 1

    def _read_loop(self, words: list[_Word], at: int, number: int) -> int:
        tags = []
        while at < len(words) and not words[at][1] and words[at][0].startswith("_"):
            tags.append(words[at][0])
            at += 1
        start = at
        while at < len(words) and not _is_reserved(words[at]):
            at += 1
        if not tags or (at - start) % len(tags):
            if not tags or any(_tag(tag).startswith(_OF_CRYSTALS) for tag in tags):
                raise Unreadable("E-FILE-SYNTAX", f"{at - start} values in a loop of {len(tags)} columns")
            return at  # a broken table that does not describe the crystal, such as the references
        values = [_value(word) for word in words[start:at]]
        for column, tag in enumerate(tags):
            self._set(tag, values[column :: len(tags)], number)
        return at

    def _set(self, word: str, values: list[str], loop: int) -> None:
        tag = _tag(word)
        if tag not in self._values:
            self._values[tag], self._loops[tag] = values, loop
        elif self._values[tag] != values and tag.startswith(_OF_CRYSTALS):
            raise Unreadable("E-FILE-SYNTAX", f"{_short(word)} is stated twice, with different values")


def _words_of(text: str) -> list[_Word]:
    """List the words of a block, and for each whether it was quoted."""
    words: list[_Word] = []
    field: list[str] | None = None
    for line in text.split("\n"):
        if line.startswith(";"):
            if field is None:
                field = [line[1:]]
                continue
            words.append(("\n".join(field), True))
            field, line = None, line[1:]
        if field is not None:
            field.append(line)
            continue
        if len(line) > _LONGEST_LINE:
            raise Unreadable("E-FILE-SYNTAX", f"a line of {len(line):,} characters")
        if not any(mark in line for mark in "'\"#"):
            words += [(word, False) for word in line.split()]
            continue
        for match in _TOKEN.finditer(line):
            if match[3] is not None:
                words.append((match[3], False))
            elif not match[0].startswith("#"):
                words.append((match[1] if match[1] is not None else match[2], True))
    if field is not None:
        raise Unreadable("E-FILE-SYNTAX", "a text field is not closed")
    return words


def _tag(word: str) -> str:
    return word.lower().translate(_SEPARATORS).rstrip("_")


_SEPARATORS = str.maketrans(".-", "__")


def _value(word: _Word) -> str:
    """Return a value; a missing one (an unquoted dot or question mark) becomes an empty text."""
    text, quoted = word
    return "" if not quoted and text in (".", "?") else text


def _is_reserved(word: _Word) -> bool:
    text, quoted = word
    return not quoted and (text.startswith("_") or text.lower().startswith(("loop_", "data_", "save_")))


def _short(text: str) -> str:
    return text[:60]
