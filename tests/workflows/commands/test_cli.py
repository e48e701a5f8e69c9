import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

from matloop.workflows.cli import main
from matloop.workflows.screen import ScreeningRun

COMMAND = Path(sys.executable).with_name("matloop")
TABLE_CAMPAIGN = """\
name: by_table
sources:
  - table: {path: candidates.csv, id_column: id}
targets:
  - {property: piezoelectric_modulus, goal: maximize, unit: C/m2}
surrogates:
  features: [stoichiometry]
  keep: 10
shortlist:
  size: 2
  explore: true
"""


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Matloop = Callable[..., Answer]


@pytest.fixture
def matloop(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Matloop:
    """The command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["matloop", *arguments])
        capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        shown = capsys.readouterr()
        return Answer(int(code or 0), shown.out, shown.err)

    return call


def test_version_and_help(matloop: Matloop) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", matloop("--version").out)
    answer = matloop("--help")
    assert answer.code == 0
    for command in ("screen", "validate", "datasets", "features", "models"):
        assert command in answer.out
    assert "130 interrupted" in answer.out


def test_schema_is_json_with_the_dialect_first(matloop: Matloop) -> None:
    answer = matloop("schema")
    assert answer.code == 0
    assert answer.err == ""
    schema = json.loads(answer.out)
    assert next(iter(schema.items())) == ("$schema", "https://json-schema.org/draft/2020-12/schema")
    assert "targets" in schema["required"]


@pytest.mark.parametrize(
    "arguments",
    [("scren",), ("screen",), ("screen", "optical_window", "--workers", "0"), ("validate",), ("screen", "--nope")],
)
def test_wrong_command_line(arguments: tuple[str, ...], matloop: Matloop) -> None:
    answer = matloop(*arguments)
    assert answer.code == 2
    assert "Traceback" not in answer.err
    assert answer.out == ""


def test_validate_packaged_campaign(matloop: Matloop) -> None:
    answer = matloop("validate", "optical_window")
    assert answer.code == 0
    assert answer.out.endswith("optical_window.yaml: no problems\n")
    assert answer.err == ""


def test_validate_names_every_problem_with_its_line(matloop: Matloop, tmp_path: Path) -> None:
    (tmp_path / "candidates.csv").write_text("id,formula\n1,NaCl\n")
    (tmp_path / "good.yaml").write_text(TABLE_CAMPAIGN)
    assert matloop("validate", "good.yaml") == (0, "good.yaml: no problems\n", "")
    text = TABLE_CAMPAIGN.replace("C/m2", "GPa").replace("[stoichiometry]", "[stoichiometri]")
    (tmp_path / "bad.yaml").write_text(text)
    code, out, err = matloop("validate", "bad.yaml")
    assert (code, out) == (1, "")
    lines = err.splitlines()
    assert lines[0].startswith("bad.yaml: line 5, targets.0.unit: E-UNIT: unit 'GPa' measures pressure")
    assert lines[1].startswith("bad.yaml: line 7, surrogates.features.0: E-NAME-UNKNOWN: unknown featurizer")
    assert lines[1].endswith("did you mean 'stoichiometry'?")
    assert lines[2] == "2 problems"


def test_a_campaign_file_that_is_nearly_named(matloop: Matloop, tmp_path: Path) -> None:
    (tmp_path / "camps").mkdir()
    (tmp_path / "camps" / "oxides.yaml").write_text("name: oxides\n")
    for command in ("validate", "screen"):
        assert "did you mean 'camps/oxides.yaml'?" in matloop(command, "camps/oxide.yaml").err


def test_paths_start_at_the_folder_of_the_campaign_file(matloop: Matloop, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "candidates.csv").write_text("id,formula\n1,NaCl\n")
    (tmp_path / "project" / "by_table.yaml").write_text(TABLE_CAMPAIGN)
    assert matloop("validate", "project/by_table.yaml").code == 0
    shutil.move(tmp_path / "project" / "candidates.csv", tmp_path)
    answer = matloop("validate", "project/by_table.yaml")
    assert answer.code == 1
    assert f"E-INPUT-FILE: no file {tmp_path}/project/candidates.csv" in answer.err
    assert "a relative one starts at the folder of the campaign file" in answer.err


@pytest.mark.parametrize("command", ["validate", "screen"])
def test_unknown_campaign(command: str, matloop: Matloop, tmp_path: Path) -> None:
    answer = matloop(command, "optical_windows")
    assert answer.code == 1
    assert "optical_windows: No such file or directory" in answer.err
    assert "did you mean 'optical_window'?" in answer.err
    assert "Traceback" not in answer.err
    assert list(tmp_path.iterdir()) == []


def test_screen_refuses_a_bad_campaign_before_it_makes_a_folder(matloop: Matloop, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(TABLE_CAMPAIGN.replace("keep: 10", "keep: 0"))
    answer = matloop("screen", "bad.yaml", "--output", "run")
    assert answer.code == 1
    assert answer.err.startswith("matloop: E-CAMPAIGN: bad.yaml has 1 problem: line 8, surrogates.keep: ")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def test_screen_refuses_a_folder_in_use(matloop: Matloop, finished: ScreeningRun) -> None:
    answer = matloop("screen", "optical_window", "--output", str(finished.folder))
    assert answer.code == 1
    assert answer.err.startswith("matloop: E-RUN-CHANGED: ")
    answer = matloop("screen", str(finished.folder / "campaign.yaml"), "--output", str(finished.folder))
    assert answer.code == 1
    assert re.match(
        r"matloop: E-RUN: .* is not empty: it holds a finished run\. Allowed: .*\. To mend it: choose another --output",
        answer.err,
    )
    assert answer.out == ""


def test_screen_onto_an_unfinished_run_names_resume(matloop: Matloop, finished: ScreeningRun, tmp_path: Path) -> None:
    shutil.copytree(finished.folder, tmp_path / "my run")
    (tmp_path / "my run" / "report.html").unlink()
    answer = matloop("screen", str(finished.folder / "campaign.yaml"), "--output", "my run")
    assert answer.code == 1
    assert "it holds an unfinished run." in answer.err
    assert "To mend it: go on with it: matloop resume 'my run', or choose another --output." in answer.err


def test_datasets(matloop: Matloop) -> None:
    answer = matloop("datasets")
    assert answer.code == 0
    assert "materials" in answer.out
    assert "6,317" in answer.out
    assert matloop("datasets", "transport").code == 0
    answer = matloop("datasets", "material")
    assert answer.code == 1
    assert answer.err.startswith("matloop: E-NAME-UNKNOWN: unknown data set 'material'")
    assert answer.err.endswith("did you mean 'materials'?\n")


def test_features_are_listed_or_computed(matloop: Matloop, tmp_path: Path) -> None:
    assert "valence_orbital" in matloop("features").out
    (tmp_path / "t.csv").write_text("formula\nNaCl\nInF\nFe0\n")
    answer = matloop("features", "magpie", "stoichiometry", "--input", "t.csv", "--output", "f.parquet")
    assert answer.code == 0
    assert re.match(r"f\.parquet: 3 rows, \d+ features, 1 refused\n  1 E-FORMULA-AMOUNT: ", answer.out)
    assert pq.read_table(tmp_path / "f.parquet")["formula"].to_pylist() == ["NaCl", "InF", "Fe0"]


def test_features_of_nothing_readable_are_no_success(matloop: Matloop, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("name,compound\n1,Fe0\n2,\n")
    advice = matloop("features", "magpie", "--input", "t.csv", "--output", "f.csv").err
    assert "on the command line with --formula-column" in advice
    answer = matloop("features", "magpie", "--input", "t.csv", "--output", "f.csv", "--formula-column", "compound")
    assert answer.code == 1
    assert answer.out.startswith("f.csv: 2 rows, 132 features, 2 refused\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("magpie",), 2, "computing features takes names, --input and --output"),
        (("--input", "t.csv"), 2, "computing features takes names"),
        (("magpie", "--input", "gone.csv", "--output", "f.parquet"), 1, "E-INPUT-FILE: no file gone.csv"),
        (("magpi", "--input", "t.csv", "--output", "f.parquet"), 1, "did you mean 'magpie'?"),
    ],
)
def test_features_that_cannot_be_computed(
    arguments: tuple[str, ...], code: int, message: str, matloop: Matloop, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("formula\nNaCl\n")
    answer = matloop("features", *arguments)
    assert answer.code == code
    assert message in " ".join(answer.err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_models(matloop: Matloop, finished: ScreeningRun) -> None:
    assert "extra_trees" in matloop("models").out
    answer = matloop("models", str(finished.folder))
    assert answer.code == 0
    assert "refractive_index" in answer.out
    answer = matloop("models", "gone")
    assert answer.code == 1
    assert answer.err.startswith("matloop: E-RUN: gone holds no models")


def test_the_store_is_listed_alone(matloop: Matloop, finished: ScreeningRun) -> None:
    assert "MATLOOP_STORE_LIMIT is 0" in matloop("models", "--store").out
    for arguments in (("models", "--clear"), ("models", str(finished.folder), "--store")):
        assert matloop(*arguments).code == 2


def test_a_campaign_from_the_command_line(tmp_path: Path) -> None:
    """The whole command in its own process, started where the user stands."""
    (tmp_path / "candidates.csv").write_text("id,formula\n0012345,NaN\nNone,InF\n3,Og2\n4,ZnS\n5,?\n6,SZn\n")
    (tmp_path / "by_table.yaml").write_text(TABLE_CAMPAIGN)

    def matloop(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )

    done = matloop("screen", "by_table.yaml", "--output", "run", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "training surrogates: 1/1" in done.stdout
    assert "scoring candidates: 6/6" in done.stdout
    assert re.search(
        r"Every candidate accounted for: quarantined 2, rejected 2, shortlisted 2;\s+together 6\.", done.stdout
    )
    assert "Report: run/report.html\nTable:  run/shortlist.csv\n" in done.stdout
    assert "\x1b" not in done.stdout  # no colours into a pipe
    table = pq.read_table(tmp_path / "run/partitions/surrogates/part-00000.parquet")
    origins = dict(zip(table["formula"].to_pylist()[:4], table["origin"].to_pylist()[:4], strict=True))
    assert origins == {"NaN": "0012345", "InF": "None", "Og": "3", "ZnS": "4"}

    again = matloop("screen", "by_table.yaml", "--output", "run")
    assert again.returncode == 1
    assert again.stderr.startswith("matloop: E-RUN: run is not empty: it holds a finished run.")
    assert again.stdout == ""
    assert matloop("models", "run").returncode == 0
