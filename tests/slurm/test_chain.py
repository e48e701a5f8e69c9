"""Jobs that follow each other until a run is complete, with a stand-in for matloop: what ends them is real."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.slurm.conftest import DAEMONS, STAND_IN, Submitted, end_of_walltime, queue, state_of, until

pytestmark = pytest.mark.slurm
HandOver = Callable[..., Submitted]
SCREEN, RESUME = "screen campaign.yaml --output --workers 1 --cluster local", "resume --workers 1 --cluster local"
PREPARE = "screen campaign.yaml --output --prepare-only --workers 1 --cluster local"


def shares(*tasks: int, of: int) -> list[str]:
    return [f"resume --share {task}/{of} --workers 1 --cluster local" for task in tasks]


def steps(run: Submitted) -> list[str]:
    """Steps that were submitted, each with its condition."""
    words = [line.split() for line in run.notes("jobs.txt")]
    return [" ".join([one[0], *one[2:3]]) for one in words]


def test_one_job_is_enough(handed_over: HandOver) -> None:
    run = handed_over()
    run.wait()
    assert run.calls() == [SCREEN]
    assert steps(run) == ["run", "run afternotok"]  # the second one was ready and is gone
    assert len(run.notes("started.txt")) == 1
    assert (run.run / "run.json").exists()


def test_array_between_preparation_and_last_job(handed_over: HandOver) -> None:
    run = handed_over(array=3)
    run.wait()
    calls = run.calls()
    assert calls[0] == PREPARE
    assert sorted(calls[1:4]) == shares(1, 2, 3, of=3)
    assert calls[4:] == [RESUME]
    assert steps(run) == ["prepare", "share afterok", "run afterany", "run afternotok"]


def test_tasks_that_did_not_finish_are_submitted_again(handed_over: HandOver) -> None:
    run = handed_over(array=2, plan=["", "unfinished", "crashed"])
    run.wait()
    calls = run.calls()
    assert sorted(calls[1:3]) == sorted(calls[3:5]) == shares(1, 2, of=2)
    assert calls[0] == PREPARE
    assert calls[5:] == [RESUME]


def test_tasks_that_finished_are_not_done_again(handed_over: HandOver) -> None:
    run = handed_over(array=3, plan=["", "", "unfinished", ""])
    run.wait()
    assert len(run.calls()) == 1 + 3 + 1 + 1
    assert len([call for call in run.calls() if call == run.calls()[4]]) == 2


def test_preparation_that_did_not_finish_goes_on(handed_over: HandOver) -> None:
    """The array that waits for it is dropped by Slurm; the last job, which waits for the array, begins again."""
    run = handed_over(array=2, plan=["unfinished"])
    run.wait()
    calls = run.calls()
    assert calls[:2] == [PREPARE, "resume --prepare-only --workers 1 --cluster local"]
    assert sorted(calls[2:4]) == shares(1, 2, of=2)
    assert calls[4:] == [RESUME]


@pytest.mark.parametrize("array", [None, 2])
def test_a_refusal_is_not_tried_again(array: int | None, handed_over: HandOver) -> None:
    run = handed_over(array=array, plan=["refused"])
    run.wait()
    assert len(run.calls()) == 1
    (why,) = run.notes("refused")
    assert why.endswith("E-CAMPAIGN, exit code 1")
    assert not (run.run / "run.json").exists()


def test_r25_a_failure_without_a_code_is_tried_again(handed_over: HandOver) -> None:
    """As where Python itself cannot be read from a network file system that went away for a while."""
    run = handed_over(plan=["stale"])
    run.wait()
    assert run.calls() == [SCREEN, RESUME]
    assert not run.notes("refused")
    assert (run.run / "run.json").exists()


def test_jobs_are_bounded(handed_over: HandOver) -> None:
    run = handed_over(plan=["unfinished"] * 9, most_submissions=3)
    run.wait()
    assert run.calls() == [SCREEN, RESUME, RESUME]
    assert "not finished after 3 jobs; to go on: bash" in run.logs()


def test_what_was_given_up_can_be_submitted_again(handed_over: HandOver) -> None:
    run = handed_over(plan=["unfinished"], most_submissions=1)
    run.wait()
    assert not (run.run / "run.json").exists()
    subprocess.run(["bash", run.submission.folder / "submit.sh"], check=True, timeout=60, capture_output=True)
    run.wait()
    assert (run.run / "run.json").exists()


def test_a_notice_reaches_matloop_and_the_next_job_goes_on(handed_over: HandOver) -> None:
    run = handed_over(plan=["interruptible"])
    job = run.running(1)
    # As Slurm does before the wall-time ends, by --signal=B:TERM.
    subprocess.run(["scancel", "--batch", "--signal=TERM", job], check=True, timeout=20)
    run.wait()
    assert (run.folder / "calls.signals").read_text() == "notice\n"
    assert run.calls() == [SCREEN, RESUME]
    assert "run: exit code 4" in run.logs()
    assert (run.run / "run.json").exists()


@pytest.mark.parametrize("ending", ["crashed", "nothing"])
def test_a_job_without_a_result_is_followed_by_another(ending: str, handed_over: HandOver) -> None:
    run = handed_over(plan=[ending, "unfinished"])
    run.wait()
    assert run.calls() == [SCREEN, RESUME, RESUME]
    assert (run.run / "run.json").exists()


@pytest.mark.slow
def test_wall_time_with_notice(handed_over: HandOver) -> None:
    """A job of one minute gets its notice before the minute is over, and ends by itself."""
    run = handed_over(plan=["interruptible"], time="0:01:00")
    job = run.running(1)
    run.wait(120)
    assert state_of(job) == "FAILED"  # not TIMEOUT: it ended with exit code 4
    assert (run.folder / "calls.signals").read_text() == "notice\n"
    assert (run.run / "run.json").exists()


@pytest.mark.slow
def test_wall_time_without_notice(handed_over: HandOver) -> None:
    """A job that hears nothing is killed, and another one goes on."""
    run = handed_over(plan=["deaf"])
    job = run.running(1)
    end_of_walltime(job)
    run.wait(120)
    assert state_of(job) == "TIMEOUT"
    assert run.calls() == [SCREEN, RESUME]
    assert (run.run / "run.json").exists()


@pytest.mark.slow
def test_wall_time_of_an_array_task(handed_over: HandOver) -> None:
    run = handed_over(array=2, plan=["", "deaf"])
    until(lambda: len(run.calls()) >= 3, 60)

    def at_work() -> list[str]:
        return [line.split()[0] for line in queue(run.run) if "_" in line and line.split()[1] == "RUNNING"]

    until(lambda: len(at_work()) == 1, 60)  # the other task is finished
    end_of_walltime(*at_work())
    run.wait(120)
    calls = run.calls()
    assert len(calls) == 1 + 2 + 1 + 1  # the task that finished is not done again
    assert calls[3] in calls[1:3]
    assert (run.run / "run.json").exists()


@pytest.mark.slow
def test_node_daemon_that_dies(handed_over: HandOver) -> None:
    """The node is lost with its job; when it is back, the next job goes on."""
    number = DAEMONS / "slurmd.pid"
    if not number.exists():
        pytest.skip("this Slurm was not started by .ci/slurm: its daemons are not ours to stop")
    run = handed_over(plan=["deaf"])
    job = run.running(1)
    subprocess.run(["kill", "-9", number.read_text().strip()], check=True)
    try:
        until(lambda: state_of(job) == "NODE_FAIL", 120)
        assert len(run.calls()) == 1
    finally:
        subprocess.run(["slurmd"], check=True, timeout=20)
    run.wait(90)
    assert run.calls() == [SCREEN, RESUME]
    assert (run.run / "run.json").exists()


def test_names_that_a_shell_would_act_upon(handed_over: HandOver, tmp_path: Path) -> None:
    folder = tmp_path / "a b'c\"d $(touch pwned) `touch pwned` ;touch pwned; é\n#SBATCH --array=1-9"
    run = handed_over(folder=folder, campaign="$(touch pwned) 'x' \"y\".yaml", array=2)
    run.wait()
    assert (run.run / "run.json").exists()
    assert run.calls()[0] == "screen $(touch pwned) 'x' \"y\".yaml --output --prepare-only --workers 1 --cluster local"
    assert len(run.calls()) == 4
    assert not list(tmp_path.rglob("pwned"))


def test_a_run_that_another_process_holds_is_left_alone(handed_over: HandOver) -> None:
    """Nothing is marked as refused: the job may be tried again when the other process has left."""
    holder = subprocess.Popen(["sleep", "100"])
    try:
        name = subprocess.run(["uname", "-n"], capture_output=True, text=True, check=True).stdout.strip()
        run = handed_over(plan=["interruptible"], most_submissions=2)
        job = run.running(1)
        (run.run / "lock.json").write_text(f'{{"host": "{name}", "pid": {holder.pid}, "heartbeat": {time.time()}}}')
        subprocess.run(["scancel", "--batch", "--signal=TERM", job], check=True, timeout=20)
        run.wait()
        assert len(run.calls()) == 1
        assert "lock.json is held by another process" in run.logs()
        assert not run.notes("refused")
    finally:
        holder.kill()
        holder.wait()


def test_a_lock_whose_holder_is_gone_is_no_obstacle(handed_over: HandOver) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    name = subprocess.run(["uname", "-n"], capture_output=True, text=True, check=True).stdout.strip()
    run = handed_over(plan=["interruptible"], most_submissions=2)
    job = run.running(1)
    (run.run / "lock.json").write_text(f'{{"host": "{name}", "pid": {gone.pid}, "heartbeat": {time.time()}}}')
    subprocess.run(["scancel", "--batch", "--signal=TERM", job], check=True, timeout=20)
    run.wait()
    assert (run.run / "run.json").exists()


def test_stand_in_is_called_as_matloop_is() -> None:
    """The options the scripts use exist, so that what holds for the stand-in holds for the command."""
    from typer.testing import CliRunner

    from matloop.workflows.cli import app

    told = {
        name: CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).stdout for name in ("screen", "resume")
    }
    assert all(option in told["screen"] for option in ("--output", "--prepare-only", "--workers", "--cluster"))
    assert all(option in told["resume"] for option in ("--share", "--prepare-only", "--workers", "--cluster"))
    assert "exit 4" in STAND_IN
