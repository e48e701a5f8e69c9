"""The materials in which an element is replaced: a formula, the crystals of a file, or the shortlist of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.formula import explain_refusal, parse_formulas
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.errors import SubstitutionError
from matloop.data.plain_text import counted, one_line
from matloop.screening.runs.run_view import RunView
from matloop.workflows.modelling.input_rows import InputRows

MOST_MATERIALS = 1_000


def materials_of(text: str) -> list[Compositions]:
    """Read a formula, or the compositions of a structure file, a folder or a table, each once.

    Args:
        text: A formula, or the path of a file that exists.

    Raises:
        SubstitutionError: If it is neither, or nothing in the file can be read.
        InputFileError: If the file cannot be read.
    """
    path = Path(text).expanduser()
    if _is_there(path):
        return _of_file(path)
    composition, codes = parse_formulas([text])
    if codes[0]:
        detail = explain_refusal(text)
        raise SubstitutionError(
            f"the material '{one_line(text[:100])}' ({codes[0]}{detail and f': {detail}'})",
            "a formula such as CdS, or a structure file that exists",
        )
    return [composition]


def materials_of_shortlist(run: Path, symbol: str) -> list[Compositions]:
    """The compositions of the shortlist of a finished run that have an element, each once, best place first.

    Args:
        run: A run directory.
        symbol: The element.

    Raises:
        RunError: If the run is not finished.
        DamagedFileError: If a file of the run is not what a run writes.
        SubstitutionError: If no finalist has the element.
    """
    view = RunView(run)
    view.require_finished()
    compositions = view.shortlisted.compositions
    having = np.flatnonzero(compositions.element_mask()[:, ATOMIC_NUMBERS[symbol]])
    if not len(having):
        raise SubstitutionError(
            f"a shortlist of {counted(len(compositions), 'candidate')} without {symbol}",
            "an element of at least one of them",
        )
    return _each_once(compositions.take(having))


def _of_file(path: Path) -> list[Compositions]:
    found: list[Compositions] = []
    refused: list[str] = []
    for _, intake in InputRows(path).parts():
        found += _each_once(intake.batch.compositions)
        refused += [f"{row.code}: {row.detail}" for row in intake.refused]
        if len(found) > MOST_MATERIALS:
            raise SubstitutionError(f"more than {MOST_MATERIALS:,} materials in {path.name}", "fewer")
    if not found:
        told = f" ({one_line(refused[0][:200])})" if refused else ""
        raise SubstitutionError(f"{path.name} without a material that can be read{told}", "at least one")
    return found


def _each_once(compositions: Compositions) -> list[Compositions]:
    if not len(compositions):
        return []
    rows = np.sort(np.unique(composition_keys(compositions), return_index=True)[1])
    return [compositions.take(np.array([row])) for row in rows.tolist()]


def _is_there(path: Path) -> bool:
    """Whether a path exists; a text that no file system takes is none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
