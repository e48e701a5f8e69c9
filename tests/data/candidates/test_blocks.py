"""A batch holds blocks it was not written for, and keeps every block on the rows of its table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from matloop.data.candidates.batch import BLOCK_TYPES, CandidateBatch
from matloop.data.candidates.blocks import COMPOSITIONS, CRYSTALS, Block
from matloop.data.errors import BatchError
from matloop.data.packaged.materials import load_materials
from matloop.featurizers.base import Features, featurize_checked, no_codes
from tests.strategies import batch_of


@dataclass(frozen=True)
class Thicknesses:
    """Thickness in nm of a coating on each of n candidates; nan where there is none."""

    nanometres: NDArray[np.float64]

    columns: ClassVar[tuple[str, ...]] = ("coating_nm",)

    def __len__(self) -> int:
        return len(self.nanometres)

    def take(self, indices: NDArray[np.integer]) -> Self:
        return type(self)(self.nanometres[indices])

    def present(self) -> NDArray[np.bool_]:
        return np.isfinite(self.nanometres)

    def to_columns(self) -> dict[str, pa.Array]:
        return {"coating_nm": pa.array(self.nanometres, from_pandas=True)}

    @classmethod
    def from_columns(cls, arrays: Mapping[str, pa.Array]) -> Self:
        return cls(arrays["coating_nm"].to_numpy(zero_copy_only=False))


def coated() -> CandidateBatch:
    return batch_of("NaCl", "SiO2", "ZnS").with_block("coatings", Thicknesses(np.array([5.0, np.nan, 20.0])))


def test_a_new_block_is_a_block() -> None:
    assert isinstance(Thicknesses(np.zeros(1)), Block)
    assert all(isinstance(load_materials().blocks[name], Block) for name in (COMPOSITIONS, CRYSTALS))


def test_a_new_block_goes_along_wherever_candidates_go() -> None:
    batch = coated().take([2, 0])
    assert batch.blocks["coatings"].to_columns()["coating_nm"].to_pylist() == [20.0, 5.0]
    assert batch.formulas == ["ZnS", "NaCl"]
    assert [len(part.blocks["coatings"]) for part in coated().slices(2)] == [2, 1]
    assert coated().with_columns(known=[True] * 3).has("coatings").tolist() == [True, False, True]
    assert not batch_of("NaCl").has("coatings").any()


def test_a_new_block_survives_a_table() -> None:
    table = coated().to_arrow()
    again = CandidateBatch.from_arrow(table, block_types={**BLOCK_TYPES, "coatings": Thicknesses})
    assert list(again.blocks) == [COMPOSITIONS, "coatings"]
    assert again.to_arrow().equals(table)
    plain = CandidateBatch.from_arrow(table)  # whoever does not know the block sees a column
    assert "coating_nm" in plain.table.column_names


def test_a_block_of_another_length_is_refused() -> None:
    with pytest.raises(BatchError, match=r"'table': 1, .*'coatings': 2"):
        batch_of("NaCl").with_block("coatings", Thicknesses(np.zeros(2)))


def test_a_batch_without_compositions_says_so() -> None:
    batch = coated()
    bare = CandidateBatch(batch.table, {"coatings": batch.blocks["coatings"]})
    assert len(bare.take([1])) == 1
    with pytest.raises(BatchError, match="a batch with the blocks coatings"):
        _ = bare.compositions


class CoatingFeatures:
    """A featurizer that reads the new block."""

    name, version, feature_names, parameters = "coating", "1", ("thickness",), {}
    needs = frozenset({"coatings"})

    def featurize(self, batch: CandidateBatch) -> Features:
        block = batch.blocks["coatings"]
        assert isinstance(block, Thicknesses)
        return Features(block.nanometres[:, None], no_codes(len(batch)))


def test_a_featurizer_gets_only_candidates_with_the_block_it_needs() -> None:
    features = featurize_checked(CoatingFeatures(), coated())
    assert features.codes.tolist() == ["", "E-FEATURE-BLOCK", ""]
    assert features.values[[0, 2], 0].tolist() == [5.0, 20.0]
    assert np.isnan(features.values[1, 0])
    assert featurize_checked(CoatingFeatures(), batch_of("NaCl")).codes.tolist() == ["E-FEATURE-BLOCK"]


def test_the_order_of_columns_in_files_stays() -> None:
    names = load_materials().take([0]).to_arrow().column_names
    assert names[-5:] == ["elements", "amounts", "lattice", "species", "frac_coords"]
