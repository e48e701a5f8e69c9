"""How a shortlist stands moved limits and weights."""

from typing import Any

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.screening.ranking.criteria import MOST_PROBABLE
from matloop.screening.ranking.moves import Move
from matloop.screening.ranking.objectives import ObjectiveColumn
from matloop.screening.ranking.tradeoffs import ByTopsis
from matloop.workflows.deciding.rank_stability import Chances, Judged, moved_chances, rank_stability
from matloop.workflows.deciding.shortlisting import choose
from matloop.workflows.screen import ScreeningRun
from matloop.workflows.stages.scoring import ScoringTask
from tests.strategies import batch_of
from tests.workflows.conftest import campaign


def ranked_of(probability: dict[str, float], **columns: list[float]) -> CandidateBatch:
    values = np.array(list(probability.values()))
    batch = batch_of(*probability).with_columns(
        probability=values, ranking_score=values, expected_misses=np.full(len(values), np.nan), **columns
    )
    return choose(batch, LIST).ranked


LIST = campaign(shortlist={"size": 2, "diversity": 0.0})


def test_finalists_that_leave_when_a_limit_moves() -> None:
    ranked = ranked_of({"NaCl": 0.9, "MgO": 0.8, "ZnS": 0.3})
    worse, same = np.array([0.9, 0.1, 0.3]), np.array([0.9, 0.8, 0.3])
    moves = [(Move("target", "band_gap", 2.5, 3.0), Chances(worse, worse)),
             (Move("target", "band_gap", 2.5, 2.0), Chances(same, same))]  # fmt: skip
    found = rank_stability(ranked, LIST, MOST_PROBABLE, moves)
    assert found.columns["listed_when_moved"].tolist() == [1.0, 0.5, 0.5]
    assert found.columns["worst_rank"].to_pylist() == [1, 3, 3]
    assert [(one.stay, one.leave, one.enter) for one in found.moves] == [(1, ("MgO",), ("ZnS",)), (2, (), ())]


def test_without_a_limit_that_can_move_nothing_is_said() -> None:
    found = rank_stability(ranked_of({"NaCl": 0.9, "MgO": 0.8}), LIST, MOST_PROBABLE, [])
    assert np.isnan(found.columns["listed_when_moved"]).all()
    assert found.columns["worst_rank"].to_pylist() == [None, None]
    assert found.moves == ()


def test_weights_move_where_objectives_are_weighed() -> None:
    objectives = (ObjectiveColumn("n", "n"), ObjectiveColumn("price", "price", is_maximized=False))
    batch = batch_of("NaCl", "MgO", "ZnS").with_columns(
        probability=[0.5] * 3, expected_misses=[np.nan] * 3, n=[3.0, 2.0, 1.0], price=[30.0, 20.5, 10.0]
    )
    criterion = ByTopsis(objectives)
    batch = batch.with_columns(tradeoff_score=criterion.scores(batch.table))
    ranked = choose(batch.take(criterion.order(batch.table)), LIST).ranked
    found = rank_stability(ranked, LIST, criterion, [(Move("target", "n", 1.0, 2.0), Chances(*[np.zeros(3)] * 2))])
    assert {one.kind for one in found.moves} == {"weight"}  # the probability is no objective
    assert len(found.moves) == 4
    shares = found.columns["listed_when_moved"]
    assert shares.sum() == pytest.approx(2.0)  # two places in every move


def task_of(run: ScreeningRun) -> ScoringTask:
    ends = run.summary.ranges.items()
    ranges = {name: tuple(sign * np.inf if end is None else end for sign, end in zip((-1, 1), pair, strict=True))
              for name, pair in ends}  # fmt: skip
    return ScoringTask(run.view.campaign, run.folder.resolve(), ranges)  # type: ignore[arg-type]


def test_unmoved_limits_give_the_probabilities_of_the_run(finished: ScreeningRun) -> None:
    task, ranked = task_of(finished), finished.ranked
    chances = Judged.of(task, ranked, None).chances(task.ranges)
    assert chances.probability == pytest.approx(ranked.column("probability"), rel=1e-9)
    assert chances.score == pytest.approx(ranked.column("ranking_score"), rel=1e-9)


def test_a_limit_that_asks_for_less_is_met_more_probably(finished: ScreeningRun) -> None:
    task, ranked = task_of(finished), finished.ranked
    found = {(move.name, move.after > move.before): chances.probability
             for move, chances in moved_chances(task, ranked, None, ranked.ids)}  # fmt: skip
    easier, harder = found["piezoelectric_modulus", False], found["piezoelectric_modulus", True]
    assert easier.mean() > ranked.column("probability").mean() > harder.mean()


def test_a_run_says_how_its_list_stands_moves(finished: ScreeningRun) -> None:
    summary, ranked = finished.summary, finished.ranked
    assert len(summary.moved) == 6  # one limit of the first target, two of the window
    places = ranked.column("shortlisted") > 0
    kept = sum(one.stay for one in summary.moved) / (len(summary.moved) * places.sum())
    assert ranked.column("listed_when_moved")[places].mean() == pytest.approx(kept)
    assert (ranked.column("worst_rank") <= len(ranked)).all()
    price = summary.diversity
    assert price is not None
    assert price.chosen.score == pytest.approx(ranked.column("probability")[places].mean())
    assert price.chosen.score <= price.undiversified.score
    assert (price.chosen.chemistry or 0) > (price.undiversified.chemistry or 0)
    page: Any = finished.report.read_text("utf-8")
    assert "Diversity costs" in page
    assert "moves of one limit or weight by 20 %" in page
    assert "单个界限或权重变动 20 %" in page
    assert {"listed_when_moved", "worst_rank"} <= set(
        finished.view.paths.shortlist.read_text("utf-8").split("\n")[0].split(",")
    )
