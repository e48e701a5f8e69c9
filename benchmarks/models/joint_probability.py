"""Meeting two targets at once: as many candidates as promised? The joint probability beside the plain product.

Twenty random splits of distinct compounds into 700 to train and the others to test (as ``shortlist.py`` draws them);
surrogates of both properties from the same rows. Wanted is, of each property, at least its median or its 60th, 70th,
80th or 90th percentile, in all 25 combinations. For each split the probabilities of meeting both are summed over the
tested rows and combinations and held against how many do. Seeds 0 to 9 were looked at when a factor of the odds was
preferred to a copula of the errors and its prior was made; the splits below are of the seeds 100 to 119, though they
hold the same compounds.

``python benchmarks/models/joint_probability.py`` takes about ten minutes of one core.
"""

from __future__ import annotations

import argparse
import itertools
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

from typing import NamedTuple  # noqa: E402  # after the thread limits

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from shortlist import SETS, Compounds, Split, Wanted, load, splits  # noqa: E402

from matloop.data.properties.catalogue import property_named  # noqa: E402
from matloop.models.surrogates.joint_probability import JointProbability  # noqa: E402
from matloop.models.surrogates.surrogate import Surrogate  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402

QUANTILES = (0.5, 0.6, 0.7, 0.8, 0.9)
FIXED = {"dielectric": {"refractive_index": 2.2, "band_gap": 2.5}}
"""What the packaged campaign wants of the same properties."""
WAYS = ("matloop", "product")


class Told(NamedTuple):
    """One split: sums over its tested rows and wishes.

    Attributes:
        promised: Sum of the probabilities by each way.
        met: How many meet both.
        log_loss: Mean by each way.
    """

    promised: NDArray[np.float64]
    met: int
    log_loss: NDArray[np.float64]


def surrogates_of(compounds: Compounds, wanted: tuple[Wanted, ...], rows: NDArray[np.int64]) -> dict[str, Surrogate]:
    """One surrogate for each property from the same rows."""
    return {
        want.name: Surrogate.fit(
            want.name, compounds.features.take(rows), compounds.truth[want.name][rows], np.arange(len(rows)),
            transform=want.transform, ids=rows.astype(str).tolist(),
        )
        for want in wanted
    }  # fmt: skip


def tested(
    compounds: Compounds, surrogates: dict[str, Surrogate], split: Split, wishes: list[dict[str, float]]
) -> Told:
    """Both ways on the rows of a split that no surrogate saw."""
    features = compounds.features.take(split.test)
    predictions = {name: surrogate.predict(features) for name, surrogate in surrogates.items()}
    known = np.logical_and.reduce([prediction.codes == "" for prediction in predictions.values()])
    promised, met, losses = np.zeros(2), 0, []
    for wish in wishes:
        hits = np.logical_and.reduce([compounds.truth[name][split.test] >= low for name, low in wish.items()])[known]
        ranges = {name: (low, np.inf) for name, low in wish.items()}
        joint = JointProbability.fit(surrogates, ranges)
        ways = [way.probabilities(predictions, ranges).of_all[known] for way in (joint, JointProbability())]
        promised += [way.sum() for way in ways]
        met += int(hits.sum())
        losses.append([-np.log(np.clip(np.where(hits, way, 1 - way), 1e-6, 1)).mean() for way in ways])
    return Told(promised, met, np.mean(losses, axis=0))


def spread(values: NDArray[np.float64]) -> str:
    """Mean and its standard error."""
    return f"{values.mean():.3f} ± {values.std(ddof=1) / np.sqrt(len(values)):.3f}"


def print_block(words: str, told: list[Told]) -> None:
    """Lines of one set of wishes."""
    print(f"  {words}: {np.mean([one.met for one in told]):.1f} meet both, on average over {len(told)} splits")
    for way, name in enumerate(WAYS):
        ratio = np.array([one.promised[way] / one.met for one in told if one.met])
        loss = np.array([one.log_loss[way] for one in told])
        print(f"    {name:<8} promised over met {spread(ratio)}   log loss {loss.mean():.4f}")
    gain = np.array([one.log_loss[0] - one.log_loss[1] for one in told])
    print(
        f"    log loss, matloop less product: {gain.mean():+.4f} ± {gain.std(ddof=1) / np.sqrt(len(gain)):.4f}",
        flush=True,
    )


def main() -> None:
    """Print a block for each pair of properties."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=20)
    options = parser.parse_args()
    print(describe("scikit-learn"))
    for key in ("dielectric", "elastic"):
        wanted = SETS[key]
        compounds = load(wanted)
        names = [want.name for want in wanted]
        cuts = {name: np.quantile(compounds.truth[name], QUANTILES).tolist() for name in names}
        by_quantile = [dict(zip(names, pair, strict=True)) for pair in itertools.product(*cuts.values())]
        found: dict[str, list[Told]] = {"percentiles": [], "fixed": []}
        for split in splits(options.splits, len(compounds.features), first=100):
            surrogates = surrogates_of(compounds, wanted, split.train)
            found["percentiles"].append(tested(compounds, surrogates, split, by_quantile))
            if key in FIXED:
                found["fixed"].append(tested(compounds, surrogates, split, [FIXED[key]]))
        print(f"\n{' and '.join(names)}: {len(compounds.features)} compounds")
        print_block("25 combinations of percentiles", found["percentiles"])
        if key in FIXED:
            limits = (
                f"{name} at least {low:g} {property_named(name).unit.removeprefix('1')}".rstrip()
                for name, low in FIXED[key].items()
            )
            print_block(" and ".join(limits), found["fixed"])


if __name__ == "__main__":
    main()
