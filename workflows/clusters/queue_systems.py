"""Syntax of the four batch queues: directives, dependencies, and the commands that submit, show and cancel jobs.

The table is literal, so that a site with habits of its own can be checked against it line by line. Slurm's column is
tested on a Slurm; those of PBS (OpenPBS), LSF and SGE (Grid Engine) follow their manuals and are tested as text only.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from matloop.data.errors import unknown_name

_ANSWER_SECONDS = 15


@dataclass(frozen=True)
class QueueSystem:
    """Syntax of one queue.

    Attributes:
        prefix: Start of a directive.
        directives: Option -> directive with ``{}`` for its value; rendered in this order, where a value is given.
        within_cores: Option -> what is added to the directive of the cores, where a queue takes all of them in one.
        array_log: As ``log`` in ``directives``, for an array.
        submit: Command line in bash: ``options`` holds a dependency, ``script`` the path.
        job_number: Expression in bash: the job id in what ``submit`` answers.
        dependencies: ``afterok``, ``afternotok`` and ``afterany`` -> option with ``{}`` for a job id.
        cancel: Command that ends a job.
        show: Command that tells of jobs, one line each; their ids are added with ``joiner`` between them.
        joiner: Between job ids.
        job: Variable with the job's own id.
        task: Variable with the number of an array task.
    """

    prefix: str
    directives: dict[str, str]
    within_cores: dict[str, str]
    array_log: str
    submit: str
    job_number: str
    dependencies: dict[str, str]
    cancel: str
    show: tuple[str, ...]
    joiner: str
    job: str
    task: str


QUEUE_SYSTEMS = {
    "slurm": QueueSystem(
        prefix="#SBATCH",
        directives={
            "name": "--job-name={}",
            "log": "--output={}-%j.log",
            "time": "--time={}",
            "nodes": "--nodes={}",
            "tasks": "--ntasks={}",
            "cores": "--cpus-per-task={}",
            "memory": "--mem={}",
            "gpus": "--gres=gpu:{}",
            "queue": "--partition={}",
            "account": "--account={}",
            "qos": "--qos={}",
            "array": "--array=1-{}",
            "notice": "--signal=B:TERM@{}",
            "always": "--no-requeue --kill-on-invalid-dep=yes",
        },
        within_cores={},
        array_log="--output={}-%A_%a.log",
        submit='sbatch --parsable "${options[@]}" "$script"',
        job_number='"${answer%%;*}"',
        dependencies={
            "afterok": "--dependency=afterok:{}",
            "afternotok": "--dependency=afternotok:{}",
            "afterany": "--dependency=afterany:{}",
        },
        cancel="scancel",
        show=("squeue", "--noheader", "--format=%i %T %r", "--jobs"),
        joiner=",",
        job="SLURM_JOB_ID",
        task="SLURM_ARRAY_TASK_ID",
    ),
    "pbs": QueueSystem(
        prefix="#PBS",
        directives={
            "name": "-N {:.15}",
            "log": "-j oe",
            "time": "-l walltime={}",
            "cores": "-l select=1:ncpus={}",
            "queue": "-q {}",
            "account": "-A {}",
            "array": "-J 1-{}",
            "always": "-r n",  # the notice before the end of the wall-time is the site's kill_delay
        },
        within_cores={"memory": ":mem={}b", "gpus": ":ngpus={}"},
        array_log="-j oe",
        submit='qsub "${options[@]}" "$script"',
        job_number='"$answer"',
        dependencies={
            "afterok": "-Wdepend=afterok:{}",
            "afternotok": "-Wdepend=afternotok:{}",
            "afterany": "-Wdepend=afterany:{}",
        },
        cancel="qdel",
        show=("qstat",),
        joiner=" ",
        job="PBS_JOBID",
        task="PBS_ARRAY_INDEX",
    ),
    "lsf": QueueSystem(
        prefix="#BSUB",
        directives={
            "name": "-J {}",
            "log": "-o {}-%J.log",
            "minutes": "-W {}",
            "cores": '-n {} -R "span[hosts=1]"',
            "memory": '-M {0}B -R "rusage[mem={0}B]"',
            "gpus": '-gpu "num={}"',
            "queue": "-q {}",
            "account": "-P {}",
            "array": "-J matloop[1-{}]",
            "notice_minutes": "-wt {} -wa TERM",
            "always": "-rn",
        },
        within_cores={},
        array_log="-o {}-%J_%I.log",
        submit='bsub "${options[@]}" <"$script"',
        job_number='"$(sed \'s/^[^<]*<\\([0-9]*\\)>.*/\\1/\' <<<"$answer")"',
        dependencies={"afterok": "-wdone({})", "afternotok": "-wexit({})", "afterany": "-wended({})"},
        cancel="bkill",
        show=("bjobs", "-noheader"),
        joiner=" ",
        job="LSB_JOBID",
        task="LSB_JOBINDEX",
    ),
    "sge": QueueSystem(
        prefix="#$",
        directives={
            "name": "-N {}",
            "log": "-j y -cwd -S /bin/bash",
            "time": "-l h_rt={}",
            "cores": "-pe smp {}",
            "memory": "-l mem_free={}",
            "gpus": "-l gpu={}",
            "queue": "-q {}",
            "account": "-P {}",
            "array": "-t 1-{}",
            "always": "-r n -notify",
        },
        within_cores={},
        array_log="-j y -cwd -S /bin/bash",
        submit='qsub -terse "${options[@]}" "$script"',
        job_number='"${answer%%.*}"',
        # There is only one kind; the scripts look for themselves at what the job before them left.
        dependencies={"afterok": "-hold_jid {}", "afternotok": "-hold_jid {}", "afterany": "-hold_jid {}"},
        cancel="qdel",
        show=("qstat", "-j"),
        joiner=",",
        job="JOB_ID",
        task="SGE_TASK_ID",
    ),
}


def queue_system(name: str) -> QueueSystem:
    """Return the syntax of a queue.

    Raises:
        UnknownNameError: For any other name.
    """
    if name not in QUEUE_SYSTEMS:
        raise unknown_name("batch queue", name, QUEUE_SYSTEMS)
    return QUEUE_SYSTEMS[name]


def states_of(name: str, jobs: Sequence[str]) -> str:
    """Return what the queue says about some jobs, in one line, or why it says nothing."""
    system = queue_system(name)
    if not jobs:
        return "no job was accepted"
    ids = [system.joiner.join(jobs)] if system.joiner != " " else list(jobs)
    try:
        answer = subprocess.run(
            [*system.show, *ids], capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"jobs {', '.join(jobs)}; the queue does not answer: {error}"
    lines = [" ".join(re.sub(r"[^\x20-\x7e]+", " ", line).split()) for line in answer.stdout.splitlines()]
    told = "; ".join(line for line in lines if line) or "they are not in the queue any more"
    return f"jobs {', '.join(jobs)}: {told}"[:600]
