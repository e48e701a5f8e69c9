"""A challenger replaces the champion only where it wins twice; decisions are records, and one command goes back."""

import json
import shutil
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from matloop.data.errors import DamagedFileError, RecordsError
from matloop.data.records.answering import Answer, answer_questions
from matloop.data.records.contents import first_values, newest_action, values_table
from matloop.data.records.database import open_records
from matloop.data.records.importing import import_sheet
from matloop.data.records.ledger import KnownCandidate
from matloop.data.records.questions import open_questions
from matloop.data.records.retracting import retract_values
from matloop.models.surrogates.contest import LEVEL, Comparison, compare, fewest_to_decide, newest_groups, verdict
from matloop.models.surrogates.training import SMALLEST_TRAINING_SET
from matloop.workflows import loop
from matloop.workflows.cli import app
from matloop.workflows.loop import back, retrain, status
from matloop.workflows.looping.challengers import Results
from matloop.workflows.looping.champions import (
    Champion,
    ModelDecision,
    champion_of,
    decisions_about,
    models_folder,
    read_champion,
    write_decision,
)
from matloop.workflows.looping.decision_words import REASONS
from matloop.workflows.looping.learned_values import compounds_that_teach
from matloop.workflows.looping.measured_alone import loop_campaign
from matloop.workflows.looping.taught_campaign import taught_alone
from tests.data.records.result_sheets import result, write_sheet
from tests.workflows.looping.conftest import LABORATORY, Laboratory


def run(laboratory: Laboratory) -> list[str]:
    found = retrain(laboratory.campaign, records=laboratory.records, laboratory=LABORATORY)
    return [decision.reason for decision in found]


def test_challenger_wins_with_results_that_none_has_seen_and_one_command_goes_back(laboratory: Laboratory) -> None:
    formulas = list(laboratory.others)
    laboratory.measure(formulas[:15])
    assert run(laboratory) == ["first", "few_results"]
    laboratory.measure(formulas[15 : fewest_to_decide() - 1])
    assert run(laboratory) == ["few_newest"]
    laboratory.measure(formulas[fewest_to_decide() - 1 : 60])
    (won,) = retrain(laboratory.campaign, records=laboratory.records, laboratory=LABORATORY)
    assert won.reason == "wins"
    assert won.newest is not None
    assert won.cross_validation is not None
    assert won.cross_validation.formulas + won.cross_validation.unpredicted == 40  # the newest have their own test
    assert won.newest.formulas + won.newest.unpredicted == 20  # an element may be new to one of the models
    assert won.newest.challenger < won.newest.champion
    shutil.rmtree(models_folder(laboratory.records, None))
    assert run(laboratory) == ["nothing_new"]  # champion and first model were trained once more

    database, models = open_records(laboratory.records), models_folder(laboratory.records, None)
    champion = champion_of(database, "films", "refractive_index")
    assert champion is not None
    assert champion == won.champion
    model = read_champion(champion, models)
    assert model.card.training_set["provenance"] == "exp:lab-a"
    fresh = formulas[60:90]
    predicted = model.predict(fresh)["refractive_index_pred"].to_numpy(float)
    truth = np.array([1.3 * laboratory.others[formula] + 0.4 for formula in fresh])
    earliest = decisions_about(database, "films")[0].champion
    assert earliest is not None
    first = read_champion(earliest, models).predict(fresh)
    assert np.nanmean(np.abs(predicted - truth)) < np.nanmean(
        np.abs(first["refractive_index_pred"].to_numpy(float) - truth)
    )

    retract_values(database, values_table(database)["measurement_id"].to_pylist()[:2], reason="the film was tilted")
    _, standing = status(laboratory.campaign, records=laboratory.records)
    assert standing.outdated == {"refractive_index": 2}
    away, again = retrain(laboratory.campaign, records=laboratory.records, laboratory=LABORATORY)
    assert (away.reason, away.champion, away.results) == ("taken_back", earliest, 2)
    assert (again.reason, again.results) == ("wins", 58)
    assert status(laboratory.campaign, records=laboratory.records)[1].outdated == {}

    told = CliRunner().invoke(app, ["retrain", str(laboratory.campaign), "--records", laboratory.records, "--back"])
    assert told.exit_code == 0, told.output
    assert "the model before is in use again" in told.output
    assert champion_of(database, "films", "refractive_index") == earliest
    with pytest.raises(RecordsError, match="no earlier model"):
        back(laboratory.campaign, records=laboratory.records)


def test_what_a_champion_learned_is_seen_whatever_corrections_came_and_wherever_it_stood() -> None:
    labels = SimpleNamespace(groups=np.array([0, 1, 1, 2]))
    results = Results(labels, np.array([0, 1, -1, 2]), np.array([3, 9, 0, 9]))  # type: ignore[arg-type]
    assert results.unseen_since(5).tolist() == [
        False,
        False,
        False,
        True,
    ]  # 1 is a label


def test_a_corrected_value_counts_from_its_first_one(laboratory: Laboratory) -> None:
    formulas = list(laboratory.others)[:22]
    laboratory.measure(formulas)
    database = open_records(laboratory.records)
    until = newest_action(database)
    assert laboratory.measure(formulas[:4], offset=0.5).count("held") == 4
    answer_questions(database, {one.id: Answer("as written") for one in open_questions(database)})
    first = first_values(database, "refractive_index")
    assert set(values_table(database)["action"].to_pylist()) == {until, until + 2}
    assert set(first.values()) == {until}


def test_champion_stays_where_the_newest_results_do_not_follow_the_older_ones(laboratory: Laboratory) -> None:
    formulas = list(laboratory.others)
    laboratory.measure(formulas[:45], slope=0.5, offset=5.0)
    laboratory.measure(formulas[45:65], slope=1.0, offset=0.0)  # as computed, which the champion knows
    command = ["retrain", str(laboratory.campaign), "--records", laboratory.records, "--json"]
    told = CliRunner().invoke(app, [*command, "--laboratory", LABORATORY])
    assert told.exit_code == 0, told.output
    first, kept = json.loads(told.stdout)
    assert kept["reason"] == "loses_newest"
    assert kept["champion"] == first["champion"]
    assert kept["newest"]["challenger"] > kept["newest"]["champion"]
    shutil.rmtree(models_folder(laboratory.records, None))
    champion = champion_of(open_records(laboratory.records), "films", "refractive_index")
    assert champion is not None
    with pytest.raises(DamagedFileError, match="--models"):
        read_champion(champion, models_folder(laboratory.records, None))


def test_interrupted_before_the_decision_the_champion_stays_and_the_next_call_decides_alike(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    laboratory.measure(list(laboratory.others)[:60])
    database, written = open_records(laboratory.records), []

    def interrupted(*arguments: Any, **options: Any) -> ModelDecision:
        if written:
            raise KeyboardInterrupt
        written.append(write_decision(*arguments, **options))
        return written[0]

    with monkeypatch.context() as patched:
        patched.setattr(loop, "write_decision", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(laboratory)
    (first,) = decisions_about(database, "films")
    assert len(list(models_folder(laboratory.records, None).iterdir())) == 2  # the challenger lies there, unnamed
    assert run(laboratory) == ["wins"]
    assert champion_of(database, "films", "refractive_index") != first.champion
    assert len(list(models_folder(laboratory.records, None).iterdir())) == 2


def test_of_two_decisions_at_once_the_later_is_refused(laboratory: Laboratory) -> None:
    laboratory.measure(list(laboratory.others)[:2])
    database = open_records(laboratory.records)
    first = ModelDecision("films", "refractive_index", "first", None)
    write_decision(database, first._replace(champion=None), before=None)
    one = Champion("refractive_index-1", "0" * 64, 0)
    write_decision(database, first._replace(champion=one), before=None)
    with pytest.raises(RecordsError, match="another decision"):
        write_decision(database, first._replace(champion=one._replace(folder="refractive_index-2")), before=None)
    assert champion_of(database, "films", "refractive_index") == one


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"cross": None, "newest": None}, "few_results"),
        ({"cross": (1.0, 0.5), "newest": None}, "few_newest"),
        ({"cross": (1.0, 0.5), "newest": (1.0, 0.5), "formulas": 4}, "few_newest"),
        ({"cross": None, "newest": (1.0, 0.5)}, "few_newest"),
        ({"cross": (1.0, 0.5), "newest": (1.0, 0.5), "chance": LEVEL - 0.01}, "loses_cross_validation"),
        ({"cross": (1.0, 0.5), "newest": (0.5, 0.6)}, "loses_newest"),
        ({"cross": (1.0, 0.5), "newest": (1.0, 0.9)}, "wins"),
    ],
)
def test_a_challenger_has_to_win_twice(parts: dict[str, Any], expected: str) -> None:
    def made(errors: Any) -> Comparison | None:
        return None if errors is None else Comparison(
            9, parts.get("formulas", 9), *errors, mean=2.0, chance=parts.get("chance", LEVEL)
        )  # fmt: skip

    assert verdict(made(parts["cross"]), made(parts["newest"])) == expected


def test_comparison_counts_only_what_both_predict_and_newest_formulas_stay_whole() -> None:
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    found = compare(
        truth, np.array([0, 0, 1, 2]), champion=np.array([1.0, 2.0, np.nan, 5.0]), challenger=np.full(4, 2.0)
    )
    assert found is not None
    assert (found.rows, found.formulas, found.unpredicted) == (3, 2, 1)
    assert found.champion == pytest.approx(1 / 3)
    assert found.challenger == pytest.approx(1.0)
    assert compare(truth, np.arange(4), champion=np.full(4, np.nan), challenger=truth) is None
    for formulas, enough in ((fewest_to_decide() - 1, False), (fewest_to_decide(), True)):
        left = formulas - newest_groups(np.arange(formulas), np.arange(formulas)).sum()
        assert bool(left >= SMALLEST_TRAINING_SET) == enough
    assert f"{fewest_to_decide()} in all" in REASONS["few_newest"].en
    groups = np.repeat(np.arange(30), 2)
    newest = newest_groups(np.arange(60), groups)
    assert newest.sum() == 20
    assert sorted(set(groups[newest])) == list(range(20, 30))


@pytest.fixture
def measured_alone(laboratory: Laboratory) -> Laboratory:
    """A campaign that names no labels of its second target but the records, and none of them at first."""
    said = laboratory.campaign.read_text("utf-8")
    entry = {"records": {"path": laboratory.records, "property": "vickers_hardness"}}
    target = {"property": "vickers_hardness", "goal": "at_least", "value": 10, "unit": "GPa"}
    said = said.replace("data: [", f"data: [{json.dumps(entry)}, ")
    laboratory.campaign.write_text(said.replace("targets:\n", f"targets:\n  - {json.dumps(target)}\n"), "utf-8")
    return laboratory


def test_a_property_that_only_laboratories_measure_waits_and_gets_a_model_from_records_alone(
    measured_alone: Laboratory,
) -> None:
    formulas = list(measured_alone.others)
    hardness = {"property": "Vickers hardness", "unit": "GPa"}
    measured_alone.measure(formulas[:12], slope=2.0, cells=hardness)
    command = ["retrain", str(measured_alone.campaign), "--records", measured_alone.records]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0, told.output
    assert "fewer than 20 compounds have a value\n  12 compounds with a value that teaches" in told.output
    assert "refractive_index: the champion stays" in told.output  # the other target goes on
    status = CliRunner().invoke(app, ["loop", "status", *command[1:]])
    assert "vickers_hardness: no model yet" in status.output, status.output
    refused = CliRunner().invoke(app, ["validate", str(measured_alone.campaign)])
    assert "12 materials with a label of vickers_hardness" in refused.output

    measured_alone.measure(formulas[12:50], slope=2.0, cells=hardness)
    (first,) = retrain(measured_alone.campaign, records=measured_alone.records, properties=["vickers_hardness"])
    assert first.reason == "first_measured"
    found = first.cross_validation
    assert found is not None
    assert found.formulas + found.unpredicted == 50
    assert found.challenger < found.mean == found.champion
    database = open_records(measured_alone.records)
    champion = champion_of(database, "films", "vickers_hardness")
    assert champion is not None
    assert read_champion(champion, models_folder(measured_alone.records, None)).known.name == "vickers_hardness"
    measured_alone.measure(formulas[50:90], slope=2.0, cells=hardness)
    (later,) = retrain(measured_alone.campaign, records=measured_alone.records, properties=["vickers_hardness"])
    assert later.cross_validation is not None
    assert later.cross_validation.formulas + later.cross_validation.unpredicted == 27  # of 40 that it has not seen


def test_a_first_model_whose_values_were_retracted_is_in_use_no_more(measured_alone: Laboratory) -> None:
    hardness, formulas = {"property": "Vickers hardness", "unit": "GPa"}, list(measured_alone.others)
    said = measured_alone.campaign.read_text("utf-8")  # the campaign names the laboratory whose values it wants
    measured_alone.campaign.write_text(said.replace('"records": {', f'"records": {{"laboratory": "{LABORATORY}", '))
    measured_alone.measure(formulas[:24], slope=2.0, cells=hardness)
    rows = [result(f"c-{name}", name, "s-1", "9.5", **hardness) for name in formulas[24:40]]
    known = {f"c-{name}": KnownCandidate(name) for name in formulas}
    sheet, database = write_sheet(measured_alone.folder / "b.csv", rows), open_records(measured_alone.records)
    import_sheet(database, sheet, candidates=known, laboratory="lab-b")
    wanted = ["vickers_hardness"]
    (first,) = retrain(measured_alone.campaign, records=measured_alone.records, properties=wanted)
    assert (first.reason, first.results) == ("first_measured", 24)
    assert first.champion is not None
    assert first.champion.laboratory == LABORATORY
    retract_values(database, values_table(database)["measurement_id"].to_pylist()[:10], reason="the indenter was worn")
    away, waits = retrain(measured_alone.campaign, records=measured_alone.records, properties=wanted)
    assert (away.reason, away.champion, away.results) == ("taken_back", None, 10)
    assert (waits.reason, waits.champion, waits.results) == ("waits", None, 14)


def test_results_that_cannot_teach_say_why(measured_alone: Laboratory) -> None:
    hardness, formulas = {"property": "Vickers hardness", "unit": "GPa"}, list(measured_alone.others)
    measured_alone.measure(formulas[:21], slope=0.0, offset=7.0, cells=hardness)
    wanted = ["--property", "vickers_hardness", "--records", measured_alone.records]
    told = CliRunner().invoke(app, ["retrain", str(measured_alone.campaign), *wanted])
    assert told.exit_code == 0, told.output
    assert "although they are enough" in told.output
    assert "E-MODEL" in told.output
    limits = {**hardness, "qualifier": "below"}
    measured_alone.measure(formulas[21:24], slope=0.0, offset=9.0, cells=limits)
    taught = taught_alone(
        loop_campaign(measured_alone.campaign), "vickers_hardness", place=measured_alone.records, laboratory="",
        until=newest_action(open_records(measured_alone.records)),
    )  # fmt: skip
    assert compounds_that_teach(taught) == 21  # a limit teaches nothing


def test_values_that_follow_nothing_give_no_first_model(measured_alone: Laboratory) -> None:
    formulas = list(measured_alone.others)[:24]
    chance = np.random.default_rng(0).permutation(len(formulas))
    measured_alone.others |= {formula: 5.0 + place for formula, place in zip(formulas, chance.tolist(), strict=True)}
    hardness = {"property": "Vickers hardness", "unit": "GPa"}
    measured_alone.measure(formulas, slope=1.0, offset=0.0, cells=hardness)
    (first,) = retrain(measured_alone.campaign, records=measured_alone.records, properties=["vickers_hardness"])
    assert (first.reason, first.champion) == ("loses_to_mean", None)
    assert first.cross_validation is not None
    assert first.cross_validation.challenger >= first.cross_validation.mean
