"""Powder diffraction of crystals: peaks for a chosen radiation, and those that tell a candidate from other phases.

Intensities are kinematic, with atomic scattering factors, Lorentz and polarisation factor and multiplicity; thermal
motion, absorption, texture and the width of peaks are left out (``pymatgen``, after V. K. Pecharsky and P. Y. Zavalij,
Fundamentals of Powder Diffraction and Structural Characterization of Materials, Springer 2009). Peaks lie where the
lattice of the crystal puts them: lattice constants that PBE or a potential relaxed are one or two percent off, and so
are the spacings of the peaks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.elements import SYMBOLS
from matloop.data.errors import DiffractionError, unknown_name
from matloop.screening.language.text import Words

LEAST_SPACING, MOST_SPACING = 1.1, 18.0
"""Spacings d in Å between which reflections are computed: 4.9° to 89° in 2θ with copper radiation."""
MOST_REFLECTIONS = 100_000
"""Lattice planes that are looked at; a cell with more is refused."""
WEAKEST_PEAK = 0.5
"""Peaks weaker than this, in percent of the strongest, are left out."""
CLEAR_OF = 0.3
"""Distance in degrees of 2θ from every peak of other phases at which a peak tells a candidate."""
WEAKEST_RIVAL = 1.0
"""Peaks of other phases weaker than this, in percent of their strongest, do not count as rivals."""
TELLING = 3
"""How many telling peaks are named."""


class Radiation(NamedTuple):
    """X-rays of a tube.

    Attributes:
        name: Such as ``CuKa``.
        label: As it is printed.
        wavelength: In Å.
    """

    name: str
    label: str
    wavelength: float


def _mean(first: float, second: float) -> float:
    """Wavelength of an unresolved doublet, in which the first line is twice as strong."""
    return (2 * first + second) / 3


WAVELENGTH_SOURCE = (
    "E. Hölzer et al., Physical Review A 56, 4554 (1997), doi:10.1103/PhysRevA.56.4554; for Mo and Ag R. D. Deslattes "
    "et al., Reviews of Modern Physics 75, 35 (2003), doi:10.1103/RevModPhys.75.35"
)
RADIATIONS: Mapping[str, Radiation] = MappingProxyType(
    {
        found.name: found
        for found in (
            Radiation("CuKa", "Cu Kα", _mean(1.5405929, 1.5444274)),
            Radiation("CuKa1", "Cu Kα1", 1.5405929),
            Radiation("CoKa", "Co Kα", _mean(1.7889960, 1.7928350)),
            Radiation("FeKa", "Fe Kα", _mean(1.9360410, 1.9399730)),
            Radiation("CrKa", "Cr Kα", _mean(2.2897260, 2.2936510)),
            Radiation("MoKa", "Mo Kα", _mean(0.70931715, 0.713607)),
            Radiation("AgKa", "Ag Kα", _mean(0.55942178, 0.5638131)),
        )
    }
)
"""Radiations by name."""


class Peak(NamedTuple):
    """A peak of a powder pattern.

    Attributes:
        planes: Miller indices of the planes that make it, one of each set of equivalent ones, such as ``111``.
        spacing: Of the planes, in Å.
        two_theta: Where it lies, in degrees.
        intensity: In percent of the strongest peak.
    """

    planes: tuple[str, ...]
    spacing: float
    two_theta: float
    intensity: float


@dataclass(frozen=True)
class Pattern:
    """The powder pattern of one crystal.

    Attributes:
        radiation: With which.
        peaks: By ascending 2θ.
    """

    radiation: Radiation
    peaks: tuple[Peak, ...]

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest 2θ in degrees that were looked at."""
        return two_theta(MOST_SPACING, self.radiation), two_theta(LEAST_SPACING, self.radiation)

    def strongest(self, count: int) -> list[Peak]:
        """The strongest peaks, in the order of 2θ."""
        chosen = sorted(self.peaks, key=lambda peak: (-peak.intensity, peak.two_theta))[:count]
        return sorted(chosen, key=lambda peak: peak.two_theta)


def radiation_named(name: str) -> Radiation:
    """A radiation by its name.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    if name not in RADIATIONS:
        raise unknown_name("radiation", name, RADIATIONS)
    return RADIATIONS[name]


def two_theta(spacing: float, radiation: Radiation) -> float:
    """Angle in degrees at which planes reflect, by Bragg's law; 180 where they are too close.

    >>> round(two_theta(3.1356, RADIATIONS["CuKa1"]), 2)
    28.44
    """
    sine = radiation.wavelength / (2 * spacing)
    return 2 * math.degrees(math.asin(sine)) if sine < 1 else 180.0


def reflections_in(lattice: NDArray[np.float64]) -> int:
    """How many lattice planes have to be looked at: those in the box around the sphere of reflection.

    Args:
        lattice: Cell row vectors in Å, shape (3, 3).

    >>> reflections_in(np.eye(3) * 5.4)
    729
    """
    # |h| <= |a| / d for every plane of spacing d or more, since h = a . g and |g| <= 1 / d.
    indices = np.floor(np.linalg.norm(lattice, axis=1) / LEAST_SPACING + 1e-9)
    return int(np.prod(2 * indices + 1))


def powder_pattern(
    lattice: NDArray[np.float64],
    species: NDArray[np.uint8],
    frac_coords: NDArray[np.float64],
    *,
    radiation: Radiation,
) -> Pattern:
    """Compute the powder pattern of a crystal.

    Args:
        lattice: Row vectors of the conventional cell in Å, shape (3, 3); Miller indices refer to it.
        species: Atomic numbers of n atoms.
        frac_coords: Their fractional coordinates, shape (n, 3).
        radiation: With which.

    Raises:
        DiffractionError: If the cell is so large that the pattern would take very long.
    """
    planes = reflections_in(lattice)
    if planes > MOST_REFLECTIONS:
        raise DiffractionError(
            f"a cell with {planes:,} lattice planes of {LEAST_SPACING} Å or more", f"up to {MOST_REFLECTIONS:,}",
            "give a smaller cell of the same crystal, or compute the pattern of its CIF with another program",
        )  # fmt: skip
    from pymatgen.analysis.diffraction.xrd import XRDCalculator
    from pymatgen.core import Lattice, Structure

    structure = Structure(Lattice(lattice), [SYMBOLS[number] for number in species], frac_coords)
    ends = two_theta(MOST_SPACING, radiation), two_theta(LEAST_SPACING, radiation)
    found = XRDCalculator(wavelength=radiation.wavelength).get_pattern(structure, two_theta_range=ends)
    rows = zip(found.x, found.y, found.hkls, found.d_hkls, strict=True)
    peaks = [
        Peak(tuple(_written(family["hkl"]) for family in families), float(spacing), float(angle), float(height))
        for angle, height, families, spacing in rows
        if height >= WEAKEST_PEAK
    ]
    return Pattern(radiation, tuple(peaks))


def _written(indices: Sequence[int]) -> str:
    """Miller indices as crystallographers write them; four indices of hexagonal cells without the third.

    >>> _written((1, 0, -1, 0)), _written((2, -1, -1, 0)), _written((1, -1, 2)), _written((10, 0, 2))
    ('100', '110', '1-12', '10 0 2')
    """
    three = _in_three(tuple(indices)) if len(indices) == 4 else tuple(indices)
    return (" " if any(abs(index) > 9 for index in three) else "").join(str(index) for index in three)


def _in_three(indices: tuple[int, ...]) -> tuple[int, ...]:
    """Indices h k l of the equivalent plane with h and k positive, by the threefold axis and inversion alone."""
    h, k, i, last = indices
    turned = [(a, b, last) for a, b in ((h, k), (k, i), (i, h))]
    turned += [(-a, -b, -c) for a, b, c in turned]
    return max((plane for plane in turned if plane[0] >= 0 and plane[1] >= 0), key=lambda plane: (plane[2], plane))


def telling_peaks(candidate: Pattern, others: Sequence[Pattern]) -> list[Peak]:
    """The strongest peaks of a candidate that none of the other phases has.

    A peak tells the candidate if every peak of the other phases that has 1 % of the intensity of their strongest lies
    0.3° or more from it in 2θ. The three strongest such peaks are named, those of highest intensity first; fewer where
    there are not so many.

    Args:
        candidate: Its pattern.
        others: Patterns of the other phases, with the same radiation.
    """
    rivals = [peak.two_theta for other in others for peak in other.peaks if peak.intensity >= WEAKEST_RIVAL]
    rivals.sort()
    at = np.array(rivals)
    clear = [
        peak for peak in candidate.peaks if not len(at) or float(np.abs(at - peak.two_theta).min()) >= CLEAR_OF
    ]  # fmt: skip
    return sorted(clear, key=lambda peak: (-peak.intensity, peak.two_theta))[:TELLING]


DEFINITION = Words(
    f"The {TELLING} strongest peaks that lie {CLEAR_OF}° or more in 2θ from every peak of the competing phases drawn "
    f"here with at least {WEAKEST_RIVAL:g} % of the intensity of their strongest.",
    f"与图中各竞争相中强度不低于其最强峰 {WEAKEST_RIVAL:g} % 的峰在 2θ 上"
    f"均相距 {CLEAR_OF}° 以上的最强 {TELLING} 个峰。",
)
"""What the telling peaks are, in words."""
