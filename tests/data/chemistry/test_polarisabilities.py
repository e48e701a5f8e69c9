import numpy as np
import pytest

from matloop.data.chemistry.polarisabilities import (
    CLASSES,
    PARTS,
    USUAL_ERRORS,
    classes_of,
    disagrees,
    lorentz_lorenz_indices,
    parts_of,
)
from matloop.data.packaged.materials import load_materials

CRYSTALS = load_materials()
COMPUTED = CRYSTALS.column("refractive_index_dft")


@pytest.mark.parametrize(
    ("formula", "group", "measured"), [("Al2O3", 167, 1.75), ("Sc2O3", 206, 1.95), ("LiTaO3", 161, 2.12)]
)
def test_oxides_have_the_index_that_is_measured(formula: str, group: int, measured: float) -> None:
    rows = np.flatnonzero(np.array(CRYSTALS.formulas) == formula)
    row = rows[CRYSTALS.column("space_group_number")[rows] == group][:1]
    assert lorentz_lorenz_indices(CRYSTALS.take(row))[0] == pytest.approx(measured, rel=0.1)


def test_usual_errors_are_those_of_formulas_that_taught_nothing() -> None:
    batch = CRYSTALS.take(np.flatnonzero(np.isfinite(COMPUTED)))
    indices = COMPUTED[np.isfinite(COMPUTED)]
    found, kinds = lorentz_lorenz_indices(batch), classes_of(batch.compositions)
    for kind, usual in enumerate(USUAL_ERRORS):
        own = kinds == kind
        assert np.quantile(np.abs(np.log10(found / indices))[own], 0.8) == pytest.approx(usual, abs=6e-4), CLASSES[kind]
    assert disagrees(batch, found, indices).mean() == pytest.approx(0.2, abs=0.02)


def test_a_denser_crystal_has_a_higher_index_and_a_formula_one_part() -> None:
    row = CRYSTALS.formulas.index("MgO")
    crystal = CRYSTALS.take([row])
    assert crystal.crystals is not None
    before = lorentz_lorenz_indices(crystal)[0]
    crystal.crystals.lattice[:] *= 0.97
    assert lorentz_lorenz_indices(crystal)[0] > before + 0.05
    parts = parts_of(CRYSTALS.compositions)
    assert set(parts) == set(range(PARTS))
    by_formula = {}
    for formula, part in zip(CRYSTALS.formulas, parts.tolist(), strict=True):
        assert by_formula.setdefault(formula, part) == part
