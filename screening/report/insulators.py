"""What a card says of the question whether a candidate is an insulator, beside the prediction of its band gap."""

from __future__ import annotations

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.screening.language.text import Words, number, percent, with_unit
from matloop.screening.report.batch_columns import numbers
from matloop.screening.runs.card_records import InsulatorCard

GAP = "band_gap"


def insulator_words(card: InsulatorCard | None, batch: CandidateBatch, row: int) -> Words | None:
    """Say how probable a band gap is, its value then, and how far the sources of the classifier agree.

    Args:
        card: Of the classifier.
        batch: The candidates. Their predicted gap is the median over both cases, and a metal has none.
        row: Which of them.

    Returns:
        None where the run has no classifier.
    """
    chance = float(numbers(batch, Column.INSULATOR_PROBABILITY)[row])
    if card is None or not np.isfinite(chance) or chance <= 0:
        return None
    share, gap = percent(chance), float(numbers(batch, Column.INSULATOR_VALUE)[row])
    value = with_unit(number(gap), property_named(GAP).unit)
    unlike, several = f"{card.disagreeing:,}", f"{card.in_several:,}"
    return Words(
        f"an insulator with {share}, then with {value}; value and interval above count the chance of a metal too. The "
        f"sources of this probability, computed gaps, computed transport and measured classes, disagree on {unlike} of "
        f"the {several} compositions that more than one of them knows",
        f"为绝缘体的概率 {share}，此时带隙为 {value}；上面的数值与区间已计入其为金属的可能。"
        f"该概率学自计算带隙、计算输运数据与实测分类，不止一个来源收录的 {several} 种成分中有 {unlike} 种说法不一",
    )
