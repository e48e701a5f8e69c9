"""Candidates taken in: the same partitions whoever makes them, in whatever order, and however often it is cut off."""

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from matloop.data.candidates.batch import CandidateBatch, Intake, Refused
from matloop.data.candidates.reasons import REPEATED
from matloop.data.errors import RunChangedError
from matloop.data.runs.intake_files import read_intake
from matloop.data.sources.contract import GeneratingSource, Recipe
from matloop.data.training.known_materials import KnownCompositions
from matloop.data.training.training_set import TrainingSet
from matloop.workflows.running import candidate_parts, engine
from matloop.workflows.running.candidate_parts import CandidateParts, with_known
from matloop.workflows.running.engine import Engine
from tests.strategies import batch_of
from tests.workflows.conftest import campaign, files_of
from tests.workflows.running.engines import Poison, engine_in, inline

CHANCE = random.Random(3)
FORMULAS = [
    f"{metal}{n}{anion}{m}" for n in range(1, 5) for m in range(1, 5)
    for metal in ("Li", "Mg", "Al", "Ti") for anion in ("O", "S", "F")
]  # fmt: skip
FORMULAS = FORMULAS[:150] + CHANCE.sample(FORMULAS[:150], 40)  # some come twice; more are multiples of others


class Listed:
    """A source that must be read here."""

    name = "listed"

    def __init__(self, formulas: list[str]) -> None:
        self.formulas, self.made, self.deadly = formulas, list[int](), set[int]()

    def count(self) -> int:
        return len(self.formulas)

    def intakes(self, size: int) -> Iterator[Intake]:
        return (self.make(start, size) for start in range(0, len(self.formulas), size))

    def make(self, start: int, size: int) -> Intake:
        """A batch, one row of which is refused."""
        if start in self.deadly:
            self.deadly.remove(start)
            raise Poison
        self.made.append(start)
        batch = batch_of(*self.formulas[start + 1 : start + size])
        refused = Refused(start, f"r{start:020d}", "?", "E-FORMULA-SYNTAX")
        return Intake(batch.with_columns(origin=batch.formulas), [refused])


class Computed(Listed):
    """The same as recipes."""

    def recipes(self, size: int) -> Iterator[Recipe]:
        return (partial(self.make, start, size) for start in range(0, len(self.formulas), size))


def take_in(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *sources: Any, seed: int = 0, stop: int | None = None
) -> tuple[Engine, list[Intake]]:
    """Take candidates in, all or the first few partitions, as a new process would."""
    monkeypatch.setattr(engine, "answers", inline(seed))
    monkeypatch.setattr(candidate_parts, "sources_of", lambda _: list(sources))
    working = engine_in(folder)
    found = []
    for number, part in enumerate(CandidateParts(working, campaign(), 20, KnownCompositions())):
        found.append(read_intake(part.path))
        assert part.rows == len(found[-1].batch) + len(found[-1].refused)
        if number + 1 == stop:
            break
    return working, found


def told(parts: list[Intake]) -> list[tuple[list[str], list[Refused]]]:
    return [(part.batch.ids, part.refused) for part in parts]


@pytest.mark.parametrize("seed", range(4))
def test_the_same_partitions_whoever_makes_them_in_whatever_order(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(Computed([]), GeneratingSource)
    assert not isinstance(Listed([]), GeneratingSource)
    halves = FORMULAS[:100], FORMULAS[100:]
    _, read = take_in(monkeypatch, tmp_path / "read", *map(Listed, halves))
    working, made = take_in(monkeypatch, tmp_path / "made", *map(Computed, halves), seed=seed)
    assert told(made) == told(read)
    ids = [name for part in made for name in part.batch.ids]
    repeats = [row.candidate_id for part in made for row in part.refused if row.code == REPEATED]
    assert len(ids) == len(set(ids)) == len(set(CandidateBatch.from_formulas(FORMULAS).batch.ids) & set(ids))
    assert set(repeats) <= set(ids)
    assert len(ids) + len(repeats) + len(made) == len(FORMULAS)
    assert {path.relative_to(tmp_path / "made") for path in files_of(working.run.folder)} == {
        path.relative_to(tmp_path / "read") for path in files_of(tmp_path / "read")
    }


def test_a_batch_whose_worker_died_is_made_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, read = take_in(monkeypatch, tmp_path / "read", Listed(FORMULAS))
    source = Computed(FORMULAS)
    source.deadly = {20, 100}
    _, made = take_in(monkeypatch, tmp_path / "made", source)
    assert told(made) == told(read)
    assert sorted(source.made) == list(range(0, len(FORMULAS), 20))


@pytest.mark.parametrize("kind", [Listed, Computed])
def test_r14_cut_off_and_gone_on_with(kind: type[Listed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, read = take_in(monkeypatch, tmp_path / "read", Listed(FORMULAS))
    working, _ = take_in(monkeypatch, tmp_path / "run", kind(FORMULAS), stop=4)
    kept = {working.run.candidate_part(index): working.run.candidate_part(index).stat() for index in range(4)}
    damaged = working.run.candidate_part(2)
    damaged.write_bytes(b"damaged")
    again = kind(FORMULAS)
    working, made = take_in(monkeypatch, tmp_path / "run", again, seed=1)
    assert told(made) == told(read)
    for path, before in kept.items():
        assert (path.stat().st_mtime_ns == before.st_mtime_ns) == (path != damaged)
    if kind is Computed:
        assert not {0, 20, 60} & set(again.made)
    assert [line["what"] for line in working.manifest.of_kind("event")] == ["damaged"]
    last = kind(FORMULAS)
    _, made = take_in(monkeypatch, tmp_path / "run", last)
    assert told(made) == told(read)
    assert last.made == []


@pytest.mark.parametrize("kind", [Listed, Computed])
def test_other_candidates_than_before_are_refused(
    kind: type[Listed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working, _ = take_in(monkeypatch, tmp_path / "run", kind(FORMULAS), stop=3)
    working.run.candidate_part(1).write_bytes(b"damaged")
    with pytest.raises(RunChangedError, match="first in partition 1"):
        take_in(monkeypatch, tmp_path / "run", kind([*FORMULAS[:30], *FORMULAS[60:]]))


def test_known_is_what_the_run_knows_and_what_the_source_says() -> None:
    films = TrainingSet.of_formulas(
        ["Ga7N9"], [3.0], property_name="band_gap", name="our films", provenance="exp", licence="CC0"
    )
    batch = batch_of("NaCl", "Ga14N18", "Ga7N10", "Ga7N11")
    told = Intake(batch.with_columns(known=[False, False, False, True]), [])
    for known, expected in (
        (KnownCompositions(), [True, False, False, True]),
        (KnownCompositions.of([films]), [True, True, False, True]),
    ):
        marked = with_known(told, known).batch
        assert marked.column("known").tolist() == expected
        own = "training_sets" if expected[1] else ""
        everywhere = "packaged_crystals, transport, materials_project, oqmd"
        assert marked.column("known_to").tolist() == [everywhere, own, "", "source"]
        assert with_known(Intake(batch, []), known).batch.column("known").tolist() == [*expected[:3], False]


def test_candidates_are_taken_in_with_what_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for place, kind in (("here", Listed), ("by workers", Computed)):
        _, parts = take_in(monkeypatch, tmp_path / place, kind(["?", "NaCl", "Ga7N10"]))
        assert [part.batch.column("known").tolist() for part in parts] == [[True, False]]
