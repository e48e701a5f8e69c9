"""Formulas as people write them: each is the compound meant, or is refused under its code (R23)."""

from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Composition

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.formula import explain_refusal, parse_formulas, write_formulas
from matloop.data.elements import SYMBOLS
from matloop.data.packaged.materials import load_materials
from matloop.data.packaged.transport import load_transport
from matloop.data.properties.columns import Column
from matloop.data.sources.table import FormulaTable

TABLE = Path(__file__).with_name("formulas_as_written.tsv")


def written_formulas() -> dict[str, str]:
    """Text -> a plain formula of the same composition, or a row code."""
    lines = [line.split("\t") for line in TABLE.read_text("utf-8").splitlines() if not line.startswith("#")]
    meanings = {text: text if meaning == "=" else meaning for text, meaning in lines}
    assert len(meanings) == len(lines) > 600
    return meanings


WRITTEN = written_formulas()


@pytest.fixture(scope="module")
def answers() -> dict[str, str | dict[str, float]]:
    """Code, or atomic fraction of each element, of every text of the table."""
    compositions, codes = parse_formulas(list(WRITTEN))
    found: dict[str, str | dict[str, float]] = {}
    for row, text in enumerate(WRITTEN):
        entries = slice(compositions.offsets[row], compositions.offsets[row + 1])
        symbols = [SYMBOLS[z] for z in compositions.elements[entries]]
        fractions = compositions.amounts[entries] / max(compositions.totals[row], 1e-9)
        found[text] = str(codes[row]) or dict(zip(symbols, fractions.tolist(), strict=True))
    return found


@pytest.mark.parametrize("text", WRITTEN)
def test_r23_every_formula_is_the_compound_meant_or_refused(
    text: str, answers: dict[str, str | dict[str, float]]
) -> None:
    meaning = WRITTEN[text]
    if meaning.startswith("E-"):
        assert answers[text] == meaning
    else:
        meant = Composition(meaning).fractional_composition.get_el_amt_dict()
        assert answers[text] == pytest.approx(meant, abs=1e-9)


def test_r23_each_text_reads_alone_as_among_others(answers: dict[str, str | dict[str, float]]) -> None:
    for text in list(WRITTEN)[::7]:
        compositions, codes = parse_formulas([text])
        assert (str(codes[0]) or len(compositions.elements)) == (
            answers[text] if isinstance(answers[text], str) else len(answers[text])
        )


def test_r23_every_ambiguous_formula_is_explained_by_a_reading() -> None:
    refused = [text for text, meaning in WRITTEN.items() if meaning == "E-FORMULA-AMBIGUOUS"]
    assert len(refused) > 150
    for text in refused:
        assert explain_refusal(text).startswith("may mean "), text


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("Li2C03", "Li2CO3"),
        ("H20", "H2O"),
        ("SIO2", "SiO2"),
        ("TiO₂¹", "TiO₂"),
        ("BaO.6Fe2O3", "BaO·6Fe2O3 or (BaO0.6)(Fe2O3)"),
        ("TiO2(B)", "TiO2 or TiO2B"),
        ("NaCI", "NaCl"),
        ("YBCO", "YBa2Cu3O7"),
        ("GaAs 216", "GaAs or GaAs216"),
        ("Cu3Au L12", "Cu3Au"),
        ("MgCu2 C15", "MgCu2 or MgCu2C15"),
        ("CaSO4 .5H2O", "CaSO4·5H2O or CaSO4·0.5H2O"),
        ("MgCl26H2O", "MgCl2·6H2O or (MgCl26)(H2O)"),
        ("KAl(SO4)212H2O", "KAl(SO4)2·12H2O or (KAl(SO4)212)(H2O)"),
        ("CaSO40.5H2O", "CaSO4·0.5H2O or (CaSO40.5)(H2O)"),
        ("Fe(II)(III)2O4", "Fe(II)Fe(III)2O4"),
        ("CuSO41/2H2O", "CuSO4·1/2H2O or (CuSO20.5)(H2O)"),
    ],
)
def test_r23_the_readings_are_named_and_can_be_read(text: str, reading: str) -> None:
    assert f"may mean {reading};" in explain_refusal(text)
    assert (parse_formulas(reading.split(" or "))[1] == "").all()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("CsPb(Br,I)3", "write the amount of each"),
        ("(La,Sr)MnO3", "write the amount of each"),
        ("D2O", "write H for deuterium and tritium, so H2O"),
        ("Li6D", "so Li6H"),
        ("MgSO4·7D2O", "so MgSO4·7H2O"),
    ],
)
def test_refused_formulas_tell_how_to_write_them(text: str, word: str) -> None:
    assert word in explain_refusal(text)


def test_numbers_run_together_are_taken_as_they_stand_where_a_program_wrote_them() -> None:
    compositions, codes = parse_formulas(["MgCl26H2O", "NiAl(B2)", "SiC6H"], exact=True)
    assert not codes.any()
    np.testing.assert_allclose(compositions.totals, [30, 4, 8])


def test_r23_a_table_tells_the_readings_of_a_refused_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,formula\na,Na2O.11Al2O3\nb,Cu(I)Cl\n", "utf-8")
    (intake,) = FormulaTable(str(tmp_path / "t.csv"), id_column="id").intakes(10)
    assert intake.batch.formulas == ["CuCl"]
    (row,) = intake.refused
    assert row.code == "E-FORMULA-AMBIGUOUS"
    assert row.detail.startswith("row 1: a: may mean Na2O·11Al2O3 or ")


def test_no_known_compound_is_held_to_be_a_slip() -> None:
    formulas = sorted({*load_materials().formulas, *load_transport().column(Column.FORMULA).to_pylist()})
    assert len(formulas) > 35_000
    _, codes = parse_formulas(formulas)
    assert [formula for formula, code in zip(formulas, codes, strict=True) if code] == []


def test_what_a_program_wrote_is_taken_as_it_stands() -> None:
    texts = ["C1", "H20", "CuO1", "YBCO", "SIO2", "La0.5Al203"]
    compositions, codes = parse_formulas(texts, exact=True)
    assert not codes.any()
    np.testing.assert_allclose(compositions.totals, [1, 20, 2, 4, 4, 203.5])
    assert len(CandidateBatch.from_formulas(write_formulas(compositions), exact=True).batch) == len(texts)
