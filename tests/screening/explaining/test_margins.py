"""Contributions in words, element swaps, and how far a candidate is from the cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.chemistry.ions import assign_ions, load_ions
from matloop.data.packaged.materials import load_materials
from matloop.data.training.known_materials import KnownCompositions, KnownMaterials
from matloop.data.training.packaged_tables import labelled_table
from matloop.featurizers.registry import feature_set
from matloop.screening.campaign.campaign import Shortlist
from matloop.screening.explaining.element_swaps import single_swaps
from matloop.screening.explaining.margins import cut_of, filter_margins, grouped_contributions
from matloop.screening.filters.element_count import ElementCount
from matloop.screening.filters.elements import ExcludeElements, RequireElements
from matloop.screening.filters.known_compounds import NewCompounds
from matloop.screening.ranking.ranking import diverse_choice, ranking_order
from matloop.screening.ranking.spread import spread_choice
from tests.strategies import batch_of

KNOWN = KnownMaterials.of(labelled_table("materials"))
FEATURES = feature_set(["magpie", "density", "charge_balance", "symmetry"])
NAMES, WORDS = FEATURES.feature_names, dict(zip(FEATURES.feature_names, FEATURES.words, strict=True))


def told(
    names: list[str], parts: list[float], *, transform: str = "identity", level: float = 0.9, value: float = 2.0
) -> list[str]:
    count = len(names)
    groups, _ = grouped_contributions(
        names, [WORDS[name] for name in names], values=np.full(count, value), contributions=np.array(parts),
        levels=np.full(count, level), property_name="band_gap", transform=transform,
    )  # fmt: skip
    return [group.text.en for group in groups]


def test_statistics_of_one_elemental_property_are_one_group() -> None:
    names = [f"MagpieData {kind} Electronegativity" for kind in ("mean", "range", "minimum")] + ["density"]
    lines = told(names, [0.3, 0.4, -0.1, 0.5])
    assert lines == [
        "High range of electronegativity (2) raises the band gap by 0.60 eV",
        "High density (2 g/cm³) raises the band gap by 0.50 eV",
    ]
    assert told(["density"], [np.log10(0.8)], transform="log10", level=0.1) == [
        "Low density (2 g/cm³) lowers the band gap by 20 %"
    ]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("odd electrons", 0.0, "An even number of electrons raises"),
        ("odd electrons", 0.5, "An odd number of electrons raises"),
        ("spacegroup_num", 225.0, "Space group number 225 raises"),
        ("crystal_system_int", 2.0, "Hexagonal crystal system raises"),
        ("density", 2.0, "High density (2 g/cm³) raises"),
    ],
)
def test_a_feature_is_told_by_its_kind(name: str, value: float, expected: str) -> None:
    assert told([name], [0.3], value=value)[0].startswith(expected)


@given(st.lists(st.floats(-5, 5, allow_subnormal=False), min_size=150, max_size=150))
def test_groups_and_the_others_add_up(parts: list[float]) -> None:
    names = NAMES[:150]
    groups, others = grouped_contributions(
        names,
        FEATURES.words[:150],
        values=np.ones(150),
        contributions=np.array(parts),
        levels=np.full(150, 0.5),
        property_name="band_gap",
        transform="identity",
    )
    assert sum(group.contribution for group in groups) + others == pytest.approx(sum(parts), abs=1e-9)
    sizes = [abs(group.contribution) for group in groups]
    assert sizes == sorted(sizes, reverse=True)
    assert len(groups) <= 5
    for group in groups:
        assert np.sign(parts[names.index(group.feature)]) == np.sign(group.contribution)


@pytest.mark.parametrize(("diversity", "structural"), [(0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])
@pytest.mark.parametrize("row", [0, 2, 11])
def test_the_cut_is_where_the_choice_flips(diversity: float, structural: float, row: int) -> None:
    ranked = load_materials().take(np.arange(40, 640, 30))
    probability = np.sort(np.random.default_rng(row).random(len(ranked)))[::-1].copy()
    ranked = ranked.with_columns(probability=probability)
    needed, score = cut_of(ranked, row, Shortlist(size=4, diversity=diversity, structural_diversity=structural))
    assert 0 < needed < np.inf
    assert score is None
    for factor, expected in ((1.001, True), (0.999, False)):
        trial = probability.copy()
        trial[row] = factor * needed
        picks = spread_choice(trial, ranked, Shortlist(size=4, diversity=diversity, structural_diversity=structural))
        assert (row in picks) is expected


def test_a_composition_is_never_chosen_twice_and_a_short_list_keeps_all() -> None:
    ranked = batch_of("NaCl", "Na2Cl2", "KBr", "SiO2").with_columns(probability=[0.9, 0.8, 0.5, 0.4])
    assert cut_of(ranked, 1, Shortlist(size=4, diversity=0.0)).score == pytest.approx(0.9)
    assert cut_of(ranked, 3, Shortlist(size=4, diversity=0.5)).score == 0.0


@pytest.mark.parametrize("diversity", [0.0, 0.5])
@pytest.mark.parametrize("highest", [0.14, 0.6])
def test_among_equally_probable_ones_the_ranking_score_flips_the_choice(diversity: float, highest: float) -> None:
    batch = load_materials().take(np.arange(40, 640, 30))
    score = np.sort(np.random.default_rng(3).random(len(batch)))[::-1].copy()  # the first are capped, and so equal

    def chosen(scores: NDArray[np.float64]) -> tuple[CandidateBatch, set[str]]:
        order = ranking_order(np.minimum(scores, highest), batch.ids, among_equal=scores)
        columns = {"probability": np.minimum(scores, highest), "ranking_score": scores}
        ranked = batch.with_columns(columns).take(order)
        picks = diverse_choice(ranked.column("probability"), ranked.compositions, size=3, diversity=diversity)
        return ranked, {ranked.ids[pick] for pick in picks}

    ranked, names = chosen(score)
    tied = 0
    for row in range(len(ranked)):
        cut = cut_of(ranked, row, Shortlist(size=3, diversity=diversity))
        if cut.ranking_score is None:
            # If it is as probable as needed, it is chosen; only a tie may leave it out.
            assert (ranked.ids[row] in names) == (ranked.column("probability")[row] > cut.score)
            continue
        tied += 1
        assert cut.score == pytest.approx(highest)
        for factor, expected in ((1.0001, True), (0.9999, False)):
            trial = score.copy()
            trial[batch.ids.index(ranked.ids[row])] = max(cut.ranking_score * factor, highest)
            assert (ranked.ids[row] in chosen(trial)[1]) is expected
    assert tied > 3


def test_filters_tell_their_margins() -> None:
    filters = [ExcludeElements(["Cd"]), RequireElements(["Ti", "O"]), ElementCount(least=2, most=4), NewCompounds()]
    margins = filter_margins({f"filter {at}": each for at, each in enumerate(filters)}, batch_of("BaTiO3"), known=KNOWN)
    assert [margin.stage for margin in margins] == ["filter 0", "filter 1", "filter 2", "filter 3"]
    lines = [margin.text.en for margin in margins]
    assert lines[0] == "none of the 1 excluded elements"
    assert lines[1] == "falls out without O and Ti"
    assert lines[2] == "3 elements; 1 fewer or 1 more would still pass"
    assert lines[3] == (
        "not in packaged crystals (2015), transport data of the Materials Project (2017), Materials Project (2019), "
        "OQMD (2021); nearest composition with data BaTiO3, at distance 0.00 (ElMD)"
    )
    assert (
        NewCompounds(["materials_project"])
        .margin(batch_of("BaTiO3"), known=KNOWN)
        .zh.startswith("不在Materials Project 数据库（2019）之中；")
    )


def crystal_of(formula: str) -> CandidateBatch:
    materials = load_materials()
    return materials.take(np.flatnonzero(materials.table["formula"].to_numpy() == formula)[:1])


@pytest.mark.parametrize("formula", ["BaTiO3", "NaCl", "ZnS", "MgAl2O4"])
def test_swaps_exchange_one_element_and_keep_charge_and_crystal(formula: str) -> None:
    finalist = crystal_of(formula)
    swaps, made = single_swaps(finalist, KnownCompositions())
    assert 0 < len(swaps) <= 24
    assert finalist.crystals is not None
    assert made.crystals is not None
    ions = load_ions()
    charges = {ions.label(k): int(ions.charges[k]) for k in range(len(ions.elements))}
    was, mask = finalist.compositions.element_mask()[0], made.compositions.element_mask()
    volume = float(finalist.crystals.volumes[0])
    for row, swap in enumerate(swaps):
        assert charges[swap.old] == charges[swap.new]
        assert sorted(np.flatnonzero(was != mask[row])) == sorted({swap.old_number, swap.new_number})
        assert made.crystals.volumes[row] == pytest.approx(volume * swap.scale**3)
    np.testing.assert_array_equal(made.crystals.take(np.array([0])).frac_coords, finalist.crystals.frac_coords)
    # The swapped compositions stay neutral: ions of the same charges can be assigned to them.
    assert assign_ions(made.compositions.reduced()[0], ions)[1].all()


def test_larger_ions_widen_the_cell_and_the_most_probable_swap_comes_first() -> None:
    swaps, _ = single_swaps(crystal_of("BaTiO3"), KnownCompositions(), most=30)
    scales = {(swap.old, swap.new): swap.scale for swap in swaps}
    assert scales["O2-", "S2-"] > 1
    of_barium = [swap.probability for swap in swaps if swap.old == "Ba2+"]
    assert len(of_barium) > 3
    assert of_barium == sorted(of_barium, reverse=True)


def test_without_crystal_or_charges_elements_of_the_group_are_tried() -> None:
    swaps, made = single_swaps(batch_of("Fe3O4"), KnownCompositions())
    assert {"S", "Se"} <= {swap.new for swap in swaps if swap.old == "O"}
    assert {"Ru"} <= {swap.new for swap in swaps if swap.old == "Fe"}
    assert all(np.isnan(swap.probability) for swap in swaps)
    assert made.crystals is None
    assert "Fe3S4" in made.formulas
    np.testing.assert_array_equal(np.diff(made.compositions.elements.reshape(-1, 2).astype(int), axis=1) > 0, True)
