"""What a source handed over is read back as it was."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.candidates.batch import CandidateBatch, Intake, Refused
from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.candidates.crystals import Crystals
from matloop.data.packaged.materials import load_materials
from matloop.data.runs.intake_files import read_intake, refused_path, write_intake
from tests.strategies import batch_of

ODD = ["NaN", "None", "", "InF", "0012345", "=1+1", "Å 中文", 'quoted "text"', "two\nlines", "\u202e", "a\0b", "null"]
# Everything but lone surrogates, which Refused never holds: Arrow does not take them.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(ODD)
refused_rows = st.lists(st.builds(Refused, st.integers(0, 2**40), texts, texts, texts, texts), max_size=5)


def same(one: Intake, other: Intake) -> None:
    assert other.batch.table.equals(one.batch.table)
    for part in ("offsets", "elements", "amounts"):
        np.testing.assert_array_equal(getattr(other.batch.compositions, part), getattr(one.batch.compositions, part))
    assert (one.batch.crystals is None) == (other.batch.crystals is None)
    if one.batch.crystals is not None and other.batch.crystals is not None:
        for part in ("lattice", "offsets", "species", "frac_coords"):
            np.testing.assert_array_equal(getattr(other.batch.crystals, part), getattr(one.batch.crystals, part))
    assert other.refused == one.refused


def mixed() -> CandidateBatch:
    """Three candidates, the second without a crystal."""
    crystals = load_materials().take([3, 5]).crystals
    assert crystals is not None
    sites = crystals.site_counts
    lattice = np.insert(crystals.lattice, 1, 0.0, axis=0)
    offsets = np.array([0, sites[0], sites[0], sites.sum()])
    both = CandidateBatch.from_crystals(crystals)
    formulas = batch_of(both.formulas[0], "ZnS", both.formulas[1])
    return formulas.with_block(CRYSTALS, Crystals(lattice, offsets, crystals.species, crystals.frac_coords))


BATCHES = {
    "compositions": lambda: batch_of("SiO2", "InF", "NaN", "ZnS").with_columns(known=[True, None, False, True]),
    "crystals": lambda: load_materials().take(np.arange(7)),
    "mixed": mixed,
    "no compositions": lambda: batch_of("ZnS").take([]),
    "no crystals": lambda: load_materials().take([]),
}


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("count", [0, len(ODD)])
def test_what_was_written_is_read(name: str, count: int, tmp_path: Path) -> None:
    path = tmp_path / "part-00000.parquet"
    refused = [Refused(row, f"r{row}", text, "E-FORMULA-SYNTAX", text) for row, text in enumerate(ODD[:count])]
    intake = Intake(BATCHES[name](), refused)
    files = write_intake(path, intake)
    same(intake, read_intake(path))
    assert sorted(files) == sorted(tmp_path.iterdir())
    assert files == [path, refused_path(path)][: 1 + bool(refused)]


@given(refused_rows)
def test_refused_rows_with_any_text(tmp_path_factory: pytest.TempPathFactory, refused: list[Refused]) -> None:
    path = tmp_path_factory.mktemp("intake") / "part-00000.parquet"
    intake = Intake(batch_of("SiO2"), refused)
    write_intake(path, intake)
    assert read_intake(path).refused == refused


def test_rows_that_cannot_be_read_at_all_come_through(tmp_path: Path) -> None:
    intake = CandidateBatch.from_formulas(["\ud800", None, "Fe0", "ZnS"])
    assert [row.code for row in intake.refused] == ["E-FORMULA-SYNTAX", "E-FORMULA-EMPTY", "E-FORMULA-AMOUNT"]
    write_intake(tmp_path / "part.parquet", intake)
    same(intake, read_intake(tmp_path / "part.parquet"))


def test_writing_again_leaves_no_refused_rows_of_before(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    write_intake(path, Intake(batch_of("SiO2"), [Refused(0, "r", "?", "E-FORMULA-SYNTAX")]))
    write_intake(path, Intake(batch_of("SiO2"), []))
    assert read_intake(path).refused == []


def test_the_same_intake_is_the_same_bytes(tmp_path: Path) -> None:
    intake = Intake(load_materials().take(np.arange(50)), [Refused(0, "r", "?", "E-FORMULA-SYNTAX")])
    for name in ("a.parquet", "b.parquet"):
        write_intake(tmp_path / name, intake)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert (tmp_path / "refused-a.parquet").read_bytes() == (tmp_path / "refused-b.parquet").read_bytes()
