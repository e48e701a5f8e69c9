"""Texts of the command line for times, rates, memory and reasons."""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any

from matloop.data.errors import ROW_CODES
from matloop.screening.language.reasons import reason_words


def json_text(content: Any) -> str:
    r"""Write JSON for programs; characters that could deceive a person on a terminal are escaped.

    >>> json_text({"name": "Å" + chr(0x202E)})
    '{\n "name": "Å\\u202e"\n}'
    """
    text = json.dumps(content, indent=1, ensure_ascii=False)
    return "".join(json.dumps(c)[1:-1] if c != "\n" and unicodedata.category(c).startswith("C") else c for c in text)


def time_text(seconds: float) -> str:
    """Write a time in words.

    >>> [time_text(s) for s in (3.4, 100, 7800, 200_000)]
    ['3 s', '2 min', '2 h 10 min', '2 d 7 h']
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def rate_text(rate: float) -> str:
    """Write a rate with two significant digits, or as a whole number.

    >>> [rate_text(r) for r in (12345.6, 12.3, 0.0456)]
    ['12,346', '12', '0.046']
    """
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def memory_text(driver: int, worker: int) -> str:
    """Write an amount of memory in words.

    >>> memory_text(400_000_000, 1_250_000_000)
    'memory 0.4 GB, largest worker 1.2 GB'
    """
    return f"memory {driver / 1e9:.1f} GB" + (f", largest worker {worker / 1e9:.1f} GB" if worker else "")


def reason_text(code: str, value: str = "", limit: str = "") -> str:
    """Write why rows end, in English; row codes are followed by their meaning.

    >>> reason_text("E-GUARD-CRASH"), reason_text("R-FILTER-EXCLUDED-ELEMENT", "Tl")
    ('E-GUARD-CRASH: the candidate ended the process that handled it', 'contains Tl')
    """
    return f"{code}: {ROW_CODES[code]}" if code in ROW_CODES else reason_words(code, value, limit).en


_SMALLEST_PLAIN = 1e-9


def number_text(number: float, digits: int = 3) -> str:
    """A number as people write it: with some digits that count, and never with an exponent unless it is tiny.

    >>> [number_text(x) for x in (0.0, 2.345, 12345.6, 123.4, 0.0001234, -0.5)]
    ['0', '2.35', '12,346', '123', '0.000123', '-0.5']
    >>> number_text(1.25e-12), number_text(0.0694, 2)
    ('1.25e-12', '0.069')
    """
    if not math.isfinite(number) or 0 < abs(number) < _SMALLEST_PLAIN:
        return f"{number:.{digits}g}"
    rounded = float(f"{number:.{digits}g}")
    if rounded == 0:
        return "0"
    places = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0)
    text = f"{number:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
