"""Crash walk: a small run is killed (SIGKILL) before, in and after every call that changes a file, and resumed.

Every file of the result must be that of the unbroken run, byte for byte, nothing that was finished may be done again,
and no draft or lock may be left. Two campaigns are walked: candidates from a table and a generator, with training
labels of their own; and crystals that are relaxed with a potential, against reference phases that are evaluated. At
calls of a worker the whole run is killed, and, a second time, the worker alone: then the run goes on by itself.

The runs are forked from a process that has everything loaded and has trained and relaxed the same before, and they work
on one thing at a time, so that the n-th call is always the same one.

``python benchmarks/workflows/crash_walk.py``, ``python benchmarks/workflows/crash_walk.py --points 25``
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["MATLOOP_STORE_LIMIT"] = "0"  # every run trains its surrogates
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "models" / "potentials"))

import cloudpickle  # noqa: E402  # after the thread limits
import numpy as np  # noqa: E402
from distributed import KilledWorker  # noqa: E402
from file_calls import WORKER, Call, FileCalls, Point, replaced  # noqa: E402
from pair_potential import PairPotential  # noqa: E402

from matloop.data.candidates.batch import CandidateBatch  # noqa: E402
from matloop.data.errors import MatloopError, RunError  # noqa: E402
from matloop.data.feature_matrix import FeatureMatrix  # noqa: E402
from matloop.data.training.packaged_tables import packaged_training_set  # noqa: E402
from matloop.data.training.training_set import TrainingSet  # noqa: E402
from matloop.data.training.training_sets import TrainingSets  # noqa: E402
from matloop.models.potentials import chgnet  # noqa: E402
from matloop.models.potentials.relaxation import relax  # noqa: E402
from matloop.models.surrogates.surrogate import Surrogate  # noqa: E402
from matloop.screening.campaign.campaign import Campaign  # noqa: E402
from matloop.screening.report import page  # noqa: E402
from matloop.workflows import decision  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402
from matloop.workflows.resume import resume  # noqa: E402
from matloop.workflows.running import plug_ins, session  # noqa: E402
from matloop.workflows.running.progress import FileProgress  # noqa: E402
from matloop.workflows.screen import screen  # noqa: E402
from matloop.workflows.stages import potential as potential_stage  # noqa: E402
from matloop.workflows.stages import scoring  # noqa: E402

OF_THE_WORK = ("run.json", "report.html", "progress.json", "manifest.jsonl")
"""What tells how a run was worked on: when, how long and in how many sessions."""

INDEX: dict[str, Any] = {
    "property": "refractive_index", "goal": "at_least", "value": 1.6, "unit": "1", "provenance": "exp",
}  # fmt: skip
FORMULAS = ("ZnO", "GaN", "BaTiO3", "Xx2", "ZnO", "AlN", "MgO", "PbTiO3", "", "CdTe", "SiO2", "KNbO3")
SCREENED: dict[str, Any] = {
    "name": "screened",
    "sources": [
        {"table": {"path": "formulas.csv"}}, {"ionic_substitution": {"limit": 24, "min_probability": 1e-2}},
    ],
    "filters": ["new_compounds"],
    "targets": [INDEX],
    "surrogates": {"features": ["stoichiometry"], "keep": 12},
    "shortlist": {"size": 3, "diversity": 0.5, "explore": True},
}  # fmt: skip
RELAXED: dict[str, Any] = {
    **SCREENED,
    "name": "relaxed",
    "sources": [{"ionic_substitution": {"limit": 24, "min_probability": 1e-2, "max_sites": 6}}],
    "structure": {"features": ["stoichiometry", "density"], "keep": 8},
    "potential": {
        "steps": 3, "largest_force": 0.5, "competitors": 2,
        "references": [{"ionic_substitution": {"limit": 3, "min_probability": 1e-2, "max_sites": 6}}],
    },
    "shortlist": {"size": 2, "explore": True},
}  # fmt: skip


def own_labels() -> TrainingSet:
    """Labels of this benchmark's own for some of the packaged crystals."""
    packaged = packaged_training_set(INDEX["property"])
    rows = packaged.rows.take(np.arange(0, len(packaged), 12))
    values = 1.4 + np.array([len(formula) for formula in rows.formulas]) / 10
    return TrainingSet.of_rows(
        rows, values, property_name=INDEX["property"], name="own labels", provenance="exp", licence="CC0",
        citation="none",
    )  # fmt: skip


class Morse(PairPotential):
    """A cheap potential under the name of the packaged one, whose reference energies are there already."""

    name = chgnet.CHGNetPotential.name
    version = chgnet.CHGNetPotential.version
    weights_sha256 = chgnet.CHGNetPotential.weights_sha256


@contextlib.contextmanager
def made_cheap() -> Iterator[None]:
    """What takes long and writes nothing is done once: learning, relaxing, looking for plug-ins.

    Crystals are relaxed without the guard, whose processes do not touch the run.
    """
    fitted, learnt = Surrogate.fit, dict[str, Surrogate]()
    relaxations: dict[tuple[str, ...], CandidateBatch] = {}

    def fit(name: str, features: FeatureMatrix, *arguments: Any, **options: Any) -> Surrogate:
        key = f"{name} by {', '.join(features.names)}"
        if key not in learnt:
            learnt[key] = fitted(name, features, *arguments, **options)
        return learnt[key]

    def relaxed(name: str, batch: CandidateBatch, settings: Any) -> CandidateBatch:
        key = tuple(batch.ids)
        if key not in relaxations:
            relaxations[key] = relax(batch, Morse(), limits=settings.limits)
        return relaxations[key]

    known_rows, known = decision.known_rows, dict[str, Any]()

    def predicted(task: scoring.ScoringTask, training: TrainingSets) -> Any:
        if task.campaign.name not in known:
            known[task.campaign.name] = known_rows(task, training)
        return known[task.campaign.name]

    attributes: list[tuple[Any, str, Any]] = [
        (scoring.Surrogate, "fit", fit),
        (potential_stage, "relax_guarded", relaxed),
        (decision, "known_rows", predicted),
        (page, "page_template", functools.cache(page.page_template)),
        (chgnet, "CHGNetPotential", Morse),
        (plug_ins, "entry_points", functools.cache(plug_ins.entry_points)),
        (FileProgress.__init__, "__kwdefaults__", {"interval": 1e9}),  # the number of calls does not hang on the time
        (session, "workers_of", lambda *_, **__: contextlib.nullcontext(OneWorker())),
    ]
    with replaced(attributes):
        yield


class OneWorker:
    """In place of a Dask client: a forked process, which the driver waits for at each call; a dead one is replaced.

    Attributes:
        forks: Whether there is a process; otherwise the driver does the work.
        calls: Told that a process is a worker.
    """

    status = "running"
    forks = True
    calls: FileCalls | None = None

    def __init__(self) -> None:
        self._pipe: Any = None

    def submit(self, function: Callable[[Any], Any], call: Any, *, pure: bool) -> Answer:
        """The answer, which is there already."""
        if not self.forks:
            return Answer(function(call))
        if self._pipe is None:
            self._start()
        try:
            self._pipe.send_bytes(cloudpickle.dumps((function, call)))
            value, error = cloudpickle.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            self._pipe.close()
            self._pipe = None
            return Answer(None, KilledWorker("a call", None, 0))
        return Answer(value, error)

    def _start(self) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        if os.fork():
            theirs.close()
            return
        self._pipe.close()
        if self.calls is not None:
            self.calls.role = WORKER
        with contextlib.suppress(EOFError, OSError):
            while True:
                function, call = cloudpickle.loads(theirs.recv_bytes())
                theirs.send_bytes(cloudpickle.dumps(_outcome(function, call)))
        os._exit(0)

    def nthreads(self) -> dict[str, int]:
        """One thread of one worker."""
        return {"worker": 1}

    def cancel(self, *_: object, **__: object) -> None:
        """Nothing is ever open."""


def _outcome(function: Callable[[Any], Any], call: Any) -> tuple[Any, Exception | None]:
    try:
        return function(call), None
    except (MatloopError, ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        return None, error


@dataclass
class Answer:
    """In place of a future.

    Attributes:
        value: What the function returned.
        error: What it raised.
    """

    value: Any
    error: BaseException | None = None

    @property
    def key(self) -> str:
        """Unlike that of any other that is there."""
        return str(id(self))

    def add_done_callback(self, told: Callable[[Answer], None]) -> None:
        """It is done."""
        told(self)

    def result(self) -> Any:
        """What the function returned."""
        if self.error is not None:
            raise self.error
        return self.value


@dataclass
class Subject:
    """A campaign that is run again and again in one folder.

    Attributes:
        campaign: The campaign.
        labels: What it learns from.
        place: Folder of the run, of the user's store and of the records.
    """

    campaign: Campaign
    labels: TrainingSet
    place: Path
    expected: dict[str, bytes] = field(default_factory=dict)
    outcomes: Any = None

    @property
    def run(self) -> Path:
        """Its run directory."""
        return self.place / "run"

    @property
    def store(self) -> Path:
        """The user's store of reference energies."""
        return self.place / "store"

    def clear(self) -> None:
        """Forget the last run."""
        for folder in (self.run, self.store):
            shutil.rmtree(folder, ignore_errors=True)
        (self.place / "calls").unlink(missing_ok=True)
        self.store.mkdir()

    def screen(self) -> None:
        """Run from the start."""
        screen(self.campaign, output=self.run, workers=1, partition_rows=12, training_sets=[self.labels])

    def resume(self) -> None:
        """Go on as the message of the refusal says: a run that was cut off before it began is started anew."""
        try:
            resume(self.run, workers=1)
        except RunError as error:
            if "no run in" not in str(error):
                raise
            self.screen()

    def recorded(self) -> list[Call]:
        """The calls of a run that nothing happens to; its files are what all others must come to."""
        self.clear()
        calls = FileCalls((self.run, self.store), self.place / "calls")
        status = forked(self.screen, calls)
        if status != "ended":
            raise SystemExit(f"the unbroken run {status}")
        self.expected, self.outcomes = files_of(self.run), outcomes_of(self.run)
        return calls.calls()

    def walked(self, point: Point) -> list[str]:
        """What is wrong after a kill at a point; empty if nothing is."""
        self.clear()
        status = forked(self.screen, FileCalls((self.run, self.store), self.place / "calls", point))
        if point.whole:
            if status != "killed":
                return [f"was not killed: {status}"]
            done = finished_files(self.run)
            status = forked(self.resume, None)
        else:
            done = {}
        if status != "ended":
            return [f"did not go on: {status}"]
        redone = [name for name, state in done.items() if state_of(self.run / name) != state]
        return [*(f"done again: {name}" for name in redone), *self._differences()]

    def _differences(self) -> list[str]:
        found = files_of(self.run)
        same = [name for name in found.keys() & self.expected if name not in OF_THE_WORK]
        differing = sorted(name for name in same if found[name] != self.expected[name])
        return [
            *(f"left over: {name}" for name in sorted(found.keys() - self.expected)),
            *(f"missing: {name}" for name in sorted(self.expected.keys() - found)),
            *(f"differs: {name}" for name in differing),
            *([] if outcomes_of(self.run) == self.outcomes else ["counts of fates differ"]),
        ]


def forked(work: Callable[[], None], calls: FileCalls | None) -> str:
    """Do something in a process with a group of its own: ``ended``, ``killed``, or what went wrong."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = os.fork()
    if not process:
        os.setsid()
        receiver.close()
        said = "ended"
        try:
            OneWorker.calls = calls
            with calls.watched() if calls else contextlib.nullcontext():
                work()
        finally:  # nothing of the process that was forked is undone here
            error = sys.exc_info()[1]
            if error is not None:
                coded = isinstance(error, MatloopError)
                said = repr(error) + ("" if coded else "".join(traceback.format_exception(error)[-3:]))
            sender.send(said)
            os._exit(0)
    sender.close()
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        return "killed" if os.WTERMSIG(status) == signal.SIGKILL else f"signal {os.WTERMSIG(status)}"
    return str(receiver.recv())


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its path."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def outcomes_of(run: Path) -> Any:
    """How many rows came in and how they ended."""
    summary = run / "run.json"
    content = json.loads(summary.read_text("utf-8")) if summary.is_file() else {}
    return {name: content.get(name) for name in ("rows_in", "outcomes", "funnel", "ranges")}


def finished_files(run: Path) -> dict[str, Any]:
    """By name of the files of parts that are finished, what changes when one is written again.

    The identity is named before it is there, and the results are written again from the parts.
    """
    path = run / "manifest.jsonl"
    lines = map(json.loads, path.read_bytes().split(b"\n")[:-1] if path.is_file() else [])
    parts = (line for line in lines if line["kind"] not in ("began", "results"))
    return {name: state_of(run / name) for line in parts for name in line.get("files", ())}


def state_of(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written again."""
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.is_file() else None


def points_of(calls: Sequence[Call]) -> list[tuple[Call, Point]]:
    """Every moment of every call; at those of workers once with the whole run and once with the worker alone."""
    return [
        (call, Point(number, moment, whole))
        for number, call in enumerate(calls, 1)
        for moment in call.moments
        for whole in ((True, False) if call.role == WORKER else (True,))
    ]


def sampled(points: list[tuple[Call, Point]], count: int) -> list[tuple[Call, Point]]:
    """Some of the points, the same ones every time: one of each kind of call, and others at equal distances."""
    by_kind: dict[tuple[str, str], list[int]] = {}
    for at, (call, _) in enumerate(points):
        by_kind.setdefault((call.kind, call.role), []).append(at)
    first = [found[(7 * number) % len(found)] for number, found in enumerate(by_kind.values())]
    rest = [at for at in range(0, len(points), max(1, len(points) // count)) if at not in first]
    return [points[at] for at in sorted([*first, *rest][: max(count, len(first))])]


def subjects(place: Path) -> Iterator[Subject]:
    """The campaigns, each run once in this process, which knows everything afterwards."""
    labels = own_labels()
    for settings in (SCREENED, RELAXED):
        folder = place / settings["name"]
        folder.mkdir(parents=True)
        os.chdir(folder)
        rows = "".join(f"{number},{formula}\n" for number, formula in enumerate(FORMULAS))
        (folder / "formulas.csv").write_text(f"id,formula\n{rows}", "utf-8")
        subject = Subject(Campaign.model_validate(settings), labels, folder)
        os.environ["MATLOOP_CACHE"] = str(subject.store)
        subject.clear()
        OneWorker.forks = False
        subject.screen()
        OneWorker.forks = True
        gc.freeze()  # what is there is shared with the forked processes
        yield subject


def walk(subject: Subject, count: int | None, *, log: Path | None) -> Counter[str]:
    """Walk one campaign; how many points there are, and how they came out."""
    calls = subject.recorded()
    if [call[:2] for call in subject.recorded()] != [call[:2] for call in calls]:
        raise SystemExit("two unbroken runs made different calls")
    seen = {call.path for call in calls}  # surrogates get their name with their folder
    unseen = {
        name for name in subject.expected if not seen & {name, *(path.as_posix() for path in PurePath(name).parents)}
    }
    points = points_of(calls)
    tally: Counter[str] = Counter(calls=len(calls), points=len(points), unseen=len(unseen))
    if unseen:
        print(f"  files that no call was seen to write: {', '.join(sorted(unseen))}", flush=True)
    chosen = points if count is None else sampled(points, count)
    for done, (call, point) in enumerate(chosen):
        if done and not done % 100:
            print(f"  {done} of {len(chosen)} points", file=sys.stderr, flush=True)
        wrong = subject.walked(point)
        tally["killed"] += not wrong or not wrong[0].startswith("was not killed")
        tally["same" if not wrong else "differing"] += 1
        if wrong:
            shown = f"{point.moment} {call.role}'s call {point.number}, {call.kind} {call.path}"
            shown += "" if point.whole else " (the worker alone)"
            print(f"  {shown}: {'; '.join(wrong)[:600]}", flush=True)
            if log is not None:
                with log.open("a", encoding="utf-8") as file:
                    file.write(f"{shown}\t{'; '.join(wrong)}\n")
    return tally


def main() -> int:
    """Print how many points there are and how many came out the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, help="points of each campaign; by default all")
    parser.add_argument("--only", choices=(SCREENED["name"], RELAXED["name"]), help="one campaign alone")
    parser.add_argument("--log", type=Path, help="file to which points that differ are appended")
    chosen = parser.parse_args()
    log = chosen.log and chosen.log.resolve()
    print(describe())
    wrong = 0
    memory = Path("/dev/shm")  # a flush to the disk costs nothing there
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as name, made_cheap():
        for subject in subjects(Path(name).resolve()):
            if chosen.only not in (None, subject.campaign.name):
                continue
            start = time.perf_counter()
            tally = walk(subject, chosen.points, log=log)
            walked = tally["same"] + tally["differing"]
            print(
                f"{subject.campaign.name}: {tally['calls']} calls, {tally['points']} points, {walked} walked; killed "
                f"{tally['killed']}; resumed to the same bytes {tally['same']}; differing {tally['differing']} "
                f"(target: 0); {time.perf_counter() - start:.0f} s",
                flush=True,
            )
            wrong += tally["differing"] + tally["unseen"]
        os.chdir("/")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
