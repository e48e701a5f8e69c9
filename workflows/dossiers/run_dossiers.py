"""From a finished run to the dossiers of its finalists."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import MatloopError, RunError, SynthesisError
from matloop.data.properties.columns import Column
from matloop.data.records.result_sheet import LANGUAGES, Language
from matloop.data.synthesis.plan import SynthesisPlan
from matloop.screening.dossier.competing_phases import Competition
from matloop.screening.dossier.diffraction import radiation_named
from matloop.screening.dossier.dossier import Dossier, dossier_of
from matloop.screening.dossier.written_dossiers import WrittenDossiers, write_dossiers
from matloop.screening.report.batch_columns import numbers
from matloop.screening.report.cards import MOST_CARDS, cards, strips
from matloop.screening.runs.run_view import RunView, in_catalogue_of_run
from matloop.workflows.dossiers.decomposition import competitions_of
from matloop.workflows.inspecting.why import story_of
from matloop.workflows.synthesis.plan_synthesis import plan_synthesis

TOP = 3
"""Finalists that get a dossier unless more are asked for."""
ROUTES = 3
"""Routes that a dossier describes."""


def language_named(name: str) -> Language:
    """A language by its name.

    Raises:
        MatloopError: If it is another one.
    """
    chosen = next((language for language in LANGUAGES if language == name), None)
    if chosen is None:
        raise MatloopError(f"language '{name}'", ", ".join(LANGUAGES), "such as --language zh")
    return chosen


@in_catalogue_of_run
def dossiers_of_run(
    view: RunView,
    *,
    out: Path | None = None,
    top: int = TOP,
    language: str = "en",
    radiation: str = "CuKa",
    today: dt.date | None = None,
) -> WrittenDossiers:
    """Write the dossiers of the first finalists of a finished run.

    Args:
        view: The run.
        out: Folder for them; by default ``dossiers/LANGUAGE`` in the run.
        top: How many finalists.
        language: ``en`` or ``zh``.
        radiation: For powder patterns, such as ``CuKa``.
        today: Day on which they are written; by default this one.

    Raises:
        RunError: If there is no finished run, or it has no finalist.
        UnknownNameError: For an unknown radiation.
        MatloopError: For an unknown language.
        DamagedFileError: If a file is not what a run writes.
    """
    chosen = language_named(language)
    dossiers = collected(view, top=top, radiation=radiation, today=today)
    drawn = strips(view)
    folder = view.folder / "dossiers" / chosen if out is None else out.expanduser()
    return write_dossiers(folder, dossiers, cards(view, drawn)[: len(dossiers)], drawn, language=chosen)


def collected(view: RunView, *, top: int = TOP, radiation: str = "CuKa", today: dt.date | None = None) -> list[Dossier]:
    """Put the dossiers of the first finalists of a finished run together.

    Args:
        view: The run.
        top: How many finalists.
        radiation: For powder patterns.
        today: Day on which they are written; by default this one.

    Raises:
        RunError: If there is no finished run, or it has no finalist.
        UnknownNameError: For an unknown radiation.
        DamagedFileError: If a file is not what a run writes.
    """
    with_radiation = radiation_named(radiation)
    view.require_finished()
    count = min(top, MOST_CARDS, len(view.shortlisted))
    if not count:
        raise RunError(
            f"the run in {view.folder} has no finalist", "a run with a shortlist",
            f"look at what became of the candidates: matloop status {view.folder}",
        )  # fmt: skip
    batch = view.shortlisted.take(np.arange(count))
    competitions = competitions_of(batch)
    return [
        dossier_of(
            view, row, story=story_of(view, view.shortlisted.ids[row]), competition=competitions[row],
            synthesis=_synthesis(batch, row, competitions[row]),
            radiation=with_radiation, today=today or dt.date.today(),
        )
        for row in range(count)
    ]  # fmt: skip


def _synthesis(batch: CandidateBatch, row: int, competition: Competition) -> SynthesisPlan | str:
    """Plan how one would make a candidate; in place of a plan, why there is none.

    Where a potential judged it, its energy is that of the mixture it competes with, plus its distance from the hull.
    """
    above = float(numbers(batch, Column.HULL_DISTANCE)[row])
    mixture = sum(phase.share * phase.energy for phase in competition.phases)
    energy = mixture + above if np.isfinite(above) and competition.phases else None
    try:
        return plan_synthesis(batch.formulas[row], energy=energy, routes=ROUTES, exact=True)
    except SynthesisError as error:
        return str(error)
