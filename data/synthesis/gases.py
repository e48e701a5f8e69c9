"""Standard entropies of gases, which drive decarbonation, dehydration and the release of oxygen."""

from __future__ import annotations

from collections.abc import Mapping

STANDARD_ENTROPY: Mapping[str, float] = {
    "O2": 205.152, "N2": 191.609, "H2": 130.680, "CO": 197.660, "CO2": 213.785, "H2O": 188.835, "NH3": 192.770,
    "HCl": 186.902, "HF": 173.779, "HBr": 198.700, "SO2": 248.223, "H2S": 205.810, "NO2": 240.034,
}  # fmt: skip
"""J/(mol K) at 298.15 K and 1 bar: J. D. Cox, D. D. Wagman and V. A. Medvedev, CODATA Key Values for Thermodynamics
(1989); NO2: M. W. Chase, NIST-JANAF Thermochemical Tables, 4th ed. (1998)."""

_JOULES_PER_MOLE = 96_485.33212  # in 1 eV, by definition of the constants (SI 2019)


def entropy_term(gas: str, temperature: float) -> float:
    """T S of a molecule of gas in eV, with the entropy at 298 K.

    Args:
        gas: Formula.
        temperature: K.

    >>> round(entropy_term("CO2", 1000), 3)
    2.216
    """
    return temperature * STANDARD_ENTROPY[gas] / _JOULES_PER_MOLE
