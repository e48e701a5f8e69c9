"""One check of ``matloop doctor``."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: Subject of the check.
        state: ``ok``, ``warn`` (a run may be slow or limited) or ``fail`` (a run will not work).
        found: What was found.
        advice: What to do; empty if nothing has to be done.
    """

    name: str
    state: str
    found: str
    advice: str = ""
