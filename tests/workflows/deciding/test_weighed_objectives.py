"""A campaign that weighs objectives against each other: order, fates, files and what is said of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from matloop.data.candidates.reasons import UNKNOWN_OBJECTIVE
from matloop.screening.ranking.tradeoffs import criterion_of
from matloop.workflows.commands.printed import print_run
from matloop.workflows.inspecting.why import story_of
from matloop.workflows.screen import ScreeningRun, screen
from tests.workflows.conftest import campaign

RANKING: dict[str, Any] = {
    "criterion": "topsis",
    "objectives": [
        {"name": "refractive_index", "goal": "maximize", "weight": 2},
        {"name": "price_per_kilogram", "goal": "minimize"},
        {"name": "supply_risk", "goal": "minimize"},
    ],
}


@pytest.fixture
def weighed(trained: None, tmp_path: Path) -> ScreeningRun:
    return screen(campaign(ranking=RANKING), output=tmp_path / "weighed", partition_rows=300)


def test_a_campaign_that_weighs_objectives(weighed: ScreeningRun, finished: ScreeningRun, capsys: Any) -> None:
    ranked = weighed.ranked
    score, price = ranked.column("tradeoff_score"), ranked.column("price_per_kilogram")
    assert (np.diff(score) <= 0).all()
    assert np.isfinite(price).all()
    assert criterion_of(weighed.view.campaign).scores(ranked.table).tolist() == score.tolist()
    assert ranked.column("pareto_front").min() == 1
    assert ranked.ids[0] == weighed.shortlist["candidate_id"].iloc[0]
    # The same candidates passed every stage; those of which a price is not known end here, and no other.
    others = set(finished.ranked.ids) - set(ranked.ids)
    lost = [lost for stage in weighed.summary.funnel for lost in stage.lost if lost.code == UNKNOWN_OBJECTIVE]
    assert sum(one.rows for one in lost) == len(others) > 0
    assert set(ranked.ids) < set(finished.ranked.ids)
    assert sum(weighed.summary.outcomes.values()) == weighed.summary.rows_in
    assert weighed.summary.back_tests == ()  # they follow the probability, and places here do not

    story = story_of(weighed.folder, ranked.ids[0])
    assert story["ranking"]["score"] == pytest.approx(score[0])
    assert story["standing"]["needed"] < score[0]
    assert story_of(weighed.folder, min(others))["outcome"]["code"] == UNKNOWN_OBJECTIVE

    page = weighed.report.read_text("utf-8")
    assert "Ranked by closeness to the best values among them (TOPSIS), for large refractive index (weight 2)" in page
    assert "与其中最优值的接近程度（TOPSIS）" in page
    assert "no other ranked candidate beats it with a probability of" in page
    print_run(weighed, Console(width=300))
    printed = capsys.readouterr().out
    assert "small supply risk (weight 1)" in printed
    assert f"{score[0]:.3f}" in printed
    header, first, *_ = weighed.view.paths.shortlist.read_text("utf-8").splitlines()
    assert {"tradeoff_score", "pareto_front", "non_dominated_probability"} <= set(header.split(","))
    assert f"{score[0]:.4g}" in first
