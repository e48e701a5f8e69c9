"""Powder patterns against published reference patterns, and what tells a phase from its rivals."""

import numpy as np
import pytest
from pymatgen.analysis.diffraction.xrd import WAVELENGTHS
from pymatgen.core import Lattice, Structure

from matloop.data.errors import DiffractionError, UnknownNameError
from matloop.screening.dossier.diffraction import (
    CLEAR_OF,
    LEAST_SPACING,
    RADIATIONS,
    Pattern,
    Peak,
    powder_pattern,
    radiation_named,
    telling_peaks,
    two_theta,
)

CU = RADIATIONS["CuKa1"]
WITHIN = 0.05  # degrees of 2 theta


def pattern_of(structure: Structure, radiation: str = "CuKa1") -> Pattern:
    return powder_pattern(
        structure.lattice.matrix, np.array(structure.atomic_numbers, np.uint8), structure.frac_coords,
        radiation=RADIATIONS[radiation],
    )  # fmt: skip


SILICON = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.43102), ["Si"], [[0, 0, 0]])
HALITE = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.6402), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.5933, 2.9592), ["Ti", "O"], [[0, 0, 0], [0.3053, 0.3053, 0]]
)
NITRIDE = Structure.from_spacegroup(
    "P6_3mc", Lattice.hexagonal(3.18907, 5.1855), ["Ga", "N"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.377]]
)

# Lattice constants and angles are those of the reference, measured with copper K alpha 1.
REFERENCES = [
    # NIST Standard Reference Material 640 (silicon powder), a = 5.43102 Å: certified angles.
    pytest.param(SILICON, {"111": 28.443, "220": 47.303, "311": 56.123, "400": 69.131, "331": 76.377}, id="Si"),
    # Powder Diffraction File 5-628 (NBS Circular 539, 1953), a = 5.6402 Å.
    pytest.param(HALITE, {"111": 27.334, "200": 31.692, "220": 45.449, "222": 56.477, "400": 66.227}, id="NaCl"),
    # Powder Diffraction File 21-1276, a = 4.5933 Å, c = 2.9592 Å.
    pytest.param(RUTILE, {"110": 27.446, "101": 36.085, "111": 41.225, "211": 54.322, "220": 56.640}, id="TiO2"),
    # Powder Diffraction File 50-792, a = 3.18907 Å, c = 5.1855 Å.
    pytest.param(NITRIDE, {"100": 32.387, "002": 34.563, "101": 36.852, "102": 48.079, "110": 57.775}, id="GaN"),
]


@pytest.mark.parametrize(("crystal", "reference"), REFERENCES)
def test_peaks_lie_where_reference_patterns_have_them(crystal: Structure, reference: dict[str, float]) -> None:
    found = {planes: peak.two_theta for peak in pattern_of(crystal).peaks for planes in peak.planes}
    assert {name: found[name] for name in reference} == pytest.approx(reference, abs=WITHIN)


@pytest.mark.parametrize(
    ("crystal", "strongest"), [(SILICON, "111"), (HALITE, "200"), (RUTILE, "110"), (NITRIDE, "101")]
)
def test_the_strongest_peak_is_that_of_the_reference(crystal: Structure, strongest: str) -> None:
    (peak,) = pattern_of(crystal).strongest(1)
    assert (peak.planes, peak.intensity) == ((strongest,), 100.0)


def test_intensities_are_near_those_of_the_reference() -> None:
    """Of the card 21-1276: 110 100, 101 50, 111 25, 211 60, 301 20."""
    found = {peak.planes[0]: peak.intensity for peak in pattern_of(RUTILE).peaks}
    card = {"110": 100, "101": 50, "111": 25, "211": 60, "301": 20}
    assert {name: found[name] for name in card} == pytest.approx(card, abs=10)


def test_every_reflection_obeys_bragg() -> None:
    for name in RADIATIONS:
        for peak in pattern_of(RUTILE, name).peaks:
            assert two_theta(peak.spacing, RADIATIONS[name]) == pytest.approx(peak.two_theta, abs=1e-6)
            assert peak.spacing >= LEAST_SPACING


def test_another_radiation_has_the_same_spacings() -> None:
    copper, molybdenum = (pattern_of(SILICON, name) for name in ("CuKa", "MoKa"))
    assert [peak.spacing for peak in copper.peaks] == pytest.approx([peak.spacing for peak in molybdenum.peaks])
    assert max(peak.two_theta for peak in molybdenum.peaks) < 40


@pytest.mark.parametrize("name", RADIATIONS)
def test_wavelengths_agree_with_those_of_pymatgen(name: str) -> None:
    assert RADIATIONS[name].wavelength == pytest.approx(WAVELENGTHS[name], abs=1e-4)


def test_an_unknown_radiation_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="CuKa"):
        radiation_named("CuKalpha")


@pytest.mark.parametrize("edges", [(1000.0, 3.0, 3.0), (1000.0, 1000.0, 3.0), (200.0, 200.0, 200.0)])
def test_a_pattern_that_would_take_very_long_is_refused_at_once(edges: tuple[float, float, float]) -> None:
    crystal = Structure(Lattice.orthorhombic(*edges), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    if edges == (1000.0, 3.0, 3.0):
        assert pattern_of(crystal).peaks
        return
    with pytest.raises(DiffractionError, match=r"E-DIFFRACTION: a cell with .* lattice planes"):
        pattern_of(crystal)


def made_up(*peaks: tuple[float, float]) -> Pattern:
    return Pattern(CU, tuple(Peak(("100",), 2.0, angle, height) for angle, height in peaks))


def test_telling_peaks_are_the_strongest_that_no_rival_has() -> None:
    candidate = made_up((20.0, 40.0), (30.0, 100.0), (40.0, 60.0), (50.0, 10.0), (60.0, 5.0))
    rival = made_up((30.0 + CLEAR_OF - 0.05, 100.0), (40.0 + CLEAR_OF + 0.05, 100.0), (20.1, 0.9))
    assert [peak.two_theta for peak in telling_peaks(candidate, [rival])] == [40.0, 20.0, 50.0]
    assert [peak.two_theta for peak in telling_peaks(candidate, [])] == [30.0, 40.0, 20.0]
    assert telling_peaks(candidate, [candidate]) == []


def test_silicon_is_told_from_halite_by_peaks_that_halite_lacks() -> None:
    silicon, halite = pattern_of(SILICON), pattern_of(HALITE)
    told = telling_peaks(silicon, [halite])
    assert {peak.planes[0] for peak in told} <= {"111", "220", "311", "400", "331", "422"}
    apart = [abs(peak.two_theta - other.two_theta) for peak in told for other in halite.peaks if other.intensity >= 1]
    assert min(apart) >= CLEAR_OF
