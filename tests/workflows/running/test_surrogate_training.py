"""The order in which the surrogates of a run are trained."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from matloop.data.training.training_sets import TrainingSets
from matloop.workflows.inspecting.validation import checked_campaign
from matloop.workflows.running import surrogate_training
from matloop.workflows.running.surrogate_training import Wanted, train


class Asked(Exception):
    """When an engine is asked to train."""


def answers(_: Any, calls: list[Wanted], *, in_flight: int) -> None:
    assert in_flight == len(calls)
    raise Asked([(one.stage, one.target.property) for one in calls])


def test_longest_trainings_start_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogate_training, "provide_composition_models", lambda *_, **__: None)
    campaign = checked_campaign("optical_window")
    engine: Any = SimpleNamespace(
        run=SimpleNamespace(folder=tmp_path),
        watch=SimpleNamespace(start=lambda *_: None),
        reused=lambda _: None,
        answers=answers,
    )
    with pytest.raises(Asked) as asked:
        train(engine, campaign, TrainingSets.of([target.property for target in campaign.targets]))
    assert asked.value.args[0] == [
        ("structure", "energy_above_hull"), ("surrogates", "energy_above_hull"),
        ("structure", "refractive_index"), ("structure", "band_gap"),
        ("surrogates", "refractive_index"), ("surrogates", "band_gap"),
    ]  # fmt: skip
