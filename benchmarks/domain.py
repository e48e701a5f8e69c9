"""Applicability domain: how much larger are errors outside, on elements that were left out of training altogether?

For each element of at least ten compounds, extra trees are grown on the compounds without it and predict those with it.
A surrogate gives such candidates no number at all (``E-MODEL-ELEMENT``); here that rule is set aside, to see whether
neighbour distance and the ranges of the features tell good extrapolation from bad. Beside it, the same for held-out
formulas of known elements (5 folds). The share of importance that may lie beyond the ranges, 1 %, was chosen on the
bulk moduli.

``python benchmarks/domain.py``
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402  # after the thread limits
from machine import describe  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from shortlist import SETS, Compounds, Wanted, load  # noqa: E402
from sklearn.model_selection import KFold  # noqa: E402

from matloop.data.elements import SYMBOLS  # noqa: E402
from matloop.models.domain import Domain  # noqa: E402
from matloop.models.ensembles import ExtraTrees  # noqa: E402
from matloop.models.prediction import forward  # noqa: E402

TASKS = {want.name: want for label in ("elastic", "dielectric") for want in SETS[label]}
FEWEST, TREES = 10, 100

Errors = tuple[NDArray[np.float64], NDArray[np.bool_]]


def without_each_element(compounds: Compounds) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
    """Symbol, rows without and rows with each element that enough compounds hold."""
    for number in np.flatnonzero(compounds.features.elements.sum(axis=0) >= FEWEST):
        has = compounds.features.elements[:, number]
        yield SYMBOLS[number], np.flatnonzero(~has), np.flatnonzero(has)


def errors(compounds: Compounds, want: Wanted, train: NDArray[np.int64], test: NDArray[np.int64]) -> Errors:
    """Absolute error of each tested row, and whether it lies inside the domain."""
    values, truth = compounds.features.values, forward(compounds.truth[want.name], want.transform)
    trees = ExtraTrees(trees=TREES).fit(values[train], truth[train])
    domain = Domain.fit(values[train], trees.importances(), train)
    mean, _ = trees.predict(values[test])
    return np.abs(mean - truth[test]), domain.contains(values[test], domain.distances(values[test]))


def report(label: str, parts: list[Errors]) -> None:
    """Errors inside and outside, their ratio with a standard error from resampling the parts."""

    def ratio(chosen: list[Errors]) -> float:
        error, inside = (np.concatenate(column) for column in zip(*chosen, strict=True))
        return float(error[~inside].mean() / error[inside].mean())

    error, inside = (np.concatenate(column) for column in zip(*parts, strict=True))
    random = np.random.default_rng(0)
    resampled = [ratio([parts[k] for k in random.integers(len(parts), size=len(parts))]) for _ in range(200)]
    print(
        f"  {label:<42} {len(error):5d} rows  outside {1 - inside.mean():6.1%}  error inside {error[inside].mean():.4f}"
        f"  outside {error[~inside].mean():.4f}  ratio {ratio(parts):.2f} ± {np.std(resampled):.2f}",
        flush=True,
    )


def main() -> None:
    """Print one block per property."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(TASKS), help="one property")
    only = parser.parse_args().only
    print(describe("scikit-learn"))
    print(
        "Target: error outside at least twice that inside on elements left out. A surrogate abstains on all of these."
    )
    for name, want in TASKS.items():
        if only not in (None, name):
            continue
        compounds = load((want,))
        count = len(compounds.features)
        print(f"\n{'log10 ' if want.transform == 'log10' else ''}{name}: {count} distinct compounds")
        left_out = {
            symbol: errors(compounds, want, train, test) for symbol, train, test in without_each_element(compounds)
        }
        report(f"one of {len(left_out)} elements left out", list(left_out.values()))
        folds = KFold(5, shuffle=True, random_state=0).split(np.arange(count))
        report("formulas left out, 5 folds", [errors(compounds, want, *fold) for fold in folds])
        worst = sorted(left_out, key=lambda symbol: left_out[symbol][1].mean())[:8]
        print("  most often outside: " + ", ".join(f"{s} {1 - left_out[s][1].mean():.0%}" for s in worst))


if __name__ == "__main__":
    main()
