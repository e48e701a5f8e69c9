"""Permanent identifiers of records."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection
from typing import Literal

from matloop.data.errors import RecordsError
from matloop.data.plain_text import one_line

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


def one_named(written: str, known: Collection[str], *, shortest: int, kind: str, listed: str) -> str:
    """The one identifier that a text is, or that begins with it.

    Args:
        written: The text.
        known: The identifiers that may be meant.
        shortest: Fewest characters by which one may be named.
        kind: What they are the identifiers of, such as ``proposed candidate``.
        listed: Where they are listed.

    Raises:
        RecordsError: If the text names none of them, or several.

    >>> one_named("cand-1", ["cand-1", "cand-12"], shortest=3, kind="candidate", listed="proposal.csv lists them")
    'cand-1'
    >>> one_named("cand-12", ["cand-1", "cand-123"], shortest=3, kind="candidate", listed="proposal.csv lists them")
    'cand-123'
    """
    text = written.strip()
    if text in known:
        return text
    found = [name for name in known if len(text) >= shortest and name.startswith(text)]
    if len(found) == 1:
        return found[0]
    got = f"'{one_line(text)[:80]}'"
    raise RecordsError(
        f"{got}, with which {len(found)} ids begin" if found else f"{got}, which is no {kind}",
        f"the id of a {kind}, or {shortest} or more characters with which only that one begins", listed,
    )  # fmt: skip


def is_id(text: str) -> bool:
    """Whether a text is written as the identifier of a record.

    >>> is_id(new_id("question")), is_id("qst-1")
    (True, False)
    """
    return bool(_WRITTEN.fullmatch(text))
