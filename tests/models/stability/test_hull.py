import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition
from scipy.optimize import linprog

from matloop.data.elements import SYMBOLS
from matloop.data.errors import BatchError, DatasetError, EnergySourceError
from matloop.data.packaged import reference_energies as references
from matloop.data.packaged.materials import load_materials
from matloop.models.potentials.contract import energy_source, potential_named
from matloop.models.stability.elemental_references import ElementalReferences
from matloop.models.stability.hull import Hull, PhaseEnergies, packaged_references


def phases(table: dict[str, float], source: str = "test") -> PhaseEnergies:
    return PhaseEnergies.from_table(list(table), list(table.values()), [source] * len(table))


@pytest.fixture(scope="module")
def known() -> PhaseEnergies:
    """DFT formation energies of the packaged crystals, and the elements at zero."""
    materials = load_materials()
    energies = materials.column("formation_energy_per_atom_dft")
    rows = np.flatnonzero(np.isfinite(energies))
    formulas = [materials.formulas[row] for row in rows] + list(SYMBOLS[1:95])
    return PhaseEnergies.from_table(formulas, [*energies[rows], *[0.0] * 94], ["dft"] * len(formulas))


def test_agrees_with_pymatgen(known: PhaseEnergies) -> None:
    wide = np.flatnonzero(known.compositions.lengths >= 4)
    rows = np.concatenate([np.random.default_rng(2).choice(3900, 40, replace=False), wide[:10]])
    found = Hull(known).distances(known.take(rows))
    assert (found.codes == "").all()
    for k, row in enumerate(rows):
        composition = Composition(known.ids[row])
        system = {element.symbol for element in composition}
        entries = [
            PDEntry(Composition(formula), energy * Composition(formula).num_atoms)
            for formula, energy in zip(known.ids, known.energies, strict=True)
            if {element.symbol for element in Composition(formula)} <= system
        ]
        own = PDEntry(composition, known.energies[row] * composition.num_atoms)
        mixture, above = PhaseDiagram(entries).get_decomp_and_e_above_hull(own)
        assert found.energy_above_hull[k] == pytest.approx(above, abs=1e-9)
        products = {product.formula: product.fraction for product in found.products[k]}
        expected = {entry.composition.reduced_formula: amount for entry, amount in mixture.items() if amount > 1e-6}
        if products.keys() == expected.keys():  # else two mixtures cost the same
            assert products == pytest.approx(expected, abs=1e-6)


def test_products_have_the_candidates_composition_and_energy(known: PhaseEnergies) -> None:
    found = Hull(known).distances(known)
    assert found.energy_above_hull.min() > -1e-9
    lowest = dict(sorted(zip(known.ids, known.energies, strict=True), key=lambda pair: -pair[1]))
    for row in range(0, 3900, 13):
        mixture: dict[str, float] = {}
        energy = 0.0
        for product in found.products[row]:
            energy += product.fraction * lowest[product.phase_id]
            for element, amount in Composition(product.formula).fractional_composition.items():
                mixture[element.symbol] = mixture.get(element.symbol, 0) + product.fraction * amount
        own = Composition(known.ids[row]).fractional_composition
        assert mixture == pytest.approx({element.symbol: amount for element, amount in own.items()})
        assert known.energies[row] - energy == pytest.approx(found.energy_above_hull[row], abs=1e-9)


def test_agrees_with_a_linear_programme_where_many_mixtures_tie() -> None:
    random = np.random.default_rng(4)
    symbols = ["Li", "Fe", "P", "O", "S", "Na"]
    for _ in range(8):
        counts = np.vstack([np.eye(6, dtype=int), random.integers(0, 4, (60, 6))])
        counts = counts[counts.sum(axis=1) > 0]
        formulas = ["".join(f"{s}{c}" for s, c in zip(symbols, row, strict=True) if c) for row in counts]
        energies = np.round(random.normal(size=len(counts)), 0)  # whole numbers: ties, and degenerate steps
        hull = Hull(PhaseEnergies.from_table(formulas, energies, ["test"] * len(counts)))
        candidates = PhaseEnergies.from_table(formulas[6:], np.zeros(len(counts) - 6), ["test"] * (len(counts) - 6))
        fractions = counts / counts.sum(axis=1, keepdims=True)
        for above, target in zip(hull.distances(candidates).energy_above_hull, fractions[6:], strict=True):
            assert above == pytest.approx(-linprog(energies, A_eq=fractions.T, b_eq=target).fun, abs=1e-9)


def test_distance_worked_out_by_hand() -> None:
    hull = Hull(phases({"Li": -2.0, "O2": -5.0, "Li2O": -5.0, "LiO": -4.0}))
    found = hull.distances(phases({"LiO": -4.0, "Li2O2": -5.2, "Li2O": -5.5}))
    # LiO from Li2O (3/4 of the atoms) and O2 (1/4): 3/4 * -5 + 1/4 * -5 = -5.
    np.testing.assert_allclose(found.energy_above_hull, [1.0, -0.2, -0.5])
    assert [product._asdict() for product in found.products[0]] == [
        {"phase_id": "Li2O", "formula": "Li2O", "fraction": pytest.approx(0.75)},
        {"phase_id": "O2", "formula": "O2", "fraction": pytest.approx(0.25)},
    ]


def test_energies_of_two_sources_never_meet() -> None:
    """The regression test for the worst mistake: a potential's energies on a DFT hull, or those of two potentials."""
    dft, potential = phases({"Li": 0.0, "O2": 0.0, "Li2O": -2.0}, "dft"), phases({"Li": 0.0, "O2": 0.0}, "chgnet-0.3.0")
    with pytest.raises(EnergySourceError, match=r"E-HULL-SOURCE: energies from 2 sources: chgnet-0\.3\.0, dft"):
        PhaseEnergies.from_table(["Li", "O2"], [0.0, 0.0], ["dft", "chgnet-0.3.0"])
    with pytest.raises(EnergySourceError, match=r"energies from chgnet-0\.3\.0.*energies from dft"):
        Hull(dft).distances(potential)
    with pytest.raises(EnergySourceError):
        dft.joined(potential)
    elements = ElementalReferences.of_crystals(potential)
    with pytest.raises(EnergySourceError):
        elements.formation_energies(dft)
    # Total and formation energies of one potential do not meet, nor formation energies against other elements.
    formation = elements.formation_energies(potential)
    fitted = ElementalReferences.fitted(phases({"Li": 1.0, "Li2": 1.0, "Li3": 1.0}, "chgnet-0.3.0"), np.zeros(3))
    for other in (potential, fitted.elements()):
        with pytest.raises(EnergySourceError):
            Hull(formation).distances(other)
    # And two potentials of one name but other weights have other names as sources.
    assert packaged_references(load_materials()).source != "chgnet-0.3.0"


def test_missing_element_gives_no_number_but_a_code() -> None:
    hull = Hull(phases({"Li": 0.0, "Li2O": -2.0}))
    found = hull.distances(phases({"LiO": -1.0, "Li": 0.1, "Li3O": np.nan}))
    assert found.codes.tolist() == ["E-HULL-ELEMENT", "", "E-HULL-ENERGY"]
    assert np.isnan(found.energy_above_hull).tolist() == [True, False, True]
    assert found.products[0] == ()
    assert hull.elements[3]
    assert hull.elements.sum() == 1


def test_sparse_systems_are_flagged() -> None:
    hull = Hull(phases({"Li": 0.0, "O2": 0.0, "Fe": 0.0, "Li2O": -2.0}))
    found = hull.distances(phases({"LiO": -1.0, "FeO": -1.0, "LiFeO2": -1.5, "Fe2": 0.2}))
    assert found.reference_counts.tolist() == [1, 0, 1, 0]
    assert found.sparse.tolist() == [False, True, True, False]
    assert (found.codes == "").all()


def test_lowest_phase_counts_and_unknown_energies_do_not() -> None:
    hull = Hull(phases({"Li": 0.0, "Li2": -0.3, "Li3": np.nan, "O2": 0.0}))
    assert sorted(hull.references.ids) == ["Li2", "O2"]
    assert hull.distances(phases({"Li": 0.0})).energy_above_hull[0] == pytest.approx(0.3)


def test_bad_tables_are_refused() -> None:
    with pytest.raises(BatchError, match="Xx"):
        PhaseEnergies.from_table(["Li", "Xx2"], [0.0, 0.0], ["dft", "dft"])
    with pytest.raises(BatchError, match="different length"):
        PhaseEnergies.from_table(["Li"], [0.0, 1.0], ["dft"])


def test_fitted_elements_recover_what_was_put_in() -> None:
    materials = load_materials()
    truth = -np.arange(119) / 10.0
    known = np.random.default_rng(0).normal(size=len(materials))
    parts = materials.compositions.fractions * truth[materials.compositions.elements]
    energies = known + np.bincount(materials.compositions.rows, parts, len(materials))
    energies[:300] += 5.0  # outliers
    made = PhaseEnergies("made up", materials.compositions, energies, [""] * len(materials))
    fitted = ElementalReferences.fitted(made, known)
    found = np.isfinite(fitted.energies)
    assert found.sum() > 80
    assert np.median(np.abs(fitted.energies - truth)[found]) < 0.01
    back = fitted.formation_energies(made).energies - known
    assert np.nanmedian(np.abs(back[300:])) < 0.01


@pytest.mark.parametrize("potential", references.REFERENCE_FILES)
def test_packaged_references_are_in_the_order_of_the_crystals(potential: str) -> None:
    packaged = packaged_references(load_materials(), potential)
    assert packaged.ids == load_materials().table["material_id"].to_pylist()
    assert packaged.source.startswith(potential)
    assert references.REFERENCE_FILES[potential].path.stat().st_size < 50_000


def test_packaged_references_are_what_chgnet_says() -> None:
    materials = load_materials()
    packaged = packaged_references(materials)
    assert np.isfinite(packaged.energies).all()
    pytest.importorskip("torch", reason="torch is not installed (extra potentials)")
    pytest.importorskip("chgnet", reason="chgnet is not installed (extra potentials)")
    potential = potential_named("chgnet")
    assert packaged.source == energy_source(potential)
    rows = np.arange(0, len(materials), 400)
    np.testing.assert_allclose(potential.energies(materials.take(rows)), packaged.energies[rows], atol=1e-5)


def test_packaged_elements_and_hull_are_close_to_dft() -> None:
    materials = load_materials()
    packaged = packaged_references(materials)
    crystals = ElementalReferences.of_crystals(packaged)
    fitted = ElementalReferences.fitted(packaged, materials.column("formation_energy_per_atom_dft"))
    absent = "B F K Mn Br La Pr Sm Eu Dy Tm Yb Lu Au Ac Th U Xe".split()
    assert set(absent) <= set(crystals.missing)
    assert set(absent) - {"Ac"} <= set(SYMBOLS) - set(fitted.missing)
    formation = fitted.formation_energies(packaged)
    error = np.abs(formation.energies - materials.column("formation_energy_per_atom_dft"))
    assert np.nanmean(error) < 0.05
    found = Hull(formation.joined(fitted.elements())).distances(formation)
    above = np.abs(found.energy_above_hull - materials.column("energy_above_hull_dft"))
    assert np.nanmean(above) < 0.04


def test_changed_references_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = references.REFERENCE_FILES["chgnet"]._replace(sha256="0" * 64)
    monkeypatch.setattr(references, "REFERENCE_FILES", {"chgnet": changed})
    with pytest.raises(DatasetError, match="sha256"):
        references.load_references.__wrapped__("chgnet")
