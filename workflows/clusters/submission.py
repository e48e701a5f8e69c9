"""Submit a campaign to a batch queue; its scripts continue by themselves until the run is complete."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matloop.data.errors import RunError, UnitError
from matloop.data.plain_text import one_line, plain
from matloop.data.properties.durations import read_walltime, write_walltime
from matloop.data.whole_files import write_text
from matloop.screening.campaign.cluster_settings import WORD
from matloop.workflows.clusters.dask_settings import WORKER_SETTINGS
from matloop.workflows.clusters.job_queues import environment
from matloop.workflows.clusters.queue_systems import QueueSystem, queue_system
from matloop.workflows.clusters.submission_scripts import PREPARE, RUN, SHARE, STEPS, SUBMIT

FOLDER = "submission"
LONGEST_NOTICE = 120  # s
LOCK_SECONDS = 300
_RUN_NAME = r"[A-Za-z0-9._-]{1,80}"
_SUBMIT_SECONDS = 120
_MEMORY = r"[1-9][0-9]{0,6} ?(M|G|MB|GB)"
_MODULE = r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,99}"
_DIRECTIVE = r"-[^\x00-\x1f\x7f]{1,199}"


@dataclass(frozen=True)
class Submission:
    """A submission to a batch queue.

    Attributes:
        system: slurm, pbs, lsf or sge.
        campaign: A campaign file, or the name of a packaged one.
        run: The run directory to be; its parent is on a file system that all nodes share.
        workers: Worker processes.
        array: Tasks of a job array that share the first stage; None for a single allocation.
        nodes: Nodes of the allocation.
        time: Wall-time of each job, as Slurm writes it.
        memory: Memory of each job on a node, such as 16GB; None for what the queue gives.
        qos: Quality of service, under Slurm.
        gpus: GPUs of each job: a number, or under Slurm a kind and a number, such as a100:1.
        modules: Environment modules that each job loads before it calls matloop.
        directives: Further options of each job in the words of the queue, such as ``--constraint=milan``.
        allow: Modules of other packages that the campaign may call.
        partition: Queue or partition.
        account: Account or project.
        interface: Network interface between the nodes, where there are several.
        most_submissions: How many jobs in a row may work on the run.
        command: Command that calls matloop.
        lock_seconds: How long a job waits for another process to leave the run.
        store: Whether the jobs take surrogates from the user's store.

    Raises:
        RunError: If the values do not fit together, or could be misread in a script.
    """

    system: str
    campaign: str
    run: Path
    workers: int = 2
    array: int | None = None
    nodes: int = 1
    time: str = "2:00:00"
    memory: str | None = None
    qos: str | None = None
    gpus: str | None = None
    modules: tuple[str, ...] = ()
    directives: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    partition: str | None = None
    account: str | None = None
    interface: str | None = None
    most_submissions: int = 10
    command: tuple[str, ...] = (sys.executable, "-m", "matloop.workflows.cli")
    lock_seconds: int = LOCK_SECONDS
    store: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "run", Path(self.run))
        queue_system(self.system)
        if not re.fullmatch(_RUN_NAME, self.run.name) or self.run.name in (".", ".."):
            raise RunError(
                f"a run called {self.run.name[:90]!r}", "1 to 80 of A-Z a-z 0-9 . _ -", "choose another --output"
            )
        self._check_resources()
        for name in ("partition", "account", "interface", "qos"):
            value = getattr(self, name)
            if value is not None and not re.fullmatch(WORD, value):
                raise RunError(f"--{name} {value[:90]!r}", "letters, digits and . _ @ : + , - after a letter or digit")
        if self.array is not None and self.array < 2:
            raise RunError(f"--array {self.array}", "two tasks or more", "leave --array out for a single allocation")
        if self.nodes > 1 and (self.array is not None or self.system != "slurm" or self.interface is None):
            raise RunError(
                f"--nodes {self.nodes}", "several nodes under Slurm, without --array, with --interface NAME",
                "--array spreads a run over nodes without a network between them",
            )  # fmt: skip

    def _check_resources(self) -> None:
        """Refuse what a queue would not take, or take for something else."""
        try:
            seconds = self.seconds
        except UnitError:
            seconds = 0
        if seconds < 60:
            raise RunError(
                f"--time {self.time[:40]!r}", "at least a minute, written H:MM:SS, D-HH:MM:SS or in minutes",
                "such as --time 2:00:00, --time 1-00:00:00 or --time 90",
            )  # fmt: skip
        if self.memory is not None and not re.fullmatch(_MEMORY, self.memory):
            raise RunError(f"--memory {self.memory[:40]!r}", "a whole number of MB or GB", "such as --memory 16GB")
        if self.qos is not None and self.system != "slurm":
            raise RunError(f"--qos {self.qos[:90]!r} for {self.system}", "a QOS under Slurm", "use --directive")
        kind = "" if self.system != "slurm" else r"([A-Za-z][A-Za-z0-9._-]{0,39}:)?"
        if self.gpus is not None and not re.fullmatch(rf"{kind}[1-9][0-9]?", self.gpus):
            raise RunError(
                f"--gpus {self.gpus[:90]!r}", "their number, under Slurm after their kind", "such as --gpus 1"
            )
        for name in self.modules:
            if not re.fullmatch(_MODULE, name):
                raise RunError(f"--module {name[:90]!r}", "letters, digits and . _ + / -", "such as --module gcc/13.2")
        for line in self.directives:
            if not re.fullmatch(_DIRECTIVE, line):
                raise RunError(f"--directive {line[:90]!r}", "one line in the words of the queue that begins with -")

    @property
    def seconds(self) -> int:
        """Wall-time in seconds."""
        return read_walltime(self.time)

    @property
    def folder(self) -> Path:
        """Where the scripts, the job ids and the logs are."""
        return self.run.resolve() / FOLDER


def scripts_of(submission: Submission) -> dict[str, str]:
    """The scripts by file name, in the order they are used."""
    steps = f". {_quoted(str(submission.folder / 'steps.sh'))}\n"
    job_steps = steps + (f"load_modules {shlex.join(submission.modules)}\n" if submission.modules else "")
    start = "#!/usr/bin/env bash\n"
    found = {"steps.sh": _steps(submission), "submit.sh": start + steps + SUBMIT}
    if submission.array is not None:
        found["prepare.sh"] = _job(submission, "prepare", submission.workers) + job_steps + PREPARE
        found["share.sh"] = _job(submission, "share", 1, array=submission.array) + job_steps + SHARE
    found["run.sh"] = _job(submission, "run", submission.workers) + job_steps + RUN
    return found


def submit(submission: Submission) -> list[str]:
    """Write the scripts into the run directory and submit the first of them; returns steps with their job ids.

    Raises:
        RunError: If the run exists, or the queue refuses a job.
    """
    run, folder = submission.run, submission.folder
    try:
        if run.exists() and any(run.iterdir()):
            raise RunError(
                f"{run} is not empty", "a new or empty folder", "choose another --output, or: matloop resume RUN"
            )
        (folder / "logs").mkdir(parents=True)
        for name, text in scripts_of(submission).items():
            write_text(folder / name, text)
    except OSError as error:
        raise RunError(f"cannot create {folder}: {error.strerror}", "a folder you may write to") from error
    try:
        done = subprocess.run(
            ["bash", str(folder / "submit.sh")], capture_output=True, text=True, timeout=_SUBMIT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RunError(f"the queue does not answer: {error}", "", f"bash {folder / 'submit.sh'}") from error
    if done.returncode:
        reason = "; ".join(filter(None, map(str.strip, done.stderr.splitlines())))
        raise RunError(
            f"{submission.system} refused a job: {reason}",
            "",
            f"mend the scripts in {folder}, then: bash submit.sh there",
        )
    return (folder / "jobs.txt").read_text(encoding="utf-8").splitlines()


def _job(submission: Submission, step: str, cores: int, *, array: int | None = None) -> str:
    """The first lines of a batch script."""
    system, several = queue_system(submission.system), submission.nodes > 1
    notice = min(LONGEST_NOTICE, submission.seconds // 5)
    values = {
        "name": f"matloop-{submission.run.name}",
        "log": step,  # relative: jobs are submitted from the folder of the logs
        "time": write_walltime(submission.seconds),
        "memory": None if submission.memory is None else re.sub(r"[ B]", "", submission.memory),
        "qos": submission.qos,
        "gpus": submission.gpus,
        "minutes": f"{-(-submission.seconds // 60)}",
        "nodes": submission.nodes,
        "tasks": submission.workers if several else 1,
        "cores": 1 if several else cores,
        "queue": submission.partition,
        "account": submission.account,
        "array": array,
        "notice": notice,
        "notice_minutes": -(-notice // 60),
        "always": "",
    }
    spelled = {**system.directives, **({"log": system.array_log} if array else {})}
    added = [text.format(values[option]) for option, text in system.within_cores.items() if values[option] is not None]
    spelled["cores"] += "".join(added).lower()
    given = [(template, values[option]) for option, template in spelled.items() if values[option] is not None]
    lines = [f"{system.prefix} {template.format(value)}\n" for template, value in given]
    lines += [f"{system.prefix} {line}\n" for line in submission.directives]
    return "#!/usr/bin/env bash\n" + "".join(lines) + "\n"


def _steps(submission: Submission) -> str:
    """Write the shared part of the scripts: values of this submission, commands of the queue, and functions."""
    system = queue_system(submission.system)
    values = {
        "run": submission.run.resolve(),
        "notes": submission.folder,
        "folder": Path.cwd(),
        "campaign": submission.campaign,
        "python": sys.executable,
        "workers": submission.workers,
        "shares": submission.array or "",
        "nodes": submission.nodes,
        "interface": submission.interface or "",
        "most": submission.most_submissions,
        "lock_seconds": submission.lock_seconds,
    }
    lines = ["# Written by matloop submit; used by the scripts beside it."]
    lines += [f"{name}={_quoted(str(value))}" for name, value in values.items()]
    lines.append(f"allowed=({shlex.join(word for name in submission.allow for word in ('--allow', name))})")
    lines += [f"matloop=({shlex.join(submission.command)})", f"job=${{{system.job}-}}", f"task=${{{system.task}-}}", ""]
    lines += [f"store=({'' if submission.store else '--no-store'})"]
    lines += _queue_functions(system)
    if submission.nodes > 1:
        lines += _exports(environment(WORKER_SETTINGS))
    return "\n".join(lines) + STEPS


def _quoted(text: str) -> str:
    r"""A text as bash reads it; characters that cannot be seen are written as the numbers of their bytes.

    >>> _quoted("a b"), _quoted("a\u202eb")
    ("'a b'", "$'a\\342\\200\\256b'")
    """
    if one_line(text) == text:
        return shlex.quote(text)
    numbers = ("".join(f"\\{byte:03o}" for byte in os.fsencode(one)) for one in text)
    seen = ((one.isalnum() and plain(one) == one) or one in "/._- " for one in text)
    shown = (one if plainly else number for one, plainly, number in zip(text, seen, numbers, strict=True))
    return f"$'{''.join(shown)}'"


def _queue_functions(system: QueueSystem) -> list[str]:
    """Functions in bash that submit, take the job id from the answer, depend and cancel."""
    cases = []
    for name, template in system.dependencies.items():
        words = " ".join(f'"{word}"' for word in template.format("$2").split())
        cases.append(f"        {name}) options=({words}) ;;")
    return [
        "submit_script() {", f"    {system.submit}", "}", "",
        "job_number() {", f"    echo {system.job_number}", "}", "",
        "depend() {", '    case "$1" in', *cases, "    esac", "}", "",
        "cancel() {", f'    {system.cancel} "$1"', "}",
    ]  # fmt: skip


def _exports(variables: Mapping[str, str]) -> list[str]:
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
