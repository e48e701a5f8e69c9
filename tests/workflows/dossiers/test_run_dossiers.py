"""From a finished run to dossiers: what they hold, in which language, and that every number says where it is from."""

import base64
import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from markupsafe import escape
from openpyxl import load_workbook
from rocrate.rocrate import ROCrate
from typer.testing import CliRunner

from matloop.data.errors import DamagedFileError, MatloopError, RunError, UnknownNameError
from matloop.data.plain_text import plain
from matloop.data.properties.columns import Column
from matloop.screening.dossier.number_sources import numbers_without_source
from matloop.screening.dossier.written_dossiers import WrittenDossiers, write_dossiers
from matloop.screening.report.cards import cards, strips
from matloop.screening.runs.run_view import RunView
from matloop.workflows.cli import app
from matloop.workflows.dossiers.run_dossiers import collected, dossiers_of_run
from matloop.workflows.screen import ScreeningRun
from tests.screening.report.run_directories import Page

LINKS = ("https://next-gen.materialsproject.org/materials/mp-", "https://doi.org/10.")
HOSTILE = "</script><script>alert(1)</script>\u202e../../=cmd|'/C calc'!A0\"onload=\"x"
BOTH = pytest.mark.parametrize("language", ["en", "zh"])


@pytest.fixture(scope="module")
def written(finished: ScreeningRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, WrittenDossiers]:
    top = tmp_path_factory.mktemp("dossiers")
    return {
        language: dossiers_of_run(finished.view, out=top / language, language=language) for language in ("en", "zh")
    }


def pages(written: WrittenDossiers) -> list[str]:
    return [(folder / "dossier.html").read_text("utf-8") for folder in written.folders]


@BOTH
def test_each_finalist_has_a_folder_with_all_that_a_lab_needs(
    finished: ScreeningRun, written: dict[str, WrittenDossiers], language: str
) -> None:
    shortlist = finished.view.shortlisted
    assert len(written[language].folders) == 3
    for place, folder in enumerate(written[language].folders, start=1):
        names = {path.name for path in folder.iterdir()}
        assert {"dossier.html", "dossier.json", "result_sheet.xlsx", "result_sheet.csv", "process_steps.csv"} <= names
        (cif,) = folder.glob("*.cif")
        assert cif.read_text("utf-8") == finished.view.cifs[place][1]
        record = json.loads((folder / "dossier.json").read_text("utf-8"))
        assert record["candidate_id"] == shortlist.ids[place - 1]
        sheet = load_workbook(folder / "result_sheet.xlsx").worksheets[0]
        assert sheet["A2"].value == record["candidate_id"]


def test_a_run_writes_its_dossiers_from_python(finished: ScreeningRun, tmp_path: Path) -> None:
    told = finished.dossiers(out=tmp_path / "here", top=1, language="zh")
    assert [folder.parent for folder in told.folders] == [tmp_path / "here"]
    assert 'lang="zh-CN"' in (told.folders[0] / "dossier.html").read_text("utf-8")[:400]


def test_a_run_of_an_earlier_version_says_what_it_lacks_and_how_to_mend_it(
    finished: ScreeningRun, tmp_path: Path
) -> None:
    folder = shutil.copytree(finished.folder, tmp_path / "older")
    summary = json.loads((folder / "run.json").read_text("utf-8"))
    del summary["versions"]
    (folder / "run.json").write_text(json.dumps(summary), "utf-8")
    with pytest.raises(DamagedFileError, match=r"run\.json has no versions: an earlier version .* screen .*campaign"):
        dossiers_of_run(RunView(folder), out=tmp_path / "out")
    shutil.copy(finished.folder / "run.json", folder / "run.json")
    ranked = pq.read_table(folder / "ranked.parquet")
    pq.write_table(ranked.drop_columns([str(Column.RANK)]), folder / "ranked.parquet")
    with pytest.raises(DamagedFileError, match=r"ranked\.parquet has no column rank: .* make the run again"):
        dossiers_of_run(RunView(folder), out=tmp_path / "out")


def test_every_number_of_three_dossiers_has_a_dated_source(written: dict[str, WrittenDossiers]) -> None:
    for folder in written["en"].folders:
        record = json.loads((folder / "dossier.json").read_text("utf-8"))
        assert numbers_without_source(record) == []
        assert len(record["sources"]) > 10
        assert all(re.match(r"20[0-9]{2}", source["date"]) for source in record["sources"].values())
        del record["sources"]["run"]
        assert numbers_without_source(record)  # the check itself sees a source that is missing


def test_record_and_page_tell_the_same_numbers(finished: ScreeningRun, written: dict[str, WrittenDossiers]) -> None:
    for row, (folder, page) in enumerate(zip(written["en"].folders, pages(written["en"]), strict=True)):
        record = json.loads((folder / "dossier.json").read_text("utf-8"))
        probability = finished.view.shortlisted.table[Column.PROBABILITY][row].as_py()
        assert record["ranking"]["probability"] == pytest.approx(probability)
        assert record["targets"][0]["property"] == "piezoelectric_modulus"
        assert record["synthesis"]["gates"]
        assert record["candidate_id"] in Page(page).text


@BOTH
def test_page_fetches_nothing_and_runs_only_its_own_scripts(written: dict[str, WrittenDossiers], language: str) -> None:
    for html in pages(written[language]):
        page = Page(html)
        assert not {"link", "iframe", "img", "object", "embed", "base"} & {tag for tag, _ in page.elements}
        for value in [*page.attributes("src"), *page.attributes("href"), *page.attributes("action")]:
            assert value.startswith(("#", "data:chemical/x-cif;base64,", *LINKS)), value
        (policy,) = (a["content"] for _, a in page.elements if "content" in a and "default-src" in a["content"])
        kinds = [a.get("type", "") for tag, a in page.elements if tag == "script"]
        run = [script for script, kind in zip(page.scripts, kinds, strict=True) if kind != "application/json"]
        digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in run]
        assert all(f"'sha256-{digest}'" in policy for digest in digests)
        assert "default-src 'none'" in policy


# Names, units and abbreviations that Chinese papers write in Latin letters, and words of file names.
ALLOWED = set(
    """matloop Dossier Materials Project OQMD ElMD Wyckoff CIF csv xlsx html json result sheet process steps PBE DFT GGA
    MEGNet Magpie norm eV atom meV USD kg mol cm GPa min MPa nm rank CHGNet chgnet SevenNet small run Cu Co Mo Cr Fe Ag
    extra trees materials dft pbe hkl Two targets cheap features mp flla piezo ICSD QR Ctrl WebGL Dmol CAS CLP
    Davies Glawe""".split()
)
SYMBOL = re.compile(r"(?:[A-Z][a-z]?[0-9.]*)+[+-]?")


class Visible(Page):
    """The text that a reader sees, without what is quoted in its own language."""

    def __init__(self, html: str) -> None:
        shown = re.sub(r"<(span|small|pre) class=\"quoted\">.*?</\1>", " ", html, flags=re.DOTALL)
        shown = re.sub(r"<i>[^<]*</i>", " ", shown).replace("><", "> <")  # symbols of space groups
        shown = re.sub(r"<style>.*?</style>|<code>.*?</code>|<title>.*?</title>", " ", shown, flags=re.DOTALL)
        super().__init__(re.sub(r"<script\b.*?</script>", " ", shown, flags=re.DOTALL))


def test_english_page_has_no_chinese(written: dict[str, WrittenDossiers]) -> None:
    for html in pages(written["en"]):
        assert not re.findall("[\u3001-\u303f\u4e00-\u9fff\uff01-\uff5e]+", Visible(html).text)


def test_chinese_page_has_no_english_but_names_and_units(written: dict[str, WrittenDossiers]) -> None:
    for html in pages(written["zh"]):
        text = re.sub(r"\bx[0-9a-f]{8,}\b|10\.[0-9]{4,9}/\S+|mp-[0-9]+", " ", Visible(html).text)
        words = {word for word in re.findall(r"[A-Za-z]{3,}", text) if not SYMBOL.fullmatch(word)}
        assert words - ALLOWED == set()


def test_chinese_page_has_full_width_marks(written: dict[str, WrittenDossiers]) -> None:
    for html in pages(written["zh"]):
        assert not re.findall("[\u4e00-\u9fff][,;:!?]|[,;:!?][\u4e00-\u9fff]|[\u4e00-\u9fff]\\(", Visible(html).text)


def test_package_is_read_back(written: dict[str, WrittenDossiers], tmp_path: Path) -> None:
    eln = next(path for path in written["zh"].packages if path.suffix == ".eln")
    with zipfile.ZipFile(eln) as archive:
        assert not [name for name in archive.namelist() if name.startswith("/") or ".." in name]
        archive.extractall(tmp_path)
    crate = ROCrate(tmp_path / eln.stem)
    sets = [part for part in crate.root_dataset["hasPart"] if part.type == "Dataset"]
    assert [one.id.rstrip("/") for one in sets] == [folder.name for folder in written["zh"].folders]
    assert all(len(one["hasPart"]) == 6 for one in sets)


def test_hostile_names_stay_text_and_inside_the_folder(finished: ScreeningRun, tmp_path: Path) -> None:
    view = finished.view
    (dossier,) = collected(view, top=1)
    names = {name: pa.array([HOSTILE] * len(dossier.batch)) for name in (Column.FORMULA, Column.CANDIDATE_ID)}
    origin = {Column.ORIGIN: [HOSTILE] * len(dossier.batch)}
    hostile = dossier._replace(batch=dossier.batch.with_columns({**names, **origin}))
    drawn = strips(view)
    card = cards(view, drawn)[0]._replace(
        formula=escape(plain(HOSTILE)), plain_formula=HOSTILE, candidate_id=HOSTILE, cif_name=HOSTILE
    )
    written = write_dossiers(tmp_path / "out", [hostile], [card], drawn, language="en")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert all(path.resolve().is_relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*"))
    (html,) = pages(written)
    page = Page(html)
    assert not any("alert(1)" in script for script in page.scripts[1:])
    assert "onload" not in {name for _, attributes in page.elements for name in attributes}
    assert "\u202e" not in html
    style = html[html.index("<style>") : html.index("</style>")]
    assert "alert" not in style.replace("script-script-alert-1", "")
    record = json.loads((written.folders[0] / "dossier.json").read_text("utf-8"))
    assert record["formula"] == plain(HOSTILE)
    cells = [
        cell
        for sheet in load_workbook(written.folders[0] / "result_sheet.xlsx")
        for row in sheet.iter_rows()
        for cell in row
    ]
    assert not [cell for cell in cells if cell.data_type == "f"]
    for path in written.packages:
        names_in = zipfile.ZipFile(path).namelist()
        assert not [name for name in names_in if name.startswith(("/", "\\")) or ".." in name.split("/")]


def test_what_cannot_be_written_is_refused(finished: ScreeningRun, tmp_path: Path) -> None:
    with pytest.raises(MatloopError, match="language 'fr'"):
        dossiers_of_run(finished.view, out=tmp_path, language="fr")
    with pytest.raises(UnknownNameError, match="radiation"):
        dossiers_of_run(finished.view, out=tmp_path, radiation="CuKalpha")
    with pytest.raises(RunError, match="no run in"):
        dossiers_of_run(type(finished.view)(tmp_path / "nothing"), out=tmp_path)


def test_command_writes_into_the_folder_that_is_named(finished: ScreeningRun, tmp_path: Path) -> None:
    arguments: list[Any] = ["dossier", str(finished.folder), "--out", str(tmp_path / "out"), "--top", "1"]
    result = CliRunner().invoke(app, [*arguments, "--language", "zh", "--radiation", "MoKa"])
    assert result.exit_code == 0, result.output
    (page,) = (tmp_path / "out").glob("*/dossier.html")
    assert "Mo Kα" in page.read_text("utf-8")
    assert page.parent.name in result.output


def test_a_wrong_language_is_refused_before_a_campaign_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["screen", "optical_window", "--dossiers", "fr"])
    assert isinstance(result.exception, MatloopError)
    assert "language 'fr'" in str(result.exception)
    assert list(tmp_path.iterdir()) == []
