"""What every featurizer in the registry must hold."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.elements import element_table
from matloop.data.errors import BatchError, UnknownNameError
from matloop.featurizers import base
from matloop.featurizers.base import Features, FeatureSet, Featurizer, featurize_checked, no_codes
from matloop.featurizers.composition import Magpie, Stoichiometry
from matloop.featurizers.crystal import Density
from matloop.featurizers.crystal_local import CrystalLocal
from matloop.featurizers.embedding import CrystalEmbedding
from matloop.featurizers.property_density import PropertyDensity
from matloop.featurizers.registry import FEATURIZERS, feature_set
from matloop.featurizers.validation import validate_featurizer
from tests.models.potentials.pair_potential import PairPotential
from tests.strategies import batch_of

pytestmark = pytest.mark.filterwarnings("ignore:No Pauling electronegativity")
NEEDED: dict[str, dict[str, Any]] = {
    "matminer": {"featurizer": "DensityFeatures"},
    "guarded": {"featurizer": "density"},
}


@pytest.fixture(params=[*sorted(FEATURIZERS), "crystal_embedding"])
def featurizer(request: pytest.FixtureRequest) -> Featurizer:
    name = request.param
    if name == "crystal_embedding":
        return CrystalEmbedding(PairPotential())
    made = feature_set([{name: NEEDED[name]} if name in NEEDED else name]).featurizers[0]
    assert made.name == name
    return made


@pytest.fixture(scope="module")
def batch(sample: CandidateBatch) -> CandidateBatch:
    return sample.take(range(0, 100, 4))


def test_every_featurizer_holds_its_contract(featurizer: Featurizer, batch: CandidateBatch) -> None:
    validate_featurizer(lambda: featurizer, batch=batch)
    assert (featurizer.featurize(batch).codes == "").mean() > 0.9


@pytest.mark.parametrize(
    ("featurizer", "name", "unit"),
    [
        (Magpie(), "MagpieData mean CovalentRadius", "pm"),
        (Magpie(), "MagpieData avg_dev MeltingT", "K"),
        (Magpie(), "MagpieData mean Electronegativity", ""),
        (Density(), "density", "g/cm³"),
        (Density(), "packing fraction", ""),
        (PropertyDensity(), "NValence per volume", "Å⁻³"),
        (PropertyDensity(), "MeltingT per volume", "K/Å³"),
        (PropertyDensity(), "GSvolume_pa per volume", ""),
        (CrystalLocal(), "local bond length minimum", "Å"),
        (CrystalLocal(), "local difference CovalentRadius mean", "pm"),
        (CrystalLocal(), "thermal bulk stiffness", "GPa"),
        (CrystalLocal(), "thermal shear to bulk", ""),
    ],
)
def test_quantities_have_their_unit(featurizer: Featurizer, name: str, unit: str) -> None:
    assert name in featurizer.feature_names
    assert featurizer.words(name).unit == unit


def test_every_feature_of_the_package_has_words_in_both_languages(featurizer: Featurizer) -> None:
    for name in featurizer.feature_names:
        words = featurizer.words(name)
        assert words.problem() == "", name
        if featurizer.name == "matminer":
            continue  # the names that matminer gives
        for label in (words.group, words.label, *words.values.values()):
            assert any("\u4e00" <= letter <= "\u9fff" for letter in label.zh), name


class Altered(Stoichiometry):
    """A featurizer whose attributes tests may change."""

    def __init__(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)


def test_fingerprint_names_everything_the_numbers_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    variants = [
        FeatureSet((Stoichiometry(), Magpie())),
        FeatureSet((Magpie(), Stoichiometry())),
        FeatureSet((Stoichiometry(), Magpie(missing="impute"))),
        FeatureSet((Stoichiometry(),)),
        FeatureSet((Altered(version="2"), Magpie())),
        FeatureSet((Altered(name="other"), Magpie())),
        FeatureSet((Altered(feature_names=("a", "b", "c", "d", "e", "f")), Magpie())),
    ]
    fingerprints = [variant.fingerprint for variant in variants]
    assert len(set(fingerprints)) == len(fingerprints)
    assert FeatureSet((Altered(), Magpie())).fingerprint == fingerprints[0]
    other_table = element_table()._replace(digest="of another file")
    monkeypatch.setattr(base, "element_table", lambda: other_table)
    assert FeatureSet((Stoichiometry(), Magpie())).fingerprint != fingerprints[0]


def test_fingerprint_is_the_same_in_another_process() -> None:
    names = ["magpie", "density", "symmetry"]
    code = f"from matloop.featurizers.registry import feature_set; print(feature_set({names!r}).fingerprint)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == feature_set(names).fingerprint


def test_feature_set_puts_blocks_side_by_side_and_keeps_the_first_code(batch: CandidateBatch) -> None:
    features = feature_set(["stoichiometry", {"magpie": {"missing": "refuse"}}, "density"])
    matrix = features.featurize(batch)
    assert matrix.names == features.feature_names
    assert matrix.values.shape == (len(batch), 6 + 132 + 4)
    np.testing.assert_array_equal(matrix.values[:, :6], Stoichiometry().featurize(batch).values)
    np.testing.assert_array_equal(matrix.elements, batch.compositions.element_mask())
    assert matrix.fingerprint == features.fingerprint

    without = features.featurize(batch_of("SiO2", "Og2"))
    assert without.codes.tolist() == ["E-FEATURE-CRYSTAL", "E-FEATURE-NODATA"]  # magpie comes before density


class Broken(Stoichiometry):
    def __init__(self, features: Features) -> None:
        self._features = features

    def featurize(self, batch: CandidateBatch) -> Features:
        return self._features


@pytest.mark.parametrize(
    "features",
    [
        Features(np.zeros((2, 5)), no_codes(2)),
        Features(np.zeros((1, 6)), no_codes(2)),
        Features(np.zeros((2, 6), np.float32), no_codes(2)),
        Features(np.zeros((2, 6)), no_codes(1)),
    ],
)
def test_broken_featurizer_is_stopped(features: Features) -> None:
    with pytest.raises(BatchError, match="featurizer 'stoichiometry' gave values"):
        featurize_checked(Broken(features), batch_of("NaCl", "SiO2"))


@pytest.mark.parametrize("hidden", [np.nan, np.inf, -np.inf])
def test_non_finite_value_without_a_code_gets_one(hidden: float) -> None:
    values = np.zeros((2, 6))
    values[1, 3] = hidden
    checked = featurize_checked(Broken(Features(values, no_codes(2))), batch_of("NaCl", "SiO2"))
    assert checked.codes.tolist() == ["", "E-FEATURE-NONFINITE"]


def test_unknown_featurizer_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'magpie'"):
        feature_set(["magpi"])
