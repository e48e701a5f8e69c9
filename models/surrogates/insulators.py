"""P(insulator): how probable it is that a composition has a band gap at all.

The crystals whose gaps teach a surrogate are insulators, so it predicts a gap for ReO3 too. What it predicts holds if
the candidate is an insulator. The probability of that is learned here, from compositions of both kinds.

Several sources say which is which, and they mean different things: a computed gap, computed transport, a measured gap.
So the source is one more feature of what teaches the trees. They learn from all sources together, and are asked what
one of them would say. A curve for each source makes a probability of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
from matloop.models.families.boosted_trees import BoostedTrees
from matloop.models.grouped_folds import FOLDS, grouped_folds
from matloop.models.surrogates.classification import Curve, cross_fitted, probability_scores

FEWEST_COMPOSITIONS = 20
"""Training compositions that must hold an element for the classifier to have support where it occurs."""
SETTINGS: Mapping[str, Any] = {
    "boosters": 1, "rounds": 150, "learning_rate": 0.1, "leaves": 127, "smallest_leaf": 10, "row_share": 1.0,
    "feature_share": 0.3, "seed": 0,
}  # fmt: skip
"""Settings of the boosted trees."""
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
    """Calibrated probability that a composition is an insulator, from its features, as each of s sources means it.

    Attributes:
        trees: Learned from all sources.
        curves: By source, what calibrates the trees.
        elements: Number of training compositions that hold each element, shape (119,).
        keys: Key of each training composition, ascending, shape (m,).
        out_of_fold: Probability of each by source, from trees that did not see it, shape (m, s).
        golden: Features of a few training compositions, whose probabilities :meth:`load` checks, shape (g, k).
        card: Training data and scores as plain JSON values.
    """

    trees: BoostedTrees
    curves: Mapping[str, Curve]
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
        answers: NDArray[np.float64],
        *,
        sources: Sequence[str],
        about: Mapping[str, Any],
        threads: int = 1,
    ) -> Self:
        """Train on compositions, each of which occurs once.

        Args:
            features: Of m compositions.
            compositions: Of these rows.
            answers: What each source says, 0 (metal) to 1 (insulator), nan where it says nothing, shape (m, s).
            sources: Names of the s sources.
            about: What the card says of the data.
            threads: Threads used while growing the trees.

        Raises:
            ModelError: If there are too few rows.
        """
        used = np.flatnonzero(features.codes == "")
        used = used[np.argsort(composition_keys(compositions)[used], kind="stable")]
        inputs, said = features.values[used], answers[used]
        if len(used) < 2 * FOLDS:
            raise ModelError(f"{len(used)} compositions", f"at least {2 * FOLDS}", "give more labels")

        def grown(rows: NDArray[np.int64]) -> BoostedTrees:
            known = [rows[np.isfinite(said[rows, source])] for source in range(len(sources))]
            asked = [_asking(inputs[each], source, len(sources)) for source, each in enumerate(known)]
            told = [said[each, source] for source, each in enumerate(known)]
            return BoostedTrees(**SETTINGS, threads=threads).fit(np.concatenate(asked), np.concatenate(told))

        means = np.empty(said.shape)
        for train, held_out in grouped_folds(np.arange(len(used))):
            means[held_out] = _means(grown(train), inputs[held_out], len(sources))
        curves, scores = {}, {}
        for source, name in enumerate(sources):
            curves[name], scores[name] = _calibrated(means[:, source], said[:, source])
        card = {
            **about,
            "feature_fingerprint": features.fingerprint,
            "rows": len(used),
            "shares": {name: float(np.nanmean(said[:, source] > 0.5)) for source, name in enumerate(sources)},
            "family": BoostedTrees.family,
            "parameters": dict(SETTINGS),
            "split": f"{FOLDS} folds, each composition in one of them; the curves are fitted to the other folds",
            "scores": scores,
        }
        keys, elements = composition_keys(compositions)[used], features.elements[used].sum(axis=0)
        apart = _probabilities(means, curves)
        return cls(grown(np.arange(len(used))), curves, elements, keys, apart, inputs[:_GOLDEN_ROWS], card)

    def predict(self, features: FeatureMatrix, source: str) -> InsulatorChance:
        """Predict n candidates.

        Args:
            features: Of the candidates.
            source: Which source is asked.

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
        probability = np.full(len(features), self.card["shares"][source])
        if supported.any():
            at, sources = self._place(source), len(self.curves)
            mean = self.trees.predict(_asking(features.values[supported], at, sources))[0]
            probability[supported] = self.curves[source].probability(mean)
        return InsulatorChance(probability, supported)

    def predict_as_new(self, features: FeatureMatrix, compositions: Compositions, source: str) -> InsulatorChance:
        """Predict n candidates; trees that never saw it predict one whose composition the classifier learned from.

        Args:
            features: Of the candidates.
            compositions: Of the candidates.
            source: Which source is asked.
        """
        chance, keys = self.predict(features, source), composition_keys(compositions)
        near = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        learned = (self.keys[near] == keys) & chance.supported
        apart = self.out_of_fold[near, self._place(source)]
        return InsulatorChance(np.where(learned, apart, chance.probability), chance.supported)

    def chances_as_new(self, source: str) -> NDArray[np.float64]:
        """Probability of each training composition by trees that did not see it, shape (m,).

        Args:
            source: Which source is asked.
        """
        return self.out_of_fold[:, self._place(source)].astype(np.float64)

    def _place(self, source: str) -> int:
        return list(self.curves).index(source)

    def _golden_probabilities(self) -> NDArray[np.float64]:
        """Of the golden rows by source, shape (g, s)."""
        return _probabilities(_means(self.trees, self.golden, len(self.curves)), self.curves)

    def save(self, folder: Path) -> None:
        """Write the trees, ``insulators.npz`` and ``card.json`` into a new folder."""
        folder.mkdir(parents=True)
        self.trees.save(folder)
        curves = [[curve.slope, curve.offset, curve.margin] for curve in self.curves.values()]
        np.savez_compressed(
            folder / _FILE, curves=curves, elements=self.elements, keys=self.keys,
            out_of_fold=self.out_of_fold.astype(np.float32), golden_values=self.golden,
            golden=self._golden_probabilities(),
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
        curves = {name: Curve(*curve) for name, curve in zip(card["shares"], a["curves"].tolist(), strict=True)}
        trees = BoostedTrees.load(folder)
        found = cls(trees, curves, a["elements"], a["keys"], a["out_of_fold"], a["golden_values"], card)
        if not np.allclose(found._golden_probabilities(), a["golden"], rtol=1e-6, atol=1e-9):
            raise ModelError("a classifier of insulators that gives other probabilities here than where it was trained",
                             "the versions it was trained with", "install those versions or train again")  # fmt: skip
        return found


def _asking(inputs: NDArray[np.float64], source: int, sources: int) -> NDArray[np.float64]:
    """Features and which source is asked, one column for each but the first, shape (n, k + s - 1)."""
    asked = np.zeros((len(inputs), sources - 1))
    if source > 0:
        asked[:, source - 1] = 1.0
    return np.concatenate([inputs, asked], axis=1)


def _means(trees: BoostedTrees, inputs: NDArray[np.float64], sources: int) -> NDArray[np.float64]:
    """What the trees expect each source to say, shape (n, s)."""
    found = [trees.predict(_asking(inputs, source, sources))[0] for source in range(sources)]
    return np.stack(found, axis=1)


def _probabilities(means: NDArray[np.float64], curves: Mapping[str, Curve]) -> NDArray[np.float64]:
    """Calibrate what the trees expect each source to say, shape (n, s)."""
    return np.stack([curve.probability(means[:, at]) for at, curve in enumerate(curves.values())], axis=1)


def _calibrated(mean: NDArray[np.float64], answers: NDArray[np.float64]) -> tuple[Curve, dict[str, Any]]:
    """The curve of one source, and its scores by curves that were fitted to the other folds."""
    said = np.flatnonzero(np.isfinite(answers) & (answers != 0.5))  # a share of one half says nothing
    truth = np.rint(answers[said])
    crossed = cross_fitted(mean[said], truth, said)
    area = area_under_curve(crossed, truth)
    known = {"rows": len(said), "auc": area if np.isfinite(area) else None}
    scores = {**probability_scores(crossed, truth), **known}
    return Curve.fit(mean[said], truth), scores


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
