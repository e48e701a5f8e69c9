"""The same campaign in other ways, and campaigns that go wrong. Workers and surrogates are those of earlier runs."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from matloop.data.candidates.reasons import REPEATED
from matloop.data.errors import CampaignError, RunError
from matloop.data.runs.directory import RunDirectory
from matloop.data.sources.embedded import EmbeddedCrystals
from matloop.workflows.inspecting.why import story_of
from matloop.workflows.screen import ScreeningRun, screen
from matloop.workflows.stages.fates import FATE_COLUMNS, SCORED
from tests.workflows.conftest import SMALL, campaign, files_of, results_of

PIEZO = SMALL["targets"][0]
TRAINED = {"features": SMALL["surrogates"]["features"], "keep": 60}
FORMULAS = [
    "NaN",
    "InF",
    "BaTiO3",
    "ZnS",
    "GaAs",
    "TiO2",
    "AlN",
    "KNbO3",
    "LiTaO3",
    "SiO2",
    "ZnO",
    "PbTiO3",
    "CdTe",
    "MgO",
]

Rerun = Callable[..., ScreeningRun]


@pytest.fixture
def rerun(trained: None, tmp_path: Path) -> Rerun:
    """Run a variant of the small campaign with surrogates that are trained and workers that are there already."""

    def run(output: str = "again", partition_rows: int = 10_000, **changes: Any) -> ScreeningRun:
        return screen(campaign(**changes), output=tmp_path / output, workers=2, partition_rows=partition_rows)

    return run


def outcomes(run: ScreeningRun) -> dict[str, tuple[str, str, str]]:
    """Outcome, stage and code by origin; duplicates left out."""
    table = pa.concat_tables([pq.read_table(path) for path in files_of(RunDirectory(run.folder).partitions)])
    table = table.filter(pa.compute.not_equal(table["code"], REPEATED))
    origins = [
        origin or formula
        for origin, formula in zip(table["origin"].to_pylist(), table["formula"].to_pylist(), strict=True)
    ]
    return dict(
        zip(origins, zip(*(table[k].to_pylist() for k in ("outcome", "stage", "code")), strict=True), strict=True)
    )


def fates_of(run: ScreeningRun) -> list[tuple[str, ...]]:
    """Every fate row of a run, in the order of its texts."""
    folder = RunDirectory(run.folder)
    tables = [pq.read_table(path, columns=list(FATE_COLUMNS)) for path in files_of(folder.partitions)]
    ended = [table.filter(pa.compute.not_equal(table["outcome"], SCORED)) for table in tables]
    whole = pa.concat_tables([*ended, *map(pq.read_table, files_of(folder.fates))])
    return sorted(zip(*(whole[name].to_pylist() for name in FATE_COLUMNS), strict=True))


def write_table(path: Path, formulas: list[str]) -> dict[str, Any]:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [["id", "formula"], *([f"row {at}", formula] for at, formula in enumerate(formulas))]
        )
    return {"sources": [{"table": {"path": str(path)}}], "filters": [], "targets": [PIEZO], "surrogates": TRAINED}


def test_one_worker_and_small_partitions_give_the_same_bytes(finished: ScreeningRun, tmp_path: Path) -> None:
    again = screen(campaign(), output=tmp_path / "again", workers=1, partition_rows=97)
    assert len(files_of(RunDirectory(again.folder).partitions)) == 21 + 4
    results = [results_of(run.folder) for run in (again, finished)]
    for found in results:  # smaller partitions end fewer rows themselves and leave more to the merge
        del found["fates/surrogates/below-cut.parquet"]
    assert results[0] == results[1]
    assert fates_of(again) == fates_of(finished)
    for key in ("rows_in", "outcomes", "funnel", "ranges", "versions"):
        assert getattr(again.summary, key) == getattr(finished.summary, key)


def test_order_of_the_input_does_not_matter(rerun: Rerun, tmp_path: Path) -> None:
    shuffled = np.random.default_rng(1).permutation(FORMULAS).tolist()
    runs = [
        rerun(output=f"run {at}", partition_rows=4, **write_table(tmp_path / f"{at}.csv", formulas))
        for at, formulas in enumerate([FORMULAS, shuffled])
    ]
    first, second = (RunDirectory(run.folder) for run in runs)
    assert first.ranked.read_bytes() == second.ranked.read_bytes()
    assert first.shortlist.read_bytes() == second.shortlist.read_bytes()
    assert outcomes(runs[0]) == outcomes(runs[1])


def test_elements_without_data_get_no_number(rerun: Rerun, tmp_path: Path) -> None:
    """Oganesson has no row in the property table; trees would give it a normal-looking number all the same."""
    traps = ["Og2", "OgTe", "CmO2", "HeNe", "Fe0", "Xx", "", "None", "NaN", "0012345", "ZnS", "AlN", "SZn"]
    run = rerun(**write_table(tmp_path / "t.csv", traps), shortlist={"size": 5, "explore": True})
    found = outcomes(run)
    assert found["Og2"] == found["OgTe"] == ("quarantined", "features", "E-FEATURE-NODATA")
    assert found["HeNe"] == ("quarantined", "surrogates", "E-MODEL-ELEMENT")  # no compound of a noble gas taught
    story = story_of(run.folder, "HeNe")["outcome"]
    assert story["meaning"].startswith("E-MODEL-ELEMENT: an element never occurred")
    assert found["Fe0"] == ("quarantined", "intake", "E-FORMULA-AMOUNT")
    assert found["Xx"] == ("quarantined", "intake", "E-FORMULA-ELEMENT")
    assert found[""] == ("quarantined", "intake", "E-FORMULA-EMPTY")
    assert found["None"] == found["0012345"] == ("quarantined", "intake", "E-FORMULA-SYNTAX")
    assert sorted(run.ranked.formulas) == [
        "AlN",
        "CmO2",
        "NaN",
        "ZnS",
    ]  # curium was left out like others, with wide intervals
    assert run.summary.rows_in == len(traps)
    assert run.summary.outcomes == {"quarantined": 8, "rejected": 1, "shortlisted": 4}


def test_nothing_left_is_a_result_too(rerun: Rerun, tmp_path: Path) -> None:
    settings = write_table(tmp_path / "t.csv", ["NaCl", "MgO", "?"])
    run = rerun(**{**settings, "filters": [{"exclude_elements": ["Cl", "O"]}]})
    assert run.summary.outcomes == {"quarantined": 1, "rejected": 2, "shortlisted": 0}
    assert len(run.ranked) == len(run.shortlist) == 0
    assert run.report.is_file()
    assert [stage.rows_out for stage in run.summary.funnel] == [2, 0, 0, 0, 0, 0, 0]


def test_rows_that_are_all_refused(rerun: Rerun, tmp_path: Path) -> None:
    run = rerun(**write_table(tmp_path / "t.csv", ["?", "Xx", ""]))
    assert run.summary.outcomes == {"quarantined": 3, "rejected": 0, "shortlisted": 0}


def test_sources_without_a_row_are_refused(rerun: Rerun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CampaignError, match=r"t\.csv holds no rows"):
        rerun(**write_table(tmp_path / "t.csv", []))
    monkeypatch.setattr(EmbeddedCrystals, "count", lambda self: 0)
    monkeypatch.setattr(EmbeddedCrystals, "intakes", lambda self, size: iter(()))
    with pytest.raises(RunError, match="the sources gave no candidates"):
        rerun(sources=["embedded"], filters=[], targets=[PIEZO])


def test_crystals_and_compositions_in_one_campaign(rerun: Rerun, tmp_path: Path) -> None:
    settings = write_table(tmp_path / "t.csv", FORMULAS)
    children = {"ionic_substitution": {"limit": 40, "min_probability": 1e-2}}
    run = rerun(**{**settings, "sources": [children, *settings["sources"]]})
    assert run.summary.rows_in == 40 + len(FORMULAS)
    assert set(run.ranked.formulas) & set(FORMULAS)


def test_a_result_nobody_counted_is_noticed(rerun: Rerun, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that announces more rows than it gives must not end in a shortlist."""
    monkeypatch.setattr(EmbeddedCrystals, "count", lambda self: 7000)
    with pytest.raises(RunError, match="announced 7000 rows and 6317 came in"):
        rerun(sources=["embedded"], filters=[], targets=[PIEZO])
