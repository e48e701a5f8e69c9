"""Back-tests of whole lists: planted hits are counted, and what is promised and drawn at random stands beside them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.packaged.materials import load_materials
from matloop.screening.campaign.campaign import Shortlist
from matloop.screening.ranking.ranking import diverse_choice
from matloop.screening.runs.run_summary import BackTestedLists
from matloop.workflows.deciding.back_test import KnownOutcomes, back_test, listed


def outcomes(seed: int, *, rows: int = 250) -> KnownOutcomes:
    """Crystals that meet a target about as often as they promise; ten are not admitted."""
    random = np.random.default_rng(seed)
    materials = load_materials().take(np.sort(random.choice(2000, rows, replace=False)))
    chance = random.beta(0.5, 4, rows)
    met = random.random(rows) < chance
    chance[:10] = np.nan
    return KnownOutcomes(materials, np.minimum(chance, 0.4), chance, met)


@pytest.mark.parametrize("diversity", [0.0, 0.5])
def test_lists_hold_about_what_right_probabilities_promise(diversity: float) -> None:
    found = np.array(
        [
            [entry.met, entry.promised, entry.random]
            for seed in range(20)
            for entry in back_test(outcomes(seed), ["band_gap"], wanted=Shortlist(size=3, diversity=diversity), draws=3)
            if entry.size == 20
        ]
    )
    met, promised, chance = found.mean(axis=0)
    assert promised == pytest.approx(met, rel=0.3)  # the cap holds some back
    assert chance < 0.5 * met


def test_sizes_have_ten_materials_for_each_place() -> None:
    (three, ten, twenty) = back_test(outcomes(0), ["band_gap"], wanted=Shortlist(size=3))
    assert [three.size, ten.size, twenty.size] == [3, 10, 20]
    assert three.met <= ten.met <= twenty.met
    assert {entry.materials for entry in (three, ten, twenty)} == {240}
    assert twenty.hits >= twenty.met
    assert ten.random == pytest.approx(10 * ten.hits / ten.materials, rel=0.1)
    few = back_test(outcomes(0, rows=60), ["band_gap"], wanted=Shortlist(size=3))
    assert [entry.size for entry in few] == [3]
    assert back_test(outcomes(0, rows=30), ["band_gap"], wanted=Shortlist(size=3)) == []


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.3, 0.9, 1.0]))
def test_a_list_is_that_of_the_shortlist(seed: int, diversity: float) -> None:
    known = outcomes(seed, rows=60)
    known = known.take(np.flatnonzero(np.isfinite(known.probability)))
    picks = listed(known, Shortlist(size=3, diversity=diversity), size=10)
    order = np.lexsort((np.array(known.materials.ids), -known.score, -known.probability))
    whole = diverse_choice(
        known.probability[order], known.materials.compositions.take(order), size=10, diversity=diversity
    )
    assert picks.tolist() == order[whole].tolist()


def test_a_promise_contradicts_where_so_few_hits_would_be_rare() -> None:
    lists = BackTestedLists(
        targets=("band_gap",), materials=500, hits=9, size=10, lists=20, met=2.0, promised=2.5, random=0.2
    )
    assert not lists.promises_too_much
    assert lists.model_copy(update={"promised": 7.3}).promises_too_much  # P(at most 2 of 7.3) is 0.024
    assert not lists.model_copy(update={"promised": 0.1}).promises_too_much  # more than promised is no false claim
