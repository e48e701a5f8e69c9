"""Simulate decisions of the loop: how often a champion is replaced, and how often right promises are called wrong.

**Replacing.** Two models err on n compounds that the champion has not seen. Their errors are normal and correlated,
since both are wrong about the same compounds. The challenger is equally good, or its errors are 20 % or 40 % smaller.
Counted is how often the rule of the package replaces the champion, beside the rule of the smaller error in both tests
when the newest stand in both, and beside the smaller error alone.

**Promises.** Candidates of one batch are hits with the probabilities that were stated, and share an error of the model:
normal scores with a common part. Counted is how often the test of the package, which takes candidates for independent,
calls promises wrong at the 5 % level although they are right.

    python benchmarks/models/loop_decisions.py
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from matloop.models.surrogates.contest import Comparison, compare, newest_groups, verdict
from matloop.models.surrogates.real_results import hits_against

COMPOUNDS = (20, 40, 100)
LOOKS = (30, 40, 50, 60, 70, 80, 90, 100)
"""Compounds with a value at each of several decisions."""
BETTER = (0.0, 0.2, 0.4)
ALIKE = 0.6
"""Correlation of the errors of both models."""
CANDIDATES, SHARED = 30, (0.0, 0.1, 0.3)


def replaced(compounds: int, better: float, generator: np.random.Generator) -> tuple[bool, bool, bool]:
    """Whether the rule, the smaller error twice with the newest in both, and the smaller error replace a champion."""
    champion, challenger = _errors(compounds, better, generator)
    seed = int(generator.integers(2**31))
    _, later, everything = _compared(champion, challenger, seed=seed)
    rule = _rule(champion, challenger, seed=seed)
    return rule, everything.is_won and later.is_won, everything.is_won


def _errors(
    compounds: int, better: float, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    covariance = np.array([[1.0, ALIKE], [ALIKE, 1.0]])
    champion, challenger = generator.multivariate_normal(np.zeros(2), covariance, compounds).T
    return champion, (1 - better) * challenger


def _compared(
    champion: NDArray[np.float64], challenger: NDArray[np.float64], *, seed: int
) -> tuple[Comparison, Comparison, Comparison]:
    """Both models on the older results, on the newest, and on all."""
    groups = np.arange(len(champion))
    newest = newest_groups(groups, groups)
    found = [
        compare(
            np.zeros(int(rows.sum())), groups[rows], champion=champion[rows], challenger=challenger[rows], seed=seed
        )
        for rows in (~newest, newest, np.ones(len(groups), bool))
    ]
    older, later, everything = found
    assert older is not None
    assert later is not None
    assert everything is not None
    return older, later, everything


def _rule(champion: NDArray[np.float64], challenger: NDArray[np.float64], *, seed: int) -> bool:
    older, later, _ = _compared(champion, challenger, seed=seed)
    return verdict(older, later) == "wins"


def ever_replaced(better: float, generator: np.random.Generator) -> bool:
    """Whether one of several decisions replaces the champion, each of which has the results of one more batch."""
    errors = _errors(LOOKS[-1], better, generator)
    return any(_rule(*(one[:count] for one in errors), seed=int(generator.integers(2**31))) for count in LOOKS)


def called_wrong(shared: float, generator: np.random.Generator) -> bool:
    """Whether right promises are called wrong where candidates share an error."""
    promised = generator.uniform(0.1, 0.6, CANDIDATES)
    common = np.sqrt(shared) * generator.standard_normal()
    scores = common + np.sqrt(1 - shared) * generator.standard_normal(CANDIDATES)
    found = hits_against(promised, scores < ndtri(promised))
    assert found is not None
    return found.chance < 0.05


def main() -> None:
    """Print both simulations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1000, help="Simulations of each case.")
    draws = parser.parse_args().draws
    generator = np.random.default_rng(0)
    print(f"share of {draws:,} simulations in which the champion is replaced")
    print(f"{'compounds':>9} {'challenger':>14} {'rule':>8} {'smaller twice':>14} {'smaller':>8}")
    for compounds in COMPOUNDS:
        for better in BETTER:
            found = np.mean([replaced(compounds, better, generator) for _ in range(draws)], axis=0)
            name = f"{better:.0%} better" if better else "equally good"
            print(f"{compounds:>9} {name:>14} {found[0]:>8.1%} {found[1]:>14.1%} {found[2]:>8.1%}")
    repeated = np.random.default_rng(1)
    for better in BETTER:
        share = np.mean([ever_replaced(better, repeated) for _ in range(draws // 2)])
        name = f"{better:.0%} better" if better else "equally good"
        print(f"one of {len(LOOKS)} decisions, at {LOOKS[0]} to {LOOKS[-1]} compounds, {name}: {share:.1%}")
    print(
        f"share of {draws:,} simulations in which right promises of {CANDIDATES} candidates are called wrong (p < 0.05)"
    )
    for shared in SHARED:
        share = np.mean([called_wrong(shared, generator) for _ in range(draws)])
        print(f"correlation {shared:.1f}: {share:.1%}")


if __name__ == "__main__":
    main()
