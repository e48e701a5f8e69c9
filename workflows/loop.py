"""The lower half of the loop: results come back, models learn from them, and the next batch is chosen.

    records -> training set -> challenger -> decision -> scored pool -> proposal

:func:`retrain` goes from the records to a decision for each target, and :func:`propose` from the pool that a run has
scored, judged anew by the models in use, to the next batch; both write into the records. :func:`status` tells how the
loop stands. What takes sheets in is in :mod:`matloop.data.records.importing`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from matloop.data.errors import CampaignError
from matloop.data.properties.catalogue import using
from matloop.data.records.contents import newest_action
from matloop.data.records.database import RecordsDatabase, open_records
from matloop.data.runs.manifest import key_of
from matloop.data.whole_files import write_new_folder
from matloop.models.surrogates.contest import verdict
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.runs.run_view import RunView
from matloop.workflows.inspecting.validation import checked_campaign
from matloop.workflows.loop_status.standing import LoopStanding, standing_of
from matloop.workflows.looping.challengers import compete, results_of
from matloop.workflows.looping.champions import (
    Champion,
    ModelDecision,
    champion_of,
    describe_champion,
    has_earlier_model,
    models_folder,
    read_champion,
    step_back,
    write_decision,
)
from matloop.workflows.looping.taught_campaign import absolute_place, taught_by_records, without_records
from matloop.workflows.proposing.laboratory import NO_LIMITS, Laboratory
from matloop.workflows.proposing.proposal import Proposal, Wish, choose_proposal
from matloop.workflows.proposing.recorded_proposal import recorded, records_there
from matloop.workflows.running.own_data import read_own_data, training_of
from matloop.workflows.running.store_keys import store_key
from matloop.workflows.stages.fates import FIRST_STAGE
from matloop.workflows.train import train


def retrain(
    campaign: str | Path | Campaign,
    *,
    records: str | None = None,
    laboratory: str = "",
    models: Path | None = None,
    properties: Sequence[str] = (),
    told: Callable[[ModelDecision], None] = lambda _: None,
) -> list[ModelDecision]:
    """Train a challenger for each target from what the records hold, and decide which model is in use.

    Args:
        campaign: A campaign file, the name of a packaged campaign, or a campaign.
        records: The records database, as for :func:`matloop.data.records.database.open_records`.
        laboratory: Whose results teach; those of all laboratories if empty.
        models: Folder of the models; beside the records if left out.
        properties: Properties of the targets wanted; all if empty.
        told: Called with each decision once it is written.

    Returns:
        The decisions: for each property that on the challenger, and before it that its first model is in use.

    Raises:
        CampaignError: If something is wrong with the campaign, or a property is none of its targets.
        RecordsError: If there are no records, or another decision was made meanwhile.
    """
    database = open_records(records, may_create=False)
    chosen = campaign if isinstance(campaign, Campaign) else checked_campaign(campaign)
    place, folder = absolute_place(records), models_folder(records, models).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    decisions: list[ModelDecision] = []

    def write(decision: ModelDecision, before: Champion | None) -> Champion | None:
        decisions.append(write_decision(database, decision, before=before))
        told(decisions[-1])
        return decision.champion

    with using(chosen.catalogue):
        for name in _wanted(chosen, properties):
            champion = champion_of(database, chosen.name, name)
            if champion is None:
                champion = _first_model(chosen, name, folder)
                write(ModelDecision(chosen.name, name, "first", champion), None)
            until = newest_action(database)
            base = read_champion(_first_model(chosen, name, folder), folder)
            taught = taught_by_records(chosen, base, place=place, laboratory=laboratory, until=until)
            write(_challenge(database, taught, champion, until=until, models=folder), champion)
    return decisions


def back(
    campaign: str | Path | Campaign, *, records: str | None = None, properties: Sequence[str] = ()
) -> list[ModelDecision]:
    """Put the model of each target that was in use before the present one back.

    Raises:
        RecordsError: If a property that is asked for, or every one, has no earlier model.
    """
    database = open_records(records, may_create=False)
    chosen = campaign if isinstance(campaign, Campaign) else checked_campaign(campaign)
    names = _wanted(chosen, properties)
    if not properties:
        names = [name for name in names if has_earlier_model(database, chosen.name, name)] or names
    return [step_back(database, chosen.name, name) for name in names]


def propose(
    run: str | Path, wish: Wish, laboratory: Laboratory = NO_LIMITS, *, records: str | None = None,
    models: Path | None = None, dry_run: bool = False,
) -> Proposal:  # fmt: skip
    """Choose the next batch from the pool of a run, by the models in use, and write it into the records.

    Args:
        run: A finished run.
        wish: What is asked of the batch.
        laboratory: Limits of the laboratory.
        records: The records database; a file that does not exist is made unless nothing is to be written.
        models: Folder of the models; beside the records if left out.
        dry_run: Whether to write nothing at all. Records are used then only if they are named or there.

    Raises:
        RunError: If the folder is no finished run, or kept no scored candidates.
        ProposalError: If no candidate is left, or the wish cannot be met.
        RecordsError: If one of the candidates was proposed or made meanwhile.
    """
    view = RunView(run)
    view.require_finished()
    database = records_there(records) if dry_run else open_records(records)
    proposal = choose_proposal(view, wish, laboratory, database, models=models_folder(records, models))
    return proposal if dry_run or database is None else recorded(database, proposal)


def status(
    campaign: str | Path | Campaign, *, records: str | None = None, laboratory: str = "", models: Path | None = None,
    run: Path | None = None,
) -> tuple[Campaign, LoopStanding]:  # fmt: skip
    """Tell how the loop of a campaign stands: what came back, whether predictions held, and what is left.

    Args:
        campaign: A campaign file, the name of a packaged campaign, or a campaign.
        records: The records database.
        laboratory: Whose results count; those of all laboratories if empty.
        models: Folder of the models; beside the records if left out.
        run: The run whose ranked candidates are the pool; None to leave out what is left of it.

    Raises:
        CampaignError: If something is wrong with the campaign.
        RecordsError: If there are no records.
        RunError: If the folder is no finished run.
    """
    database = open_records(records, may_create=False)
    chosen = campaign if isinstance(campaign, Campaign) else checked_campaign(campaign)
    view = None if run is None else RunView(run)
    if view is not None:
        view.require_finished()
    return chosen, standing_of(
        database, chosen, place=records, laboratory=laboratory, models=models_folder(records, models), run=view
    )  # fmt: skip


def _challenge(
    database: RecordsDatabase, taught: Campaign, champion: Champion, *, until: int, models: Path
) -> ModelDecision:
    """Train a challenger and let it compete with the champion."""
    (target,) = taught.targets
    stays = ModelDecision(taught.name, target.property, "few_results", champion)
    results = results_of(database, taught, until=until)
    if results is None or not results.unseen_since(champion.until).any():
        return stays
    with tempfile.TemporaryDirectory() as scratch:
        challenger = train(taught, output=Path(scratch) / "challenger")
        present = read_champion(champion, models)
        contest = compete(present, challenger, taught, results, until=champion.until)
        decision = stays._replace(
            reason=verdict(*contest), results=int(results.measured.sum()), **contest._asdict()
        )  # fmt: skip
        if decision.reason != "wins":
            return decision
        made = _kept_model(challenger.folder, models, taught)
        return decision._replace(champion=describe_champion(made, until=until))


def _first_model(campaign: Campaign, name: str, models: Path) -> Champion:
    """Train the model that learned from everything but records, unless it lies there."""
    base = without_records(campaign, name)
    place = models / _folder_name(base)
    if not place.is_dir():
        with tempfile.TemporaryDirectory() as scratch:
            _kept_model(train(base, output=Path(scratch) / "first").folder, models, base)
    return describe_champion(place, until=0)


def _kept_model(folder: Path, models: Path, campaign: Campaign) -> Path:
    """Copy a model into the folder of models, whole or not at all; one that lies there is the same."""
    place = models / _folder_name(campaign)

    def fill(draft: Path) -> None:
        shutil.copytree(folder, draft)

    write_new_folder(place, fill)
    return place


def _folder_name(campaign: Campaign) -> str:
    """Name of the folder of a model: its property and a hash of all that decides its numbers."""
    (target,) = campaign.targets
    training = training_of(campaign, read_own_data(campaign))
    learned = store_key(
        campaign, FIRST_STAGE, target, training=training[target.property], helping=training.helping.get(target.property)
    )
    return f"{target.property}-{key_of(learned=learned, target=target.model_dump(mode='json'))[:16]}"


def _wanted(campaign: Campaign, properties: Sequence[str]) -> list[str]:
    there = [target.property for target in campaign.targets]
    if wrong := [name for name in properties if name not in there]:
        raise CampaignError(f"'{wrong[0]}', which is no target of the campaign", ", ".join(there))
    return list(properties) or there
