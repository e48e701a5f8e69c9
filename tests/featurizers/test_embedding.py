"""The embedding of a potential as features: whose numbers they are, what they do not depend on, and refusals."""

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import CapabilityError
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.composition import Stoichiometry
from matloop.featurizers.embedding import CrystalEmbedding, EmbeddingPotential
from matloop.models.potentials.contract import potential_named
from tests.models.potentials.pair_potential import PairPotential
from tests.strategies import batch_of, rotations, sound_crystals, unimodular


@pytest.fixture(scope="module")
def chgnet() -> EmbeddingPotential:
    pytest.importorskip("torch", reason="torch is not installed (extra potentials)")
    pytest.importorskip("chgnet", reason="chgnet is not installed (extra potentials)")
    return potential_named("chgnet")


@pytest.fixture(scope="module")
def small(materials: CandidateBatch) -> CandidateBatch:
    """Twelve packaged crystals of at most 12 sites."""
    assert materials.crystals is not None
    rows = np.flatnonzero(materials.crystals.site_counts <= 12)[::300][:12]
    return materials.take(rows)


class OtherWeights(PairPotential):
    weights_sha256: ClassVar[str] = "1" * 64


class Unsure(PairPotential):
    """Gives a number that is none, without a code."""

    def embeddings(self, batch: CandidateBatch) -> NDArray[np.float64]:
        values = super().embeddings(batch)
        values[batch.crystals.site_counts == 3] = np.inf
        return values


def cubes(*contents: list[int]) -> CandidateBatch:
    """Cubes of 6 Å with up to three atoms on their diagonal."""
    offsets = np.cumsum([0, *map(len, contents)])
    species = np.array([z for content in contents for z in content], np.uint8)
    places = np.array([[k / 3] * 3 for content in contents for k in range(len(content))])
    return CandidateBatch.from_crystals(
        Crystals(np.tile(6 * np.eye(3), (len(contents), 1, 1)), offsets, species, places)
    )


def test_columns_are_the_potentials_own_and_named_after_it() -> None:
    made, batch = CrystalEmbedding(PairPotential()), cubes([11], [11, 17], [14, 8, 8])
    assert made.feature_names == ("pair embedding 1", "pair embedding 2")
    values, codes, _ = made.featurize(batch)
    np.testing.assert_allclose(values, PairPotential().embeddings(batch), atol=1e-12)
    assert set(codes) == {""}


def test_other_weights_are_another_feature_set() -> None:
    prints = [
        FeatureSet((Stoichiometry(), CrystalEmbedding(each))).fingerprint
        for each in (PairPotential(), PairPotential(), OtherWeights())
    ]
    assert prints[0] == prints[1] != prints[2]


def test_refused_crystals_carry_the_code_of_the_potential() -> None:
    batch = cubes([11], [96], [14, 8, 8])
    values, codes, _ = CrystalEmbedding(PairPotential()).featurize(batch)
    assert codes.tolist() == ["", "E-POTENTIAL-ELEMENT", ""]
    assert np.isnan(values[1]).all()
    assert np.isfinite(values[[0, 2]]).all()
    assert CrystalEmbedding(Unsure()).featurize(batch).codes[2] == "E-POTENTIAL-NONFINITE"
    formulas = FeatureSet((CrystalEmbedding(PairPotential()),)).featurize(batch_of("NaCl"))
    assert formulas.codes.tolist() == ["E-FEATURE-CRYSTAL"]


def test_name_instead_of_a_potential_is_refused() -> None:
    with pytest.raises(CapabilityError, match=r"offers Embeds.*potential_named"):
        CrystalEmbedding("chgnet")  # type: ignore[arg-type]


def test_chgnet_gives_a_crystal_the_same_numbers_in_any_batch(
    chgnet: EmbeddingPotential, small: CandidateBatch
) -> None:
    made = CrystalEmbedding(chgnet)
    whole = made.featurize(small)
    assert whole.values.shape == (12, 64)
    assert set(whole.codes) == {""}
    turned = made.featurize(small.take(np.arange(12)[::-1]))
    np.testing.assert_array_equal(turned.values[::-1], whole.values)
    np.testing.assert_allclose(chgnet.embeddings(small), whole.values, atol=1e-5)
    assert np.ptp(whole.values, axis=0).max() > 0.1


@settings(max_examples=8)
@given(crystals=sound_crystals(most_sites=3), change=unimodular(steps=2), turn=rotations())
def test_chgnet_sees_the_crystal_not_its_cell(
    chgnet: EmbeddingPotential, crystals: Crystals, change: NDArray[np.int64], turn: NDArray[np.float64]
) -> None:
    # Round cell edges lie exactly on the cutoff of 6 Å, where rounding decides.
    crystals = Crystals(1.00037 * crystals.lattice, crystals.offsets, crystals.species, crystals.frac_coords)
    other = Crystals(
        change @ crystals.lattice @ turn.T, crystals.offsets, crystals.species[::-1].copy(),
        (crystals.frac_coords @ np.linalg.inv(change) + 0.3)[::-1].copy(),
    )  # fmt: skip
    made = CrystalEmbedding(chgnet)
    before = made.featurize(CandidateBatch.from_crystals(crystals))
    after = made.featurize(CandidateBatch.from_crystals(other))
    assert before.codes.tolist() == after.codes.tolist()
    np.testing.assert_allclose(after.values, before.values, rtol=1e-3, atol=1e-4)
