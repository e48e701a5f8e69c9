"""Do surrogates of the energy above the hull put crystals in order, and do they beat always saying 0?

Out of fold, in five folds grouped by reduced formula, by the features of the two scoring stages of the packaged
campaign and by composition alone. The figures are those that the card of such a surrogate holds.

``python benchmarks/models/hull_order.py`` takes about a minute of one core.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402  # after the thread limits

from matloop.data.training.packaged_tables import packaged_training_set  # noqa: E402
from matloop.models.families.extra_trees import ExtraTrees  # noqa: E402
from matloop.models.surrogates.hull_order import PROPERTY, hull_order_statement  # noqa: E402
from matloop.models.surrogates.training import out_of_fold  # noqa: E402
from matloop.screening.report.error_words import hull_order_words  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402
from matloop.workflows.inspecting.validation import checked_campaign  # noqa: E402
from matloop.workflows.stages.campaign_featurizers import build_feature_set  # noqa: E402

COMPOSITION = ("magpie", "stoichiometry", "valence_orbital", "charge_balance")


def main() -> None:
    """Print what a card would say, by features."""
    print(describe("scikit-learn"))
    training = packaged_training_set(PROPERTY)
    stages = checked_campaign("optical_window").scoring_stages
    by_composition = [entry for entry in stages["surrogates"].features if entry.name in COMPOSITION]
    sets = {"composition alone": by_composition, **{name: stage.features for name, stage in stages.items()}}
    for words, entries in sets.items():
        features = build_feature_set(entries).featurize(training.rows)
        rows = np.flatnonzero((features.codes == "") & np.isfinite(training.values))
        values, target = features.values[rows], training.values[rows]
        mean, _ = out_of_fold(ExtraTrees, values, target, training.groups[rows])
        entry = hull_order_statement(PROPERTY, "identity", target, mean, features.elements[rows])["hull_order"]
        print(f"\n{words}: {entry['rows']} crystals, {entry['rows_near']} near the hull, {values.shape[1]} features")
        oxides = f"AUC of {entry['rows_of_oxides']} oxides {entry['auc_of_oxides']:.3f}"
        errors = f"mean error {entry['mae']:.4f} eV/atom, of always saying 0 {entry['mae_of_zero']:.4f}"
        print(f"  AUC {entry['auc']:.3f}   {oxides}   {errors}\n  {hull_order_words(entry).en}", flush=True)


if __name__ == "__main__":
    main()
