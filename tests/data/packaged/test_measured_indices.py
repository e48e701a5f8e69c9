import numpy as np
import pytest

from matloop.data.packaged.materials import load_materials
from matloop.data.packaged.measured_indices import load_measured_indices

# Roots of high-frequency dielectric constants: Ashcroft and Mermin, Solid State Physics (1976), table 27.1,
# and C. Kittel, Introduction to Solid State Physics, table 10.2.
DIELECTRIC_CONSTANTS = {
    "LiF": 1.92, "NaF": 1.74, "NaCl": 2.34, "KCl": 2.19, "KBr": 2.36, "RbI": 2.59, "CsCl": 2.62, "TlBr": 5.64,
    "AgCl": 3.96, "MgO": 2.96,
}  # fmt: skip


def test_compounds_stand_with_phase_space_group_and_sources() -> None:
    table = load_measured_indices()
    assert table.num_rows == 129
    assert len(set(table["formula"].to_pylist())) == 128
    assert table["space_group_number"].null_count == 0
    assert all(table["references"].to_pylist())
    assert all("/" in pages for pages in table["pages"].to_pylist())
    assert load_measured_indices(crystals_only=False).num_rows == 139


@pytest.mark.parametrize("formula", DIELECTRIC_CONSTANTS)
def test_indices_are_roots_of_the_dielectric_constants_of_textbooks(formula: str) -> None:
    table = load_measured_indices()
    index = table["refractive_index_exp"][table["formula"].to_pylist().index(formula)].as_py()
    assert index == pytest.approx(DIELECTRIC_CONSTANTS[formula] ** 0.5, rel=0.02)


def test_computed_indices_lie_above_measured_ones_by_several_per_cent() -> None:
    """Perturbation theory with a gap that is too small overestimates the polarisability."""
    table, crystals = load_measured_indices(), load_materials()
    keys = zip(crystals.formulas, crystals.column("space_group_number"), strict=True)
    computed = dict(zip(keys, crystals.column("refractive_index_dft"), strict=True))
    rows = zip(
        *(table[name].to_pylist() for name in ("formula", "space_group_number", "refractive_index_exp")), strict=True
    )
    ratios = np.array([computed.get((formula, group), np.nan) / measured for formula, group, measured in rows])
    ratios = ratios[np.isfinite(ratios)]
    assert len(ratios) > 15
    assert 1.02 < np.median(ratios) < 1.10
