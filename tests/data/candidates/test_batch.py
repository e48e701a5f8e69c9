from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import DummySpecies, Lattice, Structure

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import CRYSTALS, list_parts
from matloop.data.candidates.crystals import Crystals
from matloop.data.candidates.identity import text_id
from matloop.data.errors import BatchError
from tests.strategies import batch_of, formula_of, sound_crystals, whole_compositions

CUBE = Lattice.cubic(4.0)
SITES = [[0, 0, 0], [0.5, 0.5, 0.5]]
SALT = Structure(CUBE, ["Na", "Cl"], SITES)


def assert_same(one: CandidateBatch, other: CandidateBatch, *, tolerance: float = 0.0) -> None:
    assert one.table.equals(other.table)
    for name in ("offsets", "elements", "amounts"):
        np.testing.assert_array_equal(getattr(one.compositions, name), getattr(other.compositions, name))
        assert getattr(one.compositions, name).dtype == getattr(other.compositions, name).dtype
    assert (one.crystals is None) == (other.crystals is None)
    if one.crystals is not None and other.crystals is not None:
        np.testing.assert_array_equal(one.crystals.offsets, other.crystals.offsets)
        np.testing.assert_array_equal(one.crystals.species, other.crystals.species)
        np.testing.assert_allclose(one.crystals.lattice, other.crystals.lattice, rtol=0, atol=tolerance)
        np.testing.assert_allclose(one.crystals.frac_coords, other.crystals.frac_coords, rtol=0, atol=tolerance)


@pytest.fixture(scope="session")
def sample(materials: CandidateBatch) -> CandidateBatch:
    rows = np.linspace(0, len(materials) - 1, 40).astype(int)
    return CandidateBatch.from_crystals(materials.crystals.take(rows))


def test_round_trip_through_pymatgen(sample: CandidateBatch) -> None:
    intake = CandidateBatch.from_structures([sample.structure(row) for row in range(len(sample))])
    assert not intake.refused
    assert_same(intake.batch, sample, tolerance=1e-12)


def test_round_trip_through_ase(sample: CandidateBatch) -> None:
    intake = CandidateBatch.from_atoms([sample.atoms(row) for row in range(len(sample))])
    assert not intake.refused
    assert_same(intake.batch, sample, tolerance=1e-12)


def test_structure_and_atoms_describe_the_same_crystal(sample: CandidateBatch) -> None:
    structure, atoms = sample.structure(5), sample.atoms(5)
    assert structure.composition.reduced_formula == sample.formulas[5]
    assert [site.specie.Z for site in structure] == atoms.numbers.tolist()
    np.testing.assert_allclose(structure.cart_coords, atoms.positions, atol=1e-9)
    assert atoms.pbc.all()


def with_crystals_and_columns() -> CandidateBatch:
    batch = CandidateBatch.from_structures([SALT, Structure(CUBE, ["Cs"], [[0, 0, 0]])]).batch
    return batch.with_columns(band_gap_dft=[5.0, None], origin=["NaN", None], rank=np.array([2, 1], np.int16))


BATCHES = {
    "formulas": lambda: batch_of("NaN", "InF", "Ca3(PO4)2"),
    "crystals": with_crystals_and_columns,
    "no formulas": lambda: batch_of(),
    "no crystals": lambda: CandidateBatch.from_structures([]).batch,
    "none taken": lambda: with_crystals_and_columns().take([]),
    "some taken": lambda: with_crystals_and_columns().take([1, 0, 1]),
}


@pytest.mark.parametrize("kind", BATCHES)
def test_round_trip_through_arrow_and_parquet(kind: str, tmp_path: Path) -> None:
    batch = BATCHES[kind]()
    assert_same(CandidateBatch.from_arrow(batch.to_arrow()), batch)
    batch.write_parquet(tmp_path / "batch.parquet")
    assert_same(CandidateBatch.read_parquet(tmp_path / "batch.parquet"), batch)


def test_round_trip_of_all_packaged_crystals(materials: CandidateBatch, tmp_path: Path) -> None:
    materials.write_parquet(tmp_path / "all.parquet")
    assert_same(CandidateBatch.read_parquet(tmp_path / "all.parquet"), materials)


def test_arrow_in_several_chunks_and_slices(sample: CandidateBatch) -> None:
    table = sample.to_arrow()
    assert_same(CandidateBatch.from_arrow(pa.concat_tables([table.slice(0, 7), table.slice(7)])), sample)
    assert_same(CandidateBatch.from_arrow(table.slice(7, 5)), sample.take(range(7, 12)))


def test_parts_of_a_list_column_start_from_zero_in_slices_too() -> None:
    offsets, values = list_parts(pa.array([[1], [2, 3], [], [4]]).slice(1))
    assert offsets.tolist() == [0, 2, 2, 3]
    assert values.tolist() == [2, 3, 4]


def test_empty_batches_have_the_schema_of_full_ones() -> None:
    assert batch_of().to_arrow().schema == batch_of("NaCl").to_arrow().schema
    full = CandidateBatch.from_structures([SALT]).batch
    assert CandidateBatch.from_structures([]).batch.to_arrow().schema == full.to_arrow().schema


@given(st.lists(whole_compositions(), min_size=1, max_size=9), st.integers(1, 10), st.data())
def test_take_and_slices(compositions: list[dict[str, int]], size: int, data: st.DataObject) -> None:
    batch = batch_of(*map(formula_of, compositions)).with_columns(place=np.arange(len(compositions)))
    rows = data.draw(st.lists(st.integers(0, len(batch) - 1), max_size=12))
    taken = batch.take(rows)
    assert taken.ids == [batch.ids[row] for row in rows]
    assert taken.column("place").tolist() == rows
    parts = list(batch.slices(size))
    assert [len(part) for part in parts[:-1]] == [size] * (len(parts) - 1)
    assert 1 <= len(parts[-1]) <= size
    assert [identifier for part in parts for identifier in part.ids] == batch.ids


def test_parts_of_different_length_are_refused() -> None:
    one, two = batch_of("NaCl"), batch_of("NaCl", "SiO2")
    with pytest.raises(BatchError, match=r"'table': 1, 'compositions': 2"):
        CandidateBatch(one.table, two.blocks)
    crystal = CandidateBatch.from_structures([SALT]).batch.blocks[CRYSTALS]
    with pytest.raises(BatchError, match=r"'crystals': 1"):
        two.with_block(CRYSTALS, crystal)


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0, 3.0], np.zeros(0), pa.chunked_array([[1], [2], [3]])])
def test_columns_of_another_length_are_refused(values: object) -> None:
    with pytest.raises(BatchError, match=r"column 'x' with \d values"):
        batch_of("NaCl", "SiO2").with_columns(x=values)


def test_columns_are_added_and_replaced_and_the_batch_stays_as_it_was() -> None:
    batch = batch_of("NaCl", "SiO2")
    more = batch.with_columns(x=[1.0, None], y=["a", "b"]).with_columns(x=pa.array([3.0, 4.0]))
    assert more.table.column_names == ["candidate_id", "formula", "x", "y"]
    assert more.column("x").tolist() == [3.0, 4.0]
    assert batch.table.column_names == ["candidate_id", "formula"]
    assert np.isnan(batch.with_columns(x=[1.0, None]).column("x")[1])


def test_formulas_are_read_reduced_and_the_rest_is_refused_by_row() -> None:
    batch, refused = CandidateBatch.from_formulas(["O4Si2", "Xx", "NaN", None, "CuSO4.5H2O", "InF"])
    assert batch.formulas == ["SiO2", "NaN", "InF"]
    assert [(r.row, r.formula, r.code) for r in refused] == [
        (1, "Xx", "E-FORMULA-ELEMENT"),
        (3, "", "E-FORMULA-EMPTY"),
        (4, "CuSO4.5H2O", "E-FORMULA-AMBIGUOUS"),
    ]
    assert refused[0].candidate_id == text_id("Xx")


@given(st.lists(st.text() | st.none() | st.sampled_from(["NaCl", "SiO2"])))
def test_every_text_becomes_a_candidate_or_a_refused_row(texts: list[str | None]) -> None:
    batch, refused = CandidateBatch.from_formulas(texts)
    assert len(batch) + len(refused) == len(texts)
    assert len({r.row for r in refused}) == len(refused)


def test_unsound_structures_are_refused_by_row_and_neighbours_kept() -> None:
    structures = [
        Structure(CUBE, [{"Na": 0.5, "K": 0.5}, "Cl"], SITES),
        SALT,
        Structure(CUBE, ["Na", "Cl"], [[0, 0, 0], [0, 0, np.nan]]),
        Structure(CUBE, [{"Na": 0.5}, "Cl"], SITES),
        Structure(CUBE, [DummySpecies("X"), "Cl"], SITES),
        Structure(CUBE, ["Na+", "Cl-"], SITES),
        Structure(CUBE, ["Na", "Cl"], [[0, 0, 0], [0, 0, 0]]),
    ]
    batch, refused = CandidateBatch.from_structures(structures)
    assert batch.formulas == ["NaCl", "NaCl"]
    assert batch.ids[0] == batch.ids[1]  # oxidation states are no part of the crystal
    assert {r.row: r.code for r in refused} == {
        0: "E-STRUCT-DISORDER",
        2: "E-STRUCT-NONFINITE",
        3: "E-STRUCT-DISORDER",
        4: "E-STRUCT-ELEMENT",
        6: "E-STRUCT-DISTANCE",
    }


@pytest.mark.parametrize(
    ("symbols", "cell", "code"),
    [
        ("NaCl", [4, 4, 4], ""),
        ("XCl", [4, 4, 4], "E-STRUCT-ELEMENT"),
        ("NaCl", [4, 4, np.nan], "E-STRUCT-NONFINITE"),
        ("NaCl", [4, 4, np.inf], "E-STRUCT-NONFINITE"),
        ("NaCl", [1e200, 1e200, 4], "E-STRUCT-VOLUME"),
        ("NaCl", [0, 0, 0], "E-STRUCT-NONFINITE"),
        ("NaCl", [2, 2, 0.9], "E-STRUCT-VOLUME"),
        ("", [4, 4, 4], "E-STRUCT-SIZE"),
    ],
)
def test_unsound_atoms_are_refused(symbols: str, cell: list[float], code: str) -> None:
    atoms = Atoms(symbols, positions=[[0, 0, 0], [2, 2, 2]][: 2 * bool(symbols)], cell=cell, pbc=True)
    batch, refused = CandidateBatch.from_atoms([atoms])
    assert [r.code for r in refused] == [code] * bool(code)
    assert len(batch) == (not code)


@given(st.lists(sound_crystals(), max_size=4))
def test_crystals_keep_their_order(crystals: list[Crystals]) -> None:
    singles = [CandidateBatch.from_crystals(c) for c in crystals]
    batch = CandidateBatch.from_structures([single.structure(0) for single in singles]).batch
    assert batch.formulas == [single.formulas[0] for single in singles]


def test_candidates_without_crystals_have_no_structure() -> None:
    with pytest.raises(BatchError, match="a candidate without crystal"):
        batch_of("NaCl").structure(0)
    with pytest.raises(BatchError):
        batch_of("NaCl").atoms(0)


def test_a_batch_at_a_prompt_is_one_line() -> None:
    batch = CandidateBatch.from_formulas(["NaCl", "SiO2"]).batch
    assert repr(batch) == "CandidateBatch(2 candidates: NaCl, SiO2)"
    assert repr(batch.take(np.arange(100) % 2)) == "CandidateBatch(100 candidates: " + "NaCl, SiO2, " * 3 + "...)"
