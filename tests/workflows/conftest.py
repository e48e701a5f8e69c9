"""One small campaign, run once per test process; its run directory is only read."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from matloop.data.runs.directory import RunDirectory
from matloop.data.training.training_sets import TrainingSets
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows import screen as screen_module
from matloop.workflows.clusters.workers import local_workers
from matloop.workflows.running import session
from matloop.workflows.screen import ScreeningRun, screen

SMALL: dict[str, Any] = {
    "name": "small",
    "title": "Two targets, cheap features",
    "sources": [
        {"ionic_substitution": {"limit": 2000, "min_probability": 1e-3, "max_sites": 10}},
        {"ionic_substitution": {"limit": 300, "min_probability": 1e-3, "max_sites": 10}},  # all of them repeat
    ],
    "filters": [
        {"exclude_elements": ["Cd", "Hg"]},
        "exclude_radioactive",
        {"new_compounds": {"lists": ["packaged_crystals", "transport"]}},
    ],
    "targets": [
        {"property": "piezoelectric_modulus", "goal": "maximize", "unit": "C/m2"},
        {"property": "refractive_index", "goal": "window", "lower": 1.5, "upper": 3.0, "unit": "1"},
    ],
    "surrogates": {"features": ["valence_orbital", "stoichiometry"], "keep": 60},
    "shortlist": {"size": 5, "diversity": 0.5},
}


def campaign(**changes: Any) -> Campaign:
    return Campaign.model_validate({**SMALL, **changes})


class Told:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int]] = []
        self.units: list[int] = []
        self.notes: list[str] = []

    def start(self, step: str, total: int) -> None:
        self.steps.append((step, total))
        self.units.append(0)

    def advance(self, units: int, note: str, **_: object) -> None:
        self.units[-1] += units
        self.notes.append(note)

    def close(self) -> None:
        raise AssertionError("who made the progress closes it")


@pytest.fixture(scope="session")
def told() -> Told:
    return Told()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, told: Told) -> ScreeningRun:
    """The small campaign on two workers, in seven partitions of the one source and one of the other."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    return screen(campaign(), output=folder, workers=2, progress=told, partition_rows=300)


@pytest.fixture(scope="session")
def workers() -> Iterator[Client]:
    """Two workers that a test must leave as they were; starting them takes seconds."""
    with local_workers(2) as client:
        yield client


@pytest.fixture
def workers_there(workers: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs find their workers there already."""
    monkeypatch.setattr(session, "workers_of", lambda *_, **__: contextlib.nullcontext(workers))


@pytest.fixture
def trained(workers_there: None, finished: ScreeningRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """New runs find the surrogates of the finished one."""

    def found(engine: Any, chosen: Campaign, _: TrainingSets, **__: Any) -> dict[str, tuple[float, float]]:
        ranges = {}
        for target in chosen.targets:
            surrogate = RunDirectory(finished.folder).model("surrogates", target.property)
            folder = shutil.copytree(surrogate, engine.run.model("surrogates", target.property), dirs_exist_ok=True)
            card = json.loads((folder / "card.json").read_text("utf-8"))
            ranges[target.property] = target.range(tuple(card["best_of_training"]))
        return ranges

    monkeypatch.setattr(screen_module, "train", found)


OF_THE_WORK = ("run.json", "report.html", "progress.json", "identity.json", "candidates", "partitions", "best")
"""What tells how a run was worked on: timings, and the partitions themselves."""


def results_of(folder: Path) -> dict[str, bytes]:
    """All that a run found out, by path: every byte of it is the same however the run was worked on."""
    names = {path.relative_to(folder): path for path in files_of(folder)}
    return {
        name.as_posix(): path.read_bytes()
        for name, path in names.items()
        if name.parts[0] not in OF_THE_WORK and not name.name.startswith("manifest")
    }


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
