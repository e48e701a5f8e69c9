"""What leaves the program: text that comes from inputs, and files with the modes that the user's umask asks for."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from matloop.data.errors import RunError
from matloop.data.plain_text import one_line, plain
from matloop.data.whole_files import write_csv
from matloop.screening.campaign.cluster_settings import ClusterSettings
from matloop.workflows.clusters.submission import Submission, scripts_of
from matloop.workflows.resume import read_share

HIDDEN = {
    "escape": "\x1b[31m", "bell": "\x07", "carriage return": "\r", "C1 control": "\x9b", "right to left": "\u202e",
    "isolate": "\u2067", "zero-width space": "\u200b", "zero-width joiner": "\u200d", "byte-order mark": "\ufeff",
    "soft hyphen": "\u00ad", "Hangul filler": "\u3164", "grapheme joiner": "\u034f", "variation": "\ufe0f",
    "variation supplement": "\U000e0101", "tag": "\U000e0041", "half a character": "\ud800", "private": "\ue000",
}  # fmt: skip
LOOKS_LIKE_A_FORMULA = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠A1",
    "\u200b=1",
    "\x07＝1",
]


@pytest.mark.parametrize("name", HIDDEN)
def test_s22_nothing_hidden_reaches_people(name: str) -> None:
    hidden = HIDDEN[name]
    assert not set(hidden) & set(plain(f"Si{hidden}O2")) - set("[31m")
    assert one_line(f"Si{hidden}O2").replace("[31m", "").replace(" ", "") == "SiO2"


def test_s22_words_of_all_languages_stay() -> None:
    for text in ("氧化硅，折射率", "Å² µm – “x”", "Zn₂SiO₄", "日本語、한국어", "naïve résumé", "θ=1"):
        assert plain(text) == text


@pytest.mark.parametrize("text", LOOKS_LIKE_A_FORMULA)
def test_s22_a_table_holds_no_formulas_and_nothing_hidden(text: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ["name", "value"], [[text, 1.5], ["plain \u202eevil", -2.0]])
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1][0] == f"'{plain(text)}"
    assert rows[1][1] == "1.5"
    assert rows[2] == ["plain evil", "-2.0"]  # a number is no text


@pytest.mark.parametrize(
    "given",
    [
        {"walltime": "１:00:00"}, {"walltime": "1:0０:00"}, {"memory": "４GB"}, {"directives": ("--a=\u202eb",)},
        {"directives": ("--a=b\n#SBATCH --c",)}, {"directives": ("--a=\u2028b",)}, {"queue": "ｌong"},
        {"interface": "ib０"},
    ],
)  # fmt: skip
def test_s22_settings_of_jobs_are_plain(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ClusterSettings.model_validate({"kind": "slurm", "interface": "ib0", **given})


@pytest.mark.parametrize(
    "given",
    [
        {"time": "２:00:00"}, {"partition": "ｌong"}, {"run": Path("ｒun")}, {"run": Path("run\n")},
    ],
)  # fmt: skip
def test_s22_job_scripts_are_plain(given: dict[str, object]) -> None:
    whole = {"system": "slurm", "campaign": "a.yaml", "run": Path("run"), **given}
    with pytest.raises(RunError):
        Submission(**whole)  # type: ignore[arg-type]


def test_s22_job_scripts_show_nothing_hidden() -> None:
    for script in scripts_of(Submission("slurm", "a\u202e\u3164b\nc.yaml", Path("/tmp/a\u200bb/run"))).values():
        assert plain(script) == script


def test_s22_numbers_of_commands_have_plain_digits() -> None:
    assert read_share("3/8") == (3, 8)
    with pytest.raises(RunError, match="a share of"):
        read_share("３/８")


PROGRAM = """
import os, sys
from pathlib import Path
import pyarrow as pa
from matloop.data.runs.lock import RunLock
from matloop.data.runs.manifest import Manifest
from matloop.data.whole_files import write_bytes, write_csv, write_json, write_table, write_text
os.umask(int(sys.argv[1], 8))
folder = Path(sys.argv[2]) / "run"
folder.mkdir()
with RunLock(folder):
    write_bytes(folder / "a.bin", b"1")
    write_csv(folder / "a.csv", ["a"], [[1]])
    write_json(folder / "a.json", {"a": 1})
    write_table(folder / "a.parquet", pa.table({"a": [1]}))
    write_text(folder / "a.html", "1")
    Manifest(folder).append("event", what="a", detail="b", time=1.0)
    for path in sorted(folder.iterdir()):
        print(path.name, oct(path.stat().st_mode & 0o777))
"""


@pytest.mark.parametrize(("umask", "mode"), [("077", "0o600"), ("022", "0o644"), ("027", "0o640"), ("002", "0o664")])
def test_s24_modes_follow_the_umask(umask: str, mode: str, tmp_path: Path) -> None:
    call = [sys.executable, "-c", PROGRAM, umask, str(tmp_path)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    modes = dict(line.split() for line in done.stdout.splitlines())
    assert {"a.bin", "a.csv", "a.json", "a.parquet", "a.html", "manifest.jsonl", "lock.json"} <= modes.keys()
    assert set(modes.values()) == {mode}
    assert not re.search(r"\.partial", " ".join(os.listdir(tmp_path / "run")))
