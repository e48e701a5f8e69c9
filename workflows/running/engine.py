"""The engine: partitions are worked on by any worker in any order, each is finished once, and none is lost.

A partition is finished when its files have their final names and the manifest has its line. Going on after a kill means
asking the manifest; nothing else is remembered. A partition whose worker died is worked on again with nothing beside
it, and cut in halves until the rows that end their worker stand alone; only those are quarantined.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from matloop.data.allowed_modules import Allowing, allowed_modules
from matloop.data.bounded_files import regular_file
from matloop.data.candidates.batch import Intake
from matloop.data.errors import RunError
from matloop.data.properties.catalogue import WithCatalogue, catalogue
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.intake_files import read_intake
from matloop.data.runs.manifest import Manifest, sha256_of
from matloop.data.whole_files import UnderPermission, check_may_write, present_permission, write_bytes, write_table
from matloop.workflows.running.dispatch import PATIENCE, Answered, Call, Died, answers
from matloop.workflows.running.progress import Progress
from matloop.workflows.stages.fates import FATE_SCHEMA, FateCounts, counted, counts_of, decided
from matloop.workflows.stages.scoring import StageTables

Work = Callable[[Intake], StageTables]


@dataclass(frozen=True)
class Job:
    """One partition of one stage; travels to a worker.

    Attributes:
        stage: Name of the stage.
        index: Number of the partition, names its files.
        key: Hash of all that decides the result.
        work: What is done.
        lost: What becomes of rows that end every worker.
        given: Candidates, or the file that holds them.
        rows: Number of rows, those that are no candidates included.
        divisible: Whether each row has the same result in a smaller partition. Where the rows decide about each other
            they are worked on together or not at all.
    """

    stage: str
    index: int
    key: str
    work: Work
    lost: Work
    given: Intake | Path
    rows: int
    divisible: bool = True

    def intake(self) -> Intake:
        """The candidates."""
        return read_intake(self.given) if isinstance(self.given, Path) else self.given


class Finished(NamedTuple):
    """What a worker tells of a finished partition; everything else is in its files.

    Attributes:
        files: sha256 by path in the run directory.
        counts: Rows by where, how and why they end.
    """

    files: dict[str, str]
    counts: FateCounts


@dataclass
class Engine:
    """What every stage of a run needs.

    Attributes:
        client: Where the workers are reached.
        run: The run directory.
        manifest: What is finished.
        watch: Told what happens.
        in_flight: Most partitions handed out at a time.
        earlier: Manifest of the run this one was forked from.
        counts: Fates so far, with the rows of the present stage whose fate is open; changed as the run goes on.
        patience: Seconds without any worker after which the run gives up.
    """

    client: Any
    run: RunDirectory
    manifest: Manifest
    watch: Progress
    in_flight: int
    earlier: Manifest | None = None
    counts: FateCounts = field(default_factory=Counter)
    patience: float = PATIENCE

    def answers(
        self, function: Callable[..., Any], calls: Iterable[Call], *, in_flight: int
    ) -> Iterator[Answered[Call]]:
        """See :func:`matloop.workflows.running.dispatch.answers`.

        Workers use the catalogue in use here, write under the permission in use here, and may call the modules that are
        allowed here.
        """
        function = WithCatalogue(catalogue(), function) if catalogue().own else function
        function = Allowing(allowed_modules(), function) if allowed_modules() else function
        permission = present_permission()
        function = UnderPermission(permission, function) if permission is not None else function
        return answers(self.client, function, calls, in_flight=in_flight, patience=self.patience)

    def finish(self, label: str, total: int, jobs: Iterable[Job]) -> list[tuple[str, int]]:
        """Finish all partitions that are not finished yet; returns stage and number of each."""
        self.watch.start(label, total)
        done: list[tuple[str, int]] = []
        suspects: list[Job] = []
        worked_on = self._worked_on(self._unfinished(jobs, done))
        try:
            for job, answer in worked_on:
                if isinstance(answer, Died):
                    suspects.append(job)
                    self.event("worker died", f"{job.stage}, partition {job.index}")
                else:
                    self._record(job, answer, done)
        finally:  # what is open is dropped now, while workers can be told, and not whenever it is collected
            for generator in (worked_on, jobs):
                if isinstance(generator, Generator):
                    generator.close()
        for job in suspects:
            self._record(job, self._isolated(job), done)
        return done

    def keep_fates(self, stage: str, merge: str, tables: Iterable[pa.Table], *, least: float | None = None) -> None:
        """Write the fates of the rows that end in a merge of partitions.

        A merge is made again by every process that goes on with a run; the same fates leave file and manifest as they
        are, and a fork shares the file of the run it was forked from.

        Args:
            stage: The stage whose partitions are merged.
            merge: What is decided.
            tables: Fates, one table or more.
            least: What the last of those that go on scores, where a merge cuts by scores.
        """
        path, counts, sink = self.run.merge(stage, merge), FateCounts(), io.BytesIO()
        with pq.ParquetWriter(sink, FATE_SCHEMA, compression="zstd") as writer:
            for table in tables:
                counts.update(counted(table))
                writer.write_table(table)
        content = sink.getvalue()
        files = {path.relative_to(self.run.folder).as_posix(): hashlib.sha256(content).hexdigest()}
        own = _made_before(self.manifest, files)
        if own is None and self.earlier is not None and (line := _made_before(self.earlier, files)):
            self.link(line)
        elif own is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, content)
        lines = [line for line in self.manifest.of_kind("fates") if (line["stage"], line["merge"]) == (stage, merge)]
        if not lines or lines[-1]["files"] != files:
            self.manifest.append("fates", stage=stage, merge=merge, files=files, counts=_lines_of(counts), least=least)
        self.counts = decided(self.counts) + counts

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The answer of one worker to one call; a worker that dies is replaced, twice at most.

        Raises:
            RunError: If three workers died of it.
        """
        for _ in range(3):
            (answered,) = self.answers(_call, [(function, arguments)], in_flight=1)
            if not isinstance(answered.answer, Died):
                return answered.answer
            self.event("worker died", function.__name__)
        raise RunError(f"three worker processes died while they ran {function.__name__}", "more memory for workers")

    def event(self, what: str, detail: str) -> None:
        """Write down what happened to the run itself."""
        write_event(self.manifest, what, detail)

    def reused(self, key: str) -> dict[str, Any] | None:
        """The line of what was made from the same inputs, here or in the run this one was forked from.

        Files of the earlier run are linked, or copied, under the same names.
        """
        own = self.manifest.with_key(key)
        if own is not None and self.manifest.is_sound(own):
            return own
        if own is not None:
            self.event("damaged", f"{', '.join(own['files'])}: made again")
        line = None if self.earlier is None else self.earlier.with_key(key)
        if line is None or self.earlier is None or not self.earlier.is_sound(line):
            return None
        self.link(line)
        return line

    def link(self, line: dict[str, Any]) -> None:
        """Give this run the files that a line of the run it was forked from names."""
        assert self.earlier is not None
        for name in line["files"]:
            _link(regular_file(self.earlier.folder / name, inside=self.earlier.folder), self.run.folder / name)

    def _unfinished(self, jobs: Iterable[Job], done: list[tuple[str, int]]) -> Iterator[Job]:
        """Jobs still to be done; those that are finished are counted on the way."""
        for job in jobs:
            line = self.reused(job.key)
            if line is None or (line["stage"], line["index"]) != (job.stage, job.index):
                yield job
                continue
            if self.manifest.with_key(job.key) is not line:
                self.manifest.append(**line)
            self._count(job, counts_of(line["counts"]), done, earlier=True)

    def _worked_on(self, jobs: Iterator[Job]) -> Iterator[tuple[Job, Finished | Died]]:
        folder = self.run.folder.resolve()
        calls = ((folder, job) for job in jobs)
        for answered in self.answers(perform, calls, in_flight=self.in_flight):
            yield answered.call[1], answered.answer

    def _record(self, job: Job, finished: Finished, done: list[tuple[str, int]]) -> None:
        self.manifest.append(
            "partition", stage=job.stage, index=job.index, key=job.key, rows=job.rows, files=finished.files,
            counts=_lines_of(finished.counts),
        )  # fmt: skip
        self._count(job, finished.counts, done)

    def _count(self, job: Job, counts: FateCounts, done: list[tuple[str, int]], *, earlier: bool = False) -> None:
        done.append((job.stage, job.index))
        self.counts.update(counts)
        endings = [(ending, n) for ending, n in self.counts.items()]
        self.watch.advance(job.rows, f"{job.stage}, partition {job.index}", endings=endings, earlier=earlier)

    def _isolated(self, job: Job) -> Finished:
        """Work on a partition piece by piece, nothing else beside it, until only rows that end their worker fail."""
        intake = job.intake()
        pieces, tables = [(0, len(intake.batch))], []
        suspected: set[int] = set()
        while pieces:
            start, stop = pieces.pop()
            part = Intake(intake.batch.take(range(start, stop)), intake.refused if start == 0 else [])
            (answered,) = self.answers(_work_on, [(job.work, part)], in_flight=1)
            if not isinstance(answered.answer, Died):
                tables.append((start, answered.answer))
            elif not job.divisible and start in suspected:
                raise RunError(
                    f"worker processes died while they worked on the stage {job.stage}", "more memory for workers",
                    f"matloop resume {self.run.folder} goes on from here",
                )  # fmt: skip
            elif stop - start > 1 and job.divisible:
                middle = (start + stop) // 2
                pieces += [(start, middle), (middle, stop)]
                self.event("partition split", f"{job.stage}, partition {job.index}, rows {start} to {stop}")
            elif start not in suspected:  # a worker may also die of something else: no row is lost for one death alone
                suspected.add(start)
                pieces.append((start, stop))
            else:
                tables.append((start, job.lost(part)))
                self.event("candidate quarantined", f"{', '.join(part.batch.ids)} ended its worker in {job.stage}")
        parts = [made for _, made in sorted(tables, key=lambda piece: piece[0])]
        whole = StageTables(joined([made.fates for made in parts]), joined([made.best for made in parts]))
        return written(self.run.folder, job, whole)


def write_event(manifest: Manifest, what: str, detail: str) -> None:
    """Write down what happened to a run itself, and when."""
    manifest.append("event", what=what, detail=detail, time=round(time.time(), 1))


def perform(call: tuple[Path, Job]) -> Finished:
    """What a worker does with a partition: read it, work on it, write what came of it."""
    folder, job = call
    return written(folder, job, job.work(job.intake()))


def written(folder: Path, job: Job, tables: StageTables) -> Finished:
    """Write the tables of a partition, each whole or not at all."""
    run = RunDirectory(folder)
    files = {run.partition(job.stage, job.index): tables.fates, run.best_part(job.stage, job.index): tables.best}
    for path, table in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(path, table)
    return Finished({path.relative_to(folder).as_posix(): sha256_of(path) for path in files}, tables.counts)


def joined(tables: list[pa.Table]) -> pa.Table:
    """Tables one below the other; a column that one of them lacks is null there."""
    return pa.concat_tables(tables, promote_options="permissive")


def _made_before(manifest: Manifest, files: dict[str, str]) -> dict[str, Any] | None:
    """The line of a merge that found the same fates, whose file is what it was."""
    found = [line for line in manifest.of_kind("fates") if line["files"] == files]
    return found[-1] if found and manifest.is_sound(found[-1]) else None


def _lines_of(counts: FateCounts) -> list[list[Any]]:
    """Counts as a line of the manifest holds them."""
    return [[*ending, n] for ending, n in counts.items()]


def _work_on(call: tuple[Work, Intake]) -> StageTables:
    work, intake = call
    return work(intake)


def _call(call: tuple[Callable[..., Any], tuple[Any, ...]]) -> Any:
    function, arguments = call
    return function(*arguments)


def _link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system has no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.partial")
    draft.unlink(missing_ok=True)
    check_may_write()
    try:
        os.link(source, draft)
    except OSError:
        shutil.copyfile(source, draft)
    draft.replace(target)  # nothing happens where both are the same file already
    draft.unlink(missing_ok=True)
