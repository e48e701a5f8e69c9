"""The command ``matloop dossier``: write the dossiers of the finalists of a run."""

from __future__ import annotations

import contextlib
from pathlib import Path

from matloop.screening.runs.run_view import RunView
from matloop.workflows.dossiers.run_dossiers import TOP, dossiers_of_run
from matloop.workflows.running.session import work_on


def write_and_print(
    run: Path, *, out: Path | None = None, top: int = TOP, language: str = "en", radiation: str = "CuKa"
) -> None:
    """Write dossiers and say where they lie.

    Args:
        run: The run directory.
        out: Folder for them; by default ``dossiers/LANGUAGE`` in the run.
        top: How many finalists.
        language: ``en`` or ``zh``.
        radiation: For powder patterns.

    Raises:
        RunError: If there is no finished run with a finalist in the folder, or somebody works on it.
        RunFilesError: If nothing can be written there.
        DamagedFileError: If a file is not what a run writes.
        MatloopError: For an unknown language or radiation.
    """
    view = RunView(run)
    view.require_finished()
    with work_on(view.paths) if out is None else contextlib.nullcontext():
        written = dossiers_of_run(view, out=out, top=top, language=language, radiation=radiation)
    print("\n".join(written.lines()))
