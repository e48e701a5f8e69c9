import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from matloop.data.errors import CampaignError, UnitError, UnknownNameError
from matloop.data.properties.packaged_properties import PACKAGED_PROPERTIES
from matloop.models.registry import MODELS
from matloop.screening.campaign.campaign import Campaign, Shortlist  # fmt: skip
from matloop.screening.campaign.entry import Entries, Entry  # fmt: skip
from matloop.screening.campaign.stage_settings import FAMILIES_TO_CHOOSE_FROM, SurrogateStage  # fmt: skip
from matloop.screening.campaign.target import Target  # fmt: skip

INF = float("inf")
BEST = (1.0, 2.0)
"""5th and 95th percentile of some training data."""

SMALLEST: dict[str, Any] = {
    "name": "small",
    "sources": ["embedded"],
    "targets": [{"property": "band_gap", "goal": "maximize", "unit": "eV"}],
    "surrogates": {"features": ["magpie"], "keep": 10},
    "shortlist": {"size": 3},
}


def target(**changes: Any) -> Target:
    return Target(**{"property": "band_gap", "goal": "maximize", "unit": "eV", **changes})


@pytest.mark.parametrize(
    ("name", "unit", "written", "scale"),
    [
        ("band_gap", "eV", {}, "identity"),
        ("bulk_modulus_vrh", "GPa", {}, "log10"),
        ("refractive_index", "1", {}, "log10"),
        ("refractive_index", "1", {"transform": "identity"}, "identity"),
        ("band_gap", "eV", {"transform": "log10"}, "log10"),
    ],
)
def test_surrogates_work_on_the_scale_of_the_property_unless_told_otherwise(
    name: str, unit: str, written: dict[str, Any], scale: str
) -> None:
    assert Target(property=name, goal="at_least", value=2, unit=unit, **written).scale() == scale


def test_what_is_left_out_has_a_default() -> None:
    campaign = Campaign.model_validate(SMALLEST)
    assert (campaign.seed, campaign.title, campaign.filters) == (0, "", ())
    assert campaign.surrogates.family == "extra_trees"
    assert (campaign.shortlist.diversity, campaign.shortlist.explore) == (0.5, False)
    assert (campaign.targets[0].transform, campaign.targets[0].family) == (None, None)
    assert campaign.targets[0].probability == "distribution"
    assert campaign.surrogates.budget is None


def test_a_campaign_cannot_be_changed() -> None:
    campaign = Campaign.model_validate(SMALLEST)
    with pytest.raises(ValidationError):
        campaign.seed = 1
    with pytest.raises(ValidationError):
        campaign.targets[0].goal = "minimize"


@pytest.mark.parametrize("model", [Campaign, Target, SurrogateStage, Shortlist])
def test_every_field_is_described(model: Any) -> None:
    assert all(field.description for field in model.model_fields.values())


@pytest.mark.parametrize(
    ("written", "name", "options", "argument"),
    [
        ("magpie", "magpie", {}, None),
        ({"ionic_substitution": {"limit": 5}}, "ionic_substitution", {"limit": 5}, None),
        ({"ionic_substitution": {}}, "ionic_substitution", {}, None),
        ({"exclude_elements": ["Cd", "Hg"]}, "exclude_elements", {}, ["Cd", "Hg"]),
        ({"exclude_elements": "Cd"}, "exclude_elements", {}, "Cd"),
        ({"exclude_elements": []}, "exclude_elements", {}, []),
        ({"new_compounds": None}, "new_compounds", {}, None),
    ],
)
def test_entries_as_written(written: Any, name: str, options: dict[str, Any], argument: Any) -> None:
    (entry,) = TypeAdapter(Entries).validate_python([written])
    assert (entry.name, entry.options, entry.argument) == (name, options, argument)
    (again,) = TypeAdapter(Entries).validate_python([entry.model_dump(mode="json")])
    assert again == entry


@pytest.mark.parametrize("written", [5, None, [], {}, {"a": {}, "b": {}}, ["magpie"], {"a": object()}])
def test_what_is_no_entry(written: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Entries).validate_python([written])


def test_entry_calls_its_factory() -> None:
    def factory(*args: Any, **options: Any) -> tuple[Any, ...]:
        return args, options

    assert Entry(name="a").make(factory) == ((), {})
    assert Entry(name="a", options={"limit": 5}).make(factory) == ((), {"limit": 5})
    assert Entry(name="a", argument=["Cd"]).make(factory) == ((["Cd"],), {})
    assert Entry(name="a", argument=0).make(factory) == ((0,), {})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"goal": "maximize"}, (2.0, INF)),
        ({"goal": "minimize"}, (-INF, 1.0)),
        ({"goal": "maximize", "value": 3.5}, (3.5, INF)),
        ({"goal": "minimize", "value": 0.5}, (-INF, 0.5)),
        ({"goal": "at_least", "value": 0}, (0.0, INF)),
        ({"goal": "at_most", "value": 0}, (-INF, 0.0)),
        ({"goal": "window", "lower": 1, "upper": 3}, (1.0, 3.0)),
        ({"goal": "window", "lower": 900, "upper": 1100, "unit": "meV"}, (0.9, 1.1)),
        ({"goal": "at_least", "value": 2500, "unit": "meV"}, (2.5, INF)),
        ({"goal": "maximize", "unit": "meV"}, (2.0, INF)),  # the training data are in the property's own unit
    ],
)
def test_every_goal_is_a_range(changes: dict[str, Any], expected: tuple[float, float]) -> None:
    assert target(**changes).range(BEST) == pytest.approx(expected)


def test_units_are_converted() -> None:
    hull = target(property="energy_above_hull", goal="at_most", value=50, unit="meV/atom")
    assert hull.range(BEST) == (-INF, pytest.approx(0.05))
    assert target(property="bulk_modulus_vrh", goal="at_least", value=100, unit="kbar").range(BEST)[0] == pytest.approx(
        10
    )
    per_mole = target(property="formation_energy_per_atom", goal="at_most", value=-96.48533212, unit="kJ/mol atom")
    assert per_mole.range(BEST)[1] == pytest.approx(-1)


@pytest.mark.parametrize("goal", ["maximize", "minimize", "at_least", "window"])
def test_a_unit_of_something_else_is_refused(goal: str) -> None:
    numbers = {"maximize": {"value": 1}, "minimize": {}, "at_least": {"value": 1}, "window": {"lower": 1, "upper": 2}}[
        goal
    ]
    with pytest.raises(UnitError, match=r"unit 'GPa' measures pressure.*eV"):
        target(goal=goal, unit="GPa", **numbers).range(BEST)
    with pytest.raises(UnknownNameError, match=r"unknown unit 'eVv'.*did you mean 'eV'"):
        target(goal=goal, unit="eVv", **numbers).range(BEST)


def test_unknown_property_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'band_gap'"):
        target(property="bandgap").range(BEST)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"goal": "window"}, "takes 'lower' and 'upper'"),
        ({"goal": "window", "lower": 1}, "takes 'lower' and 'upper'"),
        ({"goal": "window", "upper": 1}, "takes 'lower' and 'upper'"),
        ({"goal": "window", "lower": 1, "upper": 1}, "lower < upper"),
        ({"goal": "window", "lower": 2, "upper": 1}, "lower < upper"),
        ({"goal": "window", "lower": 1, "upper": 2, "value": 1.5}, "no 'value'"),
        ({"goal": "at_least"}, "goal 'at_least' needs a 'value'"),
        ({"goal": "at_most"}, "goal 'at_most' needs a 'value'"),
        ({"goal": "at_least", "value": 1, "lower": 0}, "not 'lower' or 'upper'"),
        ({"goal": "maximize", "upper": 1}, "not 'lower' or 'upper'"),
        ({"goal": "highest"}, "maximize"),
        ({"value": float("nan")}, "finite"),
        ({"goal": "at_least", "value": INF}, "finite"),
        ({"unit": None}, "string"),
        ({"transform": "log"}, "log10"),
        ({"probability": "guess"}, "'distribution' or 'classifier'"),
        ({"family": []}, "write one family, or a list"),
        ({"gaol": "maximize"}, "Extra inputs"),
    ],
)
def test_numbers_must_fit_the_goal(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        target(**changes)


def test_unit_is_always_required() -> None:
    with pytest.raises(ValidationError, match="unit"):
        Target.model_validate({"property": "band_gap", "goal": "maximize"})


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "a/b"},
        {"name": "a\n"},
        {"name": "x" * 81},
        {"title": "x" * 301},
        {"seed": -1},
        {"seed": 2**32},
        {"seed": 1.5},
        {"sources": []},
        {"targets": []},
        {"targets": SMALLEST["targets"] * 2},
        {"surrogates": {"features": [], "keep": 10}},
        {"surrogates": {"features": ["magpie"], "keep": 0}},
        {"surrogates": {"features": ["magpie"], "keep": 100_001}},
        {"shortlist": {"size": 0}},
        {"shortlist": {"size": 1001}},
        {"shortlist": {"size": 3, "diversity": 1.1}},
        {"shortlist": {"size": 3, "diversity": -0.1}},
        {"shortlist": {"size": 3, "diversity": float("nan")}},
        {"notes": "none"},
    ],
)
def test_values_out_of_bounds_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Campaign.model_validate({**SMALLEST, **changes})


def test_the_largest_seed_is_one_numpy_takes() -> None:
    import numpy as np

    seed = Campaign.model_validate({**SMALLEST, "seed": 2**32 - 1}).seed
    np.random.RandomState(seed)  # what scikit-learn makes of it


@given(st.sampled_from(sorted(PACKAGED_PROPERTIES)), st.floats(-1e3, 1e3), st.floats(1e-3, 1e3), st.data())
def test_ranges_have_an_inside(name: str, at: float, width: float, data: st.DataObject) -> None:
    goal = data.draw(st.sampled_from(["maximize", "minimize", "at_least", "at_most", "window"]))
    numbers = {"lower": at, "upper": at + width} if goal == "window" else {"value": at}
    low, high = target(property=name, goal=goal, unit=PACKAGED_PROPERTIES[name].unit, **numbers).range(BEST)
    assert low < high
    assert not math.isnan(low + high) or {low, high} == {-INF, INF}
    assert at in (low, high)


TWO_STAGES: dict[str, Any] = {
    **SMALLEST,
    "targets": [
        {"property": "band_gap", "goal": "maximize", "unit": "eV"},
        {"property": "refractive_index", "goal": "maximize", "unit": "1", "family": "gaussian_process"},
        {"property": "bulk_modulus_vrh", "goal": "maximize", "unit": "GPa", "family": ["extra_trees", "stack"]},
    ],
    "structure": {"features": ["density"], "family": ["boosted_trees", "deep_ensemble"], "keep": 5},
}


def stage(**changes: Any) -> SurrogateStage:
    return SurrogateStage.model_validate({"features": ["magpie"], "keep": 10, **changes})


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("extra_trees", "extra_trees"),
        (["extra_trees"], "extra_trees"),
        (["stack", "extra_trees"], ("stack", "extra_trees")),
    ],
)
def test_one_family_or_several(written: Any, expected: Any) -> None:
    assert stage(family=written).family == expected
    assert stage(**stage(family=written).model_dump(mode="json")).family == expected
    assert target(family=written).family == expected


@pytest.mark.parametrize("written", [[], ["a", "a"], [1, 2], [["a"]], {"a": 1}, 5, None])
def test_what_is_no_choice_of_families(written: Any) -> None:
    with pytest.raises(ValidationError, match="write one family, or a list of different families"):
        stage(family=written)


@pytest.mark.parametrize("written", [5, 300.0, "5", "5 m", "0s", True, ["5m"], "1.5h"])
def test_a_budget_has_its_unit(written: Any) -> None:
    with pytest.raises(ValidationError, match="write it as 90s, 5m or 1h"):
        stage(budget=written, family=["extra_trees", "stack"])


def test_a_budget_is_seconds_and_reads_back() -> None:
    hour = stage(budget="1h", family=["extra_trees", "stack"])
    assert hour.budget == 3600
    assert hour.model_dump(mode="json")["budget"] == "1h"
    assert stage(**hour.model_dump()) == hour
    assert SurrogateStage.model_validate_json(hour.model_dump_json()) == hour


def test_a_budget_without_families_chooses_among_all_that_read_features_and_their_means() -> None:
    assert stage(budget="5m").family == FAMILIES_TO_CHOOSE_FROM
    assert stage(budget="5m", family="extra_trees").family == "extra_trees"
    assert stage(budget=None).family == "extra_trees"
    assert set(FAMILIES_TO_CHOOSE_FROM) <= set(MODELS)
    assert set(MODELS) - set(FAMILIES_TO_CHOOSE_FROM) == {"stack"}  # fitted many times, and no better than a mean


def test_families_of_a_target_come_before_those_of_the_stage() -> None:
    campaign = Campaign.model_validate(TWO_STAGES)
    found = {name: [campaign.families(name, one) for one in campaign.targets] for name in campaign.scoring_stages}
    assert found == {
        "surrogates": [("extra_trees",), ("gaussian_process",), ("extra_trees", "stack")],
        "structure": [("boosted_trees", "deep_ensemble"), ("gaussian_process",), ("extra_trees", "stack")],
    }


def test_a_budget_is_divided_among_what_is_chosen() -> None:
    campaign = Campaign.model_validate(TWO_STAGES)
    assert campaign.seconds_for("surrogates") is None
    bounded = campaign.with_budget(600)
    assert [bounded.scoring_stages[name].budget for name in ("surrogates", "structure")] == [300, 300]
    assert bounded.seconds_for("surrogates") == bounded.seconds_for("structure") == 150
    chosen = sum(len(bounded.families(name, one)) > 1 for name in bounded.scoring_stages for one in bounded.targets)
    assert chosen * 150 == 600
    assert campaign.surrogates.budget is None  # it is another campaign
    assert Campaign.model_validate(bounded.model_dump(mode="json")) == bounded


def test_a_budget_keeps_lists_and_widens_single_families() -> None:
    bounded = Campaign.model_validate(TWO_STAGES).with_budget(600)
    assert bounded.surrogates.family == FAMILIES_TO_CHOOSE_FROM
    assert bounded.structure is not None
    assert bounded.structure.family == ("boosted_trees", "deep_ensemble")
    assert bounded.targets[1].family == "gaussian_process"
    own = Campaign.model_validate({**SMALLEST, "surrogates": {**SMALLEST["surrogates"], "family": "deep_ensemble"}})
    others = [family for family in FAMILIES_TO_CHOOSE_FROM if family != "deep_ensemble"]
    assert own.with_budget(60).surrogates.family == ("deep_ensemble", *others)
    assert own.with_budget(60).surrogates.budget == 60


def test_a_budget_with_nothing_to_choose_is_refused() -> None:
    pinned = {**SMALLEST, "targets": [{**SMALLEST["targets"][0], "family": "extra_trees"}]}
    with pytest.raises(CampaignError, match="targets each name one family"):
        Campaign.model_validate(pinned).with_budget(60)


@pytest.mark.parametrize(
    ("changes", "relative"),
    [
        ({"goal": "maximize"}, True),
        ({"goal": "minimize"}, True),
        ({"goal": "maximize", "value": 2}, False),
        ({"goal": "at_most", "value": 2}, False),
        ({"goal": "window", "lower": 1, "upper": 2}, False),
    ],
)
def test_what_hangs_on_the_training_data(changes: dict[str, Any], relative: bool) -> None:
    one = target(**changes)
    assert one.is_relative() == relative
    assert (one.range((0.1, 0.2)) != one.range((0.3, 0.4))) == relative


def test_a_target_that_names_no_provenance_takes_any_computed_labels_and_is_written_as_before() -> None:
    plain = target(goal="maximize")
    assert plain.accepts("dft:pbe")
    assert not plain.accepts("exp")
    assert "provenance" not in plain.model_dump(mode="json")
    assert plain == target(goal="maximize", provenance="dft")


def test_a_target_of_measured_labels_is_written_with_its_provenance() -> None:
    measured = target(goal="maximize", provenance="exp:lab-a")
    assert Target.model_validate(measured.model_dump(mode="json")) == measured
    assert measured.accepts("exp:lab-a")
    assert not measured.accepts("exp")


def test_a_transfer_says_which_labels_are_predicted() -> None:
    lifted = target(goal="maximize", transfer={"from": "dft:pbe", "to": "exp"})
    assert lifted.provenance == "exp"
    assert lifted.model_dump(mode="json")["transfer"] == {"from": "dft:pbe", "to": "exp"}
    assert Target.model_validate(lifted.model_dump(mode="json")) == lifted
    assert "transfer" not in target(goal="maximize").model_dump(mode="json")
    with pytest.raises(ValidationError, match="may mean the same labels"):
        target(goal="maximize", transfer={"from": "dft:pbe", "to": "dft"})
    with pytest.raises(ValidationError, match="leave it out"):
        target(goal="maximize", transfer={"from": "dft:pbe", "to": "exp"}, provenance="exp:lab")


def test_a_provenance_of_another_form_is_refused_with_the_code() -> None:
    with pytest.raises(ValidationError, match="E-PROVENANCE: provenance 'experiment'"):
        target(goal="maximize", provenance="experiment")
