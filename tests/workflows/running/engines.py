"""Engines whose work is done in this process, and their workers' deaths with it."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.manifest import Manifest
from matloop.screening.ranking.criteria import MOST_PROBABLE, Criterion
from matloop.workflows.running.dispatch import Answered, Died
from matloop.workflows.running.engine import Engine, Job
from matloop.workflows.running.progress import SilentProgress
from matloop.workflows.running.stage import Stage


class Poison(Exception):
    """In place of the death of a worker, where work is done in this process."""


def inline(seed: int = 0) -> Callable[..., Iterator[Answered[Any]]]:
    """Work in this process; which of the open calls is answered next is left to chance."""

    def answers(
        client: object, function: Callable[..., Any], calls: Iterable[Any], *, in_flight: int, patience: float
    ) -> Iterator[Answered[Any]]:
        chance, waiting, open_calls = random.Random(seed), iter(calls), list[Any]()
        while True:
            while len(open_calls) < in_flight and (call := next(waiting, None)) is not None:
                open_calls.append(call)
            if not open_calls:
                return
            call = open_calls.pop(chance.randrange(len(open_calls)))
            try:
                answer = function(call)
            except Poison:
                answer = Died()
            yield Answered(call, answer)

    return answers


def engine_in(folder: Path, client: Any = None, **changes: Any) -> Engine:
    """An engine in a run directory that may be there already."""
    run = RunDirectory(folder) if folder.exists() else RunDirectory.create(folder, "unused")
    return Engine(client, run, Manifest(run.folder), SilentProgress(), **{"in_flight": 3, **changes})


def put_through(
    engine: Engine, jobs: Sequence[Job], keep: int, *, criterion: Criterion = MOST_PROBABLE
) -> CandidateBatch:
    """The candidates that go on from the first stage, whose jobs are given."""
    rows = sum(job.rows for job in jobs)
    return Stage("surrogates", "scoring", "scored", lambda *_: jobs, criterion, keep).run(engine, range(rows))
