"""P(insulator): how probable it is that a composition has a band gap at all.

The crystals with computed gaps that come with matloop are dielectrics, so a surrogate of the gap has never seen a
metal: it predicts a gap for ReO3 too. What it predicts holds if the candidate is an insulator. The probability of that
is learned here, from compositions of both kinds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.bounded_files import read_json
from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.errors import FingerprintError, ModelError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.models.families.array_ensemble import read_arrays
from matloop.models.families.contract import Ensemble
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.grouped_folds import FOLDS
from matloop.models.surrogates.classification import Classifier, Curve, cross_fitted, probability_scores
from matloop.models.surrogates.training import out_of_fold

FEWEST_COMPOSITIONS = 20
"""Training compositions that must hold an element for the classifier to have support where it occurs."""
TREES, SMALLEST_LEAF = 40, 3
_FILE, CARD_FILE = "insulators.npz", "card.json"
_GOLDEN_ROWS = 5


class InsulatorChance(NamedTuple):
    """What the classifier says of n candidates.

    Attributes:
        probability: Of being an insulator, shape (n,); the share of insulators in training where it has no support.
        supported: Whether the training compositions hold all elements of the candidate often enough, shape (n,).
    """

    probability: NDArray[np.float64]
    supported: NDArray[np.bool_]


@dataclass(frozen=True)
class InsulatorClassifier:
    """Calibrated probability that a composition is an insulator, from its features.

    Attributes:
        classifier: Trees and the curve that calibrates them.
        elements: Number of training compositions that hold each element, shape (119,).
        keys: Key of each training composition, ascending, shape (m,).
        out_of_fold: Probability of each, from trees that did not see it, shape (m,).
        golden: Features of a few training compositions, whose probabilities :meth:`load` checks, shape (g, k).
        card: Training data and scores as plain JSON values.
    """

    classifier: Classifier
    elements: NDArray[np.int64]
    keys: NDArray[np.uint64]
    out_of_fold: NDArray[np.float64]
    golden: NDArray[np.float64]
    card: Mapping[str, Any]

    @classmethod
    def fit(
        cls,
        features: FeatureMatrix,
        compositions: Compositions,
        values: NDArray[np.float64],
        *,
        about: Mapping[str, Any],
        threads: int = 1,
    ) -> Self:
        """Train on compositions, each of which occurs once.

        Args:
            features: Of m compositions.
            compositions: Of these rows.
            values: Share of what is known of each composition that says insulator, 0 to 1, shape (m,).
            about: What the card says of the data.
            threads: Trees grown at the same time.

        Raises:
            ModelError: If there are too few rows.
        """
        used = np.flatnonzero(features.codes == "")
        used = used[np.argsort(composition_keys(compositions)[used], kind="stable")]
        inputs, shares, groups = features.values[used], values[used], np.arange(len(used))

        def make() -> Ensemble:
            return ExtraTrees(trees=TREES, smallest_leaf=SMALLEST_LEAF, threads=threads)

        mean, _ = out_of_fold(make, inputs, shares, groups)
        said = np.flatnonzero(shares != 0.5)  # of the others nothing is known
        curve = Curve.fit(mean[said], np.rint(shares[said]))
        crossed = cross_fitted(mean[said], np.rint(shares[said]), groups[said])
        card = {
            **about,
            "feature_fingerprint": features.fingerprint,
            "rows": len(used),
            "insulators": int((shares > 0.5).sum()),
            "undecided": len(used) - len(said),
            "split": f"{FOLDS} folds, each composition in one of them; the curve is fitted to the other folds",
            "scores": {
                **probability_scores(crossed, np.rint(shares[said])),
                "auc": area_under_curve(crossed, shares[said]),
            },
        }
        return cls(
            Classifier(make().fit(inputs, shares), curve), features.elements[used].sum(axis=0),
            composition_keys(compositions)[used], curve.probability(mean), inputs[:_GOLDEN_ROWS], card,
        )  # fmt: skip

    def predict(self, features: FeatureMatrix) -> InsulatorChance:
        """Predict n candidates.

        Args:
            features: Of the candidates.

        Raises:
            FingerprintError: If the features come from another feature set.
        """
        if features.fingerprint != self.card["feature_fingerprint"]:
            raise FingerprintError(
                f"features with fingerprint {features.fingerprint}",
                f"{self.card['feature_fingerprint']}, which the classifier of insulators was trained on",
                "train again",
            )
        rare = self.elements < FEWEST_COMPOSITIONS
        supported = (features.codes == "") & ~(features.elements & rare).any(axis=1)
        probability = np.full(len(features), self.card["insulators"] / self.card["rows"])
        if supported.any():
            probability[supported] = self.classifier.probability(features.values[supported])
        return InsulatorChance(probability, supported)

    def predict_as_new(self, features: FeatureMatrix, compositions: Compositions) -> InsulatorChance:
        """Predict n candidates; trees that never saw it predict one whose composition the classifier learned from.

        Args:
            features: Of the candidates.
            compositions: Of the candidates.
        """
        chance, keys = self.predict(features), composition_keys(compositions)
        near = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        learned = (self.keys[near] == keys) & chance.supported
        return InsulatorChance(np.where(learned, self.out_of_fold[near], chance.probability), chance.supported)

    def save(self, folder: Path) -> None:
        """Write the trees, ``insulators.npz`` and ``card.json`` into a new folder."""
        folder.mkdir()
        self.classifier.ensemble.save(folder)
        curve = self.classifier.curve
        np.savez_compressed(
            folder / _FILE, curve=[curve.slope, curve.offset, curve.margin], elements=self.elements, keys=self.keys,
            out_of_fold=self.out_of_fold, golden_values=self.golden, golden=self.classifier.probability(self.golden),
        )  # fmt: skip
        (folder / CARD_FILE).write_text(json.dumps(self.card, indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote, and check a few of its probabilities.

        Raises:
            ModelError: If this machine computes other probabilities.
            DamagedFileError: If a file is missing or is not what was written.
        """
        a, card = read_arrays(folder / _FILE), read_json(folder / CARD_FILE, inside=folder)
        slope, offset, margin = a["curve"].tolist()
        classifier = Classifier(ExtraTrees.load(folder), Curve(slope, offset, margin))
        if not np.allclose(classifier.probability(a["golden_values"]), a["golden"], rtol=1e-6, atol=1e-9):
            raise ModelError("a classifier of insulators that gives other probabilities here than where it was trained",
                             "the versions it was trained with", "install those versions or train again")  # fmt: skip
        return cls(classifier, a["elements"], a["keys"], a["out_of_fold"], a["golden_values"], card)


def area_under_curve(probability: NDArray[np.float64], shares: NDArray[np.float64]) -> float:
    """Compute how often a random insulator has a higher probability than a random metal; ties count half.

    The area under the receiver operating characteristic by ranks (Hanley and McNeil, Radiology 143, 29 (1982)).

    Args:
        probability: Of being an insulator, shape (n,).
        shares: Above one half for insulators, shape (n,).

    >>> area_under_curve(np.array([0.9, 0.4, 0.4, 0.1]), np.array([1.0, 1.0, 0.0, 0.0]))
    0.875
    """
    from scipy.stats import rankdata

    insulator = shares > 0.5
    yes, no = int(insulator.sum()), int((~insulator).sum())
    if not (yes and no):
        return float("nan")
    return float((rankdata(probability)[insulator].sum() - yes * (yes + 1) / 2) / (yes * no))
