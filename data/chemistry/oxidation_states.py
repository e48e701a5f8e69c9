"""Oxidation states that elements take in inorganic solids.

The table is literal, so that rules built on it do not change with a library. It holds the states that occur in the
Inorganic Crystal Structure Database as counted by pymatgen, and those that textbooks call common (Greenwood and
Earnshaw, Chemistry of the Elements, 2nd ed. 1997). For elements that the count leaves out (Tc, Os, Pt, Au, Po, At, the
heavy actinides) it holds the usual states. The only negative state is that of the full octet. Smaller negative charges
arise from bonds between like atoms, see :data:`LIKE_ANIONS`.
"""

from __future__ import annotations

from collections.abc import Mapping


def _states(text: str) -> dict[str, tuple[int, ...]]:
    rows = [line.split() for line in text.strip().splitlines()]
    return {symbol: tuple(int(state) for state in states) for symbol, *states in rows}


OXIDATION_STATES: Mapping[str, tuple[int, ...]] = _states("""
H -1 1
Li 1
Be 2
B -5 3
C -4 2 3 4
N -3 1 3 5
O -2
F -1
Na 1
Mg 2
Al 3
Si -4 4
P -3 3 4 5
S -2 2 4 6
Cl -1 1 3 5 7
K 1
Ca 2
Sc 2 3
Ti 2 3 4
V 2 3 4 5
Cr 2 3 4 5 6
Mn 2 3 4 5 6 7
Fe 2 3 4
Co 1 2 3 4
Ni 1 2 3 4
Cu 1 2 3
Zn 2
Ga 1 2 3
Ge -4 2 3 4
As -3 2 3 5
Se -2 2 4 6
Br -1 1 3 5 7
Kr 2
Rb 1
Sr 2
Y 3
Zr 2 3 4
Nb 2 3 4 5
Mo 2 3 4 5 6
Tc 4 5 6 7
Ru 2 3 4 5 6 8
Rh 2 3 4
Pd 2 4
Ag 1 2 3
Cd 2
In 1 2 3
Sn -4 2 3 4
Sb -3 3 4 5
Te -2 2 4 5 6
I -1 1 3 5 7
Xe 2 4 6 8
Cs 1
Ba 2
La 2 3
Ce 3 4
Pr 3 4
Nd 2 3
Pm 3
Sm 2 3
Eu 2 3
Gd 3
Tb 3 4
Dy 3
Ho 3
Er 3
Tm 2 3
Yb 2 3
Lu 3
Hf 3 4
Ta 3 4 5
W 2 3 4 5 6
Re 3 4 5 6 7
Os 3 4 5 6 8
Ir 3 4 5 6
Pt 2 4 5
Au -1 1 3 5
Hg 1 2
Tl 1 3
Pb -4 2 4
Bi -3 1 2 3 5
Po -2 2 4
At -1 1
Fr 1
Ra 2
Ac 3
Th 4
Pa 4 5
U 3 4 5 6
Np 3 4 5 6 7
Pu 3 4 5 6
Am 3 4
Cm 3 4
Bk 3 4
Cf 3
Es 3
Fm 3
Md 3
No 2 3
Lr 3
""")
"""Oxidation states by symbol, ascending. Elements without an entry stay neutral."""

_CHALCOGEN, _PNICTOGEN, _TETREL = (2.6, 0.0, 2.0), (2.6, 0.0, 3.0), (1.6, 0.0, 4.0)
LIKE_ANIONS: Mapping[str, tuple[float, float, float]] = {
    "O": (1.31, 0.5, 1.0),  # superoxides to peroxides
    "N": (1.4, 1 / 3, 1.0),  # azides to dinitrides
    "C": (1.6, 1.0, 4 / 3),  # acetylides to allenides
    "B": (1.6, 0.0, 5.0),
    "S": _CHALCOGEN, "Se": _CHALCOGEN, "Te": _CHALCOGEN,
    "P": _PNICTOGEN, "As": _PNICTOGEN, "Sb": _PNICTOGEN, "Bi": _PNICTOGEN,
    "Si": _TETREL, "Ge": _TETREL, "Sn": _TETREL, "Pb": _TETREL,
}  # fmt: skip
"""Elements whose anions bond to each other: Pauling electronegativity of the most electronegative cation beside which
they do so, and the smallest and largest negative charge per atom that results."""

METALS: frozenset[str] = frozenset(
    "Li Be Na Mg Al K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Cs Ba La Ce Pr Nd Pm "
    "Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md "
    "No Lr".split()
)
"""Elements that are metals at room conditions."""

METAL_FORMERS: frozenset[str] = frozenset("B C N Si P Ge As Sb".split())
"""Other elements that form metallic compounds with at least as many atoms of metals."""

MIXED_VALENCE: frozenset[str] = frozenset(
    "Sc Ti V Cr Mn Fe Co Ni Cu Zr Nb Mo Tc Ru Rh Pd Ag Hf Ta W Re Os Ir Pt Au Hg La Ce Pr Nd Sm Eu Tb Tm Yb Pa U Np "
    "Pu Am Sn Sb Pb Bi".split()
)
"""Elements that occur in two oxidation states within one solid."""
