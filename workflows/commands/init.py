"""The command ``matloop init``: write a commented campaign that runs, to begin from."""

from __future__ import annotations

import csv
import io
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np

from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.errors import RunError, unknown_name
from matloop.data.label import Label
from matloop.data.packaged.materials import load_materials
from matloop.data.packaged.transport import load_transport
from matloop.data.plain_text import one_line
from matloop.data.properties.columns import Column
from matloop.data.whole_files import json_file, write_text
from matloop.workflows.inspecting.campaign_schema import campaign_schema

LANGUAGES = ("en", "zh")
CAMPAIGN, SCHEMA = "campaign.yaml", "campaign.schema.json"
COMPOUNDS = 1000


class Template(NamedTuple):
    """A campaign to begin from.

    Attributes:
        about: What it is for.
        data: Makes the text of each file that the campaign reads, by its path beside the campaign.
    """

    about: Label
    data: Callable[[], Mapping[str, str]] = dict


def unlabelled_compounds() -> dict[str, str]:
    """A table of compounds of the Materials Project whose compositions no packaged crystal has."""
    table = load_transport().select([Column.MATERIAL_ID, Column.FORMULA])
    ids, formulas = (table.column(name).to_pylist() for name in table.column_names)
    compositions, codes = parse_formulas(formulas, exact=True)
    keys = composition_keys(compositions)
    known = composition_keys(load_materials().compositions)
    first = np.zeros(len(keys), bool)
    first[np.unique(keys, return_index=True)[1]] = True
    new = np.flatnonzero(first & (codes == "") & ~np.isin(keys, known))
    rows = new[np.linspace(0, len(new) - 1, COMPOUNDS).astype(int)]
    return {"compounds.csv": _csv_text(("id", "formula"), ((ids[row], formulas[row]) for row in rows.tolist()))}


TEMPLATES: Mapping[str, Template] = {
    "known-compounds": Template(Label("rank the compounds of a list", "为清单上的化合物排序"), unlabelled_compounds),
    "alloys": Template(Label("rank the compositions of an alloy system", "为一个合金体系的各成分排序")),
    "optical": Template(Label("find new crystals for optical windows", "寻找用于光学窗口的新晶体")),
}
"""Campaigns to begin from by name; the text of each lies in ``workflows/templates``, once in each language."""


def begin_campaign(folder: Path, template: str, language: str) -> list[Path]:
    """Write a campaign, the files that it reads and the schema that completes it.

    Args:
        folder: Where to; made if it is not there.
        template: One of :data:`TEMPLATES`.
        language: Of the comments.

    Raises:
        UnknownNameError: For an unknown template or language.
        RunError: If a file is there already, or the folder cannot be made.
    """
    if template not in TEMPLATES:
        raise unknown_name("template", template, TEMPLATES)
    if language not in LANGUAGES:
        raise unknown_name("language", language, LANGUAGES)
    name = f"{template.replace('-', '_')}.{language}.yaml"
    texts = {CAMPAIGN: files("matloop.workflows").joinpath("templates", name).read_text("utf-8")}
    texts |= {**TEMPLATES[template].data(), SCHEMA: json_file(campaign_schema())}
    paths = {folder / part: text for part, text in texts.items()}
    if there := [path for path in paths if os.path.lexists(path)]:
        raise RunError(
            f"{one_line(str(there[0]))} is there already, and nothing is overwritten", "a folder without it",
            "choose another folder",
        )  # fmt: skip
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise RunError(f"cannot create {folder}: a file is in the way", "a new or empty folder") from error
    for path, text in paths.items():
        write_text(path, text)
    return list(paths)


def begin_and_print(folder: Path, template: str, language: str) -> None:
    """Write a campaign, and say what was written and how to go on."""
    paths = begin_campaign(folder, template, language)
    wrote, go_on = {"en": ("Wrote", "Run it with:"), "zh": ("已写入", "运行：")}[language]
    for path in paths:
        print(f"{wrote} {one_line(str(path))}")
    print(f"{go_on} matloop screen {shlex.quote(str(folder / CAMPAIGN))}")


def _csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()
