"""From computed to measured values (``scale: experiment``): compounds held out one by one, against simpler corrections.

python benchmarks/models/experimental_scale.py band_gap --compounds 30 --drawn 30
python benchmarks/models/experimental_scale.py refractive_index --features structure
python benchmarks/models/experimental_scale.py band_gap --features structure --folds 10

For each compound a surrogate is trained anew without any label of its formula, measured or computed; with ``--folds``
for each of so many parts of all compounds. Rivals: the computed prediction as it stands, that and the mean difference
of the other compounds, and that and a line.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402  # after the thread limits
from numpy.typing import NDArray  # noqa: E402

from matloop.data.properties.catalogue import property_named  # noqa: E402
from matloop.data.training.packaged_tables import MEASURED_TABLES, packaged_training_set  # noqa: E402
from matloop.data.training.training_set import groups_of_both  # noqa: E402
from matloop.featurizers.registry import feature_set  # noqa: E402
from matloop.models.families.transfer import Line  # noqa: E402
from matloop.models.surrogates.computed_model import ComputedLabels, ComputedModel  # noqa: E402
from matloop.models.surrogates.prediction import backward, forward  # noqa: E402
from matloop.models.surrogates.surrogate import Surrogate  # noqa: E402

FEATURES = {
    "composition": ("magpie", "stoichiometry", "valence_orbital", "charge_balance"),
    "structure": (
        "magpie", "stoichiometry", "valence_orbital", "charge_balance", "density", "symmetry", "lorentz_lorenz",
        "crystal_local", "property_density",
    ),
}  # fmt: skip
NAMED = {
    "band_gap": (
        "ZnS", "GaN", "SrTiO3", "ZnO", "TiO2", "MgO", "Al2O3", "CdS", "CdTe", "ZnSe", "ZnTe", "GaAs", "GaP", "InP",
        "AlN", "AlAs", "Si", "SiC", "NaCl", "LiF", "CaF2", "KBr", "AgCl", "CuCl", "PbS", "Ga2O3", "In2O3", "SnO2",
        "Cu2O", "BN",
    ),
    "refractive_index": (),
}  # fmt: skip
LIMITS = {"band_gap": 2.5, "refractive_index": 2.2}


class Found(NamedTuple):
    """One compound that was held out, in the unit of the property."""

    formula: str
    truth: float
    predicted: float
    lower: float
    upper: float
    probability: float
    inside: bool
    computed: float
    shifted: float
    on_line: float


def held_out(asked: tuple[str, str, NDArray[np.int64]]) -> list[Found]:
    """Train without the formulas of some measured rows, and predict those of them that have features."""
    name, features_name, rows = asked
    features, transform = feature_set(FEATURES[features_name]), property_named(name).transform
    computed, measured = packaged_training_set(name), packaged_training_set(name, table=MEASURED_TABLES[name])
    of_computed, of_measured = groups_of_both(computed, measured)
    own, theirs = features.featurize(measured.rows), features.featurize(computed.rows)
    rows = rows[own.codes[rows] == ""]
    if not len(rows):
        return []
    kept = np.flatnonzero(~np.isin(of_computed, of_measured[rows]))
    train = np.flatnonzero(~np.isin(of_measured, of_measured[rows]) & (own.codes == ""))
    labels = ComputedLabels(theirs.take(kept), computed.values[kept], of_computed[kept], computed.about)
    model, extended = ComputedModel.fit(
        labels, own.take(train), of_measured[train], family="extra_trees", parameters={"seed": 0}, transform=transform
    )  # fmt: skip
    surrogate = Surrogate.fit(
        name, extended, measured.values[train], of_measured[train], family="extra_trees", transform=transform,
        parameters={"seed": 0}, computed=model,
    )  # fmt: skip
    prediction = surrogate.predict(own.take(rows))
    assert prediction.computed is not None
    lower, upper = prediction.interval(0.9)
    computed_value = forward(prediction.computed, transform)
    others, target = extended.values[:, -1], forward(measured.values[train], transform)
    shifted = backward(computed_value + (target - others).mean(), transform)
    line = backward(Line.fit(others, target).predict(computed_value), transform)
    met = prediction.probability_between(LIMITS[name], np.inf)
    return [
        Found(
            measured.rows.formulas[row], float(measured.values[row]), float(prediction.median[k]), float(lower[k]),
            float(upper[k]), float(met[k]), bool(prediction.in_domain[k]), float(prediction.computed[k]),
            float(shifted[k]), float(line[k]),
        )
        for k, row in enumerate(rows.tolist())
        if prediction.codes[k] == ""
    ]  # fmt: skip


def main() -> None:
    """Hold compounds out one by one and print one line for each, and the errors of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("property", choices=sorted(NAMED))
    parser.add_argument("--features", choices=sorted(FEATURES), default="composition")
    parser.add_argument("--compounds", type=int, default=30, help="of the named ones")
    parser.add_argument("--drawn", type=int, default=30, help="further ones, drawn at random")
    parser.add_argument("--folds", type=int, help="hold out all compounds in so many parts, none one by one")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    measured = packaged_training_set(options.property, table=MEASURED_TABLES[options.property])
    formulas = measured.rows.formulas
    named = [formulas.index(one) for one in NAMED[options.property][: options.compounds] if one in formulas]
    able = np.arange(len(formulas)) if options.features == "composition" else np.flatnonzero(measured.rows.has_crystal)
    drawn = np.random.default_rng(0).permutation(np.setdiff1d(able, named))[: options.drawn].tolist()
    parts = [np.array([row]) for row in (*named, *drawn)]
    if options.folds:
        parts = np.array_split(np.random.default_rng(0).permutation(able), options.folds)
    found = []
    with ProcessPoolExecutor(options.workers) as pool:
        for some in pool.map(held_out, [(options.property, options.features, part) for part in parts]):
            found += some
            if not options.folds:
                for one in some:
                    tell(one, options.property)
    how = f"held out in {options.folds} parts" if options.folds else "held out one by one"
    summarise([one for one in found if one.formula in NAMED[options.property]], f"named compounds {how}", options)
    summarise(found, f"all {how}", options)


def tell(found: Found, name: str) -> None:
    """Print one compound."""
    hit = "in" if found.lower <= found.truth <= found.upper else "OUT"
    print(
        f"{found.formula:14s} measured {found.truth:6.2f}  predicted {found.predicted:6.2f} [{found.lower:.2f}, "
        f"{found.upper:.2f}] {hit:3s} computed {found.computed:6.2f}  P(>= {LIMITS[name]:g}) {found.probability:.2f}"
        f"{'' if found.inside else '  outside the domain'}", flush=True,
    )  # fmt: skip


def summarise(found: list[Found], title: str, options: argparse.Namespace) -> None:
    """Print errors, coverage and what probabilities promised."""
    if not found:
        return
    truth = values(found, "truth")
    inside = np.array([one.inside for one in found])
    covered = (values(found, "lower") <= truth) & (truth <= values(found, "upper"))
    errors = {
        label: np.abs(values(found, field) - truth)
        for label, field in (
            ("experimental scale", "predicted"), ("no correction", "computed"), ("constant shift", "shifted"),
            ("line", "on_line"),
        )
    }  # fmt: skip
    errors["always the mean"] = np.abs(truth.mean() - truth)
    told = ", ".join(f"{label} {error.mean():.3f}" for label, error in errors.items())
    name = options.property
    print(f"{len(found)} compounds, {title}; MAE {told}")
    print(
        f"  90 % intervals hold {covered.mean():.0%} ({covered[inside].mean():.0%} of {inside.sum()} in domain); "
        f"P(>= {LIMITS[name]:g}) promised {values(found, 'probability').sum():.1f}, met {(truth >= LIMITS[name]).sum()}"
    )


def values(found: list[Found], field: str) -> NDArray[np.float64]:
    """One number of each compound."""
    return np.array([getattr(one, field) for one in found], float)


if __name__ == "__main__":
    main()
