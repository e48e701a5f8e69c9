"""Read crystals from the JSON of pymatgen, OPTIMADE and JARVIS as plain data. No name in a file is ever imported."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.crystals import MAX_SITES
from matloop.data.deep_parsing import parsing_deeply
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.properties.columns import Column
from matloop.data.readers.entry_settings import read_settings
from matloop.data.readers.parsed import ParsedCell, fractional, symbol_of
from matloop.data.readers.stated_contents import check_contents, check_label, check_parameters
from matloop.data.readers.structure_split import Unreadable

_STRUCTURE_KEYS = ("sites", "lattice_vectors", "cartesian_site_positions", "lattice_mat")
_WRAPPERS = ("structure", "attributes", "data", "atoms")
_NOT_BULK = ("Molecule", "IMolecule", "Slab", "Interface")
_SAME_PLACE = 0.02  # Å; files round coordinates to four digits or more
_FEATURES = (
    ("implicit_atoms", "E-STRUCT-FORMULA", "some atoms of the crystal are not listed"),
    ("unknown_positions", "E-STRUCT-NOATOMS", "the places of some atoms are not known"),
    ("site_attachments", "E-STRUCT-FORMULA", "some sites have further atoms without coordinates"),
    ("assemblies", "E-STRUCT-DISORDER", "groups of sites exclude each other, and their arrangement is not read"),
)
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
        with parsing_deeply():
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
        The cell; that of a ``ComputedStructureEntry`` has its energies among the numbers that the file
        states, and the settings with which they were computed.

    Raises:
        Unreadable: If it is none of these, or parts of it contradict each other.
    """
    found, records = data, []
    while isinstance(found, dict) and not any(key in found for key in _STRUCTURE_KEYS):
        inside = next((found[key] for key in _WRAPPERS if isinstance(found.get(key), dict) and found[key]), None)
        if inside is None and "energy" in found and "composition" in found:
            raise Unreadable("E-STRUCT-NOCELL", "a ComputedEntry without a structure; give its formula in a table")
        records.append(found)
        found = inside
    if not isinstance(found, dict):
        raise Unreadable("E-FILE-FORMAT", _NEITHER)
    if found.get("@class") in _NOT_BULK:
        raise Unreadable("E-STRUCT-NOCELL", f"a {found['@class']}")
    read = _read_pymatgen if "sites" in found else _read_jarvis if "lattice_mat" in found else _read_optimade
    cell, sites = read(found)
    for record in (*records, found):
        check_contents(record, cell, sites)
    return cell if found is data else cell._replace(stated=_energies(data), settings=read_settings(data))


def _energies(entry: dict[str, Any]) -> dict[str, float]:
    """Return the energies of a ``ComputedStructureEntry`` by column name, in eV for the entry and in eV/atom.

    The energy is as it was computed; the correction is not in it, as in the JSON of pymatgen.

    Raises:
        Unreadable: If an energy or an amount is no number.
    """
    amounts = entry.get("composition")
    if "energy" not in entry or not isinstance(amounts, dict):
        return {}
    atoms = sum(_number(amount) for word, amount in amounts.items() if not word.startswith("@"))
    energy, correction = _number(entry["energy"]), entry.get("correction")
    found = {Column.ENTRY_ENERGY: energy, Column.ENTRY_ENERGY_PER_ATOM: energy / atoms}
    if correction is not None:
        found[Column.ENTRY_CORRECTION_PER_ATOM] = _number(correction) / atoms
        found[Column.ENTRY_CORRECTED_ENERGY_PER_ATOM] = (energy + _number(correction)) / atoms
    return {str(name): value for name, value in found.items()}


def _read_pymatgen(data: dict[str, Any]) -> tuple[ParsedCell, int]:
    lattice = data.get("lattice")
    if not isinstance(lattice, dict):
        raise Unreadable("E-STRUCT-NOCELL")
    if not all(lattice.get("pbc") or [True]):
        raise Unreadable("E-STRUCT-NOCELL", "not periodic in three directions")
    cell = np.array([_triple(row) for row in _list(lattice.get("matrix"), "lattice.matrix")])
    check_parameters(cell, lattice)
    sites = _list(data["sites"], "sites")
    occupancies = []
    for site in sites:
        if not isinstance(site, dict):
            raise Unreadable("E-FILE-SYNTAX", "a site that is no object")
        shares: dict[str, float] = {}
        for species in _list(site.get("species"), "species"):
            if not isinstance(species, dict):
                raise Unreadable("E-FILE-SYNTAX", "a species that is no object")
            symbol = symbol_of(_text(species.get("element")))
            shares[symbol] = shares.get(symbol, 0.0) + _number(species.get("occu", 1.0))
        occupancies.append(shares)
    elements = frozenset().union(*occupancies)
    for number, (site, shares) in enumerate(zip(sites, occupancies, strict=True), 1):
        check_label(site.get("label"), shares, elements, number)
    return _checked(cell, _places_of_pymatgen(sites, cell), occupancies), len(sites)


def _places_of_pymatgen(sites: list[dict[str, Any]], cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fractional coordinates of the sites, shape (sites, 3); those of a site without them come from ``xyz``.

    Raises:
        Unreadable: If a site has no coordinates, or if its fractional and its Cartesian ones are two places.
    """
    for number, site in enumerate(sites, 1):
        if site.get("abc") is None and site.get("xyz") is None:
            raise Unreadable("E-STRUCT-NOATOMS", f"site {number} lacks abc, its fractional coordinates")
    both = [row for row, site in enumerate(sites) if site.get("xyz") is not None]
    known = [row for row, site in enumerate(sites) if site.get("abc") is not None]
    frac = np.zeros((len(sites), 3))
    frac[known] = np.array([_triple(sites[row]["abc"]) for row in known]).reshape(-1, 3)
    if not both or cell.shape != (3, 3) or not abs(np.linalg.det(cell)) > 1e-12:
        if len(known) < len(sites):
            raise Unreadable("E-STRUCT-CELL", "the cell vectors lie in a plane")
        return frac
    cartesian = np.array([_triple(sites[row]["xyz"]) for row in both]).reshape(-1, 3)
    from_cartesian = fractional(cartesian, cell)
    without = [place for place, row in enumerate(both) if sites[row].get("abc") is None]
    frac[[both[place] for place in without]] = from_cartesian[without]
    apart = frac[both] - from_cartesian
    distances = np.linalg.norm((apart - np.rint(apart)) @ cell, axis=1)
    if (distances > _SAME_PLACE).any():
        worst = int(distances.argmax())
        raise Unreadable(
            "E-FILE-SYNTAX", f"abc and xyz of site {both[worst] + 1} are places {distances[worst]:.3g} Å apart"
        )
    return frac


def _read_optimade(data: dict[str, Any]) -> tuple[ParsedCell, int]:
    vectors = data.get("lattice_vectors")
    if not vectors:
        raise Unreadable("E-STRUCT-NOCELL")
    cell = np.array([_triple(row) for row in _list(vectors, "lattice_vectors")])
    periodic, count = data.get("dimension_types"), data.get("nperiodic_dimensions")
    if (isinstance(periodic, list) and periodic != [1, 1, 1]) or (count is not None and count != 3):
        raise Unreadable("E-STRUCT-NOCELL", "not periodic in three directions")
    features = data.get("structure_features")
    features = features if isinstance(features, list) else []
    _check_features(features, data.get("assemblies"))
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
    if "disorder" in features and found.is_ordered:
        way_out = "describe shared and partly filled sites by their concentrations"
        raise Unreadable("E-STRUCT-DISORDER", f"the entry states disorder, but every site is full; {way_out}")
    return found, len(places)


def _check_features(features: list[Any], assemblies: Any) -> None:
    """Refuse an entry that says that the atoms it lists are not those of the crystal.

    Raises:
        Unreadable: If atoms lack or exclude each other.
    """
    for feature, code, reason in _FEATURES:
        if feature in features or (feature == "assemblies" and assemblies):
            raise Unreadable(code, f"the entry states {feature}: {reason}")


def _read_jarvis(data: dict[str, Any]) -> tuple[ParsedCell, int]:
    lattice = np.array([_triple(row) for row in _list(data["lattice_mat"], "lattice_mat")])
    for names in (("abc", ("a", "b", "c")), ("angles", ("alpha", "beta", "gamma"))):
        stated = data.get(names[0])
        if isinstance(stated, list) and len(stated) == 3:
            check_parameters(lattice, dict(zip(names[1], stated, strict=True)))
    places = np.array([_triple(place) for place in _list(data.get("coords"), "coords")]).reshape(-1, 3)
    words = _list(data.get("elements"), "elements")
    if len(words) != len(places):
        raise Unreadable("E-FILE-SYNTAX", f"{len(places)} coordinates and {len(words)} elements")
    is_cartesian = data.get("cartesian")
    if not isinstance(is_cartesian, bool):
        raise Unreadable("E-FILE-SYNTAX", "cartesian is neither true nor false")
    frac = fractional(places, lattice) if is_cartesian and lattice.shape == (3, 3) else places
    return _checked(lattice, frac, [{symbol_of(_text(word)): 1.0} for word in words]), len(places)


def _optimade_species(species: Any) -> dict[str, dict[str, float]]:
    """Return the occupancies of each species by its name; vacancies are left out."""
    shares: dict[str, dict[str, float]] = {}
    for entry in _list(species or [], "species"):
        if not isinstance(entry, dict):
            raise Unreadable("E-FILE-SYNTAX", "a species that is no object")
        symbols = _list(entry.get("chemical_symbols"), "chemical_symbols")
        if entry.get("concentration") is None and len(symbols) > 1:
            raise Unreadable("E-STRUCT-OCCUPANCY", f"{', '.join(map(str, symbols))[:60]} without their concentration")
        concentrations = _list(entry.get("concentration") or [1.0] * len(symbols), "concentration")
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
