"""What a run claims of its shortlist."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import CHOSEN, EXPECTED_MISSES, NO_EVIDENCE
from matloop.data.packaged.materials import load_materials
from matloop.data.training.training_sets import TrainingSets
from matloop.models.surrogates.joint_probability import Group, JointProbability
from matloop.models.surrogates.selection import Evidence, conformal_selection
from matloop.screening.ranking.shares_of_misses import telling_shares
from matloop.workflows.deciding.selection_evidence import (
    Known,
    evidence_for,
    expected_misses,
    known_rows,
    selected_errors,
)
from matloop.workflows.deciding.shortlisting import choose
from matloop.workflows.screen import ScreeningRun
from matloop.workflows.stages.scoring import ScoringTask
from tests.strategies import batch_of
from tests.workflows.conftest import campaign

RANGES = {"piezoelectric_modulus": (1.0, float("inf")), "refractive_index": (1.5, 3.0)}


@pytest.fixture(scope="module")
def known(finished: ScreeningRun) -> Known:
    return known_rows(ScoringTask(campaign(), finished.folder, RANGES), TrainingSets.of(list(RANGES)))


def test_known_crystals_are_predicted_as_new(known: Known) -> None:
    for name in RANGES:
        labelled = np.isfinite(load_materials().column(f"{name}_dft"))
        errors = known.errors[name][labelled]
        errors = errors[np.isfinite(errors)]
        assert np.isfinite(known.errors[name]).sum() <= labelled.sum()
        # Relative to the half width of 90 % intervals: out-of-fold errors fill them, in-sample ones would not.
        assert 0.07 < np.mean(np.abs(errors) > 1) < 0.14, name
    assert set(np.unique(known.met["refractive_index"][np.isfinite(known.met["refractive_index"])])) == {0.0, 1.0}


def test_shortlisted_have_intervals_for_what_was_picked(finished: ScreeningRun) -> None:
    ranked = finished.ranked
    picked = ranked.column("shortlisted") > 0
    for name in RANGES:
        low, high = ranked.column(f"{name}_selected_lo"), ranked.column(f"{name}_selected_hi")
        assert np.isfinite(low[picked]).all()
        assert np.isnan(low[~picked]).all()
        assert (low[picked] <= high[picked]).all()
    text = (finished.folder / "shortlist.csv").read_text("utf-8-sig")
    assert "refractive_index 90 % given selection from" in text
    tells = np.isfinite(telling_shares(ranked.column("expected_misses")[picked])).any()
    assert ("expected_share_of_misses" in text) == tells


def test_expected_misses_are_shares(finished: ScreeningRun) -> None:
    shares = finished.ranked.column("expected_misses")
    assert (np.isnan(shares) | ((shares > 0) & (shares <= 1))).all()


def test_expected_misses_grow_with_less_support() -> None:
    score = np.linspace(0, 1, 200)
    met = np.random.default_rng(0).random(200) < score
    candidates = np.linspace(1, 0, 30) ** 0.2
    shares = expected_misses([Evidence(score, met, candidates)], candidates)
    assert (np.diff(shares) >= 0).all()
    assert shares[0] < 0.5 * shares[-1]


def test_r33_a_share_of_misses_agrees_with_the_probabilities_beside_it() -> None:
    """R33: an expected share of misses of 0.53 beside a probability of 0.0005 is none."""
    score = np.linspace(0, 1, 200)
    unlikely = np.full(30, 0.0005)
    evidence = [Evidence(score, score > 0.6, np.linspace(0.2, 1, 30))]  # scores as high as those of known hits
    alone = expected_misses(evidence, np.ones(30))
    assert alone.min() < 0.53
    assert expected_misses(evidence, unlikely).tolist() == pytest.approx([0.9995] * 30)
    mixed = np.linspace(0.1, 0.9, 30)
    shares = expected_misses(evidence, mixed)
    means = np.array([mixed[shares <= share].mean() for share in shares])
    assert (shares >= 1 - means - 1e-12).all()
    assert (shares >= alone).all()


def test_r33_what_the_data_do_not_support_has_no_share_of_misses() -> None:
    """R33: an expected share of misses of 1 beside a probability of 0.35 says nothing and is left out."""
    score = np.linspace(0, 1, 200)
    likely = np.full(30, 0.35)
    weak = Evidence(score, score > 0.9, likely)  # more than half of those that miss score as high
    assert np.isnan(expected_misses([weak, weak], likely)).all()


@given(st.integers(0, 2**32 - 1))
def test_r33_nothing_is_claimed_without_known_hits(seed: int) -> None:
    random = np.random.default_rng(seed)
    score, candidates = random.random(200), random.random(30)
    hits = Evidence(score, random.random(200) < score, candidates)
    none = Evidence(score, np.zeros(200, bool), candidates)
    unpredicted = Evidence(np.where(hits.met, np.nan, score), hits.met, candidates)
    for evidence in ([none], [hits, none], [unpredicted], [Evidence(score[:0], hits.met[:0], candidates)]):
        assert np.isnan(expected_misses(evidence, candidates)).all()


def test_r33_without_evidence_nothing_keeps_the_promise() -> None:
    ranked = ranked_batch(expected_misses=np.array([0.05, np.nan, 0.3, np.nan]))
    chosen, fates = choose(ranked, campaign(shortlist={"size": 4, "max_false_discovery": 0.1}))
    assert chosen.column("shortlisted").tolist() == [1, 0, 0, 0]
    told = {row["candidate_id"]: tuple(row[name] for name in ("code", "value", "limit")) for row in fates.to_pylist()}
    assert [told[name] for name in ranked.ids] == [
        (CHOSEN, "1", "4"), (NO_EVIDENCE, "", "0.1"), (EXPECTED_MISSES, "0.3", "0.1"), (NO_EVIDENCE, "", "0.1"),
    ]  # fmt: skip


def test_errors_of_the_selection_rest_on_crystals_that_rank_as_high(known: Known) -> None:
    scores = np.linspace(0, 0.5, 50)
    strict, lax = (selected_errors(known, scores, lowest)["refractive_index"] for lowest in (0.4, 0.0))
    assert lax.exact
    assert strict.rows < lax.rows


def test_too_few_labels_say_nothing_of_the_errors_of_a_selection(known: Known) -> None:
    errors = known.errors["refractive_index"]
    usable = np.isfinite(errors) & np.isfinite(known.score)
    few = np.where(np.cumsum(usable) <= 18, errors, np.nan)
    found = selected_errors(replace(known, errors={**known.errors, "refractive_index": few}), np.ones(50), 0.4)
    assert set(found) == set(known.errors) - {"refractive_index"}


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.1, 0.3]))
def test_expected_misses_say_at_which_level_conformal_selection_chooses(seed: int, level: float) -> None:
    random = np.random.default_rng(seed)
    score = random.random(200)
    evidence = [Evidence(score, random.random(200) < score, random.random(30) ** 0.2)]
    evidence[0].met[0] = True  # without a known hit nothing is said
    chosen = conformal_selection(evidence, max_false_discovery=level).mask
    assert (chosen == (expected_misses(evidence, np.ones(30)) <= level + 1e-12)).all()


def ranked_batch(**columns: Any) -> CandidateBatch:
    batch = batch_of("NaCl", "ZnS", "MgO", "TiO2")
    return batch.with_columns(probability=np.array([0.9, 0.8, 0.7, 0.6]), **columns)


def test_only_what_keeps_the_promise_is_shortlisted() -> None:
    ranked = ranked_batch(expected_misses=np.array([0.05, 0.3, 0.08, 0.5]))
    chosen, fates = choose(ranked, campaign(shortlist={"size": 4, "max_false_discovery": 0.1}))
    assert chosen.column("shortlisted").tolist() == [1, 0, 2, 0]
    told = {row["candidate_id"]: tuple(row[name] for name in ("code", "value", "limit")) for row in fates.to_pylist()}
    assert [told[name] for name in ranked.ids] == [
        (CHOSEN, "1", "4"), (EXPECTED_MISSES, "0.3", "0.1"), (CHOSEN, "2", "4"), (EXPECTED_MISSES, "0.5", "0.1"),
    ]  # fmt: skip


def test_targets_known_together_are_judged_together() -> None:
    labels = np.r_[np.ones(40), np.zeros(40), np.full(20, np.nan)]
    others = np.r_[np.full(80, np.nan), np.ones(20)]
    half = np.full(100, 0.5)
    met = {"refractive_index": labels, "band_gap": labels, "bulk_modulus_vrh": others}
    joint = JointProbability((Group(("refractive_index", "band_gap"), 0.5), Group(("bulk_modulus_vrh",))))
    known = Known(half, {}, dict.fromkeys(met, half), met, {}, joint)
    columns = {f"probability_{name}": np.array([0.4, 0.3, 0.2, 0.1]) for name in met}
    together, alone = evidence_for(known, ranked_batch(**columns), cut=0.0)
    assert together.scores.tolist() == pytest.approx([0.08 / 0.92, 0.045 / 0.955, 0.02 / 0.98, 0.005 / 0.995])
    assert together.calibration_scores.tolist() == pytest.approx([0.125 / 0.875] * 80)
    assert len(together.met) == 80
    assert together.met.sum() == 40
    assert len(alone.met) == 20


def test_crystals_below_the_cut_or_outside_do_not_count() -> None:
    score = np.r_[np.linspace(0, 1, 99), np.nan]
    met = {"band_gap": np.ones(100)}
    stability = {"energy_above_hull": (np.arange(100), score, score > 0.5)}
    known = Known(score, {}, {"band_gap": score}, met, stability, JointProbability((Group(("band_gap",)),)))
    ranked = ranked_batch(probability_band_gap=np.full(4, 0.9), probability_energy_above_hull=np.full(4, 0.01))
    pieces = evidence_for(known, ranked, cut=0.5)
    assert [len(piece.met) for piece in pieces] == [(score >= 0.5).sum()] * 2
    assert all((piece.calibration_scores >= 0.5).all() for piece in pieces)
    # Known crystals have no kinship: candidates are compared with them by what the potential alone says.
    alone = evidence_for(known, ranked.with_columns(probability_makeable_phase=np.full(4, 0.7)), cut=0.5)
    assert [set(piece.scores.tolist()) for piece in alone] == [{0.9}, {0.01}]
