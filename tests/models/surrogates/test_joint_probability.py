"""Probability of meeting all targets: arithmetic, bounds, and planted errors that go together."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from matloop.data.properties.catalogue import property_named
from matloop.models.surrogates.joint_probability import Group, InsulatorChances, JointProbability
from matloop.models.surrogates.surrogate import Surrogate

NAN, INF = float("nan"), float("inf")
WANTED = {"band_gap": (3.3, INF), "refractive_index": (3.3, INF)}
PRODUCT = JointProbability()
chances = st.floats(0, 1)
factors = st.floats(0.01, 100)


class Fixed:
    """A prediction that gives one probability per candidate, and remembers what it was asked."""

    def __init__(self, *probabilities: float) -> None:
        self.probabilities, self.asked = np.array(probabilities), []

    def probability_between(self, lower: float, upper: float) -> np.ndarray:
        self.asked.append((lower, upper))
        return self.probabilities


def each(**chances: float) -> dict[str, np.ndarray]:
    return {name: np.array([chance]) for name, chance in chances.items()}


def pair(odds: float) -> JointProbability:
    return JointProbability((Group(("a", "b"), odds),))


def test_targets_of_different_groups_are_multiplied() -> None:
    predictions = {"a": Fixed(0.5, 0.0, 1.0, NAN, 0.2), "b": Fixed(0.5, 1.0, 1.0, 1.0, NAN), "unused": Fixed(0.0)}
    for joint in (PRODUCT, JointProbability((Group(("a",)), Group(("b",)))), pair(1.0)):
        together, alone, uncapped, _, capped = joint.probabilities(predictions, {"a": (1.0, INF), "b": (0.0, 2.0)})
        np.testing.assert_array_equal(together, [0.25, 0.0, 1.0, NAN, NAN])
        np.testing.assert_array_equal(uncapped, together)
        assert capped.tolist() == [""] * 5
        assert list(alone) == ["a", "b"]
        np.testing.assert_array_equal(alone["b"], predictions["b"].probabilities)
    assert predictions["a"].asked[0] == (1.0, INF)
    assert predictions["b"].asked[0] == (0.0, 2.0)


def test_the_odds_of_a_group_are_multiplied() -> None:
    # 0.6 * 0.5 = 0.3, odds 3 : 7; a third of them is 1 : 7
    assert pair(1 / 3).of_all(each(a=0.6, b=0.5)) == pytest.approx(1 / 8)
    assert pair(1 / 3).of_all(each(a=0.6, b=0.5, other=0.4)) == pytest.approx(0.4 / 8)


@given(st.lists(st.lists(chances, min_size=3, max_size=3), min_size=2, max_size=5), factors)
def test_all_targets_are_never_likelier_than_any(columns: list[list[float]], odds: float) -> None:
    predictions = {str(at): Fixed(*column) for at, column in enumerate(columns)}
    joint = JointProbability((Group(("0", "1"), odds),))
    together, alone, *_ = joint.probabilities(predictions, dict.fromkeys(predictions, (0.0, 1.0)))
    assert together.shape == (3,)
    assert (together >= 0).all()
    assert (together <= np.min(list(alone.values()), axis=0)).all()


@given(st.lists(st.tuples(chances, chances), min_size=1, max_size=5), factors, chances, chances, chances)
def test_nothing_more_probable_is_claimed_than_calibration_supports(
    rows: list[tuple[float, float]], odds: float, of_a: float, of_b: float, highest: float
) -> None:
    predictions = {name: Fixed(*column) for name, column in zip("ab", zip(*rows, strict=True), strict=True)}
    joint = JointProbability((Group(("a", "b"), odds, highest_each=(of_a, of_b), highest=highest),))
    ranges = dict.fromkeys("ab", (0.0, 1.0))
    found, free = joint.probabilities(predictions, ranges), pair(odds).probabilities(predictions, ranges)
    assert (found.of_all <= min(of_a, of_b, highest)).all()
    assert (found.of_each["a"] <= of_a).all()
    np.testing.assert_array_equal(found.uncapped, free.of_all)
    np.testing.assert_array_equal(joint.of_all(found.of_each), found.of_all)  # what is shown is enough to repeat it
    lower = found.of_all < free.of_all
    assert all(found.capped[lower] != "")
    assert set(found.capped) <= {"", "a", "b", "a,b", "a+b", "a,a+b", "b,a+b", "a,b,a+b"}


def test_a_cap_names_the_targets_that_it_holds_back() -> None:
    joint = JointProbability((Group(("a", "b"), 1.0, highest_each=(0.9, 0.8), highest=0.3),))
    predictions = {"a": Fixed(0.95, 0.6, 0.5), "b": Fixed(0.2, 0.6, 0.5)}
    found = joint.probabilities(predictions, dict.fromkeys("ab", (0.0, 1.0)))
    assert found.capped.tolist() == ["a", "a+b", ""]
    assert found.of_all.tolist() == pytest.approx([0.18, 0.3, 0.25])
    assert found.uncapped.tolist() == pytest.approx([0.19, 0.36, 0.25])


@pytest.mark.parametrize("ids", ["row", None])
def test_twenty_rows_reach_the_largest_probability(synthetic: Any, ids: Any) -> None:
    planted = plant(synthetic, -0.7, ids)
    predictions = {name: surrogate.out_of_fold_prediction() for name, surrogate in planted.surrogates.items()}
    joint = JointProbability.fit(planted.surrogates, WANTED)
    found = joint.probabilities(predictions, WANTED)
    for chance in found.of_each.values():
        assert (chance == chance.max()).sum() == 20
    if ids is not None:
        assert (found.of_all == found.of_all.max()).sum() == 20
        assert found.of_all.max() < found.uncapped.max()
        assert (found.capped != "").sum() >= 19


def test_rows_that_may_have_no_value_support_less(synthetic: Any) -> None:
    planted = plant(synthetic, -0.7)
    first = next(iter(planted.surrogates))
    own = np.full(len(planted.surrogates[first].training.target), 0.5)
    halves = {first: InsulatorChances(own, np.linspace(0, 1, 500))}
    (sure,) = JointProbability.fit(planted.surrogates, WANTED).groups
    (unsure,) = JointProbability.fit(planted.surrogates, WANTED, insulators=halves).groups
    assert unsure.highest_each[0] == pytest.approx(sure.highest_each[0] / 2)
    assert unsure.highest_each[1] == sure.highest_each[1]
    assert unsure.odds > sure.odds  # as many rows meet both as before, of which less is promised


def test_metals_that_taught_the_classifier_support_ranges_that_a_metal_meets(synthetic: Any) -> None:
    surrogate = next(iter(plant(synthetic, -0.7).surrogates.values()))
    name, bound = surrogate.property_name, property_named(surrogate.property_name).lower
    chances = InsulatorChances(np.ones(len(surrogate.training.target)), np.linspace(0.01, 1, 100))
    labels_alone = chances._replace(of_others=np.empty(0))
    found = {}
    for least in (bound, bound + 1e-9):
        wanted = {name: (least, bound + 1e-6)}
        for rows, told in (("labels", labels_alone), ("both", chances)):
            (group,) = JointProbability.fit({name: surrogate}, wanted, insulators={name: told}).groups
            found[least, rows] = group
    assert found[bound, "both"].highest == pytest.approx(0.8)  # the twentieth of 100 metals and others
    assert found[bound, "labels"].highest < 0.5
    assert found[bound, "both"].rows == found[bound, "labels"].rows + 100
    assert found[bound + 1e-9, "both"] == found[bound + 1e-9, "labels"]


def test_at_a_cap_the_least_probability_is_needed() -> None:
    joint = JointProbability((Group(("a", "b"), 1.0, highest_each=(1.0, 1.0), highest=0.3),))
    assert joint.needed({"a": 0.9, "b": 0.6}, "a", wanted=0.3) == pytest.approx(0.5)
    assert joint.needed({"a": 0.9, "b": 0.6}, "a", wanted=0.31) is None


@given(chances, chances, chances, factors)
def test_the_likelier_one_target_the_likelier_all(low: float, high: float, other: float, odds: float) -> None:
    low, high = sorted([low, high])
    assert pair(odds).of_all(each(a=low, b=other)) <= pair(odds).of_all(each(a=high, b=other)) + 1e-12


@given(chances, chances, factors, st.floats(0.01, 0.99))
def test_with_the_probability_needed_all_are_met_as_wanted(
    first: float, second: float, odds: float, wanted: float
) -> None:
    needed = pair(odds).needed({"a": first, "b": second}, "a", wanted=wanted)
    if needed is None:
        assert pair(odds).of_all(each(a=1.0, b=second)) < wanted
    else:
        assert pair(odds).of_all(each(a=needed, b=second)) == pytest.approx(wanted, abs=1e-6)


class Planted(NamedTuple):
    """Two surrogates of targets whose noise goes together, and fresh rows with the truth."""

    surrogates: dict[str, Surrogate]
    features: Any
    truth: dict[str, np.ndarray]


def plant(synthetic: Any, correlation: float, ids: Any = "row") -> Planted:
    random = np.random.default_rng(5)
    first, second = (0.3 * np.sign(synthetic.features.values[:, i]) for i in (1, 2))
    noise = 0.5 * random.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], len(first))
    truth = dict(zip(WANTED, (3 + first + noise[:, 0], 3 + second + noise[:, 1]), strict=True))
    train, fresh = np.arange(900), np.arange(900, 3500)
    surrogates = {
        name: Surrogate.fit(
            name, synthetic.features.take(train), values[train], synthetic.groups[train], parameters={"trees": 60},
            ids=None if ids is None else [f"{name if ids == 'apart' else 'row'} {i}" for i in train],
        )
        for name, values in truth.items()
    }  # fmt: skip
    return Planted(surrogates, synthetic.features.take(fresh), {name: values[fresh] for name, values in truth.items()})


@pytest.mark.parametrize(("correlation", "wrong"), [(-0.7, 1.5), (0.0, 1.0), (0.7, 0.75)])
def test_as_many_meet_all_as_promised(synthetic: Any, correlation: float, wrong: float) -> None:
    planted = plant(synthetic, correlation)
    predictions = {name: surrogate.predict(planted.features) for name, surrogate in planted.surrogates.items()}
    met = np.logical_and.reduce([planted.truth[name] >= low for name, (low, _) in WANTED.items()]).sum()
    joint = JointProbability.fit(planted.surrogates, WANTED)
    assert joint.probabilities(predictions, WANTED)[0].sum() == pytest.approx(met, rel=0.25)  # 30 of the 900 meet all
    product = PRODUCT.probabilities(predictions, WANTED)[0].sum()
    assert product / met > wrong if wrong > 1 else product / met < wrong if wrong < 1 else True
    (group,) = joint.groups
    assert group.names == tuple(WANTED)
    assert group.rows == 900
    assert group.odds > 1 if correlation > 0 else group.odds < 1 if correlation < 0 else 0.7 < group.odds < 1.4


def test_the_factor_is_the_most_probable_one(synthetic: Any) -> None:
    planted = plant(synthetic, -0.7)
    (group,) = JointProbability.fit(planted.surrogates, WANTED).groups
    chance, met = np.ones(900), np.ones(900, bool)
    for name, surrogate in planted.surrogates.items():
        order = np.argsort(surrogate.training.ids)
        own = surrogate.out_of_fold_prediction().probability_between(*WANTED[name])
        chance *= np.minimum(own, np.sort(own)[-20])[order]
        met &= (surrogate.training.target >= WANTED[name][0])[order]
    assert (group.promised, group.met) == (pytest.approx(chance.sum()), met.sum())

    def against(shift: float) -> float:
        logit = np.log(chance / (1 - chance)) + shift
        return float((np.logaddexp(0, logit) - met * logit).sum() + shift**2 / 8)

    assert np.log(group.odds) == pytest.approx(minimize_scalar(against).x, abs=1e-4)


def test_where_none_meets_all_some_chance_is_left(synthetic: Any) -> None:
    wanted = {"band_gap": (3.3, INF), "refractive_index": (-INF, 1.0)}
    (group,) = JointProbability.fit(plant(synthetic, -0.7).surrogates, wanted).groups
    assert group.met == 0
    assert 0 < group.odds < 1
    assert group.promised * group.odds < 1.5  # as little as none among 900 suggests


@pytest.mark.parametrize("ids", [None, "apart"])
def test_without_common_crystals_targets_are_independent(synthetic: Any, ids: Any) -> None:
    joint = JointProbability.fit(plant(synthetic, -0.7, ids).surrogates, WANTED)
    assert [(group.names, group.odds) for group in joint.groups] == [((name,), 1.0) for name in WANTED]
