"""What the command line refuses: with a code, the way to mend it, and exit code 4 only where a run can go on."""

import json
import os
from pathlib import Path

import pytest

from matloop.data.errors import FileAccessError, InputFileError, RunError
from matloop.screening.campaign.cluster_settings import ClusterSettings
from matloop.workflows.cli import main
from matloop.workflows.clusters.workers import check_scheduler_file
from matloop.workflows.inspecting import status_text
from matloop.workflows.inspecting.machine_checks import FAIL, check_folder

Capsys = pytest.CaptureFixture[str]
CAMPAIGN = """\
name: example
sources:
  - table: t.csv
targets:
  - {property: energy_above_hull, goal: at_most, value: 50, unit: meV/atom}
surrogates:
  features: [stoichiometry]
  keep: 100
shortlist:
  size: 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("id,formula\na,NaCl\nb,Na,Cl,2\n", encoding="utf-8")
    (tmp_path / "c.yaml").write_text(CAMPAIGN, encoding="utf-8")
    return tmp_path


def ended(monkeypatch: pytest.MonkeyPatch, capsys: Capsys, *words: str) -> tuple[int, str]:
    """Exit code of a command, and what it printed as error."""
    monkeypatch.setattr("sys.argv", ["matloop", *words])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0), capsys.readouterr().err


def test_a_run_that_cannot_begin_is_not_resumable(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    code, said = ended(monkeypatch, capsys, "screen", "c.yaml", "--output", "/proc/x")
    assert code == 1
    assert "E-RUN-FOLDER: cannot create /proc/x" in said


def test_a_path_of_thousands_of_characters_is_shortened(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    for command in ("status", "validate", "report"):
        code, said = ended(monkeypatch, capsys, command, "a" * 5000)
        assert code == 1
        assert "aaa..." in said
        assert len(said) < 1500


def test_a_folder_that_may_not_be_read_ends_with_1(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    def refuse(*_: object, **__: object) -> bool:
        raise FileAccessError("run.json cannot be opened: Permission denied")

    monkeypatch.setattr(status_text, "print_status", refuse)
    assert ended(monkeypatch, capsys, "status", ".")[0] == 1


def test_the_mend_names_the_file_that_was_given(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    (folder / "y").mkdir()
    (folder / "y" / "nan.yaml").write_text(CAMPAIGN.replace("size: 3", "size: .nan"), encoding="utf-8")
    code, said = ended(monkeypatch, capsys, "screen", "y/nan.yaml")
    assert code == 1
    assert "matloop validate y/nan.yaml" in said


def test_a_table_without_rows_is_refused_before_training(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    (folder / "t.csv").write_text("id,formula\n", encoding="utf-8")
    code, said = ended(monkeypatch, capsys, "screen", "c.yaml", "--output", "run")
    assert code == 1
    assert "t.csv holds no rows" in said
    assert not (folder / "run").exists()


def test_a_scheduler_file_is_looked_at_before_a_run_begins(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    code, said = ended(monkeypatch, capsys, "screen", "c.yaml", "--output", "run", "--cluster", "nosuch.json")
    assert code == 1
    assert said.count("Allowed:") == 1
    assert not (folder / "run").exists()
    (folder / "s.json").write_text(json.dumps({"id": 1}), encoding="utf-8")
    with pytest.raises(RunError, match="it has no 'address'"):
        check_scheduler_file(ClusterSettings(kind="existing", scheduler_file=str(folder / "s.json")))


def test_doctor_says_that_the_folder_is_a_file(folder: Path) -> None:
    (check,) = check_folder("run folder", folder / "c.yaml")
    assert check.state == FAIL
    assert check.found.endswith("c.yaml is a file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_models_that_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    (folder / "models").mkdir(mode=0o000)
    code, said = ended(monkeypatch, capsys, "models", ".")
    (folder / "models").chmod(0o700)
    assert code == 1
    assert "Permission denied" in said


@pytest.mark.parametrize("name", ["guarded", "matminer"])
def test_featurizers_with_options_are_not_offered(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    code, said = ended(monkeypatch, capsys, "features", name, "--input", "t.csv", "--output", "o.csv")
    assert code == 1
    assert f"the featurizer '{name}' needs options" in said
    assert name not in said.partition("Allowed:")[2]


def test_features_do_not_write_over_their_input(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    before = (folder / "t.csv").read_bytes()
    code, said = ended(monkeypatch, capsys, "features", "magpie", "--input", "t.csv", "--output", "./t.csv")
    assert (code, (folder / "t.csv").read_bytes()) == (1, before)
    assert "is the input itself" in said


def test_a_ragged_row_keeps_its_line_and_number(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    assert ended(monkeypatch, capsys, "features", "stoichiometry", "--input", "t.csv", "--output", "o.csv")[0] == 0
    assert '"row 2: 4 cells, 2 columns: b,Na,Cl,2"' in (folder / "o.csv").read_text("utf-8")


def test_features_of_a_table_without_rows(folder: Path) -> None:
    from matloop.workflows.commands.feature_table import write_features

    (folder / "t.csv").write_text("formula\n", encoding="utf-8")
    with pytest.raises(InputFileError, match=r"t\.csv holds no rows"):
        write_features(["stoichiometry"], "t.csv", "o.csv")


def test_names_are_whole_in_a_narrow_list(monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.argv", ["matloop", "features"])
    with pytest.raises(SystemExit):
        main()
    listed = capsys.readouterr().out
    for name in ("sine_coulomb_eigenvalues", "structural_complexity", "radial_distribution"):
        assert name in listed
    assert "``" not in listed
    assert "guarded" not in listed.partition("With options")[0]
