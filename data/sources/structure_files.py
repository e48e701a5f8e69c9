"""Read crystals from CIF, POSCAR, extended XYZ, XSF and JSON files: a folder, a pattern, one file or an archive."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import unicodedata
from collections import deque
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from matloop.data.candidates.batch import CandidateBatch, Intake, Refused
from matloop.data.candidates.crystal_faults import fault_detail
from matloop.data.candidates.crystals import Crystals
from matloop.data.candidates.identity import text_id
from matloop.data.errors import RELATIVE_PATHS, ROW_CODES, CampaignError, InputFileError, unknown_name
from matloop.data.guard.guarded import Failure, GuardedWorker
from matloop.data.guard.messages import Message, unpack
from matloop.data.properties.carried import MOST_COLUMNS, carried_name
from matloop.data.properties.columns import Column
from matloop.data.readers.archives import SourceFile, is_archive, read_archive, read_file
from matloop.data.readers.disorder import POLICIES
from matloop.data.readers.header_numbers import PREFIX, names_beside
from matloop.data.readers.structure_split import TextRow, Unreadable, split_rows
from matloop.data.readers.structure_text import request
from matloop.data.sources.folders import files_below, files_matching

READER = "matloop.data.readers.structure_text:read_row"
_LONGEST_SETTINGS = 5_000  # characters
_LONGEST_TIMEOUT = 86_400
_LEAST_MEMORY, _MOST_MEMORY = 100_000_000, 1_000_000_000_000
_WARM_UP = TextRow(
    "cif",
    "",
    "_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\nloop_\n_atom_site_label\n_atom_site_fract_x\n"
    "_atom_site_fract_y\n_atom_site_fract_z\nCs1 0 0 0\nCl1 .5 .5 .5\n",
)


class _Row(NamedTuple):
    """One structure before it is read: its name, a hash of its content, and its text or a row code."""

    origin: str
    digest: str
    text: TextRow | None
    code: str = ""
    detail: str = ""


class _Plan(NamedTuple):
    """Result of the first pass over the files: what each holds, and which numbers some of them may state.

    A row keeps its place if its file changes later, because hash and number of rows are known. The numbers stand in a
    fixed order: name in the answer of the reader -> name of the column.
    """

    files: list[tuple[str, int]]
    columns: dict[str, str]


class _Answer(NamedTuple):
    """A row and the answer of the reader. Only a crystal has arrays; ``stated`` holds values by column name."""

    row: _Row
    code: str
    detail: str
    formula: str
    arrays: dict[str, Any]
    stated: dict[str, Any]


class StructureFiles:
    """Crystals from structure files, one row for each structure in a file (a CIF may hold several).

    Files are read in the order of their names. Hidden files and what lies in run directories below are skipped; every
    other file gives candidates or a refused row. Links to folders are followed, and no folder is read twice. Files are
    read in a child process, so that no file can harm the run.

    The energies of a ``ComputedStructureEntry`` of pymatgen become columns of the candidates: ``entry_energy`` (eV, as
    computed), ``entry_energy_per_atom``, ``entry_correction_per_atom`` and ``entry_corrected_energy_per_atom``
    (eV/atom), and ``entry_settings``, what its ``parameters`` say of functional, +U and pseudopotentials. ``energy`` in
    the header of an extended XYZ image becomes the first two of these, taken as eV of all its atoms. Every other number
    of a header becomes a column behind the prefix ``extxyz_``, unless the catalogue of properties defines a column of
    its name.

    Args:
        path: A folder (with all below it), a pattern such as ``cifs/**/*.cif``, a file, or a zip or tar archive.
        disorder: What becomes of shared or partly filled sites: ``reject``, ``composition_only`` (a candidate without
            a crystal) or ``order`` (the arrangement of lowest electrostatic energy, in small cells).
        timeout: Seconds one structure may take.
        memory_limit: Bytes one structure may ask for, at least 100 million.

    Raises:
        InputFileError: If the file does not exist, or an archive is broken or exceeds its limits.
        UnknownNameError: For an unknown way to treat disorder.
        CampaignError: If a limit is out of bounds.
    """

    name = "structure_files"

    def __init__(
        self, path: str | Path, *, disorder: str = "reject", timeout: float = 60.0, memory_limit: int = 2_000_000_000
    ) -> None:
        if disorder not in POLICIES:
            raise unknown_name("way to treat disorder", disorder, POLICIES)
        _check_limits(timeout, memory_limit)
        self.path, self.disorder = os.path.expanduser(path), disorder
        self.timeout, self.memory_limit = timeout, memory_limit
        if not self.path or not self._found(first_only=True):
            raise InputFileError(
                f"no file at {path}", "a folder, a pattern, a structure file or an archive", RELATIVE_PATHS
            )

    def files(self) -> list[Path]:
        """The files that the source reads, in the order of their names."""
        return list(self._paths)

    def count(self) -> int:
        """Number of structures, plus the number of files without one. This reads all files once."""
        return sum(rows for _, rows in self._plan.files)

    def intakes(self, size: int) -> Iterator[Intake]:
        """Yield batches of at most ``size`` rows; candidates without a crystal come in separate batches.

        Candidates have the columns ``origin`` (file, and block or number within it) and ``known``. If a file may state
        numbers beside its crystals, such as energies, every batch has their columns too, with nulls where none is
        stated.
        """
        columns = self._plan.columns
        answers = self._answers(self._rows())
        while window := list(itertools.islice(answers, size)):
            bare = [answer for answer in window if not answer.code and not answer.arrays]
            others = [answer for answer in window if answer.code or answer.arrays]
            if others:
                yield _crystal_intake(others, columns)
            if bare:
                yield _composition_intake(bare, columns)

    @cached_property
    def _plan(self) -> _Plan:
        files: list[tuple[str, int]] = []
        stated: dict[str, None] = {}
        for file, rows in self._split_files():
            files.append((_digest(file), len(rows)))
            for row in rows:
                stated |= dict.fromkeys(map(str, names_beside(row.text) if row.text else ()))
            if len(stated) > MOST_COLUMNS:
                raise InputFileError(
                    f"more than {MOST_COLUMNS:,} different numbers beside the crystals of {_shown(file.name)}",
                    "fewer keys with numbers", "remove the keys that nobody needs",
                )  # fmt: skip
        return _Plan(files, {name: _column_of(name) for name in stated})

    def _rows(self) -> Iterator[_Row]:
        """Yield as many rows as were counted, even if the files have changed since."""
        found = self._split_files()
        for digest, count in self._plan.files:
            file, rows = next(found, (SourceFile("?", b""), []))
            if _digest(file) != digest:
                origin = _shown(file.name)
                rows = [_Row(f"{origin} ({n})", text_id(f"{digest} {n}"), None, "E-FILE-CHANGED") for n in range(count)]
            yield from rows

    def _split_files(self) -> Iterator[tuple[SourceFile, list[_Row]]]:
        for file in self._files():
            origin = _shown(file.name)
            if file.code:
                yield file, [_Row(origin, text_id(_digest(file)), None, file.code, file.detail)]
                continue
            try:
                parts = split_rows(file.name, file.content)
            except Unreadable as error:
                yield file, [_Row(origin, text_id(_digest(file)), None, error.code, error.detail)]
                continue
            yield file, [_row_of(origin, part) for part in parts]

    def _files(self) -> Iterator[SourceFile]:
        paths = self._paths
        base = Path(os.path.commonpath([path.parent for path in paths])) if paths else Path()
        if Path(self.path).is_dir():
            base = Path(self.path)
        for path in paths:
            name = path.relative_to(base).as_posix()
            if not is_archive(path):
                yield read_file(path, name)
            elif Path(self.path).is_file():
                yield from read_archive(path)
            else:
                yield SourceFile(name, b"", "E-FILE-FORMAT", "an archive among files; make it a source of its own")

    @cached_property
    def _paths(self) -> list[Path]:
        """The files, which are searched once; a file that is added later belongs to the next run."""
        return self._found()

    def _found(self, *, first_only: bool = False) -> list[Path]:
        """Find the files, in the order of their names."""
        root = Path(self.path)
        if root.is_file():
            return [root]
        if root.is_dir():
            walked = files_below(root)
        else:
            walked = files_matching(self.path)
        return list(itertools.islice(walked, 1)) if first_only else sorted(walked, key=lambda path: path.as_posix())

    def _answers(self, rows: Iterator[_Row]) -> Iterator[_Answer]:
        """Yield the answer of the reader to each row, in order."""
        waiting: deque[_Row] = deque()

        def requests() -> Iterator[bytes]:
            for row in rows:
                waiting.append(row)
                if row.text is not None:
                    yield request(row.text, self.disorder)

        with GuardedWorker(
            READER, timeout=self.timeout, memory_limit=self.memory_limit, warm_up=request(_WARM_UP, "reject")
        ) as worker:
            for reply in worker.map(requests()):
                while waiting[0].text is None:
                    yield _without_reply(waiting.popleft())
                yield _answer(waiting.popleft(), reply, self._plan.columns)
            yield from map(_without_reply, waiting)


def _check_limits(timeout: float, memory_limit: int) -> None:
    """Refuse limits under which every structure would be given up."""
    if not 0 < timeout <= _LONGEST_TIMEOUT:
        raise CampaignError(
            f"timeout of {timeout} seconds for one structure", f"more than 0 and at most {_LONGEST_TIMEOUT:,} seconds",
            "write timeout: 60, for example",
        )  # fmt: skip
    if not _LEAST_MEMORY <= memory_limit <= _MOST_MEMORY:
        raise CampaignError(
            f"memory_limit of {memory_limit} bytes for one structure",
            f"bytes from {_LEAST_MEMORY} (100 MB) to {_MOST_MEMORY} (1 TB)",
            "write memory_limit: 2000000000 for 2 GB, for example",
        )


def _digest(file: SourceFile) -> str:
    head = f"{file.name}\0{file.code}\0".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(head + file.content, digest_size=16).hexdigest()


def _shown(name: str) -> str:
    """Make a file name safe to show: control and direction characters are replaced, and a long name is cut."""
    plain = name.encode("utf-8", "replace").decode("utf-8")
    plain = "".join("?" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in plain)
    return plain if len(plain) <= 200 else f"...{plain[-197:]}"


def _row_of(origin: str, part: TextRow) -> _Row:
    label = _shown(part.label)[:80]
    digest = text_id(f"{part.format}\n{part.text}")
    return _Row(f"{origin} ({label})" if label else origin, digest, part)


def _without_reply(row: _Row) -> _Answer:
    return _Answer(row, row.code, row.detail, "", {}, {})


def _column_of(name: str) -> str:
    """Name of the column of a number that a file states."""
    return carried_name(PREFIX.rstrip("_"), name.removeprefix(PREFIX)) if name.startswith(PREFIX) else name


def _answer(row: _Row, reply: bytes | Failure, columns: Mapping[str, str]) -> _Answer:
    if isinstance(reply, Failure):
        return _Answer(row, reply.code, reply.detail, "", {}, {})
    try:
        return _checked_answer(row, unpack(reply), columns)
    except (ValueError, KeyError) as error:
        return _Answer(row, "E-GUARD-CRASH", f"the reader gave no usable answer: {error}"[:200], "", {}, {})


def _checked_answer(row: _Row, message: Message, columns: Mapping[str, str]) -> _Answer:
    """Return the answer if its parts have the right types and shapes. The child that wrote it is not trusted.

    Raises:
        ValueError: If a part has a wrong type or shape.
        KeyError: If a part is missing.
    """
    code, detail, formula = (str(message.values[key])[:500] for key in ("code", "detail", "formula"))
    if code and code not in ROW_CODES:
        raise ValueError("an unknown code")
    arrays = {} if code else dict(message.arrays)
    if arrays:
        count = len(arrays["species"])
        shapes = {"lattice": (3, 3), "species": (count,), "frac_coords": (count, 3)}
        kinds = {"lattice": np.float64, "species": np.uint8, "frac_coords": np.float64}
        for name, shape in shapes.items():
            if arrays[name].shape != shape or arrays[name].dtype != kinds[name]:
                raise ValueError(f"{name} of shape {arrays[name].shape}")
    elif not code and CandidateBatch.from_formulas([formula], exact=True).refused:
        raise ValueError("a formula that cannot be read")
    stated: dict[str, Any] = {} if code else _checked_numbers(message.values["stated"], columns)
    if not code and Column.ENTRY_SETTINGS in columns:
        stated[Column.ENTRY_SETTINGS] = str(message.values["settings"])[:_LONGEST_SETTINGS]
    return _Answer(row, code, _shown(detail), _shown(formula), arrays, stated)


def _checked_numbers(stated: Any, columns: Mapping[str, str]) -> dict[str, float]:
    """Return the numbers of the expected columns, by name of the column.

    Raises:
        ValueError: If one of them is no finite number.
    """
    given = stated if isinstance(stated, dict) else {}
    numbers = {column: given.get(name) for name, column in columns.items() if column != Column.ENTRY_SETTINGS}
    found: dict[str, Any] = {column: value for column, value in numbers.items() if value is not None}
    if not all(isinstance(value, float) and math.isfinite(value) for value in found.values()):
        raise ValueError("a stated value that is no number")
    return found


def _crystal_intake(answers: list[_Answer], columns: Mapping[str, str]) -> Intake:
    # The child has checked the crystal already, but it is not trusted.
    crystals = _crystals([answer for answer in answers if not answer.code])
    codes = crystals.row_codes().tolist()
    faults = iter([(code, fault_detail(crystals, row, code)) for row, code in enumerate(codes)])
    answers = [
        answer if answer.code else answer._replace(code=code, detail=detail)
        for answer in answers
        for code, detail in [("", "") if answer.code else next(faults)]
    ]
    good = [answer for answer in answers if not answer.code]
    return Intake(_with_columns(CandidateBatch.from_crystals(_crystals(good)), good, columns), _refused(answers))


def _crystals(good: list[_Answer]) -> Crystals:
    return Crystals(
        np.array([answer.arrays["lattice"] for answer in good]).reshape(-1, 3, 3),
        np.cumsum([0, *(len(answer.arrays["species"]) for answer in good)]).astype(np.int64),
        np.concatenate([*(answer.arrays["species"] for answer in good), np.empty(0, np.uint8)]),
        np.concatenate([*(answer.arrays["frac_coords"] for answer in good), np.empty((0, 3))]),
    )


def _composition_intake(answers: list[_Answer], columns: Mapping[str, str]) -> Intake:
    batch = CandidateBatch.from_formulas([answer.formula for answer in answers], exact=True).batch
    return Intake(_with_columns(batch, answers, columns), [])


def _with_columns(batch: CandidateBatch, answers: list[_Answer], columns: Mapping[str, str]) -> CandidateBatch:
    """Add the origin of each candidate, and what its file states beside the crystal; null where it states nothing."""
    import pyarrow as pa

    origin = pa.array([answer.row.origin for answer in answers], pa.string())
    stated: dict[str, pa.Array] = {
        name: pa.array(
            [answer.stated.get(name) for answer in answers],
            pa.string() if name == Column.ENTRY_SETTINGS else pa.float64(),
        )
        for name in columns.values()
    }
    return batch.with_columns({Column.ORIGIN: origin, **stated})


def _refused(answers: list[_Answer]) -> list[Refused]:
    """Make refused rows. The detail begins with the origin of the row, which people look for first."""
    return [
        Refused(
            row,
            answer.row.digest,
            answer.formula,
            answer.code,
            ": ".join(filter(None, [answer.row.origin, answer.detail])),
        )
        for row, answer in enumerate(answers)
        if answer.code
    ]
