"""The children of the packaged crystals, checked one by one from what the batches say."""

import itertools
import re
from collections import Counter

import numpy as np
import pytest
from pymatgen.analysis.structure_prediction.substitution_probability import SubstitutionProbability
from pymatgen.core import Composition, Species

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import gather_rows
from matloop.data.candidates.formula import parse_formulas
from matloop.data.chemistry.ions import load_ions
from matloop.data.chemistry.oxidation_states import MIXED_VALENCE
from matloop.data.elements import SYMBOLS
from matloop.data.errors import GeneratorError
from matloop.data.generators.ionic_substitution import IonicSubstitution
from matloop.data.packaged.known_compositions import KNOWN_LISTS, lists_holding
from matloop.data.packaged.transport import load_transport
from matloop.data.registry import SOURCES, lookup
from matloop.data.sources.contract import Source
from matloop.data.training.known_materials import KnownCompositions

SETTINGS = {"max_sites": 6, "min_probability": 1e-4, "limit": 50_000}


def all_of(generator: IonicSubstitution, size: int = 7000) -> CandidateBatch:
    intakes = list(generator.intakes(size))
    assert not any(intake.refused for intake in intakes)
    return CandidateBatch.from_arrow(_concatenated([intake.batch.to_arrow() for intake in intakes]))


def _concatenated(tables: list) -> object:
    import pyarrow as pa

    return pa.concat_tables(tables)


@pytest.fixture(scope="module")
def generator() -> IonicSubstitution:
    return IonicSubstitution(**SETTINGS)


@pytest.fixture(scope="module")
def children(generator: IonicSubstitution) -> CandidateBatch:
    """All children of cells of at most six sites: some thirty thousand."""
    return all_of(generator)


@pytest.fixture(scope="module")
def parent_rows(generator: IonicSubstitution, children: CandidateBatch) -> np.ndarray:
    """Row among the generator's parents of each child."""
    row = {name: at for at, name in enumerate(generator.parents.batch.table["material_id"].to_pylist())}
    return np.array([row[name] for name in children.table["parent_id"].to_pylist()])


def test_it_is_a_source_of_that_name(generator: IonicSubstitution) -> None:
    assert lookup("source", SOURCES, "ionic_substitution") is IonicSubstitution
    assert isinstance(generator, Source)


def test_count_is_exact_and_below_the_limit(generator: IonicSubstitution, children: CandidateBatch) -> None:
    assert 10_000 < generator.count() < SETTINGS["limit"]
    assert len(children) == generator.count()


def test_limit_keeps_the_most_probable(children: CandidateBatch) -> None:
    few = IonicSubstitution(**{**SETTINGS, "limit": 500})
    assert few.count() == 500
    assert all_of(few).ids == children.ids[:500]


def test_children_are_sorted_by_probability(children: CandidateBatch) -> None:
    probability = children.column("substitution_probability")
    assert (probability <= 1).all()
    assert (probability >= SETTINGS["min_probability"]).all()
    assert (np.diff(np.log(probability)) <= 1e-8).all()


def test_every_child_is_neutral_and_one_element_takes_two_sites_only_with_mixed_valence(
    generator: IonicSubstitution,
) -> None:
    plan, ions = generator.plan, load_ions()
    flat, offsets = gather_rows(generator.parents.batch.compositions.offsets, plan.parents)
    assert (offsets == plan.offsets).all()
    charges = ions.charges[plan.ions] * generator.parents.batch.compositions.amounts[flat]
    assert (np.add.reduceat(charges, offsets[:-1]) == 0).all()
    elements, old = ions.elements[plan.ions], generator.parents.batch.compositions.elements[flat]
    for start, stop in itertools.pairwise(offsets.tolist()):
        assert (elements[start:stop] != old[start:stop]).any()
        for one, other in itertools.combinations(range(start, stop), 2):
            if elements[one] == elements[other]:
                assert SYMBOLS[elements[one]] in MIXED_VALENCE
                assert abs(ions.charges[plan.ions[one]] - ions.charges[plan.ions[other]]) == 1


def test_sites_and_coordinates_are_the_parents(
    generator: IonicSubstitution, children: CandidateBatch, parent_rows: np.ndarray
) -> None:
    base = generator.parents.batch.crystals.take(parent_rows)
    np.testing.assert_array_equal(children.crystals.offsets, base.offsets)
    np.testing.assert_array_equal(children.crystals.frac_coords, base.frac_coords)
    # Each element of the parent became one element, at all of its sites; the symmetry stays unless two became one.
    widths = generator.parents.batch.compositions.lengths[parent_rows]
    parent_groups = generator.parents.batch.column("space_group_number")[parent_rows]
    alike = children.compositions.lengths == widths
    np.testing.assert_array_equal(children.column("space_group_number")[alike], parent_groups[alike])
    assert (children.column("space_group_number") >= parent_groups).all()
    rows = np.repeat(np.arange(len(children)), base.site_counts)
    swaps = np.unique(np.stack([rows, base.species, children.crystals.species]), axis=1)
    assert swaps.shape[1] == widths.sum()


def test_cells_are_scaled_alike_in_all_directions(
    generator: IonicSubstitution, children: CandidateBatch, parent_rows: np.ndarray
) -> None:
    base = generator.parents.batch.crystals.take(parent_rows)
    scale = (children.crystals.volumes / base.volumes) ** (1 / 3)
    np.testing.assert_allclose(children.crystals.lattice, base.lattice * scale[:, None, None], rtol=1e-9, atol=1e-12)
    assert ((scale > 0.4) & (scale < 2.5)).all()
    plan, ions = generator.plan, load_ions()
    for row in range(0, len(children), 2000):
        amounts = generator.parents.batch.compositions.take([parent_rows[row]]).amounts
        old = generator.parents.ions[slice(*generator.parents.batch.compositions.offsets[parent_rows[row] :][:2])]
        sums = []
        for chosen in (plan.ions[slice(*plan.offsets[row:][:2])], old):
            cation = ions.charges[chosen] > 0
            sums.append(sum(np.average(ions.radii[chosen][k], weights=amounts[k]) for k in (cation, ~cation)))
        assert scale[row] == pytest.approx(sums[0] / sums[1])


def test_crystals_are_sound(children: CandidateBatch) -> None:
    assert np.isfinite(children.crystals.volumes).all()
    assert Counter(children.crystals.row_codes().tolist()) == {"": len(children)}


def test_ids_are_unique(children: CandidateBatch) -> None:
    assert len(set(children.ids)) == len(children)


def test_no_two_children_share_composition_and_prototype(
    generator: IonicSubstitution, children: CandidateBatch, parent_rows: np.ndarray
) -> None:
    orbits = generator.parents.batch.table["orbits"].to_pylist()
    groups = children.column("space_group_number").tolist()
    bounds, species = children.crystals.offsets.tolist(), children.crystals.species.tolist()
    prototypes = set()
    for row, formula in enumerate(children.formulas):
        sites = list(zip(species[bounds[row] : bounds[row + 1]], orbits[parent_rows[row]], strict=True))
        shares = Counter((element, size / len(sites)) for (element, _), size in Counter(sites).items())
        prototypes.add((formula, groups[row], frozenset(shares.items())))
    assert len(prototypes) == len(children)


def test_probability_is_the_product_of_conditional_ones(generator: IonicSubstitution, children: CandidateBatch) -> None:
    published, ions, plan = SubstitutionProbability(), load_ions(), generator.plan
    species = [Species(SYMBOLS[z], int(q)) for z, q in zip(ions.elements, ions.charges, strict=True)]
    starts = generator.parents.batch.compositions.offsets
    for row in range(0, len(children), 150):
        new = plan.ions[plan.offsets[row] : plan.offsets[row + 1]]
        old = generator.parents.ions[starts[plan.parents[row]] :][: len(new)]
        expected = published.cond_prob_list([species[ion] for ion in new], [species[ion] for ion in old])
        assert children.column("substitution_probability")[row] == pytest.approx(expected, rel=1e-9)


def test_origin_tells_what_became_what(generator: IonicSubstitution, children: CandidateBatch) -> None:
    labels = [load_ions().label(ion) for ion in range(len(load_ions().elements))]
    formulas = dict(
        zip(*(generator.parents.batch.table[k].to_pylist() for k in ("material_id", "formula")), strict=True)
    )
    for row in range(0, len(children), 300):
        origin, parent = children.table["origin"][row].as_py(), children.table["parent_id"][row].as_py()
        head, *swaps = origin.split(", ")
        assert head == f"{formulas[parent]} ({parent})"
        before = {SYMBOLS[z] for z in generator.parents.batch.take([generator.plan.parents[row]]).compositions.elements}
        for swap in swaps:
            one, other = swap.split(" to ")
            assert {one, other} <= set(labels)
            before = before - {re.match("[A-Z][a-z]?", one)[0]}
        after = before | {re.match("[A-Z][a-z]?", swap.split(" to ")[1])[0] for swap in swaps}
        assert after == {str(element) for element in Composition(children.formulas[row])}


def test_known_means_that_a_list_holds_it(materials: CandidateBatch, children: CandidateBatch) -> None:
    packaged = set(materials.formulas)
    elsewhere = {"".join(sorted(re.findall("[A-Z][a-z]?", name))) for name in packaged}
    transport = load_transport()["formula"].to_pylist()
    chosen = range(0, len(children), 60)
    chemistries = {row: "".join(sorted(re.findall("[A-Z][a-z]?", children.formulas[row]))) for row in chosen}
    by_chemistry: dict[str, set[Composition]] = {name: set() for name in chemistries.values()}
    for name in [*packaged, *transport]:
        if (chemistry := "".join(sorted(re.findall("[A-Z][a-z]?", name)))) in by_chemistry:
            by_chemistry[chemistry].add(Composition(name).reduced_composition)
    lists = list(KNOWN_LISTS)
    held = lists_holding(children.compositions)
    known = held[:, lists.index("packaged_crystals")] | held[:, lists.index("transport")]
    expected = [
        Composition(children.formulas[row]).reduced_composition in by_chemistry[chemistries[row]] for row in chosen
    ]
    assert known[list(chosen)].tolist() == expected
    assert 0.1 < known.mean() < 0.9
    assert (KnownCompositions().include(children.compositions) == held.any(axis=1)).all()
    assert any(expected[at] and chemistries[row] not in elsewhere for at, row in enumerate(chosen))


def test_stream_is_the_same_for_any_batch_size(generator: IonicSubstitution, children: CandidateBatch) -> None:
    few = IonicSubstitution(**{**SETTINGS, "limit": 300})
    whole = children.take(range(300)).to_arrow()
    for size in (1, 7, 299, 300, 1000):
        batches = [intake.batch for intake in few.intakes(size)]
        assert {len(batch) for batch in batches[:-1]} <= {size}
        assert _concatenated([batch.to_arrow() for batch in batches]).equals(whole)
    first, second = (next(iter(generator.intakes(50))).batch.to_arrow() for _ in range(2))
    assert first.equals(second)


def test_another_generator_makes_the_same_children(children: CandidateBatch) -> None:
    again = IonicSubstitution(**SETTINGS)
    assert all_of(again, 20_000).to_arrow().equals(children.to_arrow())


@pytest.mark.parametrize(
    "settings",
    [
        {"limit": 0},
        {"limit": 1000.0},
        {"min_probability": 0.0},
        {"min_probability": 1.0},
        {"min_probability": float("nan")},
        {"max_sites": 0},
        {"max_sites": 2.5},
    ],
)
def test_settings_that_make_nothing_are_refused(settings: dict) -> None:
    with pytest.raises(GeneratorError, match="E-GENERATOR"):
        IonicSubstitution(**settings)


def test_no_parent_small_enough() -> None:
    with pytest.raises(GeneratorError, match="no parent crystal with at most 1 sites"):
        IonicSubstitution(max_sites=1).count()


def test_the_most_probable_child_of_a_composition(generator: IonicSubstitution, children: CandidateBatch) -> None:
    formulas = list(dict.fromkeys(children.formulas))[100:400:50]
    wanted, _ = parse_formulas(["KrHe", *formulas])
    made = generator.of_compositions(wanted)
    assert made.formulas == formulas
    probability = children.column("substitution_probability")
    for row, formula in enumerate(formulas):
        best = probability[np.array(children.formulas) == formula].max()
        assert made.column("substitution_probability")[row] == best
    assert len(generator.of_compositions(parse_formulas(["KrHe"])[0])) == 0
