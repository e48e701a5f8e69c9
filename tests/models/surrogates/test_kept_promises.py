"""Results of candidates that were tried correct promises: modestly, downwards, and only where something was tried."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from matloop.models.surrogates.kept_promises import PromiseCorrection

CHANCES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30)


@given(CHANCES, st.integers(0, 2**30), CHANCES)
def test_corrected_promises_are_never_larger_and_keep_their_order(
    promised: list[float], bits: int, pool: list[float]
) -> None:
    found = np.array([bits >> place & 1 for place in range(len(promised))], bool)
    correction = PromiseCorrection.fit(np.array(promised), found)
    chances = np.sort(pool)
    corrected = correction.corrected(chances)
    assert (corrected <= chances + 1e-12).all()
    assert (np.diff(corrected) >= -1e-12).all()
    assert (corrected >= 0).all()


def test_many_results_bring_promises_to_what_was_met_and_none_change_nothing() -> None:
    promised = np.random.default_rng(0).uniform(0.3, 0.9, 4000)
    found = np.random.default_rng(1).random(4000) < 0.6 * promised
    correction = PromiseCorrection.fit(promised, found)
    assert abs(correction.corrected(promised).sum() - found.sum()) < 0.01 * found.sum()
    unseen = np.array([0.01, 0.1])
    assert (correction.corrected(unseen) == unseen).all()
    nothing = PromiseCorrection.fit(np.empty(0), np.empty(0, bool))
    assert (nothing.corrected(promised) == promised).all()
    assert np.isnan(correction.corrected(np.array([np.nan]))).all()
