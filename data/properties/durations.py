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


def read_walltime(text: str) -> int:
    """Seconds in a wall-time as Slurm writes it.

    Args:
        text: ``minutes``, ``minutes:seconds``, ``hours:minutes:seconds``, ``days-hours``, ``days-hours:minutes`` or
            ``days-hours:minutes:seconds``.

    Raises:
        UnitError: For any other text, and for nothing at all.

    >>> [read_walltime(text) for text in ("90", "2:00:00", "1-00:00:00", "1-12")]
    [5400, 7200, 86400, 129600]
    """
    written = re.fullmatch(r"(?:([0-9]{1,3})-)?([0-9]{1,6})(?::([0-9]{1,2}))?(?::([0-9]{1,2}))?", text)
    parts = [int(part) for part in (written.groups() if written else ()) if part is not None]
    days = written is not None and written[1] is not None
    sizes = (86_400, 3600, 60, 1) if days else (3600, 60, 1) if len(parts) == 3 else (60, 1)
    seconds = sum(part * size for part, size in zip(parts, sizes, strict=False))
    small = parts[2:] if days else parts[1:]
    if not seconds or any(part > 59 for part in small):
        raise UnitError(
            f"a wall-time of {text[:40]!r}", "H:MM:SS, D-HH:MM:SS or minutes", "write it as 2:00:00, 1-00:00:00 or 90"
        )
    return seconds


def write_walltime(seconds: int) -> str:
    """A wall-time as every batch queue reads it.

    >>> write_walltime(5400), write_walltime(129_600)
    ('1:30:00', '36:00:00')
    """
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def write_duration(seconds: int) -> str:
    """A duration as :func:`read_duration` reads it, in the largest unit that leaves a whole number.

    >>> write_duration(300), write_duration(301), write_duration(7200)
    ('5m', '301s', '2h')
    """
    unit, size = next((unit, size) for unit, size in _SECONDS.items() if seconds % size == 0)
    return f"{seconds // size}{unit}"
