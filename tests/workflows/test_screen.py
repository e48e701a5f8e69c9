"""What a finished run leaves behind."""

import csv
import importlib.metadata
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Species

from matloop.data.candidates.identity import crystal_ids
from matloop.data.candidates.reasons import BELOW_CUT, CHOSEN, EQUAL_CRYSTAL, OUTSIDE_DOMAIN, REPEATED
from matloop.data.chemistry.assigned_states import states_of_words
from matloop.data.elements import RADIOACTIVE, SYMBOLS
from matloop.data.errors import CampaignError, RunError
from matloop.data.generators.ionic_substitution import IonicSubstitution
from matloop.data.properties.columns import Column
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.manifest import Manifest
from matloop.screening.campaign.campaign_file import read_campaign
from matloop.screening.filters.elements import EXCLUDED_ELEMENT
from matloop.workflows.screen import ScreeningRun, screen
from matloop.workflows.stages.fates import FATE_COLUMNS, SCORED
from tests.workflows.conftest import Told, campaign, files_of

ROWS, REPEATS, KEEP, SIZE = 2000, 300, 60, 5
TARGETS = ("piezoelectric_modulus", "refractive_index")


@pytest.fixture(scope="module")
def partitions(finished: ScreeningRun) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in files_of(RunDirectory(finished.folder).partitions)])


def test_every_row_that_came_in_is_in_the_partitions(partitions: pa.Table) -> None:
    (source, _) = (entry.make(IonicSubstitution) for entry in campaign().sources)
    expected = [name for intake in source.intakes(ROWS) for name in intake.batch.ids]
    assert len(expected) == ROWS
    assert Counter(partitions["candidate_id"].to_pylist()) == Counter(expected + expected[:REPEATS])
    assert partitions.filter(pa.compute.equal(partitions["code"], REPEATED)).num_rows == REPEATS


def test_every_row_has_one_fate_and_the_summary_counts_them(finished: ScreeningRun, partitions: pa.Table) -> None:
    merges = pa.concat_tables([pq.read_table(path) for path in files_of(RunDirectory(finished.folder).fates)])
    ended = partitions.filter(pa.compute.not_equal(partitions["outcome"], SCORED))
    fates = pa.concat_tables([ended.select(FATE_COLUMNS), merges])
    assert Counter(fates["candidate_id"].to_pylist()) == Counter(partitions["candidate_id"].to_pylist())
    assert finished.summary.outcomes == Counter(fates["outcome"].to_pylist())
    assert finished.summary.rows_in == fates.num_rows == ROWS + REPEATS
    lost = Counter(zip(*(fates[name].to_pylist() for name in ("stage", "outcome", "code")), strict=True))
    told: Counter[tuple[str, str, str]] = Counter({("shortlist", "shortlisted", CHOSEN): SIZE})
    for stage in finished.summary.funnel:
        for one in stage.lost:
            told[stage.stage, one.outcome, one.code] += one.rows
    assert told == lost


def test_every_ranked_candidate_was_looked_at_twice_and_has_its_oxidation_states(finished: ScreeningRun) -> None:
    ranked, compositions = finished.ranked.table, finished.ranked.compositions
    assert None not in ranked[Column.FLAGS].to_pylist()
    for row, states in enumerate(ranked[Column.OXIDATION_STATES].to_pylist()):
        assert sorted(states_of_words(states)) == compositions.elements[compositions.rows == row].tolist()
    # No open d shell, by pymatgen's groups, goes without a word of warning.
    warned = 0
    told = ranked.select([Column.OXIDATION_STATES, Column.FLAGS]).to_pylist()
    for states, codes in (row.values() for row in told):
        ions = [Species.from_str(ion) for ion in states.split()]
        electrons = [ion.element.group - ion.oxi_state for ion in ions if 3 <= ion.element.group <= 12]
        lanthanide = any(ion.element.is_rare_earth for ion in ions)
        if not lanthanide:
            assert ("open_shells" in codes) == any(0 < count < 10 for count in electrons), states
        warned += "open_shells" in codes
    assert 0 < warned < len(ranked)
    # Children that were not relaxed have the distances of their parents.
    assert set(ranked[Column.BOND_VALENCE_SUMS].to_pylist()) == {""}
    page = finished.report.read_text("utf-8")
    assert 'lang="zh-CN">氧化态</span>' in page


def test_fates_tell_value_limit_and_source(finished: ScreeningRun, partitions: pa.Table) -> None:
    def values(code: str) -> list[tuple[str, str, str]]:
        table = fates.filter(pa.compute.equal(fates["code"], code))
        return list(zip(*(table[name].to_pylist() for name in ("value", "limit", "source")), strict=True))

    merges = pa.concat_tables([pq.read_table(path) for path in files_of(RunDirectory(finished.folder).fates)])
    fates = pa.concat_tables([partitions.select(FATE_COLUMNS), merges])
    assert {value for value, *_ in values(EXCLUDED_ELEMENT)} > {"Cd", "Hg"}
    assert {source for *_, source in values(OUTSIDE_DOMAIN)} <= set(TARGETS)
    least = finished.ranked.column("probability").min()
    for value, limit, source in values(BELOW_CUT):
        assert float(value) <= least + 1e-6
        assert (limit, source) == (str(KEEP), "most probable")
    assert sorted(values(CHOSEN)) == [(str(place), str(SIZE), "") for place in range(1, SIZE + 1)]
    with_files = {name for line in Manifest(finished.folder).of_kind("fates") for name in line["files"]}
    assert with_files == {
        f"fates/{name}.parquet" for name in ("surrogates/below-cut", "surrogates/equal-crystals", "shortlist/choice")
    }


def equal_crystals(run: ScreeningRun) -> int:
    """How many of the best were left out because an equal crystal stands above them."""
    (ranking,) = [stage for stage in run.summary.funnel if stage.stage == "ranking"]
    return sum(lost.rows for lost in ranking.lost if lost.code == EQUAL_CRYSTAL)


def test_funnel_adds_up(finished: ScreeningRun) -> None:
    funnel = finished.summary.funnel
    assert [stage.stage for stage in funnel] == [
        "intake", "filter exclude_elements", "filter exclude_radioactive", "filter new_compounds",
        "features", "surrogates", "domain", "ranking", "shortlist",
    ]  # fmt: skip
    entering = finished.summary.rows_in
    for stage in funnel:
        assert stage.rows_in == entering
        assert stage.rows_out == entering - sum(one.rows for one in stage.lost)
        assert all(one.rows > 0 for one in stage.lost)
        entering = stage.rows_out
    assert entering == SIZE
    assert funnel[-2].rows_out == KEEP - equal_crystals(finished)
    assert funnel[0].rows_out == ROWS


def test_every_lost_row_has_a_reason(partitions: pa.Table) -> None:
    for outcome, reason in zip(partitions["outcome"].to_pylist(), partitions["code"].to_pylist(), strict=True):
        assert outcome in ("rejected", "quarantined", SCORED)
        assert bool(reason) == (outcome != SCORED)


def test_ranked_are_the_best_of_all_that_were_scored(finished: ScreeningRun, partitions: pa.Table) -> None:
    scored = partitions.filter(pa.compute.equal(partitions["outcome"], SCORED))
    order = [("probability", "descending"), ("ranking_score", "descending"), ("candidate_id", "ascending")]
    best = scored.sort_by(order)["candidate_id"].to_pylist()
    kept = set(finished.ranked.ids)
    assert kept <= set(best[:KEEP])
    assert KEEP - len(kept) == equal_crystals(finished)  # one of the best may be a crystal that stands above already


def test_ranked_are_sorted_and_numbered(finished: ScreeningRun) -> None:
    ranked = finished.ranked
    order = list(zip(-ranked.column("probability"), -ranked.column("ranking_score"), ranked.ids, strict=True))
    assert order == sorted(order)
    left = KEEP - equal_crystals(finished)
    assert len(set(ranked.ids)) == len(ranked) == left
    assert ranked.column("rank").tolist() == list(range(1, left + 1))


def test_shortlist_is_a_part_of_the_ranked(finished: ScreeningRun) -> None:
    places = finished.ranked.column("shortlisted")
    assert sorted(places[places > 0].tolist()) == [1, 2, 3, 4, 5]
    assert places[0] == 1  # the most probable one always comes first
    assert len({formula for formula, place in zip(finished.ranked.formulas, places, strict=True) if place}) == SIZE
    shortlist = finished.shortlist
    assert shortlist["shortlisted"].tolist() == [1, 2, 3, 4, 5]
    with RunDirectory(finished.folder).shortlist.open(encoding="utf-8-sig", newline="") as file:
        assert [row["candidate_id"] for row in csv.DictReader(file)] == shortlist["candidate_id"].tolist()
    cifs = sorted(path.stem.rpartition("_")[2] for path in files_of(RunDirectory(finished.folder).cif))
    assert cifs == sorted(shortlist["candidate_id"])


def test_numbers_are_finite_and_fit_together(finished: ScreeningRun) -> None:
    ranked = finished.ranked
    joint = np.ones(len(ranked))
    for name in TARGETS:
        mean, low, high, sigma = (ranked.column(f"{name}_{suffix}") for suffix in ("pred", "lo", "hi", "sigma"))
        assert np.isfinite([mean, low, high, sigma]).all()
        assert ((low <= mean) & (mean <= high) & (low < high) & (sigma > 0)).all()
        joint *= ranked.column(f"probability_{name}")
        assert ((ranked.column(f"probability_{name}") >= 0) & (ranked.column(f"probability_{name}") <= 1)).all()
    np.testing.assert_allclose(ranked.column("probability"), joint, rtol=1e-12)
    assert ranked.column("in_domain").all()
    for column in ("substitution_probability", "space_group_number"):
        assert np.isfinite(ranked.column(column)).all()


def test_what_was_scored_has_numbers_and_nothing_else(partitions: pa.Table) -> None:
    scored = np.array(partitions["outcome"].to_pylist()) == SCORED
    stages = partitions["stage"].to_pylist()
    unasked = np.array([stage in ("intake", "features") or stage.startswith("filter") for stage in stages])
    assert scored.any()
    assert unasked.any()
    for name in [
        "probability",
        *(f"{target}_{suffix}" for target in TARGETS for suffix in ("pred", "lo", "hi", "sigma")),
    ]:
        column = partitions[name].to_numpy()
        assert np.isfinite(column[scored]).all(), name
        assert np.isnan(column[unasked]).all(), name


def test_filters_hold_for_the_ranked(finished: ScreeningRun) -> None:
    present = finished.ranked.compositions.element_mask().any(axis=0)
    assert not {SYMBOLS[number] for number in np.flatnonzero(present)} & ({"Cd", "Hg"} | RADIOACTIVE)
    known, holders = finished.ranked.column("known"), finished.ranked.column("known_to").tolist()
    assert [held != "" for held in holders] == known.tolist()
    assert set(holders) <= {"", "materials_project", "oqmd", "materials_project, oqmd"}, "it asks two other lists"


def test_cells_are_those_of_the_candidates(finished: ScreeningRun) -> None:
    ranked = finished.ranked
    assert crystal_ids(ranked.crystals) == ranked.ids
    assert set(ranked.crystals.row_codes().tolist()) == {""}


def test_wanted_ranges_come_from_the_campaign_and_the_training_data(finished: ScreeningRun) -> None:
    ranges = finished.summary.ranges
    assert ranges["refractive_index"] == (1.5, 3.0)
    card = json.loads((finished.folder / "models/surrogates/piezoelectric_modulus/card.json").read_text("utf-8"))
    assert ranges["piezoelectric_modulus"] == (card["best_of_training"][1], None)
    assert card["formulas"] <= card["rows_trained"]


def test_the_shortlist_that_is_handed_over_says_what_is_new(finished: ScreeningRun) -> None:
    reports = json.loads((finished.folder / "novelty.json").read_text("utf-8"))["finalists"]
    with (finished.folder / "shortlist.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = [(row["candidate_id"], row["novelty"]) for row in csv.DictReader(file)]
    assert rows
    assert rows == [(report["candidate_id"], report["novelty"]) for report in reports]


def test_run_says_what_made_it(finished: ScreeningRun) -> None:
    summary = finished.summary
    assert (summary.campaign, summary.seed, summary.workers) == ("small", 0, 2)
    assert summary.versions["matloop"] == importlib.metadata.version("matloop")
    assert {"numpy", "scikit-learn", "pyarrow", "dask"} <= set(summary.versions)
    assert all(seconds >= 0 for seconds in summary.seconds.values())
    assert read_campaign(finished.folder / "campaign.yaml") == campaign()


def test_whole_files_under_their_final_names(finished: ScreeningRun) -> None:
    names = [path.relative_to(finished.folder).as_posix() for path in files_of(finished.folder)]
    assert {
        "campaign.yaml",
        "run.json",
        "ranked.parquet",
        "shortlist.csv",
        "partitions/surrogates/part-00000.parquet",
    } <= set(names)
    assert not [name for name in names if "/." in f"/{name}" or name.endswith((".partial", ".tmp"))]


def is_pickle(content: bytes) -> bool:
    return content[:1] == b"\x80" and content[1:2] in b"\x02\x03\x04\x05"


def test_no_file_can_run_code(finished: ScreeningRun) -> None:
    assert is_pickle(b"\x80\x04\x95")
    suffixes = {path.suffix for path in files_of(finished.folder)}
    assert suffixes <= {".yaml", ".json", ".jsonl", ".parquet", ".csv", ".cif", ".html", ".npz", ".txt"}
    for path in files_of(finished.folder):
        assert not is_pickle(path.read_bytes()), path.name
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                assert all(arrays[name].dtype != object for name in arrays.files)


def test_a_run_may_be_moved(finished: ScreeningRun) -> None:
    place = str(finished.folder.parent).encode()
    assert [path.name for path in files_of(finished.folder) if place in path.read_bytes()] == []


def test_progress_was_told_of_every_row(told: Told, finished: ScreeningRun) -> None:
    assert told.steps == [("training surrogates", 2), ("scoring candidates", finished.summary.rows_in)]
    assert told.units == [2, ROWS + REPEATS]
    assert sorted(note.split(":")[0] for note in told.notes[:2]) == [
        "surrogates, piezoelectric_modulus", "surrogates, refractive_index",
    ]  # fmt: skip


def test_a_folder_in_use_is_refused_before_anything_starts(finished: ScreeningRun, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in files_of(finished.folder)}
    with pytest.raises(RunError, match="is not empty"):
        screen(campaign(), output=finished.folder)
    assert {path: path.stat().st_mtime_ns for path in files_of(finished.folder)} == before


def test_a_campaign_made_in_python_is_checked_like_a_file(tmp_path: Path) -> None:
    wrong = campaign(filters=[{"exclude_elements": ["Qq"]}], shortlist={"size": 100})
    with pytest.raises(CampaignError, match=r"(?s)filters\.0: .*Qq.*shortlist\.size: is larger than"):
        screen(wrong, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()
