"""Every family on every feature set, and the mean of them by default choice: grouped 5-fold error, seconds.

All families have their own settings, whatever the property: nothing is tuned here. Rows without a finite feature in any
of the sets are left out of all of them, so that a line compares the same rows and folds. The atomic fractions stand
among the features, and families that do not need them do not read them.

The line of the choice is the error of the whole procedure (nested cross-validation): in each of the five folds the
other rows alone decide, by folds of their own, how much each family counts in the mean that predicts the fold. It
stands beside the best single family, best by hindsight: picked by the very error it is compared with. The standard
error of the difference counts formulas, not rows. With ``--stack`` a stack of all families is fitted anew inside each
fold too.

``python benchmarks/models/families.py`` takes at most 1,000 rows of each property, drawn once for all lines, and some
hours of one core; ``--rows 0`` takes all. ``--draw`` and ``--split`` take other rows and other folds. ``--results``
keeps what is finished in a file, and the same call goes on from there. ``--sets embedding`` takes CHGNet's embedding as
features: CHGNet was trained on relaxations of most of these crystals with their energies, so its figures, of the
formation energy above all, are not those of crystals it never saw.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

from typing import Any, NamedTuple  # noqa: E402  # after the thread limits

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from matloop.data.candidates.batch import CandidateBatch  # noqa: E402
from matloop.data.elements import SYMBOLS  # noqa: E402
from matloop.data.feature_matrix import FeatureMatrix  # noqa: E402
from matloop.data.packaged.materials import load_materials  # noqa: E402
from matloop.data.properties.catalogue import property_named  # noqa: E402
from matloop.data.properties.definition import Transform  # noqa: E402
from matloop.data.registry import lookup  # noqa: E402
from matloop.featurizers.base import FeatureSet  # noqa: E402
from matloop.models.families.making import (  # noqa: E402
    columns_without,
    make_ensemble,
    needed_columns,
    settings_by_name,
)
from matloop.models.surrogates.choice import Choice, choose  # noqa: E402
from matloop.models.surrogates.family_candidates import Budget, Candidate  # noqa: E402
from matloop.models.surrogates.prediction import forward  # noqa: E402
from matloop.models.surrogates.training import grouped_folds  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402
from matloop.workflows.stages.campaign_featurizers import CAMPAIGN_FEATURIZERS  # noqa: E402

TASKS: tuple[tuple[str, Transform], ...] = (
    ("bulk_modulus_vrh", "log10"), ("shear_modulus_vrh", "log10"), ("refractive_index", "identity"),
    ("band_gap", "identity"), ("formation_energy_per_atom", "identity"), ("energy_above_hull", "identity"),
)  # fmt: skip
COMPOSITION = ("element_fraction", "magpie", "stoichiometry", "valence_orbital", "charge_balance")
CRYSTAL = ("density", "symmetry", "property_density", "crystal_local")
SETS: dict[str, tuple[str, ...]] = {
    "composition": COMPOSITION,
    "crystal": (*COMPOSITION, *CRYSTAL),
    "embedding": (*COMPOSITION, "crystal_embedding"),
}
SINGLE = ("extra_trees", "boosted_trees", "gaussian_process", "deep_ensemble", "element_attention")


class Data(NamedTuple):
    """Crystals, their features by set, and which of them lack none."""

    materials: CandidateBatch
    features: dict[str, FeatureMatrix]
    sound: NDArray[np.bool_]


def load(sets: list[str]) -> Data:
    """The packaged crystals with the features of the sets."""
    materials, features = load_materials(), {}
    for chosen in sets:
        options = {name: {"potential": "chgnet"} if name == "crystal_embedding" else {} for name in SETS[chosen]}
        made = [lookup("featurizer", CAMPAIGN_FEATURIZERS, name)(**options[name]) for name in SETS[chosen]]
        features[chosen] = FeatureSet(tuple(made)).featurize(materials)
    return Data(materials, features, np.logical_and.reduce([matrix.codes == "" for matrix in features.values()]))


def settings_of(family: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Settings with which a family reads the atomic fractions only if it needs them."""
    return {} if needed_columns(family, {}) else {"columns": columns_without(names, SYMBOLS[1:])}


def error_of_stack(
    families: list[str], features: FeatureMatrix, *, truth: NDArray[np.float64], groups: NDArray[np.int64], split: int
) -> float:
    """Mean absolute error of a stack of the families over rows of formulas it never saw."""
    settings = settings_by_name("stack", {"families": families}, features.names)
    misses = np.empty(len(truth))
    for train, test in grouped_folds(groups, seed=split):
        model = make_ensemble("stack", settings).fit(features.values[train], truth[train], groups=groups[train])
        misses[test] = np.abs(model.predict(features.values[test])[0] - truth[test])
    return float(misses.mean())


def lines(data: Data, name: str, chosen: str, options: argparse.Namespace) -> dict[str, Any]:
    """Errors and seconds of one property and feature set."""
    transform = dict(TASKS)[name]
    target = forward(data.materials.column(property_named(name).column("dft")), transform)
    rows = np.flatnonzero(np.isfinite(target) & data.sound)
    if options.rows:
        rows = np.sort(np.random.default_rng(options.draw).permutation(rows)[: options.rows])
    groups, features = data.materials.take(rows).groups(), data.features[chosen].take(rows)
    start = time.process_time()
    choice = choose(
        [
            *(Candidate(family, parameters=settings_of(family, features.names)) for family in options.families),
            Candidate("mean"),
        ],
        {"": features}, target=target[rows], groups=groups, budget=Budget(), seed=options.split,
    )  # fmt: skip
    found = {
        "rows": len(rows), "formulas": int(groups.max()) + 1, **errors_of(choice),
        "seconds": time.process_time() - start,
    }  # fmt: skip
    if options.stack:
        found["stack"] = error_of_stack(
            options.families, features, truth=target[rows], groups=groups, split=options.split
        )
    return found


def errors_of(choice: Choice) -> dict[str, Any]:
    """The error of each family, and of the choice with its difference from the best of them."""
    single = {str(trial.candidate): trial.mae for trial in choice.trials if trial.candidate.family != "mean"}
    return {
        "single": single, "winner": str(choice.winner), "choice": choice.nested_mae, "above best": choice.above_best
    }  # fmt: skip


def shown(name: str, chosen: str, found: dict[str, Any]) -> float:
    """Print the lines of one property and feature set; return how much worse the choice is than the best family."""
    scale = "log10 " if dict(TASKS)[name] == "log10" else ""
    print(f"\n{scale}{name} on {chosen}: {found['rows']} rows, {found['formulas']} formulas, {found['seconds']:.0f} s")
    single = found["single"]
    best = min(single, key=lambda family: single[family])
    for family, mae in single.items():
        print(f"  {family:<18} MAE {mae:.4f}")
    excess, deviation = (part / single[best] for part in found["above best"])
    print(
        f"  {'choice':<18} MAE {found['choice']:.4f}   {excess:+.1%} +- {deviation:.1%} against {best}"
        f"   now: {found['winner']}",
        flush=True,
    )
    if "stack" in found:
        print(f"  {'stack':<18} MAE {found['stack']:.4f}   {found['stack'] / single[best] - 1:+.1%} against {best}")
    return float(excess)


def main() -> None:
    """Print one block per property and feature set, and the worst case of the choice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [name for name, _ in TASKS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="some of the properties")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=["composition", "crystal"], help="features")
    parser.add_argument("--rows", type=int, default=1000, help="most rows of a property; 0 for all")
    parser.add_argument("--families", nargs="+", default=list(SINGLE), choices=SINGLE, help="two or more")
    parser.add_argument("--draw", type=int, default=0, help="seed of the draw of rows")
    parser.add_argument("--split", type=int, default=0, help="seed of the folds")
    parser.add_argument("--stack", action="store_true", help="a stack of all families as well")
    parser.add_argument("--results", type=Path, help="file of finished lines, read and written")
    options = parser.parse_args()
    print(describe("scikit-learn", "lightgbm", "scipy", "torch"))
    print("5 folds grouped by reduced formula; seconds of one core for families and choice, 20 fits of each")
    key = json.dumps({name: str(value) for name, value in vars(options).items() if name not in ("only", "results")})
    finished = json.loads(options.results.read_text()) if options.results and options.results.exists() else {}
    known = finished.setdefault(key, {})
    data = load(options.sets)
    worse: dict[str, float] = {}
    for name in options.only:
        for chosen in options.sets:
            line = f"{name} on {chosen}"
            if line not in known:
                known[line] = lines(data, name, chosen, options)
                if options.results:
                    options.results.write_text(json.dumps(finished, indent=1))
            worse[line] = shown(name, chosen, known[line])
    worst, met = max(worse, key=lambda line: worse[line]), sum(each <= 0 for each in worse.values())
    print(
        f"\nchoice against the best single family: at worst {worse[worst]:+.1%} ({worst});"
        f" at least as good in {met} of {len(worse)} lines"
    )


if __name__ == "__main__":
    main()
