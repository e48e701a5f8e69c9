"""Time and memory of exact Pareto fronts of a million candidates by four objectives, beside a plain rival.

Candidates come in parts of 10,000, as partitions of a run do. Objectives are independent, correlated (candidates that
are good in one are good in the others), and opposed (their sum is the same, so that nobody beats anybody): the hardest
case for methods that compare pairs. The rival compares each candidate, from the largest sum of objectives down, with
the front so far; it is exact too, and is given a tenth of the candidates (10,000 where nobody beats anybody, in which
its time grows with their square). Each case runs in a process of its own, on one core.

``python benchmarks/screening/pareto.py [CANDIDATES]``
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import numpy as np
from numpy.typing import NDArray

from matloop.screening.ranking.pareto import StreamedFronts, pareto_fronts

OBJECTIVES, PART, LIMIT_SECONDS, LIMIT_GB = 4, 10_000, 60, 4
CASES = ("independent", "correlated", "opposed")


def gains_of(case: str, count: int) -> NDArray[np.float64]:
    """Objectives of a case, shape (count, 4)."""
    random = np.random.default_rng(0)
    if case == "independent":
        return random.random((count, OBJECTIVES))
    if case == "opposed":
        return random.dirichlet(np.ones(OBJECTIVES), count)
    common = random.standard_normal((count, 1))
    return np.asarray(common + 0.3 * random.standard_normal((count, OBJECTIVES)))


def front_by_pairs(gains: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows of the first front: each candidate is compared with the front so far, from the largest sum down."""
    front: list[int] = []
    kept = np.empty_like(gains)
    for row in np.argsort(-gains.sum(axis=1), kind="stable").tolist():
        beaten = (kept[: len(front)] >= gains[row]).all(axis=1) & (kept[: len(front)] > gains[row]).any(axis=1)
        if not beaten.any():
            kept[len(front)] = gains[row]
            front.append(row)
    return np.sort(np.array(front))


def measure(case: str, count: int) -> None:
    """Print a line of the table for one case."""
    pareto_fronts(gains_of(case, 500))  # compiled functions come from the disk
    gains = gains_of(case, count)
    ids = np.array([f"{row:07d}" for row in range(count)])
    start, begun = time.perf_counter(), time.process_time()
    streamed = StreamedFronts(1)
    for at in range(0, count, PART):
        streamed.add(ids[at : at + PART], gains[at : at + PART])
    first = len(streamed.result()[0])
    stream, stream_cpu = time.perf_counter() - start, time.process_time() - begun
    start, begun = time.perf_counter(), time.process_time()
    fronts = pareto_fronts(gains)
    everything, all_cpu = time.perf_counter() - start, time.process_time() - begun
    assert first == (fronts == 1).sum()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    few, begun = gains[: min(PART, count) if case == "opposed" else count // 10], time.process_time()
    rows = front_by_pairs(few)
    rival = time.process_time() - begun
    assert (rows == np.flatnonzero(pareto_fronts(few, fronts=1))).all()
    sizes = f"{case:12s} {first:9,} {int(fronts.max()):7,}"
    times = f"{stream:9.1f} ({stream_cpu:5.1f}) {everything:9.1f} ({all_cpu:5.1f})"
    print(f"{sizes} {times} {memory:7.2f}   {rival:6.1f} s for {len(few):,}", flush=True)


def main() -> None:
    """Measure every case in a process of its own."""
    count = int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else 1_000_000
    if len(sys.argv) > 2:
        measure(sys.argv[2], count)
        return
    print(
        f"{count:,} candidates by {OBJECTIVES} objectives; wanted below {LIMIT_SECONDS} s and {LIMIT_GB} GB on one core"
    )
    print("Seconds on the clock (and of the processor): first front of parts, and all fronts at once\n")
    print("objectives    1st front  fronts  first front, s     all fronts, s        GB   the rival, first front")
    for case in CASES:
        subprocess.run([sys.executable, __file__, str(count), case], check=True)


if __name__ == "__main__":
    main()
