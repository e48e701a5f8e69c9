"""Candidates on their way into a run: taken from the sources once, freed of repeats, and kept in files.

From then on a run needs its sources no more: it goes on from these files, whatever became of a folder or a database.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from matloop.data.batch import Intake, Refused
from matloop.data.errors import RunChangedError
from matloop.data.intake_file import write_intake
from matloop.data.manifest import Manifest, key_of, sha256_of
from matloop.data.registry import SOURCES, lookup
from matloop.data.seen_ids import SeenIds
from matloop.screening.campaign import Campaign, Entries
from matloop.workflows.outcomes import DUPLICATE
from matloop.workflows.running.engine import Engine
from matloop.workflows.running.run_identity import code_key, input_files


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
    """

    engine: Engine
    campaign: Campaign
    partition_rows: int

    @cached_property
    def announced(self) -> int:
        """How many rows the sources say they have."""
        ends = self.engine.manifest.of_kind("candidates_end")
        return int(ends[-1]["announced"]) if ends else sum(source.count() for source in self._sources)

    @cached_property
    def _sources(self) -> list[Any]:
        return sources_of(self.campaign.sources)

    def __iter__(self) -> Iterator[CandidatePart]:
        """Each partition once; those that are written already are not taken again.

        A run that was cut off while it took candidates in goes through its sources again up to where it was; so does
        one whose files were damaged.

        Raises:
            RunChangedError: If the sources give other candidates this time.
        """
        engine, manifest = self.engine, self.engine.manifest
        key = key_of(
            code=code_key(), rows=self.partition_rows, files=input_files(self.campaign),
            sources=self.campaign.model_dump(mode="json")["sources"],
        )  # fmt: skip
        parts = parts_taken_in(manifest)
        if parts is None and _taken_over(engine, key):
            parts = parts_taken_in(manifest)
        if parts is not None:
            yield from parts
            return
        before = _written(manifest)
        index = rows = 0
        seen = SeenIds()
        for source in self._sources:
            for intake in source.intakes(self.partition_rows):
                line = _kept(engine, index, _without_repeats(intake, seen), before.get(index))
                rows, index = rows + line["rows"], index + 1
                yield _part(manifest, line)
        manifest.append("candidates_end", partitions=index, rows=rows, announced=self.announced, inputs=key)


def parts_taken_in(manifest: Manifest) -> list[CandidatePart] | None:
    """All candidates of a run; None if they are not all there, or a file is not what it was."""
    lines = list(_written(manifest).values())
    if not manifest.of_kind("candidates_end") or not all(map(manifest.is_sound, lines)):
        return None
    return [_part(manifest, line) for line in lines]


def _written(manifest: Manifest) -> dict[int, dict[str, Any]]:
    """The line of each partition by its number; a file that was damaged and written again has several lines."""
    return {line["index"]: line for line in manifest.of_kind("candidates")}


def _kept(engine: Engine, index: int, intake: Intake, before: dict[str, Any] | None) -> dict[str, Any]:
    """The line of one partition of candidates, written now or before."""
    content = key_of(ids=intake.batch.ids, refused=[row.candidate_id for row in intake.refused])
    if before is not None and before["content"] != content:
        raise RunChangedError(
            f"the sources give other candidates than when the run began, first in partition {index}",
            "the same files and settings", "restore them, or start again with another --output",
        )  # fmt: skip
    if before is not None:
        if engine.manifest.is_sound(before):
            return before
        engine.event("damaged", f"{', '.join(before['files'])}: taken in again")
    files = write_intake(engine.run.candidate_part(index), intake)
    engine.alive()
    engine.manifest.append(
        "candidates", index=index, rows=len(intake.batch) + len(intake.refused), content=content,
        files={path.relative_to(engine.run.folder).as_posix(): sha256_of(path) for path in files},
    )  # fmt: skip
    return engine.manifest.lines[-1]


def _taken_over(engine: Engine, key: str) -> bool:
    """Whether a run that this one was forked from took in the same candidates; their files are then linked."""
    earlier = engine.earlier
    ends = [] if earlier is None else [end for end in earlier.of_kind("candidates_end") if end["inputs"] == key]
    if earlier is None or not ends:
        return False
    lines = _written(earlier).values()
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


def _without_repeats(intake: Intake, seen: SeenIds) -> Intake:
    """Candidates that came before are taken out and told among the refused."""
    ids = intake.batch.ids
    new = seen.add(ids)
    if new.all():
        return intake
    formulas, origins = intake.batch.formulas, intake.batch.table["origin"].to_pylist()
    repeats = [
        Refused(row, ids[row], formulas[row], DUPLICATE, str(origins[row])) for row in (~new).nonzero()[0].tolist()
    ]
    return Intake(intake.batch.take(new.nonzero()[0]), [*intake.refused, *repeats])
