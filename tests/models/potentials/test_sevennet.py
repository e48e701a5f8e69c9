"""SevenNet from the weights in its package: equal to the package, checked by hash, with fitted corrections."""

from pathlib import Path

import numpy as np
import pytest

from matloop.data.errors import PotentialError
from matloop.data.packaged.materials import load_materials
from matloop.models.potentials import sevennet
from matloop.models.potentials.contract import GGA_AND_U, corrected_elements, energy_source, potential_named
from matloop.models.potentials.sevennet import WEIGHTS, SevenNetPotential
from matloop.models.potentials.validation import example_crystals
from matloop.models.stability.elemental_references import ElementalReferences
from matloop.models.stability.hull import PhaseEnergies, packaged_references

INSTALLED = pytest.mark.usefixtures("installed")


@pytest.fixture
def installed() -> None:
    pytest.importorskip("sevenn", reason="sevenn is not installed (extra sevennet)")


def oxides(correction: float) -> tuple[PhaseEnergies, np.ndarray]:
    """Phases of Fe, O, Ti and S whose energies miss a correction of iron beside oxygen, and formation energies."""
    formulas = ["Fe", "Ti", "O", "S", "FeO", "Fe2O3", "Fe3O4", "TiO2", "Ti2O3", "TiO", "FeS", "FeS2", "TiS2", "TiS"]
    formulas += ["FeTiO3", "Fe2TiO4", "FeTiS2", "SO2", "SO3"]
    phases = PhaseEnergies.from_table(formulas, np.zeros(len(formulas)), ["toy"] * len(formulas))
    rows, elements, fractions = (getattr(phases.compositions, name) for name in ("rows", "elements", "fractions"))
    own = {26: -8.0, 22: -7.5, 8: -4.9, 16: -4.1}
    formation = -0.1 * np.arange(len(formulas))
    energies = formation + np.bincount(rows, [own[z] * x for z, x in zip(elements, fractions, strict=True)])
    iron = np.bincount(rows, fractions * (elements == 26), len(formulas))
    oxygen = np.bincount(rows, elements == 8, len(formulas)) > 0
    return PhaseEnergies("toy", phases.compositions, energies + correction * iron * oxygen, phases.ids), formation


def test_corrections_are_fitted_with_the_elements() -> None:
    phases, formation = oxides(-2.0)
    elements = ElementalReferences.fitted(phases, formation, corrected=("Fe", "W"))
    assert elements.corrections[26] == pytest.approx(-2.0, abs=1e-6)
    assert elements.corrections[74] == 0
    found = elements.formation_energies(phases)
    np.testing.assert_allclose(found.energies, formation, atol=1e-6)
    assert found.source == "toy, formation, elements fitted, Fe W corrected beside O and F"
    plain = ElementalReferences.fitted(phases, formation)
    assert np.abs(plain.formation_energies(phases).energies - formation).max() > 0.1
    assert not plain.corrections.any()
    assert elements.elements().source == found.source


def test_corrections_are_asked_for_by_the_potential() -> None:
    assert corrected_elements(SevenNetPotential.__new__(SevenNetPotential)) == GGA_AND_U
    assert corrected_elements(object()) == ()  # type: ignore[arg-type]


def test_without_the_package_the_refusal_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sevennet, "WEIGHTS", WEIGHTS._replace(package="sevenn_that_nobody_has"))
    with pytest.raises(PotentialError, match=r"is not installed.*\[sevennet\]"):
        SevenNetPotential()


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "sevenn_of_a_stranger"
    (package / WEIGHTS.path.parent).mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit", "utf-8")
    (package / WEIGHTS.path).write_bytes(b"cbuiltins\nexec\n(S'raise SystemExit'\ntR.")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sevennet, "WEIGHTS", WEIGHTS._replace(package=package.name))
    with pytest.raises(PotentialError, match="has sha256"):
        SevenNetPotential()


@pytest.mark.filterwarnings("ignore")  # the package warns of accelerators and of its own use of torch
@INSTALLED
def test_energies_are_those_of_the_package() -> None:
    from sevenn.calculator import SevenNetCalculator

    potential, batch = potential_named("sevennet"), example_crystals()
    assert isinstance(potential, SevenNetPotential)
    assert energy_source(potential) == "sevennet-l3i5-a7ff190d41ef"
    found, package = potential.evaluate(batch), SevenNetCalculator("7net-l3i5", device="cpu")
    for row in range(len(batch)):
        atoms = batch.atoms(row)
        atoms.calc = package
        assert atoms.get_potential_energy() / len(atoms) == pytest.approx(found.energies[row], abs=1e-5)
    assert (found.codes == "").all()


@pytest.mark.filterwarnings("ignore")
@INSTALLED
def test_packaged_energies_are_those_of_the_potential() -> None:
    materials, potential = load_materials(), SevenNetPotential()
    packaged = packaged_references(materials, "sevennet")
    assert packaged.source == energy_source(potential)
    rows = np.flatnonzero(materials.crystals.site_counts <= 4)[::150]
    np.testing.assert_allclose(potential.energies(materials.take(rows)), packaged.energies[rows], atol=1e-5)
