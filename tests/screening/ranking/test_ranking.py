import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.candidates.compositions import composition_keys
from matloop.data.packaged.materials import load_materials
from matloop.screening.campaign.campaign import Shortlist
from matloop.screening.ranking.ranking import diverse_choice, ranking_order
from matloop.screening.ranking.spread import list_spread, price_of_diversity, spread_choice
from tests.strategies import batch_of, formula_of, whole_compositions

NAN, INF = float("nan"), float("inf")
chances = st.floats(0, 1)
scores = chances | st.sampled_from([NAN, INF, -INF, 0.0, 0.5, 1.0])


def test_best_first_and_equals_by_id() -> None:
    probability = np.array([0.1, 0.9, 0.5, 0.9, 0.5])
    assert ranking_order(probability, ["e", "d", "c", "b", "a"]).tolist() == [3, 1, 4, 2, 0]


def test_what_is_not_finite_never_ranks() -> None:
    probability = np.array([NAN, 0.2, INF, -INF, 0.0])
    assert ranking_order(probability, list("abcde")).tolist() == [1, 4]
    assert ranking_order(np.array([NAN, NAN]), ["a", "b"]).tolist() == []
    assert ranking_order(np.array([]), []).tolist() == []


@given(st.lists(scores, max_size=12), st.data())
def test_order_does_not_depend_on_the_order_candidates_came_in(probability: list[float], data: st.DataObject) -> None:
    ids = data.draw(
        st.lists(st.text("abc", max_size=3), min_size=len(probability), max_size=len(probability), unique=True)
    )
    values, shuffled = np.array(probability, float), data.draw(st.permutations(range(len(probability))))
    ranked = [ids[row] for row in ranking_order(values, ids)]
    again = ranking_order(values[list(shuffled)], [ids[row] for row in shuffled])
    assert [ids[shuffled[row]] for row in again] == ranked
    order = ranking_order(values, ids)
    assert set(order.tolist()) == set(np.flatnonzero(np.isfinite(values)).tolist())
    pairs = [(-values[row], ids[row]) for row in order]
    assert pairs == sorted(pairs)


@given(st.lists(chances, min_size=1, max_size=30), st.integers(1, 30), st.integers(1, 30))
def test_the_best_of_parts_are_the_best_of_all(probability: list[float], size: int, keep: int) -> None:
    values, ids = np.array(probability), [f"x{at:03d}" for at in range(len(probability))]
    best: list[int] = []
    for start in range(0, len(values), size):
        rows = np.array([*best, *range(start, min(start + size, len(values)))])
        best = rows[ranking_order(values[rows], [ids[row] for row in rows])[:keep]].tolist()
    assert best == ranking_order(values, ids)[:keep].tolist()


def choice(formulas: list[str], probability: list[float], size: int, diversity: float) -> list[str]:
    picks = diverse_choice(np.array(probability), batch_of(*formulas).compositions, size=size, diversity=diversity)
    return [formulas[row] for row in picks]


def test_diversity_spreads_over_chemistry() -> None:
    formulas, probability = ["TiO2", "HfO2", "NaCl"], [1.0, 0.9, 0.5]
    assert choice(formulas, probability, 2, 0.0) == ["TiO2", "HfO2"]
    assert choice(formulas, probability, 2, 1.0) == ["TiO2", "NaCl"]
    assert choice(formulas, probability, 3, 1.0) == ["TiO2", "NaCl", "HfO2"]


def test_likeness_is_that_to_the_nearest_pick() -> None:
    # HfO2 is two thirds of a step from TiO2; ten steps make two compositions unlike: 0.9 (1 - 0.5 x 14/15) = 0.48.
    assert choice(["TiO2", "HfO2", "NaCl"], [1.0, 0.9, 0.481], 2, 0.5) == ["TiO2", "NaCl"]
    assert choice(["TiO2", "HfO2", "NaCl"], [1.0, 0.9, 0.479], 2, 0.5) == ["TiO2", "HfO2"]
    # After NaCl, KCl is as unlikely to be picked as HfO2 is after TiO2.
    assert choice(["TiO2", "NaCl", "HfO2", "KCl", "ZnS"], [1.0, 0.99, 0.9, 0.9, 0.3], 3, 1.0) == ["TiO2", "NaCl", "ZnS"]


def test_many_candidates_need_no_table_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    formulas = [f"Na{a}K{b}Cl{c}" for a, b, c in rng.integers(1, 60, (20_000, 3))]
    picks = diverse_choice(rng.random(20_000), batch_of(*formulas).compositions, size=3, diversity=0.5)
    assert len(set(picks)) == 3


def test_same_composition_is_never_picked_twice() -> None:
    formulas = ["SiO2", "Si2O4", "Si0.5O", "SiO2", "GeO2"]
    assert choice(formulas, [0.9, 0.8, 0.7, 0.6, 0.1], 5, 0.0) == ["SiO2", "GeO2"]


def test_fewer_than_asked_for() -> None:
    assert choice(["NaCl", "KCl"], [0.5, 0.6], 10, 0.5) == ["KCl", "NaCl"]
    assert choice([], [], 3, 0.5) == []
    assert choice(["NaCl", "KCl", "MgO"], [NAN, 0.1, INF], 3, 0.5) == ["KCl"]


@given(
    st.lists(st.tuples(whole_compositions(st.sampled_from(["Na", "K", "Cl", "O"])), scores), max_size=10),
    st.integers(1, 12),
    chances,
)
def test_choice_is_sound(candidates: list[tuple[dict[str, int], float]], size: int, diversity: float) -> None:
    compositions = batch_of(*(formula_of(composition) for composition, _ in candidates)).compositions
    probability = np.array([chance for _, chance in candidates], float)
    picks = diverse_choice(probability, compositions, size=size, diversity=diversity)
    keys = composition_keys(compositions)
    usable = np.isfinite(probability)
    assert len(picks) == min(size, len(set(keys[usable].tolist())))
    assert len({int(keys[row]) for row in picks}) == len(picks)
    assert usable[picks].all()
    if picks:
        assert probability[picks[0]] == probability[usable].max()
    # A smaller shortlist is the beginning of a larger one.
    assert (
        diverse_choice(probability, compositions, size=max(size // 2, 1), diversity=diversity)
        == picks[: max(size // 2, 1)]
    )


@given(st.lists(chances, min_size=1, max_size=8, unique=True), st.integers(1, 10))
def test_no_diversity_is_the_plain_order(probability: list[float], size: int) -> None:
    formulas = [f"Na{at + 1}Cl" for at in range(len(probability))]
    compositions = batch_of(*formulas).compositions
    picks = diverse_choice(np.array(probability), compositions, size=size, diversity=0.0)
    assert picks == ranking_order(np.array(probability), formulas)[:size].tolist()


@pytest.mark.parametrize("diversity", [0.0, 0.5, 1.0])
def test_ties_take_the_earlier_row(diversity: float) -> None:
    assert choice(["NaCl", "MgO", "ZnS"], [0.5, 0.5, 0.5], 3, diversity) == ["NaCl", "MgO", "ZnS"]


def test_structural_diversity_prefers_other_places_of_the_atoms() -> None:
    materials = load_materials()
    formulas, groups = materials.table["formula"].to_pylist(), materials.column("space_group_number")

    def cubic(formula: str) -> int:
        return next(row for row, name in enumerate(formulas) if name == formula and groups[row] == 225)

    chosen = materials.take([cubic("MgO"), cubic("CaO"), cubic("CaF2")])  # two of rock salt, one of fluorite
    merit, alike = np.array([1.0, 0.9, 0.8]), {"size": 2, "diversity": 0.0}
    assert spread_choice(merit, chosen, Shortlist(**alike)) == [0, 1]
    assert spread_choice(merit, chosen, Shortlist(**alike, structural_diversity=0.5)) == [0, 2]
    price = price_of_diversity(merit, chosen, Shortlist(**alike, structural_diversity=0.5), probability=merit)
    assert price is not None
    assert (price.chosen.score, price.undiversified.score) == pytest.approx((0.9, 0.95))
    assert (price.chosen.structure or 0) > 0.3 > 0.01 > (price.undiversified.structure or 0)


def test_what_has_no_crystal_is_as_alike_as_can_be() -> None:
    formulas = batch_of("MgO", "CaF2", "ZnS")
    merit = np.array([1.0, 0.9, 0.8])
    wanted = Shortlist(size=3, diversity=0.0, structural_diversity=1.0)
    assert spread_choice(merit, formulas, wanted) == [0, 1, 2]
    assert list_spread([0, 1], formulas, merit=merit, probability=merit).structure is None
    assert list_spread([0], formulas, merit=merit, probability=merit).chemistry is None
    assert price_of_diversity(np.full(3, np.nan), formulas, wanted, probability=merit) is None
