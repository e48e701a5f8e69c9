"""Random splits by seed, and statistics of figures over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Result = TypeVar("Result")


def grouped_split(
    groups: NDArray[np.integer], share: float, *, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw about a share of all rows to train on; return them and the others. No group stands on both sides.

    >>> first, others = grouped_split(np.array([0, 0, 1, 2, 2, 3]), 0.5, seed=1)
    >>> len(first) + len(others)
    6
    """
    shuffled = np.random.default_rng(seed).permutation(int(groups.max()) + 1)
    sizes = np.bincount(groups, minlength=len(shuffled))[shuffled]
    # A group is taken if at least half of it still fits.
    taken = shuffled[np.cumsum(sizes) - sizes / 2 <= share * len(groups)]
    chosen = np.isin(groups, taken)
    return np.flatnonzero(chosen), np.flatnonzero(~chosen)


def over_seeds(
    function: Callable[[Any, Any, int], Result], data: Any, settings: Any, *, seeds: int, workers: int
) -> list[Result]:
    """``function(data, settings, seed)`` for the seeds 0, 1, ..., in that order."""
    if workers == 1 or seeds == 1:
        return [function(data, settings, seed) for seed in range(seeds)]
    from matloop.workflows.clusters.workers import local_workers, run_bounded

    with local_workers(min(workers, seeds)) as client:
        shared = client.scatter(data, broadcast=True)
        calls = [(shared, settings, seed) for seed in range(seeds)]
        return list(run_bounded(client, function, calls, in_flight=2 * workers))


def summary(figures: Sequence[float]) -> dict[str, float | int | None]:
    """Mean over the seeds, standard error, 95 % interval of the mean, and the number of seeds that gave a figure.

    The interval is Student's. Splits of the same rows overlap, so it tells how far another set of seeds would
    differ, not how far other data would.

    Args:
        figures: One of each seed; nan where it is not defined.

    >>> summary([0.2, 0.4, math.nan])["mean"], summary([0.5])["standard_error"]
    (0.30000000000000004, None)
    """
    from scipy.stats import t

    values = np.asarray([value for value in figures if not math.isnan(value)], float)
    count = len(values)
    mean = float(values.mean()) if count else None
    if mean is None or count < 2:
        return {"mean": mean, "standard_error": None, "low": None, "high": None, "seeds": count}
    error = float(values.std(ddof=1) / math.sqrt(count))
    reach = float(t.ppf(0.975, count - 1)) * error
    return {"mean": mean, "standard_error": error, "low": mean - reach, "high": mean + reach, "seeds": count}


def plain(content: Any) -> Any:
    """Convert to JSON values: arrays become lists, and numbers that are not finite become None.

    >>> plain({"a": np.array([1.0, np.nan]), "b": (np.int64(2), "x")})
    {'a': [1.0, None], 'b': [2, 'x']}
    """
    if isinstance(content, dict):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, np.ndarray | list | tuple):
        return [plain(value) for value in content]
    if isinstance(content, np.generic):
        return plain(content.item())
    return None if isinstance(content, float) and not math.isfinite(content) else content
