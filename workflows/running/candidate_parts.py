"""Candidates on their way into a run: taken from the sources once, freed of repeats, and kept in files.

From then on a run needs its sources no more: it goes on from these files, whatever became of a folder or a database.
What a source computes is made and written by the workers: one process could not keep many of them busy.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.bounded_files import read_table
from matloop.data.candidates.batch import Intake, Refused
from matloop.data.candidates.reasons import REPEATED
from matloop.data.candidates.seen_ids import SeenIds
from matloop.data.errors import RunChangedError
from matloop.data.properties.columns import Column
from matloop.data.registry import SOURCES, lookup
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.intake_files import read_intake, write_intake
from matloop.data.runs.manifest import Manifest, key_of, sha256_of
from matloop.data.sources.contract import GeneratingSource, Recipe, Source
from matloop.data.training.known_materials import SOURCE, KnownCompositions
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.entry import Entries
from matloop.workflows.running.dispatch import Died
from matloop.workflows.running.engine import Engine
from matloop.workflows.running.identity import code_key, input_files, read_at_intake
from matloop.workflows.running.own_hull import own_hull, with_own_hull
from matloop.workflows.running.repeats import without_repeats


@dataclass(frozen=True)
class CandidatePart:
    """Candidates of one partition, in their file.

    Attributes:
        index: Number of the partition.
        path: File of the candidates.
        rows: Number of rows, those that are no candidates included.
        key: Hash of the content.
    """

    index: int
    path: Path
    rows: int
    key: str


def sources_of(entries: Entries) -> list[Any]:
    """The sources a campaign names."""
    return [entry.make(lookup("source", SOURCES, entry.name)) for entry in entries]


@dataclass(frozen=True)
class CandidateParts:
    """The candidates of a run in their files, written as they are asked for.

    Attributes:
        engine: Of the run.
        campaign: Names the sources.
        partition_rows: Candidates in a file.
        known: Compositions that the run knows.
    """

    engine: Engine
    campaign: Campaign
    partition_rows: int
    known: KnownCompositions

    @cached_property
    def announced(self) -> int:
        """How many rows the sources say they have."""
        ends = self.engine.manifest.of_kind("candidates_end")
        if ends:
            return int(ends[-1]["announced"])
        total = sum(source.count() for source in self._sources)
        _give_back_memory()
        return total

    def __len__(self) -> int:
        return self.announced

    @cached_property
    def _sources(self) -> list[Any]:
        return sources_of(self.campaign.sources)

    def __iter__(self) -> Generator[CandidatePart, None, None]:
        """Each partition once; those that are written already are not taken again.

        A run that was cut off while it took candidates in goes through its sources again up to where it was; so does
        one whose files were damaged.

        Raises:
            RunChangedError: If the sources give other candidates this time.
        """
        engine, manifest = self.engine, self.engine.manifest
        key = key_of(
            code=code_key(self.campaign), rows=self.partition_rows, files=input_files(read_at_intake(self.campaign)),
            sources=self.campaign.model_dump(mode="json")["sources"], known=self.known.sha256,
            hull=None if self.campaign.hull is None else self.campaign.hull.model_dump(mode="json"),
        )  # fmt: skip
        parts = parts_taken_in(manifest)
        if parts is None and _taken_over(engine, key):
            parts = parts_taken_in(manifest)
        if parts is not None:
            yield from parts
            return
        index = rows = 0
        seen = SeenIds()
        for source in self._sources:
            take = _made_by_workers if isinstance(source, GeneratingSource) else _read_here
            for line in take(self, source, first=index, seen=seen):
                rows, index = rows + line["rows"], index + 1
                yield _part(manifest, line)
        manifest.append("candidates_end", partitions=index, rows=rows, announced=self.announced, inputs=key)


@dataclass(frozen=True)
class Written:
    """Candidates of one partition that are in their files.

    Attributes:
        index: Number of the partition.
        ids: Of the candidates.
        refused: Ids of the rows that are none.
        files: sha256 by path in the run directory.
    """

    index: int
    ids: list[str]
    refused: list[str]
    files: dict[str, str]


@dataclass(frozen=True)
class Making:
    """A partition of candidates that nobody has made yet; travels to a worker.

    Attributes:
        folder: The run directory.
        number: Of the partition.
        recipe: Makes the candidates.
        known: Compositions that the run knows.
    """

    folder: Path
    number: int
    recipe: Recipe
    known: KnownCompositions


def make(call: Making) -> Written:
    """What a worker does with a partition of candidates that nobody has made yet."""
    return _written(RunDirectory(call.folder), call.number, with_known(call.recipe(), call.known))


def with_known(intake: Intake, known: KnownCompositions) -> Intake:
    """Candidates with the columns ``known`` and ``known_to``.

    A candidate is known where the run knows its composition, or where its source calls it known.

    Args:
        intake: What a source handed over.
        known: Compositions that the run knows.
    """
    batch = intake.batch
    holders = known.holders(batch.compositions)
    if Column.KNOWN in batch.table.column_names:
        told = batch.column(Column.KNOWN).astype(bool)
        holders = np.where(told & (holders == ""), SOURCE, holders)
    marked = batch.with_columns({Column.KNOWN: holders != "", Column.KNOWN_TO: holders.tolist()})
    return Intake(marked, intake.refused)


def _give_back_memory() -> None:
    """Give freed memory back to the system: planning a million candidates leaves gaps that glibc keeps otherwise."""
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such call
        ctypes.CDLL(None).malloc_trim(0)


def parts_taken_in(manifest: Manifest) -> list[CandidatePart] | None:
    """All candidates of a run; None if they are not all there, or a file is not what it was."""
    lines = list(_lines(manifest).values())
    ends = manifest.of_kind("candidates_end")
    if not ends or len(lines) != ends[-1]["partitions"] or not all(map(manifest.is_sound, lines)):
        return None
    return [_part(manifest, line) for line in lines]


def _lines(manifest: Manifest) -> dict[int, dict[str, Any]]:
    """The line of each partition by its number; a file that was damaged and written again has several lines."""
    return {line["index"]: line for line in manifest.of_kind("candidates")}


def _read_here(parts: CandidateParts, source: Source, *, first: int, seen: SeenIds) -> Iterator[dict[str, Any]]:
    """The line of each partition of a source that only this process can read, such as a folder."""
    engine = parts.engine
    before = _lines(engine.manifest)
    given = without_repeats(source.intakes(parts.partition_rows), seen, folder=engine.run.candidates)
    for index, intake in enumerate(given, first):
        fresh = with_known(intake, parts.known)
        if parts.campaign.hull is not None:
            fresh = with_own_hull(fresh, own_hull(parts.campaign.hull), column=parts.campaign.hull.column)
        _check_same(before.get(index), index, fresh.batch.ids, [row.candidate_id for row in fresh.refused])
        if _is_sound(engine, before.get(index)):
            yield before[index]
        else:
            yield _kept(engine, _written(engine.run, index, fresh))


def _made_by_workers(
    parts: CandidateParts, source: GeneratingSource, *, first: int, seen: SeenIds
) -> Iterator[dict[str, Any]]:
    """The line of each partition of a source that any process can compute; in order, though they are made in any."""
    engine, folder = parts.engine, parts.engine.run.folder.resolve()
    before, ready, index = _lines(engine.manifest), dict[int, Written | None](), first

    def to_make() -> Iterator[Making]:
        for number, recipe in enumerate(source.recipes(parts.partition_rows), first):
            if _is_sound(engine, before.get(number)):
                ready[number] = None
            else:
                yield Making(folder, number, recipe, parts.known)

    for answered in itertools.chain(engine.answers(make, to_make(), in_flight=engine.in_flight), [None]):
        if answered is not None:
            # Nothing foreign is read here, so what ended the worker was another task of it.
            died = isinstance(answered.answer, Died)
            ready[answered.call.number] = make(answered.call) if died else answered.answer
        while index in ready:
            made = ready.pop(index)
            if made is None:
                seen.add(_ids_in(engine.run.candidate_part(index)))
                yield before[index]
            else:
                yield _freed_of_repeats(engine, made, before.get(index), seen)
            index += 1


def _freed_of_repeats(engine: Engine, made: Written, before: dict[str, Any] | None, seen: SeenIds) -> dict[str, Any]:
    """The line of a partition that was written before it was known which of its candidates had come already."""
    new = seen.add(made.ids)
    if not new.all():
        intake = _without_repeats(read_intake(engine.run.candidate_part(made.index)), new)
        made = _written(engine.run, made.index, intake)
    _check_same(before, made.index, made.ids, made.refused)
    return _kept(engine, made)


def _written(run: RunDirectory, index: int, intake: Intake) -> Written:
    paths = write_intake(run.candidate_part(index), intake)
    files = {path.relative_to(run.folder).as_posix(): sha256_of(path) for path in paths}
    return Written(index, intake.batch.ids, [row.candidate_id for row in intake.refused], files)


def _kept(engine: Engine, made: Written) -> dict[str, Any]:
    """The line of a partition, from now on in the manifest."""
    engine.manifest.append(
        "candidates", index=made.index, rows=len(made.ids) + len(made.refused),
        content=key_of(ids=made.ids, refused=made.refused), files=made.files,
    )  # fmt: skip
    return engine.manifest.lines[-1]


def _check_same(before: dict[str, Any] | None, index: int, ids: list[str], refused: list[str]) -> None:
    if before is not None and before["content"] != key_of(ids=ids, refused=refused):
        raise RunChangedError(
            f"the sources give other candidates than when the run began, first in partition {index}",
            "the same files and settings", "restore them, or start a new run",
        )  # fmt: skip


def _is_sound(engine: Engine, before: dict[str, Any] | None) -> bool:
    """Whether a partition was written before and is what it was."""
    if before is None:
        return False
    if not engine.manifest.is_sound(before):
        engine.event("damaged", f"{', '.join(before['files'])}: taken in again")
        return False
    return True


def _ids_in(path: Path) -> list[str]:
    return read_table(path, columns=[Column.CANDIDATE_ID])[Column.CANDIDATE_ID].to_pylist()


def _taken_over(engine: Engine, key: str) -> bool:
    """Whether a run that this one was forked from took in the same candidates; their files are then linked."""
    earlier = engine.earlier
    ends = [] if earlier is None else [end for end in earlier.of_kind("candidates_end") if end["inputs"] == key]
    if earlier is None or not ends:
        return False
    lines = _lines(earlier).values()
    if not all(earlier.is_sound(line) for line in lines):
        return False
    for line in lines:
        engine.link(line)
        engine.manifest.append(**line)
    engine.manifest.append(**ends[-1])
    return True


def _part(manifest: Manifest, line: dict[str, Any]) -> CandidatePart:
    path = manifest.folder.resolve() / next(iter(line["files"]))
    return CandidatePart(line["index"], path, line["rows"], key_of(files=line["files"]))


def _without_repeats(intake: Intake, new: NDArray[np.bool_]) -> Intake:
    """Candidates that came before are taken out and told among the refused."""
    if new.all():
        return intake
    ids, formulas, origins = intake.batch.ids, intake.batch.formulas, intake.batch.table[Column.ORIGIN].to_pylist()
    repeats = [
        Refused(row, ids[row], formulas[row], REPEATED, str(origins[row])) for row in (~new).nonzero()[0].tolist()
    ]
    return Intake(intake.batch.take(new.nonzero()[0]), [*intake.refused, *repeats])
