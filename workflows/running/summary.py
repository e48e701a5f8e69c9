"""``run.json``: what a finished run counted, and what made it."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from matloop.models.stability.formation_energies import FormationEnergyFit
from matloop.screening.runs.run_summary import DiversityPrice, FormationEnergies, MovedLimit, RunSummary
from matloop.workflows.deciding.selection_evidence import ListEvidence
from matloop.workflows.running.identity import versions
from matloop.workflows.stages.fates import FateCounts
from matloop.workflows.stages.funnel import by_outcome, funnel
from matloop.workflows.stages.potential import device_used, source_of
from matloop.workflows.stages.scoring import ScoringTask


class ListAccount(NamedTuple):
    """What is known of a shortlist as a whole.

    Attributes:
        evidence: What known materials tell about the list.
        diversity: What its diversity costs; None for an empty list.
        moved: Weights and limits that were moved, and what became of the list.
    """

    evidence: ListEvidence
    diversity: DiversityPrice | None = None
    moved: tuple[MovedLimit, ...] = ()


def summary_of(
    task: ScoringTask, counts: FateCounts, *, rows_in: int, about: ListAccount,
    seconds: Mapping[str, float], sessions: int, workers: int, formation: FormationEnergyFit | None = None,
) -> RunSummary:  # fmt: skip
    """What a run counted, and what made it.

    Args:
        task: Names the campaign and the wanted ranges.
        counts: Rows by where, how and why they end.
        rows_in: Number of rows that came in.
        about: What is known of the shortlist as a whole.
        seconds: By step.
        sessions: How often the run was started or resumed.
        workers: Worker processes of this session.
        formation: How formation energies came from the energies of the potential; None without a potential.
    """
    campaign = task.campaign
    return RunSummary(
        campaign=campaign.name,
        seed=campaign.seed,
        rows_in=rows_in,
        outcomes=by_outcome(counts),
        funnel=tuple(funnel(campaign, counts, rows_in)),
        ranges={name: (_bounded(low), _bounded(high)) for name, (low, high) in task.ranges.items()},
        python=platform.python_version(),
        versions=versions() | {"dask": importlib.metadata.version("dask")},
        energies=None if campaign.potential is None else source_of(campaign.potential),
        device=None if campaign.potential is None else device_used(campaign.potential),
        formation_energies=None if formation is None else _formation_energies(formation),
        met_together=about.evidence.together,
        supported=about.evidence.supported,
        back_tests=about.evidence.back_tests,
        diversity=about.diversity,
        moved=about.moved,
        seconds=dict(seconds),
        sessions=sessions,
        workers=workers,
    )


def _formation_energies(fit: FormationEnergyFit) -> FormationEnergies:
    errors = [None if np.isnan(error) else round(error, 5) for error in (fit.error, fit.error_uncorrected)]
    corrections = {symbol: round(value, 4) for symbol, value in fit.corrections.items()}
    return FormationEnergies(
        crystals=fit.crystals, corrections=corrections, error=errors[0], error_uncorrected=errors[1]
    )


def _bounded(end: float) -> float | None:
    return None if np.isinf(end) else end


class Clock:
    """Seconds since the last lap, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """End a lap."""
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 2)
        self._last = now
