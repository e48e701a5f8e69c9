"""Make and load ensembles by the name of their family, and find the columns that a family needs by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matloop.data.errors import MissingColumnsError
from matloop.data.registry import lookup
from matloop.models.families.contract import Ensemble
from matloop.models.families.part_reader import COLUMNS, PartReader, columns_in_ranges
from matloop.models.registry import MODELS


def make_ensemble(family: str, settings: Mapping[str, Any]) -> Ensemble:
    """Make an unfitted ensemble that reads all columns of the features, or those of its setting ``columns``.

    Args:
        family: Registered family.
        settings: Its settings. ``columns``, which every family may have, is a list of ranges ``[first, one after the
            last]`` of columns, counted from 0, with None for the end.

    Raises:
        UnknownNameError: For an unknown family.
        ModelError: If ``columns`` is not such a list.

    >>> make_ensemble("extra_trees", {"trees": 10, "columns": [[118, None]]}).parameters["columns"]
    [[118, None]]
    """
    if COLUMNS not in settings:
        made: Ensemble = lookup("model", MODELS, family)(**settings)
        return made
    own = {name: value for name, value in settings.items() if name != COLUMNS}
    return PartReader(family, columns=settings[COLUMNS], settings=own)


def load_ensemble(family: str, settings: Mapping[str, Any], folder: Path) -> Ensemble:
    """Read what an ensemble of :func:`make_ensemble` wrote with its method ``save``."""
    kind = PartReader if COLUMNS in settings else lookup("model", MODELS, family)
    loaded: Ensemble = kind.load(folder)
    return loaded


def settings_by_name(family: str, settings: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Complete the settings of a family with the places of the columns that it needs.

    Args:
        family: Registered family.
        settings: Its settings. Where they have ``columns``, the needed ones are looked for among those.
        names: Names of all columns of the features, in their order.

    Raises:
        UnknownNameError: For an unknown family.
        MissingColumnsError: If the features lack columns that the family needs.

    >>> from matloop.data.elements import SYMBOLS
    >>> settings_by_name("element_attention", {"seed": 1}, ["density", *SYMBOLS[1:]])
    {'seed': 1, 'first': 1}
    >>> settings_by_name("extra_trees", {"seed": 1}, ["density", *SYMBOLS[1:]])
    {'seed': 1}
    """
    kind = lookup("model", MODELS, family)
    read = list(names)
    if COLUMNS in settings:
        read = [names[column] for column in columns_in_ranges(settings[COLUMNS], len(names))]
    needed = kind.needed_columns(settings)
    if missing := sorted(set(needed) - set(read), key=list(needed).index):
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} others" if len(missing) > 3 else "")
        raise MissingColumnsError(
            f"features without the columns {shown} for the family {family}",
            f"features with the {len(needed)} columns that it needs",
            "add the featurizer that gives them (element_fraction gives the atomic fractions H to Og)",
        )
    placed: dict[str, Any] = kind.settings_by_name(settings, read)
    return placed


def needed_columns(family: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the columns that a family cannot do without; for most families there are none.

    Raises:
        UnknownNameError: For an unknown family.

    >>> needed_columns("element_attention", {})[:3], needed_columns("extra_trees", {})
    (('H', 'He', 'Li'), ())
    """
    names: tuple[str, ...] = lookup("model", MODELS, family).needed_columns(settings)
    return names


def columns_without(names: Sequence[str], hidden: Sequence[str]) -> list[list[int | None]]:
    """Return the setting ``columns`` of a family that is to read all columns but some.

    The last range has no end where the last column is read, so that columns may be put behind the others.

    Args:
        names: Names of all columns.
        hidden: Names of the columns that are not to be read.

    >>> columns_without(["a", "b", "c", "d"], ["b"])
    [[0, 1], [2, None]]
    """
    left_out = set(hidden)
    ranges: list[list[int | None]] = []
    for place, name in enumerate(names):
        if name in left_out:
            continue
        if ranges and ranges[-1][1] == place:
            ranges[-1][1] = place + 1
        else:
            ranges.append([place, place + 1])
    if ranges and ranges[-1][1] == len(names):
        ranges[-1][1] = None
    return ranges
