"""Why a probability is no larger than it is: the largest one that calibration rows support, in both languages."""

from __future__ import annotations

from collections.abc import Sequence

from matloop.screening.language.text import Words, joined_properties, percent
from matloop.screening.runs.run_summary import SupportedProbability

JOINED_BY, NEXT = "+", ","
"""What stands in ``capped_targets`` between targets that are met together, and between entries."""
MAKEABLE = Words("makeable phase", "可制备相")


def capped_words(capped: str, supported: Sequence[SupportedProbability]) -> list[Words]:
    """Say which probabilities of a candidate a cap holds, one sentence each.

    Args:
        capped: Entry of a candidate in the column ``capped_targets``.
        supported: The largest probabilities that calibration rows of the run support.

    >>> most = SupportedProbability(targets=("refractive_index", "band_gap"), rows=766, highest=0.139)
    >>> capped_words("refractive_index+band_gap", [most])[0].en
    'P(refractive index and band gap) is at most 14 %: fewer than 20 of 766 calibration rows reached more'
    """
    most = {JOINED_BY.join(entry.targets): entry for entry in supported}
    return [supported_words(most[names]) for names in capped.split(NEXT) if names in most]


def supported_words(entry: SupportedProbability) -> Words:
    """Say up to what probability calibration rows support one target, or several together."""
    most, rows = percent(entry.highest), f"{entry.rows:,}"
    together = MAKEABLE if entry.makeable else joined_properties(entry.targets)
    return Words(
        f"P({together.en}) is at most {most}: fewer than {entry.fewest} of {rows} calibration rows reached more",
        f"P（{together.zh}）至多为 {most}：{rows} 条校准数据中超过此值的不足 {entry.fewest} 条",
    )
