"""Read crystals from the JSON of pymatgen, OPTIMADE and JARVIS as plain data. No name in a file is ever imported."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np

from matloop.data.candidates.crystals import MAX_SITES
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.properties.columns import Column
from matloop.data.readers.parsed import ParsedCell, fractional, symbol_of
from matloop.data.readers.structure_split import Unreadable

_STRUCTURE_KEYS = ("sites", "lattice_vectors", "cartesian_site_positions", "lattice_mat")
_WRAPPERS = ("structure", "attributes", "data", "atoms")
_NOT_BULK = ("Molecule", "IMolecule", "Slab", "Interface")
_REDUCED_PART = re.compile(r"([A-Z][a-z]?)([1-9][0-9]{0,5})?")
_REDUCED = re.compile(rf"(?:{_REDUCED_PART.pattern}){{1,40}}")
_MOST_VALUES = 1_000_000  # an entry with all that the Materials Project knows of it has some ten thousand
_NEITHER = (
    "JSON that is neither a pymatgen structure or entry, an OPTIMADE entry, nor the atoms of JARVIS; write the "
    "crystals as CIF, extended XYZ or an ASE database"
)


def parse_json(text: str) -> Any:
    """Parse JSON in which no object has a key twice, since only the last of them would be seen.

    Raises:
        Unreadable: If the text is not JSON, has more values than any crystal, or an object has a key twice.
    """
    values = text.count(",") + text.count("[") + text.count("{")
    if values > _MOST_VALUES:
        raise Unreadable("E-FILE-TOO-LARGE", f"{values:,} values in one structure, more than {_MOST_VALUES:,}")
    try:
        return json.loads(text, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise Unreadable("E-FILE-SYNTAX", f"no JSON: {error}"[:200]) from error


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("an object has a key twice")
    return members


def read_json(data: Any) -> ParsedCell:
    """Read the crystal in one JSON value.

    Args:
        data: A pymatgen structure, a ``ComputedStructureEntry``, an OPTIMADE entry of type structures, or an entry or
            the atoms of JARVIS as plain data.

    Returns:
        The cell; that of a ``ComputedStructureEntry`` has its energies among the numbers that the file states.

    Raises:
        Unreadable: If it is none of these, or parts of it contradict each other.
    """
    found = data
    while isinstance(found, dict) and not any(key in found for key in _STRUCTURE_KEYS):
        inside = next((found[key] for key in _WRAPPERS if isinstance(found.get(key), dict) and found[key]), None)
        if inside is None and "energy" in found and "composition" in found:
            raise Unreadable("E-STRUCT-NOCELL", "a ComputedEntry without a structure; give its formula in a table")
        found = inside
    if not isinstance(found, dict):
        raise Unreadable("E-FILE-FORMAT", _NEITHER)
    if found.get("@class") in _NOT_BULK:
        raise Unreadable("E-STRUCT-NOCELL", f"a {found['@class']}")
    read = _read_pymatgen if "sites" in found else _read_jarvis if "lattice_mat" in found else _read_optimade
    cell = read(found)
    return cell if found is data else cell._replace(stated=_energies(data, cell))


def _energies(entry: dict[str, Any], cell: ParsedCell) -> dict[str, float]:
    """Return the energies of a ``ComputedStructureEntry`` by column name, in eV for the entry and in eV/atom.

    The energy is as it was computed; the correction is not in it, as in the JSON of pymatgen.

    Raises:
        Unreadable: If the composition of the entry is not that of its structure.
    """
    amounts = entry.get("composition")
    if "energy" not in entry or not isinstance(amounts, dict):
        return {}
    composition: dict[str, float] = {}
    for word, amount in amounts.items():
        if not word.startswith("@"):
            symbol = symbol_of(word)
            composition[symbol] = composition.get(symbol, 0.0) + _number(amount)
    atoms, sites = sum(composition.values()), cell.amounts()
    shares = {symbol: amount * sum(sites.values()) for symbol, amount in composition.items() if amount}
    if shares.keys() != sites.keys() or any(
        abs(shares[symbol] - sites[symbol] * atoms) > 1e-3 * shares[symbol] for symbol in sites
    ):
        raise Unreadable(
            "E-STRUCT-FORMULA", "the composition of the entry is not that of its structure", cell.formula()
        )
    energy, correction = _number(entry["energy"]), entry.get("correction")
    found = {Column.ENTRY_ENERGY: energy, Column.ENTRY_ENERGY_PER_ATOM: energy / atoms}
    if correction is not None:
        found[Column.ENTRY_CORRECTION_PER_ATOM] = _number(correction) / atoms
    return {str(name): value for name, value in found.items()}


def _read_pymatgen(data: dict[str, Any]) -> ParsedCell:
    lattice = data.get("lattice")
    if not isinstance(lattice, dict):
        raise Unreadable("E-STRUCT-NOCELL")
    if not all(lattice.get("pbc") or [True]):
        raise Unreadable("E-STRUCT-NOCELL", "not periodic in three directions")
    sites = _list(data["sites"], "sites")
    frac, occupancies = [], []
    for site in sites:
        if not isinstance(site, dict):
            raise Unreadable("E-FILE-SYNTAX", "a site that is no object")
        frac.append(_triple(site.get("abc")))
        shares: dict[str, float] = {}
        for species in _list(site.get("species"), "species"):
            if not isinstance(species, dict):
                raise Unreadable("E-FILE-SYNTAX", "a species that is no object")
            symbol = symbol_of(_text(species.get("element")))
            shares[symbol] = shares.get(symbol, 0.0) + _number(species.get("occu", 1.0))
        occupancies.append(shares)
    cell = np.array([_triple(row) for row in _list(lattice.get("matrix"), "lattice.matrix")])
    return _checked(cell, np.array(frac).reshape(-1, 3), occupancies)


def _read_optimade(data: dict[str, Any]) -> ParsedCell:
    vectors = data.get("lattice_vectors")
    if not vectors:
        raise Unreadable("E-STRUCT-NOCELL")
    cell = np.array([_triple(row) for row in _list(vectors, "lattice_vectors")])
    periodic, count = data.get("dimension_types"), data.get("nperiodic_dimensions")
    if (isinstance(periodic, list) and periodic != [1, 1, 1]) or (count is not None and count != 3):
        raise Unreadable("E-STRUCT-NOCELL", "not periodic in three directions")
    places = _list(data.get("cartesian_site_positions"), "cartesian_site_positions")
    names = _list(data.get("species_at_sites"), "species_at_sites")
    if len(names) != len(places):
        raise Unreadable("E-FILE-SYNTAX", f"{len(places)} positions and {len(names)} species")
    shares = _optimade_species(data.get("species"))
    occupancies = []
    for name in names:
        word = _text(name)
        if word not in shares and word not in ATOMIC_NUMBERS:
            raise Unreadable("E-STRUCT-SYMBOLS", f"the species {word[:40]} is not described")
        occupancies.append(shares.get(word, {word: 1.0}))
    cartesian = np.array([_triple(place) for place in places]).reshape(-1, 3)
    if cell.shape != (3, 3) or not abs(np.linalg.det(cell)) > 1e-12:
        raise Unreadable("E-STRUCT-CELL", "the cell vectors lie in a plane")
    found = _checked(cell, np.linalg.solve(cell.T, cartesian.T).T, occupancies)
    _check_reduced_formula(data.get("chemical_formula_reduced"), found)
    return found


def _read_jarvis(data: dict[str, Any]) -> ParsedCell:
    lattice = np.array([_triple(row) for row in _list(data["lattice_mat"], "lattice_mat")])
    places = np.array([_triple(place) for place in _list(data.get("coords"), "coords")]).reshape(-1, 3)
    names = _list(data.get("elements"), "elements")
    if len(names) != len(places):
        raise Unreadable("E-FILE-SYNTAX", f"{len(places)} coordinates and {len(names)} elements")
    is_cartesian = data.get("cartesian")
    if not isinstance(is_cartesian, bool):
        raise Unreadable("E-FILE-SYNTAX", "cartesian is neither true nor false")
    frac = fractional(places, lattice) if is_cartesian and lattice.shape == (3, 3) else places
    return _checked(lattice, frac, [{symbol_of(_text(name)): 1.0} for name in names])


def _check_reduced_formula(formula: Any, cell: ParsedCell) -> None:
    """Compare the atoms of an ordered cell with the formula stated beside them.

    Raises:
        Unreadable: If they differ.
    """
    if not (isinstance(formula, str) and _REDUCED.fullmatch(formula) and cell.is_ordered):
        return
    stated = {symbol: int(count or 1) for symbol, count in _REDUCED_PART.findall(formula)}
    amounts = cell.amounts()
    if stated.keys() != amounts.keys() or len({amounts[symbol] / stated[symbol] for symbol in stated}) > 1:
        raise Unreadable("E-STRUCT-FORMULA", f"the entry states {formula[:60]}", cell.formula())


def _optimade_species(species: Any) -> dict[str, dict[str, float]]:
    """Return the occupancies of each species by its name; vacancies are left out."""
    shares: dict[str, dict[str, float]] = {}
    for entry in _list(species or [], "species"):
        if not isinstance(entry, dict):
            raise Unreadable("E-FILE-SYNTAX", "a species that is no object")
        symbols = _list(entry.get("chemical_symbols"), "chemical_symbols")
        concentrations = _list(entry.get("concentration", [1.0] * len(symbols)), "concentration")
        if len(symbols) != len(concentrations):
            raise Unreadable("E-FILE-SYNTAX", "as many concentrations as symbols are needed")
        if any(_number(count) > 0 for count in _list(entry.get("nattached") or [], "nattached")):
            raise Unreadable("E-STRUCT-FORMULA", "attached atoms without coordinates")
        share: dict[str, float] = {}
        for symbol, concentration in zip(symbols, concentrations, strict=True):
            if symbol != "vacancy":
                known = symbol_of(_text(symbol))
                share[known] = share.get(known, 0.0) + _number(concentration)
        shares[_text(entry.get("name"))] = share
    return shares


def _checked(cell: Any, frac: Any, occupancies: list[dict[str, float]]) -> ParsedCell:
    """Check that the cell has three vectors and that no site holds more than one atom. Empty sites are left out."""
    if cell.shape != (3, 3):
        raise Unreadable("E-FILE-SYNTAX", f"a lattice of shape {cell.shape}")
    for site in occupancies:
        if any(share < 0 for share in site.values()) or sum(site.values()) > 1.02:
            raise Unreadable("E-STRUCT-OCCUPANCY", str(site)[:100])
    filled = [row for row, site in enumerate(occupancies) if sum(site.values()) > 0]
    sites = [{symbol: share for symbol, share in occupancies[row].items() if share > 0} for row in filled]
    return ParsedCell(cell, frac[filled], sites)


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise Unreadable("E-FILE-SYNTAX", f"{name} is no list")
    if len(value) > MAX_SITES:
        raise Unreadable("E-STRUCT-SIZE", f"{len(value):,} entries in {name}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unreadable("E-FILE-SYNTAX", f"{str(value)[:40]} is no name")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        raise Unreadable("E-FILE-SYNTAX", f"{str(value)[:40]} is no number")
    if not math.isfinite(value):
        raise Unreadable("E-STRUCT-NONFINITE")
    return float(value)


def _triple(value: Any) -> list[float]:
    if not isinstance(value, list) or len(value) != 3:
        raise Unreadable("E-FILE-SYNTAX", "a vector that has not three numbers")
    return [_number(component) for component in value]
