"""Materials that a run knows before it begins: the packaged crystals and the rows of its training sets, each once."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.label import Label
from matloop.data.packaged.known_compositions import (
    KNOWN_LISTS,
    KNOWN_SIZE,
    is_among,
    lists_holding,
    lists_in_words,
)
from matloop.data.training.labelled_table import LabelledTable
from matloop.data.training.training_set import TrainingSet, row_names

TRAINING_SETS = "training_sets"
"""Among lists of known compositions: the training sets in use that are not packaged."""
SOURCE = "source"
"""Among them too: the source of a candidate, which called it known."""
OWN_LIST = "own list "
"""Begins the name of a list of formulas of one's own; the name of its file follows."""
_FURTHER = {
    TRAINING_SETS: Label("training sets of the run", "本次运行的训练集"),
    SOURCE: Label("its source", "其来源"),
}


class OwnList(NamedTuple):
    """A list of known formulas of one's own.

    Attributes:
        name: Name of its file.
        size: Number of different compositions.
    """

    name: str
    size: int

    def in_words(self) -> Label:
        """Name it with its size.

        >>> OwnList("ours.csv", 1200).in_words().en
        "the campaign's list ours.csv (1,200)"
        """
        return Label(f"the campaign's list {self.name} ({self.size:,})", f"本任务的列表 {self.name}（{self.size:,}）")


@dataclass(frozen=True, eq=False)
class KnownMaterials:
    """Known materials and their labels.

    Attributes:
        rows: n materials, with crystals or without.
        names: Name of each, length n.
        labels: Values by property, nan where unknown, each of shape (n,); of each property all from one provenance.
            They are unknown too where labels differ in their conditions: a material has no single value then.
        own_list: List of formulas that the run counts as known besides, without labels; None if there is none.
    """

    rows: CandidateBatch
    names: list[str]
    labels: Mapping[str, NDArray[np.float64]]
    own_list: OwnList | None = None

    @classmethod
    def of(cls, table: LabelledTable, sets: Sequence[TrainingSet] = ()) -> KnownMaterials:
        """The rows of a table, and those of training sets that are not among them.

        A training set's labels take the place of the table's labels of its property, so that provenances do not mix.

        Args:
            table: Comes first, in its order.
            sets: Sets cut from the table change nothing.
        """
        known = cls(table.rows, row_names(table.rows), table.labels)
        for training in sets:
            if not table.gave(training):
                known = known._joined(training)
        return known

    @functools.cached_property
    def row_of(self) -> Mapping[str, int]:
        """Return rows by candidate id; of several rows with one id the last counts."""
        return {name: row for row, name in enumerate(self.rows.ids)}

    def _joined(self, training: TrainingSet) -> KnownMaterials:
        """With the rows of a training set that are not among these; of several rows with one id the last counts."""
        last = {name: row for row, name in enumerate(training.rows.ids)}
        new = [row for name, row in last.items() if name not in self.row_of]
        parts = [self.rows.to_arrow(), training.rows.take(new).to_arrow()]
        rows = CandidateBatch.from_arrow(pa.concat_tables(parts, promote_options="permissive"))
        names = row_names(training.rows)
        labels = {name: np.append(values, np.full(len(new), np.nan)) for name, values in self.labels.items()}
        known = KnownMaterials(rows, [*self.names, *(names[row] for row in new)], labels)
        own = np.full(len(rows), np.nan)
        varied = any(len(np.unique(kept)) > 1 for kept in training.conditions.values())
        for name, row in () if varied else last.items():
            own[known.row_of[name]] = training.values[row]
        labels[training.property_name] = own
        return known


@dataclass(frozen=True, eq=False)
class KnownCompositions:
    """Compositions of which a compound is known: to the packaged data, the training sets in use, the campaign's list.

    Attributes:
        further: Keys of compositions of training sets that are not packaged, ascending, shape (k,).
        listed: Keys of compositions of the campaign's list of known formulas, ascending, shape (m,).
        list_name: Name of its file; empty if there is none.
    """

    further: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    listed: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    list_name: str = ""

    @classmethod
    def of(cls, sets: Sequence[TrainingSet]) -> KnownCompositions:
        """Collect the compositions that training sets know.

        Args:
            sets: Those in use, packaged ones among them or not.
        """
        keys = [composition_keys(training.rows.compositions) for training in sets]
        return cls(np.unique(np.concatenate([np.empty(0, np.uint64), *keys])))

    def with_own_list(self, name: str, compositions: Compositions) -> KnownCompositions:
        """These, and the compositions of a list of one's own.

        Args:
            name: Of its file, without commas.
            compositions: What it holds.

        >>> from matloop.data.candidates.formula import parse_formulas
        >>> asked, _ = parse_formulas(["NaCl17", "HeNe"])
        >>> KnownCompositions().with_own_list("ours.csv", asked.take([0])).holders(asked).tolist()
        ['own list ours.csv', '']
        """
        return replace(self, listed=np.unique(composition_keys(compositions)), list_name=name)

    @property
    def sha256(self) -> str:
        """Hash of the further compositions; the packaged ones are part of the code."""
        hashed = hashlib.sha256(self.further.tobytes())
        if self.list_name:
            hashed.update(self.list_name.encode("utf-8"))
            hashed.update(self.listed.tobytes())
        return hashed.hexdigest()

    def include(self, compositions: Compositions) -> NDArray[np.bool_]:
        """Return which of n compositions are known, shape (n,)."""
        return self.holders(compositions) != ""

    def holders(self, compositions: Compositions) -> NDArray[np.str_]:
        """Say which lists hold each of n compositions.

        Returns:
            Names in :data:`matloop.data.packaged.known_compositions.KNOWN_LISTS`, :data:`TRAINING_SETS`, and
            :data:`OWN_LIST` with the name of its file, separated by commas; empty for a composition that is not known,
            shape (n,).

        >>> from matloop.data.candidates.formula import parse_formulas
        >>> KnownCompositions().holders(parse_formulas(["YNbO4", "NaCl17"])[0]).tolist()
        ['materials_project, oqmd', '']
        """
        keys = composition_keys(compositions)
        held = np.column_stack([lists_holding(compositions), is_among(keys, self.further), is_among(keys, self.listed)])
        names = np.array([*KNOWN_LISTS, TRAINING_SETS, f"{OWN_LIST}{self.list_name}"])
        combinations, member = np.unique(held, axis=0, return_inverse=True)
        return np.array([", ".join(names[row]) for row in combinations], dtype=str)[member.ravel()]


def own_list_among(holders: str) -> str:
    """Name of the file of one's own among the lists that hold a composition; empty if it does not.

    Args:
        holders: As :meth:`KnownCompositions.holders` gives them.

    >>> own_list_among("oqmd, own list ours.csv"), own_list_among("oqmd")
    ('ours.csv', '')
    """
    found = [held.removeprefix(OWN_LIST) for held in holders.split(", ") if held.startswith(OWN_LIST)]
    return found[0] if found else ""


def holders_in_words(holders: str, own_list: OwnList | None = None) -> Label:
    """Say who knows a composition, or that no list that was asked does.

    Args:
        holders: As :meth:`KnownCompositions.holders` gives them.
        own_list: List of one's own that was asked too.

    >>> holders_in_words("materials_project, training_sets").en
    'known to Materials Project (2019), training sets of the run'
    >>> holders_in_words("").en[:49]
    'not among 396,972 compositions of packaged crysta'
    >>> holders_in_words("", OwnList("ours.csv", 12)).en[-40:]
    "nor in the campaign's list ours.csv (12)"
    """
    if not holders:
        every = lists_in_words(list(KNOWN_LISTS))
        also = Label("", "") if own_list is None else own_list.in_words()
        return Label(
            f"not among {KNOWN_SIZE:,} compositions of {every.en}" + (f"; nor in {also.en}" if also.en else ""),
            f"不在以下列表的 {KNOWN_SIZE:,} 种成分之中：{every.zh}" + (f"；也不在{also.zh}之中" if also.zh else ""),
        )
    names = holders.split(", ")
    packaged = lists_in_words([name for name in names if name in KNOWN_LISTS])
    further = [_FURTHER[name] for name in names if name in _FURTHER]
    if name := own_list_among(holders):
        further.append(Label(f"the campaign's list {name}", f"本任务的列表 {name}"))
    return Label(
        "known to " + ", ".join(filter(None, [packaged.en, *(label.en for label in further)])),
        "已收录于" + "、".join(filter(None, [packaged.zh, *(label.zh for label in further)])),
    )
