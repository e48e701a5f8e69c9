"""The formulas of one's own that a run counts as known, as kept in its directory."""

from __future__ import annotations

import os
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from matloop.data.bounded_files import read_json, read_table
from matloop.data.candidates.checked_batch import checked_batch
from matloop.data.errors import DamagedFileError
from matloop.data.runs.directory import RunDirectory
from matloop.data.training.known_formulas import MOST_ROWS, KnownFormulas
from matloop.data.training.known_materials import KnownCompositions, OwnList
from matloop.data.training.training_sets import TrainingSets
from matloop.data.whole_files import write_csv, write_json, write_table

_HEADER = ("row", "written", "code", "detail")


class _About(BaseModel):
    """``known_formulas.json``: the file that the formulas came from.

    Attributes:
        name: Of the file.
        sha256: Of the file.
        rows: Rows that it has.
        compositions: Different compositions among them.
        unread: Rows that are no formulas.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=80, pattern=r"^[^,\x00-\x1f]+$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    rows: int = Field(ge=1, le=MOST_ROWS)
    compositions: int = Field(ge=1, le=MOST_ROWS)
    unread: int = Field(ge=0, le=MOST_ROWS)


def write_known_formulas(run: RunDirectory, known: KnownFormulas) -> None:
    """Store known formulas, and the rows of their file that are no formulas."""
    write_table(run.known_rows, known.compositions.to_arrow())
    if known.unread:
        write_csv(run.known_unread, _HEADER, known.unread)
    write_json(run.known_formulas, about_known(known))


def about_known(known: KnownFormulas) -> dict[str, Any]:
    """What is to be said of the file, as plain JSON values."""
    return _About(
        name=known.name, sha256=known.sha256, rows=known.rows, compositions=len(known.compositions),
        unread=len(known.unread),
    ).model_dump()  # fmt: skip


def read_own_list(run: RunDirectory) -> OwnList | None:
    """Name and size of the list of known formulas; None where the run has none.

    Raises:
        DamagedFileError: If the file is not one that a run writes.
    """
    about = _read_about(run)
    return None if about is None else OwnList(about.name, about.compositions)


def read_known_compositions(run: RunDirectory, training: TrainingSets) -> KnownCompositions:
    """What the run knows: the packaged lists, its training sets, and the formulas of one's own.

    Args:
        run: The run directory.
        training: Its training sets.

    Raises:
        DamagedFileError: If a file is not one that a run writes.
    """
    about, known = _read_about(run), training.known_compositions
    if about is None:
        return known
    name = run.known_rows.name
    batch = checked_batch(read_table(run.known_rows, inside=run.folder, most_rows=MOST_ROWS), name=name)
    if len(batch) != about.compositions:
        raise _unlike(name, f"{len(batch):,} rows in place of {about.compositions:,}")
    return known.with_own_list(about.name, batch.compositions)


def read_about_known(run: RunDirectory) -> dict[str, Any] | None:
    """What :func:`about_known` said of the file; None where the run has no list of its own.

    Raises:
        DamagedFileError: If the file is not one that a run writes.
    """
    about = _read_about(run)
    return None if about is None else about.model_dump()


def _read_about(run: RunDirectory) -> _About | None:
    if not os.path.lexists(run.known_formulas):
        return None
    try:
        return _About.model_validate(read_json(run.known_formulas, inside=run.folder))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise _unlike(run.known_formulas.name, f"something unexpected: {problem['msg']}") from error


def _unlike(name: str, found: str) -> DamagedFileError:
    return DamagedFileError(f"{name} has {found}", "the known formulas as the run kept them", "restore the file")
