"""The training sets of a campaign: for each property it predicts one, and what is known because of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from matloop.data.errors import DatasetError, TrainingSetError
from matloop.data.training.known_materials import KnownCompositions, KnownMaterials
from matloop.data.training.packaged_tables import DEFAULT, TRAINING_SETS, labelled_table, packaged_training_set
from matloop.data.training.training_set import TrainingSet


@dataclass(frozen=True)
class PackagedSet:
    """A training set by its name: what travels in place of rows that every process has.

    Attributes:
        table: Labelled table it is cut from.
        property_name: Its property.
        sha256: Of its content.
    """

    table: str
    property_name: str
    sha256: str

    def load(self) -> TrainingSet:
        """The training set.

        Raises:
            DatasetError: If the table has other rows or labels here.
        """
        found = packaged_training_set(self.property_name, table=self.table)
        if found.sha256 != self.sha256:
            raise DatasetError(
                f"the packaged table '{self.table}' gives a training set of {self.property_name} with sha256 "
                f"{found.sha256}", self.sha256, "use the version of matloop it was cut with",
            )  # fmt: skip
        return found


@dataclass(frozen=True, eq=False)
class TrainingSets:
    """What the models of a campaign learn from.

    Attributes:
        by_property: One training set for each property.
        helping: For each property that is learned by transfer, the training set of another provenance that helps.
    """

    by_property: Mapping[str, TrainingSet]
    helping: Mapping[str, TrainingSet] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        properties: Sequence[str],
        given: Sequence[TrainingSet] = (),
        *,
        tables: Sequence[str] = (DEFAULT,),
        helping: Mapping[str, TrainingSet] = MappingProxyType({}),
    ) -> TrainingSets:
        """The training sets given, and for every other property the packaged one.

        Args:
            properties: What a campaign predicts.
            given: At most one training set for each of them.
            tables: Packaged tables that teach; the first with labels of a property counts.
            helping: Training sets of another provenance that help, by property.

        Raises:
            TrainingSetError: If two sets are of one property, or one is of a property that is not predicted.
            UnknownNameError: If there is no training set of a property.

        >>> sorted(TrainingSets.of(["band_gap"]).by_property["band_gap"].about)[:2]
        ['citation', 'licence']
        """
        own: dict[str, TrainingSet] = {}
        for training in given:
            name = training.property_name
            if name in own or name not in properties:
                found = "a second training set" if name in own else "a training set"
                raise TrainingSetError(
                    f"{found} of {name} ('{training.name}')",
                    f"at most one for each property that is predicted: {', '.join(properties)}",
                )
            own[name] = training
        return cls({name: own[name] if name in own else _packaged(name, tables) for name in properties}, dict(helping))

    def __getitem__(self, property_name: str) -> TrainingSet:
        if property_name not in self.by_property:
            raise TrainingSetError(
                f"no training set of {property_name}", f"one of {', '.join(self.by_property) or 'none'}",
                "restore training_sets.json of the run, or hand over a training set of that property",
            )  # fmt: skip
        return self.by_property[property_name]

    def __reduce__(self) -> tuple[Callable[..., TrainingSets], tuple[Any, ...]]:
        """On the way to another process, packaged sets go by name and sha256, all others by value."""
        sets = self.by_property.values(), self.helping.values()
        return _unpacked, tuple(tuple(packed(training) for training in some) for some in sets)

    def only(self, property_name: str) -> TrainingSets:
        """The one of a property, for what needs no other."""
        helping = {name: training for name, training in self.helping.items() if name == property_name}
        return TrainingSets({property_name: self.by_property[property_name]}, helping)

    @property
    def all_sets(self) -> list[TrainingSet]:
        """Every training set, those that help first."""
        return [*self.helping.values(), *self.by_property.values()]

    @functools.cached_property
    def known(self) -> KnownMaterials:
        """The packaged crystals, and the rows of training sets that are not among them.

        Of a property that is learned by transfer the labels are those that are predicted.
        """
        return KnownMaterials.of(labelled_table(DEFAULT), self.all_sets)

    @functools.cached_property
    def known_compositions(self) -> KnownCompositions:
        """The packaged compositions, and those of training sets that are not packaged."""
        return KnownCompositions.of([one for one in self.all_sets if isinstance(packed(one), TrainingSet)])

    @property
    def about(self) -> dict[str, dict[str, str]]:
        """What is to be said of each set, by property, as plain JSON values; sets that help stand behind them."""
        helping = {f"{name} (transfer)": training.about for name, training in self.helping.items()}
        return {name: training.about for name, training in self.by_property.items()} | helping


def packed(training: TrainingSet) -> TrainingSet | PackagedSet:
    """A training set as it travels or is kept: by name where it is packaged, else as it is."""
    if training.name in TRAINING_SETS and labelled_table(training.name).gave(training):
        return PackagedSet(training.name, training.property_name, training.sha256)
    return training


def _unpacked(*both: Sequence[TrainingSet | PackagedSet]) -> TrainingSets:
    loaded = [[one.load() if isinstance(one, PackagedSet) else one for one in sets] for sets in both]
    return TrainingSets(*({training.property_name: training for training in sets} for sets in loaded))


def _packaged(property_name: str, tables: Sequence[str]) -> TrainingSet:
    if not tables:
        raise TrainingSetError(
            f"no labels of {property_name}", "a training set for every property that is predicted",
            "give labels under 'data'",
        )  # fmt: skip
    named = next((table for table in tables if labelled_table(table).has(property_name)), tables[0])
    return packaged_training_set(property_name, table=named)
