"""Training sets hold together, say where they come from, and are told apart by their content."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.errors import TrainingSetError, UnknownNameError
from matloop.data.training.packaged_tables import labelled_table, packaged_training_set
from matloop.data.training.training_set import TrainingSet

SAYS: dict[str, Any] = {"name": "our films", "provenance": "exp", "licence": "CC0"}


def films(formulas: list[str] | None = None, values: list[float] | None = None, **says: Any) -> TrainingSet:
    formulas = formulas or ["GaN", "ZnO", "Ga2N2", "AlN"]
    values = values or [3.4, 3.3, 3.2, 6.0]
    return TrainingSet.of_formulas(formulas, values, **{"property_name": "band_gap", **SAYS, **says})


def test_rows_without_a_value_are_left_out_and_formulas_grouped() -> None:
    training = films(values=[3.4, np.nan, 3.2, 6.0])
    assert training.rows.formulas == ["GaN", "GaN", "AlN"]
    assert training.groups[0] == training.groups[1] != training.groups[2]
    assert training.values.tolist() == [3.4, 3.2, 6.0]
    assert training.weights.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"values": np.array([1.0, 2.0, 3.0])}, "different length"),
        ({"values": np.array([1.0, np.inf, 3.0, 4.0])}, "not finite"),
        ({"weights": np.array([1.0, 0.0, 1.0, 1.0])}, "weights"),
        ({"groups": np.array([1])}, "different length"),
        ({"licence": " "}, "without licence"),
        ({"provenance": ""}, "without provenance"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(TrainingSetError, match=reason):
        replace(films(), **change)


def test_unreadable_formulas_and_unknown_properties_are_refused() -> None:
    with pytest.raises(TrainingSetError, match="row 2"):
        films(["GaN", "nonsense!"], [1.0, 2.0])
    with pytest.raises(UnknownNameError, match="band_gap"):
        films(property_name="band_gaps")
    with pytest.raises(TrainingSetError, match="one value per row"):
        films(["GaN"], [1.0, 2.0])


def test_hash_is_that_of_what_is_learned_from() -> None:
    same = films(name="another name", licence="CC BY 4.0", citation="somebody")
    assert same.sha256 == films().sha256
    others = [
        films(values=[3.4, 3.3, 3.2, 6.1]), films(["GaN", "ZnO", "GaN", "AlP"]), films(provenance="dft:pbe"),
        films(property_name="refractive_index"), replace(films(), weights=np.array([1.0, 1.0, 2.0, 1.0])),
    ]  # fmt: skip
    assert len({films().sha256, *(one.sha256 for one in others)}) == len(others) + 1


def test_crystals_count_in_the_hash() -> None:
    crystals = packaged_training_set("band_gap")
    cells = crystals.rows.crystals
    assert cells is not None
    moved = crystals.rows.with_block(CRYSTALS, replace(cells, lattice=cells.lattice * 1.01))
    assert replace(crystals, rows=moved).sha256 != crystals.sha256


def test_packaged_crystals_in_their_order() -> None:
    table = labelled_table("materials")
    training = table.training_set("bulk_modulus_vrh")
    labelled = np.isfinite(table.rows.column("bulk_modulus_vrh_dft"))
    assert training.rows.ids == table.rows.take(np.flatnonzero(labelled)).ids
    assert training.values.tolist() == table.rows.column("bulk_modulus_vrh_dft")[labelled].tolist()
    assert training.provenance == "dft:pbe"
    assert "doi:10.1038/sdata.2015.9" in training.citation
    assert not any(name.endswith("_dft") for name in training.rows.table.column_names), "no label among the rows"


def test_transport_is_a_training_set_of_formulas() -> None:
    training = packaged_training_set("seebeck_p", table="transport")
    assert len(training) == 47_737
    assert training.rows.crystals is None
    assert "doi:10.1038/sdata.2017.85" in training.citation


def test_unknown_tables_and_properties_of_tables() -> None:
    with pytest.raises(UnknownNameError, match="materials"):
        labelled_table("material")
    with pytest.raises(UnknownNameError, match="'materials'"):
        packaged_training_set("seebeck_p")
