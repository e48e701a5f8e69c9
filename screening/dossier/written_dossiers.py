"""Dossiers on disk: one folder for each finalist, and the packages of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matloop.data.eln_files import PackagedFolder, PackageFacts, folder_files, write_eln, write_zip
from matloop.data.plain_text import counted, one_line
from matloop.data.records.result_sheet import Language
from matloop.data.whole_files import write_folder, write_json, write_text
from matloop.screening.dossier.dossier import Dossier, dossier_record, wanted_back
from matloop.screening.dossier.page import render_dossier
from matloop.screening.dossier.result_sheet_files import SheetFor, write_result_sheet
from matloop.screening.dossier.shortlist_files import safe_name
from matloop.screening.report.cards import Card, Strip
from matloop.screening.report.page import campaign_title

PAGE, RECORD = "dossier.html", "dossier.json"
LICENCES = "See dossier.json of each data set: the licence of every source."


class WrittenDossiers(NamedTuple):
    """What was written.

    Attributes:
        top: The folder of all.
        folders: Of the finalists, best place first.
        packages: Archives of all of them.
    """

    top: Path
    folders: list[Path]
    packages: list[Path]

    def lines(self) -> list[str]:
        """What was written, in lines for people."""
        told = [f"Dossiers: {one_line(str(self.top))}: {counted(len(self.folders), 'candidate')}"]
        told += [f"  {folder.name}/{PAGE}" for folder in self.folders]
        return [*told, *(f"  {path.name}" for path in self.packages)]


def write_dossiers(
    top: Path, dossiers: Sequence[Dossier], cards: Sequence[Card], strips: Mapping[str, Strip], *, language: Language
) -> WrittenDossiers:
    """Write dossiers; folders and packages of the same names are replaced, and nothing else is touched.

    Args:
        top: Folder for all of them; it is made if it does not exist.
        dossiers: Of the finalists, best place first.
        cards: Of the same finalists.
        strips: Stretch of each property.
        language: Of all texts.
    """
    top.mkdir(parents=True, exist_ok=True)
    folders = []
    for dossier, card in zip(dossiers, cards, strict=True):

        def fill(draft: Path, dossier: Dossier = dossier, card: Card = card) -> None:
            draft.mkdir()
            _write_one(draft, dossier, card, strips, language=language)

        folders.append(top / dossier.folder)
        write_folder(folders[-1], fill)
    packages = _write_packages(top, dossiers, language=language) if dossiers else []
    return WrittenDossiers(top, folders, packages)


def _write_one(folder: Path, dossier: Dossier, card: Card, strips: Mapping[str, Strip], *, language: Language) -> None:
    """Write the files of one finalist."""
    write_text(folder / PAGE, render_dossier(dossier, card, strips, language=language))
    write_json(folder / RECORD, dossier_record(dossier))
    if dossier.place in dossier.view.cifs:
        write_text(folder / f"{safe_name(dossier.formula)}.cif", dossier.view.cifs[dossier.place][1])
    wanted = SheetFor(dossier.candidate_id, dossier.formula, wanted_back(dossier))
    write_result_sheet(folder, [wanted], language=language)


def _write_packages(top: Path, dossiers: Sequence[Dossier], *, language: Language) -> list[Path]:
    """Write the archives of all finalists."""
    campaign, written = dossiers[0].view.campaign, dossiers[0].written.isoformat()
    title = getattr(campaign_title(campaign), language)
    folders = [
        PackagedFolder(dossier.folder, f"{dossier.formula} ({dossier.candidate_id})", [dossier.formula, campaign.name])
        for dossier in dossiers
    ]
    stem = f"{safe_name(campaign.name)}-dossiers"
    description = f"{counted(len(dossiers), 'dossier')} of candidates of the campaign {campaign.name}"
    if language == "zh":
        description = f"筛选任务 {campaign.name} 的 {len(dossiers)} 份候选材料档案"
    paths = [top / f"{stem}.zip", top / f"{stem}.eln"]
    write_zip(paths[0], top, folders)
    facts = PackageFacts(str(title), description, written, language, LICENCES)
    write_eln(paths[1], dict(folder_files(top, folders)), folders, facts=facts)
    return paths
