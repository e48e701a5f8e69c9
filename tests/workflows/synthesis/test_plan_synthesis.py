"""A plan joins routes, energies, masses and gates; what is not known is said."""

import datetime as dt
import json

import pytest

from matloop.data.errors import SynthesisError, UnknownNameError
from matloop.data.synthesis.batch import read_batch
from matloop.data.synthesis.plan import SynthesisPlan
from matloop.data.synthesis.precursors import load_precursors
from matloop.data.synthesis.simplicity import POINTS
from matloop.screening.language import synthesis as words
from matloop.screening.language.hazard_statements import HAZARD_WORDS
from matloop.workflows.synthesis.plan_synthesis import plan_synthesis


@pytest.fixture(scope="module")
def titanate() -> SynthesisPlan:
    return plan_synthesis("BaTiO3", batch=read_batch(10), on=dt.date(2026, 1, 1))


def test_the_first_route_is_the_textbook_one(titanate: SynthesisPlan) -> None:
    assert titanate.routes[0].equation == "BaCO3 + TiO2 -> BaTiO3 + CO2"
    assert titanate.energy_origin == "listed"
    assert not titanate.facts.expired


def test_a_plan_survives_json(titanate: SynthesisPlan) -> None:
    text = json.dumps(titanate.to_json(), allow_nan=False)
    assert SynthesisPlan.model_validate_json(text) == titanate


def test_every_key_has_words(titanate: SynthesisPlan) -> None:
    assert words.FACT_SOURCE_WORDS[titanate.facts.table].en == titanate.facts.source
    assert titanate.order in words.ORDER_WORDS
    assert titanate.energy_origin in words.ENERGY_ORIGIN_WORDS
    for gate in titanate.gates:
        assert gate.key in words.GATE_WORDS
        assert gate.source in words.GATE_SOURCE_WORDS
        assert gate.verdict in words.VERDICT_WORDS
    for route in titanate.routes:
        assert route.atmosphere in words.ATMOSPHERE_WORDS
        assert all(point.key in words.POINT_WORDS for point in route.points)
        assert all(one.sensitivity in words.SENSITIVITY_WORDS for one in route.precursors)
        assert route.onset is None or route.onset.rule in words.ONSET_WORDS


def test_every_hazard_statement_has_words() -> None:
    used = {code for precursor in load_precursors().values() for code in precursor.hazards}
    assert used <= set(HAZARD_WORDS)


def test_what_may_run_away_comes_after_what_does_not() -> None:
    routes = plan_synthesis("Na3PS4", routes=40).routes
    sets = [{one.formula for one in route.precursors} for route in routes]
    elements = routes[sets.index({"Na", "P", "S"})]
    assert elements.self_heating
    assert ("self_heating", POINTS["self_heating"]) in {(point.key, point.points) for point in elements.points}
    assert not routes[0].self_heating
    assert sets.index({"Na2S", "P2S5"}) < sets.index({"Na", "P", "S"})
    totals = [route.total for route in routes if not route.uphill]
    assert totals == sorted(totals)


def test_masses_are_conserved(titanate: SynthesisPlan) -> None:
    for route in titanate.routes:
        solids, gases = sum(one.grams for one in route.precursors), sum(one.grams for one in route.gases)
        assert solids - gases == pytest.approx(titanate.grams)


def test_gates_stand_side_by_side(titanate: SynthesisPlan) -> None:
    verdicts = {gate.key: gate.verdict for gate in titanate.gates}
    assert set(verdicts) == set(words.GATE_WORDS)
    assert verdicts["charge"] == verdicts["above_hull"] == verdicts["reaction"] == "passed"


def test_what_cannot_be_made_is_said() -> None:
    plan = plan_synthesis("PuOF")
    assert plan.routes == ()
    assert plan.lacking == ("Pu",)
    assert {gate.key: gate.verdict for gate in plan.gates}["reaction"] == "unknown"


def test_an_unlisted_target_says_that_its_energy_is_assumed() -> None:
    plan = plan_synthesis("La1.85Sr0.15CuO4")
    assert plan.energy_origin == "on_hull"
    assert {gate.key: gate.verdict for gate in plan.gates}["above_hull"] == "unknown"
    assert {one.formula for one in plan.routes[0].precursors} == {"La2O3", "SrCO3", "CuO"}


def test_a_given_energy_changes_the_verdict() -> None:
    plan = plan_synthesis("BaTiO3", energy=-2.0)
    assert plan.energy_origin == "given"
    gates = {gate.key: gate for gate in plan.gates}
    assert gates["above_hull"].verdict == gates["reaction"].verdict == "failed"
    assert plan.routes[0].equation != "BaCO3 + TiO2 -> BaTiO3 + CO2"  # which costs energy now, and comes last


def test_charges_that_cannot_balance_fail() -> None:
    gates = {gate.key: gate.verdict for gate in plan_synthesis("BaTiF").gates}
    assert gates["charge"] == gates["valence"] == "failed"


@pytest.mark.parametrize(
    "options", [{"temperature": -1}, {"energy": float("nan")}, {"temperature": float("inf")}], ids=str
)
def test_numbers_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(SynthesisError):
        plan_synthesis("BaTiO3", **options)


def test_elements_and_unknown_precursors_are_refused() -> None:
    with pytest.raises(SynthesisError):
        plan_synthesis("Fe")
    with pytest.raises(UnknownNameError):
        plan_synthesis("BaTiO3", precursors=["BaTiO3"])


def test_an_excess_of_another_element_is_refused_not_forgotten() -> None:
    with pytest.raises(SynthesisError, match="excess of Li for BaTiO3"):
        plan_synthesis("BaTiO3", batch=read_batch(10, [], ["Li=5%"]))
