"""The choice of family and features: honest score, budget, record, and candidates that refuse."""

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from matloop.data.errors import ModelError, UnknownNameError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.models.families.contract import Ensemble
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.registry import MODELS
from matloop.models.surrogates import choice, family_trials
from matloop.models.surrogates.choice import choose, fit_chosen
from matloop.models.surrogates.family_candidates import Budget, Candidate
from matloop.models.surrogates.surrogate import Surrogate

RANDOM = np.random.default_rng(2)
ROWS = 200
GROUPS = np.arange(ROWS) // 2
KNOWN = RANDOM.normal(size=(ROWS, 3))
TARGET = KNOWN[:, 0] + 0.5 * KNOWN[:, 1] + 0.05 * RANDOM.normal(size=ROWS)
ANY = Budget()
KNOWN_SLOPE = 1.0


def matrix(values: np.ndarray, name: str = "any") -> FeatureMatrix:
    names = tuple(f"{name} {column}" for column in range(values.shape[1]))
    return FeatureMatrix(values, names, name, np.zeros((len(values), 119), bool), np.full(len(values), "", "<U32"))


FEATURES = {"good": matrix(KNOWN), "noise": matrix(RANDOM.normal(size=(ROWS, 2)))}


class Clock:
    """Time that passes only while a family is fitted, so that what fits into a budget hangs on no machine."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def perf_counter(self) -> float:
        return self.seconds


CLOCK = Clock()


class Line(Ensemble):
    """Predicts a straight line of the first feature; notes which rows it was fitted on and asked about."""

    family: ClassVar[str] = "line"
    log: ClassVar[list[tuple[set[int], set[int]]]] = []

    def __init__(self, *, seed: int = 0, slope: float = 1.0, wait: float = 0.0) -> None:
        self.slope, self.wait = slope, wait

    def fit(self, values: np.ndarray, target: np.ndarray, *, groups: np.ndarray | None = None) -> "Line":
        assert groups is not None
        CLOCK.seconds += self.wait
        self.rows = set(values[:, -1])
        return self

    def predict(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.log.append((self.rows, set(values[:, -1])))
        return self.slope * values[:, 0], np.ones(len(values))


class Bend(Line):
    """Misses the other way: the mean of it and a line of the same slope is right."""

    family: ClassVar[str] = "bend"

    def predict(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, spread = super().predict(values)
        return 2 * KNOWN_SLOPE * values[:, 0] - mean, spread


class Refusing(ExtraTrees):
    family: ClassVar[str] = "refusing"

    def fit(self, *_: Any, **__: Any) -> Any:
        raise ModelError("no such library")


@pytest.fixture(autouse=True)
def families(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, attribute in (("line", "Line"), ("bend", "Bend"), ("refusing", "Refusing")):
        monkeypatch.setitem(MODELS, name, f"tests.models.surrogates.test_choice:{attribute}")  # type: ignore[arg-type]
    monkeypatch.setattr(CLOCK, "seconds", 0.0)
    for module in (choice, family_trials):
        monkeypatch.setattr(module, "time", CLOCK)


def chosen(*candidates: Candidate, **changes: Any) -> choice.Choice:
    arguments: dict[str, Any] = {"features": FEATURES, "target": TARGET, "groups": GROUPS, "budget": ANY}
    arguments = {**arguments, **changes}
    return choose(candidates, arguments.pop("features"), **arguments)


TREES = {"trees": 20}
GOOD, NOISE = Candidate("extra_trees", "good", TREES), Candidate("extra_trees", "noise", TREES)


def test_features_that_tell_something_win() -> None:
    found = chosen(NOISE, GOOD)
    assert found.winner == GOOD
    good, noise = sorted(found.trials, key=lambda trial: trial.mae)
    assert good.mae < 0.5 * noise.mae
    assert found.nested_mae == pytest.approx(good.mae)  # chosen in every fold
    assert "chosen inside 5 of them" in found.reason
    assert f"{noise.mae:.4g} of extra_trees {TREES} on noise" in found.reason


def test_no_row_takes_part_in_choosing_what_predicts_it() -> None:
    numbered = {"good": matrix(np.column_stack([KNOWN[:, 0], np.arange(ROWS)]))}
    Line.log.clear()
    chosen(Candidate("line", "good"), features=numbered)
    assert len(Line.log) == 20
    for start in range(0, 20, 4):  # one outer fit and three inside
        (outer, held), *inside = Line.log[start : start + 4]
        assert outer | held == set(range(ROWS))
        for fitted, asked in [(outer, held), *inside]:
            assert not {GROUPS[int(row)] for row in fitted} & {GROUPS[int(row)] for row in asked}
        for fitted, asked in inside:
            assert not (fitted | asked) & held
    assert set().union(*(Line.log[start][1] for start in range(0, 20, 4))) == set(range(ROWS))


def test_score_of_the_procedure_is_not_flattered_by_many_candidates() -> None:
    random = np.random.default_rng(0)
    target = random.normal(size=ROWS)
    guesses = {f"guess {k}": matrix(random.normal(size=(ROWS, 1))) for k in range(40)}
    found = chosen(*(Candidate("line", name) for name in guesses), features=guesses, target=target)
    errors = [trial.mae for trial in found.trials]
    assert min(errors) < np.mean(errors) * 0.93  # luck
    assert found.nested_mae > min(errors) * 1.04  # does not last


def test_cheapest_come_first_and_a_count_ends_it() -> None:
    candidates = [
        Candidate("boosted_trees", "noise", {"boosters": 1, "rounds": 5}),
        Candidate("extra_trees", "good", TREES),
        Candidate("extra_trees", "noise", TREES),
    ]
    found = chosen(*candidates, budget=Budget(candidates=2))
    assert [trial.candidate for trial in found.trials] == [candidates[2], candidates[1], candidates[0]]
    assert [trial.outcome for trial in found.trials] == ["tried", "tried", "out of budget"]
    assert found.winner == candidates[1]
    assert "1 of 3 candidates did not fit into the budget of 2 candidates" in found.reason


def test_time_ends_it_in_the_middle_of_a_candidate_but_the_first_is_always_tried() -> None:
    slow = [Candidate("line", "good", {"wait": 0.02, "slope": slope}) for slope in (0.5, 1.0, 1.1)]
    found = chosen(*slow, budget=Budget(seconds=0.5))
    assert [trial.outcome for trial in found.trials] == ["tried", "out of budget", "out of budget"]
    assert found.winner == slow[0]
    assert CLOCK.seconds < 0.5
    assert chosen(slow[0], budget=Budget(seconds=1e-9)).winner == slow[0]


def test_time_is_left_to_fit_the_winner() -> None:
    """Trying takes 20 fits of 20 ms each: a second candidate would be ready, but not its fit."""
    slow = [Candidate("line", "good", {"wait": 0.02, "slope": slope}) for slope in (0.5, 1.0)]
    assert [trial.outcome for trial in chosen(*slow, budget=Budget(seconds=1.05)).trials] == ["tried", "out of budget"]
    twice = [trial.outcome for trial in chosen(*slow, budget=Budget(seconds=1.25, fits=2)).trials]
    assert twice == ["tried", "out of budget"]
    assert [trial.outcome for trial in chosen(*slow, budget=Budget(seconds=6)).trials] == ["tried", "tried"]


def test_same_seed_same_choice() -> None:
    one, two = (chosen(NOISE, GOOD, budget=Budget(candidates=2), seed=3) for _ in range(2))
    assert (one.winner, one.nested_mae, one.reason) == (two.winner, two.nested_mae, two.reason)
    assert chosen(NOISE, GOOD, seed=4).nested_mae != one.nested_mae


def test_candidate_that_refuses_is_recorded_and_passed_over() -> None:
    found = chosen(Candidate("refusing", "good"), GOOD)
    assert found.winner == GOOD
    refused = next(trial for trial in found.trials if trial.candidate.family == "refusing")
    assert "no such library" in refused.outcome
    with pytest.raises(ModelError, match=r"no candidate can be fitted: refusing on good: E-MODEL: no such library"):
        chosen(Candidate("refusing", "good"))


def test_rows_are_those_that_every_feature_set_has() -> None:
    codes = np.where(np.arange(ROWS) < 30, "E-FEATURE-CRYSTAL", "")
    broken = FeatureMatrix(KNOWN, tuple("abc"), "b", FEATURES["good"].elements, codes)
    target = np.where(np.arange(ROWS) >= 190, np.nan, TARGET)
    assert chosen(GOOD, features={**FEATURES, "broken": broken}, target=target).rows == ROWS - 30 - 10


def test_card_is_plain_json_and_tells_what_was_tried() -> None:
    card = json.loads(json.dumps(chosen(NOISE, GOOD, budget=Budget(candidates=1)).card(), allow_nan=False))
    assert card["winner"] == f"extra_trees {TREES} on noise"
    assert [one["outcome"] for one in card["tried"]] == ["tried", "out of budget"]
    assert card["tried"][1]["mae"] is None
    assert card["budget"] == {"seconds": None, "candidates": 1}


@pytest.mark.parametrize("most", [1, 100, 199, 200, 500])
def test_candidates_are_compared_on_whole_formulas_drawn_by_the_seed(most: int) -> None:
    numbered = {"good": matrix(np.column_stack([KNOWN[:, 0], np.arange(ROWS)]))}
    drawn = []
    for seed in (0, 0, 1):
        Line.log.clear()
        found = chosen(Candidate("line", "good"), features=numbered, budget=Budget(rows=most), seed=seed)
        drawn.append(sorted(set().union(*(asked for _, asked in Line.log))))
        assert found.rows == len(drawn[-1])
    first, again, other = drawn
    assert first == again
    assert (first != other) == (most < 200)
    assert len(first) == {1: 20, 100: 100, 199: 198}.get(most, ROWS)
    assert {int(row) ^ 1 for row in first} == {int(row) for row in first}  # two rows to a formula
    assert (f"Compared on {len(first)} of 200 rows." in found.reason) == (len(first) < ROWS)


def test_a_single_feature_set_needs_no_name() -> None:
    found = chosen(
        Candidate("line", parameters={"slope": 9.0}), Candidate("extra_trees"), features={"": FEATURES["good"]}
    )
    assert str(found.winner) == "extra_trees"
    assert found.reason.startswith("extra_trees had the least mean absolute error over 5 folds")
    assert {trial["family"] for trial in found.card()["tried"]} == {"extra_trees", "line"}


def test_surrogate_of_the_winner_carries_the_record(tmp_path: Path) -> None:
    target = 10 ** (TARGET / 4)
    settings: dict[str, Any] = {"target": target, "groups": GROUPS, "transform": "log10", "seed": 2}
    model = fit_chosen("bulk_modulus_vrh", [NOISE, GOOD], FEATURES, budget=ANY, **settings)
    record = model.card["choice"]
    assert record["winner"] == str(GOOD)
    assert model.card["parameters"]["seed"] == 2
    assert record["nested_mae"] == pytest.approx(model.card["scores"]["mae"], rel=0.3)  # both on the scale of log10
    model.save(tmp_path / "model")
    assert Surrogate.load(tmp_path / "model").card["choice"] == record
    np.testing.assert_array_equal(model.predict(FEATURES["good"]).codes, "")


LINE, BEND = (Candidate(family, "good", {"slope": 1.5}) for family in ("line", "bend"))
MEAN = Candidate("mean", "good")


def weights_of(candidate: Candidate) -> dict[float, float]:
    """Weight of each line by its slope."""
    slopes = [next(iter(each.values()))["slope"] for each in candidate.parameters["families"]]
    return dict(zip(slopes, candidate.parameters["weights"], strict=True))


def test_mean_of_families_that_miss_differently_wins_without_a_further_fit() -> None:
    Line.log.clear()
    found = chosen(NOISE, LINE, MEAN, BEND)
    assert len(Line.log) == 40  # 20 of either
    assert [trial.outcome for trial in found.trials] == ["tried"] * 4
    mean = found.trials[-1]
    assert found.winner == mean.candidate  # the features called noise take no part in it
    assert mean.candidate.parameters["families"] == [{"line": {"slope": 1.5}}, {"bend": {"slope": 1.5}}]
    np.testing.assert_allclose(mean.candidate.parameters["weights"], 0.5, atol=0.02)
    assert str(mean.candidate).startswith("mean of 0.")
    assert mean.mae == pytest.approx(np.abs(KNOWN[:, 0] * KNOWN_SLOPE - TARGET).mean(), rel=0.03)
    assert found.nested_mae == pytest.approx(mean.mae, rel=0.03)
    assert json.loads(json.dumps(found.card()))["tried"][-1]["family"] == "mean"


def test_a_family_that_would_spoil_the_mean_gets_no_weight() -> None:
    wild = Candidate("line", "good", {"slope": 40.0})
    found = chosen(wild, LINE, BEND, MEAN)
    assert found.winner.parameters["families"] == [{"line": {"slope": 1.5}}, {"bend": {"slope": 1.5}}]
    assert found.nested_mae == pytest.approx(chosen(LINE, BEND, MEAN).nested_mae, rel=0.01)
    alone = chosen(wild, LINE, MEAN)
    assert alone.winner == LINE
    assert [trial.candidate for trial in alone.trials] == [wild, LINE, MEAN]
    assert "as much as rows of other formulas support: line {'slope': 1.5} on good." in alone.reason


def test_weights_are_near_those_of_least_error_and_their_error_is_that_of_other_rows() -> None:
    steep, flat = (Candidate("line", "good", {"slope": slope}) for slope in (1.6, 0.7))
    weighted = chosen(steep, flat, MEAN).trials[-1]
    slope = sum(slope * weight for slope, weight in weights_of(weighted.candidate).items())
    errors = {slope: np.abs(slope * KNOWN[:, 0] - TARGET).mean() for slope in np.linspace(0.7, 1.6, 91)}
    assert slope == pytest.approx(min(errors, key=lambda slope: errors[slope]), abs=0.1)
    assert min(errors.values()) < weighted.mae < 1.05 * min(errors.values())


def test_families_that_cannot_be_told_apart_share_the_weight() -> None:
    """Their errors differ by less than chance, so that the best of them alone would be an accident."""
    random = np.random.default_rng(5)
    guesses = {"good": matrix(random.normal(size=(ROWS, 6)))}
    trees = [Candidate("extra_trees", "good", {"trees": 1, "seed": seed}) for seed in range(6)]
    found = chosen(*trees, MEAN, features=guesses, target=random.normal(size=ROWS))
    assert len(found.winner.parameters["families"]) == 6
    assert max(found.winner.parameters["weights"]) < 0.35
    singles = [trial.mae for trial in found.trials[:-1]]
    assert found.nested_mae < 0.9 * min(singles)


def test_error_of_the_procedure_owes_nothing_to_weights_found_by_the_same_rows() -> None:
    random = np.random.default_rng(1)
    target = random.normal(size=ROWS)
    guesses = {"good": matrix(np.column_stack([random.normal(size=(ROWS, 1)), np.arange(ROWS)]))}
    lines = [Candidate("line", "good", {"slope": slope}) for slope in (-0.2, 0.2)]
    found = chosen(*lines, MEAN, features=guesses, target=target)
    by_hindsight = min(np.abs(slope * guesses["good"].values[:, 0] - target).mean() for slope in (-0.2, 0.0, 0.2))
    assert found.nested_mae > by_hindsight


def test_time_for_fitting_all_members_is_left_or_there_is_no_mean() -> None:
    slow = [Candidate(family, "good", {"wait": 0.02, "slope": 1.5}) for family in ("line", "bend")]
    in_time = chosen(*slow, MEAN, budget=Budget(seconds=1.6))
    assert in_time.winner.family == "mean"
    short = chosen(*slow, MEAN, budget=Budget(seconds=1.2))
    assert [trial.outcome for trial in short.trials] == [
        "tried", "out of budget", "no two of the others can be fitted in time",
    ]  # fmt: skip
    assert chosen(LINE, MEAN).winner == LINE


def test_surrogate_of_a_mean_fits_its_members(tmp_path: Path) -> None:
    two = [Candidate("extra_trees", "good", {"trees": 2, "seed": seed}) for seed in (2, 5)]
    model = fit_chosen("band_gap", [*two, MEAN], FEATURES, target=TARGET, groups=GROUPS, budget=ANY, seed=2)
    assert model.card["choice"]["winner"].startswith("mean of ")
    assert model.card["family"] == "mean"
    families = model.card["parameters"]["families"]
    assert sorted(each["extra_trees"]["seed"] for each in families) == [2, 5]
    model.save(tmp_path / "model")
    ours, theirs = (each.predict(FEATURES["good"]).median for each in (model, Surrogate.load(tmp_path / "model")))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("candidates", "changes", "error", "words"),
    [
        ([], {}, ModelError, "no candidates"),
        ([Candidate("extra_trees", "better")], {}, ModelError, "'better'.*Allowed: good, noise"),
        ([Candidate("extra_tree", "good")], {}, UnknownNameError, "did you mean 'extra_trees'"),
        ([GOOD], {"target": np.where(np.arange(ROWS) < 16, TARGET, np.nan)}, ModelError, "16 rows of 8 formulas"),
        ([GOOD], {"groups": np.arange(ROWS) % 4}, ModelError, "200 rows of 4 formulas"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(
    candidates: list[Candidate], changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        chosen(*candidates, **changes)


@pytest.mark.parametrize("limits", [{"seconds": 0.0}, {"candidates": 0}, {"seconds": float("nan")}])
def test_budget_of_nothing_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="limits above zero"):
        Budget(**limits)
