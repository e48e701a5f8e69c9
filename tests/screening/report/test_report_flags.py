"""Flags of finalists on their cards, in the table and in the list of what they mean."""

import numpy as np
import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.packaged.materials import load_materials
from matloop.data.properties.columns import Column
from matloop.screening.flags.flags import Flag
from matloop.screening.report.flags import card_flags, chemical_markup, chemistry_words, site_table
from tests.strategies import batch_of


def flagged() -> dict[str, pa.Array]:
    return {
        Column.FLAGS: pa.array(["bond_valence, lone_pair, ordered_slice, saddle_point", "", None]),
        Column.VALENCE_MISFITS: pa.array(["La3+ 3.69, O2- 1.40", "", None]),
        Column.LONE_PAIR_SWAPS: pa.array(["Bi3+ to La3+ 0.46 Å", "", None]),
        Column.ORDERED_SLICE: pa.array(["Ti4+; Hf4+; 25 %; HfO2 (mp-352); 0.17", "", None]),
        Column.OXIDATION_STATES: pa.array(["Ti4+ O2-", "", None]),
        Column.BOND_VALENCE_SUMS: pa.array(["Ti 3.80 to 4.01, O 2.00", "", None]),
        Column.INSTABILITY_INDEX: pa.array([0.123, None, None], pa.float64()),
    }


def test_a_card_tells_each_flag_with_its_facts_in_both_languages() -> None:
    batch = batch_of("TiO2", "MgO", "CaO").with_columns(flagged())
    told = card_flags(batch, 0)
    assert [words.flag for words in told] == [Flag.BOND_VALENCE, Flag.LONE_PAIR, Flag.ORDERED_SLICE, Flag.SADDLE_POINT]
    assert "La<sup>3+</sup> 3.69" in told[0].words.en
    assert "La<sup>3+</sup> 3.69" in told[0].words.zh
    assert "HfO<sub>2</sub> (mp-352), at distance 0.17" in told[2].words.en
    assert "25 %" in told[2].words.zh
    assert card_flags(batch, 1) == card_flags(batch, 2) == []


def test_oxidation_states_and_sums_are_told_where_somebody_looked() -> None:
    batch = batch_of("TiO2", "MgO", "CaO").with_columns(flagged())
    found = [chemistry_words(batch, row) for row in range(3)]
    assert found[0] is not None
    assert found[0].states == "Ti<sup>4+</sup> O<sup>2−</sup>"
    assert (found[0].sums, found[0].instability) == ("Ti 3.80–4.01, O 2.00", "0.12")
    assert found[1] == ("", "", "")
    assert found[2] is None
    assert chemistry_words(batch_of("MgO"), 0) is None


def test_a_text_from_a_strangers_run_stays_text() -> None:
    assert "<script" not in chemical_markup("Ti4+ <script>alert(1)</script> HfO2")
    columns = flagged() | {Column.VALENCE_MISFITS: pa.array(["<b>; {0.__class__}", "", None])}
    batch = batch_of("TiO2", "MgO", "CaO").with_columns(columns)
    assert "<b>" not in card_flags(batch, 0)[0].words.en
    short = flagged() | {Column.ORDERED_SLICE: pa.array(["Ti4+", "", None])}
    assert len(card_flags(batch_of("TiO2", "MgO", "CaO").with_columns(short), 0)) == 4
    assert np.isfinite(len(card_flags(batch_of("TiO2"), 0)))


def test_the_sites_of_a_card_have_letters_charges_and_sums_cations_first() -> None:
    materials = load_materials()
    rows = np.flatnonzero(np.array(materials.formulas) == "ZnO")[:1]
    batch = materials.take(rows)
    found = site_table(CandidateBatch(batch.table.select([Column.CANDIDATE_ID, Column.FORMULA]), batch.blocks), 0)
    assert found is not None
    assert [str(row.ion)[:2] for row in found.rows] == ["Zn", "O<"]
    assert all(row.letter and float(row.sum) > 1.5 for row in found.rows)
    assert float(found.moved) <= float(found.tolerance)
    assert site_table(batch_of("ZnO"), 0) is None
