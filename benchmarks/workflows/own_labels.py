"""A property that matloop has never heard of: from 800 measured values in a spreadsheet to a shortlist.

The values are conductivities per relaxation time of the packaged transport table under another name, with noise of a
tenth of a decade. The spreadsheet has a row of units, empty cells, limits, stated errors, words, repeats, one value of
a wrong unit and one of a unit a thousand times smaller. Then labels are held back ten times, grouped by formula, and
the 90 % intervals are compared with what was held back: of all, and of the 20 with the highest predictions. The rival
is one interval of the same width for all, from the spread of the residuals.

``python benchmarks/workflows/own_labels.py``
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import openpyxl
from numpy.typing import NDArray

from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.packaged.transport import load_transport
from matloop.data.properties.catalogue import using
from matloop.data.training.training_set import TrainingSet
from matloop.models.surrogates.surrogate import Surrogate
from matloop.screening.campaign.campaign_file import read_campaign
from matloop.screening.campaign.source_paths import with_absolute_paths
from matloop.workflows.bench.hardware import describe
from matloop.workflows.running.own_data import read_own_data
from matloop.workflows.stages.campaign_featurizers import build_feature_set

ROWS, SPLITS, TOP, NOISE = 800, 10, 20, 0.1
CAMPAIGN = """
name: own_labels
properties:
  - {name: film_conductivity, unit: S/cm, lower: 0, upper: 1000000, scale: log10, label_zh: 薄膜电导率}
data:
  - table:
      {path: labels.xlsx, formula: Formula, property: film_conductivity, column: "sigma (mS/cm)", source: exp,
       group: paper}
  - embedded
sources:
  - embedded
targets:
  - {property: film_conductivity, goal: maximize, unit: S/cm}
surrogates: {features: [magpie, stoichiometry], keep: 500}
shortlist: {size: 10}
"""


def write_spreadsheet(path: Path) -> None:
    """Write the labels with what makes such a file dirty."""
    table = load_transport()
    formulas = np.array(table["formula"].to_pylist())
    values = table["conductivity_per_relaxation_time_n_dft"].to_numpy()
    _, first = np.unique(formulas, return_index=True)
    random = np.random.default_rng(0)
    chosen = random.permutation(first[values[first] > 0])[: ROWS - 40]
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["paper", "Formula", "sigma (mS/cm)"])
    sheet.append(["", "", "(mS/cm)"])
    for number, row in enumerate(chosen):
        value = float(f"{values[row] * 10 ** random.normal(0, NOISE):.4g}")
        odd = {7: f"<{value:.3g}", 9: f"{value:.3g}±{value * 0.1:.2g}", 11: None, 13: "see text"}
        sheet.append([f"paper {number % 150}", formulas[row], odd.get(number % 50, value)])
    for number, row in enumerate(chosen[:38]):
        again = float(f"{values[row] * 10 ** random.normal(0, NOISE):.4g}")
        sheet.append([f"paper {number % 150}", formulas[row], again])
    sheet.append(["paper 1", formulas[chosen[20]], float(values[chosen[20]]) * 1000])
    sheet.append(["paper 2", formulas[chosen[21]], "5 GPa"])
    book.save(path)


def run(folder: Path) -> None:
    """Validate and screen as at a terminal, and print what was said and how long it took."""
    for command in (["validate", "campaign.yaml"], ["screen", "campaign.yaml", "--output", "run", "--workers", "2"]):
        start = time.perf_counter()
        said = subprocess.run(
            [sys.executable, "-m", "matloop", *command], cwd=folder, capture_output=True, text=True, check=False
        )
        if said.returncode:
            raise SystemExit(said.stderr)
        print(f"$ matloop {' '.join(command)}   ({time.perf_counter() - start:.0f} s)")
        print("\n".join(line[:160] for line in said.stdout.strip().splitlines()[:40]))


def labels(folder: Path) -> TrainingSet:
    """Read the labels as the run did."""
    campaign = with_absolute_paths(read_campaign(folder / "campaign.yaml"), folder)
    with using(campaign.catalogue):
        (training,) = read_own_data(campaign).sets
    return training


def held_back(
    training: TrainingSet, features: FeatureMatrix, split: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Tell which of a held-back fifth lie in their interval, and in the rival's, shape (2, n), and the predictions."""
    random = np.random.default_rng(split)
    groups = random.permutation(np.unique(training.groups))
    is_out = np.isin(training.groups, groups[: len(groups) // 5])
    rows = np.flatnonzero(~is_out)
    surrogate = Surrogate.fit(
        training.property_name, features.take(rows), training.values[rows], training.groups[rows],
        family="extra_trees", transform="log10", parameters={"seed": split},
    )  # fmt: skip
    found = surrogate.predict(features.take(np.flatnonzero(is_out)))
    truth = np.log10(training.values[is_out])
    inside = (truth >= np.log10(found.quantile(0.05))) & (truth <= np.log10(found.quantile(0.95)))
    centre, residuals = np.log10(found.median), np.abs(surrogate.training.target - surrogate.training.mean)
    plain = np.abs(truth - centre) <= np.quantile(residuals, 0.9)
    return np.array([inside, plain]), centre


def main() -> None:
    """Print the run and the coverage."""
    print(describe())
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_spreadsheet(folder / "labels.xlsx")
        (folder / "campaign.yaml").write_text(CAMPAIGN, "utf-8")
        run(folder)
        training = labels(folder)
        campaign = with_absolute_paths(read_campaign(folder / "campaign.yaml"), folder)
        with using(campaign.catalogue):
            features = build_feature_set(campaign.surrogates.features).featurize(training.rows)
            results = [held_back(training, features, split) for split in range(SPLITS)]
    shares = np.array([inside.mean(1) for inside, _ in results])
    best = np.array([inside[:, np.argsort(-centre)[:TOP]].mean(1) for inside, centre in results])
    print(
        f"{SPLITS} splits of {len(training)} materials, a fifth of the groups held back; share inside the 90 % interval"
    )
    print(f"                     {'matloop':>16}  {'one width for all':>18}")
    for name, found in (("all held back", shares), (f"top {TOP} predicted", best)):
        mean, error = found.mean(0), found.std(0, ddof=1) / np.sqrt(SPLITS)
        print(f"{name:<20} {mean[0]:>8.1%} ± {error[0]:.1%}  {mean[1]:>10.1%} ± {error[1]:.1%}")


if __name__ == "__main__":
    main()
