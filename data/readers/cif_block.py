"""The items of one CIF block: tags with their values, and tables (Hall, Allen, Brown, Acta Cryst. A47, 655, 1991)."""

from __future__ import annotations

import re

from matloop.data.readers.structure_split import Unreadable

_TOKEN = re.compile(r"""#.*|'((?:[^']|'(?=\S))*)'(?=\s|$)|"((?:[^"]|"(?=\S))*)"(?=\s|$)|(\S+)""")
_LONGEST_LINE = 20_000
_NO_LOOP = -1
_SYNTAX = ("data_", "_", "loop_", "stop_", "save_", "global_")
_NUMBER = re.compile(r"([+-]?\d{1,12}(?:\.\d{0,12})?)(?:\(\d{1,6}\))?")
_ROUNDED = 5e-4
_OF_WORK = ("_cell_measurement", "_cell_special", "_symmetry_special", "_space_group_special")
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
        self._unknown: set[str] = set()
        self._read(_words_of(text))

    @property
    def tags(self) -> list[str]:
        """Tags with at least one value that is not missing."""
        return [tag for tag, values in self._values.items() if any(values)]

    @property
    def all_tags(self) -> list[str]:
        """Tags of the block, those with missing values too."""
        return list(self._values)

    def has_unknown(self, tag: str) -> bool:
        """Whether a value of a tag is unknown: a question mark, unlike the dot of a default."""
        return tag in self._unknown

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
        last = ""
        while at < len(words):
            word, quoted = words[at]
            lower = word.lower()
            at += 1
            if quoted or not lower.startswith(_SYNTAX):
                if _is_of_crystals(_tag(last)):
                    raise Unreadable(
                        "E-FILE-SYNTAX", f"{_short(last)} has more than one value; put quotation marks around all of it"
                    )
                continue
            if lower.startswith("data_"):
                headers += 1
                if headers > 1:
                    raise Unreadable("E-FILE-SYNTAX", f"the header {_short(word)} does not begin a line")
            elif lower.startswith("_"):
                if at == len(words) or _is_reserved(words[at]):
                    if _is_of_crystals(_tag(word)):
                        raise Unreadable("E-FILE-SYNTAX", f"{_short(word)} has no value")
                    continue
                self._set(word, words[at : at + 1], _NO_LOOP)
                at, last = at + 1, word
            elif lower == "loop_":
                last = ""
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
            if not tags or any(_is_of_crystals(_tag(tag)) for tag in tags):
                raise Unreadable("E-FILE-SYNTAX", f"{at - start} values in a loop of {len(tags)} columns")
            return at  # a broken table that does not describe the crystal, such as the references
        for column, tag in enumerate(tags):
            self._set(tag, words[start + column : at : len(tags)], number)
        return at

    def _set(self, word: str, words: list[_Word], loop: int) -> None:
        tag, values = _tag(word), [_value(one) for one in words]
        if ("?", False) in words:
            self._unknown.add(tag)
        if tag not in self._values:
            self._values[tag], self._loops[tag] = values, loop
        elif _is_of_crystals(tag) and not _are_alike(self._values[tag], values):
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


def _is_of_crystals(tag: str) -> bool:
    return tag.startswith(_OF_CRYSTALS) and not tag.startswith(_OF_WORK)


def _are_alike(some: list[str], others: list[str]) -> bool:
    """Whether values are the same, or one number written with other digits."""
    if some == others:
        return True
    match = [_NUMBER.fullmatch(text) for text in (*some, *others)]
    if len(match) != 2 or not all(match):
        return False
    one, other = (float(found[1]) for found in match if found)
    return abs(one - other) <= _ROUNDED * abs(one)


def _tag(word: str) -> str:
    return word.lower().translate(_SEPARATORS).rstrip("_")


_SEPARATORS = str.maketrans(".-", "__")


def _value(word: _Word) -> str:
    """Return a value; a missing one (an unquoted dot or question mark) becomes an empty text."""
    text, quoted = word
    return "" if not quoted and text in (".", "?") else text


def _is_reserved(word: _Word) -> bool:
    text, quoted = word
    return not quoted and (text.startswith("_") or text.lower().startswith(("loop_", "data_", "save_", "stop_")))


def _short(text: str) -> str:
    return text[:60]
