"""Continue a run that was interrupted, fork a run, or score one share of it in a job array."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from matloop.data.allowed_modules import allowing
from matloop.data.errors import LockedError, RunError
from matloop.data.plain_text import counted
from matloop.data.properties.catalogue import using
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.lock import LockWatch, RunLock
from matloop.data.runs.lock_file import LOCK_NAME, lock_states
from matloop.data.runs.manifest import Manifest
from matloop.data.runs.training_files import read_training_sets
from matloop.data.training.known_formulas import read_known_formulas
from matloop.data.training.training_set import TrainingSet
from matloop.data.training.training_sets import TrainingSets
from matloop.data.whole_files import remove_drafts
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.cluster_settings import cluster_confirmed
from matloop.screening.runs.run_view import RunView, in_catalogue_of_run
from matloop.workflows.clusters.main_guard import check_main_guard
from matloop.workflows.clusters.workers import workers_chosen
from matloop.workflows.inspecting.validation import checked_campaign
from matloop.workflows.running.beginning import refuse_another_campaign, restore_beginning, unchanged
from matloop.workflows.running.candidate_parts import parts_taken_in
from matloop.workflows.running.engine import write_event
from matloop.workflows.running.own_data import read_own_data, training_of
from matloop.workflows.running.partition_jobs import scoring_jobs
from matloop.workflows.running.progress import Progress, SilentProgress
from matloop.workflows.running.results import REPORT
from matloop.workflows.running.session import Settings, engine_of, interruptible, watched, work_on
from matloop.workflows.running.surrogate_training import train
from matloop.workflows.screen import ScreeningRun, begin, go_on
from matloop.workflows.stages.scoring import ScoringTask


@in_catalogue_of_run
def resume(
    folder: str | Path,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    cluster: str | None = None,
    prepare_only: bool = False,
    store: bool = True,
    allow: Sequence[str] = (),
) -> ScreeningRun:
    """Continue a run to its end. Finished work is not repeated, and the shortlist is that of an unbroken run.

    Args:
        folder: The run directory.
        workers: Worker processes, as for :func:`matloop.workflows.screen.screen`.
        progress: Told what happens; silent by default.
        cluster: Place of the workers, instead of the one that the campaign names.
        prepare_only: Stop when all candidates are written and the surrogates are trained.
        store: Whether to use the store of surrogates, as for :func:`matloop.workflows.screen.screen`.
        allow: Modules of other packages that the campaign may call, as for :func:`matloop.workflows.screen.screen`; the
            run directory holds no permission.

    Returns:
        The finished run, immediately if it was finished already.

    Raises:
        RunChangedError: If the campaign, the code, a library or an input file changed since the run began.
        LockedError: If another process works on the run.
        RunError: As :func:`matloop.workflows.screen.screen`.
    """
    check_main_guard()
    with interruptible(RunDirectory(Path(folder))):
        run = existing_run(folder)
        kept = Manifest(run.folder)
        if run.is_complete and kept.results(REPORT) and not kept.damage():
            refuse_another_campaign(run, RunView(run.folder).campaign, resumes=True)
            _clean_up(run)
            return ScreeningRun(run.folder)
    with ExitStack() as locks:
        locks.enter_context(allowing(allow))
        lock = locks.enter_context(work_on(run))
        watch = locks.enter_context(watched(run, progress))
        others, seen = lock_states(run.folder).keys() - {LOCK_NAME}, LockWatch()
        for name in others:
            with contextlib.suppress(FileNotFoundError):
                seen.look(run.folder / name)
        for name in others:  # tasks of a job array that may still be at work
            locks.enter_context(RunLock(run.folder, name, watch=seen))
        campaign, identity = unchanged(run)
        remove_drafts(run.folder)
        again = restore_beginning(run, identity)
        over = f"; {again}" if again else ""
        over += f"; took over from {lock.taken_over}" if lock.taken_over else ""
        place = cluster_confirmed(campaign.cluster, cluster)
        count = workers_chosen(workers, place)
        write_event(Manifest(run.folder), "resumed", f"{counted(count, 'worker')}{over}")
        settings = Settings(count, place, identity["partition_rows"], prepare_only, store=store)
        return go_on(run, campaign, settings, watch)


def _clean_up(run: RunDirectory) -> None:
    """Remove what a driver left that was killed when it had written everything but not yet given back the lock."""
    if not any(run.folder.glob("lock*.json*")) and not any(run.folder.rglob(".*.partial")):
        return
    with contextlib.suppress(LockedError, OSError), RunLock(run.folder), watched(run, None):
        remove_drafts(run.folder)


@in_catalogue_of_run
def fork(
    folder: str | Path,
    output: str | Path,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    cluster: str | None = None,
    store: bool = True,
    allow: Sequence[str] = (),
) -> ScreeningRun:
    """Start a new run from the present campaign in a run directory, and reuse results that still fit.

    A candidate file, a surrogate or a partition fits if the hash of everything that decides its content is the same.

    Args:
        folder: The run directory.
        output: Folder of the new run; it must be new or empty.
        workers: Number of worker processes, as for :func:`matloop.workflows.screen.screen`.
        progress: Told what happens; silent by default.
        cluster: Place of the workers, instead of the one that the campaign names.
        store: Whether to use the store of surrogates, as for :func:`matloop.workflows.screen.screen`.
        allow: As for :func:`resume`.

    Raises:
        CampaignError: Listing every problem of the campaign in the run directory.
        RunError: As :func:`matloop.workflows.screen.screen`.
    """
    check_main_guard()
    run = existing_run(folder)
    view = RunView(run.folder)
    training = view.training
    with allowing(allow):
        campaign = checked_campaign(view.paths.campaign, training.all_sets)
        place = cluster_confirmed(campaign.cluster, cluster)
        count, rows = workers_chosen(workers, place), view.identity.partition_rows
        settings = Settings(count, place, rows, earlier=view.manifest, store=store)
        given = _given_again(campaign, training)
        with using(campaign.catalogue):
            own = read_own_data(campaign, given)
            chosen = training_of(campaign, own, given)
            known = None if campaign.known is None else read_known_formulas(campaign.known)
            return begin(
                campaign, output, settings, training=chosen, known=known, accounts=own.accounts, progress=progress
            )


def _given_again(campaign: Campaign, training: TrainingSets) -> list[TrainingSet]:
    """The training sets of a run that targets of its present campaign can use."""
    given = []
    for target in campaign.targets:
        name, helping = target.property, training.helping.get(target.property)
        if name in training.by_property:
            given.append(training[name])
        if helping is not None and target.transfer is not None and target.transfer.helps(helping.provenance):
            given.append(helping)
    return given


@in_catalogue_of_run
def score_share(
    folder: str | Path,
    share: tuple[int, int],
    *,
    workers: int = 1,
    progress: Progress | None = None,
    allow: Sequence[str] = (),
) -> int:
    """Score one share of the candidates as a task of a job array; the last job continues with :func:`resume`.

    Tasks share nothing but the folder: each has its own manifest, its own lock and its own workers.

    Args:
        folder: A run that was prepared: candidates written, surrogates trained.
        share: Number of the task, from 1, and how many there are.
        workers: Worker processes on this machine.
        progress: Told what happens; silent by default.
        allow: As for :func:`resume`.

    Returns:
        Number of partitions of the share.

    Raises:
        RunChangedError: As :func:`resume`.
        RunError: If the run was not prepared.
    """
    check_main_guard()
    (task, tasks), run = share, RunDirectory(Path(folder))
    with interruptible(run), allowing(allow):
        run = existing_run(folder)
        kept = Manifest(run.folder)
        campaign, identity = unchanged(run)
        candidates, models = parts_taken_in(kept), {line["key"]: line for line in kept.of_kind("model")}
        if candidates is None or not all(map(kept.is_sound, models.values())):
            raise RunError(
                f"{run.folder} was not prepared, or a file of it is damaged",
                "candidates written and surrogates trained", f"matloop resume {run.folder}",
            )  # fmt: skip
    with work_on(run, name=f"lock-{task:03d}.json"), allowing(allow):
        settings = Settings(workers, partition_rows=identity["partition_rows"])
        watch = progress or SilentProgress()
        with engine_of(run, settings, watch, manifest=f"manifest-{task:03d}.jsonl") as engine:
            scoring = ScoringTask(campaign, run.folder.resolve(), train(engine, campaign, read_training_sets(run)))
            parts = [part for part in candidates if part.index % tasks == task - 1]
            jobs = scoring_jobs(scoring, engine.manifest, parts)
            return len(engine.finish("scoring candidates", sum(part.rows for part in parts), jobs))


def read_share(text: str) -> tuple[int, int]:
    """Read the number of a task and the number of tasks.

    Raises:
        RunError: If the text is not of the form ``2/16``.

    >>> read_share("3/8")
    (3, 8)
    """
    found = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise RunError(f"a share of {text[:40]!r}", "task/tasks, such as 3/8 for the third of eight")
    return int(found[1]), int(found[2])


def existing_run(folder: str | Path) -> RunDirectory:
    """Open the run in a folder.

    Raises:
        RunError: If there is none.
        DamagedFileError: If the folder holds a file that would lead a writer out of it, or block a reader.
    """
    run = RunDirectory(Path(folder))
    began = os.path.lexists(run.identity) or RunView(run.folder).manifest.beginning is not None
    if not began or not os.path.lexists(run.campaign):
        raise RunError(
            f"no run in {folder}", "a folder that matloop screen wrote",
            "look at the path; one that was cut off before it began is started anew with matloop screen",
        )  # fmt: skip
    RunView(run.folder).check_contents()
    return run
