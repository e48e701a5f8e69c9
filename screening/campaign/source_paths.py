"""Paths in a campaign start at the folder of its file. A run keeps them absolute: it can go on from anywhere."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

from matloop.data.element_facts.own_facts import read_own_facts
from matloop.data.errors import CampaignError, MatloopError
from matloop.data.registry import SOURCES, lookup
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.entry import Entries, Entry
from matloop.screening.campaign.stage_settings import ChosenPotential

PATH_OPTION = "path"
"""Option of a source that names a file, a folder or a pattern; sources of other packages name theirs so too."""
FACTS_OPTION = "facts"
"""Option of a filter that names a file of own facts about elements."""
_CLUSTER_FILES = ("scheduler_file", "ca_file", "certificate", "key")


def absolute_path(written: str, folder: str | Path) -> str:
    """Return a path as a campaign means it.

    Args:
        written: As it stands in the campaign; ``~`` is the home of the user.
        folder: Where a relative path starts.

    Raises:
        CampaignError: If the folder has a name that is no UTF-8, which no campaign file can hold.

    >>> absolute_path("../cifs/**/*.cif", "/data/campaigns")
    '/data/cifs/**/*.cif'
    """
    path = os.path.abspath(os.path.join(folder, os.path.expanduser(written))) if written else written
    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
    if shown != path:
        raise CampaignError(
            f"the path {shown} has a folder whose name is no UTF-8", "folders with names in UTF-8",
            "rename the folder (files in it may keep their names)",
        )  # fmt: skip
    return path


def with_absolute_paths(campaign: Campaign, folder: str | Path) -> Campaign:
    """The campaign with every path made absolute: of sources, labels, known formulas, phases, weights, the cluster.

    A file of own facts about elements is read: its rows stand in the campaign then.

    Args:
        campaign: Any campaign; an unknown source is left as it is.
        folder: Where relative paths start: the folder of the campaign file, or the working folder.
    """
    changes: dict[str, Any] = {
        "sources": _with_absolute_paths(campaign.sources, folder),
        "data": tuple(_with_absolute_labels(entry, folder) for entry in campaign.data),
        "filters": tuple(_with_own_facts(entry, folder) for entry in campaign.filters),
    }
    if campaign.known is not None:
        changes["known"] = absolute_path(campaign.known, folder)
    if campaign.potential is not None:
        stage = campaign.potential
        updates = {**_absolute_weights(stage, folder), "references": _with_absolute_paths(stage.references, folder)}
        if stage.second is not None:
            updates["second"] = stage.second.model_copy(update=_absolute_weights(stage.second, folder))
        changes["potential"] = stage.model_copy(update=updates)
    if campaign.hull is not None:
        phases = _with_absolute_paths(campaign.hull.references, folder)
        changes["hull"] = campaign.hull.model_copy(update={"references": phases})
    named = {name: getattr(campaign.cluster, name) for name in _CLUSTER_FILES}
    files = {name: absolute_path(path, folder) for name, path in named.items() if path is not None}
    changes["cluster"] = campaign.cluster.model_copy(update=files)
    return campaign.model_copy(update=changes)


def _absolute_weights(potential: ChosenPotential, folder: str | Path) -> dict[str, Any]:
    return {} if potential.weights is None else {"weights": absolute_path(potential.weights, folder)}


def _with_absolute_paths(entries: Entries, folder: str | Path) -> Entries:
    return tuple(_with_absolute_path(entry, folder) for entry in entries)


def _with_absolute_labels(entry: Entry, folder: str | Path) -> Entry:
    """An entry of own labels with the paths of its files made absolute; the address of a server stays as it is."""
    named = {name: entry.options[name] for name in (PATH_OPTION, "labels") if isinstance(entry.options.get(name), str)}
    files = {name: absolute_path(path, folder) for name, path in named.items() if "://" not in path}
    return entry.model_copy(update={"options": {**entry.options, **files}}) if files else entry


def _with_own_facts(entry: Entry, folder: str | Path) -> Entry:
    """A filter with the rows of a file of own facts in place of its path: a run keeps what it used."""
    written = entry.options.get(FACTS_OPTION)
    if not isinstance(written, str):
        return entry
    path = absolute_path(written, folder)
    try:
        facts: Any = [fact._asdict() for fact in read_own_facts(path)]
    except MatloopError:  # whoever checks the campaign says what is wrong with the file
        facts = path
    return entry.model_copy(update={"options": {**entry.options, FACTS_OPTION: facts}})


def _with_absolute_path(entry: Entry, folder: str | Path) -> Entry:
    try:
        parameters = list(inspect.signature(lookup("source", SOURCES, entry.name)).parameters)
    except (MatloopError, ValueError):  # whoever checks the campaign says what is wrong with the name
        return entry
    if isinstance(entry.argument, str) and parameters[:1] == [PATH_OPTION]:
        return entry.model_copy(update={"argument": absolute_path(entry.argument, folder)})
    path = entry.options.get(PATH_OPTION)
    if isinstance(path, str) and PATH_OPTION in parameters:
        return entry.model_copy(update={"options": {**entry.options, PATH_OPTION: absolute_path(path, folder)}})
    return entry
