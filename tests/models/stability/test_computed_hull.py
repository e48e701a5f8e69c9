import time

import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from matloop.data.elements import SYMBOLS
from matloop.data.errors import EnergySourceError
from matloop.data.packaged.computed_phases import PHASE_FILES
from matloop.models.stability.computed_hull import computed_hull, computed_phases


@pytest.mark.parametrize("source", PHASE_FILES)
@pytest.mark.parametrize("system", ["Ba-O-Ti", "Al-C-Ti", "Fe-Li-O-P"])
def test_agrees_with_pymatgen(source: str, system: str) -> None:
    phases, rows = computed_phases(source), rows_within(source, system.split("-"))
    compositions = [Composition(phases.ids[row]) for row in rows]
    assert {element.symbol for composition in compositions for element in composition} == set(system.split("-"))
    entries = [
        PDEntry(composition, phases.energies[row] * composition.num_atoms)
        for composition, row in zip(compositions, rows, strict=True)
    ]
    diagram = PhaseDiagram(entries)
    found = computed_hull(source).distances(phases.take(rows))
    assert (found.codes == "").all()
    for above, entry in zip(found.energy_above_hull, entries, strict=True):
        assert above == pytest.approx(diagram.get_e_above_hull(entry), abs=1e-9)


def rows_within(source: str, symbols: list[str]) -> np.ndarray:
    """Phases of a system, found by looking at all of them."""
    compositions = computed_phases(source).compositions
    other = ~np.isin(compositions.elements, [SYMBOLS.index(symbol) for symbol in symbols])
    return np.flatnonzero(np.bincount(compositions.rows, other, len(compositions)) == 0)


@pytest.mark.parametrize("source", PHASE_FILES)
def test_known_compounds_lie_on_the_hull_and_decompose_as_textbooks_say(source: str) -> None:
    phases, hull = computed_phases(source), computed_hull(source)
    rows = np.array([phases.ids.index(name) for name in ("Zn2SiO4", "NaCl", "MgO", "Al2O3", "BaTiO3", "Ti3AlC2")])
    assert hull.distances(phases.take(rows)).energy_above_hull == pytest.approx(0, abs=0.03)
    willemite = hull.distances(phases.take(rows[:1]), leave_out_own_composition=True)
    assert [product.formula for product in willemite.products[0]] == ["ZnO", "SiO2"]
    assert [product.fraction for product in willemite.products[0]] == pytest.approx([4 / 7, 3 / 7])
    assert -0.05 < willemite.energy_above_hull[0] < -0.01


def test_the_two_databases_share_no_hull() -> None:
    with pytest.raises(EnergySourceError, match=r"energies from OQMD.*energies from Materials Project 2019"):
        computed_hull("materials_project").distances(computed_phases("oqmd"))


def test_three_thousand_candidates_take_less_than_two_seconds_of_a_processor() -> None:
    phases, hull = computed_phases("materials_project"), computed_hull("materials_project")
    wide = np.flatnonzero(phases.compositions.lengths >= 3)
    candidates = phases.take(np.random.default_rng(1).choice(wide, 3000, replace=False))
    hull.distances(candidates.take(np.arange(9)))
    start = time.process_time()
    found = hull.distances(candidates, leave_out_own_composition=True)
    assert time.process_time() - start < 2  # half a second alone
    assert np.median(found.reference_counts) > 20
    assert (found.codes == "").all()
