import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import UnknownNameError
from matloop.data.packaged.transport import load_transport
from matloop.data.properties.catalogue import PROPERTIES, property_named


@pytest.mark.parametrize("name", PROPERTIES)
def test_definition_is_complete(name: str) -> None:
    prop = property_named(name)
    assert prop.name == name == name.lower()
    assert prop.lower < prop.upper
    assert prop.symbol
    assert prop.description.endswith(".")
    assert any("\u4e00" <= character <= "\u9fff" for character in prop.label_zh)
    assert prop.label_en.isascii()


@pytest.mark.parametrize("name", PROPERTIES)
def test_packaged_values_lie_within_the_bounds_and_carry_the_same_unit(name: str, materials: CandidateBatch) -> None:
    prop = PROPERTIES[name]
    table = materials.table if prop.column("dft") in materials.table.column_names else load_transport()
    assert table.schema.field(prop.column("dft")).metadata[b"unit"].decode() == prop.unit
    values = table.column(prop.column("dft")).to_numpy()
    values = values[np.isfinite(values)]
    assert len(values) > 900
    inside = (values >= prop.lower) & (values <= prop.upper)
    assert inside.all(), values[~inside]


def test_labels() -> None:
    assert PROPERTIES["band_gap"].label == "band gap (eV)"
    assert PROPERTIES["refractive_index"].label == "refractive index"
    assert PROPERTIES["bulk_modulus_vrh"].column("sigma") == "bulk_modulus_vrh_sigma"


def test_unknown_property_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'band_gap'"):
        property_named("bandgap")
