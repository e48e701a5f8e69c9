"""How a loop stands: counts, promises kept, drift on real results, decisions, in a terminal, as JSON and as a page."""

import json
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, insert
from typer.testing import CliRunner

from matloop.data.candidates.formula import parse_formulas
from matloop.data.errors import DamagedFileError, RecordsError
from matloop.data.records.attempts import Attempt, Attempts
from matloop.data.records.database import RecordsDatabase, open_records
from matloop.data.records.identifiers import new_id
from matloop.data.records.importing import KnownCandidate, import_sheet
from matloop.data.records.ledger import add_action, ranges_in
from matloop.data.records.proposals import campaigns_of_candidates
from matloop.data.records.tables import PROPOSALS
from matloop.models.surrogates.calibration import Calibration
from matloop.models.surrogates.prediction import Prediction
from matloop.models.surrogates.real_results import drift_of
from matloop.workflows.cli import app
from matloop.workflows.loop_status.on_results import ModelsOverTime, Results, place_in, unseen_by_model
from matloop.workflows.loop_status.standing_words import hit_lines
from matloop.workflows.looping.champions import Champion, ModelDecision
from matloop.workflows.proposing.outcomes import OutcomeFactor, made_factor
from matloop.workflows.proposing.promises import TriedCandidates, tried_candidates
from tests.data.records.result_sheets import result, write_sheet
from tests.workflows.looping.conftest import INDEX, LABORATORY, Laboratory

NO_OUTCOME = OutcomeFactor(Attempts([], 0), None)


def told(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def propose(
    database: RecordsDatabase, formulas: Sequence[str], *, campaign: str = "films", **details: object
) -> None:  # fmt: skip
    """Write a batch, of which every candidate is a hit with a probability of 0.5."""
    why = json.dumps({"probability": 0.5})

    def work(connection: Connection) -> None:
        action = add_action(connection, "propose", details={"campaign": campaign, **details})
        for place, formula in enumerate(formulas):
            row = {"id": new_id("proposal"), "action_id": action, "place": place, "candidate_id": f"c-{formula}"}
            connection.execute(insert(PROPOSALS).values(**row, formula=formula, why_json=why))

    database.write(work)


def test_status_after_a_batch(laboratory: Laboratory, tmp_path: Path) -> None:
    formulas = list(laboratory.others)[:24]
    database = open_records(laboratory.records)
    propose(database, [*formulas, "LiF", "NaF"])
    laboratory.measure(formulas, slope=1.0, offset=6.0)  # all above 3, and far from what is computed
    failed = result("c-LiF", "LiF", "LiF-1", outcome="failed", reason="other_phases")
    broken = result("c-NaF", "NaF", "NaF-1", outcome="failed", reason="equipment")
    known = {f"c-{formula}": KnownCandidate(formula) for formula in ("LiF", "NaF")}
    sheet = write_sheet(tmp_path / "failed.csv", [failed, broken])
    import_sheet(database, sheet, candidates=known, laboratory=LABORATORY)

    status = ["loop", "status", laboratory.campaign, "--records", laboratory.records, "--laboratory", LABORATORY]
    found = json.loads(told(*status, "--json"))
    assert found["tally"] == {
        "proposed": 26, "waiting": 0, "withdrawn": 0, "samples": {"made": 24, "failed": 2}, "of_handling": 1,
        "measured": 24, "held": 0,
    }  # fmt: skip
    assert (found["hits"]["tried"], found["hits"]["found"], found["hits"]["promised"]) == (25, 24, 12.5)
    assert found["hits"]["chance"] < 1e-4
    assert tried_candidates(database, {"refractive_index": (3.0, math.inf)}, campaign="films").correction(
        NO_OUTCOME
    ) == (1.0, 0.5, 25)  # results never raise a promise
    assert found["on_results"] == {}

    told("retrain", laboratory.campaign, "--records", laboratory.records, "--laboratory", LABORATORY)
    found = json.loads(told(*status, "--json"))["on_results"]["refractive_index"]
    assert found["inside"] < 12
    assert found["drifted"]
    assert found["bias"] > 0.3
    text = told(*status)
    assert "hits: 24 of 25 tried, where 12.5 were promised (more than chance explains, p = " in text
    assert "if candidates are independent)" in text
    assert "results come out higher on the whole" in text
    assert "retrain" not in text
    in_chinese = told(*status, "--lang", "zh")
    assert "预测已漂移" in in_chinese
    page = tmp_path / "loop.html"
    told(*status, "--output", page, "--lang", "zh")
    html = page.read_text("utf-8")
    assert 'data-language="zh"' in html
    assert "预测已漂移" in html
    assert "predictions have drifted" in html


@pytest.mark.parametrize("prior", [None, {"c-LiF": 0.6, "c-NaF": 0.4, "c-GaN": math.nan}])
def test_outcomes_enter_as_a_factor(prior: dict[str, float] | None) -> None:
    names = ["c-LiF", "c-NaF", "c-GaN"]
    pool, _ = parse_formulas(["LiF", "NaF", "GaN"])
    assert made_factor(Attempts([], 3), names, pool, prior) == pytest.approx(np.ones(3), abs=1e-5)
    failed = Attempts([Attempt("c-LiF", "LiF", 0.0, 1.0)], 0)
    factor = made_factor(failed, names, pool, prior)
    assert factor[0] < factor[1] < 1
    made = made_factor(Attempts([Attempt("c-LiF", "LiF", 1.0, 1.0)], 0), names, pool, prior)
    if prior is None:
        assert factor[1] < factor[2] < 1
        assert factor[[0, 2]] == pytest.approx([0.77, 0.80], abs=0.005)  # docs/loop.md
        many = [Attempt(f"c-{at}", f"Ga{at + 2}N", 0.0 if at < 15 else 1.0, 1.0) for at in range(50)]
        assert made_factor(Attempts(many, 0), names, pool, prior)[0] == pytest.approx(39 / 54, abs=1e-6)
        assert made == pytest.approx(np.ones(3), abs=1e-5)  # nothing is thought more certain than before any result
    else:
        assert factor[2] == 1
        assert made[0] > made[1] > 1
        changed = np.array([0.6, 0.4]) * factor[:2]
        odds = changed / (1 - changed) * np.array([0.4 / 0.6, 0.6 / 0.4])
        assert odds[0] > 1 / 1.4
        again = made_factor(Attempts([failed.counted[0]] * 20, 0), names, pool, prior)
        assert again == pytest.approx(factor)  # twenty samples of one compound tell of one compound


def test_a_failure_counts_for_candidates_that_no_later_stage_ranked() -> None:
    pool, _ = parse_formulas(["LiCl", "NaF", "Si"])
    names, failed = ["p1", "p2", "p3"], Attempts([Attempt("of another run", "LiF", 0.0, 1.0)], 0)
    factor = OutcomeFactor(failed, 0.05).of_candidates(names, pool)
    assert (factor[:2] < 0.999).all()
    assert factor[2] == 1  # kinship says nothing of an element
    assert OutcomeFactor(Attempts([], 0), 0.05).of_candidates(names, pool).tolist() == [1, 1, 1]


def test_other_campaigns_replicates_and_corrections_do_not_count_twice(laboratory: Laboratory, tmp_path: Path) -> None:
    formulas = list(laboratory.others)[:24]
    database = open_records(laboratory.records)
    propose(database, formulas[:6])
    propose(database, formulas[6:10], campaign="others")
    status = ["loop", "status", laboratory.campaign, "--records", laboratory.records, "--json"]
    told("retrain", laboratory.campaign, "--records", laboratory.records)
    laboratory.measure(formulas[:12])
    before = json.loads(told(*status))
    assert (before["tally"]["proposed"], before["hits"]["tried"]) == (6, 6)
    assert sum(before["tally"]["samples"].values()) == 8  # six of the campaign, and two that no campaign proposed
    assert before["on_results"]["refractive_index"]["results"] == 12
    rows = [
        result(f"c-{name}", name, f"{name}-{at}", f"{1.3 * laboratory.others[name] + 0.4:.3f}", **INDEX)
        for name in formulas[:3] for at in range(2, 8)
    ]  # fmt: skip
    import_sheet(database, write_sheet(tmp_path / "again.csv", rows), laboratory="lab-b")
    after = json.loads(told(*status))
    one, other = (found["on_results"]["refractive_index"] for found in (before, after))
    assert [other[key] for key in ("results", "inside")] == [one[key] for key in ("results", "inside")]
    assert other["capital"] == pytest.approx(one["capital"])
    assert (after["hits"]["tried"], json.loads(told(*status, "--laboratory", "lab-b"))["tally"]["measured"]) == (6, 3)


def test_nothing_is_compared_with_a_promise_of_all_targets_before_each_is_measured(laboratory: Laboratory) -> None:
    database, formulas = open_records(laboratory.records), list(laboratory.others)[:5]
    propose(database, formulas)
    laboratory.measure(formulas)
    ranges = {"refractive_index": (0.0, 9.0), "band_gap": (1.0, 2.0)}
    tried = tried_candidates(database, ranges, campaign="films")
    assert (len(tried.stated), tried.unmeasured, tried.correction(NO_OUTCOME).tried) == (0, ("band_gap",), 0)
    assert len(tried_candidates(database, {"refractive_index": (0.0, 9.0)}, campaign="films").stated) == 5
    (line,) = hit_lines(None, tried.unmeasured)
    assert "every target is measured" in line.en
    assert "band gap" in line.en.lower()


def test_a_first_batch_of_which_nothing_could_be_made_holds_no_hit(laboratory: Laboratory, tmp_path: Path) -> None:
    database, formulas = open_records(laboratory.records), list(laboratory.others)[:3]
    propose(database, formulas)
    failed = [result(f"c-{one}", one, f"{one}-1", outcome="failed", reason="other_phases") for one in formulas]
    known = {f"c-{one}": KnownCandidate(one) for one in formulas}
    import_sheet(database, write_sheet(tmp_path / "failed.csv", failed), candidates=known)
    tried = tried_candidates(database, {"refractive_index": (0.0, 9.0), "band_gap": (1.0, 2.0)}, campaign="films")
    assert (tried.found.tolist(), tried.unmeasured) == ([False] * 3, ())


def test_a_model_is_compared_with_no_result_of_a_formula_that_it_learned_from() -> None:
    """The second crystal of a formula came after the model had learned from the first."""
    first, second = Champion("one", "", 0), Champion("two", "", 5)
    decisions = [ModelDecision("films", "band_gap", "first", first, number=1)]
    decisions.append(ModelDecision("films", "band_gap", "wins", second, number=6))
    models = ModelsOverTime(decisions, Path())
    actions = np.array([2, 3, 7, 8])
    results = Results(np.arange(4), np.zeros(4), np.zeros((4, 0)), actions)
    found = unseen_by_model(results, np.array([0, 1, 0, 2]), models)
    assert found == {first: [0, 1], second: [3]}


def test_a_value_on_a_bound_that_was_expected_is_no_drift() -> None:
    one = np.ones(1)
    gap = Prediction(
        2 * one, 0.5 * one, one.astype(bool), np.array([""]), Calibration(0.1, np.linspace(-2, 2, 50)), "identity",
        (0.0, 20.0), insulator=0.03 * one,
    )  # fmt: skip
    metal = place_in(gap, 0.0)
    assert metal == pytest.approx(0.485, abs=0.001)  # 97 % of its distribution lies there
    assert place_in(gap, 2.0) == pytest.approx(0.985, abs=0.002)
    expected = np.where(np.random.default_rng(0).random(300) < 0.97, metal, 0.985)
    assert not drift_of(expected).alarms
    assert drift_of(np.full(60, place_in(replace(gap, insulator=one), 0.0))).alarms  # no metal was expected


def test_failures_to_make_correct_promises_once() -> None:
    formulas = [f"Ga{at + 2}N" for at in range(200)]
    attempts = [Attempt(name, name, float(at % 10 >= 3), 1.0) for at, name in enumerate(formulas)]
    outcomes = OutcomeFactor(Attempts(attempts, 0), None)
    found = np.array([one.success > 0 and at % 2 == 0 for at, one in enumerate(attempts)])  # half of those made
    ones = np.ones(200)
    tried = TriedCandidates(
        tuple(formulas), tuple(formulas), 0.5 * ones, 0.5 * ones, ones, found, ones.astype(bool)
    )  # fmt: skip
    pool, _ = parse_formulas(["LiF"])
    promise = 0.5 * outcomes.of_candidates(["x"], pool)
    assert tried.correction(NO_OUTCOME).factor < 0.6  # which would count the failures again
    met = found.mean()
    assert tried.correction(outcomes).corrected(promise)[0] == pytest.approx(met, abs=0.04)


def test_a_promise_is_judged_by_its_own_ranges_as_soon_as_it_is_decided(laboratory: Laboratory, tmp_path: Path) -> None:
    database, formulas = open_records(laboratory.records), list(laboratory.others)[:6]
    asked = {"refractive_index": [3.0, None], "band_gap": [1.0, 2.0]}
    propose(database, formulas, ranges=asked)
    index = {"property": "refractive index", "unit": "1"}
    values = [
        [("4.0", INDEX), ("1.5", {})],  # a hit
        [("2.0", INDEX)],  # none, whatever its gap is
        [("<2.5", index)],  # none: its index is below a limit below the range
        [("4.0", INDEX)],  # not decided
        [("4.0", INDEX), ("<1.5", {})],  # not decided
        [("4.0", INDEX), (">2.2", {})],
    ]
    rows = [
        result(f"c-{formula}", formula, "s-1", value, **({"qualifier": ""} if value[0] in "<>" else {}), **cells)
        for formula, found in zip(formulas, values, strict=True) for value, cells in found
    ]  # fmt: skip
    known = {f"c-{formula}": KnownCandidate(formula) for formula in formulas}
    report = import_sheet(database, write_sheet(tmp_path / "s.csv", rows), candidates=known)
    assert report.count("accepted") == len(rows)
    now = {"refractive_index": (1.0, math.inf), "band_gap": (1.0, 2.0)}
    tried = tried_candidates(database, now, campaign="films")
    assert dict(zip(tried.ids, tried.found.tolist(), strict=True)) == {
        f"c-{formulas[at]}": at == 0 for at in (0, 1, 2, 5)
    }
    assert tried.correction(NO_OUTCOME).tried == 0  # promises of other ranges say nothing of those wanted now
    assert tried_candidates(database, ranges_in(asked), campaign="films").correction(NO_OUTCOME).tried == 4


def test_a_candidate_of_two_campaigns_counts_in_both(tmp_path: Path) -> None:
    database = open_records(tmp_path / "r.sqlite")
    ranges = {"band_gap": (1.0, math.inf)}
    first, second, third = (
        KnownCandidate("GaN", "run", {}, "", promise, campaign, ranges)
        for campaign, promise in (("first", 0.3), ("second", 0.6), ("third", 0.9))
    )
    for at, one in enumerate((first.beside(second), second, third)):
        known = {"c-gan": one}
        row = result("c-gan", "GaN", f"s-{at}", "3.4")
        import_sheet(database, write_sheet(tmp_path / f"{at}.csv", [row]), candidates=known)
    for campaign, promise in (("first", 0.3), ("second", 0.6), ("third", 0.9)):
        tried = tried_candidates(database, ranges, campaign=campaign)
        assert (tried.stated.tolist(), tried.found.tolist()) == ([promise], [True])
    assert campaigns_of_candidates(database) == {"c-gan": {"first", "second", "third"}}


def test_a_laboratory_that_sent_nothing_is_refused(laboratory: Laboratory) -> None:
    laboratory.measure(list(laboratory.others)[:3])
    for words in (["retrain"], ["loop", "status"]):
        arguments = [*words, str(laboratory.campaign), "--records", laboratory.records, "--laboratory"]
        fault = CliRunner().invoke(app, [*arguments, "lab-c"]).exception
        assert isinstance(fault, RecordsError), fault
        assert "lab-a" in str(fault)
        assert CliRunner().invoke(app, [*arguments, f" {LABORATORY.upper()} "]).exit_code == 0


def test_a_record_that_is_cut_off_is_told_by_its_code(laboratory: Laboratory) -> None:
    propose(open_records(laboratory.records), list(laboratory.others)[:2])
    with sqlite3.connect(laboratory.records) as connection:
        (trigger,) = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'actions' AND sql LIKE '%UPDATE%'"
        ).fetchone()
        connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute("UPDATE actions SET details_json = substr(details_json, 1, 5)")
    arguments = ["loop", "status", str(laboratory.campaign), "--records", laboratory.records]
    fault = CliRunner().invoke(app, arguments).exception
    assert isinstance(fault, DamagedFileError), fault
