import numpy as np
import pyarrow as pa
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.packaged.materials import load_materials
from matloop.data.properties.columns import CHEMISTRY_COLUMNS, Column
from matloop.screening.flags import flags
from matloop.screening.flags.flag_words import MEANINGS, flag_words
from matloop.screening.flags.flags import Flag, flags_of, raised_in, with_flags
from matloop.screening.flags.lone_pairs import lone_pair_swaps
from tests.strategies import batch_of

MINERALS = [
    ("MgO", 225), ("TiO2", 141), ("CaTiO3", 74), ("Al2O3", 167), ("SiO2", 154), ("ZnO", 186), ("LiNbO3", 161),
    ("NaCl", 225), ("ZrO2", 14), ("Y2O3", 206),
]  # fmt: skip


def of_materials(*wanted: tuple[str, int]) -> CandidateBatch:
    """A packaged crystal of each formula in a space group."""
    materials = load_materials()
    names, groups = np.array(materials.formulas), materials.column(Column.SPACE_GROUP_NUMBER)
    rows = [np.flatnonzero((names == formula) & (groups == group))[0] for formula, group in wanted]
    best = materials.take(np.array(rows))
    return CandidateBatch(best.table.select([Column.CANDIDATE_ID, Column.FORMULA]), best.blocks)


def codes(batch: CandidateBatch) -> list[str | None]:
    return batch.table[Column.FLAGS].to_pylist()  # type: ignore[no-any-return]


def test_textbook_oxides_raise_no_flag_and_have_their_charges() -> None:
    known = with_flags(of_materials(*MINERALS))
    assert codes(known) == [""] * len(MINERALS)
    assert known.table[Column.OXIDATION_STATES].to_pylist()[:3] == ["Mg2+ O2-", "Ti4+ O2-", "Ca2+ Ti4+ O2-"]
    assert max(known.table[Column.INSTABILITY_INDEX].to_pylist()) < 0.3


def test_the_ideal_perovskite_of_calcium_is_too_wide_for_it_and_that_of_barium_too_tight() -> None:
    # CaTiO3 tilts its octahedra for that reason; in BaTiO3 barium stretches the cage and titanium moves off centre.
    found = with_flags(of_materials(("CaTiO3", 221), ("BaTiO3", 221))).table[Column.VALENCE_MISFITS].to_pylist()
    wide, tight = (float(text.split()[1]) for text in found)
    assert [text.split()[0] for text in found] == ["Ca2+", "Ba2+"]
    assert wide < 1.6
    assert tight > 2.6


def test_an_ion_in_a_cage_that_is_too_tight_is_flagged() -> None:
    crystal = of_materials(MINERALS[0])
    assert crystal.crystals is not None
    crystal.crystals.lattice[:] *= 0.93
    (text,) = with_flags(crystal).table[Column.VALENCE_MISFITS].to_pylist()
    assert text.startswith(("Mg2+ 3.", "Mg2+ 2."))
    assert codes(with_flags(crystal)) == ["bond_valence"]


def test_a_child_that_was_not_relaxed_is_not_judged_by_the_distances_of_its_parent() -> None:
    crystal = of_materials(MINERALS[0]).with_columns({Column.PARENT_ID: ["mp-1"]})
    assert crystal.crystals is not None
    crystal.crystals.lattice[:] *= 0.93
    assert codes(with_flags(crystal)) == [""]
    relaxed = crystal.with_columns({Column.RELAXATION_OUTCOME: ["converged"]})
    assert codes(with_flags(relaxed)) == ["bond_valence"]


def test_charges_that_do_not_balance_are_flagged_in_compositions_too_and_metals_are_not() -> None:
    assert codes(with_flags(batch_of("NaCl3", "Ni3Al", "Zr3TiO8"))) == ["charge_balance", "", "ordered_slice"]


def test_open_shells_are_flagged_and_closed_ones_are_not() -> None:
    found = with_flags(batch_of("Fe2O3", "TiO2", "Ti2O3", "GdAlO3", "LaAlO3", "CuO", "Cu2O", "Fe3O4"))
    assert codes(found) == ["open_shells", "", "open_shells", "open_shells", "", "open_shells", "", "open_shells"]
    told = found.table[Column.OPEN_SHELL].to_pylist()
    assert [told[row] for row in (0, 3, 7)] == ["Fe3+ d5", "Gd3+ f7", "Fe2.67+ d5.33"]


def test_lone_pairs_are_flagged_both_ways_and_swaps_without_change_are_not() -> None:
    origins = [
        "Bi2WO6 (mp-1), Bi3+ to La3+", "La2WO6 (mp-2), La3+ to Bi3+", "Bi2WO6 (mp-1), Bi3+ to Sb3+", "x.csv 1", None,
    ]  # fmt: skip
    batch = batch_of("La2WO6", "Bi2WO6", "Sb2WO6", "MgO", "CaO").with_columns({Column.ORIGIN: pa.array(origins)})
    assert lone_pair_swaps(batch) == ["Bi3+ to La3+", "La3+ to Bi3+", "", "", ""]


def test_what_stages_found_out_becomes_flags_in_one_order() -> None:
    batch = batch_of("MgO", "CaO").with_columns(
        {
            Column.FLAGS: ["", ""],
            Column.PHONON_IMAGINARY: [True, None], Column.RELAXATION_VOLUME_CHANGE: [0.3, 0.1],
            Column.SPACE_GROUP_BEFORE_RATTLE: [225, None], Column.HULL_DISTANCE: [0.0, 0.0],
            Column.HULL_DISTANCE_SECOND: [0.1, 0.01], Column.HULL_INCOMPLETE: ["far_below", ""],
            Column.IN_DOMAIN: [False, True], Column.RELAXATION_OUTCOME: ["not_converged", "converged"],
        }
    )  # fmt: skip
    first, second = flags_of(batch, hull_error=0.03)
    assert first == [flag for flag in Flag if flag in first]
    assert set(first) == set(Flag) - {
        Flag.CHARGE_BALANCE, Flag.OPEN_SHELL, Flag.BOND_VALENCE, Flag.LONE_PAIR, Flag.ORDERED_SLICE,
        Flag.INDEX_DISAGREES,
    }  # fmt: skip
    assert second == []
    assert Flag.POTENTIALS_DISAGREE not in flags_of(batch)[0]  # without an error there is nothing to compare with


def test_rows_beyond_the_first_thousand_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flags, "MOST_LOOKED_AT", 1)
    found = with_flags(batch_of("NaCl3", "NaCl3"))
    assert codes(found) == ["charge_balance", None]
    assert all(found.table[name].to_pylist()[1] is None for name in CHEMISTRY_COLUMNS)


def test_a_refractive_index_that_polarisabilities_deny_is_flagged_with_both() -> None:
    crystals = of_materials(("Sc2O3", 206), ("Y2O3", 206)).with_columns(refractive_index_pred=[2.5, 1.95])
    found = with_flags(crystals)
    assert codes(found) == ["index_disagrees", ""]
    given, other = found.table[Column.INDEX_DISAGREEMENT].to_pylist()[0].split("; ")
    assert (float(given), float(other)) == (2.5, pytest.approx(1.95, abs=0.1))
    # On a measured scale the computed value of the surrogate is the one that compares with computed polarisabilities.
    measured = with_flags(crystals.with_columns(refractive_index_computed=[1.95, 1.95]))
    assert codes(measured) == ["", ""]


@pytest.mark.parametrize("flag", list(Flag))
def test_every_flag_has_a_title_a_rule_and_a_sentence_in_both_languages(flag: Flag) -> None:
    meaning = MEANINGS[flag]
    assert all((*meaning.title, *meaning.rule))
    assert any("\u4e00" <= letter <= "\u9fff" for letter in meaning.rule.zh)
    texts = ("", "a", "a; b", "a; b; c", "a; b; c; d; e")
    for told in (flag_words(flag, dict.fromkeys(CHEMISTRY_COLUMNS, text)) for text in texts):
        assert told[0].words.en != told[0].words.zh
        assert "{" not in told[0].words.en + told[0].words.zh


def test_flags_of_another_version_are_passed_over() -> None:
    assert raised_in("bond_valence, of_tomorrow, lone_pair") == [Flag.BOND_VALENCE, Flag.LONE_PAIR]


def test_what_a_candidate_raises_does_not_depend_on_what_else_is_asked_for() -> None:
    both = with_flags(of_materials(("CaTiO3", 221), ("NaCl", 225), ("BaTiO3", 221)))
    for row, alone in enumerate([("CaTiO3", 221), ("NaCl", 225), ("BaTiO3", 221)]):
        single = with_flags(of_materials(alone))
        for name in (*CHEMISTRY_COLUMNS, Column.FLAGS):
            assert both.table[name][row].as_py() == single.table[name][0].as_py()
