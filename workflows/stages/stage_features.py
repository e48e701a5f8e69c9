"""The features of a scoring stage: those that the campaign names, and those that one of its families needs."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from matloop.featurizers.base import FeatureSet
from matloop.featurizers.registry import feature_set
from matloop.models.families.making import columns_without, needed_columns
from matloop.models.families.part_reader import COLUMNS
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.entry import Entries, Entry
from matloop.workflows.stages.campaign_featurizers import build_feature_set
from matloop.workflows.stages.composition_models import FOLDER, with_models_at

_GIVES_NEEDED = ("element_fraction",)
"""Featurizers without options whose columns a family may need."""

_ENTRIES: TypeAdapter[Entries] = TypeAdapter(Entries)


def stage_entries(campaign: Campaign, stage: str) -> Entries:
    """Return the featurizers of a scoring stage.

    A featurizer that is not named stands before the others where a family of the stage needs its columns.

    Args:
        campaign: The campaign.
        stage: Name of the scoring stage.

    Raises:
        UnknownNameError: For a family or a featurizer that nobody registered.
    """
    return (*_added(campaign, stage), *campaign.scoring_stages[stage].features)


def stage_feature_set(campaign: Campaign, stage: str, *, models: Path | None = None) -> FeatureSet:
    """Return the feature set of :func:`stage_entries`, made once in each process: some take seconds to set up.

    Args:
        campaign: The campaign.
        stage: Name of the scoring stage.
        models: Folder of the models of a run, with copies of the composition models that the stage uses.

    Raises:
        UnknownNameError: For a family or a featurizer that nobody registered.
    """
    made = _feature_set(_written(stage_entries(campaign, stage)))
    return made if models is None else with_models_at(made, models / FOLDER)


def settings_in_stage(campaign: Campaign, stage: str, family: str) -> dict[str, Any]:
    """Return settings with which a family reads what the campaign names, and beyond that only what it needs.

    Args:
        campaign: The campaign.
        stage: Name of the scoring stage.
        family: Registered family.

    Raises:
        UnknownNameError: For a family or a featurizer that nobody registered.
    """
    added = _added(campaign, stage)
    if not added or needed_columns(family, {}):
        return {}
    hidden = build_feature_set(added).feature_names
    return {COLUMNS: columns_without(stage_feature_set(campaign, stage).feature_names, hidden)}


def featurizers_needed(families: Iterable[str], columns: Iterable[str]) -> tuple[str, ...]:
    """Return the featurizers that give families the columns that they need beside others.

    Args:
        families: Registered families.
        columns: Names of the columns that are there.

    Raises:
        UnknownNameError: For a family that nobody registered.

    >>> featurizers_needed(["extra_trees"], []), featurizers_needed(["element_attention"], ["density"])
    ((), ('element_fraction',))
    """
    missing = {name for family in families for name in needed_columns(family, {})} - set(columns)
    return tuple(name for name in _GIVES_NEEDED if missing & set(feature_set([name]).feature_names))


def _added(campaign: Campaign, stage: str) -> Entries:
    """Featurizers that families of a stage need and the campaign does not name."""
    families = {family for target in campaign.targets for family in campaign.families(stage, target)}
    if not any(needed_columns(family, {}) for family in families):
        return ()
    present = _feature_set(_written(campaign.scoring_stages[stage].features)).feature_names
    return tuple(Entry.model_validate({"name": name}) for name in featurizers_needed(families, present))


def _written(entries: Entries) -> str:
    return json.dumps([entry.model_dump(mode="json") for entry in entries])


@functools.lru_cache(maxsize=8)
def _feature_set(entries: str) -> FeatureSet:
    return build_feature_set(_ENTRIES.validate_json(entries))
