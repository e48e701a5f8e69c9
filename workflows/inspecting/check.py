"""One thing that ``matloop doctor`` looked at."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        state: ``ok``, ``warn`` (a run may be slow or limited) or ``fail`` (a run will not work).
        found: What was found.
        advice: What to do; empty where nothing is to be done.
    """

    name: str
    state: str
    found: str
    advice: str = ""
