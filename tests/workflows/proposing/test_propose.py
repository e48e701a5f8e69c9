"""The command that chooses the next batch of a finished run."""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from openpyxl import load_workbook
from typer.testing import CliRunner

from matloop.data.errors import MatloopError, RecordsError, RunError, RunFilesError
from matloop.data.properties.catalogue import catalogue
from matloop.data.properties.columns import Column
from matloop.data.records.database import open_records
from matloop.data.records.ledger import KnownCandidate, candidates_in
from matloop.data.records.proposals import ProposedCandidate, add_proposal, taken_candidates
from matloop.data.synthesis.furnace import onset_range
from matloop.data.synthesis.precursors import find_precursor
from matloop.models.acquisition.batch import STRATEGIES, Choice
from matloop.models.surrogates.surrogate import Surrogate
from matloop.screening.runs.run_view import RunView
from matloop.workflows.cli import app
from matloop.workflows.commands.propose import run_folder
from matloop.workflows.loop import proposed
from matloop.workflows.modelling.trained_model import TrainedModel
from matloop.workflows.proposing.claimed_folder import ClaimedFolder
from matloop.workflows.proposing.laboratory import Laboratory
from matloop.workflows.proposing.models_in_use import ModelsInUse
from matloop.workflows.proposing.outcomes import OutcomeFactor
from matloop.workflows.proposing.pool_chances import pool_chances
from matloop.workflows.proposing.proposal import ChosenCandidate, Wish, choose_proposal, why_of
from matloop.workflows.proposing.proposal_words import STRATEGY_LABELS, summary
from matloop.workflows.proposing.recorded_proposal import chosen_candidate, recorded
from matloop.workflows.proposing.scored_pool import PoolCounts, scored_parts
from matloop.workflows.screen import ScreeningRun
from matloop.workflows.stages import makeable
from matloop.workflows.stages.stage_features import stage_feature_set


def call(*arguments: object, exit_code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    assert done.exit_code == exit_code, done.output
    return done.output


def propose(run: Path, *options: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call("propose", run, "--json", *options))
    return found


def ids(batch: dict[str, Any]) -> list[str]:
    return [one["candidate_id"] for one in batch["candidates"]]


def test_pending_and_made_candidates_are_never_proposed_again(finished: ScreeningRun, tmp_path: Path) -> None:
    run, records = finished.view.folder, tmp_path / "records.sqlite"
    common: Sequence[object] = ("--records", records, "--batch", 4)
    first = propose(run, *common, "--output", tmp_path / "first")
    second = propose(run, *common, "--output", tmp_path / "second")
    assert len(set(ids(first)) | set(ids(second))) == 8
    assert second["left_out"]["pending"] == 4
    sheet = tmp_path / "back.csv"
    with (tmp_path / "first" / "result_sheet.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["candidate"] for row in rows} == set(ids(first))
    made = next(row for row in rows if row["property"] == "refractive index")
    made |= {"outcome": "made", "value": "2.1"}
    with sheet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(made))
        writer.writeheader()
        writer.writerow(made)
    assert "1 accepted" in call("import", sheet, "--records", records)
    third = propose(run, *common, "--output", tmp_path / "third")
    assert not set(ids(third)) & (set(ids(first)) | set(ids(second)))
    assert third["left_out"] | {"later_stage": 0} == {"made": 1, "pending": 7, "later_stage": 0}


def test_a_folder_that_cannot_be_written_records_nothing_and_files_can_be_written_again(
    finished: ScreeningRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, records, taken = finished.view.folder, tmp_path / "records.sqlite", tmp_path / "taken"
    command = ["propose", str(run), "--records", str(records), "--batch", "3"]
    taken.mkdir()
    (taken / "mine.txt").write_text("", "utf-8")
    for place in (taken, taken / "mine.txt", taken / "mine.txt" / "below"):
        fault = CliRunner().invoke(app, [*command, "--output", str(place)]).exception
        assert isinstance(fault, RunFilesError)
    assert not records.exists() or not taken_candidates(open_records(str(records))).pending
    assert [path.name for path in taken.iterdir()] == ["mine.txt"]

    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ClaimedFolder, "put_in_place", killed)
        CliRunner().invoke(app, [*command, "--output", str(tmp_path / "lost")])
    assert not (tmp_path / "lost").exists()
    pending = taken_candidates(open_records(str(records))).pending
    assert len(pending) == 3
    again = propose(run, "--records", records, "--again", "last", "--output", tmp_path / "again")
    assert set(ids(again)) == pending
    batch = propose(run, "--records", records, "--batch", 4, "--hottest-furnace", 1100, "--output", tmp_path / "first")
    short = batch["action"].partition("-")[2][:8]
    assert propose(run, "--records", records, "--again", short, "--output", tmp_path / "second") == batch
    first, second = ({path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")
                      if path.suffix not in (".json", ".xlsx")} for name in ("first", "second"))  # fmt: skip
    assert first == second
    assert len(first) > 4
    gone, *others = ids(batch)
    call("withdraw", gone, "--reason", "the furnace is down", "--records", records)
    assert ids(propose(run, "--records", records, "--again", short, "--output", tmp_path / "third")) == others
    with pytest.raises(RecordsError, match=short):
        proposed(run, "nothing", records=str(records))


def test_files_of_a_batch_in_chinese(finished: ScreeningRun, tmp_path: Path) -> None:
    told = call(
        "propose",
        finished.view.folder,
        "--records",
        tmp_path / "r.sqlite",
        "--output",
        tmp_path / "out",
        "--lang",
        "zh",
    )
    assert "入选原因" in told
    assert "探索份额 25%" in told
    with (tmp_path / "out" / "proposal.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["用途"] for row in rows] == ["有望达标"] * 6 + ["探索"] * 2
    cells = load_workbook(tmp_path / "out" / "result_sheet.xlsx").worksheets[0]
    assert len({row[0] for row in cells.iter_rows(min_row=2, values_only=True) if row[0]}) == 8
    assert len(list((tmp_path / "out" / "cif").glob("*.cif"))) == 8


def test_dry_run_writes_nothing(finished: ScreeningRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MATLOOP_RECORDS", raising=False)
    assert len(ids(propose(finished.view.folder, "--dry-run"))) == 8
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_is_reproducible(finished: ScreeningRun, strategy: str) -> None:
    first, second = (
        choose_proposal(RunView(finished.view.folder), Wish(5, strategy, 0.2, 3), Laboratory(), None) for _ in range(2)
    )
    assert [one.candidate_id for one in first.chosen] == [one.candidate_id for one in second.chosen]
    assert [one.choice.purpose for one in first.chosen] == ["exploit"] * 4 + ["explore"]
    assert len({one.formula for one in first.chosen}) == 5
    assert strategy in STRATEGY_LABELS


def test_first_choice_is_the_most_probable_of_the_pool(finished: ScreeningRun) -> None:
    view = RunView(finished.view.folder)
    chosen = choose_proposal(view, Wish(1, explored=0.0), Laboratory(), None).chosen[0]
    scores = np.asarray(view.ranked.column("ranking_score"), float)
    place = int(np.argmax(scores))
    assert chosen.candidate_id == view.ranked.ids[place]
    assert chosen.probability == pytest.approx(float(view.ranked.column("probability")[place]))


def test_limits_of_the_laboratory_hold_for_the_whole_batch(finished: ScreeningRun) -> None:
    view = RunView(finished.view.folder)
    found = choose_proposal(view, Wish(3, explored=0.0), Laboratory(same_furnace=True, hottest_furnace=1100.0), None)
    assert found.temperature is not None
    assert found.temperature <= 1100
    for one in found.chosen:
        onset = onset_range([find_precursor(name) for name in one.precursors])
        assert onset is not None
        assert onset.low <= found.temperature <= onset.high


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--elements", "He"], "E-PROPOSAL"), (["--strategy", "tompson"], "E-NAME-UNKNOWN"),
        (["--elements", "Xx"], "E-INPUT-FILE"),
    ],
)  # fmt: skip
def test_faults_have_codes(
    finished: ScreeningRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    fault = CliRunner().invoke(app, ["propose", str(finished.view.folder), "--dry-run", *options]).exception
    assert isinstance(fault, MatloopError)
    assert fault.code == code
    with pytest.raises(RunError, match="no finished run of a campaign"):
        run_folder("nothing.yaml")


def test_models_in_use_that_are_those_of_the_run_say_the_same(finished: ScreeningRun) -> None:
    view = RunView(finished.view.folder)
    models = {}
    for name in view.properties:
        surrogate = Surrogate.load(view.paths.model("surrogates", name))
        features = stage_feature_set(view.campaign, "surrogates")
        models[name] = TrainedModel(view.folder, name, surrogate, features, None, catalogue(), ())
    ranges = {name: (float(low or -np.inf), float(high or np.inf)) for name, (low, high) in view.ranges.items()}
    pools = []
    one, *others = view.properties
    of_run = {name: models[name].surrogate for name in others}
    for in_use in (
        ModelsInUse({}, ranges), ModelsInUse(models, ranges), ModelsInUse({one: models[one]}, ranges, of_run)
    ):  # fmt: skip
        parts = scored_parts(view, taken={}, laboratory=Laboratory(), counts=PoolCounts(), in_use=in_use)
        pools.append(next(part for part in parts if len(part.part)))
    for pool in pools[1:]:
        for first, second in zip(pools[0].prospects.targets, pool.prospects.targets, strict=True):
            np.testing.assert_allclose(first.mean, second.mean, rtol=1e-5)
            np.testing.assert_allclose(first.sigma, second.sigma, rtol=1e-4)
        np.testing.assert_allclose(pools[0].stated, pool.stated, rtol=1e-4)
    assert pools[0].prospects.probability is not None
    assert pools[1].prospects.probability is not None
    np.testing.assert_allclose(pools[0].prospects.probability, pools[1].prospects.probability, rtol=1e-4)


def test_status_judges_the_pool_as_a_batch_is_chosen_from_it(finished: ScreeningRun, tmp_path: Path) -> None:
    view, database = RunView(finished.view.folder), open_records(tmp_path / "r.sqlite")
    before = pool_chances(view, database, tmp_path / "models")
    wish = Wish(3, explored=0.0)
    batch = recorded(database, choose_proposal(view, wish, Laboratory(), database, models=tmp_path / "models"))
    after = pool_chances(view, database, tmp_path / "models")
    assert len(before) == batch.counts.free
    gone = sorted((Counter(before.tolist()) - Counter(after.tolist())).elements())  # crystals may be equally probable
    np.testing.assert_allclose(gone, sorted(one.probability for one in batch.chosen))
    assert [one.corrected for one in batch.chosen] == [one.probability for one in batch.chosen]
    assert any("Promised" in line.en for line in summary(batch))
    with database.reading() as connection:
        known = candidates_in(connection)
    for one in batch.chosen:  # what a result of 0 is held against
        stated = {name: (low, high) for name, (_, low, high) in one.predictions.items() if np.isfinite(low)}
        assert known[one.candidate_id].intervals == stated
    told = [line for line in summary(replace(batch, outdated=("band_gap",))) if line not in list(summary(batch))]
    assert ["band_gap" in line.en and "retrain" in line.en for line in told] == [True]


def test_two_proposals_of_one_candidate_are_refused(tmp_path: Path) -> None:
    database = open_records(tmp_path / "r.sqlite")
    batch = [ProposedCandidate("x1", KnownCandidate("BaTiO3"), {"purpose": "exploit"})]
    add_proposal(database, batch, details={})
    with pytest.raises(RecordsError, match="x1 was proposed"):
        add_proposal(database, batch, details={})
    assert taken_candidates(database).pending == {"x1"}


def test_a_batch_states_the_calibrated_intervals_of_the_run(finished: ScreeningRun) -> None:
    view = RunView(finished.view.folder)
    scored = pa.concat_tables([view.table(path) for path in view.parts(view.paths.partitions / "surrogates")])
    run = {row["candidate_id"]: row for row in (*scored.to_pylist(), *view.ranked.table.to_pylist())}
    asymmetry = []
    for one in propose(view.folder, "--dry-run")["candidates"]:
        for name, said in one["predictions"].items():
            stated = [run[one["candidate_id"]][f"{name}_{kind}"] for kind in ("pred", "lo", "hi")]
            assert [said["value"], said["lo"], said["hi"]] == pytest.approx(stated)
            asymmetry.append((said["hi"] - said["value"]) / (said["value"] - said["lo"]))
    assert max(abs(np.log(asymmetry))) > 0.1  # a normal interval would have equal halves


def test_successes_make_nothing_more_than_certain(finished: ScreeningRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OutcomeFactor, "of_candidates", lambda _, ids, compositions: np.full(len(ids), 1e4))
    stated = [one["probability"] for one in propose(finished.view.folder, "--dry-run")["candidates"]]
    assert max(stated) == 1


def test_an_open_interval_stays_open_in_the_records() -> None:
    one = ChosenCandidate("x1", "NaCl", Choice(0, "exploit", 1.0, 1.0, 1, -1, 0.0), 0.5, 0.5,
                          {"energy_above_hull": (0.3, 0.1, np.inf), "band_gap": (np.nan,) * 3}, 1.0, ())  # fmt: skip
    written = json.dumps(why_of(one), allow_nan=False)
    read = chosen_candidate("x1", "NaCl", written).predictions
    assert read["energy_above_hull"] == (0.3, 0.1, np.inf)
    assert np.isnan(read["band_gap"]).all()


def test_beside_models_in_use_a_makeable_phase_counts_as_in_the_run(
    finished: ScreeningRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refractive index stands for the energy above the hull, and a makeable phase is half as probable."""
    view, name = RunView(finished.view.folder), "piezoelectric_modulus"
    features = stage_feature_set(view.campaign, "surrogates")
    surrogate = Surrogate.load(view.paths.model("surrogates", name))
    model = TrainedModel(view.folder, name, surrogate, features, None, catalogue(), ())
    ranges = {one: (float(low or -np.inf), float(high or np.inf)) for one, (low, high) in view.ranges.items()}

    def stated() -> Any:
        judges = ModelsInUse({name: model}, ranges)
        parts = scored_parts(view, taken={}, laboratory=Laboratory(), counts=PoolCounts(), in_use=judges)
        return np.concatenate([part.stated for part in parts])

    before, table = stated(), RunView.table

    def with_makeable(self: RunView, path: Path, columns: Sequence[str] | None = None) -> pa.Table:
        found = table(self, path, columns)
        if columns is None or Column.PROBABILITY_MAKEABLE not in columns:
            return found
        half = np.array(found["probability_refractive_index"], float) / 2
        return found.append_column(Column.PROBABILITY_MAKEABLE, pa.array(half))

    monkeypatch.setattr(makeable, "TARGET", "refractive_index")
    monkeypatch.setattr(RunView, "table", with_makeable)
    np.testing.assert_allclose(stated(), before / 2, rtol=1e-6)
    assert np.nanmax(before) > 0
