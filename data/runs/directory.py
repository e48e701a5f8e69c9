"""Run directories: what a run writes, and where.

::

    campaign.yaml          the campaign as resolved
    training_sets.json     what each model learns from: name, provenance, licence, citation, sha256
    training-*.parquet     the rows of training sets that are not packaged
    training_from-*.parquet  the same of sets that help in a transfer
    training_rows.csv      what became of every row of own labels, where there are any
    known_formulas.json    where the formulas of one's own come from that count as known, if the campaign names any
    known_rows.parquet     their compositions
    known_unread.csv       the rows of their file that are no formulas
    identity.json          what decides the result: campaign, code, versions, input files; a resume compares them
    manifest.jsonl         what is finished, with sha256 and counts (see matloop.data.runs.manifest)
    lock.json              who works on the run, while somebody does
    progress.json          how far the run is
    candidates/            one Parquet file per partition: what the sources gave
    models/STAGE/PROPERTY/ one surrogate each, with its card
    models/composition/    the composition models whose values are features, where there are any
    models/insulators/     classifier of insulators and metals, where a target of the gap needs it
    partitions/STAGE/      one Parquet file per partition: what the stage found for every row, and its fate if it ends
    fates/STAGE/           one Parquet file per merge of partitions: the fates of the rows that end there
    best/STAGE/            one Parquet file per partition: its most probable rows, which may go on
    references.parquet     energies of reference phases that are not packaged, where the run needs any
    second_references.parquet  the same by the second potential
    competitors.parquet    energies of known phases that compete with the best candidates
    run.json               versions, seed, counts, funnel, timings; it is there once the run is complete
    ranked.parquet         the ranked candidates with cells, predictions and probabilities
    novelty.json           what is known that equals or resembles each shortlisted candidate
    explanations.json      why each of them is predicted so, what would help it and what would put it out
    shortlist.csv, cif/    what is handed to a lab
    report.html            the same for reading
    dossiers/LANGUAGE/     dossiers of the finalists, where somebody asked for them
"""

from __future__ import annotations

import errno
import os
import re
import shlex
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from matloop.data.errors import RunError, RunFilesError, RunFolderError

RUN_FOLDERS = ("candidates", "models", "partitions", "fates", "best", "cif")
"""Folders that every run has from its beginning; a folder with all of them is taken for a run."""
# What a start leaves that was cut off before the run began.
_OF_A_START = re.compile(
    r"campaign\.yaml|progress\.json|lock\.json.*|\.(campaign|identity|lock|progress|training|known).*\.partial|\.clock-.*"
    r"|manifest\.jsonl|training_sets\.json|training_rows\.csv|training(?:_from)?-[a-z0-9_]+\.parquet"
    r"|known_formulas\.json|known_rows\.parquet|known_unread\.csv"
)


class RunDirectory:
    """Paths and whole-file writes of one run.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @classmethod
    def create(cls, folder: str | Path | None, name: str) -> RunDirectory:
        """A new run directory.

        Args:
            folder: Where to put it; must be empty or not exist. By default ``runs/NAME-DATE-TIME``. The scripts of a
                submission may be there, and what is left of a start that was cut off before the run began.
            name: Campaign name for the default.

        Raises:
            RunError: If the folder holds something already.
            RunFilesError: If it cannot be made.
        """
        if folder is None:
            stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
            choices = [Path("runs") / f"{name}-{stamp}{suffix}" for suffix in ("", *(f"-{i}" for i in range(2, 100)))]
            folder = next(choice for choice in choices if not choice.exists())
        folder = Path(folder).expanduser()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            run = cls(folder)
            parts = [folder / name for name in RUN_FOLDERS]
            if not _is_free(folder, parts):
                raise _in_use(run)
            for part in parts:
                part.mkdir(exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise RunError(
                f"cannot create {folder}: a file is in the way", "a new or empty folder", "choose another --output"
            ) from error
        except OSError as error:
            forbidden = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENAMETOOLONG)
            raise (RunFolderError if forbidden else RunFilesError)(
                f"cannot create {folder}: {error.strerror}", "a folder you may write to",
                "look at the disk and the permissions, or choose another --output",
            ) from error  # fmt: skip
        return run

    candidates = property(lambda self: self.folder / "candidates")
    models = property(lambda self: self.folder / "models")
    composition_models = property(lambda self: self.models / "composition")
    insulators = property(lambda self: self.models / "insulators")
    partitions = property(lambda self: self.folder / "partitions")
    best = property(lambda self: self.folder / "best")
    fates = property(lambda self: self.folder / "fates")
    cif = property(lambda self: self.folder / "cif")
    campaign = property(lambda self: self.folder / "campaign.yaml")
    progress = property(lambda self: self.folder / "progress.json")
    identity = property(lambda self: self.folder / "identity.json")
    training_sets = property(lambda self: self.folder / "training_sets.json")
    label_rows = property(lambda self: self.folder / "training_rows.csv")
    known_formulas = property(lambda self: self.folder / "known_formulas.json")
    known_rows = property(lambda self: self.folder / "known_rows.parquet")
    known_unread = property(lambda self: self.folder / "known_unread.csv")
    ranked = property(lambda self: self.folder / "ranked.parquet")
    summary = property(lambda self: self.folder / "run.json")
    report = property(lambda self: self.folder / "report.html")
    shortlist = property(lambda self: self.folder / "shortlist.csv")
    references = property(lambda self: self.folder / "references.parquet")
    second_references = property(lambda self: self.folder / "second_references.parquet")
    competitors = property(lambda self: self.folder / "competitors.parquet")
    novelty = property(lambda self: self.folder / "novelty.json")
    explanations = property(lambda self: self.folder / "explanations.json")

    @property
    def is_complete(self) -> bool:
        """Whether the run came to its end; the report is the last file it writes."""
        return self.summary.is_file() and self.report.is_file()

    def training_rows(self, name: str, *, helping: bool = False) -> Path:
        """File of the rows of the training set of one property, or of that which helps in a transfer."""
        return Path(self.folder / f"training{'_from' * helping}-{name}.parquet")

    def model(self, stage: str, name: str) -> Path:
        """Folder of the surrogate of one property in one stage."""
        return Path(self.models / stage / name)

    def candidate_part(self, index: int) -> Path:
        """File of the candidates of one partition."""
        return Path(self.candidates / part_name(index))

    def partition(self, stage: str, index: int) -> Path:
        """File of what a stage found for the rows of one partition."""
        return Path(self.partitions / stage / part_name(index))

    def best_part(self, stage: str, index: int) -> Path:
        """File of the rows of one partition that may go on to the next stage."""
        return Path(self.best / stage / part_name(index))

    def merge(self, stage: str, name: str) -> Path:
        """File of the fates of the rows that end where the partitions of a stage are merged."""
        return Path(self.fates / stage / f"{name}.parquet")


def _in_use(run: RunDirectory) -> RunError:
    """Why no run can begin in a folder that holds something, and what to do instead."""
    other, shown = "choose another --output", shlex.quote(str(run.folder))
    if run.is_complete:
        return RunError(
            f"{run.folder} is not empty: it holds a finished run", "a new or empty folder",
            f"{other}; to look at that run: matloop status {shown}",
        )  # fmt: skip
    if os.path.lexists(run.identity):
        return RunError(
            f"{run.folder} is not empty: it holds an unfinished run", "a new or empty folder",
            f"go on with it: matloop resume {shown}, or {other}",
        )  # fmt: skip
    return RunError(f"{run.folder} is not empty", "a new or empty folder", other)


def _is_free(folder: Path, parts: Iterable[Path]) -> bool:
    """Whether a run may begin in a folder.

    A start that was cut off leaves some of the run's folders, all of them empty, and files only where it had made all.
    """
    found = {path for path in folder.iterdir() if path.name != "submission"}
    own = found & set(parts)
    if any(part.is_symlink() or not part.is_dir() or any(part.iterdir()) for part in own):
        return False
    if own == set(parts):
        found = {path for path in found if not _OF_A_START.fullmatch(path.name)}
    return found == own


def is_run_folder(folder: Path) -> bool:
    """Whether a folder is a run directory, also one whose run has only begun."""
    return all((folder / name).is_dir() for name in RUN_FOLDERS)


def part_name(index: int) -> str:
    """File name of a partition."""
    return f"part-{index:05d}.parquet"
