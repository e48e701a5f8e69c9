"""Filters that reject compositions that are known already, or all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import Reason
from matloop.data.label import Label
from matloop.data.packaged.citations import CITATIONS, MATBENCH, OQMD, TRANSPORT, Citation
from matloop.data.packaged.known_compositions import KNOWN_LISTS, lists_in_words, require_lists
from matloop.data.properties.columns import Column
from matloop.data.training.known_materials import SOURCE, TRAINING_SETS, KnownMaterials, own_list_among
from matloop.data.training.packaged_tables import LICENCE
from matloop.screening.filters.contract import Filter, Verdict
from matloop.screening.ranking.nearest_known import nearest_known

KNOWN_COMPOUND = "R-FILTER-KNOWN-COMPOUND"
"""The composition is known already."""

LISTED_COMPOUND = "R-FILTER-LISTED-COMPOUND"
"""The composition is in a list of one's own; the value is the name of its file."""

NEW_COMPOUND = "R-FILTER-NEW-COMPOUND"
"""The composition is not known."""


class _AsksLists(Filter):
    """What filters share that ask lists of known compositions."""

    cites: ClassVar = (
        Citation(Label("Further known compounds", "更多已知化合物"), CITATIONS[TRANSPORT], LICENCE),
        Citation(Label("Known compounds, and their energies", "已知化合物及其能量"), CITATIONS[MATBENCH], LICENCE),
        Citation(Label("Known compounds, and their energies", "已知化合物及其能量"), CITATIONS[OQMD], LICENCE),
    )

    def __init__(self, lists: str | Sequence[str] = ()) -> None:
        self.lists = require_lists(lists)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.lists)})" if self.lists else self.name

    def knows(self, batch: CandidateBatch) -> NDArray[np.bool_]:
        """Whether some of the lists know a candidate, all lists where none is named, or the run itself does."""
        known = batch.column(Column.KNOWN).astype(bool)
        if self.lists:
            counting = {*self.lists, TRAINING_SETS, SOURCE}
            holders = batch.column(Column.KNOWN_TO).tolist()
            counted = [not counting.isdisjoint(held.split(", ")) or own_list_among(held) != "" for held in holders]
            known &= np.array(counted, bool)
        return known


class NewCompounds(_AsksLists):
    """Keeps compositions that the run does not know from packaged lists, training sets, its list or known sources.

    Args:
        lists: Packaged lists that count; all by default. OQMD, and to a lesser part the Materials Project, hold
            hypothetical compounds beside those that somebody made.

    Raises:
        UnknownNameError: If there is no list with a name.
    """

    name = "new_compounds"
    reason_words: ClassVar[Mapping[str, Label]] = {
        KNOWN_COMPOUND: Label("known compound", "已知化合物"),
        LISTED_COMPOUND: Label("in the campaign's list {value}", "在本任务的列表 {value} 之中"),
    }

    def judge(self, batch: CandidateBatch) -> Verdict:
        """Which candidates stay."""
        keep, known = ~self.knows(batch), Reason(KNOWN_COMPOUND, source=self.name)
        if Column.KNOWN_TO not in batch.table.column_names:
            return Verdict.of(keep, known)
        lists = [own_list_among(held or "") for held in batch.column(Column.KNOWN_TO).tolist()]
        listed = {name: Reason(LISTED_COMPOUND, name, source=self.name) for name in set(lists) if name}
        return Verdict.of(keep, [listed.get(name, known) for name in lists])

    @classmethod
    def title(cls) -> Label:
        """What it looks at."""
        return Label("new compounds only", "仅保留新化合物")

    def margin(self, finalist: CandidateBatch, *, known: KnownMaterials) -> Label:
        """Say how far the nearest known composition with data is, and which lists were asked."""
        nearest = nearest_known(finalist, known, count=1)[0][0]
        asked, formula, apart = lists_in_words(self.lists or tuple(KNOWN_LISTS)), nearest.formula, nearest.distance
        if known.own_list is not None:
            own = known.own_list.in_words()
            asked = Label(f"{asked.en}, {own.en}", f"{asked.zh}、{own.zh}")
        return Label(
            f"not in {asked.en}; nearest composition with data {formula}, at distance {apart:.2f} (ElMD)",
            f"不在{asked.zh}之中；最接近且有数据的成分为 {formula}，距离 {apart:.2f}（ElMD）",
        )


class KnownCompounds(_AsksLists):
    """Keeps compositions that the run knows from packaged lists, training sets, its list or known sources.

    Args:
        lists: Packaged lists that count; all by default. OQMD, and to a lesser part the Materials Project, hold
            hypothetical compounds beside those that somebody made.

    Raises:
        UnknownNameError: If there is no list with a name.
    """

    name = "known_compounds"
    reason_words: ClassVar[Mapping[str, Label]] = {NEW_COMPOUND: Label("not a known compound", "非已知化合物")}

    def judge(self, batch: CandidateBatch) -> Verdict:
        """Which candidates stay."""
        return Verdict.of(self.knows(batch), Reason(NEW_COMPOUND, source=self.name))

    @classmethod
    def title(cls) -> Label:
        """What it looks at."""
        return Label("known compounds only", "仅保留已知化合物")

    def margin(self, finalist: CandidateBatch, *, known: KnownMaterials) -> Label:
        """Say that the composition is known, which has no distance."""
        return Label("the composition is known", "该成分已知")
