"""What moving the atoms of a relaxed crystal a little showed, in English and Chinese."""

from __future__ import annotations

import math

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.properties.columns import Column
from matloop.screening.language.text import Words, number
from matloop.screening.report.batch_columns import numbers


def rattle_words(batch: CandidateBatch) -> list[Words | None]:
    """Tell what a small random displacement of its atoms showed of each candidate; None where it was not tried.

    Args:
        batch: Ranked candidates.
    """
    gains, left = numbers(batch, Column.RELAXATION_RATTLE_GAIN), numbers(batch, Column.SPACE_GROUP_BEFORE_RATTLE)
    return [
        _told(float(gains[row]), float(left[row])) if math.isfinite(gains[row]) else None for row in range(len(batch))
    ]


def _told(gain: float, left: float) -> Words:
    """Tell of one candidate.

    Args:
        gain: Energy by which it fell, in eV/atom.
        left: Number of the space group in which it was a saddle point; nan where it stayed in its space group.

    >>> print(_told(0.027, 221).zh)
    原子随机微扰后能量降低 27 meV/atom：空间群 221 的结构可能是鞍点
    >>> print(_told(0.0, math.nan).en)
    it stayed as it was after a small random displacement of the atoms
    """
    if not gain > 0:
        return Words("it stayed as it was after a small random displacement of the atoms", "原子随机微扰后结构保持不变")
    fall = number(1000 * gain, 10)
    en = f"a small random displacement of the atoms lowered it by {fall} meV/atom"
    zh = f"原子随机微扰后能量降低 {fall} meV/atom"
    if not math.isfinite(left):
        return Words(f"{en}: it had not come to rest before", f"{zh}：此前弛豫尚未到位")
    return Words(
        f"{en}: the crystal of space group {left:.0f} may be a saddle point",
        f"{zh}：空间群 {left:.0f} 的结构可能是鞍点",
    )
