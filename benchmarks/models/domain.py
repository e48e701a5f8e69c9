"""Applicability domain: how much larger are errors outside, on elements that were left out of training altogether?

For each element of at least ten compounds, extra trees are grown on the compounds without it and predict those with it.
Whether a surrogate gives such candidates a number is decided by it on its card; here all are predicted, to see whether
neighbour distance and the ranges of the features tell good extrapolation from bad. Beside it, the same for held-out
formulas of known elements (5 folds), and what the card of a surrogate says: its ensembles are a tenth as large, leave
several elements out at once, and keep the limit of the whole model. The share of importance that may lie beyond the
ranges, 1 %, was chosen on the bulk moduli.

``python benchmarks/models/domain.py``
"""

from __future__ import annotations

import argparse
import functools
import os
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402  # after the thread limits
from numpy.typing import NDArray  # noqa: E402
from shortlist import SETS, Compounds, Wanted, load  # noqa: E402
from sklearn.model_selection import KFold  # noqa: E402

from matloop.models.families.contract import Ensemble  # noqa: E402
from matloop.models.families.extra_trees import ExtraTrees  # noqa: E402
from matloop.models.surrogates.domain import Domain  # noqa: E402
from matloop.models.surrogates.held_out import (  # noqa: E402
    ElementErrors,
    Rows,
    element_score,
    element_sets,
    held_out_scores,
    leave_elements_out,
)
from matloop.models.surrogates.prediction import forward  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402

TASKS = {want.name: want for label in ("elastic", "dielectric") for want in SETS[label]}
TREES = 100


def rows_of(compounds: Compounds, want: Wanted) -> Rows:
    """Features, targets on the scale of the model, and elements; each compound is a group of its own."""
    truth = forward(compounds.truth[want.name], want.transform)
    return Rows(compounds.features.values, truth, np.arange(len(truth)), compounds.features.elements)


def domain_of(rows: Rows, train: NDArray[np.int64], ensemble: Ensemble) -> Domain:
    """Domain of some of the rows, with all that belongs to it learned from them alone."""
    return Domain.fit(rows.values[train], ensemble.importances(), train)


def without_formulas(rows: Rows) -> list[ElementErrors]:
    """The same errors for five folds of held-out formulas."""
    parts = []
    for train, test in KFold(5, shuffle=True, random_state=0).split(rows.values):
        trees = ExtraTrees(trees=TREES).fit(rows.values[train], rows.target[train])
        domain, values = domain_of(rows, train, trees), rows.values[test]
        error = np.abs(trees.predict(values)[0] - rows.target[test])
        of_mean = np.abs(rows.target[train].mean() - rows.target[test])
        parts.append(ElementErrors("", error, domain.contains(values, domain.distances(values)), of_mean))
    return parts


def report(label: str, parts: list[ElementErrors]) -> None:
    """Errors inside and outside, their ratio with a standard error from resampling the parts."""
    score, random = element_score(parts), np.random.default_rng(0)
    resampled = [
        element_score([parts[k] for k in random.integers(len(parts), size=len(parts))])["outside_over_inside"]
        for _ in range(200)
    ]
    line(label, score, f" ± {np.std(resampled):.2f}")


def line(label: str, score: dict[str, float], error_of_ratio: str = "") -> None:
    """One line of figures."""
    print(
        f"  {label:<42} {score['rows']:5d} rows  MAE {score['mae']:.4f}  outside {score['share_outside']:6.1%}"
        f"  error inside {score['mae_inside']:.4f}  outside {score['mae_outside']:.4f}"
        f"  ratio {score['outside_over_inside']:.2f}{error_of_ratio}",
        flush=True,
    )


def main() -> None:
    """Print one block per property."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(TASKS), help="one property")
    only = parser.parse_args().only
    print(describe("scikit-learn"))
    print("Target: error outside at least twice that inside on elements left out.")
    for name, want in TASKS.items():
        if only not in (None, name):
            continue
        compounds = load((want,))
        rows = rows_of(compounds, want)
        print(f"\n{'log10 ' if want.transform == 'log10' else ''}{name}: {len(rows.target)} distinct compounds")
        each = [[number] for numbers in element_sets(rows.elements, rows.groups) for number in numbers]
        make, own = functools.partial(ExtraTrees, trees=TREES), functools.partial(domain_of, rows)
        left_out = list(leave_elements_out(rows, each, make=make, domain_of=own))
        report(f"one of {len(left_out)} elements left out", left_out)
        whole = ExtraTrees().fit(rows.values, rows.target)
        start = time.process_time()
        card = held_out_scores(
            rows, domain_of(rows, np.arange(len(rows.target)), whole), family="extra_trees", parameters=whole.parameters
        )
        took = time.process_time() - start
        line(f"as on a card, {card['leave_one_element_out']['fits']} fits", card["leave_one_element_out"])
        report("formulas left out, 5 folds", without_formulas(rows))
        clusters, small = card["leave_one_cluster_out"], card["held_out_ensemble"]
        print(
            f"  on a card also: {clusters['folds']} clusters left out MAE {clusters['mae']:.4f}, formulas left out"
            f" {small['grouped_mae']:.4f} by the same small ensemble; {took:.1f} s in all"
        )
        worst = sorted(left_out, key=lambda one: one.inside.mean())[:8]
        print("  most often outside: " + ", ".join(f"{one.symbol} {1 - one.inside.mean():.0%}" for one in worst))


if __name__ == "__main__":
    main()
