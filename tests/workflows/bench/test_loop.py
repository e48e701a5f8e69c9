"""Replayed loops: crystals as candidates, ranges that mean something, strategies, chance, and what is claimed."""

import io
import itertools
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure
from rich.console import Console

from matloop.data.errors import InputFileError, MatloopError, ThresholdError, UnknownNameError
from matloop.data.whole_files import write_csv
from matloop.models.registry import MODELS
from matloop.workflows import cli
from matloop.workflows.bench.discovery import run_discovery
from matloop.workflows.bench.discovery_settings import DiscoverySettings
from matloop.workflows.bench.labelled import ModelChoice, formula_column_of, read_labelled
from matloop.workflows.bench.loop_measures import (
    FEWEST_SEEDS,
    fewer_than,
    figures_of,
    oracle_acceleration,
    place_of,
    verdict,
)
from matloop.workflows.bench.loop_replay import LoopRun, Replay, replay, run_loop
from matloop.workflows.bench.loop_report import loop_json, print_loop, render_loop
from matloop.workflows.bench.loop_settings import LoopSettings
from matloop.workflows.bench.loop_strategies import RANDOM, STRATEGIES, Aim, Asked
from matloop.workflows.bench.loop_words import plain_sentence, saving_sentence
from matloop.workflows.bench.target_labels import TargetLabels, read_target_labels
from matloop.workflows.bench.wanted_targets import IS_HIT, check_thresholds, hits_among, ranges_of, read_target

IONS = ("Mg", "Ca", "Sr", "Ba", "Ti", "Zr", "Hf", "Sn", "Ge", "Si", "Zn", "Cd")
CHEAP = ("stoichiometry", "density")
FEW_TREES = ModelChoice("few_trees")
TARGETS = tuple(map(read_target, ("band_gap>=7", "refractive_index:max")))


def perovskite(large: str, small: str) -> str:
    """ABO3 with ``large`` on the A site, as JSON text; swapping the two gives another crystal of the same formula."""
    length = 3.8 + 0.02 * IONS.index(large) + 0.05 * IONS.index(small)
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return str(Structure(Lattice.cubic(length), [large, small, "O", "O", "O"], sites).to_json())


def rows() -> list[tuple[str, Any, Any, str]]:
    """132 crystals of 66 formulas; their labels follow from the length of the cell, which differs within a formula."""
    found = []
    for large, small in itertools.permutations(IONS, 2):
        size = IONS.index(large) + 2.5 * IONS.index(small)
        formula = "".join(sorted((large, small))) + "O3"
        found.append((formula, 0.25 * size, 3 - 0.03 * size, perovskite(large, small)))
    return found


DIRTY = [
    ("SrTiO3", 3.0, 2.0, "{}"), ("SrTiO3", 3.0, 2.0, ""), ("SrTiO3", 3.0, 2.0, "[" * 4000),
    ("Xx2", 3.0, 2.0, perovskite("Sr", "Ti")), ("CaTiO3", 3.0, 2.0, perovskite("Sr", "Ti")),
    ("SrTiO3", "", 2.0, perovskite("Sr", "Ti")), ("SrTiO3", 3.0, 900.0, perovskite("Sr", "Ti")),
    ("SrTiO3", 4.0, 2.5, perovskite("Sr", "Ti")),
]  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "perovskites.csv"
    write_csv(path, ("formula", "band_gap_dft", "refractive_index_dft", "structure"), [*rows(), *DIRTY])
    return path


@pytest.fixture(scope="module")
def data(table: Path) -> TargetLabels:
    return read_target_labels(str(table), TARGETS, features=CHEAP)


@pytest.fixture(scope="module")
def found(data: TargetLabels) -> LoopRun:
    settings = LoopSettings(TARGETS[:1], first=20, batch=8, budget=60, seeds=6, strategies=("loop", "greedy"))
    return run_loop(data, settings)


def test_crystals_of_one_formula_are_different_candidates(data: TargetLabels) -> None:
    assert (len(data.candidates), len(np.unique(data.groups))) == (132, 66)
    assert len(set(data.candidates.ids)) == 132
    assert data.candidates.has("crystals").all()


def test_every_row_is_used_or_counted(data: TargetLabels) -> None:
    assert data.rows == len(rows()) + len(DIRTY)
    assert sum(data.left_out.values()) == len(DIRTY)
    assert dict(data.left_out) == {
        "E-FILE-FORMAT": 3, "E-FORMULA-ELEMENT": 1, "E-STRUCT-FORMULA": 1, "no value of band_gap_dft": 1,
        "impossible value of refractive_index_dft": 1, "repeats another row; the mean of their values counts": 1,
    }  # fmt: skip
    (row,) = [row for row, values in enumerate(rows()) if values[3] == perovskite("Sr", "Ti")]
    place = data.candidates.ids.index(read_id(data, "SrTiO3", (rows()[row][1] + 4.0) / 2))
    assert data.labels["refractive_index"][place] == pytest.approx((rows()[row][2] + 2.5) / 2)


def read_id(data: TargetLabels, formula: str, band_gap: float) -> str:
    near = np.isclose(data.labels["band_gap"], band_gap)
    (name,) = [data.candidates.ids[row] for row in np.flatnonzero(near) if data.candidates.formulas[row] == formula]
    return name


@pytest.fixture
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "few_trees", "tests.workflows.bench.few_trees:FewTrees")  # type: ignore[arg-type]


@pytest.mark.usefixtures("few_trees")
def test_one_property_reads_the_crystals_too(table: Path) -> None:
    read = read_labelled(str(table), "band_gap", features=CHEAP)
    assert read.has_crystals
    assert len(set(read.training.rows.ids)) == 132
    run = run_discovery(read, DiscoverySettings(top=0.1, seeds=1, batch=5, rounds=2, model=FEW_TREES))
    assert run.seeds[0].rounds is not None
    assert run.seeds[0].rounds.evaluated.tolist() == [0, 5, 10], "a batch holds crystals, not whole formulas"


@pytest.mark.parametrize(
    ("written", "words"),
    [("band_gap>=15", "no hit among 132 rows"), ("band_gap<=15", "132 hits among 132 rows"),
     ("band_gap>=10", "no hit among 132 rows of perovskites.csv .band_gap >= 10: 0.*its best tenth begins at")],
)  # fmt: skip
def test_degenerate_thresholds_are_refused(data: TargetLabels, written: str, words: str) -> None:
    with pytest.raises(ThresholdError, match=f"E-BENCH-THRESHOLD: {words}"):
        run_loop(data, LoopSettings((read_target(written),), seeds=1))


@pytest.mark.usefixtures("few_trees")
def test_a_threshold_no_first_label_reaches_is_refused(table: Path) -> None:
    read = read_labelled(str(table), "band_gap", features=CHEAP)
    for settings, words in (({"threshold": 14.0}, "no hit"), ({"threshold": 0.1}, "hits among")):
        with pytest.raises(ThresholdError, match=rf"{words}.*labelled at first \(seed 0\)"):
            run_discovery(read, DiscoverySettings(seeds=1, model=FEW_TREES, **settings))


def test_thresholds_follow_the_labels_where_none_is_given(data: TargetLabels) -> None:
    low, high = TARGETS[1].range(data.labels["refractive_index"], top=0.1)
    assert (data.labels["refractive_index"] >= low).mean() == pytest.approx(0.1, abs=0.02)
    assert high == np.inf
    with pytest.raises(ThresholdError, match=r"band_gap >= 7: .*refractive_index >= "):
        check_thresholds(data.labels, {"band_gap": (7.0, np.inf), "refractive_index": (low, np.inf)}, of="it")


@pytest.mark.parametrize(
    "text",
    ["band_gap", "band_gap>2", "band_gap>=", "band_gap:best", ">=2", "band_gap>=1e999", "band_gap:2..1", "ZT:1..",
     "ZT:..1", "ZT:1-2"],
)  # fmt: skip
def test_targets_are_written_in_one_of_five_ways(text: str) -> None:
    with pytest.raises(MatloopError, match="NAME>=VALUE"):
        read_target(text)


def test_a_window_is_one_target_and_columns_of_ones_own_have_no_bounds(table: Path) -> None:
    (window,) = [read_target("band_gap:3..4")]
    data = read_target_labels(str(table), [window, read_target("refractive_index_dft>=2")], features=CHEAP)
    ranges = ranges_of([window], data.labels, top=0.1)
    assert ranges == {"band_gap": (3.0, 4.0)}
    assert hits_among(data.labels, ranges).tolist() == [3 <= gap <= 4 for gap in data.labels["band_gap"]]
    own = table.with_name("own.csv")
    own.write_text(table.read_text().replace("refractive_index_dft", "My ZT (1)"))
    data = read_target_labels(str(own), [read_target("My ZT (1) : max")], features=CHEAP)
    assert data.labels["My ZT (1)"].max() > 200, "no catalogue says what is impossible"
    with pytest.raises(InputFileError, match="did you mean --column My ZT"):
        read_target_labels(str(own), [read_target("My ZT:max")], features=CHEAP)


def test_a_table_may_say_itself_what_a_hit_is(table: Path) -> None:
    own, pairs = table.with_name("hits.csv"), list(itertools.permutations(IONS, 2))
    write_csv(own, ("composition", "is_hit"), [(f"{a}2{b}3O9", int(a == "Sr")) for a, b in pairs])
    data = read_target_labels(str(own), [IS_HIT], formula_column=formula_column_of(str(own)), features=CHEAP[:1])
    assert hits_among(data.labels, ranges_of([IS_HIT], data.labels, top=0.1)).sum() == 11


def test_crystals_need_no_formula_beside_them(table: Path, data: TargetLabels) -> None:
    alone = table.with_name("alone.csv")
    dirty = [(gap, index, crystal) for _, gap, index, crystal in DIRTY[:3]]
    good = [(gap, index, crystal) for _, gap, index, crystal in rows()]
    write_csv(alone, ("band_gap_dft", "refractive_index_dft", "structure"), [*dirty, *good, ("n/a", 2.0, good[0][2])])
    assert formula_column_of(str(alone)) == "structure"
    read = read_target_labels(str(alone), TARGETS, formula_column="structure", features=CHEAP)
    assert dict(read.left_out) == {"E-FILE-FORMAT": 3, "no value of band_gap_dft": 1}
    assert sorted(read.candidates.ids) == sorted(data.candidates.ids)
    assert sorted(read.candidates.formulas) == sorted(data.candidates.formulas)


def test_yes_and_no_of_a_parquet_file_are_numbers(tmp_path: Path) -> None:
    pairs = list(itertools.permutations(IONS, 2))
    hits = pa.table({"formula": [f"{a}2{b}3O9" for a, b in pairs], "is_hit": [a == "Sr" for a, _ in pairs]})
    pq.write_table(hits, tmp_path / "hits.parquet")
    data = read_target_labels(str(tmp_path / "hits.parquet"), [IS_HIT], features=CHEAP[:1])
    assert data.labels["is_hit"].sum() == 11


def asked(values: list[NDArray[Any]], aims: list[Aim], size: int = 3) -> Asked:
    random = np.random.default_rng(0)
    known, left = random.random((len(values[0]), 2)), random.random((50, 2))
    return Asked(known, values, left, aims, size, (0, 1))


@pytest.mark.parametrize("name", ["loop", "trees", "greedy", "forest"])
def test_strategies_follow_what_was_measured(name: str) -> None:
    question = asked([np.empty(30)], [Aim((0.9, np.inf), "identity")], 10)
    for sign in (1, -1):
        aim = Aim((0.9, np.inf), "identity") if sign > 0 else Aim((-np.inf, 0.1), "identity")
        picked = STRATEGIES[name](question._replace(values=[question.known[:, 0]], aims=[aim]))
        assert len(set(picked.tolist())) == 10
        assert sign * (np.median(question.left[picked, 0]) - np.median(question.left[:, 0])) > 0.2


def test_all_targets_count_and_a_window_has_two_ends() -> None:
    question = asked([np.empty(80)], [], 8)
    known = np.random.default_rng(1).random((80, 2))
    values, aims = [known[:, 0], known[:, 1]], [Aim((0.4, 0.6), "identity"), Aim((0.6, np.inf), "log10")]
    picked = question.left[STRATEGIES["loop"](question._replace(known=known, values=values, aims=aims))]
    assert (np.abs(picked[:, 0] - 0.5) < 0.25).mean() > 0.8
    assert picked[:, 1].mean() > 0.6


def test_the_unit_of_values_changes_nothing_but_how_far_out_they_lie_does() -> None:
    values = np.random.default_rng(2).random(30)
    question = asked([values], [Aim((0.9, np.inf), "identity")], 10)
    kelvin = question._replace(values=[1024 * values + 256], aims=[Aim((1177.6, np.inf), "identity")])
    stretched = question._replace(values=[np.exp(9 * values)], aims=[Aim((3000.0, np.inf), "identity")])
    picked = STRATEGIES["trees"](question).tolist()
    assert STRATEGIES["trees"](kelvin).tolist() == picked
    assert STRATEGIES["trees"](stretched).tolist() != picked


def test_models_never_see_a_label_before_it_is_measured(data: TargetLabels, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Asked] = []

    def spy(question: Asked) -> NDArray[Any]:
        seen.append(question)
        return np.arange(question.size)

    monkeypatch.setitem(STRATEGIES, "spy", spy)  # type: ignore[arg-type]
    settings = LoopSettings(TARGETS[1:], top=0.1, first=20, batch=30, budget=70, seeds=1, strategies=("spy",))
    (_, done) = run_loop(data, settings).replays
    order = np.random.default_rng(0).permutation(132)
    assert [len(one.values[0]) for one in seen] == [20, 50, 80]
    assert [one.size for one in seen] == [30, 30, 10]
    assert done.evaluated == [0, 30, 60, 70]
    labels = data.labels["refractive_index"]
    for one in seen:
        assert one.values[0].tolist() == labels[order[: len(one.values[0])]].tolist()
        assert one.aims[0].ends == (np.sort(labels[order[:20]])[-2], np.inf), "the first labels alone decide"


def test_a_known_target_is_found_sooner_than_by_chance(found: LoopRun) -> None:
    for name in ("loop", "greedy"):
        figures = figures_of(found, name)
        assert figures.reached == figures.seeds == figures.sooner == 6
        assert figures.acceleration.median > 1.5
        assert verdict(figures) == "sooner"
    assert 1 < figures_of(found, "loop").acceleration.high <= oracle_acceleration(found) * 3
    for done in found.replays:
        assert np.searchsorted(done.places, done.evaluated, side="right").tolist() == done.found
        assert done.found[-1] == done.hits or done.evaluated[-1] == 60
    assert "times as fast" in plain_sentence(found).en
    assert "快" in plain_sentence(found).zh


def test_a_replay_may_end_with_a_share_of_the_hits(data: TargetLabels) -> None:
    settings = LoopSettings(TARGETS[:1], first=20, batch=4, budget=112)
    whole, half = (
        replay(
            data, settings, {"band_gap": (7.0, np.inf)}, strategy="in order", seed=3,
            strategies={"in order": lambda asked: np.arange(asked.size)}, until=until,
        )
        for until in (1.0, 0.5)
    )  # fmt: skip
    assert whole.found[-1] == whole.hits
    assert half.found[-2] < half.hits / 2 <= half.found[-1] < half.hits
    assert half.found == whole.found[: len(half.found)]


def replayed(strategy: str, seed: int, found: list[int]) -> Replay:
    places = [10 * number + place for number, new in enumerate(np.diff(found)) for place in range(4, 4 + new)]
    return Replay(strategy, seed, 99, 4, 0, [0, 10, 20, 30][: len(found)], found, places)


def test_too_few_seeds_for_any_verdict_are_told(found: LoopRun) -> None:
    for seeds, is_told in ((FEWEST_SEEDS - 1, True), (FEWEST_SEEDS, False)):
        some = found._replace(replays=[replay for replay in found.replays if replay.seed < seeds])
        assert (f"At least {FEWEST_SEEDS} seeds are needed" in plain_sentence(some).en) == is_told


def test_no_gain_is_said_as_such(data: TargetLabels) -> None:
    settings = LoopSettings(TARGETS[:1], first=20, batch=10, budget=30, seeds=6, strategies=("loop", "greedy"))
    for own, words in (([0, 0, 1, 2], "no gain but a loss"), ([0, 1, 2], "no proven gain"), ([0, 0, 0, 1], "a loss")):
        replays = [
            replay
            for seed in range(6)
            for replay in (
                replayed(RANDOM, seed, [0, 1, 2]), replayed("loop", seed, own), replayed("greedy", seed, [0, 2])
            )
        ]  # fmt: skip
        run = LoopRun(data, settings, {"band_gap": (7.0, np.inf)}, replays, 0.0)
        assert words in plain_sentence(run).en
        assert saving_sentence(run, "greedy").en != ""
    assert figures_of(run, "loop").needed.median == math.inf
    assert "more than 30 measurements" in plain_sentence(run).en
    assert fewer_than(run, "greedy", "loop") == pytest.approx(1 - 10 / 30), "no more is claimed than was seen"
    assert fewer_than(run, "greedy", "loop", count=place_of) == pytest.approx(1 - 5 / 30)
    assert figures_of(run, "greedy").one_by_one == (5, 5, 5), "the second of two hits picked at places 4 and 5"


def test_a_budget_that_ends_before_both_is_no_loss(data: TargetLabels) -> None:
    settings = LoopSettings(TARGETS[:1], first=20, batch=10, budget=20, seeds=6, strategies=("loop",))
    replays = [
        replay
        for seed in range(6)
        for replay in (Replay(RANDOM, seed, 99, 4, 0, [0, 40, 80], [0, 0, 4], [71, 72, 73, 74]),
                       Replay("loop", seed, 99, 4, 0, [0, 10, 20], [0, 0, 1], [11]))
    ]  # fmt: skip
    run = LoopRun(data, settings, {"band_gap": (7.0, np.inf)}, replays, 0.0)
    assert figures_of(run, "loop")[-2:] == (0, 0)
    assert "found 1.2 times as many hits as random" in plain_sentence(run).en


def test_a_loop_that_was_stopped_goes_on(data: TargetLabels, tmp_path: Path) -> None:
    settings = LoopSettings(TARGETS[:1], first=40, batch=20, budget=20, seeds=2, strategies=("loop",))
    whole = run_loop(data, settings, folder=tmp_path)
    (tmp_path / "unfinished" / "loop-0.json").unlink()
    assert run_loop(data, settings, folder=tmp_path).replays == whole.replays
    with pytest.raises(MatloopError, match="unfinished benchmark"):
        run_loop(data, LoopSettings(TARGETS[:1], first=41), folder=tmp_path)


def test_page_and_lines(found: LoopRun) -> None:
    console = Console(width=160, file=io.StringIO(), no_color=True)
    print_loop(found, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "of 132 candidates (66 formulas) of perovskites.csv are hits: band gap ≥ 7 eV." in text
    assert "left out: 3 – " in text
    assert "On your data the loop needed" in text
    assert "在您的数据上" in text
    assert '"title":{"en":"Replayed loop' in render_loop(found, loop_json(found)), "the script of the page reads it"
    page = re.sub(r"<script>.*?</script>", "", render_loop(found, loop_json(found)), flags=re.DOTALL)
    assert set(re.findall(r'data-figure="(\w+)"', page)) == {"found"}
    assert page.count('<span lang="en"') == page.count('<span lang="zh-CN"') > 30, "texts stand in both languages"


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"strategies": ("clever",)}, UnknownNameError, "unknown strategy 'clever'"),
        ({"first": 5}, MatloopError, "--first 5"), ({"batch": 0}, MatloopError, "--batch 0"),
        ({"top": 0.6}, MatloopError, "--top 0.6"), ({"budget": 3}, MatloopError, "--budget 3"),
        ({"goal": 0.0}, MatloopError, "--goal 0.0"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named(changes: dict[str, Any], error: type[MatloopError], words: str) -> None:
    with pytest.raises(error, match=words):
        LoopSettings(TARGETS, **changes)


def test_what_cannot_be_searched_is_refused(table: Path, data: TargetLabels) -> None:
    with pytest.raises(MatloopError, match="two targets of band_gap"):
        read_target_labels(str(table), [read_target("band_gap:max"), read_target("band_gap_dft:min")])
    with pytest.raises(InputFileError, match="no column of numbers 'bulk_modulus_vrh_dft'"):
        read_target_labels(str(table), [read_target("bulk_modulus_vrh:max")])
    with pytest.raises(InputFileError, match="no column of numbers 'is_hit'"):
        read_target_labels(str(table), [IS_HIT])
    with pytest.raises(MatloopError, match="fewer than the 132 candidates"):
        run_loop(data, LoopSettings(TARGETS[:1], first=132))


def test_command(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--target", "band_gap>=7", "--features", "density", "--strategy", "loop", "--strategy", "greedy"]
    words += ["--seeds", "1", "--first", "40", "--budget", "40", "--output", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["matloop", "bench", "loop", "--data", str(table), *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"loop.json", "report.html"}
    result = json.loads((tmp_path / "out" / "loop.json").read_text("utf-8"))
    assert list(result["strategies"]) == [RANDOM, "loop", "greedy"]
    assert str(tmp_path) not in json.dumps(result)
