"""Batch scripts as text and under stand-ins of the queues' commands; tests/slurm runs them on a Slurm."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from matloop.data.errors import RunError, UnknownNameError
from matloop.workflows.cli import app
from matloop.workflows.clusters.queue_systems import QUEUE_SYSTEMS
from matloop.workflows.clusters.submission import Submission, scripts_of, submit

SYSTEMS = list(QUEUE_SYSTEMS)


def submission(system: str = "slurm", run: Path = Path("runs/one"), **options: Any) -> Submission:
    return Submission(system, "campaign.yaml", run, **options)


def directives(script: str) -> list[str]:
    return [line for line in script.splitlines() if line.startswith("#") and not line.startswith("#!")]


def bash(script: str) -> str:
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, timeout=20)
    return done.stdout.decode("utf-8")  # text=True would change line ends


EXPECTED = {
    "slurm": [
        "#SBATCH --job-name=matloop-one", "#SBATCH --output=share-%A_%a.log", "#SBATCH --time=1:30:00",
        "#SBATCH --nodes=1", "#SBATCH --ntasks=1", "#SBATCH --cpus-per-task=1", "#SBATCH --partition=long",
        "#SBATCH --account=me", "#SBATCH --array=1-8", "#SBATCH --signal=B:TERM@120",
        "#SBATCH --no-requeue --kill-on-invalid-dep=yes",
    ],
    "pbs": [
        "#PBS -N matloop-one", "#PBS -j oe", "#PBS -l walltime=1:30:00", "#PBS -l select=1:ncpus=1", "#PBS -q long",
        "#PBS -A me", "#PBS -J 1-8", "#PBS -r n",
    ],
    "lsf": [
        "#BSUB -J matloop-one", "#BSUB -o share-%J_%I.log", "#BSUB -W 90", '#BSUB -n 1 -R "span[hosts=1]"',
        "#BSUB -q long", "#BSUB -P me", "#BSUB -J matloop[1-8]", "#BSUB -wt 2 -wa TERM", "#BSUB -rn",
    ],
    "sge": [
        "#$ -N matloop-one", "#$ -j y -cwd -S /bin/bash", "#$ -l h_rt=1:30:00", "#$ -pe smp 1", "#$ -q long",
        "#$ -P me", "#$ -t 1-8", "#$ -r n -notify",
    ],
}  # fmt: skip


@pytest.mark.parametrize("system", SYSTEMS)
def test_directives_of_an_array(system: str) -> None:
    scripts = scripts_of(submission(system, array=8, time="1:30:00", partition="long", account="me", workers=4))
    assert list(scripts) == ["steps.sh", "submit.sh", "prepare.sh", "share.sh", "run.sh"]
    assert directives(scripts["share.sh"]) == EXPECTED[system]
    (cores,) = (line for line in directives(scripts["run.sh"]) if "cpu" in line or "-pe" in line or "-n 4" in line)
    assert "4" in cores
    assert "8" not in "".join(directives(scripts["run.sh"]))


RESOURCES = {
    "slurm": ["#SBATCH --cpus-per-task=4", "#SBATCH --mem=16G", "#SBATCH --gres=gpu:2"],
    "pbs": ["#PBS -l select=1:ncpus=4:mem=16gb:ngpus=2"],
    "lsf": ['#BSUB -M 16GB -R "rusage[mem=16GB]"', '#BSUB -gpu "num=2"'],
    "sge": ["#$ -pe smp 4", "#$ -l mem_free=16G", "#$ -l gpu=2"],
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_directives_of_memory_and_gpus(system: str) -> None:
    wanted = submission(system, workers=4, memory="16 GB", gpus="2", directives=("-x one", "--two=2"))
    found = directives(scripts_of(wanted)["run.sh"])
    assert set(RESOURCES[system]) <= set(found)
    prefix = QUEUE_SYSTEMS[system].prefix
    assert found[-2:] == [f"{prefix} -x one", f"{prefix} --two=2"]


def test_quality_of_service_and_kinds_of_gpu_under_slurm() -> None:
    found = directives(scripts_of(submission(qos="high", gpus="a100:1"))["run.sh"])
    assert {"#SBATCH --qos=high", "#SBATCH --gres=gpu:a100:1"} <= set(found)


@pytest.mark.parametrize(
    ("time", "written"),
    [("90", "1:30:00"), ("2:30", "0:02:30"), ("1-00:00:00", "24:00:00"), ("2-12", "60:00:00"), ("0-00:30", "0:30:00")],
)
def test_times_as_slurm_writes_them(time: str, written: str) -> None:
    assert f"#SBATCH --time={written}" in directives(scripts_of(submission(time=time))["run.sh"])


def test_modules_are_loaded_before_matloop_is_called(tmp_path: Path) -> None:
    scripts = scripts_of(submission(modules=("gcc/13.2", "python"), array=2))
    for name in ("prepare.sh", "share.sh", "run.sh"):
        lines = scripts[name].splitlines()
        assert lines[lines.index("load_modules gcc/13.2 python") - 1].startswith(". ")
    assert "load_modules gcc" not in scripts["submit.sh"]
    functions = scripts["steps.sh"].partition("\nsay() {")[2].partition("\n# Submits a step")[0]
    told = bash(f'say() {{{functions}\nmodule() {{ echo "$*"; }}\nload_modules gcc/13.2 python')
    assert told == "load gcc/13.2 python\n"


@pytest.mark.parametrize("array", [None, 3])
@pytest.mark.parametrize("system", SYSTEMS)
def test_bash_finds_no_mistake_in_scripts(system: str, array: int | None, tmp_path: Path) -> None:
    scripts = scripts_of(submission(system, array=array))
    said = {}
    for name, text in scripts.items():
        (tmp_path / name).write_text(text)
        read = subprocess.run(["bash", "-n", tmp_path / name], check=False, capture_output=True, text=True, timeout=20)
        said[name] = (read.returncode, read.stderr)
    assert said == dict.fromkeys(scripts, (0, ""))
    assert scripts["submit.sh"].startswith("#!/usr/bin/env bash\n")


def test_several_nodes() -> None:
    scripts = scripts_of(submission(nodes=3, workers=48, interface="ib0"))
    found = directives(scripts["run.sh"])
    assert {"#SBATCH --nodes=3", "#SBATCH --ntasks=48", "#SBATCH --cpus-per-task=1"} <= set(found)
    assert "\ninterface=ib0\n" in scripts["steps.sh"]
    assert "\nexport DASK_DISTRIBUTED__WORKER__DAEMON=False\n" in scripts["steps.sh"]


# No script can hold a null character, and no path can.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(campaign=texts, parent=texts.filter(lambda text: "/" not in text and text not in (".", "..")))
@settings(max_examples=40)
def test_whatever_names_hold_is_only_a_name(campaign: str, parent: str) -> None:
    wanted = Submission("slurm", campaign, Path("/nowhere") / parent / "one")
    assignments = scripts_of(wanted)["steps.sh"].partition("submit_script()")[0]
    told = bash(assignments + '\nprintf "%s\\0" "$campaign" "$run" "$notes" "${matloop[@]}"')
    expected = [campaign, f"/nowhere/{parent}/one", f"/nowhere/{parent}/one/submission", *wanted.command]
    assert told.split("\0")[:-1] == expected


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"run": Path("runs/a b")}, "a run called 'a b'"),
        ({"run": Path("runs/$(touch x)")}, "a run called"),
        ({"run": Path("runs/a\n#SBATCH --array=1-9")}, "a run called"),
        ({"run": Path(".")}, "a run called ''"),
        ({"run": Path("runs/..")}, "a run called '..'"),
        ({"run": Path("x" * 81)}, "a run called"),
        ({"partition": "a b"}, "--partition 'a b'"),
        ({"partition": "--uid=0"}, "--partition"),
        ({"account": "me\n#SBATCH --uid=0"}, "--account"),
        ({"account": ""}, "--account ''"),
        ({"interface": "ib0;id", "nodes": 2}, "--interface"),
        ({"time": "2h"}, "--time '2h'"),
        ({"time": "0:59"}, "written H:MM:SS"),
        ({"time": "1-"}, "D-HH:MM:SS"),
        ({"time": "1:60:00"}, "at least a minute"),
        ({"memory": "lots"}, "--memory 'lots'"),
        ({"memory": "16GB\n"}, "--memory"),
        ({"gpus": "a100:"}, "--gpus 'a100:'"),
        ({"gpus": "a100:1", "system": "pbs"}, "--gpus 'a100:1'"),
        ({"qos": "a b"}, "--qos 'a b'"),
        ({"qos": "high", "system": "lsf"}, "--qos 'high' for lsf"),
        ({"modules": ("gcc; id",)}, "--module 'gcc; id'"),
        ({"directives": ("--constraint=a\nid",)}, "--directive"),
        ({"directives": ("constraint=a",)}, "begins with -"),
        ({"time": "0:00:30"}, "at least a minute"),
        ({"time": "1:00:00\n"}, "--time"),
        ({"array": 1}, "two tasks or more"),
        ({"nodes": 2}, "with --interface NAME"),
        ({"nodes": 2, "interface": "ib0", "array": 3}, "without --array"),
        ({"nodes": 2, "interface": "ib0", "system": "pbs"}, "under Slurm"),
    ],
)
def test_what_could_be_taken_for_something_else_is_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(RunError) as caught:
        submission(**options)
    assert reason in str(caught.value)


def test_an_unknown_queue() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'slurm'"):
        submission("slrum")


ANSWERS = {
    "slurm": ("sbatch", "echo '{n};cluster'", "{n}"),
    "pbs": ("qsub", "echo '{n}.server.example'", "{n}.server.example"),
    "lsf": ("bsub", "cat >/dev/null; echo 'Job <{n}> is submitted to queue <normal>.'", "{n}"),
    "sge": ("qsub", "echo '{n}.1-3:1'", "{n}"),
}
CONDITIONS = {
    "slurm": ("--dependency=afterok:101", "--dependency=afterany:102"),
    "pbs": ("-Wdepend=afterok:101.server.example", "-Wdepend=afterany:102.server.example"),
    "lsf": ("-wdone(101)", "-wended(102)"),
    "sge": ("-hold_jid 101", "-hold_jid 102"),
}


def pretend(system: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, refuse: bool = False) -> Path:
    """A queue that gives every job a number and writes down what it was asked."""
    program, answer, _ = ANSWERS[system]
    log = folder / "asked"
    body = "echo 'no such account' >&2; exit 1" if refuse else answer.replace("{n}", f"'$((100 + $(wc -l <{log})))'")
    (folder / program).write_text(f'#!/usr/bin/env bash\necho "$PWD: $*" >>{log}\n{body}\n')
    (folder / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return log


@pytest.mark.parametrize("system", SYSTEMS)
def test_jobs_depend_on_those_before_them(system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = pretend(system, tmp_path, monkeypatch)
    wanted = submission(system, tmp_path / "one", array=3)
    jobs = [line.split() for line in submit(wanted)]
    ids = [ANSWERS[system][2].replace("{n}", str(number)) for number in (101, 102, 103)]
    assert jobs == [["prepare", ids[0]], ["share", ids[1], "afterok", ids[0]], ["run", ids[2], "afterany", ids[1]]]
    asked = log.read_text().splitlines()
    assert all(line.startswith(f"{wanted.folder}/logs: ") for line in asked)  # where their output goes
    assert [condition in line for condition, line in zip(CONDITIONS[system], asked[1:], strict=True)] == [True, True]


def test_a_queue_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend("slurm", tmp_path, monkeypatch, refuse=True)
    with pytest.raises(RunError, match="slurm refused a job: no such account"):
        submit(submission(run=tmp_path / "one"))


def test_a_queue_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend("slurm", tmp_path, monkeypatch)
    (tmp_path / "sbatch").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "bash").symlink_to("/bin/bash")
    with pytest.raises(RunError, match=r"sbatch.*not found"):
        submit(submission(run=tmp_path / "one"))


def test_a_run_that_exists_is_not_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = pretend("slurm", tmp_path, monkeypatch)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "run.json").touch()
    with pytest.raises(RunError, match="is not empty"):
        submit(submission(run=tmp_path / "one"))
    assert not log.exists()


def test_command_shows_and_submits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = pretend("slurm", tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    arguments = [
        "submit",
        "optical_window",
        "--cluster",
        "slurm",
        "--output",
        "mine",
        "--time",
        "3:00:00",
        "--array",
        "4",
    ]
    shown = CliRunner().invoke(app, [*arguments, "--dry-run"])
    assert shown.exit_code == 0
    for line in ("#SBATCH --time=3:00:00", "#SBATCH --array=1-4", "campaign=optical_window", f"run={tmp_path}/mine"):
        assert f"{line}\n" in shown.stdout
    assert "Nothing was submitted" in shown.stdout
    assert "store=()\n" in shown.stdout
    assert "store=(--no-store)\n" in CliRunner().invoke(app, [*arguments, "--dry-run", "--no-store"]).stdout
    assert shown.stdout.count('"${store[@]}"') == 4, "both of what prepares and both of what runs"
    assert not log.exists()
    assert not (tmp_path / "mine").exists()
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0
    assert "Submitted: run 103 afterany 102" in done.stdout
    assert "scancel --name=matloop-mine" in done.stdout
    scripts = scripts_of(Submission("slurm", "optical_window", Path("mine"), array=4, time="3:00:00"))
    assert {name: (tmp_path / "mine" / "submission" / name).read_text() for name in scripts} == scripts


def test_command_refuses_a_wrong_campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = pretend("slurm", tmp_path, monkeypatch)
    (tmp_path / "wrong.yaml").write_text("name: wrong\n")
    done = CliRunner().invoke(app, ["submit", str(tmp_path / "wrong.yaml"), "--cluster", "slurm"])
    assert done.exit_code == 1
    assert "surrogates: is required" in str(done.exception)
    assert not log.exists()
