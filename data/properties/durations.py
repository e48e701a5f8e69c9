"""Durations: a whole number with its unit, so that nobody has to guess whether 5 means seconds or minutes."""

from __future__ import annotations

import re

from matloop.data.errors import UnitError

_SECONDS = {"h": 3600, "m": 60, "s": 1}


def read_duration(text: str) -> int:
    """Seconds in a duration such as ``90s``, ``5m`` or ``1h``.

    Args:
        text: A whole number above zero, at most six digits, and ``s``, ``m`` or ``h``; nothing else.

    Raises:
        UnitError: For any other text.

    >>> read_duration("90s"), read_duration("5m"), read_duration("1h")
    (90, 300, 3600)
    """
    written = re.fullmatch(r"([1-9][0-9]{0,5})([smh])", text)
    if not written:
        raise UnitError(
            f"a duration of {text[:40]!r}", "a whole number above zero with its unit, s, m or h",
            "write it as 90s, 5m or 1h",
        )  # fmt: skip
    return int(written[1]) * _SECONDS[written[2]]


def write_duration(seconds: int) -> str:
    """A duration as :func:`read_duration` reads it, in the largest unit that leaves a whole number.

    >>> write_duration(300), write_duration(301), write_duration(7200)
    ('5m', '301s', '2h')
    """
    unit, size = next((unit, size) for unit, size in _SECONDS.items() if seconds % size == 0)
    return f"{seconds // size}{unit}"
