"""Search for hits in labelled data: crystals as candidates, thresholds that mean something, strategies and chance."""

import io
import itertools
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from rich.console import Console

from matloop.data.errors import InputFileError, MatloopError, ThresholdError, UnknownNameError
from matloop.data.whole_files import write_csv
from matloop.models.registry import MODELS
from matloop.workflows import cli
from matloop.workflows.bench.discovery import run_discovery
from matloop.workflows.bench.discovery_search import Search, SearchRun, SearchSettings, run_search
from matloop.workflows.bench.discovery_search_report import labels_to, print_search, render_search, search_json
from matloop.workflows.bench.discovery_settings import DiscoverySettings
from matloop.workflows.bench.labelled import ModelChoice, read_labelled
from matloop.workflows.bench.strategies import RANDOM, Judged, explore, greedy, thompson
from matloop.workflows.bench.target_labels import TargetLabels, read_target_labels
from matloop.workflows.bench.wanted_targets import check_thresholds, hits_among, ranges_of, read_target

IONS = ("Mg", "Ca", "Sr", "Ba", "Ti", "Zr", "Hf", "Sn", "Ge", "Si", "Zn", "Cd")
CHEAP = ("stoichiometry", "density")
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


@pytest.fixture(scope="module", autouse=True)
def small_family() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "few_trees", "tests.workflows.bench.few_trees:FewTrees")  # type: ignore[arg-type]
        yield


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "perovskites.csv"
    write_csv(path, ("formula", "band_gap_dft", "refractive_index_dft", "structure"), [*rows(), *DIRTY])
    return path


@pytest.fixture(scope="module")
def data(table: Path) -> TargetLabels:
    return read_target_labels(str(table), TARGETS, features=CHEAP)


@pytest.fixture(scope="module")
def found(data: TargetLabels) -> SearchRun:
    settings = SearchSettings(TARGETS[:1], first=40, batch=8, rounds=5, seeds=3, family="few_trees")
    return run_search(data, settings)


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


def test_one_property_reads_the_crystals_too(table: Path) -> None:
    read = read_labelled(str(table), "band_gap", features=CHEAP)
    assert read.has_crystals
    assert len(set(read.training.rows.ids)) == 132
    run = run_discovery(read, DiscoverySettings(top=0.1, seeds=1, batch=5, rounds=2, model=ModelChoice("few_trees")))
    assert run.seeds[0].rounds is not None
    assert run.seeds[0].rounds.evaluated.tolist() == [0, 5, 10], "a batch holds crystals, not whole formulas"


@pytest.mark.parametrize(
    ("written", "words"),
    [("band_gap>=15", "no hit among 132 rows"), ("band_gap<=15", "132 hits among 132 rows"),
     ("band_gap>=10", "no hit among 132 rows of perovskites.csv .band_gap >= 10: 0.*its best tenth begins at")],
)  # fmt: skip
def test_degenerate_thresholds_are_refused(data: TargetLabels, written: str, words: str) -> None:
    with pytest.raises(ThresholdError, match=f"E-BENCH-THRESHOLD: {words}"):
        run_search(data, SearchSettings((read_target(written),), seeds=1))


def test_a_threshold_no_first_label_reaches_is_refused(table: Path) -> None:
    read = read_labelled(str(table), "band_gap", features=CHEAP)
    for settings, words in (({"threshold": 14.0}, "no hit"), ({"threshold": 0.1}, "hits among")):
        with pytest.raises(ThresholdError, match=rf"{words}.*labelled at first \(seed 0\)"):
            run_discovery(read, DiscoverySettings(seeds=1, model=ModelChoice("few_trees"), **settings))


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


def test_strategies_pick_different_rows_once() -> None:
    judged = Judged(np.array([0.5, 0.4, 0.3, 0.2, np.nan]), np.array([1.0, 1, 1, 9, np.inf]))
    random = np.random.default_rng(0)
    assert greedy(judged, 2, random).tolist() == [0, 1]
    assert explore(judged, 4, random).tolist() == [0, 1, 2, 4], "an element without a label is known least"
    for strategy in (greedy, explore, thompson):
        for size in (1, 3, 5, 9):
            picked = strategy(judged, size, random)
            assert len(set(picked.tolist())) == len(picked) == min(size, 5)


def test_thompson_picks_as_often_as_a_hit_is_probable() -> None:
    judged, random = Judged(np.array([0.2, 0.1, 0.0]), np.zeros(3)), np.random.default_rng(1)
    picked = np.bincount([int(thompson(judged, 1, random)[0]) for _ in range(4000)], minlength=3) / 4000
    # The second is picked where it is drawn and the first is not, and in half of the cases where both are.
    assert picked[1] == pytest.approx(0.1 * 0.8 + 0.1 * 0.2 / 2, abs=0.015)
    assert picked[2] == 0


def test_a_known_target_is_found_sooner_than_by_chance(found: SearchRun) -> None:
    result = search_json(found)["strategies"]
    for name in ("greedy", "explore", "thompson"):
        assert result[name]["times_chance"] > 1.5
        assert result[name]["labels"]["half"]["median"] < result[RANDOM]["labels"]["half"]["median"]


def test_searches_of_a_seed_begin_alike_and_add_up(found: SearchRun) -> None:
    for seed in range(3):
        searches = [search for search in found.searches if search.seed == seed]
        assert len({(search.pool, search.hits, search.hits_before) for search in searches}) == 1
        for search in searches:
            assert search.found[-1] == len(search.places)
            assert search.evaluated == sorted(search.evaluated)
            assert search.pool == 132 - 40
    chance = [search for search in found.searches if search.strategy == RANDOM]
    assert all(search.found[-1] == search.hits for search in chance)


def test_labels_to_a_share_of_the_hits() -> None:
    search = Search("greedy", 0, 90, 4, 0, [0, 20], [0, 3], [3, 8, 11])
    assert [labels_to(search, share) for share in (0, 0.5, 1)] == [3, 8, math.inf]


def test_a_search_that_was_stopped_goes_on(data: TargetLabels, tmp_path: Path) -> None:
    settings = SearchSettings(TARGETS[:1], first=40, batch=20, rounds=1, seeds=1, family="few_trees")
    whole = run_search(data, settings, folder=tmp_path)
    (tmp_path / "unfinished" / "greedy-0.json").unlink()
    again = run_search(data, settings, folder=tmp_path)
    assert again.searches == whole.searches
    with pytest.raises(MatloopError, match="unfinished benchmark"):
        run_search(data, SearchSettings(TARGETS[:1], first=41, seeds=1, family="few_trees"), folder=tmp_path)


def test_page_and_lines(found: SearchRun) -> None:
    console = Console(width=160, file=io.StringIO(), no_color=True)
    print_search(found, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "of 132 candidates (66 formulas) of perovskites.csv meet band gap ≥ 7 eV." in text
    assert "left out: 3 – " in text
    page = re.sub(r"<script>.*?</script>", "", render_search(found, search_json(found)), flags=re.DOTALL)
    assert set(re.findall(r'data-figure="(\w+)"', page)) == {"found"}
    assert "thompson" in page


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"strategies": ("clever",)}, UnknownNameError, "unknown strategy 'clever'"),
        ({"first": 5}, MatloopError, "--first 5"), ({"batch": 0}, MatloopError, "--batch 0"),
        ({"top": 0.6}, MatloopError, "--top 0.6"), ({"rounds": 0}, MatloopError, "--rounds 0"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(changes: dict[str, Any], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        SearchSettings(TARGETS, **changes)


def test_files_that_cannot_be_searched_are_refused(table: Path, data: TargetLabels) -> None:
    with pytest.raises(MatloopError, match="two targets of band_gap"):
        read_target_labels(str(table), [read_target("band_gap:max"), read_target("band_gap_dft:min")])
    with pytest.raises(InputFileError, match="no column of numbers 'bulk_modulus_vrh_dft'"):
        read_target_labels(str(table), [read_target("bulk_modulus_vrh:max")])
    with pytest.raises(MatloopError, match="fewer than the 132 candidates"):
        run_search(data, SearchSettings(TARGETS[:1], first=132))


def test_command(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["matloop", "bench", "discovery", "--data", str(table), *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0)

    options = ["--target", "band_gap>=7", "--features", "density", "--family", "few_trees", "--strategy", "greedy"]
    options += ["--seeds", "1", "--first", "40", "--rounds", "2", "--output", str(tmp_path / "out")]
    assert run(*options) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"discovery.json", "report.html"}
    result = json.loads((tmp_path / "out" / "discovery.json").read_text("utf-8"))
    assert list(result["strategies"]) == [RANDOM, "greedy"]
    assert str(tmp_path) not in json.dumps(result)
    for wrong in ([], [*options, "--property", "band_gap"]):
        assert run(*wrong) == 1
    assert "either --property or --target" in capsys.readouterr().err
