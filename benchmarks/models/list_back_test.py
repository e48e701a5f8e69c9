"""Lists made like the shortlist of the packaged campaign: hits met, promised and by chance, by seeds.

The materials are the packaged crystals of which refractive index and band gap are known. Both surrogates of the last
scoring stage are trained anew for each seed, with other folds and other trees, and every crystal is predicted by
ensembles that never saw its composition. Filters, domain, order and diversity are those of the campaign. What lists
held stands beside what their probabilities promised with the cap at what 20 calibration rows reach and without, and
beside what as many crystals drawn at random hold.

``python benchmarks/models/list_back_test.py`` takes some minutes of one core.
"""

from __future__ import annotations

import argparse
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

from collections.abc import Iterator  # noqa: E402  # after the thread limits
from dataclasses import replace  # noqa: E402
from typing import NamedTuple  # noqa: E402

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from matloop.data.candidates.batch import CandidateBatch  # noqa: E402
from matloop.data.properties.columns import Column  # noqa: E402
from matloop.data.training.packaged_tables import packaged_training_set  # noqa: E402
from matloop.data.training.training_set import TrainingSet  # noqa: E402
from matloop.models.surrogates.joint_probability import JointProbability  # noqa: E402
from matloop.models.surrogates.surrogate import Surrogate  # noqa: E402
from matloop.screening.campaign.campaign import Campaign  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402
from matloop.workflows.deciding.back_test import SIZES, KnownOutcomes, listed  # noqa: E402
from matloop.workflows.inspecting.validation import checked_campaign  # noqa: E402
from matloop.workflows.stages.campaign_featurizers import build_feature_set  # noqa: E402
from matloop.workflows.stages.scoring import build_filters  # noqa: E402
from matloop.workflows.stages.training import fit_surrogate  # noqa: E402

TARGETS = ("refractive_index", "band_gap")


class SeedOutcomes(NamedTuple):
    """Known materials as one seed predicts them.

    Attributes:
        known: With the probability that a run would claim.
        uncapped: The probability without caps, shape (n,).
        highest: The largest probability that calibration rows support.
        largest: The largest without caps.
    """

    known: KnownOutcomes
    uncapped: NDArray[np.float64]
    highest: float
    largest: float


def permuted(training: TrainingSet, seed: int) -> TrainingSet:
    """The same rows with other numbers of the groups, so that folds are drawn anew."""
    numbers, groups = np.unique(training.groups, return_inverse=True)
    return replace(training, groups=np.random.default_rng(seed).permutation(len(numbers))[groups])


def surrogates_of(campaign: Campaign, seed: int) -> dict[str, Surrogate]:
    """The surrogates of the last scoring stage, trained with a seed."""
    stage = list(campaign.scoring_stages)[-1]
    seeded = campaign.model_copy(update={"seed": seed})
    return {
        target.property: fit_surrogate(
            seeded, stage, target, training=permuted(packaged_training_set(target.property), seed)
        )
        for target in campaign.targets
        if target.property in TARGETS
    }


def passing(campaign: Campaign, materials: CandidateBatch) -> NDArray[np.bool_]:
    """Which materials the filters let through, taken for new ones, shape (n,)."""
    new = materials.with_columns({Column.KNOWN: np.zeros(len(materials), bool), Column.KNOWN_TO: [""] * len(materials)})
    return np.logical_and.reduce([filter_.judge(new).keep for filter_ in build_filters(campaign)])


def outcomes(campaign: Campaign, seeds: int) -> Iterator[SeedOutcomes]:
    """Known materials as each seed predicts them."""
    ranges = {target.property: target.range((0.0, 0.0)) for target in campaign.targets if target.property in TARGETS}
    sets = [packaged_training_set(name) for name in TARGETS]
    ids = sorted(set(sets[0].rows.ids) & set(sets[1].rows.ids))
    rows = [[{name: row for row, name in enumerate(one.rows.ids)}[name] for name in ids] for one in sets]
    materials = sets[0].rows.take(np.array(rows[0]))
    truth = {name: one.values[np.array(own)] for name, one, own in zip(TARGETS, sets, rows, strict=True)}
    met = np.logical_and.reduce([(truth[name] >= low) & (truth[name] <= high) for name, (low, high) in ranges.items()])
    features = build_feature_set(campaign.scoring_stages[list(campaign.scoring_stages)[-1]].features).featurize(
        materials
    )
    admitted = passing(campaign, materials)
    for seed in range(seeds):
        surrogates = surrogates_of(campaign, seed)
        predictions = {name: one.predict_as_new(features, materials.ids) for name, one in surrogates.items()}
        joint = JointProbability.fit(surrogates, ranges)
        chances = joint.probabilities(predictions, ranges)
        inside = np.logical_and.reduce([admitted, *(one.in_domain for one in predictions.values())])
        keep = np.flatnonzero(
            inside & np.isfinite(chances.of_all) & np.isfinite(np.stack([*truth.values()])).all(axis=0)
        )
        known = KnownOutcomes(materials.take(keep), chances.of_all[keep], chances.uncapped[keep], met[keep])
        yield SeedOutcomes(known, chances.uncapped[keep], joint.groups[0].highest, float(np.nanmax(chances.uncapped)))


def main() -> None:
    """Print hits of lists by seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    print(describe("scikit-learn"))
    campaign = checked_campaign("optical_window")
    held: dict[int, list[tuple[float, ...]]] = {size: [] for size in SIZES}
    for seed, (known, uncapped, highest, largest) in enumerate(outcomes(campaign, options.seeds)):
        print(
            f"seed {seed}: {known.met.sum()} hits among {len(known.met)} crystals; P at most {highest:.3f}, "
            f"without a cap {largest:.3f}",
            flush=True,
        )
        picks = listed(known, campaign.shortlist, size=max(SIZES))
        for size in SIZES:
            rows = picks[:size]
            chance = known.probability[rows].sum(), uncapped[rows].sum()
            held[size].append((float(known.met[rows].sum()), *chance, size * known.met.mean()))
    print(f"\n{'list':>6}{'met':>16}{'promised':>12}{'without cap':>14}{'by chance':>12}")
    for size, found in held.items():
        met, promised, without, chance = np.mean(found, axis=0)
        spread = np.std([one[0] for one in found])
        print(f"{size:>6}{f'{met:.2f} ± {spread:.2f}':>16}{promised:>12.2f}{without:>14.2f}{chance:>12.2f}")


if __name__ == "__main__":
    main()
