import numpy as np
import pytest

from matloop.data.chemistry.assigned_states import states_in_words
from matloop.data.properties.columns import Column
from matloop.screening.flags.candidate_states import candidate_states
from tests.strategies import batch_of


@pytest.mark.parametrize(
    ("formula", "origin", "expected"),
    [
        ("TiNb2O6", "Sc(ReO3)2 (mp-1), Sc2+ to Ti2+, Re5+ to Nb5+", "Ti2+ Nb5+ O2-"),
        ("TiNb2O6", "a.cif", "Ti4+ Nb4+ O2-"),
        ("TiNb2O6", "Sc(ReO3)2 (mp-1), Sc2+ to Ti3+", "Ti4+ Nb4+ O2-"),  # not neutral with Nb4+
        ("Fe3O4", "ZnFe2O4 (mp-1), Zn2+ to Fe2+, Fe3+ to Fe3+", "Fe2.67+ O2-"),
        ("MgO", "CaO (mp-1), Ca2+ to Sr2+", "Mg2+ O2-"),  # of another compound
        ("MgO", None, "Mg2+ O2-"),
    ],
)
def test_charges_of_the_record_hold_where_they_are_neutral(formula: str, origin: str | None, expected: str) -> None:
    batch = batch_of(formula).with_columns({Column.ORIGIN: np.array([origin], object)})
    assert states_in_words(candidate_states(batch), batch.compositions, 0) == expected
