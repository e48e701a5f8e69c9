"""The main workflow: it reads candidates and returns a ranked shortlist."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from matloop.data.allowed_modules import allowing
from matloop.data.candidates.batch import CandidateBatch
from matloop.data.own_labels.label_account import LabelAccount
from matloop.data.properties.catalogue import using
from matloop.data.properties.columns import Column
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.known_files import about_known, read_known_compositions, write_known_formulas
from matloop.data.runs.training_files import read_training_sets, write_training_sets
from matloop.data.training.known_formulas import KnownFormulas, read_known_formulas
from matloop.data.training.known_materials import KnownCompositions, KnownMaterials
from matloop.data.training.training_set import TrainingSet
from matloop.data.training.training_sets import TrainingSets
from matloop.data.whole_files import remove_drafts, write_json, write_table, write_text
from matloop.models.stability.formation_energies import FormationEnergyFit
from matloop.models.surrogates.store import SurrogateStore
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.campaign_file import write_campaign
from matloop.screening.campaign.cluster_settings import cluster_chosen
from matloop.screening.campaign.source_paths import with_absolute_paths
from matloop.screening.dossier.export import WrittenExport, check_export_name, write_export
from matloop.screening.dossier.exported_table import exported_table
from matloop.screening.dossier.shortlist_files import write_shortlist
from matloop.screening.dossier.written_dossiers import WrittenDossiers
from matloop.screening.flags.flags import with_flags
from matloop.screening.ranking.criteria import MOST_PROBABLE, Criterion
from matloop.screening.report.page import write_report
from matloop.screening.runs.run_summary import RunSummary
from matloop.screening.runs.run_view import RunView
from matloop.workflows.clusters.main_guard import check_main_guard
from matloop.workflows.clusters.workers import check_scheduler_file, workers_chosen
from matloop.workflows.deciding.explanations import explain_run
from matloop.workflows.deciding.shortlisting import EQUAL, distinct, novelty
from matloop.workflows.decision import decide
from matloop.workflows.dossiers.run_dossiers import TOP as TOP_DOSSIERS
from matloop.workflows.dossiers.run_dossiers import dossiers_of_run
from matloop.workflows.inspecting.validation import check_campaign, checked_campaign
from matloop.workflows.run_html import run_html
from matloop.workflows.running.beginning import refuse_another_campaign, write_beginning
from matloop.workflows.running.candidate_parts import CandidateParts, sources_of
from matloop.workflows.running.conservation import account_of, check_conservation
from matloop.workflows.running.engine import Engine
from matloop.workflows.running.finalist_phonons import with_phonons
from matloop.workflows.running.identity import identity_of
from matloop.workflows.running.labelled_candidates import asks_what_is_known, labelled_candidates
from matloop.workflows.running.own_data import read_own_data, training_of, with_provenances, write_label_rows
from matloop.workflows.running.progress import Progress
from matloop.workflows.running.results import (
    EXPLANATIONS,
    REPORT,
    SHORTLIST,
    keep_results,
    write_summary,
)
from matloop.workflows.running.session import (
    PARTITION_ROWS,
    Settings,
    engine_of,
    interruptible,
    watched,
    work_on,
)
from matloop.workflows.running.stage import Stage
from matloop.workflows.running.stage_list import stages_of
from matloop.workflows.running.summary import Clock, summary_of
from matloop.workflows.running.surrogate_training import check_provenances, train
from matloop.workflows.stages.citations import citations_of
from matloop.workflows.stages.potential import formation_energy_fit_of, source_of
from matloop.workflows.stages.scoring import ScoringTask

REFERENCE_INTAKE_ROWS = 10_000


def go_on(
    run: RunDirectory, campaign: Campaign, settings: Settings, watch: Progress, *, criterion: Criterion = MOST_PROBABLE
) -> ScreeningRun:
    """Continue a run from its present state to its end. The body is the data path."""
    clock, training = Clock(), read_training_sets(run)
    known = read_known_compositions(run, training)
    with engine_of(run, settings, watch) as engine:
        clock.lap("workers started")
        candidates = CandidateParts(engine, campaign, settings.partition_rows, known)
        announced = len(candidates)
        store = SurrogateStore.of_user() if settings.store else None
        ranges = train(engine, campaign, training, store=store)
        task = ScoringTask(campaign, run.folder.resolve(), ranges, criterion=criterion)
        clock.lap("surrogates trained")
        if settings.prepare_only:
            return _prepared(engine, candidates)
        survivors = dict[str, CandidateBatch]()
        for stage in stages_of(task):
            given = survivors[stage.after] if stage.after else candidates
            survivors[stage.name] = _put_through(engine, stage, given)
            clock.lap(stage.lap)
        ranked, about = decide(engine, task, survivors, training=training)
        clock.lap("shortlist chosen")
        if campaign.potential is not None and campaign.potential.phonons:
            ranked = with_phonons(engine, campaign.potential, ranked)
            clock.lap("vibrations of finalists computed")
        formation = _formation_energy_fit(engine, campaign)
        ranked = engine.ask(partial(with_flags, hull_error=np.nan if formation is None else formation.error), ranked)
        clock.lap("flags raised")
        account = account_of(run, engine.manifest, survivors)
        check_conservation(account, announced)
        _hand_over(run, campaign, ranked, known=training.known, compositions=known)
        keep_results(engine.manifest, SHORTLIST, [run.ranked, run.shortlist, run.novelty, *run.cif.glob("[!.]*")])
        clock.lap("shortlist written")
        sessions = 1 + sum(line["what"] == "resumed" for line in engine.manifest.of_kind("event"))
        summary = summary_of(
            task, account.counts, rows_in=account.intake, about=about, seconds=clock.laps, sessions=sessions,
            workers=settings.workers, formation=formation,
        )  # fmt: skip
        write_summary(engine.manifest, summary)
        explain_run(run.folder)
        keep_results(engine.manifest, EXPLANATIONS, [run.explanations])
        write_report(run.folder, further=citations_of(campaign, run.folder))
        keep_results(engine.manifest, REPORT, [run.report])
    return ScreeningRun(run.folder)


def screen(
    campaign: str | Path | Campaign,
    *,
    output: str | Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    cluster: str | None = None,
    partition_rows: int = PARTITION_ROWS,
    prepare_only: bool = False,
    training_sets: Sequence[TrainingSet] = (),
    store: bool = True,
    allow: Sequence[str] = (),
) -> ScreeningRun:
    """Run a campaign: sources -> filter -> featurize -> score -> relax -> rank -> shortlist -> report.

    A run that was interrupted in any way continues with :func:`matloop.workflows.resume.resume`.

    Args:
        campaign: A campaign file, the name of a packaged campaign, or a campaign.
        output: Folder of the run, new or empty; by default ``runs/NAME-DATE-TIME``.
        workers: Worker processes; at most so many in a batch queue. By default one for each core of this machine that
            this process may use and has memory for.
        progress: Told what happens; silent by default.
        cluster: Where the workers are, in place of what the campaign says: ``local``, ``slurm``, ``pbs``, ``lsf``,
            ``sge``, the address of a Dask scheduler, or the file in which one has left its address.
        partition_rows: Candidates in a partition of the first stage, the unit of work; no result depends on it.
        prepare_only: Stop when all candidates are written and the surrogates are trained.
        training_sets: Training sets of the surrogates, at most one for the property of each target; the other
            surrogates learn from the packaged crystals.
        store: Whether surrogates that were trained before come from the user's store, and new ones go there
            (:mod:`matloop.models.surrogates.store`); no result depends on it.
        allow: Modules of other packages that the campaign may call, such as ``mace.calculators``; see
            :mod:`matloop.data.allowed_modules`.

    Returns:
        The run.

    Raises:
        CampaignError: Listing every problem of the campaign.
        TrainingSetError: If a training set is of a property that is no target, or of another provenance than its
            target names.
        RunError: If the folder is in use, workers do not start, or the counts do not add up.
    """
    check_main_guard()
    with allowing(allow):
        if isinstance(campaign, Campaign):
            chosen = with_absolute_paths(campaign, Path.cwd())
        else:
            chosen = checked_campaign(campaign, training_sets)
        with using(chosen.catalogue):
            own = read_own_data(chosen, training_sets)
            training = training_of(chosen, own, training_sets)
            chosen = with_provenances(chosen, training) if own.sets else chosen
            check_provenances(chosen, training)
            if isinstance(campaign, Campaign):
                check_campaign(chosen, training_sets)
            place = cluster_chosen(chosen.cluster, cluster)
            check_scheduler_file(place)
            settings = Settings(workers_chosen(workers, place), place, partition_rows, prepare_only, store=store)
            told = labelled_candidates(chosen, own.sets)
            known = None if chosen.known is None else read_known_formulas(chosen.known)
            return begin(
                chosen, output, settings, training=training, known=known, accounts=own.accounts, remarks=told,
                progress=progress,
            )  # fmt: skip


def begin(
    campaign: Campaign,
    output: str | Path | None,
    settings: Settings,
    *,
    training: TrainingSets,
    known: KnownFormulas | None = None,
    accounts: Sequence[LabelAccount] = (),
    remarks: Sequence[str] = (),
    progress: Progress | None = None,
) -> ScreeningRun:
    """Start a run in a new folder and take it to its end.

    Args:
        campaign: The campaign, with its catalogue in use.
        output: Folder of the run.
        settings: How to run it.
        training: What the surrogates learn from.
        known: Formulas of one's own that count as known.
        accounts: What became of every row of own labels.
        remarks: What is told after that, before anything is trained.
        progress: Told what happens.

    Raises:
        RunChangedError: If the folder holds a run of another campaign.
        RunError: If the folder is in use, workers do not start, or the counts do not add up.
    """
    with interruptible(RunDirectory(Path(output or "runs"))):
        if output:
            refuse_another_campaign(RunDirectory(Path(output)), campaign)
        run = RunDirectory.create(output or None, campaign.name)
    with work_on(run), watched(run, progress) as watch:
        remove_drafts(run.folder)
        write_text(run.campaign, write_campaign(campaign))
        write_training_sets(run, training)
        if accounts:
            watch.start("reading labels", len(accounts))
            write_label_rows(run.label_rows, accounts)
            for account in accounts:
                watch.advance(1, str(account))
            for remark in remarks:
                watch.advance(0, remark)
        if known is not None:
            watch.start("reading known formulas", 1)
            write_known_formulas(run, known)
            watch.advance(1, known.lines(is_asked=asks_what_is_known(campaign))[0])
        about = None if known is None else about_known(known)
        write_beginning(run, identity_of(campaign, settings.partition_rows, training=training, known=about))
        return go_on(run, campaign, settings, watch)


@dataclass(frozen=True)
class ScreeningRun:
    """A run.

    Attributes:
        folder: Its directory.
    """

    folder: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))

    @property
    def is_complete(self) -> bool:
        """Whether the run reached its end; a run that was only prepared did not."""
        return RunDirectory(self.folder).is_complete

    @property
    def report(self) -> Path:
        """The HTML report."""
        return RunDirectory(self.folder).report

    @functools.cached_property
    def view(self) -> RunView:
        """A view of the directory; each file is read on its first use."""
        return RunView(self.folder)

    @property
    def ranked(self) -> CandidateBatch:
        """The ranked candidates with predictions and cells, best first; column ``shortlisted`` is 1, 2, 3 ... or 0."""
        return self.view.ranked

    @property
    def shortlist(self) -> Any:
        """The shortlist as a pandas DataFrame, best first."""
        table = self.ranked.table
        chosen = table.filter(pa.compute.greater(table[Column.SHORTLISTED], 0)).sort_by(Column.SHORTLISTED)
        return chosen.to_pandas()

    @property
    def summary(self) -> RunSummary:
        """Content of ``run.json``: counts, funnel, versions, timings."""
        return self.view.summary

    def to_pandas(self, *, shortlisted: bool = False) -> Any:
        """The ranked candidates as a pandas DataFrame, best first; ``attrs["units"]`` has the unit of each column.

        Args:
            shortlisted: Whether only the shortlist is wanted.

        Raises:
            RunError: If the run is not finished.
        """
        return exported_table(self.view, shortlisted=shortlisted).to_pandas()

    def export(self, path: str | Path, *, shortlisted: bool = False) -> WrittenExport:
        """Write the ranked candidates with their predictions for another program.

        Args:
            path: File to write: ``.xyz`` or ``.extxyz``, ``.db`` (ASE), ``.json`` (pymatgen), ``.csv`` or ``.xlsx``.
            shortlisted: Whether only the shortlist is wanted.

        Raises:
            RunError: If the run is not finished, the suffix names no format, or the folder does not exist.
        """
        check_export_name(Path(path))
        return write_export(exported_table(self.view, shortlisted=shortlisted), path)

    def dossiers(
        self, *, out: str | Path | None = None, top: int = TOP_DOSSIERS, language: str = "en", radiation: str = "CuKa"
    ) -> WrittenDossiers:
        """Write the dossiers of the first finalists: pages, crystals, result sheets, and packages to send.

        Args:
            out: Folder for them; by default ``dossiers/LANGUAGE`` in the run.
            top: How many finalists.
            language: ``en`` or ``zh``.
            radiation: For powder patterns.

        Returns:
            Where they lie: ``folders`` of the finalists, and ``packages`` of all of them.

        Raises:
            RunError: If the run is not finished, or has no finalist.
            MatloopError: For an unknown language or radiation.
        """
        folder = None if out is None else Path(out)
        return dossiers_of_run(self.view, out=folder, top=top, language=language, radiation=radiation)

    def _repr_html_(self) -> str:
        """The shortlist for a notebook, or how to go on where there is none."""
        return run_html(self.view)


def _prepared(engine: Engine, candidates: CandidateParts) -> ScreeningRun:
    """Write all candidates and train the surrogates, without scoring."""
    engine.watch.start("taking candidates in", len(candidates))
    with contextlib.closing(iter(candidates)) as parts:
        for part in parts:
            engine.watch.advance(part.rows, f"partition {part.index}")
    return ScreeningRun(engine.run.folder)


def _put_through(engine: Engine, stage: Stage, given: CandidateParts | CandidateBatch) -> CandidateBatch:
    """Return the candidates that pass each stage, best first."""
    survivors = stage.run(engine, given)
    if not stage.merges_equal or not len(given):
        return survivors
    survivors, fates = distinct(survivors, stage.ranked_at)
    engine.keep_fates(stage.name, EQUAL, [fates])
    return survivors


def _formation_energy_fit(engine: Engine, campaign: Campaign) -> FormationEnergyFit | None:
    """Return how formation energies come from the energies of the potential; None without a potential."""
    if campaign.potential is None:
        return None
    fit: FormationEnergyFit = engine.ask(formation_energy_fit_of, engine.run.folder.resolve(), campaign.potential)
    return fit


def _hand_over(
    run: RunDirectory, campaign: Campaign, ranked: CandidateBatch, *, known: KnownMaterials,
    compositions: KnownCompositions,
) -> None:  # fmt: skip
    """Write the ranked candidates, the novelty of the best of them, and the shortlist."""
    write_table(run.ranked, ranked.to_arrow())
    reports = novelty(ranked, known, compositions=compositions, references=_references(campaign))
    energies = "" if campaign.potential is None else source_of(campaign.potential)
    write_shortlist(run, ranked, campaign, novelty=reports, energies=energies)
    write_json(run.novelty, {"finalists": reports})


def _references(campaign: Campaign) -> list[CandidateBatch]:
    """Return the known crystals that the campaign names as references."""
    entries = () if campaign.potential is None else campaign.potential.references
    return [intake.batch for source in sources_of(entries) for intake in source.intakes(REFERENCE_INTAKE_ROWS)]
