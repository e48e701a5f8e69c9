import numpy as np
import pytest

from matloop.data.errors import DatasetError, UnknownNameError
from matloop.data.packaged import computed_properties as module
from matloop.data.packaged.computed_phases import load_computed_phases
from matloop.data.packaged.computed_properties import PROPERTY_FILES, load_computed_properties
from matloop.data.packaged.materials import load_materials

ROWS = {
    ("materials_project", "band_gap"): (106_113, 78_164),
    ("materials_project", "refractive_index"): (4_764, 3_992),
    ("materials_project", "bulk_modulus_vrh"): (10_987, 9_723),
    ("materials_project", "shear_modulus_vrh"): (10_987, 9_723),
    ("materials_project", "phonon_peak"): (1_265, 1_171),
    ("oqmd", "band_gap"): (341_608, 341_608),
}


@pytest.mark.parametrize("name", PROPERTY_FILES, ids="-".join)
def test_every_composition_stands_once_between_its_lowest_and_highest_value(name: tuple[str, str]) -> None:
    source, property_name = name
    table = load_computed_properties(property_name, source)
    rows, compositions = ROWS[name]
    assert table.column_names == ["formula", "value", "lowest", "highest", "polymorphs", "ground_state"]
    assert (table.num_rows, sum(table["polymorphs"].to_pylist())) == (compositions, rows)
    assert len(set(table["formula"].to_pylist())) == compositions
    value, lowest, highest = (table[column].to_numpy() for column in ("value", "lowest", "highest"))
    assert (lowest <= value).all()
    assert (value <= highest).all()
    single = table["polymorphs"].to_numpy() == 1
    assert (lowest == highest)[single].all()
    assert set(table["formula"].to_pylist()) <= set(module._formulas_of_phases(source).to_pylist())


@pytest.mark.parametrize("name", PROPERTY_FILES, ids="-".join)
def test_a_file_says_where_it_comes_from(name: tuple[str, str]) -> None:
    source, property_name = name
    about = {k.decode(): v.decode() for k, v in load_computed_properties(property_name, source).schema.metadata.items()}
    attribution = PROPERTY_FILES[name].path.with_name("ATTRIBUTION.md").read_text("utf-8")
    assert about["property"] == property_name
    assert about["provenance"] == "dft:pbe"
    assert all(text.removeprefix("doi:") in attribution for text in about["publications"].split())
    assert f"{PROPERTY_FILES[name].path.name}`" in attribution


@pytest.mark.parametrize(
    ("formula", "gap"),  # Materials Project, PBE: mp-149, mp-1265, mp-22862, mp-30, mp-804
    [("Si", 0.61), ("MgO", 4.45), ("NaCl", 5.00), ("Cu", 0.0), ("GaN", 1.74)],
)
def test_the_gap_is_that_of_the_ground_state(formula: str, gap: float) -> None:
    table = load_computed_properties("band_gap")
    row = table["formula"].to_pylist().index(formula)
    assert table["value"][row].as_py() == pytest.approx(gap, abs=0.01)
    assert table["ground_state"][row].as_py()


@pytest.mark.parametrize(
    ("name", "compared", "decades"),
    [("refractive_index", 700, 0.005), ("bulk_modulus_vrh", 800, 0.005), ("shear_modulus_vrh", 800, 0.005)],
)
def test_compositions_with_one_polymorph_repeat_the_packaged_crystals(name: str, compared: int, decades: float) -> None:
    """The packaged crystals were computed by the same database some years before."""
    table, crystals = load_computed_properties(name), load_materials()
    alone = table["polymorphs"].to_numpy() == 1
    value = dict(zip(np.array(table["formula"].to_pylist())[alone], table["value"].to_numpy()[alone], strict=True))
    own = crystals.column(f"{name}_dft")
    pairs = [
        (value[f], v) for f, v in zip(crystals.table["formula"].to_pylist(), own, strict=True) if f in value and v > 0
    ]
    found = np.log10(np.array([pair for pair in pairs if np.isfinite(pair[1])]))
    assert len(found) > compared
    assert np.abs(found[:, 0] - found[:, 1]).mean() < decades


def test_gaps_of_two_databases_agree_about_metals() -> None:
    """Of compositions with a gap above 1 eV in the one, hardly any is a metal in the other."""
    one, other = load_computed_properties("band_gap"), load_computed_properties("band_gap", "oqmd")
    wide = one.filter(one["lowest"].to_numpy() > 1.0)
    known = dict(zip(other["formula"].to_pylist(), other["value"].to_pylist(), strict=True))
    found = np.array([known[formula] for formula in wide["formula"].to_pylist() if formula in known])
    assert len(found) > 5_000
    assert (found == 0).mean() < 0.03


def test_formation_energies_are_not_packaged_twice() -> None:
    assert "formation_energy_per_atom" not in {name for _, name in PROPERTY_FILES}
    assert "formation_energy_per_atom" in load_computed_phases("materials_project").column_names


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="materials_project"):
        load_computed_properties("band_gap", "materials_projct")
    with pytest.raises(UnknownNameError, match="Allowed: band_gap"):
        load_computed_properties("refractive_index", "oqmd")


def test_a_changed_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    name = ("oqmd", "band_gap")
    monkeypatch.setattr(module, "PROPERTY_FILES", {name: PROPERTY_FILES[name]._replace(sha256="0" * 64)})
    with pytest.raises(DatasetError, match=r"oqmd_band_gap\.parquet has sha256"):
        load_computed_properties.__wrapped__("band_gap", "oqmd")
