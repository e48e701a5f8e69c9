"""Families inside another one: how settings name them, and which columns each of them reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matloop.data.errors import ModelError
from matloop.models.families.making import columns_without, needed_columns, settings_by_name
from matloop.models.families.part_reader import COLUMNS, check_ranges

WrittenFamily = str | Mapping[str, Mapping[str, Any]]
"""A registered family, or a mapping of its name to its settings."""


class Member(NamedTuple):
    """A family inside another one.

    Attributes:
        family: Registered family.
        settings: Its settings.
    """

    family: str
    settings: dict[str, Any]

    def as_written(self) -> WrittenFamily:
        """Return the name alone, or with the settings."""
        return {self.family: self.settings} if self.settings else self.family


def read_members(families: Sequence[WrittenFamily], *, inside: str) -> list[Member]:
    """Read the families inside another one.

    Args:
        families: As settings name them.
        inside: The family that holds them.

    Raises:
        ModelError: If there are fewer than two, one is the family itself, or columns are not a list of ranges.
    """
    named = [(entry, {}) if isinstance(entry, str) else next(iter(entry.items())) for entry in families]
    if len(named) < 2:
        raise ModelError(f"a {inside} of {len(named)} families", "at least 2")
    if any(name == inside for name, _ in named):
        raise ModelError(f"a {inside} inside a {inside}", "other families", "name its families instead")
    for _, settings in named:
        if COLUMNS in settings:
            check_ranges(settings[COLUMNS])
    return [Member(name, dict(settings)) for name, settings in named]


def columns_of_members(members: Sequence[Member]) -> tuple[str, ...]:
    """Return the names of the columns that any of the members needs."""
    return tuple(dict.fromkeys(name for member in members for name in needed_columns(*member)))


def members_by_name(members: Sequence[Member], names: Sequence[str]) -> list[WrittenFamily]:
    """Complete the settings of each member with the places of its columns.

    A member does not read columns that only others need, unless its own settings have ``columns``.

    Args:
        members: The members.
        names: Names of all columns of the features.

    Raises:
        MissingColumnsError: If a member needs columns that are not there.
    """
    needed = columns_of_members(members)
    placed = []
    for family, settings in members:
        own = set(needed_columns(family, settings))
        hidden = [name for name in needed if name not in own]
        if hidden and COLUMNS not in settings:
            settings = {**settings, COLUMNS: columns_without(names, hidden)}
        placed.append(Member(family, settings_by_name(family, settings, names)).as_written())
    return placed
