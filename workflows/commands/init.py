"""The command ``matloop init``: write a commented campaign that runs, to begin from."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from importlib.resources import files
from pathlib import Path

from matloop.data.errors import RunError, unknown_name
from matloop.data.plain_text import one_line
from matloop.data.whole_files import json_file, write_text
from matloop.workflows.commands.campaign_templates import TEMPLATES
from matloop.workflows.inspecting.campaign_schema import campaign_schema

LANGUAGES = ("en", "zh")
CAMPAIGN, SCHEMA = "campaign.yaml", "campaign.schema.json"


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
    wrote, go_on, several = {
        "en": ("Wrote", "Run it with:", "{} files"),
        "zh": ("已写入", "运行：", "{} 个文件"),
    }[language]
    for name, count in Counter(path.relative_to(folder).parts[0] for path in paths).items():
        told = f" ({several.format(count)})" if (folder / name).is_dir() else ""
        print(f"{wrote} {one_line(str(folder / name))}{told}")
    print(f"{go_on} matloop screen {shlex.quote(str(folder / CAMPAIGN))}")
