"""``matloop why``: stories of candidates, held against what the run as a whole says."""

import functools
import json
import operator
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import BELOW_CUT, CHOSEN, EQUAL_CRYSTAL, REPEATED, Reason
from matloop.data.errors import DamagedFileError, RunError
from matloop.data.runs.manifest import Manifest, sha256_of
from matloop.screening.campaign.campaign_file import write_campaign
from matloop.screening.flags.flags import raised_in
from matloop.screening.runs.run_view import RunView
from matloop.workflows.cli import main
from matloop.workflows.inspecting.run_rows import Row, _wanted
from matloop.workflows.inspecting.why import _several, story_of
from matloop.workflows.inspecting.why_text import _cut, print_why
from matloop.workflows.screen import ScreeningRun
from matloop.workflows.stages.fates import fate_table
from tests.workflows.conftest import campaign

Capsys = pytest.CaptureFixture[str]


def outcomes_of(folder: Path) -> pa.Table:
    paths = sorted((folder / "partitions" / "surrogates").glob("*.parquet"))
    names = ["candidate_id", "formula", "origin", "outcome", "stage", "code", "probability"]
    return pa.concat_tables([pq.read_table(path, columns=names) for path in paths])


def ids_where(table: pa.Table, **values: str) -> list[str]:
    for name, value in values.items():
        table = table.filter(pc.equal(table[name], value))
    return table["candidate_id"].to_pylist()


def text_of(folder: Path, text: str, capsys: Capsys) -> str:
    capsys.readouterr()
    print_why(folder, text)
    return capsys.readouterr().out


def test_the_stories_add_up_to_what_the_run_counted(finished: ScreeningRun) -> None:
    """The story of every candidate that went on ends as the run's own funnel counts it; of the others a few do."""
    view = RunView(finished.folder)
    table = outcomes_of(finished.folder)
    scored = table.filter(pc.equal(table["outcome"], "scored")).sort_by([("probability", "descending")])
    told: Counter[tuple[str, str, str]] = Counter()
    for name in scored["candidate_id"].to_pylist()[:80]:
        outcome = story_of(view, name)["outcome"]
        told[outcome["stage"], outcome["outcome"], outcome["code"]] += 1
    assert told.pop(("ranking", "rejected", BELOW_CUT)) == 20
    counted = {
        (stage.stage, lost.outcome, lost.code): lost.rows
        for stage in finished.summary.funnel
        for lost in stage.lost
        if lost.code == EQUAL_CRYSTAL or stage.stage == "shortlist"
    }
    assert told == {**counted, ("shortlist", "shortlisted", CHOSEN): finished.summary.outcomes["shortlisted"]}
    for stage in set(table["stage"].to_pylist()) - {"intake", "ranking"}:
        name = ids_where(table, stage=stage)[0]
        assert story_of(finished.folder, name)["outcome"]["stage"] == stage


def test_a_shortlisted_candidate(finished: ScreeningRun, capsys: Capsys) -> None:
    best = finished.shortlist.iloc[0]
    story = story_of(finished.folder, best["candidate_id"])
    assert story["ranking"]["place"] == 1
    assert story["ranking"]["rank"] == best["rank"]
    (stage,) = story["stages"]
    assert stage["kept"]
    assert stage["probability"] >= stage["cut"] > 0
    explained = json.loads((finished.folder / "explanations.json").read_text())["finalists"][0]
    assert stage["cut"] == pytest.approx(explained["stages"][0]["cut"])
    assert story["standing"]["needed"] == explained["needed"]
    values = {told["property"]: told for told in story["ranking"]["predictions"]}
    for name in ("refractive_index", "piezoelectric_modulus"):
        assert values[name]["low"] == best[f"{name}_selected_lo"]
        assert values[name]["probability"] == best[f"probability_{name}"]
    text = text_of(finished.folder, best["candidate_id"], capsys)
    assert text.startswith(f"{best['formula']} ({best['candidate_id']}) is shortlisted, place 1 of at most 5.\n")
    assert f"It came from ionic_substitution as {best['origin']}, in partition " in text
    assert f"it would fall out with a probability below {explained['needed']:.3f}" in text
    assert f"Oxidation states: {best['assigned_oxidation_states']}." in text
    assert text.count("Look twice: ") == len(raised_in(best["flags"]))
    assert "filter exclude_elements: none of the 2 excluded elements" in text


@pytest.mark.parametrize(
    ("place", "own", "needed", "score", "said"),
    [
        (0, 0.12, 0.14, None, "To be shortlisted it would have needed a probability of 0.140."),
        (0, 0.1400002, 0.1400004, None, "To be shortlisted it would have needed a probability of 0.14000040."),
        (0, 0.14, 0.14, 0.35, "more than 0.35 was needed, it has 0.31."),
        (0, 0.14, 0.14, 0.31, "have the same ranking score too, and come first by id."),
        (0, 0.14, 0.12, None, None),  # too many misses are expected down to it, which its fate says
        (2, 0.15, 0.14, None, "Others unchanged, it would fall out with a probability below 0.140."),
        (2, 0.14, 0.14, 0.3, "with a probability below 0.140, or with this one and a ranking score below 0.3."),
    ],
)
def test_what_would_put_it_out_or_in(
    place: int, own: float, needed: float, score: float | None, said: str | None
) -> None:
    standing = {"needed": needed, "ranking_score": 0.31, "ranking_score_needed": score}
    lines = list(_cut({"place": place, "probability": own, "score": None}, standing, "probability"))
    assert len(lines) == (said is not None)
    assert all(line.endswith(str(said)) for line in lines)


def test_the_crystal_is_the_one_that_came_in(finished: ScreeningRun) -> None:
    ranked = finished.ranked
    story = story_of(finished.folder, ranked.ids[0])
    structure = ranked.structure(0)
    assert story["crystal"]["lengths"] == pytest.approx(structure.lattice.abc, abs=1e-4)
    assert story["crystal"]["angles"] == pytest.approx(structure.lattice.angles, abs=0.01)
    assert story["crystal"]["volume_per_atom"] == pytest.approx(structure.volume / len(structure), abs=1e-3)
    assert story["crystal"]["space_group_number"] == ranked.table["space_group_number"][0].as_py()
    assert story["crystal"]["sites"] == len(structure)


def test_the_cut_of_the_ranking(finished: ScreeningRun, capsys: Capsys) -> None:
    table = outcomes_of(finished.folder)
    kept = set(finished.ranked.ids)
    dropped = [name for name in ids_where(table, outcome="scored") if name not in kept]
    stories = [story_of(finished.folder, name) for name in dropped[:20]]
    below = [story for story in stories if story["outcome"]["code"] == BELOW_CUT]
    assert below
    for story in below:
        (stage,) = story["stages"]
        assert not stage["kept"]
        assert stage["probability"] <= stage["cut"] == pytest.approx(finished.ranked.column("probability")[-1])
    text = text_of(finished.folder, below[0]["candidate_id"], capsys)
    assert "was rejected (stage ranking): below the 60 most probable." in text
    assert "it did not go on: of the 60 kept the least probable has " in text


def test_a_repeated_candidate_tells_who_repeats_it(finished: ScreeningRun, capsys: Capsys) -> None:
    table = outcomes_of(finished.folder)
    name = ids_where(table, code=REPEATED)[0]
    story = story_of(finished.folder, name)
    assert story["outcome"]["code"] != REPEATED
    assert len(story["came_from"]["repeated_by"]) == 1
    assert story["came_from"]["sources"] == ["ionic_substitution"]
    assert "It was given 2 times; these repeat it: " in text_of(finished.folder, name, capsys)


def test_asking_by_formula_prefix_or_in_other_words(finished: ScreeningRun, capsys: Capsys) -> None:
    table = outcomes_of(finished.folder)
    table = table.filter(pc.not_equal(table["code"], REPEATED))
    counts = Counter(table["formula"].to_pylist())
    single = next(formula for formula, n in counts.items() if n == 1)
    (name,) = ids_where(table, formula=single)
    assert story_of(finished.folder, single)["candidate_id"] == name
    assert story_of(finished.folder, name[:10])["candidate_id"] == name
    several, number = counts.most_common(1)[0]
    story = story_of(finished.folder, several)
    assert {row["candidate_id"] for row in story["matches"]} == set(ids_where(table, formula=several))
    text = text_of(finished.folder, several, capsys)
    assert text.startswith(f"{number} candidates are meant")
    for row in story["matches"]:
        assert row["candidate_id"] in text
    assert story_of(finished.folder, "F2H1Tl1") == story_of(finished.folder, "TlHF2")
    with pytest.raises(RunError, match="short for an id"):
        story_of(finished.folder, name[:5])
    for unknown in ("xffffffffff", "LiUnobtainium", "not there", "Xe8F"):
        with pytest.raises(RunError, match="no candidate"):
            story_of(finished.folder, unknown)
    with pytest.raises(RunError, match="no run in"):
        story_of(finished.folder / "cif", "NaCl")


def write(folder: Path, name: str, table: pa.Table) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / name)


def outcome_table(batch: CandidateBatch, stage: str, probability: list[float | None], **changes: list[str]) -> pa.Table:
    """A partition file in which every candidate is scored, but for what ``changes`` says."""
    n = len(batch)
    data: dict[str, Any] = {
        "candidate_id": batch.ids, "formula": batch.formulas, "origin": [f"own-{i}" for i in range(n)],
        "outcome": ["scored"] * n, "stage": [stage] * n, "code": [""] * n, "value": [""] * n, "limit": [""] * n,
        "source": [""] * n, "detail": [""] * n,
        "probability": pa.array(probability, pa.float32()),
    }  # fmt: skip
    return pa.table({**data, **changes})


@pytest.fixture
def staged(tmp_path: Path) -> tuple[Path, CandidateBatch]:
    """A run of six candidates with three stages, cut off before the third; formulas carry traps for terminals."""
    folder = tmp_path / "run"
    folder.mkdir()
    spec = campaign(
        sources=[{"table": {"path": "candidates.csv"}}],
        surrogates={"features": ["stoichiometry"], "keep": 4},
        structure={"features": ["density"], "keep": 2},
        potential={"name": "chgnet"},
    )
    (folder / "campaign.yaml").write_text(write_campaign(spec))
    batch = CandidateBatch.from_formulas(["NaCl", "KCl", "RbCl", "CsCl", "LiCl", "TlCl"]).batch
    batch = batch.with_columns(origin=[f"own-{i}" for i in range(6)])
    write(folder, "candidates/part-00000.parquet", batch.to_arrow())
    chances = [0.9, 0.8, 0.7, 0.6, 0.5, 0.5]
    write(folder, "partitions/surrogates/part-00000.parquet", outcome_table(batch, "ranking", list(chances)))
    best = batch.with_columns(probability=np.array(chances))
    merge(folder, "surrogates", best.take([4, 5]), least=0.6)
    write(folder, "best/surrogates/part-00000.parquet", best.to_arrow())
    second = best.take([0, 1, 2, 3])
    codes = ["", "", "", "E-FEATURE-CRYSTAL"]
    outcomes = ["scored"] * 3 + ["quarantined"]
    table = outcome_table(second, "structure", [0.2, 0.9, 0.4, None], outcome=outcomes, code=codes)
    write(folder, "partitions/structure/part-00000.parquet", table)
    write(folder, "best/structure/part-00000.parquet", rated_of(batch).to_arrow())
    return folder, batch


def rated_of(batch: CandidateBatch) -> CandidateBatch:
    return batch.take([0, 1, 2]).with_columns(probability=np.array([0.2, 0.9, 0.4]))


def merge(folder: Path, stage: str, ended: CandidateBatch, *, least: float, keep: int = 4) -> None:
    """Write the fates of candidates below a cut, and the line of the manifest."""
    reasons = [Reason(BELOW_CUT, float(p), keep) for p in ended.column("probability")]
    part = "ranking" if stage == "surrogates" else stage
    write(folder, f"fates/{stage}/below-cut.parquet", fate_table(ended.table, "rejected", part, reasons))
    Manifest(folder).append("fates", stage=stage, merge="below-cut", files={}, counts=[], least=least)


def test_stages_one_after_the_other(staged: tuple[Path, CandidateBatch]) -> None:
    folder, batch = staged
    last = story_of(folder, "LiCl")
    assert (last["outcome"]["code"], last["outcome"]["meaning"]) == (BELOW_CUT, "below the 4 most probable")
    assert (last["stages"][0]["cut"], last["stages"][0]["kept"]) == (0.6, False)
    quarantined = story_of(folder, "CsCl")
    assert [stage["outcome"] for stage in quarantined["stages"]] == ["scored", "quarantined"]
    assert quarantined["outcome"]["meaning"].startswith("E-FEATURE-CRYSTAL: the feature needs a crystal")
    waiting = story_of(folder, "NaCl")  # nothing tells yet that all of the second stage are in
    assert (waiting["outcome"]["outcome"], waiting["outcome"]["stage"]) == ("waiting", "structure")
    merge(folder, "structure", rated_of(batch).take([0]), least=0.4, keep=2)
    relaxed = batch.take([1]).with_columns(probability=np.array([0.3]))
    write(folder, "partitions/potential/part-00000.parquet", outcome_table(relaxed, "potential", [0.3]))
    write(folder, "best/potential/part-00000.parquet", relaxed.to_arrow())
    assert story_of(folder, "NaCl")["outcome"]["meaning"] == "below the 2 most probable"
    rest = dict.fromkeys(("code", "value", "limit", "source"), "")
    waits = {"outcome": "waiting", "stage": "potential", **rest, "meaning": "its partition is not finished"}
    assert story_of(folder, "RbCl")["outcome"] == waits
    first = story_of(folder, "KCl")
    assert [stage["stage"] for stage in first["stages"]] == ["surrogates", "structure", "potential"]
    assert (first["outcome"]["outcome"], first["outcome"]["stage"]) == ("waiting", "potential")
    merge(folder, "potential", relaxed.take([]), least=0.3)
    placed = outcome_table(relaxed, "stability", [0.1]).append_column("hull_distance", pa.array([0.08]))
    write(folder, "partitions/stability/part-00000.parquet", placed)
    judged = story_of(folder, "KCl")
    assert [stage["stage"] for stage in judged["stages"]] == ["surrogates", "structure", "potential", "stability"]
    assert judged["stages"][-1]["further"] == {"hull_distance": 0.08}
    assert judged["outcome"]["stage"] == "stability"
    assert story_of(folder, "own-1")["candidate_id"] == batch.ids[1]


def test_candidates_whose_partition_is_not_finished(staged: tuple[Path, CandidateBatch], capsys: Capsys) -> None:
    folder, _ = staged
    later = CandidateBatch.from_formulas(["MgO", "CaO"]).batch.with_columns(origin=["own-8", "own-9"])
    write(folder, "candidates/part-00001.parquet", later.to_arrow())
    refused = {
        "row": [5],
        "candidate_id": ["r" + 20 * "1"],
        "formula": ["Fe0\x1b[31m\u202e"],
        "code": ["E-FORMULA-AMOUNT"],
    }
    write(folder, "candidates/refused-part-00001.parquet", pa.table({**refused, "detail": [""]}))
    assert story_of(folder, "MgO")["outcome"]["meaning"] == "its partition is not finished"
    assert story_of(folder, "own-9")["formula"] == "CaO"
    text = text_of(folder, "r111111", capsys)
    assert "E-FORMULA-AMOUNT: an amount is zero, too large or not a number" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.startswith("Fe0[31m (r1111")


def test_an_equal_crystal_that_was_merged_away(finished: ScreeningRun, tmp_path: Path, capsys: Capsys) -> None:
    """The story names what stands for both."""
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    first, name = finished.ranked.ids[0], finished.ranked.ids[-1]
    for path in sorted((folder / "fates").glob("*/*.parquet")):
        table = pq.read_table(path)
        pq.write_table(table.filter(pc.not_equal(table["candidate_id"], name)), path)
    twin = finished.ranked.take([len(finished.ranked) - 1])
    fate = fate_table(twin.table, "rejected", "ranking", [Reason(EQUAL_CRYSTAL, source=first)])
    write(folder, "fates/surrogates/equal-crystals.parquet", fate)
    for line in (manifest := Manifest(folder)).of_kind("fates"):  # of a run in which it came out so
        files = {file: sha256_of(folder / file) for file in line["files"]}
        sizes = {file: (folder / file).stat().st_size for file in files}
        manifest.append(**{**line, "files": files, "sizes": sizes})
    story = story_of(folder, name)
    assert (story["outcome"]["stage"], story["outcome"]["code"]) == ("ranking", EQUAL_CRYSTAL)
    assert story["equal_to"]["candidate_id"] == first
    assert story["equal_to"]["probability"] == finished.ranked.column("probability")[0]
    assert story_of(folder, first)["outcome"]["outcome"] == "shortlisted"
    assert f"It is the same crystal as {first}, which stands for both" in text_of(folder, name, capsys)


@pytest.mark.parametrize("name", ["partitions/surrogates/part-00001.parquet", "explanations.json", "ranked.parquet"])
def test_damaged_files_are_told(name: str, finished: ScreeningRun, tmp_path: Path, capsys: Capsys) -> None:
    folder, best = tmp_path / "run", finished.ranked.ids[0]
    shutil.copytree(finished.folder, folder)
    (folder / name).write_bytes(b"PAR1 cut off")
    assert any(
        told.startswith(f"E-FILE-DAMAGED: {name} has 12 bytes where it had")
        for told in story_of(folder, best)["problems"]
    )
    assert f"Damaged: E-FILE-DAMAGED: {name} has 12 bytes where it had" in text_of(folder, best, capsys)


def test_a_candidate_that_may_be_in_a_damaged_file(staged: tuple[Path, CandidateBatch]) -> None:
    folder, _ = staged
    (folder / "partitions/surrogates/part-00000.parquet").write_bytes(b"")
    with pytest.raises(DamagedFileError, match=r"'NaCl' is in no file that can be read; 1 file of the run cannot"):
        story_of(folder, "NaCl")


def test_the_command(finished: ScreeningRun, monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    name = finished.ranked.ids[0]
    for arguments, code in ((["--json"], 0), ([], 0)):
        monkeypatch.setattr(sys, "argv", ["matloop", "why", str(finished.folder), name, *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        assert int(ended.value.code or 0) == code
        told = capsys.readouterr().out
        assert json.loads(told)["candidate_id"] == name if arguments else told.startswith(finished.ranked.formulas[0])
    monkeypatch.setattr(sys, "argv", ["matloop", "why", str(finished.folder), "Xe9"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("matloop: E-RUN: no candidate 'Xe9' in ")


def test_refused_rows_and_repeats_are_found_by_the_users_own_name() -> None:
    """Two rows with one id are both told, and a refused row is told by what the user calls it."""
    rows = [
        Row("ca", "NaCl", "A1", "scored", "", "", "", "", "", "", 0),
        Row("cb", "KCl", "", "rejected", "", REPEATED, "", "", "", "A1", 0),
        Row("cb", "KCl", "B", "scored", "", "", "", "", "", "", 0),
        Row("rx", "Xx", "", "quarantined", "", "E-FORMULA-ELEMENT", "", "", "", "row 4: A1: no element", 0),
        Row("rx", "Xx", "", "quarantined", "", "E-FORMULA-ELEMENT", "", "", "", "row 5: A1: no element", 0),
    ]
    assert [row.candidate_id for row in _several(rows[:2])] == ["ca", "cb"]
    assert len(_several(rows)) == 4
    table = pa.table({name: [getattr(row, name) for row in rows] for name in ("origin", "detail", "formula")})
    told = functools.reduce(operator.or_, (_wanted("A1")[name] for name in ("origin", "detail")))
    assert table.filter(told).num_rows == 4
