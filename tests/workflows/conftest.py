"""One small campaign, run once per test process; its run directory is only read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from matloop.screening.campaign import Campaign
from matloop.workflows.clusters import local_workers
from matloop.workflows.screen import ScreeningRun, screen

SMALL: dict[str, Any] = {
    "name": "small",
    "title": "Two targets, cheap features",
    "sources": [
        {"ionic_substitution": {"limit": 2000, "min_probability": 1e-3, "max_sites": 10}},
        {"ionic_substitution": {"limit": 300, "min_probability": 1e-3, "max_sites": 10}},  # all of them repeat
    ],
    "filters": [{"exclude_elements": ["Cd", "Hg"]}, "exclude_radioactive", "new_compounds"],
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

    def advance(self, units: int, note: str) -> None:
        self.units[-1] += units
        self.notes.append(note)

    def close(self) -> None:
        raise AssertionError("who made the progress closes it")


@pytest.fixture(scope="session")
def told() -> Told:
    return Told()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, told: Told) -> ScreeningRun:
    """The small campaign on two workers."""
    return screen(campaign(), output=tmp_path_factory.mktemp("runs") / "small", workers=2, progress=told)


@pytest.fixture(scope="module")
def workers() -> Iterator[Client]:
    """Two workers that a test must leave as they were."""
    with local_workers(2) as client:
        yield client


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
