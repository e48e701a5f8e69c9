"""What metals among the labels, and composition models, buy the band gap of compositions that nobody trained on.

Surrogates on features of compositions learn the packaged dielectrics, or these and metals (``gaps_with_metals``), and
predict compositions of which the Materials Project computed a gap and no packaged crystal is known. The composition
model predicts each of them by trees that never saw it. Beside the error stands that of guessing the mean of the tested
gaps, and beside the probability of a gap of 0.5 eV its Brier score and that of promising the share that has one. At the
end, metals that are left out of training.

``python benchmarks/models/gaps_with_metals.py [--rows 4000]``, some minutes.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import composition_keys
from matloop.data.training.computed_tables import computed_training_set
from matloop.data.training.packaged_tables import packaged_crystals, packaged_training_set
from matloop.data.training.training_set import TrainingSet
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.registry import feature_set
from matloop.models.surrogates.surrogate import Surrogate
from matloop.workflows.bench.hardware import describe
from matloop.workflows.stages.composition_models import composition_value

OF_COMPOSITIONS = ("magpie", "stoichiometry", "valence_orbital", "charge_balance")
METALS = ("ReO3", "NbO", "LaNiO3", "CrO2", "Ti2O3", "Co")
LIMIT = 0.5  # eV


def fitted(features: FeatureSet, training: TrainingSet) -> Surrogate:
    """A surrogate of the labels, without the formulas of the named metals."""
    rows = np.flatnonzero(~np.isin(training.rows.formulas, METALS))
    return Surrogate.fit(
        "band_gap", features.featurize(training.rows).take(rows), training.values[rows], training.groups[rows]
    )  # fmt: skip


def others(rows: int) -> tuple[CandidateBatch, NDArray[np.float64]]:
    """Compositions of the table that no packaged crystal has, drawn at random, and their gaps."""
    table = computed_training_set("band_gap")
    known = composition_keys(packaged_crystals().compositions)
    free = np.flatnonzero(~np.isin(composition_keys(table.rows.compositions), known))
    chosen = np.sort(np.random.default_rng(0).choice(free, min(rows, len(free)), replace=False))
    return table.rows.take(chosen), table.values[chosen]


def tell(name: str, model: Surrogate, features: FeatureSet, batch: CandidateBatch, truth: NDArray[np.float64]) -> None:
    """Print how far a surrogate holds for other compositions."""
    found = model.predict(features.featurize(batch))
    good = np.flatnonzero(found.codes == "")
    error, (low, high) = np.abs(found.median - truth), found.interval(0.9)
    inside = good[found.in_domain[good]]
    held = (low <= truth) & (truth <= high)
    chance, met = found.probability_between(LIMIT, np.inf)[good], truth[good] >= LIMIT
    guess = np.abs(truth[good] - truth[good].mean()).mean()
    print(
        f"{name}: grouped MAE {model.card['scores']['mae']:.3f} eV of {model.card['rows_trained']:,} crystals; of "
        f"{len(truth):,} others {len(good):,} predicted, MAE {error[good].mean():.3f} eV (mean {guess:.3f}), "
        f"{len(inside):,} in domain, MAE {error[inside].mean():.3f} eV, coverage {held[inside].mean():.3f}; "
        f"gap >= {LIMIT} eV met by "
        f"{met.mean():.3f}, promised {chance.mean():.3f}, Brier score {((chance - met) ** 2).mean():.3f} (share "
        f"{met.var():.3f}), AUC {roc_auc_score(met, chance):.3f}",
        flush=True,
    )
    metals = CandidateBatch.from_formulas(list(METALS)).batch
    judged = model.predict(features.featurize(metals))
    chances = judged.probability_between(LIMIT, np.inf)
    told = [f"{formula} {p:.2f} ({gap:.2f} eV)" for formula, p, gap in zip(METALS, chances, judged.median, strict=True)]
    print(f"  left out of training, P(gap >= {LIMIT} eV): {', '.join(told)}", flush=True)


def main() -> None:
    """Print all surrogates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4000, help="compositions that are predicted")
    options = parser.parse_args()
    print(describe("lightgbm"))
    plain = feature_set(OF_COMPOSITIONS)
    with_model = FeatureSet((*plain.featurizers, composition_value("band_gap")))
    batch, truth = others(options.rows)
    for labels in ("materials", "gaps_with_metals"):
        training = packaged_training_set("band_gap", table=labels)
        for words, features in (("", plain), (" and composition_value", with_model)):
            tell(f"{labels}{words}", fitted(features, training), features, batch, truth)


if __name__ == "__main__":
    main()
