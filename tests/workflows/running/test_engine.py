"""Partitions are finished once each, in any order; rows that end their worker are found and only they are lost."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from matloop.data.candidates.batch import CandidateBatch, Intake, Refused
from matloop.data.errors import LockLostError, RunError
from matloop.data.runs.intake_files import write_intake
from matloop.data.runs.manifest import Manifest, key_of
from matloop.data.whole_files import writing_under
from matloop.workflows.clusters.workers import local_workers
from matloop.workflows.running import engine as module
from matloop.workflows.running.engine import Engine, Job
from matloop.workflows.stages.fates import QUARANTINED, REJECTED, SCORED, Ending
from matloop.workflows.stages.scoring import ScoringTask, lost_partition
from tests.strategies import batch_of
from tests.workflows.conftest import campaign, files_of
from tests.workflows.running.engines import Poison, engine_in, inline, put_through

LOST = (QUARANTINED, "features", "E-GUARD-CRASH")
METALS = "Li Na K Rb Cs Be Mg Ca Sr Ba Al Ga In Sc Y La Ti Zr Hf V Nb Ta Cr Mo W Mn Fe Co Ni Cu Ag Zn".split()
ANIONS = "O S Se Te F Cl Br I N P".split()
FORMULAS = batch_of(*(f"{metal}{anion}{n}" for n in (1, 2) for anion in ANIONS for metal in METALS)).formulas


def scoring(
    die: Callable[[], None], poison: Iterable[str] = (), log: Path | None = None, *, keep: int = 25
) -> Callable[[Intake], Any]:
    """A stage that takes its probability from the id of a candidate.

    Args:
        die: Called for a row that is poison.
        poison: Formulas.
        log: Folder where each call leaves a file with the formulas it had.
        keep: Most candidates that go on.
    """
    poisonous = frozenset(poison)

    def score(intake: Intake) -> Any:
        import uuid

        import numpy as np

        from matloop.data.candidates.reasons import Reason
        from matloop.screening.ranking.criteria import MOST_PROBABLE
        from matloop.workflows.stages.fates import Fates
        from matloop.workflows.stages.scoring import StageTables, best_rows

        batch = intake.batch
        if log is not None:
            (log / uuid.uuid4().hex).write_text("\n".join(batch.formulas))
        for formula in batch.formulas:
            if formula in poisonous:
                die()
        fates, rows = Fates(len(batch), "surrogates"), np.arange(len(batch))
        # Few different values, so that many candidates are equally probable.
        probability = np.array([int(name[-2:], 16) % 32 / 32 for name in batch.ids])
        fates.end(rows[probability < 0.25], "rejected", "filter low", Reason("R-TOO-LOW"))
        columns = {
            "probability": probability, "ranking_score": probability, "capped_targets": np.full(len(batch), ""),
            "in_domain": probability >= 0,
        }  # fmt: skip
        best = best_rows(batch, rows, columns, fates, criterion=MOST_PROBABLE, keep=keep)
        return StageTables(fates.table(batch, rows, columns, intake.refused), best)

    return score


def dying() -> Callable[[], None]:
    """Ends its process, in a function that travels."""

    def die() -> None:
        import os

        os._exit(9)

    return die


def fail() -> None:
    raise Poison


@pytest.fixture
def here() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "answers", inline())
        yield


def candidates(*formulas: str) -> CandidateBatch:
    return batch_of(*formulas).with_columns(origin=list(formulas))


def jobs(
    work: Callable[[Intake], Any], batch: CandidateBatch, sizes: Iterable[int], refused: Iterable[Refused] = ()
) -> list[Job]:
    """One job for each size, one after the other; the last one has the refused rows."""
    made, start = [], 0
    lost = partial(lost_partition, ScoringTask(campaign(), Path(), {}))
    sizes = list(sizes)
    for index, size in enumerate(sizes):
        part = batch.take(np.arange(start, start + size))
        given_rows = Intake(part, list(refused) if index == len(sizes) - 1 else [])
        rows = len(part) + len(given_rows.refused)
        made.append(Job("surrogates", index, key_of(ids=part.ids), work, lost, given_rows, rows))
        start += size
    assert start == len(batch)
    return made


def told(engine: Engine) -> dict[str, tuple[str, str, str]]:
    """Outcome, stage and code by formula, from the files of all partitions and of the merges."""
    found: dict[str, tuple[str, str, str]] = {}
    for folder in (engine.run.partitions, engine.run.fates):
        tables = [pq.read_table(path) for path in files_of(folder)]
        if not tables:
            continue
        table = pa.concat_tables(tables, promote_options="permissive")
        columns = [table[name].to_pylist() for name in ("formula", "outcome", "stage", "code")]
        assert len(set(columns[0])) == table.num_rows
        for formula, *fate in zip(*columns, strict=True):
            assert found.get(formula, (SCORED,))[0] == SCORED
            found[formula] = (fate[0], fate[1], fate[2])
    return found


def events(engine: Engine) -> Counter[str]:
    return Counter(line["what"] for line in engine.manifest.of_kind("event"))


def log_in(folder: Path) -> Path:
    (folder / "log").mkdir()
    return folder / "log"


def clean_run(
    folder: Path, batch: CandidateBatch, refused: Iterable[Refused] = (), *, keep: int = 25
) -> tuple[dict[str, Any], Any]:
    """What becomes of candidates none of which is poison, and the best of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "answers", inline())
        patch.setattr("os.fsync", lambda _: None)
        engine = engine_in(folder)
        best = put_through(engine, jobs(scoring(fail, keep=keep), batch, [len(batch)], refused), keep)
        return told(engine), best.to_arrow()


@pytest.fixture(scope="module")
def mortals() -> Iterator[Client]:
    """Two workers that tests end as they like."""
    with local_workers(2) as client:
        yield client


def test_r2_only_the_row_that_ends_its_worker_is_quarantined(mortals: Client, tmp_path: Path) -> None:
    batch, culprit = candidates(*FORMULAS[:96]), FORMULAS[49]
    clean, _ = clean_run(tmp_path / "clean", batch, keep=96)
    engine = engine_in(tmp_path / "run", mortals, in_flight=4)
    work = scoring(dying(), [culprit], keep=96)
    best = put_through(engine, jobs(work, batch, [40, 16, 40]), 96)
    assert told(engine) == {**clean, culprit: LOST}
    assert sum(engine.counts.values()) == 96 - len(best)
    assert engine.counts[Ending("features", QUARANTINED, "E-GUARD-CRASH")] == 1
    assert set(best.formulas) <= {formula for formula, (outcome, *_) in clean.items() if outcome == SCORED} - {culprit}
    assert sorted(engine.manifest.partitions("surrogates")) == [0, 1, 2]
    assert all(map(engine.manifest.is_sound, engine.manifest.of_kind("partition")))
    assert events(engine)["candidate quarantined"] == 1
    (line,) = [line for line in engine.manifest.of_kind("event") if line["what"] == "candidate quarantined"]
    assert batch.ids[49] in line["detail"]
    assert events(engine)["partition split"] <= 4  # of 16 rows one is found in 4 steps


def test_r2_a_partition_whose_worker_dies_once_is_simply_done_again(mortals: Client, tmp_path: Path) -> None:
    """A worker may be killed for want of memory, or by its node; no candidate is to blame."""
    mark = str(tmp_path / "mark")

    def once() -> None:
        import os

        if not os.path.exists(mark):
            with open(mark, "w"):
                os._exit(9)

    batch = candidates(*FORMULAS[:30])
    clean, best = clean_run(tmp_path / "clean", batch)
    engine = engine_in(tmp_path / "run", mortals)
    ranked = put_through(engine, jobs(scoring(once, [FORMULAS[17]]), batch, [10, 10, 10]), 25)
    assert told(engine) == clean
    assert ranked.to_arrow().equals(best)
    assert set(events(engine)) == {"worker died"}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("deaths", "lost"), [(2, False), (3, True)])
def test_r2_a_row_alone_has_a_second_chance(deaths: int, lost: bool, tmp_path: Path) -> None:
    """A worker may be killed just when it has a single row: one death more must not cost the row."""
    left = iter(range(deaths))

    def die() -> None:
        if next(left, None) is not None:
            raise Poison

    batch = candidates(FORMULAS[0])
    engine = engine_in(tmp_path / "run")
    put_through(engine, jobs(scoring(die, [FORMULAS[0]]), batch, [1]), 25)
    assert (told(engine)[FORMULAS[0]] == LOST) is lost
    assert events(engine)["candidate quarantined"] == lost


def test_r4_a_row_that_asks_for_too_much_memory_is_quarantined(mortals: Client, tmp_path: Path) -> None:
    def eat() -> None:
        bytes(10**15)

    batch, culprit = candidates(*FORMULAS[:12]), FORMULAS[5]
    clean, _ = clean_run(tmp_path / "clean", batch)
    engine = engine_in(tmp_path / "run", mortals)
    mortals.wait_for_workers(2)  # the test before may have ended one, and it takes a moment to come back
    pids = set(mortals.run(lambda: __import__("os").getpid()).values())
    put_through(engine, jobs(scoring(eat, [culprit]), batch, [12]), 25)
    assert told(engine) == {**clean, culprit: LOST}
    assert pids == set(mortals.run(lambda: __import__("os").getpid()).values())  # no worker had to end for it


@settings(max_examples=25)
@given(data=st.data(), count=st.integers(1, 40), seed=st.integers(0, 100))
def test_r2_r18_any_poison_any_partitions_any_order(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, count: int, seed: int
) -> None:
    """Exactly the poison is lost, and the rest is what it is in one partition without it."""
    folder = tmp_path_factory.mktemp("any")
    formulas = FORMULAS[:count]
    poison = set(data.draw(st.lists(st.sampled_from(formulas), max_size=4)))
    cuts = sorted(data.draw(st.sets(st.integers(1, count - 1), max_size=5))) if count > 1 else []
    sizes = np.diff([0, *cuts, count]).tolist()
    refused = [Refused(0, "r1", "?", "E-FORMULA-SYNTAX")] * data.draw(st.integers(0, 1))
    batch = candidates(*formulas)
    order = np.random.default_rng(seed).permutation(count)
    without = batch.take([row for row, formula in enumerate(formulas) if formula not in poison])
    clean, best = clean_run(folder / "without", without, refused)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "answers", inline(seed))
        patch.setattr("os.fsync", lambda _: None)
        engine = engine_in(folder / "run")
        ranked = put_through(engine, jobs(scoring(fail, poison), batch.take(order), sizes, refused), 25)
    assert told(engine) == clean | dict.fromkeys(poison, LOST)
    assert ranked.to_arrow().equals(best)
    assert sum(engine.counts.values()) == count + len(refused) - len(ranked)
    ends = Counter(fate for fate in told(engine).values() if fate[0] != SCORED)
    assert Counter({(e.outcome, e.stage, e.code): n for e, n in engine.counts.items()}) == ends


def test_what_is_finished_is_not_done_again(here: None, tmp_path: Path) -> None:
    log, batch = log_in(tmp_path), candidates(*FORMULAS[:40])
    made = jobs(scoring(fail, log=log), batch, [10, 10, 10, 10], [Refused(0, "r1", "?", "E-FORMULA-SYNTAX")])
    first = engine_in(tmp_path / "run")
    first.finish("s", 20, made[:2])
    assert len(files_of(log)) == 2
    second = engine_in(tmp_path / "run")
    best = put_through(second, made, 25)
    assert len(files_of(log)) == 4
    assert sum(second.counts.values()) == 41 - len(best)
    third = engine_in(tmp_path / "run")
    assert put_through(third, made, 25).to_arrow().equals(best.to_arrow())
    assert len(files_of(log)) == 4
    assert third.counts == second.counts
    assert len(third.manifest.of_kind("partition")) == 4


@pytest.mark.parametrize("deaths", [1, 2])
def test_rows_that_decide_about_each_other_are_never_worked_on_apart(deaths: int, here: None, tmp_path: Path) -> None:
    left, log = iter(range(deaths + 1)), tmp_path / "log"
    log.mkdir()

    def die() -> None:
        if next(left, None) is not None:
            raise Poison

    (job,) = jobs(scoring(die, [FORMULAS[0]], log), candidates(*FORMULAS[:4]), [4])
    engine, together = engine_in(tmp_path / "run"), replace(job, divisible=False)
    if deaths > 1:
        with pytest.raises(RunError, match="worker processes died"):
            put_through(engine, [together], 25)
    else:
        put_through(engine, [together], 25)
    assert {len(path.read_text().split()) for path in log.iterdir()} == {4}


@pytest.mark.parametrize("kind", ["partitions", "best"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "empty"])
def test_r13_a_damaged_file_is_made_again_and_nothing_else(kind: str, damage: str, here: None, tmp_path: Path) -> None:
    log, batch = log_in(tmp_path), candidates(*FORMULAS[:40])
    made = jobs(scoring(fail, log=log), batch, [10, 10, 10, 10])
    best = put_through(engine_in(tmp_path / "run"), made, 25).to_arrow()
    before = {path: path.read_bytes() for path in files_of(tmp_path / "run") if path.suffix == ".parquet"}
    victim = files_of(tmp_path / "run" / kind)[2]
    content = victim.read_bytes()
    half = len(content) // 2
    victim.unlink()
    if damage != "gone":
        flipped = content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]
        victim.write_bytes({"cut": content[:half], "flipped": flipped, "empty": b""}[damage])
    for path in files_of(log):
        path.unlink()
    engine = engine_in(tmp_path / "run")
    assert put_through(engine, made, 25).to_arrow().equals(best)
    assert [path.read_text().split() for path in files_of(log)] == [FORMULAS[20:30]]
    assert events(engine) == {"damaged": 1}
    assert {path: path.read_bytes() for path in before} == before
    again = engine_in(tmp_path / "run")
    assert put_through(again, made, 25).to_arrow().equals(best)
    assert events(again) == {"damaged": 1}
    assert len(files_of(log)) == 1


def test_another_key_is_other_work(here: None, tmp_path: Path) -> None:
    log, batch = log_in(tmp_path), candidates(*FORMULAS[:10])
    (job,) = jobs(scoring(fail, log=log), batch, [10])
    for key in ("a", "b", "b"):
        engine = engine_in(tmp_path / "run")
        engine.finish("s", 10, [Job(job.stage, 0, key, job.work, job.lost, job.given, job.rows)])
        assert engine.manifest.partition("surrogates", 0)["key"] == key  # type: ignore[index]
    assert len(files_of(log)) == 2


def test_candidates_may_be_given_in_a_file(here: None, tmp_path: Path) -> None:
    batch = candidates(*FORMULAS[:9])
    refused = [Refused(4, "r4", "?", "E-FORMULA-SYNTAX")]
    path = tmp_path / "part-00000.parquet"
    write_intake(path, Intake(batch, refused))
    (job,) = jobs(scoring(fail, [FORMULAS[3]]), batch, [9], refused)
    engine = engine_in(tmp_path / "run")
    engine.finish("s", 10, [Job(job.stage, 0, job.key, job.work, job.lost, path, 10)])
    clean, _ = clean_run(tmp_path / "clean", batch, refused)
    assert told(engine) == {**clean, FORMULAS[3]: LOST}


def test_no_partition_at_all_is_refused(here: None, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the sources gave no candidates"):
        put_through(engine_in(tmp_path / "run"), [], 25)


def test_a_row_that_is_the_whole_of_the_first_partition(here: None, tmp_path: Path) -> None:
    batch = candidates(*FORMULAS[:3])
    ranked = put_through(engine_in(tmp_path / "a"), jobs(scoring(fail, FORMULAS[:1]), batch, [1, 2]), 25)
    assert set(ranked.formulas) <= set(FORMULAS[1:3])
    nothing = put_through(engine_in(tmp_path / "b"), jobs(scoring(fail, FORMULAS[:3]), batch, [1, 2]), 25)
    assert len(nothing) == 0
    assert len(nothing.column("probability")) == 0


def test_a_partition_without_candidates_whose_worker_dies(here: None, tmp_path: Path) -> None:
    """Rows that were refused belong to a partition too, and may be all there is."""
    refused = [Refused(0, "r1", "?", "E-FORMULA-SYNTAX")]
    deaths, batch = iter(range(9)), candidates(*FORMULAS[:3])

    def score(intake: Intake) -> Any:
        if not len(intake.batch):
            next(deaths)
            raise Poison
        return scoring(fail)(intake)

    engine = engine_in(tmp_path / "run")
    best = put_through(engine, jobs(score, batch, [3, 0], refused), 25)
    assert told(engine)["?"] == (QUARANTINED, "intake", "E-FORMULA-SYNTAX")
    assert sum(engine.counts.values()) == 4 - len(best)


class Taken:
    """A permission that is lost after it was asked so often."""

    token = "abc"

    def __init__(self, times: int) -> None:
        self.left = times

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise LockLostError("somebody took it")


@pytest.mark.parametrize("times", [0, 1, 2])
def test_r28_nothing_is_written_for_a_run_that_was_taken_over(times: int, here: None, tmp_path: Path) -> None:
    """Neither by a worker (its two files of a partition) nor by the driver (its line)."""
    engine = engine_in(tmp_path / "run")
    with writing_under(Taken(times)), pytest.raises(LockLostError):
        engine.finish("s", 10, jobs(scoring(fail), candidates(*FORMULAS[:10]), [10]))
    assert Manifest(tmp_path / "run").lines == []
    assert [path.suffix for path in files_of(tmp_path / "run")] == [".parquet"] * times


def test_files_of_an_earlier_run_are_shared_where_the_key_is_the_same(here: None, tmp_path: Path) -> None:
    log, batch = log_in(tmp_path), candidates(*FORMULAS[:40])
    made = jobs(scoring(fail, log=log), batch, [10, 10, 10, 10])
    earlier = engine_in(tmp_path / "earlier")
    best = put_through(earlier, made, 25).to_arrow()
    earlier.run.best_part("surrogates", 1).write_bytes(b"damaged")
    later = engine_in(tmp_path / "later", earlier=Manifest(tmp_path / "earlier"))
    changed = Job("surrogates", 3, "another", made[3].work, made[3].lost, made[3].given, made[3].rows)
    assert put_through(later, [*made[:3], changed], 25).to_arrow().equals(best)
    assert len(files_of(log)) == 4 + 2
    for index, shared in enumerate([True, False, True, False]):
        for path in (later.run.partition("surrogates", index), later.run.best_part("surrogates", index)):
            twin = tmp_path / "earlier" / path.relative_to(tmp_path / "later")
            assert path.samefile(twin) == shared
    # The later run stands by itself, and leaves the earlier one as it was.
    again = engine_in(tmp_path / "later")
    assert put_through(again, [*made[:3], changed], 25).to_arrow().equals(best)
    assert len(files_of(log)) == 6
    assert earlier.run.best_part("surrogates", 1).read_bytes() == b"damaged"


def test_files_of_an_earlier_run_are_copied_where_there_are_no_links(
    here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = jobs(scoring(fail), candidates(*FORMULAS[:10]), [10])
    engine_in(tmp_path / "earlier").finish("s", 10, made)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    later = engine_in(tmp_path / "later", earlier=Manifest(tmp_path / "earlier"))
    later.finish("s", 10, made)
    (line,) = later.manifest.of_kind("partition")
    assert later.manifest.is_sound(line)
    assert not later.run.partition("surrogates", 0).samefile(
        tmp_path / "earlier/partitions/surrogates/part-00000.parquet"
    )
    assert not [path for path in files_of(tmp_path / "later") if path.name.endswith(".partial")]


def test_a_question_is_put_again_to_another_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "answers", inline())
    left = [Poison(), Poison()]

    def moody(value: int) -> int:
        if left:
            raise left.pop()
        return 2 * value

    engine = engine_in(tmp_path / "run")
    assert engine.ask(moody, 4) == 8
    left += [Poison()] * 3
    with pytest.raises(RunError, match="three worker processes died while they ran moody"):
        engine.ask(moody, 4)
    assert events(engine) == {"worker died": 5}


def test_outcomes_are_those_of_the_stage(here: None, tmp_path: Path) -> None:
    """The stage of these tests gives all outcomes there are, or they would show little."""
    found, best = clean_run(tmp_path / "run", candidates(*FORMULAS[:100]))
    assert {outcome for outcome, *_ in found.values()} == {SCORED, REJECTED}
    probabilities = best["probability"].to_pylist()
    assert len(set(probabilities)) < len(probabilities) == 25
    assert probabilities == sorted(probabilities, reverse=True)
