import pytest

from matloop.data.packaged.materials import load_materials
from matloop.data.training.known_materials import KnownMaterials
from matloop.data.training.packaged_tables import labelled_table
from matloop.screening.ranking.nearest_known import nearest_known
from tests.strategies import batch_of

KNOWN = KnownMaterials.of(labelled_table("materials"))


def test_nearest_known_compounds() -> None:
    salt, hafnium_titanate = nearest_known(batch_of("NaCl", "Hf3TiO8"), KNOWN, count=4)
    assert salt[0].formula == "NaCl"
    assert salt[0].distance == 0
    assert [known.formula for known in hafnium_titanate[:1]] == ["HfO2"]
    # Hf 45, Ti 43, O 87: a quarter of the metal, 1/12 of all atoms, goes two steps.
    assert hafnium_titanate[0].distance == pytest.approx(2 / 12)
    for found in (salt, hafnium_titanate):
        assert len({known.formula for known in found}) == len(found) == 4
        assert [known.distance for known in found] == sorted(known.distance for known in found)


def test_properties_are_those_of_one_crystal() -> None:
    materials = load_materials()
    ids = materials.table["material_id"].to_pylist()
    (found,) = nearest_known(batch_of("TiO2"), KNOWN, count=30)
    assert found[0].crystals == materials.formulas.count("TiO2") > 1
    for known in found:
        row = ids.index(known.material_id)
        assert materials.formulas[row] == known.formula
        assert materials.table["space_group_number"][row].as_py() == known.space_group_number
        assert known.properties
        for name, value in known.properties.items():
            assert materials.column(f"{name}_dft")[row] == value


def test_no_candidates_have_no_neighbours() -> None:
    assert nearest_known(batch_of("NaCl").take([]), KNOWN) == []
