"""Moves of weights and limits by a fifth."""

from dataclasses import replace

import numpy as np
import pytest

from matloop.screening.ranking.moves import Move, moved_criteria, moved_targets
from matloop.screening.ranking.objectives import ObjectiveColumn
from matloop.screening.ranking.tradeoffs import ByDesirability, ByParetoFront, ByTopsis

INF = np.inf
N = ObjectiveColumn("n", "n", weight=2.0, worst=2.0, best=2.2)
PRICE = ObjectiveColumn("price", "price", is_maximized=False, worst=100.0, best=0.0)


def test_each_finite_limit_of_a_target_moves_up_and_down() -> None:
    moves = list(moved_targets({"gap": (2.5, INF), "energy": (-INF, -1.0), "hull": (-INF, 0.0)}))
    assert [(one.move.name, one.move.after) for one in moves] == [
        ("gap", 2.0), ("gap", 3.0), ("energy", -0.8), ("energy", -1.2)
    ]  # fmt: skip
    assert moves[2].ranges == {"gap": (2.5, INF), "energy": (-INF, -0.8), "hull": (-INF, 0.0)}


def test_a_window_that_would_hold_nothing_is_left_out() -> None:
    assert [one.ranges["n"] for one in moved_targets({"n": (1.0, 1.1)})] == [(0.8, 1.1), (1.0, pytest.approx(1.32))]


def test_weights_and_limits_of_objectives_move_one_at_a_time() -> None:
    moves = list(moved_criteria(ByTopsis((N, PRICE))))
    assert [one.move for one in moves] == [
        Move("weight", "n", 2.0, 1.6), Move("weight", "n", 2.0, 2.4),
        Move("weight", "price", 1.0, 0.8), Move("weight", "price", 1.0, 1.2),
    ]  # fmt: skip
    assert moves[1].criterion == ByTopsis((replace(N, weight=2.4), PRICE))
    kinds = [(one.move.name, one.move.kind) for one in moved_criteria(ByDesirability((N, PRICE)))]
    # 20 % more of the worst index, or less of the best one, leaves nothing between them; a best price of 0 stays.
    assert kinds == [
        ("n", "weight"), ("n", "weight"), ("n", "worst"), ("n", "best"),
        ("price", "weight"), ("price", "weight"), ("price", "worst"), ("price", "worst"),
    ]  # fmt: skip


def test_fronts_have_no_weights() -> None:
    assert list(moved_criteria(ByParetoFront((N, PRICE)))) == []
