"""``run.json``: what a finished run counted, and what made it."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from typing import Any

import numpy as np

from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.running.identity import versions
from matloop.workflows.stages.fates import FateCounts
from matloop.workflows.stages.funnel import by_outcome, funnel
from matloop.workflows.stages.potential import source_of
from matloop.workflows.stages.scoring import Ranges


def summary_of(campaign: Campaign, ranges: Ranges, counts: FateCounts, *, rows_in: int) -> dict[str, Any]:
    """Content of ``run.json`` that does not depend on how the run was worked on.

    Args:
        campaign: The resolved campaign.
        ranges: Wanted range of each target, in the property's unit.
        counts: Rows by where, how and why they end.
        rows_in: Number of rows that came in.
    """
    return {
        "campaign": campaign.name,
        "seed": campaign.seed,
        "rows_in": rows_in,
        "outcomes": by_outcome(counts),
        "funnel": funnel(campaign, counts, rows_in),
        "ranges": {name: [None if np.isinf(end) else end for end in ends] for name, ends in ranges.items()},
        "python": platform.python_version(),
        "versions": versions() | {"dask": importlib.metadata.version("dask")},
        "energies": None if campaign.potential is None else source_of(campaign.potential),
    }


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
