"""Lattice vibrations with CHGNet: crystals whose fate is known, and twenty packaged stable crystals.

Cubic perovskites with a published instability should be flagged, simple ionic and covalent crystals should not. The
highest zone-centre frequencies stand beside measured ones: transverse optical modes of Si (Dolling, 1963), MgO
(Sangster et al., J. Phys. C 3, 1026, 1970) and NaCl (Raunio et al., Phys. Rev. 178, 1496, 1969). Of packaged crystals
on the hull those that are flagged are told by name: some of them do distort at low temperature, others are errors of
the potential.

``python benchmarks/models/phonons.py``, with the extras ``potentials`` and ``phonons``; some ten minutes.
"""

from __future__ import annotations

import math
import time

import numpy as np
from ase import Atoms
from ase.build import bulk

from matloop.data.packaged.materials import load_materials
from matloop.models.potentials.contract import Evaluates, shared_potential
from matloop.models.potentials.phonons import IMAGINARY, PhononSettings, harmonic, symmetric_primitive, vibrations
from matloop.models.potentials.relaxation import relax_crystal
from matloop.workflows.bench.hardware import describe

STABLE = 20
_CORNERS = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]


def perovskite(a: str, b: str, edge: float) -> Atoms:
    """The cubic perovskite ABO3."""
    return Atoms([a, b, "O", "O", "O"], cell=[edge] * 3, scaled_positions=_CORNERS, pbc=True)


KNOWN = {
    "BaTiO3, cubic": (perovskite("Ba", "Ti", 4.00), "ferroelectric, imaginary at 0 0 0"),
    "SrTiO3, cubic": (perovskite("Sr", "Ti", 3.905), "octahedra tilt, imaginary at ½ ½ ½"),
    "PbTiO3, cubic": (perovskite("Pb", "Ti", 3.97), "ferroelectric, imaginary at 0 0 0"),
    "CaTiO3, cubic": (perovskite("Ca", "Ti", 3.85), "octahedra tilt, imaginary"),
    "BaZrO3, cubic": (perovskite("Ba", "Zr", 4.19), "cubic down to 2 K, on the verge of tilting"),
    "MgO": (bulk("MgO", "rocksalt", a=4.21), "clean"),
    "NaCl": (bulk("NaCl", "rocksalt", a=5.64), "clean"),
    "Si": (bulk("Si", "diamond", a=5.43), "clean"),
    "GaAs": (bulk("GaAs", "zincblende", a=5.65), "clean"),
    "MgO as CsCl": (bulk("MgO", "cesiumchloride", a=2.66), "imaginary: no phase at normal pressure"),
}
MEASURED = {"Si": 15.5, "MgO": 12.0, "NaCl": 4.9}
"""Transverse optical frequency at the zone centre in THz."""


def centre(atoms: Atoms, potential: Evaluates) -> float:
    """Lowest optical frequency at the zone centre in THz."""
    at_rest = symmetric_primitive(atoms)
    end = relax_crystal(at_rest, potential, limits=PhononSettings().resting)
    at_rest = Atoms(at_rest.numbers, cell=end.cell, scaled_positions=end.frac_coords, pbc=True)
    phonons = harmonic(at_rest, (2, 2, 2), potential, ends=math.inf)
    phonons.run_qpoints([[0, 0, 0]])
    assert phonons.qpoints is not None
    return float(np.sort(phonons.qpoints.frequencies[0])[3])


def told(name: str, atoms: Atoms, potential: Evaluates, published: str) -> tuple[bool | None, float]:
    """Print a line for a crystal; returns whether it is flagged (None without an answer), and the seconds it took."""
    begun = time.process_time()
    found = vibrations(atoms, potential)
    seconds = time.process_time() - begun
    if found.code:
        print(f"  {name:<24} {found.code} {found.detail}  {seconds:.1f} s")
        return None, seconds
    flag = "imaginary" if found.is_imaginary else "clean"
    size, point = "x".join(map(str, found.supercell)), " ".join(f"{x:g}" for x in found.point)
    print(
        f"  {name:<24} {found.lowest:6.2f} THz at {point:<12} {flag:<10} {size}, {found.displacements} displacements, "
        f"{seconds:.1f} s  {published}"
    )
    return found.is_imaginary, seconds


def main() -> None:
    """Print everything."""
    print(describe("torch", "chgnet", "phonopy"))
    potential = shared_potential("chgnet", {})
    assert isinstance(potential, Evaluates)
    print(f"lowest frequency; below {IMAGINARY} THz it counts as imaginary; published character last")
    for name, (atoms, published) in KNOWN.items():
        told(name, atoms, potential, published)
    print("transverse optical frequency at the zone centre, THz: CHGNet and measured")
    for name, measured in MEASURED.items():
        print(f"  {name:<5} {centre(KNOWN[name][0], potential):5.1f} {measured:5.1f}")
    materials = load_materials()
    on_hull = np.flatnonzero(materials.column("energy_above_hull_dft") <= 0)
    drawn = np.random.default_rng(0).choice(on_hull, STABLE, replace=False)
    print(f"{STABLE} packaged crystals on the hull, at random")
    found = [told(materials.formulas[row], materials.atoms(row), potential, "") for row in drawn.tolist()]
    flags = [flag for flag, _ in found if flag is not None]
    seconds = np.array([took for _, took in found])
    print(f"flagged: {sum(flags)} of {len(flags)} with an answer")
    print(f"processor time for each: median {np.median(seconds):.1f} s, most {seconds.max():.0f} s")


if __name__ == "__main__":
    main()
