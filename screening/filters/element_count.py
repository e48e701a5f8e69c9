"""A filter by the number of different elements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import Reason
from matloop.data.errors import CampaignError
from matloop.data.label import Label
from matloop.data.training.known_materials import KnownMaterials
from matloop.screening.filters.contract import Filter, Verdict

ELEMENT_COUNT = "R-FILTER-ELEMENT-COUNT"
"""Has too few or too many elements; the value is their number, the limit the range."""


class ElementCount(Filter):
    """Keep candidates with a number of different elements within limits.

    Args:
        least: Smallest number of elements.
        most: Largest number of elements.

    Raises:
        CampaignError: If ``least`` is negative or larger than ``most``.
    """

    name = "element_count"
    reason_words: ClassVar[Mapping[str, Label]] = {
        ELEMENT_COUNT: Label("not {limit} elements", "元素种数不在 {limit} 之间")
    }

    def __init__(self, *, least: int = 1, most: int = 10) -> None:
        if not 0 <= least <= most:
            raise CampaignError(
                f"element_count from {least} to {most} elements", "0 <= least <= most",
                "write element_count: {least: 2, most: 5}, for example",
            )  # fmt: skip
        self.least, self.most = least, most

    def __str__(self) -> str:
        return f"{self.name}(least={self.least}, most={self.most})"

    def judge(self, batch: CandidateBatch) -> Verdict:
        """Which candidates stay."""
        counts = batch.compositions.lengths
        keep = (counts >= self.least) & (counts <= self.most)
        limit = f"{self.least}–{self.most}"
        return Verdict.of(keep, [Reason(ELEMENT_COUNT, int(n), limit, self.name) for n in counts])

    @classmethod
    def title(cls) -> Label:
        """What it looks at."""
        return Label("number of elements", "元素种数")

    def margin(self, finalist: CandidateBatch, *, known: KnownMaterials) -> Label:
        """Say how many elements fewer or more would still pass."""
        count = len(finalist.compositions.elements)
        return Label(
            f"{count} elements; {count - self.least} fewer or {self.most - count} more would still pass",
            f"{count} 种元素；再少 {count - self.least} 种或再多 {self.most - count} 种仍可通过",
        )
