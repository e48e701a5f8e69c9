"""P(makeable phase): shares it learned come back, it never falls with kinship, and it claims no more than was seen."""

from __future__ import annotations

import numpy as np
import pytest

from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.errors import ModelError
from matloop.models.stability.makeable import (
    FEWEST,
    History,
    MakeablePhase,
    Traits,
    earlier_compositions,
    listed_distances,
    present_kinship,
)


def with_kinship(kinship: np.ndarray, elements: int = 3, unbalanced: bool = False) -> Traits:
    return Traits(kinship, np.full(len(kinship), elements), np.full(len(kinship), unbalanced))


def drawn(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kinship, the true probability of being listed, and whether it was."""
    random = np.random.default_rng(seed)
    scores = np.expm1(random.uniform(0, 4.5, rows))
    truth = 1 / (1 + np.exp(5 - 1.3 * np.log1p(scores)))
    return scores, truth, random.random(rows) < truth


def test_the_shares_that_it_learned_come_back():
    scores, truth, met = drawn(40_000)
    model = MakeablePhase.fit(with_kinship(scores), met, limit=0.05)
    chance = model.probability(with_kinship(scores))
    assert np.abs(chance - truth)[np.log1p(scores) < model.highest].max() < 0.03
    assert chance.mean() == pytest.approx(met.mean(), abs=0.002)
    assert (model.rows, model.met, model.limit) == (40_000, met.sum(), 0.05)


def test_more_kinship_never_means_less_and_nothing_is_claimed_beyond_what_was_seen():
    scores, _, met = drawn(3_000)
    met &= scores < 60  # the closest relatives were never listed
    model = MakeablePhase.fit(with_kinship(scores), met, limit=np.inf)
    ladder = model.probability(with_kinship(np.expm1(np.linspace(0, 12, 500))))
    assert (np.diff(ladder) >= 0).all()
    edge = np.sort(scores)[-FEWEST]
    assert model.probability(with_kinship(np.array([edge])))[0] == pytest.approx(ladder[-1])
    assert model.probability(with_kinship(np.array([edge / 1.5])))[0] < ladder[-1]


def test_nothing_is_learned_from_too_little():
    scores, _, met = drawn(FEWEST - 1)
    for kinship, listed in ((scores, met), (np.ones(500), np.ones(500, bool)), (np.ones(500), np.zeros(500, bool))):
        with pytest.raises(ModelError, match="compositions listed"):
            MakeablePhase.fit(with_kinship(kinship), listed, limit=0.05)


def test_a_composition_that_the_later_list_lacks_is_never_listed():
    history = History(with_kinship(np.zeros(3)), np.array([0.0, 0.2, np.inf]))
    assert history.listed(0.05).tolist() == [True, False, False]
    assert history.listed(np.inf).tolist() == [True, True, False]


def test_distances_from_the_hull_of_the_later_list():
    compositions, _ = parse_formulas(["MgAl2O4", "NaCl2", "NaCl"])
    assert listed_distances(compositions).tolist() == pytest.approx([0.0, np.inf, 0.0], abs=1e-9)


def test_close_relatives_of_known_compounds_have_more_kinship_than_far_fetched_ones():
    found = present_kinship().scores(parse_formulas(["RbCl", "SrHfO3", "ArCl", "Au3HeO7"])[0])
    assert found[:2].min() > 10 > found[2:].max()
    earlier = earlier_compositions()
    assert len(np.unique(composition_keys(earlier))) == len(earlier) > 35_000


def test_what_does_not_balance_and_what_has_other_numbers_of_elements_is_told_apart():
    random = np.random.default_rng(1)
    traits = Traits(
        np.expm1(random.uniform(0, 4.5, 40_000)), random.integers(2, 6, 40_000), random.random(40_000) < 0.2
    )
    added = np.array([0.5, 0.0, 0.3, -0.8])[traits.elements - 2]
    odds = -4 + np.log1p(traits.kinship) + added - 1.5 * traits.unbalanced
    model = MakeablePhase.fit(traits, random.random(40_000) < 1 / (1 + np.exp(-odds)), limit=0.05)
    assert model.others == pytest.approx((0.5, 0.3, -0.8, -1.5), abs=0.15)


def test_alloys_need_no_balance():
    compositions, _ = parse_formulas(["NaCl", "NaCl2", "Ni3Al"])
    assert Traits.of(compositions, present_kinship()).unbalanced.tolist() == [False, True, False]
