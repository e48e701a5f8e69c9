"""What a generator of substituted crystals says of each one: the parent, and which species took the place of which."""

from __future__ import annotations

import re
from typing import NamedTuple

_ION = r"[A-Z][a-z]?[0-9]*[+-]?"
_RECORD = re.compile(rf"([A-Za-z0-9().]+) \(([\w-]+)\), ({_ION} to {_ION}(?:, {_ION} to {_ION})*)")


class SubstitutionRecord(NamedTuple):
    """How a crystal was made.

    Attributes:
        formula: Formula of the parent.
        parent_id: Its identifier.
        swaps: Species of the parent and the one that took its place, such as ``("Sn4+", "Ti4+")``.
    """

    formula: str
    parent_id: str
    swaps: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.formula} ({self.parent_id}), {', '.join(' to '.join(swap) for swap in self.swaps)}"


def read_record(origin: str | None) -> SubstitutionRecord | None:
    """Read the origin of a candidate; None where it was not made by substitution.

    Args:
        origin: What the column ``origin`` says.

    >>> read_record("Hf3SnO8 (mp-761842), Sn4+ to Ti4+")
    SubstitutionRecord(formula='Hf3SnO8', parent_id='mp-761842', swaps=(('Sn4+', 'Ti4+'),))
    >>> read_record("compounds.csv row 3")
    """
    if not origin or not (match := _RECORD.fullmatch(origin)):
        return None
    before_and_after = (swap.split(" to ") for swap in match[3].split(", "))
    return SubstitutionRecord(match[1], match[2], tuple((old, new) for old, new in before_and_after))
