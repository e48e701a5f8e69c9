"""Detect the format of a structure file and split it into structures. Both work on plain text, in linear time.

One row is one structure: a block of a CIF that lists atoms, an image of an extended XYZ file, an entry of a JSON list,
a line of JSON lines, or any other file as a whole. A file without a structure still gives one row, so that it is
refused and counted.
"""

from __future__ import annotations

import bisect
import itertools
import re
from typing import NamedTuple

from matloop.data.readers.json_split import find_entries

MAX_FILE_BYTES = 20_000_000
MAX_ROWS_PER_FILE = 100_000
_PACKED = (b"PK\3\4", b"\x1f\x8b", b"\xfd7zXZ", b"BZh")
_LINE_ENDS = re.compile(r"\r\n?")


class Unreadable(Exception):
    """Raised when a file, or a part of it, gives no structure.

    Args:
        code: Row code.
        detail: Details about the code.
        formula: Formula, if one could be read.
    """

    def __init__(self, code: str, detail: str = "", formula: str = "") -> None:
        super().__init__(code, detail)
        self.code, self.detail, self.formula = code, detail, formula


class TextRow(NamedTuple):
    """The text of one structure.

    Attributes:
        format: ``cif``, ``poscar``, ``extxyz``, ``xsf`` or ``json``.
        label: Name of the block or number of the image, empty if the file has one structure.
        text: Text of the structure.
    """

    format: str
    label: str
    text: str


def split_rows(name: str, content: bytes) -> list[TextRow]:
    r"""Split a file into the texts of its structures.

    Args:
        name: File name, of which only the ending and the words POSCAR and CONTCAR matter.
        content: Content of the file.

    Returns:
        At least one row.

    Raises:
        Unreadable: If the file is empty, too large, not text or in an unknown format.

    >>> [row.label for row in split_rows("two.cif", b"data_a\n_atom_site_label\ndata_b\n_atom_site_label\n")]
    ['a', 'b']
    """
    if len(content) > MAX_FILE_BYTES:
        raise Unreadable("E-FILE-TOO-LARGE", f"more than {MAX_FILE_BYTES:,} bytes")
    if content.startswith(_PACKED):
        raise Unreadable("E-FILE-FORMAT", "a packed file where a structure file should be")
    text = decode_text(content)
    if not text.strip():
        raise Unreadable("E-FILE-EMPTY")
    kind = detect_format(name, text)
    rows = _SPLITTERS[kind](text) if kind in _SPLITTERS else [TextRow(kind, "", text)]
    if len(rows) > MAX_ROWS_PER_FILE:
        raise Unreadable("E-FILE-TOO-LARGE", f"{len(rows):,} structures, more than {MAX_ROWS_PER_FILE:,}")
    return rows if len(rows) > 1 else [rows[0]._replace(label="")]


def decode_text(content: bytes) -> str:
    """Decode UTF-8, UTF-16 with a byte order mark, or Latin-1. All line ends become single line feeds.

    Raises:
        Unreadable: If the content is not text.
    """
    try:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            text = content.decode("utf-16")
        else:
            text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise Unreadable("E-FILE-ENCODING", "broken UTF-16") from error
        text = content.decode("latin-1")  # for names of authors in old CIFs; the numbers are ASCII in any case
    if "\0" in text:
        raise Unreadable("E-FILE-ENCODING", "holds zero bytes")
    return _LINE_ENDS.sub("\n", text)


def detect_format(name: str, text: str) -> str:
    """Detect the format of a file from its name, or otherwise from its content.

    Raises:
        Unreadable: If the file looks like none of the known formats.
    """
    lower = name.lower()
    head = text[:100_000]
    first = head.lstrip()[:1]
    for ending, kind in _ENDINGS.items():
        if lower.endswith(ending):
            return kind
    if re.search(r"^[ \t]*data_", head, re.MULTILINE) and re.search(r"^[ \t]*(_\w|loop_)", head, re.MULTILINE):
        return "cif"
    lines = head.split("\n", 9)
    if _looks_like_poscar(lines):  # before JSON, since the first line of a POSCAR may begin with a bracket
        return "poscar"
    if first in ("{", "["):
        return "json"
    if re.search(r"^[ \t]*(PRIMVEC|CONVVEC)\b", head, re.MULTILINE):
        return "xsf"
    filled = [line for line in lines if line.strip()]
    if filled[0].strip().isdecimal() and len(filled) > 1 and "=" in filled[1]:
        return "extxyz"
    if re.search(r"poscar|contcar", lower):
        return "poscar"
    raise Unreadable("E-FILE-FORMAT")


def _looks_like_poscar(lines: list[str]) -> bool:
    """Whether a text begins with a comment, one to three factors, and three vectors; comments may follow them."""
    if len(lines) < 8 or not _are_numbers(lines[1].split()[:1]):
        return False
    return all(_are_numbers(line.split()[:3]) and len(line.split()) >= 3 for line in lines[2:5])


def _are_numbers(words: list[str]) -> bool:
    return bool(words) and all(_PLAIN_NUMBER.fullmatch(word) for word in words)


_PLAIN_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eEdD][+-]?[0-9]+)?|[+-]?(?:nan|inf|infinity)", re.I)
_ENDINGS = {
    ".cif": "cif", ".mcif": "cif", ".vasp": "poscar", ".poscar": "poscar", ".extxyz": "extxyz", ".xyz": "extxyz",
    ".xsf": "xsf", ".axsf": "xsf", ".json": "json",
    ".jsonl": "json", ".jsonlines": "json", ".ndjson": "json",
}  # fmt: skip


_CIF_MARK = re.compile(r"^(?:;|[ \t]*data_(\S*))", re.MULTILINE | re.IGNORECASE)
_CIF_ATOMS = re.compile(r"^[ \t]*_atom_site[_.]", re.MULTILINE | re.IGNORECASE)
_CIF_CELL = re.compile(r"^[ \t]*_cell[_.]length", re.MULTILINE | re.IGNORECASE)


def _split_cif(text: str) -> list[TextRow]:
    """Return the blocks that list atoms. If there are none, return the first block with a cell, or the whole file."""
    starts = [(0, "")]
    in_text_field = False
    for match in _CIF_MARK.finditer(text):
        if match[0] == ";":
            in_text_field = not in_text_field
        elif not in_text_field:
            starts.append((match.start(), match[1]))
        if len(starts) > MAX_ROWS_PER_FILE:
            raise Unreadable("E-FILE-TOO-LARGE", f"more than {MAX_ROWS_PER_FILE:,} blocks")
    stops = [start for start, _ in starts[1:]] + [len(text)]
    rows = [TextRow("cif", label, text[start:stop]) for (start, label), stop in zip(starts, stops, strict=True)]
    atoms = [row for row in rows if _CIF_ATOMS.search(row.text)]
    return atoms or [row for row in rows if _CIF_CELL.search(row.text)][:1] or [TextRow("cif", "", text)]


_FILLED_LINE = re.compile(r"\s*(\S[^\n]*)\n?")
_ATOM_COUNT = re.compile(r"[0-9]{1,20}[ \t]*")
_IMAGE = re.compile(r"^[ \t]*([0-9]{1,20})[ \t]*\n[^\n]*=", re.MULTILINE)


def _split_extxyz(text: str) -> list[TextRow]:
    """Split into images: a number of atoms, a comment and as many lines. Blank lines between images are passed over.

    An image with too few or too many lines ends where the next number stands above a comment with ``=``, so that it is
    refused alone.
    """
    rows: list[TextRow] = []
    heads = [match.start(1) for match in _IMAGE.finditer(text)]
    start = 0
    while (line := _FILLED_LINE.match(text, start)) and len(rows) <= MAX_ROWS_PER_FILE:
        following = bisect.bisect_right(heads, line.start(1))
        limit = heads[following] if following < len(heads) else len(text)
        stop = _end_of_image(text, line, limit)
        rows.append(TextRow("extxyz", str(len(rows) + 1), text[line.start(1) : stop].rstrip()))
        start = stop
    return rows


def _end_of_image(text: str, first_line: re.Match[str], limit: int) -> int:
    """Return where the image ends that begins with a line.

    That is ``limit`` if there are fewer lines than atoms, or if one more line follows that looks like an atom.
    """
    if not _ATOM_COUNT.fullmatch(first_line[1]):
        return limit
    end_of_comment = text.find("\n", first_line.end())
    at = end_of_comment + 1 if end_of_comment >= 0 else len(text)
    line = None
    for _ in range(int(first_line[1])):
        line = _FILLED_LINE.match(text, at)
        if line is None or line.start(1) >= limit:
            return limit
        at = line.end()
    following = _FILLED_LINE.match(text, at)
    if line and following and len(line[1].split()) == len(following[1].split()):
        return limit
    return following.start(1) if following else len(text)


def _split_json(text: str) -> list[TextRow]:
    """Split into the entries of a list and of JSON lines."""
    spans = list(itertools.islice(find_entries(text), MAX_ROWS_PER_FILE + 1))
    if not spans:
        return [TextRow("json", "", text)]
    return [TextRow("json", str(number), text[start:stop]) for number, (start, stop) in enumerate(spans, 1)]


_SPLITTERS = {"cif": _split_cif, "extxyz": _split_extxyz, "json": _split_json}
