"""Labels of crystals by formula: only where no other polymorph can be meant."""

import numpy as np
import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.training.lone_polymorphs import values_of_lone_polymorphs

TABLE = pa.table(
    {
        "formula": ["MgO", "NaCl", "Re", "Si"],
        "value": [4.5, 5.0, 0.0, 0.6],
        "lowest": [4.5, 4.0, 0.0, 0.6],
        "highest": [4.5, 5.0, 0.02, 0.6],
        "polymorphs": [1, 2, 5, 1],
    }
)


def values(formulas: list[str], above_hull: list[float]) -> list[float]:
    """Values of candidates with these formulas, which stand for crystals here."""
    rows = CandidateBatch.from_formulas(formulas).batch.with_columns({"energy_above_hull_dft": np.array(above_hull)})
    return values_of_lone_polymorphs(rows, TABLE, agreement=0.05).tolist()


def test_one_crystal_or_polymorphs_that_agree_give_a_label() -> None:
    found = values(["MgO", "Re", "NaCl", "KBr"], [0.0, np.nan, 0.0, 0.0])
    assert found[:2] == [4.5, 0.0]
    assert np.isnan(found[2]), "two polymorphs with gaps of 4 and 5 eV"
    assert np.isnan(found[3]), "the table does not know it"


def test_no_label_far_above_the_hull_nor_where_more_crystals_are_known_than_in_the_table() -> None:
    found = values(["MgO", "Si", "Si", "Re", "Re"], [0.2, 0.0, 0.0, 0.0, 0.1])
    assert np.isnan(found[:3]).all()
    assert found[3:] == [0.0, 0.0]
