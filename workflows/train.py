"""Train a model of one property, from a campaign or a table of labels, and leave it in a folder of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from matloop.data.bounded_files import read_json
from matloop.data.errors import CampaignError, RunError
from matloop.data.properties.catalogue import property_named, using
from matloop.data.properties.conditions import CONDITIONS
from matloop.data.training.packaged_tables import labelled_table
from matloop.data.training.training_set import TrainingSet
from matloop.data.training.training_sets import TrainingSets
from matloop.data.whole_files import write_new_folder
from matloop.models.surrogates.store import StoredSurrogate, SurrogateStore
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.source_paths import with_absolute_paths
from matloop.screening.campaign.stage_settings import FAMILIES_TO_CHOOSE_FROM
from matloop.workflows.inspecting.validation import check_campaign, checked_campaign
from matloop.workflows.modelling.trained_model import TrainedModel, describe_model, read_model
from matloop.workflows.running.composition_training import fill_home, used_composition_models
from matloop.workflows.running.insulator_training import fill_insulators
from matloop.workflows.running.own_data import read_own_data, training_of, with_provenances
from matloop.workflows.running.store_keys import store_key
from matloop.workflows.running.surrogate_training import check_provenances
from matloop.workflows.stages.campaign_featurizers import build_feature_set
from matloop.workflows.stages.composition_models import FOLDER, composition_columns
from matloop.workflows.stages.fates import FIRST_STAGE
from matloop.workflows.stages.insulators import FOLDER as INSULATORS
from matloop.workflows.stages.insulators import lacks_metals, source_asked
from matloop.workflows.stages.stage_features import stage_entries
from matloop.workflows.stages.training import best_of_first_stage, fit_surrogate

OF_COMPOSITIONS = ("magpie", "stoichiometry", "valence_orbital", "charge_balance")
"""Featurizers of a model of formulas, unless others are named."""


def train(
    campaign: str | Path | Campaign,
    *,
    output: str | Path,
    property_name: str | None = None,
    families: Sequence[str] = (),
    budget: int | None = None,
    stage: str = FIRST_STAGE,
    training_sets: Sequence[TrainingSet] = (),
    store: bool = True,
    with_probability: bool = True,
) -> TrainedModel:
    """Train the surrogate of one target of a campaign, and write it into a folder for :func:`matloop.predict`.

    Args:
        campaign: A campaign file, the name of a packaged campaign, or a campaign.
        output: The folder to be.
        property_name: Property of the target; may be left out where the campaign has one target.
        families: Model families to choose from; those of the campaign if left out.
        budget: Seconds for the choice of a family.
        stage: Scoring stage whose features and families are used: ``surrogates`` or ``structure``.
        training_sets: As for :func:`matloop.workflows.screen.screen`.
        store: Whether to take the surrogate from the user's store if it was trained before, and to leave it there.
        with_probability: Whether the model gives the probability of the range that the target wants.

    Returns:
        The model.

    Raises:
        CampaignError: Listing every problem of the campaign, or if the property is none of its targets.
        RunError: If the folder exists.
        ModelError: If too few rows teach.
    """
    output = Path(output).expanduser()
    if output.exists():
        raise RunError(f"{output} exists", "a new folder", "choose another --output")
    if not output.absolute().parent.is_dir():
        raise RunError(f"no folder {output.parent} to write {output.name} into", "an existing folder")
    if isinstance(campaign, Campaign):
        chosen = with_absolute_paths(campaign, Path.cwd())
    else:
        chosen = checked_campaign(campaign, training_sets)
    with using(chosen.catalogue):
        single = _for_one_target(chosen, property_name, stage, families=families, budget=budget)
        own = read_own_data(single, training_sets)
        training = training_of(single, own, training_sets)
        single = with_provenances(single, training) if own.sets else single
        check_provenances(single, training)
        check_campaign(single, training_sets)
        write_new_folder(output, lambda draft: _fill(draft, single, stage, training, store, with_probability))
        return read_model(output)


def campaign_of_table(
    path: str | Path, *, property_name: str, column: str, source: str, unit: str | None = None,
    formula_column: str = "formula", group: str | None = None, features: Sequence[str] = (), seed: int = 0,
) -> Campaign:  # fmt: skip
    """Return the campaign with which :func:`train` learns from one table of labels.

    Args:
        path: A ``.csv``, ``.xlsx`` or ``.parquet`` table.
        property_name: Property of the labels.
        column: Column with them.
        source: Provenance of the labels, such as ``exp``.
        unit: Their unit; that of the property, or of the header, if left out.
        formula_column: Column with the formulas.
        group: Column whose rows stay together in splits.
        features: Featurizers; :data:`OF_COMPOSITIONS` without.
        seed: Of all random choices.

    Raises:
        UnknownNameError: If the property is unknown.
    """
    table = {
        "path": str(Path(path).expanduser().absolute()), "property": property_name, "column": column, "unit": unit,
        "source": source, "formula": formula_column, "group": group,
    }  # fmt: skip
    candidates = {"table": {"path": table["path"], "formula_column": formula_column}}
    labels = {"table": {name: value for name, value in table.items() if value is not None}}
    return _campaign_of_labels(
        property_name, candidates=candidates, labels=labels, source=source, features=features, seed=seed
    )  # fmt: skip


def campaign_of_packaged_table(
    name: str, *, property_name: str | None = None, features: Sequence[str | Mapping[str, Any]] = (), seed: int = 0
) -> Campaign:
    """Return the campaign with which :func:`train` learns from a packaged table of labels.

    Where labels stand under a condition, such as a load, the model predicts at its median unless asked otherwise.

    Args:
        name: Name of the table in :data:`matloop.data.training.packaged_tables.TRAINING_SETS`.
        property_name: Property of the labels; may be left out where the table has one.
        features: Featurizers; :data:`OF_COMPOSITIONS` without.
        seed: Of all random choices.

    Raises:
        UnknownNameError: If there is no such table, or it has no labels of the property.
        CampaignError: If the table has labels of several properties, and none is named.
    """
    table = labelled_table(name)
    if property_name is None and len(table.labels) > 1:
        raise CampaignError(f"'{name}' with labels of {', '.join(table.labels)}", "one of them", "name one: --property")
    known = next(iter(table.labels)) if property_name is None else property_name
    labels = table.training_set(known)
    usual = {each: CONDITIONS[each].write(float(np.median(kept))) for each, kept in labels.conditions.items()}
    return _campaign_of_labels(
        known, candidates="embedded", labels=name, source=table.provenance, features=features, seed=seed, at=usual
    )  # fmt: skip


def _campaign_of_labels(
    property_name: str, *, candidates: Any, labels: Any, source: str, features: Sequence[Any], seed: int,
    at: Mapping[str, str] = MappingProxyType({}),
) -> Campaign:  # fmt: skip
    """Return a campaign that learns one property from one set of labels of a provenance."""
    return Campaign.model_validate(
        {
            "name": "labels",
            "seed": seed,
            "sources": [candidates],
            "data": [labels],
            "targets": [
                {
                    "property": property_name, "goal": "maximize", "unit": property_named(property_name).unit,
                    "provenance": source, "at": dict(at),
                }
            ],
            "surrogates": {"features": list(features) or list(OF_COMPOSITIONS), "keep": 1},
            "shortlist": {"size": 1},
        }
    )  # fmt: skip


def _for_one_target(
    campaign: Campaign, name: str | None, stage: str, *, families: Sequence[str], budget: int | None
) -> Campaign:
    """Return the campaign with one target, whose surrogate is chosen from the families asked for."""
    targets = {target.property: target for target in campaign.targets}
    if name is None and len(targets) > 1:
        raise CampaignError(
            f"a campaign with {len(targets)} targets", "one of them", f"--property {next(iter(targets))}"
        )
    name = next(iter(targets)) if name is None else name
    if name not in targets:
        raise CampaignError(f"'{name}', which is no target of the campaign", ", ".join(targets))
    if stage not in campaign.scoring_stages:
        raise CampaignError(
            f"the stage '{stage}'", ", ".join(campaign.scoring_stages), "leave it out for the first one"
        )
    target, settings = targets[name], campaign.scoring_stages[stage]
    if families:
        target = target.model_copy(update={"family": families[0] if len(families) == 1 else tuple(families)})
    if budget is not None:
        given = families or campaign.families(stage, target)
        choice = given if len(given) > 1 else tuple(dict.fromkeys((*given, *FAMILIES_TO_CHOOSE_FROM)))
        target = target.model_copy(update={"family": tuple(choice)})
        settings = settings.model_copy(update={"budget": budget})
    return campaign.model_copy(update={"targets": (target,), stage: settings})


def _fill(
    draft: Path, campaign: Campaign, stage: str, training: TrainingSets, use_store: bool, with_probability: bool
) -> None:
    """Put a model into a folder: copied from the store if it is there, else trained and stored."""
    (target,) = campaign.targets
    store = SurrogateStore.of_user() if use_store else None
    labels, helping = training[target.property], training.helping.get(target.property)
    key = store_key(campaign, stage, target, training=labels, helping=helping)
    features = stage_entries(campaign, stage)
    with tempfile.TemporaryDirectory() as scratch:
        models = Path(scratch)
        fill_home(used_composition_models(campaign), models / FOLDER, store)
        if store is None or store.copy(key, draft) is None:
            surrogate = fit_surrogate(campaign, stage, target, training=labels, helping=helping, models=models)
            surrogate.save(draft)
            if store is not None:
                names = tuple(entry.name for entry in features)
                store.keep(StoredSurrogate.of(key, draft, surrogate.card, features=names), draft)
        card = read_json(draft / "card.json", inside=draft, allow_nan=True)
        wanted = None
        if with_probability:
            wanted = target.range(best_of_first_stage(campaign, stage, target, card, labels, models=models))
        for model in composition_columns(build_feature_set(features)).values():
            shutil.copytree(models / FOLDER / model.folder_name, draft / FOLDER / model.folder_name)
    source = None
    if lacks_metals(campaign, training):
        fill_insulators(draft / INSULATORS)
        source = source_asked(target.provenance)
    describe_model(
        draft, name=campaign.name, known=property_named(target.property), features=features, wanted=wanted,
        at=target.conditions(), insulators=source,
    )  # fmt: skip
