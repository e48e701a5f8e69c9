"""Structures as text, written by us, by pymatgen and by ASE."""

import io
import json
import warnings
from collections.abc import Callable

import ase.io
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar
from pymatgen.io.xcrysden import XSF

POSCAR = "salt\n1.0\n4.1 0 0\n0 4.1 0\n0 0 4.1\nCs Cl\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"

CIF = """data_salt
_cell_length_a 5.640(1)
_cell_length_b 5.640(1)
_cell_length_c 5.640(1)
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_chemical_formula_sum 'Cl Na'
loop_
_space_group_symop_operation_xyz
'x, y, z'
'x, y+1/2, z+1/2'
'x+1/2, y, z+1/2'
'x+1/2, y+1/2, z'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na1 Na1+ 0 0 0 1
Cl1 Cl1- 0.5 0.5 0.5 1
"""

COLUMNS = ("label", "fract_x", "fract_y", "fract_z", "occupancy")


def cif_of(atoms: str, *, edge: float = 4.0, extra: str = "", name: str = "x") -> str:
    """A cubic CIF with these lines of atoms."""
    header = "".join(f"_cell_length_{axis} {edge}\n" for axis in "abc")
    return f"data_{name}\n{header}{extra}loop_\n" + "".join(f"_atom_site_{c}\n" for c in COLUMNS) + atoms


def _extxyz(structure: Structure) -> str:
    text = io.StringIO()
    ase.io.write(text, AseAtomsAdaptor.get_atoms(structure), format="extxyz")
    return text.getvalue()


def optimade(structure: Structure) -> str:
    symbols = [site.specie.symbol for site in structure]
    attributes = {
        "lattice_vectors": structure.lattice.matrix.tolist(),
        "cartesian_site_positions": structure.cart_coords.tolist(),
        "species_at_sites": symbols,
        "species": [{"name": s, "chemical_symbols": [s], "concentration": [1.0]} for s in sorted(set(symbols))],
        "dimension_types": [1, 1, 1],
    }
    return json.dumps({"data": [{"id": "1", "type": "structures", "attributes": attributes}]})


def _symmetric_cif(structure: Structure) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(CifWriter(structure, symprec=0.01))


WRITERS: dict[str, Callable[[Structure], str]] = {
    "plain.cif": lambda s: str(CifWriter(s)),
    "symmetric.cif": _symmetric_cif,
    "POSCAR": lambda s: Poscar(s).get_str(),
    "cartesian.vasp": lambda s: Poscar(s).get_str(direct=False),
    "atoms.extxyz": _extxyz,
    "crystal.xsf": lambda s: XSF(s).to_str(),
    "pymatgen.json": lambda s: json.dumps(s.as_dict()),
    "optimade.json": optimade,
}
"""File name -> how to write it."""
