"""The files of a batch: what was chosen and why, result sheets for the laboratory, and the crystals."""

from __future__ import annotations

from pathlib import Path

from matloop.data.errors import RunFilesError
from matloop.data.plain_text import counted
from matloop.data.properties.catalogue import property_named
from matloop.data.records.result_sheet import Language
from matloop.data.whole_files import write_csv, write_json, write_text
from matloop.screening.dossier.result_sheet_files import SheetFor, write_result_sheet
from matloop.screening.dossier.shortlist_files import safe_name
from matloop.workflows.proposing.proposal import Proposal
from matloop.workflows.proposing.proposal_words import (
    HEADINGS,
    PURPOSES,
    as_json,
    in_language,
    shown_probability,
    why,
)

CSV, JSON = "proposal.csv", "proposal.json"


def write_proposal(folder: Path, proposal: Proposal, *, language: Language) -> list[Path]:
    """Write a batch into a new or empty folder.

    Args:
        folder: Where to.
        proposal: The batch.
        language: Of headings and sentences.

    Returns:
        The files.

    Raises:
        RunFilesError: If the folder holds something, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RunFilesError(f"{folder} is not empty", "a new or empty folder", "choose another --output")
    except OSError as error:
        raise RunFilesError(f"cannot write {folder}: {error.strerror}", "a folder you may write to") from error
    names = list(proposal.chosen[0].predictions) if proposal.chosen else []
    write_json(folder / JSON, as_json(proposal))
    _write_table(folder / CSV, proposal, names, language)
    wanted = [SheetFor(one.candidate_id, one.formula, names) for one in proposal.chosen]
    sheets = write_result_sheet(folder, wanted, language=language)
    return [folder / CSV, folder / JSON, *sheets, *_write_crystals(folder / "cif", proposal)]


def _write_table(path: Path, proposal: Proposal, names: list[str], language: Language) -> None:
    labels = []
    for name in names:
        known = property_named(name)
        label, unit = (known.label_zh if language == "zh" else known.label_en), known.unit
        labels += [f"{label} ({unit})", f"{label}, 5 % ({unit})", f"{label}, 95 % ({unit})"]
    keys = ("place", "candidate", "formula", "purpose", "probability", "corrected", "price", "route", "why")
    heads = [in_language(HEADINGS[key], language) for key in keys]
    rows = [
        [
            place, one.candidate_id, one.formula, in_language(PURPOSES[one.choice.purpose], language),
            shown_probability(one.probability), shown_probability(one.corrected), f"{one.price:.4g}".replace("nan", ""),
            " + ".join(one.route.precursors) if one.route else "",
            in_language(why(one, proposal.wish.strategy), language),
            *(f"{value:.5g}" for name in names for value in one.predictions[name]),
        ]
        for place, one in enumerate(proposal.chosen, start=1)
    ]  # fmt: skip
    write_csv(path, [*heads, *labels], rows)


def _write_crystals(folder: Path, proposal: Proposal) -> list[Path]:
    """One file for each candidate of a kind that has one, such as the CIF of a crystal."""
    written = []
    for place, kind in enumerate(proposal.batch.kinds):
        if not kind.file_ending:
            continue
        folder.mkdir(exist_ok=True)
        one = proposal.chosen[place]
        name = f"{place + 1:02d}_{safe_name(one.formula)}_{safe_name(one.candidate_id)}.{kind.file_ending}"
        write_text(folder / name, kind.export(proposal.batch, place, facts={"candidate_id": one.candidate_id}))
        written.append(folder / name)
    return written


def written_lines(folder: Path, paths: list[Path]) -> str:
    """Where the files lie, in a line for people."""
    return f"{folder}: {counted(len(paths), 'file')}"
