"""Promises of hits beside what came of them, as models state them and as earlier results correct them.

A loop is replayed on packaged labels: some compounds are known, the others are candidates, a hit is one of the best
tenth. Each round the model learns from all that is known, states a probability for every candidate, and the most
probable are tried. The correction (:mod:`matloop.models.surrogates.kept_promises`) learns from the rounds before. Two
laboratories try the same batches: one makes everything, the other fails to make four of ten hits for reasons that no
model knows. Printed are means of a batch: what was promised and what was met, the error of that, and the logarithmic
loss of a candidate; and the hits expected among those left, those that are there, and the error of that.

Half of the compounds, by a hash of the formula, decided for the correction (``--part development``); the other half is
reported (``--part reported``).

    python benchmarks/models/kept_promises.py --part reported
"""

from __future__ import annotations

import argparse
import os
import zlib

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

from collections.abc import Mapping, Sequence  # noqa: E402  # after the thread limits
from typing import NamedTuple  # noqa: E402

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from matloop.data.training.packaged_tables import packaged_training_set  # noqa: E402
from matloop.data.training.training_set import TrainingSet  # noqa: E402
from matloop.featurizers.registry import feature_set  # noqa: E402
from matloop.models.surrogates.joint_probability import JointProbability  # noqa: E402
from matloop.models.surrogates.kept_promises import WIDTH, PromiseCorrection  # noqa: E402
from matloop.models.surrogates.surrogate import Surrogate  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402

TASKS = {
    "bulk_modulus_vrh": "materials", "refractive_index": "materials", "band_gap": "materials",
    "seebeck_n": "transport",
}  # fmt: skip
PARTS = ("development", "reported")
HITS, MOST = 0.1, 600
SUREST = 1e-6
LABORATORIES, FAILS = ("makes everything", "fails to make 40 % of hits"), 0.4


class Round(NamedTuple):
    """A round of a replay.

    Attributes:
        stated: Probability that was stated for each candidate of the batch.
        hits: Which of them are hits, for each laboratory.
        left: Probability stated for each candidate that is left once the batch is known.
        hits_left: Number of hits among them, for each laboratory.
    """

    stated: NDArray[np.float64]
    hits: Mapping[str, NDArray[np.bool_]]
    left: NDArray[np.float64]
    hits_left: Mapping[str, int]


def compounds(name: str, part: str, seed: int) -> TrainingSet:
    """At most 600 compounds of a part, each once, in an order of chance."""
    training = packaged_training_set(name, table=TASKS[name])
    mine = [PARTS[zlib.crc32(formula.encode()) % 2] == part for formula in training.rows.formulas]
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(mine))
    first = np.sort(np.unique(training.groups[rows], return_index=True)[1])[:MOST]
    return training.take(rows[first])


def replay(name: str, part: str, seed: int, *, known: int, batch: int, rounds: int) -> list[Round]:
    """Go round the loop so many times."""
    training = compounds(name, part, seed)
    features = feature_set(["stoichiometry", "valence_orbital"]).featurize(training.rows)
    limit = float(np.quantile(training.values, 1 - HITS))
    made = np.random.default_rng(seed).random(len(training)) >= FAILS
    hits = dict(zip(LABORATORIES, (training.values >= limit, (training.values >= limit) & made), strict=True))
    tried, found = np.arange(len(training)) < known, list[Round]()
    rows, promised = np.empty(0, np.int64), np.empty(0)
    for number in range(rounds + 1):
        at, left = np.flatnonzero(tried), np.flatnonzero(~tried)
        surrogate = Surrogate.fit(name, features.take(at), training.values[at], training.groups[at])
        prediction, ranges = surrogate.predict(features.take(left)), {name: (limit, np.inf)}
        chances = JointProbability.fit({name: surrogate}, ranges).probabilities({name: prediction}, ranges)
        inside = prediction.in_domain & np.isfinite(chances.of_all)
        stated, order = np.where(inside, chances.of_all, 0.0), np.where(inside, chances.uncapped, -1.0)
        if number:
            there = {one: int(of_it[left][inside].sum()) for one, of_it in hits.items()}
            found.append(Round(promised, {one: of_it[rows] for one, of_it in hits.items()}, stated, there))
        best = np.argsort(-order, kind="stable")[:batch]
        rows, promised = left[best], stated[best]
        tried[rows] = True
    return found


class Judged(NamedTuple):
    """Promises of batches by one way: sums, and errors by replay."""

    promised: float
    met: float
    batch_error: float
    loss: float
    left: float
    hits_left: float
    left_error: float


def judged(replays: Sequence[Sequence[Round]], laboratory: str, width: float | None) -> Judged:
    """Promises to a laboratory as stated, or corrected with a prior of some width from the rounds before."""
    rows = []
    for rounds in replays:
        for number, one in enumerate(rounds):
            before, after = (_correction(rounds[:until], laboratory, width) for until in (number, number + 1))
            hits, there = one.hits[laboratory], one.hits_left[laboratory]
            promise, left = before.corrected(one.stated), after.corrected(one.left)
            sure = np.clip(promise, SUREST, 1 - SUREST)
            loss = -float(np.mean(np.where(hits, np.log(sure), np.log1p(-sure))))
            rows.append((
                promise.sum(), hits.sum(), abs(promise.sum() - hits.sum()), loss, left.sum(), there,
                abs(left.sum() - there),
            ))  # fmt: skip
    return Judged(*np.mean(np.array(rows, float), axis=0).tolist())


def _correction(rounds: Sequence[Round], laboratory: str, width: float | None) -> PromiseCorrection:
    if width is None or not rounds:
        return PromiseCorrection()
    stated = np.concatenate([one.stated for one in rounds])
    return PromiseCorrection.fit(stated, np.concatenate([one.hits[laboratory] for one in rounds]), width=width)


def main() -> None:
    """Print a block for each task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--known", type=int, default=100)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--widths", type=float, nargs="+", default=[WIDTH], help="Of the prior.")
    given = parser.parse_args()
    print(describe("scikit-learn"))
    print(f"{given.seeds} replays, {given.rounds} batches of {given.batch}; means of a batch")
    for name in TASKS:
        replays = [
            replay(name, given.part, seed, known=given.known, batch=given.batch, rounds=given.rounds)
            for seed in range(given.seeds)
        ]
        print(f"\n{name}, {given.part} half of the compounds")
        print(f"{'':40}promised    met   error   log loss   left: expected   there   error")
        for laboratory in LABORATORIES:
            print(f"  a laboratory that {laboratory}")
            for width in (None, *given.widths):
                one = judged(replays, laboratory, width)
                way = "as stated" if width is None else f"corrected, width of the prior {width:g}"
                print(
                    f"    {way:<36}{one.promised:>8.2f}{one.met:>7.2f}{one.batch_error:>8.2f}{one.loss:>11.4f}"
                    f"{one.left:>17.2f}{one.hits_left:>8.2f}{one.left_error:>8.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
