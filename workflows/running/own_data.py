"""The labelled data that a campaign names: read, chosen for each target, and told of row by row."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter

from matloop.data.errors import TrainingSetError
from matloop.data.options import check_options
from matloop.data.own_labels.derived_labels import Derive, Derived
from matloop.data.own_labels.label_account import LabelAccount, LabelRow, ReadLabels, assembled, together
from matloop.data.own_labels.label_sources import LABEL_SOURCES, LabelSource
from matloop.data.plain_text import counted
from matloop.data.properties.catalogue import catalogue, property_named
from matloop.data.properties.conditions import Condition
from matloop.data.properties.provenance import Provenance
from matloop.data.registry import lookup
from matloop.data.training.packaged_tables import (
    DEFAULT,
    MEASURED_TABLES,
    TRAINING_SETS,
    labelled_table,
    packaged_training_set,
)
from matloop.data.training.training_set import TrainingSet, groups_of_both, joined
from matloop.data.training.training_sets import TrainingSets
from matloop.data.whole_files import write_csv
from matloop.models.stability.computed_entries import energies_above_hull, formation_energies
from matloop.screening.campaign.campaign import EMBEDDED, Campaign
from matloop.screening.campaign.entry import Entry, WrittenEntry
from matloop.screening.campaign.target import Target

DERIVATIONS: Mapping[Derived, Derive] = {
    "formation_energy": formation_energies,
    "energy_above_hull": energies_above_hull,
}
"""What labels may be derived from energies, by the name that a campaign gives."""
_BEFORE = ("property", "place", "formula", "written", "value", "unit", "uncertainty", "weight", "group")
_AFTER = ("code", "detail")
"""What is said of every row of labels before the values of its conditions, and behind them."""


class OwnData(NamedTuple):
    """The labels of a campaign.

    Attributes:
        sets: Labels of one's own that targets ask for, one training set for each property, provenance and conditions.
        accounts: What became of their rows, in the same order.
        tables: Packaged tables that teach too, by name.
    """

    sets: Sequence[TrainingSet]
    accounts: Sequence[LabelAccount]
    tables: Sequence[str]


def is_packaged(entry: Entry) -> bool:
    """Whether an entry of ``data`` names a packaged table."""
    return entry.name == EMBEDDED or entry.name in TRAINING_SETS


def label_source(entry: Entry) -> LabelSource:
    """Set up the labels that an entry of ``data`` names; nothing but the head of its files is read.

    Raises:
        MatloopError: If the name or an option is unknown, or a file cannot be read.
    """
    factory: Callable[..., LabelSource] = lookup("label source", LABEL_SOURCES, entry.name)
    check_options(entry.name, factory, entry.options, argument=entry.argument)
    made: LabelSource = entry.make(factory)
    made.derive_by(DERIVATIONS)
    return made


def read_labels(entry: Entry) -> ReadLabels:
    """Read the labels that an entry of ``data`` names, once as long as its files do not change.

    Raises:
        MatloopError: If a file cannot be read.
    """
    return _read(entry.model_dump_json(), catalogue().key, label_source(entry).stamps())


@functools.lru_cache(maxsize=8)
def _read(written: str, _catalogue: str, _stamps: tuple[Any, ...]) -> ReadLabels:
    return label_source(_ENTRY.validate_json(written)).read_rows()


_ENTRY: TypeAdapter[Entry] = TypeAdapter(WrittenEntry)


def handed_properties(campaign: Campaign, given: Sequence[TrainingSet]) -> set[str]:
    """Properties whose labels were handed over: one training set of each, two where a target is learned by transfer."""
    handed = Counter(training.property_name for training in given)
    transfers = {target.property for target in campaign.targets if target.transfer is not None}
    return {name for name, count in handed.items() if count > 1 or name not in transfers}


def read_own_data(campaign: Campaign, given: Sequence[TrainingSet] = ()) -> OwnData:
    """Read all labels of one's own that targets of a campaign ask for.

    Args:
        campaign: The campaign, with its catalogue in use.
        given: Training sets that were handed over in Python; the labels of their properties are not read.

    Raises:
        MatloopError: If a file cannot be read, or too few rows teach.
    """
    wanted = {target.property for target in campaign.targets} - handed_properties(campaign, given)
    parts = [
        read_labels(entry)
        for entry in campaign.data
        if not is_packaged(entry) and str(entry.options.get("property")) in wanted
    ]
    made = [assembled(some) for some in together(parts)]
    tables = [DEFAULT if entry.name == EMBEDDED else entry.name for entry in campaign.data if is_packaged(entry)]
    return OwnData([training for training, _ in made], [account for _, account in made], tables)


def training_of(campaign: Campaign, own: OwnData, given: Sequence[TrainingSet] = ()) -> TrainingSets:
    """Choose the training set of each target.

    Args:
        campaign: The campaign.
        own: Its labels.
        given: Training sets that were handed over in Python; they come before all others of their property, and in a
            transfer of their provenance.

    Raises:
        TrainingSetError: If labels of one property come from several provenances and the target names none, or labels
            of one of the two provenances of a transfer are missing.
        UnknownNameError: If there are no labels of a property.
    """
    transfers = {target.property: target for target in campaign.targets if target.transfer is not None}
    handed = {training.property_name for training in given}
    chosen = [training for training in given if training.property_name not in transfers]
    helping = {}
    for target in campaign.targets:
        if target.transfer is not None:
            chosen.append(_of_provenance(target, own, given, wanted=target.transfer.to))
            helping[target.property] = _of_provenance(target, own, given, wanted=target.transfer.from_)
            continue
        sets = [
            training
            for training in own.sets
            if training.property_name == target.property
            and (target.accepts(training.provenance) or not target.names_provenance())
        ]
        if target.property in handed:
            continue
        if sets:
            chosen.append(_chosen(target, sets, own.tables))
        elif target.names_provenance():
            chosen += _of_packaged_tables(target, own.tables)[:1]
    properties = [target.property for target in campaign.targets]
    return TrainingSets.of(properties, chosen, tables=own.tables, helping=helping)


def _of_provenance(target: Target, own: OwnData, given: Sequence[TrainingSet], *, wanted: str) -> TrainingSet:
    """The labels of one provenance for a target that is learned by transfer, as one training set."""
    name, covered = target.property, Provenance.read(wanted)
    handed = [training for training in given if training.property_name == name]
    own_sets = [training for training in own.sets if training.property_name == name]
    tables = list(own.tables)
    if target.value_scale is not None and MEASURED_TABLES[name] not in tables:
        tables.append(MEASURED_TABLES[name])
    packaged = [table for table in tables if labelled_table(table).has(name)]
    for training in handed:
        if covered.covers(Provenance.read(training.provenance)):
            return training
    sets = [one for one in own_sets if covered.covers(Provenance.read(one.provenance))]
    sets += _of_packaged_tables(target.model_copy(update={"provenance": wanted}), tables)
    if sets:
        return _chosen(target.model_copy(update={"provenance": wanted}), sets, ())
    present = [f"{training.provenance} ({training.name})" for training in (*handed, *own_sets)]
    present += [f"{labelled_table(table).provenance} ({table})" for table in packaged]
    raise TrainingSetError(
        f"a transfer of {name} with labels of {' and '.join(present) or 'no provenance'}", f"labels of {wanted} too",
        f"give labels with 'source: {wanted}' under 'data', or name another provenance in 'transfer'",
    )  # fmt: skip


def _of_packaged_tables(target: Target, tables: Sequence[str]) -> list[TrainingSet]:
    """The labels that packaged tables have of a target's property and provenance."""
    taught = _first_of_each_provenance([table for table in tables if labelled_table(table).has(target.property)])
    return [
        packaged_training_set(target.property, table=table)
        for table in taught
        if target.accepts(labelled_table(table).provenance)
    ]


def _first_of_each_provenance(tables: Sequence[str]) -> list[str]:
    """The tables without those that come after one of the same provenance, which may hold the same labels."""
    first: dict[str, str] = {}
    for table in tables:
        first.setdefault(labelled_table(table).provenance, table)
    return list(first.values())


def transfer_lines(training: TrainingSets) -> list[str]:
    """What is learned by transfer, one line for each such property."""
    lines = []
    for name, helping in training.helping.items():
        measured = training[name]
        both = len(np.intersect1d(*groups_of_both(measured, helping)))
        lines.append(
            f"{name}: {counted(len(measured), 'row')} of {measured.provenance} ({measured.name}) and "
            f"{counted(len(helping), 'row')} of {helping.provenance} ({helping.name}) to transfer from, "
            f"{counted(both, 'formula')} in both"
        )
    return lines


def with_provenances(campaign: Campaign, training: TrainingSets) -> Campaign:
    """The campaign in which every target that names no provenance has that of its labels, if they are not computed."""
    targets = []
    for target in campaign.targets:
        found = training[target.property].provenance
        is_open = not target.names_provenance() and not target.accepts(found)
        targets.append(target.model_copy(update={"provenance": found}) if is_open else target)
    return campaign.model_copy(update={"targets": tuple(targets)})


def label_columns(accounts: Sequence[LabelAccount]) -> tuple[str, ...]:
    """Names of what :func:`label_rows` yields; each condition of the labels has a column, named with its unit."""
    return (*_BEFORE, *(condition.feature_name("linear") for condition in _conditions(accounts)), *_AFTER)


def _conditions(accounts: Sequence[LabelAccount]) -> list[Condition]:
    """Conditions of some sets of labels, each once."""
    return list(dict.fromkeys(one.condition for account in accounts for one in account.conditions))


def label_rows(accounts: Sequence[LabelAccount]) -> Iterator[tuple[str | float | None, ...]]:
    """Yield what became of every row of labels, as :func:`label_columns` names it.

    Values are in the unit of the property, None where there is no number.
    """
    names = [condition.name for condition in _conditions(accounts)]
    for account in accounts:
        unit = property_named(account.property_name).unit
        for row in account.rows:
            yield (
                account.property_name, row.place, row.formula, row.written, _number(row.cell.value), unit,
                _number(row.cell.uncertainty), row.weight, row.group, *_kept(account, row, names), row.code, row.detail,
            )  # fmt: skip


def write_label_rows(path: Path, accounts: Sequence[LabelAccount]) -> None:
    """Write what became of every row of labels into a CSV file."""
    write_csv(path, label_columns(accounts), label_rows(accounts))


def _kept(account: LabelAccount, row: LabelRow, names: Sequence[str]) -> list[float | None]:
    """Value of each condition of a row, None where there is none."""
    own = [one.condition.name for one in account.conditions]
    values = dict(zip(own, row.conditions, strict=False))  # a row without a partner has no values
    return [_number(values.get(name, math.nan)) for name in names]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.12g}")


def _chosen(target: Target, sets: Sequence[TrainingSet], tables: Sequence[str]) -> TrainingSet:
    """The sets of one property that may teach a target, as one."""
    provenances = {training.provenance: training.name for training in sets}
    if len(provenances) > 1:
        found = " and ".join(f"{provenance} ({name})" for provenance, name in provenances.items())
        raise TrainingSetError(
            f"labels of {target.property} from {found}", "labels of one provenance, since they are never mixed",
            f"write 'provenance: {next(iter(provenances))}' in the target, or leave one of them out of 'data'",
        )  # fmt: skip
    packaged = [
        packaged_training_set(target.property, table=table)
        for table in _first_of_each_provenance([one for one in tables if labelled_table(one).has(target.property)])
        if labelled_table(table).provenance in provenances
    ]
    return joined([*sets, *packaged])
