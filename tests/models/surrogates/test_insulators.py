"""The classifier of insulators: what it learns, where it has no support, and what it keeps of itself."""

import re
from pathlib import Path

import numpy as np
import pytest

from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.formula import parse_formulas
from matloop.data.errors import FingerprintError, ModelError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.models.surrogates.insulators import InsulatorClassifier, area_under_curve

OTHER_DIGITS = str.maketrans("12345", "54321")
FIRST, STRICT = "first source", "strict source"
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
    strict = np.where(np.char.find(written, "Sc") >= 0, 0.0, values)  # another source, with fewer insulators
    strict[::5] = np.nan
    strict[1] = 0.5
    return InsulatorClassifier.fit(
        features_of(compositions), compositions, np.stack([values, strict], axis=1), sources=(FIRST, STRICT),
        about={"in_several": 1},
    )  # fmt: skip


def test_it_tells_the_two_kinds_apart_and_says_what_it_learned_from(trained: InsulatorClassifier) -> None:
    scores = trained.card["scores"]
    assert scores[FIRST]["auc"] > 0.95
    assert (scores[FIRST]["rows"], scores[STRICT]["rows"]) == (
        len(formulas()),
        len(formulas()) - len(formulas()[::5]) - 1,
    )
    assert (trained.card["rows"], trained.card["in_several"]) == (len(formulas()), 1)
    compositions, _ = parse_formulas(["ScYO", "ScYSe"], exact=True)
    chance = trained.predict(features_of(compositions), FIRST)
    assert chance.supported.all()
    assert chance.probability[0] > 0.5 > chance.probability[1]


def test_each_source_is_asked_for_what_it_means(trained: InsulatorClassifier) -> None:
    compositions, _ = parse_formulas(["ScTiO", "ZrTiO"], exact=True)
    first, strict = (trained.predict(features_of(compositions), source).probability for source in (FIRST, STRICT))
    assert (first > 0.5).all()
    assert strict[0] + 0.1 < min(first[0], strict[1])


def test_without_support_it_claims_the_share_of_insulators(trained: InsulatorClassifier) -> None:
    compositions, _ = parse_formulas(["UO2", "MgO"], exact=True)
    chance = trained.predict(features_of(compositions), STRICT)
    assert chance.supported.tolist() == [False, True]
    assert chance.probability[0] == trained.card["shares"][STRICT] < trained.card["shares"][FIRST]


def test_what_it_learned_from_is_judged_by_trees_that_did_not_see_it(trained: InsulatorClassifier) -> None:
    compositions, _ = parse_formulas(["Mg2O", "MgSc2O"], exact=True)
    features = features_of(compositions)
    plain = trained.predict(features, FIRST).probability
    new = trained.predict_as_new(features, compositions, FIRST).probability
    assert new[0] in trained.out_of_fold[:, 0]
    assert new[1] == plain[1]


def test_a_saved_classifier_says_the_same_and_refuses_changed_trees(
    trained: InsulatorClassifier, tmp_path: Path
) -> None:
    trained.save(tmp_path / "kept")
    read = InsulatorClassifier.load(tmp_path / "kept")
    compositions, _ = parse_formulas(formulas(), exact=True)
    features = features_of(compositions)
    for source in (FIRST, STRICT):
        found = read.predict(features, source).probability
        np.testing.assert_array_equal(found, trained.predict(features, source).probability)
    assert read.card == trained.card
    trees = tmp_path / "kept" / "booster_0.txt"
    text = trees.read_text()  # LightGBM needs the length to stay
    trees.write_text(re.sub(r"(?<=leaf_value=)\S+", lambda found: found[0].translate(OTHER_DIGITS), text))
    with pytest.raises(ModelError, match="other probabilities"):
        InsulatorClassifier.load(tmp_path / "kept")


def test_features_of_another_set_are_refused(trained: InsulatorClassifier) -> None:
    compositions, _ = parse_formulas(["MgO"], exact=True)
    with pytest.raises(FingerprintError):
        trained.predict(features_of(compositions, "another"), FIRST)


def test_area_under_curve_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(0)
    truth, score = random.random(300) > 0.4, np.round(random.random(300), 1)
    assert area_under_curve(score, truth * 1.0) == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
    assert np.isnan(area_under_curve(score, np.ones(300)))
