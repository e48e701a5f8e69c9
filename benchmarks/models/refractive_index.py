"""Refractive indices against measured ones: bias, coverage, and what P(n >= 2.2) promises; formulas held out.

python benchmarks/models/refractive_index.py

Computed indices teach, without the formulas of the packaged measured indices (``measured_indices``); the measured
crystals that are packaged are predicted. What is measured lies below what perturbation theory computes, so the last
line learns the measured scale too, every measured formula held out in one of ten folds.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.chemistry.polarisabilities import CLASSES, classes_of, lorentz_lorenz_indices
from matloop.data.training.packaged_tables import packaged_training_set
from matloop.data.training.training_set import TrainingSet, groups_of_both
from matloop.featurizers.registry import feature_set
from matloop.models.grouped_folds import grouped_folds
from matloop.models.surrogates.computed_model import ComputedLabels, ComputedModel
from matloop.models.surrogates.surrogate import Surrogate

COMPOSITION = ("magpie", "stoichiometry", "valence_orbital", "charge_balance", "density", "symmetry")
STRUCTURE = (*COMPOSITION, "crystal_local", "property_density")
LIMIT = 2.2


class Result(NamedTuple):
    """Predictions of n crystals: value, ends of the 90 % interval, probability of at least 2.2, and in domain."""

    predicted: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    probability: NDArray[np.float64]
    inside: NDArray[np.bool_]


def main() -> None:
    """Print one line for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="extra_trees")
    parser.add_argument("--folds", type=int, default=10, help="of measured formulas, for the measured scale")
    options = parser.parse_args()
    computed = packaged_training_set("refractive_index")
    measured = packaged_training_set("refractive_index", table="measured_indices")
    measured = rows_of(measured, np.flatnonzero(measured.rows.has_crystal))
    of_computed, of_measured = groups_of_both(computed, measured)
    others = rows_of(computed, np.flatnonzero(~np.isin(of_computed, of_measured)))
    shared = int(np.isin(of_measured, of_computed).sum())
    print(f"{len(measured)} measured crystals, {shared} of them with a computed index of their formula")
    print(f"{len(others)} computed crystals of other formulas teach")
    truth, oxides = measured.values, classes_of(measured.rows.compositions) == CLASSES.index("oxides")
    mean = np.full(len(truth), 10 ** np.log10(others.values).mean())
    tell("always the mean", Result(mean, mean, mean, np.full(len(truth), (others.values >= LIMIT).mean()), truth > 0),
         truth, oxides)  # fmt: skip
    index = lorentz_lorenz_indices(measured.rows)
    tell("polarisabilities alone", Result(index, index, index, (index >= LIMIT) * 1.0, truth > 0), truth, oxides)
    for stage, features in (("composition", COMPOSITION), ("structure", STRUCTURE)):
        for added in ((), ("lorentz_lorenz",)):
            name = f"{stage}{' + lorentz_lorenz' * bool(added)}"
            own = computed_scale(others, measured, (*features, *added), options.family)
            tell(f"{name}, computed scale", own, truth, oxides)
            simple_oxides(name, computed, (*features, *added), options.family)
            both = measured_scale(computed, measured, (*features, *added), options.family, folds=options.folds)
            tell(f"{name}, measured scale", both, truth, oxides)


def rows_of(training: TrainingSet, rows: NDArray[np.int64]) -> TrainingSet:
    """Some rows of a training set."""
    return TrainingSet.of_rows(
        training.rows.take(rows), training.values[rows], property_name=training.property_name, name=training.name,
        provenance=training.provenance, licence=training.licence, citation=training.citation,
    )  # fmt: skip


def computed_scale(computed: TrainingSet, measured: TrainingSet, names: tuple[str, ...], family: str) -> Result:
    """Predictions by a surrogate of computed indices of other formulas."""
    features = feature_set(names)
    surrogate = Surrogate.fit(
        "refractive_index", features.featurize(computed.rows), computed.values, computed.groups, family=family,
        transform="log10", parameters={"seed": 0},
    )  # fmt: skip
    return told(surrogate, features.featurize(measured.rows))


def measured_scale(
    computed: TrainingSet, measured: TrainingSet, names: tuple[str, ...], family: str, *, folds: int
) -> Result:
    """Predictions by transfer from computed to measured indices, of measured formulas that are held out."""
    features = feature_set(names)
    of_computed, of_measured = groups_of_both(computed, measured)
    own, theirs = features.featurize(measured.rows), features.featurize(computed.rows)
    parts: list[tuple[NDArray[np.int64], Result]] = []
    for train, held in grouped_folds(of_measured, folds=folds, seed=0):
        kept = np.flatnonzero(~np.isin(of_computed, of_measured[held]))
        labels = ComputedLabels(theirs.take(kept), computed.values[kept], of_computed[kept], computed.about)
        model, extended = ComputedModel.fit(
            labels, own.take(train), of_measured[train], family=family, parameters={"seed": 0}, transform="log10"
        )  # fmt: skip
        surrogate = Surrogate.fit(
            "refractive_index", extended, measured.values[train], of_measured[train], family=family,
            transform="log10", parameters={"seed": 0}, computed=model,
        )  # fmt: skip
        parts.append((held, told(surrogate, own.take(held))))
    order = np.argsort(np.concatenate([held for held, _ in parts]))
    return Result(*(np.concatenate(columns)[order] for columns in zip(*(part for _, part in parts), strict=True)))


def told(surrogate: Surrogate, features: object) -> Result:
    """What a surrogate says of some crystals."""
    prediction = surrogate.predict(features)  # type: ignore[arg-type]
    lower, upper = prediction.interval(0.9)
    return Result(
        prediction.median, lower, upper, prediction.probability_between(LIMIT, np.inf), prediction.in_domain
    )  # fmt: skip


def tell(name: str, found: Result, truth: NDArray[np.float64], oxides: NDArray[np.bool_]) -> None:
    """Print the errors of one model."""
    good = np.isfinite(found.predicted)
    error, hit = (found.predicted - truth)[good], (truth >= LIMIT)[good]
    covered = ((found.lower <= truth) & (truth <= found.upper))[good]
    inside = found.inside[good]
    print(
        f"{name:42s} {good.sum():3d} rows, bias {error.mean():+.3f}, MAE {np.abs(error).mean():.3f}, oxides bias "
        f"{error[oxides[good]].mean():+.3f}, coverage {covered.mean():.2f}, in domain {inside.mean():.2f} with "
        f"{covered[inside].mean() if inside.any() else np.nan:.2f}, promised {found.probability[good].sum():.1f} "
        f"met {hit.sum()}"
    )  # fmt: skip


def simple_oxides(name: str, computed: TrainingSet, names: tuple[str, ...], family: str) -> None:
    """Print the errors of oxides of one or two cations on the computed scale, formulas held out in folds."""
    surrogate = Surrogate.fit(
        "refractive_index", feature_set(names).featurize(computed.rows), computed.values, computed.groups,
        family=family, transform="log10", parameters={"seed": 0},
    )  # fmt: skip
    found = surrogate.out_of_fold_prediction()
    lower, upper = found.interval(0.9)
    compositions = computed.rows.compositions
    rows = (classes_of(compositions) == CLASSES.index("oxides")) & (compositions.lengths <= 3)
    error = found.median - computed.values
    covered = (lower <= computed.values) & (computed.values <= upper)
    best = np.flatnonzero(rows)[np.argsort(-found.probability_between(LIMIT, np.inf)[rows])][: rows.sum() // 3]
    print(
        f"  {name}: {len(error)} computed MAE {np.abs(error).mean():.4f}; {rows.sum()} oxides of at most two cations "
        f"bias {error[rows].mean():+.3f}, MAE {np.abs(error[rows]).mean():.3f}, coverage {covered[rows].mean():.2f}; "
        f"the third with the largest P(n >= 2.2) bias {error[best].mean():+.3f}, coverage {covered[best].mean():.2f}"
    )  # fmt: skip


if __name__ == "__main__":
    main()
