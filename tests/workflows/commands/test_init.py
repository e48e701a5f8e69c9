"""Campaigns to begin from: valid, equal in both languages, and run to the end."""

import csv
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from matloop.data.errors import RunError, UnknownNameError
from matloop.data.packaged.materials import load_materials
from matloop.data.packaged.transport import load_transport
from matloop.data.sources.structure_files import StructureFiles
from matloop.data.training.packaged_tables import labelled_table, packaged_training_set
from matloop.data.training.training_set import TrainingSet
from matloop.screening.campaign.campaign_file import read_campaign
from matloop.workflows.cli import app
from matloop.workflows.commands.campaign_templates import TEMPLATES
from matloop.workflows.commands.init import CAMPAIGN, SCHEMA, begin_campaign
from matloop.workflows.inspecting.validation import validate
from matloop.workflows.screen import screen

LANGUAGES = ("en", "zh")
CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Writes a template once and returns its folder, which is only read."""
    top = tmp_path_factory.mktemp("begun")

    def write(template: str, language: str = "en") -> Path:
        folder = top / f"{template}-{language}"
        if not folder.exists():
            begin_campaign(folder, template, language)
        return folder

    return write


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_valid_and_the_same_in_both_languages(template: str, begun: Callable[[str, str], Path]) -> None:
    campaigns = []
    for language in LANGUAGES:
        folder = begun(template, language)
        _, problems = validate(folder / CAMPAIGN)
        assert problems == []
        campaigns.append(read_campaign(folder / CAMPAIGN))
        schema = json.loads((folder / SCHEMA).read_text("utf-8"))
        data = YAML(typ="safe", pure=True).load(folder / CAMPAIGN)
        assert not list(jsonschema.Draft202012Validator(schema).iter_errors(data))
        assert data["title_zh"]
        lines = (folder / CAMPAIGN).read_text("utf-8").splitlines()
        assert lines[0] == f"# yaml-language-server: $schema={SCHEMA}"
        comments = " ".join(line.partition("#")[2] for line in lines)
        assert len(comments) > 200
        assert bool(CHINESE.search(comments)) == (language == "zh")
    assert campaigns[0] == campaigns[1]


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_is_commented_out_is_valid_too(template: str, begun: Callable[[str], Path], tmp_path: Path) -> None:
    """Each commented line of YAML in a template may be taken into use, except paths to files that are not there."""
    text = (begun(template) / CAMPAIGN).read_text("utf-8")
    shutil.copytree(begun(template), tmp_path, dirs_exist_ok=True)
    taken = re.sub(r"^( *)# ((?:- |[a-z_]+:(?: |$)|  +).*)$", r"\1\2", text, flags=re.MULTILINE)
    taken = "\n".join(
        line for line in taken.splitlines() if "structure_files: cifs/" not in line and not line.startswith("  matloop")
    )
    (tmp_path / CAMPAIGN).write_text(taken, encoding="utf-8")
    assert taken != text
    told = [str(problem) for problem in validate(tmp_path / CAMPAIGN)[1]]
    assert told == []


def small(name: str) -> TrainingSet:
    """A hundred rows of a packaged training set, so that models are trained within seconds."""
    whole = packaged_training_set(name)
    some = np.linspace(0, len(whole) - 1, 120).astype(int)
    return TrainingSet.of_rows(
        whole.rows.take(some), whole.values[some], property_name=name, name="some packaged crystals",
        provenance=whole.provenance, licence=whole.licence, citation=whole.citation,
    )  # fmt: skip


def fewer_rows(folder: Path) -> None:
    for path, rows in ((folder / "compounds.csv", 80), (folder / "labels.csv", 150)):
        if path.exists():
            path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[: rows + 1]), encoding="utf-8")


def fewer_crystals(folder: Path) -> None:
    for path in sorted((folder / "cifs").iterdir())[30:]:
        path.unlink()


def changed(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / CAMPAIGN).read_text("utf-8")
        assert text.count(old) == 1
        (folder / CAMPAIGN).write_text(text.replace(old, new), encoding="utf-8")

    return change


FEWER: dict[str, tuple[Callable[[Path], None], int]] = {
    "compound-list": (fewer_rows, 80),
    "own-labels": (fewer_rows, 80),
    "cif-folder": (fewer_crystals, 30),
    "alloys": (changed("[Ti, Zr, Nb, Mo, Ta, W]", "[Nb, Mo, Ta, W]"), 228),
    "optical": (changed("limit: 20000", "limit: 300"), 300),
}
"""Template -> how to leave it fewer candidates, and how many those are."""


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_runs_to_the_end(template: str, tmp_path: Path) -> None:
    begin_campaign(tmp_path / "begun", template, "zh")
    change, candidates = FEWER[template]
    change(tmp_path / "begun")
    path = tmp_path / "begun" / CAMPAIGN
    names = [target.property for target in read_campaign(path).targets]
    sets = [small(name) for name in names if labelled_table().has(name)]
    run = screen(path, output=tmp_path / "run", workers=1, training_sets=sets)
    assert run.is_complete
    assert run.summary.rows_in == sum(run.summary.outcomes.values()) == candidates
    assert len(run.ranked) > 0


def test_known_compounds_are_real_ones_that_no_packaged_crystal_has(begun: Callable[[str], Path]) -> None:
    with (begun("compound-list") / "compounds.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len({row["id"] for row in rows}) == len({row["formula"] for row in rows}) == 1000
    assert all(row["id"].startswith(("mp-", "mvc-")) for row in rows)
    assert not {row["formula"] for row in rows} & set(load_materials().formulas)


def test_own_labels_are_computed_masses_of_other_compounds(begun: Callable[[str], Path]) -> None:
    published = {row["material_id"]: row for row in load_transport().to_pylist()}
    rows = {}
    for name in ("labels", "compounds"):
        with (begun("own-labels") / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows[name] = list(csv.DictReader(file))
    assert len(rows["labels"]) == 800
    for row in rows["labels"]:
        assert float(row["hole mass"]) == published[row["id"]]["conductivity_effective_mass_p_dft"]
    assert not {row["formula"] for row in rows["labels"]} & {row["formula"] for row in rows["compounds"]}


def test_crystals_of_a_folder_are_read_without_loss(begun: Callable[[str], Path]) -> None:
    (intake,) = StructureFiles(begun("cif-folder") / "cifs").intakes(100)
    assert not intake.refused
    materials = load_materials()
    place = {name: row for row, name in enumerate(materials.column("material_id"))}
    rows = [place[Path(origin.split()[0]).stem] for origin in intake.batch.column("origin")]
    assert len(rows) == 60
    assert np.isnan(materials.column("bulk_modulus_vrh_dft")[rows]).all()
    assert intake.batch.formulas == [materials.formulas[row] for row in rows]


@pytest.mark.parametrize("there", [CAMPAIGN, SCHEMA, "compounds.csv"])
def test_nothing_is_overwritten(there: str, tmp_path: Path) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(RunError, match=f"{re.escape(there)} is there already, and nothing is overwritten"):
        begin_campaign(tmp_path, "compound-list", "en")
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_a_file_in_the_way_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    for folder in (tmp_path / "mine", tmp_path / "mine" / "inner"):
        with pytest.raises(RunError, match="a file is in the way"):
            begin_campaign(folder, "alloys", "en")


@pytest.mark.parametrize(("template", "language", "told"), [("aloys", "en", "'alloys'"), ("alloys", "cn", "en, zh")])
def test_unknown_names_are_answered_with_those_there_are(
    template: str, language: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(UnknownNameError, match=told):
        begin_campaign(tmp_path / "new", template, language)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("language", "go_on"), [("en", "Run it with:"), ("zh", "运行：")])
def test_the_next_command_is_printed(language: str, go_on: str, tmp_path: Path) -> None:
    folder = tmp_path / "my alloys"
    answer = CliRunner().invoke(app, ["init", "--template", "alloys", "--lang", language, str(folder)])
    assert answer.exit_code == 0
    *wrote, last = answer.output.splitlines()
    assert [line.partition(" ")[2] for line in wrote] == [str(folder / CAMPAIGN), str(folder / SCHEMA)]
    answer = CliRunner().invoke(app, ["init", "--template", "cif-folder", "--lang", language, str(tmp_path / "cif")])
    assert re.search(r"cifs \((60 files|60 个文件)\)$", answer.output, re.MULTILINE)
    assert shlex.split(last.removeprefix(go_on)) == ["matloop", "screen", str(folder / CAMPAIGN)]
