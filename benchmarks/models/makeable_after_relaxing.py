"""P(makeable phase) after relaxing: do kinship and a potential together order candidates better than either alone?

The candidates are the packaged sample of children that CHGNet relaxed, all of compositions that the lists of 2017 lack.
Nothing that is asked of them knows more than those lists: kinship is that to their compositions, and the hull holds
the phases of the table of 2019 whose compositions they list. The curve of kinship is that of a run: its eleven numbers
were learned from 68,000 compositions of history, among them those of the sample. There are two truths. A composition is
makeable if the Materials Project of 2019 names it within the limit of its hull. A crystal is makeable if its
composition is, and if SevenNet puts the crystal within the limit of that hull, its own composition left out. CHGNet's
errors in candidates come from SevenNet's energies of the unlisted part of the sample, how much the hull of 2017 lacked
comes from the same sample, and both potentials learned from the Materials Project, so the second truth flatters CHGNet
(``benchmarks/models/missing_phases.py`` holds chemical systems out).

Two of three rows of the sample have compositions that the later list names. Every row counts as often as its kind
occurs among the default children of ionic substitution. The combination is learned in ten folds of whole chemical
systems; the first line of each limit holds what all rows teach.

``python benchmarks/models/makeable_after_relaxing.py`` takes half a minute of one core.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import itertools  # noqa: E402  # after the thread limits
from typing import NamedTuple  # noqa: E402

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from scipy.special import expit, logit  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402

from matloop.data.candidates.compositions import Compositions, composition_keys  # noqa: E402
from matloop.data.generators.ionic_substitution import IonicSubstitution  # noqa: E402
from matloop.data.generators.substitution import children_of  # noqa: E402
from matloop.data.packaged.materials import load_materials  # noqa: E402
from matloop.data.packaged.relaxed_children import load_relaxed_children  # noqa: E402
from matloop.models.grouped_folds import grouped_folds  # noqa: E402
from matloop.models.potentials.contract import GGA_AND_U  # noqa: E402
from matloop.models.stability.computed_hull import computed_phases  # noqa: E402
from matloop.models.stability.elemental_references import ElementalReferences  # noqa: E402
from matloop.models.stability.hull import Hull, packaged_references  # noqa: E402
from matloop.models.stability.kinship import Kinship  # noqa: E402
from matloop.models.stability.local_prediction import LocalPrediction  # noqa: E402
from matloop.models.stability.makeable import (  # noqa: E402
    LATER,
    Traits,
    earlier_compositions,
    learned_from_history,
    listed_distances,
)
from matloop.models.stability.opinions import mixed_opinions  # noqa: E402
from matloop.models.stability.packaged_stability import (  # noqa: E402
    database_formation_energies,
    place_candidates,
    sample_energies,
    with_sample,
)
from matloop.models.stability.relaxed_makeable import (  # noqa: E402
    bounded_log_odds,
    highest_makeable,
    makeable_after_relaxing,
)
from matloop.models.stability.stability import ABOVE_HULL, Stability  # noqa: E402
from matloop.models.surrogates.supported_probability import FEWEST_ROWS, highest_supported  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402

LIMITS = (0.05, 0.025, 0.1)  # eV/atom
FIRST = (0.02, 0.05, 0.1, 0.2)
STEPS = (0, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.01)

Numbers = NDArray[np.float64]
Truths = NDArray[np.bool_]


class Sample(NamedTuple):
    """Relaxed candidates and what is said of them, each of shape (n,).

    Attributes:
        traits: With the kinship to the lists of 2017.
        placed: By CHGNet on the hull of 2017.
        later: eV/atom above the hull of 2019 of their compositions, infinite where not listed.
        second: eV/atom above that hull of the crystals by SevenNet.
        substitution: Substitution probability.
        weights: How often the kind of each row occurs, over how often the sample has it.
        systems: Chemical system.
    """

    traits: Traits
    placed: LocalPrediction
    later: Numbers
    second: Numbers
    substitution: Numbers
    weights: Numbers
    systems: NDArray[np.int64]


def read_sample(earlier: Compositions) -> Sample:
    """Judge the packaged sample with what was listed in 2017."""
    table, crystals = load_relaxed_children(), load_materials()
    labels = database_formation_energies(crystals)
    phases = computed_phases(LATER)
    then = np.isin(composition_keys(phases.compositions), composition_keys(earlier)) | (phases.compositions.lengths < 2)
    hull = Hull(phases.take(np.flatnonzero(then)))
    learnt = Stability.fit(packaged_references(crystals, "chgnet"), labels, hull, corrected=GGA_AND_U)
    learnt = with_sample(learnt, crystals)
    candidates = sample_energies(table, "chgnet")
    judge = ElementalReferences.fitted(packaged_references(crystals, "sevennet"), labels, corrected=GGA_AND_U)
    later, share = listed_distances(candidates.compositions), share_listed(earlier)
    listed = np.isfinite(later)
    print(f"{len(listed)} candidates, {listed.sum()} listed later; of the default children {share:.1%} are")
    systems = np.unique(candidates.compositions.element_mask(), axis=0, return_inverse=True)[1].ravel()
    return Sample(
        Traits.of(candidates.compositions, Kinship.of(earlier)),
        mixed_opinions(learnt.predict(candidates))[ABOVE_HULL],
        later,
        place_candidates(sample_energies(table, "sevennet"), judge).energy_above_hull,
        table["substitution_probability"].to_numpy(),
        np.where(listed, share / listed.mean(), (1 - share) / (1 - listed.mean())),
        systems,
    )


def share_listed(earlier: Compositions) -> float:
    """Share of the default children of new compositions whose composition is listed later."""
    source = IonicSubstitution()
    keys = composition_keys(children_of(source.plan, source.parents, source.species))
    new = keys[~np.isin(keys, composition_keys(earlier))]
    return float(np.isin(new, composition_keys(computed_phases(LATER).compositions)).mean())


def held_out(evidence: Numbers, met: Truths, sample: Sample) -> Numbers:
    """P of each row by a combination that has seen no row of its chemical system."""
    found = np.full(len(met), np.nan)
    for train, test in grouped_folds(sample.systems):
        found[test] = expit(
            learned(evidence[train], met[train], sample.weights[train]).decision_function(evidence[test])
        )
    return found


def learned(evidence: Numbers, met: Truths, weights: Numbers) -> LogisticRegression:
    """The weighted sum of evidence with the largest likelihood."""
    return LogisticRegression(C=100).fit(evidence, met, sample_weight=weights)


def print_orders(orders: dict[str, Numbers], truths: dict[str, Truths], weights: Numbers) -> None:
    """How well each order puts each truth first: AUC, and the share among the first parts of all candidates."""
    for name, truth in truths.items():
        print(f"  {name}: {truth.sum()} rows, {np.average(truth, weights=weights):.1%} of candidates")
        print(f"    {'':<34}{'AUC':>6}" + "".join(f"{f'first {part:.0%}':>11}" for part in FIRST))
        for words, order in orders.items():
            ranked = np.argsort(-order, kind="stable")
            reached = np.cumsum(weights[ranked]) / weights.sum()
            cells = []
            for part in FIRST:
                first = ranked[reached <= part]
                cells.append(f"{np.average(truth[first], weights=weights[first]):>11.1%}")
            print(f"    {words:<34}{roc_auc_score(truth, order, sample_weight=weights):>6.3f}" + "".join(cells))


def print_calibration(chance: Numbers, truth: Truths, weights: Numbers) -> None:
    """Mean P and the share that came true, by steps of P."""
    parts = []
    for low, high in itertools.pairwise(STEPS):
        rows = (chance >= low) & (chance < high)
        if rows.any():
            told, came = (np.average(values[rows], weights=weights[rows]) for values in (chance, truth))
            parts.append(f"{told:.3f}:{came:.3f} ({rows.sum()})")
    print("    P:share of makeable crystals (rows)  " + "  ".join(parts))


def main() -> None:
    """Print a block for each limit."""
    print(describe("scikit-learn", "scipy"))
    earlier = earlier_compositions()
    sample = read_sample(earlier)
    random = np.random.default_rng(0).random(len(sample.later))
    for limit in LIMITS:
        by_kinship = learned_from_history(limit).probability(sample.traits)
        by_potential = sample.placed.probability_between(-np.inf, limit)
        composition = sample.later <= limit
        crystal = composition & (sample.second <= limit)
        evidence = np.column_stack([logit(by_kinship), bounded_log_odds(by_potential)])
        fit = learned(evidence, crystal, sample.weights)
        print(
            f"\nwithin {1000 * limit:.0f} meV/atom: log odds = {fit.intercept_[0]:+.2f} {fit.coef_[0, 0]:+.2f} of "
            f"kinship {fit.coef_[0, 1]:+.2f} of the potential"
        )
        combined = held_out(evidence, crystal, sample)
        by_rows = makeable_after_relaxing(by_kinship, by_potential)
        reached = [np.floor(1000 * highest_supported(chance)) / 1000 for chance in (combined, by_rows)]
        print(
            f"  largest P that {FEWEST_ROWS} rows reach, rounded down: {reached[0]:.3f} with systems held out, "
            f"{reached[1]:.3f} as used; claimed at most {highest_makeable(limit):.3f}"
        )
        as_used = np.minimum(by_rows, highest_makeable(limit))
        print_orders(
            {"random": random, "substitution probability": sample.substitution, "kinship": by_kinship,
             "CHGNet": by_potential, "smaller of the two": np.minimum(by_kinship, by_potential),
             "combined, systems held out": combined, "combined, as used": by_rows},
            {"crystal": crystal, "composition": composition}, sample.weights,
        )  # fmt: skip
        for words, chance in (
            ("kinship", by_kinship),
            ("CHGNet", by_potential),
            ("held out", combined),
            ("as used", as_used),
        ):
            print(f"  {words}: mean P {np.average(chance, weights=sample.weights):.1%}")
            print_calibration(chance, crystal, sample.weights)


if __name__ == "__main__":
    main()
