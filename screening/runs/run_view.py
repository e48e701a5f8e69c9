"""A typed view of a run: each file of its directory is read on first use, and then kept.

A run directory may come from anybody. So the size and form of every file are checked before it is used, and no name in
it leads out of the directory. A file that does not fit raises a coded error that names it.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from matloop.data.bounded_files import LARGEST_TABLE, count_rows, read_bounded, read_json, read_table
from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.checked_batch import checked_batch
from matloop.data.errors import DamagedFileError, FileAccessError, MatloopError, RunError
from matloop.data.properties.catalogue import catalogue, property_named, using
from matloop.data.properties.columns import Column
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.known_files import read_known_compositions, read_own_list
from matloop.data.runs.lock_file import LockState, lock_states
from matloop.data.runs.manifest import Manifest
from matloop.data.runs.training_files import read_training_sets
from matloop.data.training.known_materials import KnownCompositions, KnownMaterials, OwnList
from matloop.data.training.training_sets import TrainingSets
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.campaign_file import campaign_error, inspect_content
from matloop.screening.campaign.yaml_document import LARGEST_CAMPAIGN
from matloop.screening.runs.card_records import InsulatorCard, ModelCard
from matloop.screening.runs.explanation_records import Explanations
from matloop.screening.runs.run_records import NoveltyRecords, RunIdentity, RunProgress
from matloop.screening.runs.run_summary import RunSummary

LARGEST_CIF = 500_000  # bytes
MOST_RANKED = 100_000
"""Candidates that the last stage of a campaign may keep."""
LARGEST_RANKED = 400_000_000  # bytes
MOST_CIFS = 10_000
_PART = re.compile(r"part-[0-9]{5,9}\.parquet")
_NAME = re.compile(r"[a-z0-9_]{1,100}")
Model = TypeVar("Model", bound=BaseModel)
_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


class HeldOut(NamedTuple):
    """Predictions of training rows by models that had not seen their composition, in the property's unit.

    Attributes:
        target: Computed values, shape (n,).
        median: Predicted values.
        lo: Lower end of the 90 % interval.
        hi: Upper end.
    """

    target: NDArray[np.float64]
    median: NDArray[np.float64]
    lo: NDArray[np.float64]
    hi: NDArray[np.float64]


class RunView:
    """A run, read from its directory.

    Each attribute raises :class:`~matloop.data.errors.DamagedFileError` if its file is missing, larger or deeper than
    allowed, no regular file, or not what a run writes.

    Args:
        folder: The run directory.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.paths = RunDirectory(folder)

    @property
    def is_there(self) -> bool:
        """Whether the folder holds anything of a run."""
        told = (self.paths.identity, self.paths.campaign, self.paths.summary)
        return any(os.path.lexists(path) for path in told)

    def require(self) -> None:
        """Make sure that there is a run.

        Raises:
            RunError: If there is none.
        """
        if not self.is_there:
            raise RunError(f"no run in {self.folder}", "a folder that matloop screen wrote", "look at the path")

    def require_finished(self) -> None:
        """Make sure that there is a run that came to its end.

        Raises:
            RunError: If there is none.
        """
        self.require()
        if not os.path.lexists(self.paths.summary):
            raise RunError(
                f"the run in {self.folder} is not finished", "a run with run.json", f"matloop resume {self.folder}"
            )

    def check_contents(self) -> None:
        """Make sure that the run holds nothing but files and folders of its own, before anything writes to it.

        Raises:
            DamagedFileError: If there is a pipe, a device, or a link that leads out of the run.
        """
        top = self.folder.resolve()
        for folder, folders, files in os.walk(top):
            for path in (Path(folder, name) for name in (*folders, *files)):
                if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(top):
                    raise _unlike(path.relative_to(top).as_posix(), "a link that leads out of the run in its place")
                if not (path.is_file() or path.is_dir() or path.is_symlink()):
                    raise _unlike(path.relative_to(top).as_posix(), "a pipe or a device in its place")

    @functools.cached_property
    def campaign_text(self) -> str:
        """The resolved campaign as written."""
        content = read_bounded(self.paths.campaign, inside=self.folder, most_bytes=LARGEST_CAMPAIGN)
        return content.decode("utf-8", errors="replace")

    @functools.cached_property
    def campaign(self) -> Campaign:
        """The resolved campaign.

        Raises:
            CampaignError: If it cannot be read back.
            UnknownNameError: If it names a property this version does not know.
        """
        content = read_bounded(self.paths.campaign, inside=self.folder, most_bytes=LARGEST_CAMPAIGN)
        found = inspect_content(content)
        if found.campaign is None:
            raise campaign_error(self.paths.campaign, found.problems)
        with using(found.campaign.catalogue):
            for target in found.campaign.targets:
                property_named(target.property)
        return found.campaign

    @functools.cached_property
    def identity(self) -> RunIdentity:
        """What decides the result."""
        return self._record(self.paths.identity, RunIdentity)

    @functools.cached_property
    def progress(self) -> RunProgress | None:
        """How far the run is; None where nobody told yet."""
        return self._record(self.paths.progress, RunProgress) if os.path.lexists(self.paths.progress) else None

    @functools.cached_property
    def summary(self) -> RunSummary:
        """What the finished run counted."""
        return self._record(self.paths.summary, RunSummary)

    @functools.cached_property
    def manifest(self) -> Manifest:
        """What is finished."""
        return Manifest(self.folder)

    @functools.cached_property
    def training(self) -> TrainingSets:
        """What the surrogates learned from.

        Raises:
            RunError: If the run kept none.
            RunChangedError: If the rows are not those the run learned from.
        """
        return read_training_sets(self.paths)

    @functools.cached_property
    def own_list(self) -> OwnList | None:
        """The list of formulas of one's own that count as known; None where the run has none."""
        return read_own_list(self.paths)

    @functools.cached_property
    def known(self) -> KnownMaterials:
        """What the run knows before it begins, with labels."""
        return replace(self.training.known, own_list=self.own_list)

    @functools.cached_property
    def known_compositions(self) -> KnownCompositions:
        """The compositions that the run counts as known."""
        return read_known_compositions(self.paths, self.training)

    @functools.cached_property
    def locks(self) -> dict[str, LockState]:
        """Who works on the run, by name of the lock."""
        return lock_states(self.folder)

    @functools.cached_property
    def ranked(self) -> CandidateBatch:
        """The ranked candidates with predictions and cells, best first; ``shortlisted`` is 1, 2, 3 ... or 0."""
        table = self.table(self.paths.ranked, most_rows=MOST_RANKED, most_bytes=LARGEST_RANKED)
        name = self.paths.ranked.name
        needed = (Column.RANK, Column.SHORTLISTED, Column.PROBABILITY)
        if lacking := [column for column in needed if column not in table.column_names]:
            raise older_run(name, f"no column {lacking[0]}", self.folder)
        return checked_batch(table, name=name, needed=needed)

    @functools.cached_property
    def shortlisted(self) -> CandidateBatch:
        """The shortlisted candidates, best place first."""
        place = self.ranked.column(Column.SHORTLISTED)
        return self.ranked.take(np.flatnonzero(place > 0)[np.argsort(place[place > 0], kind="stable")])

    @functools.cached_property
    def properties(self) -> list[str]:
        """Names of the targets, in the campaign's order."""
        return [target.property for target in self.campaign.targets]

    @functools.cached_property
    def ranges(self) -> dict[str, tuple[float | None, float | None]]:
        """Wanted range of each target in the property's unit, None where open."""
        return {name: self.summary.ranges.get(name, (None, None)) for name in self.properties}

    def on_log_scale(self, name: str) -> bool:
        """Whether the surrogate of a property works on its logarithm."""
        return any(target.property == name and target.scale() == "log10" for target in self.campaign.targets)

    @property
    def last_stage(self) -> str:
        """The scoring stage whose predictions the ranked candidates carry."""
        return list(self.campaign.scoring_stages)[-1]

    def card(self, stage: str, name: str) -> ModelCard:
        """Card of the surrogate of one property in one stage, as it stands there now."""
        return self._record(self.paths.model(stage, name) / "card.json", ModelCard, allow_nan=True)

    @functools.cached_property
    def insulator_card(self) -> InsulatorCard | None:
        """Card of the classifier of insulators and metals; None where the run keeps none."""
        path = self.paths.insulators / "card.json"
        return self._record(path, InsulatorCard) if os.path.lexists(path) else None

    @functools.cached_property
    def cards(self) -> dict[str, dict[str, Any]]:
        """Card of each surrogate of the last scoring stage, by property; without those that are not there."""
        stage = self.last_stage
        there = (name for name in self.properties if os.path.lexists(self.paths.model(stage, name) / "card.json"))
        return {name: _dumped(self.card(stage, name)) for name in there}

    @functools.cached_property
    def cards_of_stages(self) -> dict[tuple[str, str], ModelCard]:
        """Card of every surrogate of the run, by stage and property, the first stage first."""
        found = {}
        if self.paths.models.is_dir() and not os.access(self.paths.models, os.R_OK | os.X_OK):
            raise FileAccessError(
                f"{self.told(self.paths.models)} cannot be opened: Permission denied", "a folder that you may read",
                "ask its owner for permission to read",
            )  # fmt: skip
        paths = self.paths.models.glob("*/*/card.json")
        for path in sorted(paths, key=lambda path: (path.parts[-3] != "surrogates", path)):
            stage, name = path.parts[-3:-1]
            if stage == self.paths.composition_models.name:
                continue  # their values are features of surrogates, and their cards are of another kind
            if not (_NAME.fullmatch(stage) and _NAME.fullmatch(name)):
                raise _unlike("models", f"a folder {stage}/{name}")
            found[stage, name] = self.card(stage, name)
        return found

    @functools.cached_property
    def held_out(self) -> dict[str, HeldOut]:
        """Held-out predictions of the last scoring stage by property, finite ones; only where they were kept."""
        found = {}
        for name in self.properties:
            path = self.paths.model(self.last_stage, name) / "out_of_fold.parquet"
            if not os.path.lexists(path):
                continue
            table = self.table(path, list(HeldOut._fields))
            if "median" not in table.column_names:
                raise older_run(self.told(path), "no median", self.folder)
            if set(table.column_names) != set(HeldOut._fields) or not all(
                pa.types.is_floating(field.type) for field in table.schema
            ):
                raise _unlike(self.told(path), f"columns {', '.join(map(str, table.schema))}")
            columns = [table.column(name).to_numpy().astype(np.float64) for name in HeldOut._fields]
            sound = np.isfinite(columns).all(axis=0)
            found[name] = HeldOut(*(column[sound] for column in columns))
        return found

    @functools.cached_property
    def cifs(self) -> dict[int, tuple[str, str]]:
        """Name and text of the CIF of each place of the shortlist; too large ones and links are left out."""
        found: dict[int, tuple[str, str]] = {}
        folder = self.paths.cif
        paths = sorted(folder.glob("*.cif"))[:MOST_CIFS] if folder.is_dir() and not folder.is_symlink() else []
        for path in paths:
            place = path.name.partition("_")[0]
            if not re.fullmatch(r"[0-9]{1,9}", place) or path.is_symlink() or not path.is_file():
                continue
            if path.stat().st_size <= LARGEST_CIF:
                content = read_bounded(path, inside=self.folder, most_bytes=LARGEST_CIF)
                found[int(place)] = path.name, content.decode("utf-8", errors="replace")
        return found

    @functools.cached_property
    def novelty(self) -> dict[str, dict[str, Any]]:
        """What is known that is like each shortlisted candidate, by its id; empty where the run did not look."""
        if not os.path.lexists(self.paths.novelty):
            return {}
        content = _dumped(self._record(self.paths.novelty, NoveltyRecords))
        return {record["candidate_id"]: record for record in content["finalists"]}

    @functools.cached_property
    def explanations(self) -> dict[str, dict[str, Any]]:
        """Why each shortlisted candidate is predicted so, by its id; empty where the run has none."""
        return {record["candidate_id"]: record for record in self._explained["finalists"]}

    @functools.cached_property
    def near_misses(self) -> dict[str, dict[str, Any]]:
        """What the most probable candidates that were not chosen would have needed, by id."""
        return {record["candidate_id"]: record for record in self._explained["near_misses"]}

    @functools.cached_property
    def _explained(self) -> dict[str, Any]:
        if not os.path.lexists(self.paths.explanations):
            return {"finalists": [], "near_misses": []}
        return _dumped(self._record(self.paths.explanations, Explanations))

    @property
    def merges(self) -> list[Path]:
        """The files with the fates of candidates that ended where partitions were merged."""
        paths = sorted(self.paths.fates.glob("*/*.parquet"))
        return [path for path in paths if _NAME.fullmatch(path.parent.name)]

    def parts(self, folder: Path) -> list[Path]:
        """The Parquet files of partitions in one folder of the run, by number.

        Args:
            folder: Such as ``partitions/surrogates``.

        Raises:
            DamagedFileError: If the folder is a link.
        """
        if folder.is_symlink() or not folder.resolve().is_relative_to(self.folder.resolve()):
            raise _unlike(self.told(folder), "a link in place of a folder")
        return sorted(path for path in folder.glob("part-*.parquet") if _PART.fullmatch(path.name))

    def table(
        self, path: Path, columns: Sequence[str] | None = None, *, most_rows: int = 100_000_000,
        most_bytes: int = LARGEST_TABLE,
    ) -> pa.Table:  # fmt: skip
        """Columns of a Parquet file of the run; see :func:`matloop.data.bounded_files.read_table`."""
        return read_table(path, inside=self.folder, columns=columns, most_rows=most_rows, most_bytes=most_bytes)

    def rows(self, path: Path) -> int:
        """Rows of a Parquet file of the run."""
        return count_rows(path, inside=self.folder)

    def told(self, path: Path) -> str:
        """Name of a file of the run for people."""
        return path.relative_to(self.folder).as_posix()

    def _record(self, path: Path, model: type[Model], *, allow_nan: bool = False) -> Model:
        content = read_json(path, inside=self.folder, allow_nan=allow_nan)
        try:
            return model.model_validate(content)
        except ValidationError as error:
            if lacking := [_place(problem) for problem in error.errors() if problem["type"] == "missing"]:
                raise older_run(self.told(path), f"no {lacking[0]}", self.folder) from error
            raise _unlike(self.told(path), _first_problem(error)) from error
        except RecursionError as error:
            raise _unlike(self.told(path), "too many levels") from error


def _dumped(record: BaseModel) -> dict[str, Any]:
    """Plain values of a record, as they stand in the file."""
    return record.model_dump(exclude_unset=True)


def _place(problem: Mapping[str, Any]) -> str:
    """Where in a file a problem is."""
    return ".".join(str(part)[:60] for part in problem["loc"]) or "content"


def _first_problem(error: ValidationError) -> str:
    """The first thing that is wrong with a file, and where."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    place = _place(problems[0])
    more = f", and {len(problems) - 1} more problems" if len(problems) > 1 else ""
    return f"something unexpected at {place}: {problems[0]['msg']}{more}"


def _unlike(name: str, found: str) -> DamagedFileError:
    return DamagedFileError(f"{name} has {found}", "the file as the run wrote it", "restore the file")


def older_run(name: str, found: str, folder: Path) -> DamagedFileError:
    """The error for a file that lacks what this version of matloop writes.

    Args:
        name: Of the file.
        found: What it lacks.
        folder: Of the run.
    """
    return DamagedFileError(
        f"{name} has {found}: an earlier version of matloop made the run, or somebody changed the file",
        "what this version writes and needs here",
        f"make the run again with this version: matloop screen {folder / 'campaign.yaml'} --output NEW_FOLDER",
    )


def in_catalogue_of_run(function: Callable[_Given, _Answer]) -> Callable[_Given, _Answer]:
    """Let a function whose first argument is a run, or its folder, use the properties that its campaign defines.

    Where the campaign cannot be read, the catalogue in use stays: whoever needs the campaign says what is wrong.
    """

    @functools.wraps(function)
    def within(*arguments: _Given.args, **options: _Given.kwargs) -> _Answer:
        run: Any = arguments[0] if arguments else next(iter(options.values()))
        try:
            chosen = RunView(getattr(run, "folder", run)).campaign.catalogue
        except MatloopError:
            chosen = catalogue()
        with using(chosen):
            return function(*arguments, **options)

    return within
