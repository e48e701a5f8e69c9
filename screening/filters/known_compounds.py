"""Filters that reject compositions that are known already, or all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import Reason
from matloop.data.label import Label
from matloop.data.packaged.citations import CITATIONS, TRANSPORT, Citation
from matloop.data.properties.columns import Column
from matloop.data.training.known_materials import KnownMaterials
from matloop.data.training.packaged_tables import LICENCE
from matloop.screening.filters.contract import Filter, Verdict
from matloop.screening.ranking.nearest_known import nearest_known

KNOWN_COMPOUND = "R-FILTER-KNOWN-COMPOUND"
"""The composition is known already."""

NEW_COMPOUND = "R-FILTER-NEW-COMPOUND"
"""The composition is not known."""

_CITES = (Citation(Label("Further known compounds", "更多已知化合物"), CITATIONS[TRANSPORT], LICENCE),)


class NewCompounds(Filter):
    """Keeps compositions that the run does not know from packaged data, training sets or sources of known ones."""

    name = "new_compounds"
    cites: ClassVar = _CITES
    reason_words: ClassVar[Mapping[str, Label]] = {KNOWN_COMPOUND: Label("known compound", "已知化合物")}

    def judge(self, batch: CandidateBatch) -> Verdict:
        """Which candidates stay."""
        keep = ~batch.column(Column.KNOWN).astype(bool)
        return Verdict.of(keep, Reason(KNOWN_COMPOUND, source=self.name))

    @classmethod
    def title(cls) -> Label:
        """What it looks at."""
        return Label("new compounds only", "仅保留新化合物")

    def margin(self, finalist: CandidateBatch, *, known: KnownMaterials) -> Label:
        """Say how far the nearest known composition is."""
        nearest = nearest_known(finalist, known, count=1)[0][0]
        return Label(
            f"nearest known composition {nearest.formula}, at distance {nearest.distance:.2f} (ElMD)",
            f"最接近的已知成分为 {nearest.formula}，距离 {nearest.distance:.2f}（ElMD）",
        )


class KnownCompounds(Filter):
    """Keeps compositions that the run knows from packaged data, training sets or sources of known ones."""

    name = "known_compounds"
    cites: ClassVar = _CITES
    reason_words: ClassVar[Mapping[str, Label]] = {NEW_COMPOUND: Label("not a known compound", "非已知化合物")}

    def judge(self, batch: CandidateBatch) -> Verdict:
        """Which candidates stay."""
        return Verdict.of(batch.column(Column.KNOWN).astype(bool), Reason(NEW_COMPOUND, source=self.name))

    @classmethod
    def title(cls) -> Label:
        """What it looks at."""
        return Label("known compounds only", "仅保留已知化合物")

    def margin(self, finalist: CandidateBatch, *, known: KnownMaterials) -> Label:
        """Say that the composition is known, which has no distance."""
        return Label("the composition is known", "该成分已知")
