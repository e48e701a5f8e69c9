"""The script one would write by hand against the campaign: same features, same targets, seconds per candidate.

The script featurizes candidates with matminer (Magpie, density, symmetry) through ``featurize_dataframe`` on one core
and predicts the three targets with random forests. Its training is not counted; the campaign's is, and once more it is
not, with surrogates from the store. The campaign ends with its first stage: no script one would write relaxes anything.

``python benchmarks/workflows/naive.py``
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402  # after the filter: the libraries below warn while being imported
import pandas as pd  # noqa: E402
from campaign import run_campaign  # noqa: E402
from matminer.featurizers.base import MultipleFeaturizer  # noqa: E402
from matminer.featurizers.composition import ElementProperty  # noqa: E402
from matminer.featurizers.structure import DensityFeatures, GlobalSymmetryFeatures  # noqa: E402
from sklearn.ensemble import RandomForestRegressor  # noqa: E402

from matloop.data.candidates.batch import CandidateBatch  # noqa: E402
from matloop.data.generators.ionic_substitution import IonicSubstitution  # noqa: E402
from matloop.data.packaged.materials import load_materials  # noqa: E402
from matloop.screening.campaign.campaign_file import write_campaign  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402
from matloop.workflows.inspecting.validation import checked_campaign  # noqa: E402

TARGETS = ("energy_above_hull", "refractive_index", "band_gap")


def featurize(batch: CandidateBatch) -> np.ndarray:
    """Features as a script would make them, one core."""
    frame = pd.DataFrame({"structure": [batch.structure(row) for row in range(len(batch))]})
    frame["composition"] = [structure.composition for structure in frame["structure"]]
    magpie = ElementProperty.from_preset("magpie")
    crystal = MultipleFeaturizer([DensityFeatures(), GlobalSymmetryFeatures(["spacegroup_num", "crystal_system_int"])])
    for featurizer, column in ((magpie, "composition"), (crystal, "structure")):
        featurizer.set_n_jobs(1)
        frame = featurizer.featurize_dataframe(frame, column, ignore_errors=True, pbar=False)
    return frame.drop(columns=["structure", "composition"]).to_numpy(float)


def main() -> None:
    """Print seconds per candidate of both, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=1000)
    count = parser.parse_args().candidates
    print(describe("matminer", "scikit-learn"))

    materials = load_materials()
    random = np.random.default_rng(0)
    # Forests of the usual size; 500 training rows are enough to make prediction cost what it costs.
    rows = random.choice(np.flatnonzero(np.isfinite(materials.column("band_gap_dft"))), 500, replace=False)
    training = np.nan_to_num(featurize(materials.take(np.sort(rows))))
    forests = [
        RandomForestRegressor(n_estimators=100, random_state=0).fit(training, random.normal(size=500)) for _ in TARGETS
    ]
    candidates = next(iter(IonicSubstitution(limit=20 * count).intakes(20 * count))).batch
    sample = candidates.take(np.sort(random.choice(len(candidates), count, replace=False)))
    start = time.perf_counter()
    features = np.nan_to_num(featurize(sample))
    for forest in forests:
        forest.predict(features)
    naive = (time.perf_counter() - start) / count

    with tempfile.TemporaryDirectory() as folder:
        whole = checked_campaign("optical_window")
        first = whole.model_copy(
            update={
                "structure": None, "potential": None, "surrogates": whole.surrogates.model_copy(update={"keep": 200})
            }
        )  # fmt: skip
        path = Path(folder) / "first_stage.yaml"
        path.write_text(write_campaign(first), encoding="utf-8")
        campaign = run_campaign(str(path))
        cache = Path(folder) / "cache"
        run_campaign(str(path), cache=cache)  # trains the surrogates and stores them
        again = run_campaign(str(path), cache=cache)
    ours, stored = (one.seconds / one.rows for one in (campaign, again))
    print(f"script    {count:>9,} candidates, one core:     {naive * 1e3:8.3f} ms each, without training")
    print(
        f"campaign  {campaign.rows:>9,} candidates, two workers:  {ours * 1e3:8.3f} ms each, with training and report"
    )
    print(f"ratio     {naive / ours:.0f} in wall time (target: at least 20); {naive / ours / 2:.0f} per core")
    print(f"with surrogates from the store: {stored * 1e3:.3f} ms each, ratio {naive / stored:.0f}")
    print(f"100,000 candidates with the script: {naive * 1e5 / 60:.0f} min")


if __name__ == "__main__":
    main()
