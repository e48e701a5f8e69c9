"""Permanent identifiers of records."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection
from typing import Literal

Kind = Literal["action", "sheet", "row", "sample", "parameter", "file", "measurement", "question", "proposal"]

_PREFIXES: dict[Kind, str] = {
    "action": "act", "sheet": "sht", "row": "row", "sample": "smp", "parameter": "par", "file": "raw",
    "measurement": "msr", "question": "qst", "proposal": "prp",
}  # fmt: skip
_WRITTEN = re.compile(rf"(?:{'|'.join(_PREFIXES.values())})-[0-9a-f]{{32}}")


def new_id(kind: Kind) -> str:
    """Make the identifier of a new record; it is never used again, in this database or another one.

    The random part is a UUID of version 4 (RFC 9562), so that databases of several labs can be joined.

    >>> new_id("sample")[:4], len(new_id("sample"))
    ('smp-', 36)
    """
    return f"{_PREFIXES[kind]}-{uuid.uuid4().hex}"


def with_beginning(text: str, known: Collection[str], *, shortest: int) -> list[str]:
    """The identifier that a text is, or those that begin with it where it has as many characters as asked for.

    >>> with_beginning("cand-1", ["cand-1", "cand-12", "cand-2"], shortest=3)
    ['cand-1']
    >>> with_beginning("cand-", ["cand-1", "cand-2"], shortest=3), with_beginning("ca", ["cand-1"], shortest=3)
    (['cand-1', 'cand-2'], [])
    """
    text = text.strip()
    if text in known:
        return [text]
    return [name for name in known if len(text) >= shortest and name.startswith(text)]


def is_id(text: str) -> bool:
    """Whether a text is written as the identifier of a record.

    >>> is_id(new_id("question")), is_id("qst-1")
    (True, False)
    """
    return bool(_WRITTEN.fullmatch(text))
