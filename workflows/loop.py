"""The lower half of the loop: results come back, models learn from them, and the next batch is chosen.

    records -> training set -> challenger -> decision -> scored pool -> proposal

:func:`retrain` goes from the records to a decision for each target, and :func:`propose` from the pool that a run has
scored, judged anew by the models in use, to the next batch; both write into the records. :func:`status` tells how the
loop stands. What takes sheets in is in :mod:`matloop.data.records.importing`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from matloop.data.errors import CampaignError, ModelError, TrainingSetError
from matloop.data.properties.catalogue import using
from matloop.data.records.contents import newest_action
from matloop.data.records.database import RecordsDatabase, open_records
from matloop.data.records.laboratories import known_laboratory
from matloop.models.surrogates.contest import verdict
from matloop.models.surrogates.training import SMALLEST_TRAINING_SET
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.runs.run_view import RunView
from matloop.workflows.loop_status.standing import LoopStanding, standing_of
from matloop.workflows.looping.challengers import compete, results_of
from matloop.workflows.looping.champions import (
    Champion,
    ModelDecision,
    champion_of,
    describe_champion,
    earlier_champion,
    first_champion_of,
    has_earlier_model,
    models_folder,
    read_champion,
    step_back,
    write_decision,
)
from matloop.workflows.looping.first_models import first_from_records, first_model, kept_model, train_again
from matloop.workflows.looping.learned_values import compounds_that_teach, outdated_models, values_taken_back
from matloop.workflows.looping.measured_alone import is_measured_alone, loop_campaign
from matloop.workflows.looping.taught_campaign import absolute_place, laboratory_of, taught_alone, taught_by_records
from matloop.workflows.proposing.laboratory import NO_LIMITS, Laboratory
from matloop.workflows.proposing.proposal import Proposal, Wish, choose_proposal
from matloop.workflows.proposing.recorded_proposal import proposal_again, recorded, records_there
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

    A property that nothing but records teaches has no model before 20 compounds have a value; then the first one learns
    from records alone. A model that learned from values that were corrected or retracted since gives way to the one
    before it, and a challenger that learns from what stands now competes with that.

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
        RecordsError: If there are no records, no sheet of the laboratory, or another decision was made meanwhile.
    """
    database = open_records(records, may_create=False)
    chosen = campaign if isinstance(campaign, Campaign) else loop_campaign(campaign)
    whose = known_laboratory(database, laboratory)
    place, folder = absolute_place(records), models_folder(records, models).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    decisions: list[ModelDecision] = []

    def write(decision: ModelDecision, before: Champion | None) -> Champion | None:
        decisions.append(write_decision(database, decision, before=before))
        told(decisions[-1])
        return decision.champion

    with using(chosen.catalogue):
        for name in _wanted(chosen, properties):
            champion = _standing_champion(database, chosen, name, place=place, write=write)
            until, first = newest_action(database), first_champion_of(database, chosen.name, name)
            if is_measured_alone(chosen, name):
                learned = (until, whose) if first is None else (first.until, _whose(first, whose))
                alone = taught_alone(chosen, name, place=place, until=learned[0], laboratory=learned[1])
                if first is None or champion is None:
                    write(first_from_records(database, alone, until=until, models=folder), None)
                    continue
                train_again(first, alone, folder)
            else:
                first = first_model(chosen, name, folder)
            if champion is None:
                champion = first
                write(ModelDecision(chosen.name, name, "first", champion), None)
                until = newest_action(database)
            base = read_champion(first, folder)
            if champion.until > first.until:
                before = taught_by_records(
                    chosen, base, place=place, laboratory=_whose(champion, whose), until=champion.until
                )
                train_again(champion, before, folder)
            taught = taught_by_records(chosen, base, place=place, laboratory=whose, until=until)
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
    chosen = campaign if isinstance(campaign, Campaign) else loop_campaign(campaign)
    names = _wanted(chosen, properties)
    if not properties:
        names = [name for name in names if has_earlier_model(database, chosen.name, name)] or names
    return [step_back(database, chosen.name, name) for name in names]


def propose(
    run: str | Path, wish: Wish, laboratory: Laboratory = NO_LIMITS, *, records: str | None = None,
    models: Path | None = None, dry_run: bool = False, prepare: Callable[[Proposal], None] = lambda _: None,
) -> Proposal:  # fmt: skip
    """Choose the next batch from the pool of a run, by the models in use, and write it into the records.

    Args:
        run: A finished run.
        wish: What is asked of the batch.
        laboratory: Limits of the laboratory.
        records: The records database; a file that does not exist is made unless nothing is to be written.
        models: Folder of the models; beside the records if left out.
        dry_run: Whether to write nothing at all. Records are used then only if they are named or there.
        prepare: Called with the batch before it is recorded, to write what must not fail later; what it raises leaves
            the records as they are.

    Raises:
        RunError: If the folder is no finished run, or kept no scored candidates.
        ProposalError: If no candidate is left, or the wish cannot be met.
        RecordsError: If one of the candidates was proposed or made meanwhile.
    """
    view = RunView(run)
    view.require_finished()
    database = records_there(records) if dry_run else open_records(records)
    proposal = choose_proposal(view, wish, laboratory, database, models=models_folder(records, models))
    if database is not None and proposal.retrained:
        outdated = outdated_models(database, view.campaign, proposal.retrained, place=records)
        proposal = replace(proposal, outdated=tuple(outdated))
    if dry_run or database is None:
        return proposal
    prepare(proposal)
    with using(view.campaign.catalogue):
        return recorded(database, proposal)


def proposed(run: str | Path, batch: str, *, records: str | None = None) -> Proposal:
    """A batch that was proposed, as the records hold it.

    Args:
        run: The run that it was chosen from.
        batch: The id of its action or the beginning of it, or ``last`` for the newest batch of the run.
        records: The records database.

    Raises:
        RecordsError: If the records hold no such batch.
    """
    return proposal_again(RunView(run), open_records(records, may_create=False), batch)


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
        RecordsError: If there are no records, or no sheet of the laboratory.
        RunError: If the folder is no finished run.
    """
    database = open_records(records, may_create=False)
    chosen = campaign if isinstance(campaign, Campaign) else loop_campaign(campaign)
    view = None if run is None else RunView(run)
    if view is not None:
        view.require_finished()
    whose = known_laboratory(database, laboratory)
    return chosen, standing_of(
        database, chosen, place=records, laboratory=whose, models=models_folder(records, models), run=view
    )  # fmt: skip


def _standing_champion(
    database: RecordsDatabase, campaign: Campaign, name: str, *, place: str | None,
    write: Callable[[ModelDecision, Champion | None], Champion | None],
) -> Champion | None:  # fmt: skip
    """The newest model whose values all stand; each newer one gives way by a decision of its own."""
    champion = champion_of(database, campaign.name, name)
    while champion is not None and (gone := values_taken_back(campaign, name, champion, place=place)):
        earlier = earlier_champion(database, campaign.name, name)
        champion = write(ModelDecision(campaign.name, name, "taken_back", earlier, results=gone), champion)
    return champion


def _challenge(
    database: RecordsDatabase, taught: Campaign, champion: Champion, *, until: int, models: Path
) -> ModelDecision:
    """Train a challenger and let it compete with the champion."""
    (target,) = taught.targets
    stays = ModelDecision(
        taught.name, target.property, "few_results", champion, results=compounds_that_teach(taught)
    )  # fmt: skip
    if stays.results < SMALLEST_TRAINING_SET:
        return stays
    with tempfile.TemporaryDirectory() as scratch:
        try:
            results = results_of(database, taught, until=until)
            if not results.unseen_since(champion.until).any():
                return stays._replace(reason="nothing_new")
            challenger = train(taught, output=Path(scratch) / "challenger")
        except (TrainingSetError, ModelError) as fault:
            return stays._replace(reason="cannot_learn", fault=str(fault))
        present = read_champion(champion, models)
        contest = compete(present, challenger, taught, results, until=champion.until)
        decision = stays._replace(
            reason=verdict(*contest), results=int(results.measured.sum()), **contest._asdict()
        )  # fmt: skip
        if decision.reason != "wins":
            return decision
        made = kept_model(challenger.folder, models, taught)
        return decision._replace(champion=describe_champion(made, until=until, laboratory=laboratory_of(taught)))


def _whose(champion: Champion, otherwise: str) -> str:
    """Whose results a model learned from."""
    return otherwise if champion.laboratory is None else champion.laboratory


def _wanted(campaign: Campaign, properties: Sequence[str]) -> list[str]:
    there = [target.property for target in campaign.targets]
    if wrong := [name for name in properties if name not in there]:
        raise CampaignError(f"'{wrong[0]}', which is no target of the campaign", ", ".join(there))
    return list(properties) or there
