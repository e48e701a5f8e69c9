"""The order of replacements.

Those whose new element is radioactive, or harmful by a list, stand behind all others: they trade one problem for
another. The rest is ordered by the probability that the properties are kept and the phase can be made, both together;
then by P(phase), by how far the properties change, by supply risk, where unknown counts as worst, and by formula.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Standing(NamedTuple):
    """What decides the place of a replacement.

    Attributes:
        harmful: Whether the new element is radioactive, or harmful by a list.
        kept: P(all properties are kept); nan where it is not known.
        phase: P(the phase can be made); nan where it is not known.
        change: Largest change of a property as a share of its old value; infinite where it is not known.
        supply_risk: From 0 to 1; infinite where it is not known.
        formula: Its formula.
    """

    harmful: bool
    kept: float
    phase: float
    change: float
    supply_risk: float
    formula: str

    @property
    def together(self) -> float:
        """P(kept) times P(phase), 0 where one of them is not known."""
        product = self.kept * self.phase
        return product if math.isfinite(product) else 0.0


def places_of(standings: Sequence[Standing]) -> list[int]:
    """Rows of the replacements, the best first.

    >>> zinc, mercury = Standing(False, 0.5, 1.0, 0.1, 0.2, "ZnS"), Standing(True, 0.9, 1.0, 0.1, 0.8, "HgS")
    >>> places_of([mercury, zinc])
    [1, 0]
    """
    return sorted(range(len(standings)), key=lambda row: _key(standings[row]))


def _key(one: Standing) -> tuple[bool, float, float, float, float, str]:
    phase = one.phase if math.isfinite(one.phase) else 0.0
    return one.harmful, -one.together, -phase, one.change, one.supply_risk, one.formula
