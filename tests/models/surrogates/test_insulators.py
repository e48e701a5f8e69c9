"""The classifier of insulators: what it learns, where it has no support, and what it keeps of itself."""

from pathlib import Path

import numpy as np
import pytest

from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.formula import parse_formulas
from matloop.data.errors import FingerprintError, ModelError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.models.surrogates.insulators import InsulatorClassifier, area_under_curve

METALS, ANIONS = "Li Na K Mg Ca Sr Sc Y Ti Zr Hf V Nb Al Ga In".split(), "O S Se N P As".split()


def formulas() -> list[str]:
    """Compounds with oxygen, which count as insulators here, and compounds of other anions."""
    return [f"{metal}{count}{anion}" for metal in METALS for count in (2, 3, 4, 5) for anion in ANIONS]


def features_of(compositions: Compositions, fingerprint: str = "f") -> FeatureMatrix:
    values = np.zeros((len(compositions), 119))
    values[compositions.rows, compositions.elements] = compositions.fractions
    names = tuple(map(str, range(119)))
    return FeatureMatrix(values, names, fingerprint, compositions.element_mask(), np.full(len(values), ""))


@pytest.fixture(scope="module")
def trained() -> InsulatorClassifier:
    written = formulas()
    compositions, _ = parse_formulas(written, exact=True)
    values = np.array([1.0 if name.endswith("O") else 0.0 for name in written])
    values[0] = 0.5  # two sources that contradict each other
    return InsulatorClassifier.fit(features_of(compositions), compositions, values, about={"in_both": 1})


def test_it_tells_the_two_kinds_apart_and_says_what_it_learned_from(trained: InsulatorClassifier) -> None:
    assert trained.card["scores"]["auc"] > 0.95
    assert (trained.card["rows"], trained.card["undecided"], trained.card["in_both"]) == (len(formulas()), 1, 1)
    compositions, _ = parse_formulas(["ScYO", "ScYSe"], exact=True)
    chance = trained.predict(features_of(compositions))
    assert chance.supported.all()
    assert chance.probability[0] > 0.5 > chance.probability[1]


def test_without_support_it_claims_the_share_of_insulators(trained: InsulatorClassifier) -> None:
    compositions, _ = parse_formulas(["UO2", "MgO"], exact=True)
    chance = trained.predict(features_of(compositions))
    assert chance.supported.tolist() == [False, True]
    assert chance.probability[0] == trained.card["insulators"] / trained.card["rows"]


def test_what_it_learned_from_is_judged_by_trees_that_did_not_see_it(trained: InsulatorClassifier) -> None:
    compositions, _ = parse_formulas(["Mg2O", "MgSc2O"], exact=True)
    features = features_of(compositions)
    plain, new = trained.predict(features).probability, trained.predict_as_new(features, compositions).probability
    assert new[0] in trained.out_of_fold
    assert new[1] == plain[1]


def test_a_saved_classifier_says_the_same_and_refuses_changed_trees(
    trained: InsulatorClassifier, tmp_path: Path
) -> None:
    trained.save(tmp_path / "kept")
    read = InsulatorClassifier.load(tmp_path / "kept")
    compositions, _ = parse_formulas(formulas(), exact=True)
    features = features_of(compositions)
    np.testing.assert_array_equal(read.predict(features).probability, trained.predict(features).probability)
    assert read.card == trained.card
    a = dict(np.load(tmp_path / "kept" / "trees.npz"))
    a["threshold"] = np.where(a["feature"] < 0, 0.7, a["threshold"]).astype(np.float32)
    np.savez_compressed(tmp_path / "kept" / "trees.npz", **a)
    with pytest.raises(ModelError, match="other probabilities"):
        InsulatorClassifier.load(tmp_path / "kept")


def test_features_of_another_set_are_refused(trained: InsulatorClassifier) -> None:
    compositions, _ = parse_formulas(["MgO"], exact=True)
    with pytest.raises(FingerprintError):
        trained.predict(features_of(compositions, "another"))


def test_area_under_curve_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(0)
    truth, score = random.random(300) > 0.4, np.round(random.random(300), 1)
    assert area_under_curve(score, truth * 1.0) == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
    assert np.isnan(area_under_curve(score, np.ones(300)))
