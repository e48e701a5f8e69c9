import numpy as np
import pyarrow as pa
import pytest

from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.formula import parse_formulas, write_formulas
from matloop.data.elements import SYMBOLS
from matloop.data.errors import DatasetError
from matloop.data.packaged import computed_phases as module
from matloop.data.packaged.computed_phases import PHASE_FILES, load_computed_phases, load_known_formulas

ROWS = {"materials_project": 95_118, "oqmd": 341_616 + 86}


def compositions_of(table: pa.Table) -> Compositions:
    compositions, codes = parse_formulas(table["formula"].combine_chunks(), exact=True)
    assert not codes.any()
    return compositions


@pytest.mark.parametrize("source", PHASE_FILES)
def test_every_composition_stands_once_with_a_sensible_energy(source: str) -> None:
    table = load_computed_phases(source)
    assert table.num_rows == ROWS[source]
    assert table.column_names == ["formula", "formation_energy_per_atom", "polymorphs"]
    assert [table[name].null_count for name in table.column_names] == [0, 0, 0]
    compositions = compositions_of(table)
    assert len(np.unique(composition_keys(compositions))) == table.num_rows
    rows = np.arange(0, table.num_rows, 20)
    assert write_formulas(compositions.take(rows)) == table["formula"].take(pa.array(rows)).to_pylist()
    assert np.abs(table["formation_energy_per_atom"].to_numpy()).max() < 6


@pytest.mark.parametrize("source", PHASE_FILES)
def test_every_element_stands_at_zero(source: str) -> None:
    table = load_computed_phases(source)
    compositions = compositions_of(table)
    single = np.flatnonzero(compositions.lengths == 1)
    assert set(compositions.take(single).elements) == set(compositions.elements)
    assert (table["formation_energy_per_atom"].to_numpy()[single] == 0).all()
    noble = {SYMBOLS.index(symbol) for symbol in ("He", "Ne", "Ar", "Kr", "Xe")}
    assert source != "materials_project" or not noble & set(compositions.elements)


@pytest.mark.parametrize("source", PHASE_FILES)
@pytest.mark.parametrize(
    ("formula", "measured"),  # standard enthalpies of formation of the CRC Handbook, kJ/mol of atoms
    [("NaCl", -411.2 / 2), ("KCl", -436.5 / 2), ("MgO", -601.6 / 2), ("Al2O3", -1675.7 / 5), ("CaF2", -1228.0 / 3),
     ("GaAs", -71.0 / 2), ("AlN", -318.0 / 2), ("ZnS", -206.0 / 2)],
)  # fmt: skip
def test_energies_lie_near_measured_enthalpies(source: str, formula: str, measured: float) -> None:
    table = load_computed_phases(source)
    row = table["formula"].to_pylist().index(formula)
    assert table["formation_energy_per_atom"][row].as_py() == pytest.approx(measured / 96.485, abs=0.25)


@pytest.mark.parametrize("source", PHASE_FILES)
def test_a_file_says_where_it_comes_from(source: str) -> None:
    about = {key.decode(): value.decode() for key, value in load_computed_phases(source).schema.metadata.items()}
    assert {"source", "database", "year", "version", "publications", "licence", "origin", "dropped"} <= about.keys()
    assert about["database"] in about["source"]
    attribution = PHASE_FILES[source].path.with_name("ATTRIBUTION.md").read_text("utf-8")
    assert all(text.removeprefix("doi:") in attribution for text in about["publications"].split())
    assert about["licence"] in attribution


def test_known_compositions_without_energy_are_listed() -> None:
    """Sm3In5 was in the Materials Project at another date, and OQMD's energy of Mg2Tc is absurd."""
    for source, formula, more in (("materials_project", "Sm3In5", 1006), ("oqmd", "Mg2Tc", 84)):
        with_energy = load_computed_phases(source)["formula"].to_pylist()
        listed = load_known_formulas(source).to_pylist()
        assert formula in listed
        assert formula not in with_energy
        assert len(set(listed) - set(with_energy)) == more
    assert "Si" not in load_known_formulas("oqmd").to_pylist()


def test_a_changed_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = PHASE_FILES["oqmd"]._replace(sha256="0" * 64)
    monkeypatch.setattr(module, "PHASE_FILES", {"oqmd": changed})
    with pytest.raises(DatasetError, match=r"oqmd_phases\.parquet has sha256"):
        load_computed_phases.__wrapped__("oqmd")
