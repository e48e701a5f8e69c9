"""Fetch crystals and properties of the Materials Project with its own client mp-api (extra ``mp``).

A page of materials takes three requests: the crystals with their properties (``materials/summary``), the energies of
the requested thermo type (``materials/thermo``; energies in the summary belong to another type), and the functional of
each calculation (``materials/core``), since a band gap may come from PBE or from r2SCAN.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.errors import ProviderError, unknown_name
from matloop.data.properties.catalogue import property_named
from matloop.data.providers.materials_project_routes import ENERGIES, MaterialsProjectRoutes
from matloop.data.providers.polite_session import Patience, plain_line
from matloop.data.providers.snapshot_writer import Database, Page, entry_row, plausible, refused_row
from matloop.data.readers.disorder import POLICIES

THERMO_TYPES = ("GGA_GGA+U", "GGA_GGA+U_R2SCAN", "R2SCAN")
"""Schemes of energies: PBE with and without U, r2SCAN, and both mixed.

The mix is that of Kingsbury et al. 2022, doi:10.1038/s41524-022-00881-w.
"""

WINDOWS: Mapping[str, str] = {
    "band_gap": "band_gap",
    "bulk_modulus_vrh": "k_vrh",
    "energy_above_hull": "energy_above_hull",
    "formation_energy_per_atom": "formation_energy",
    "num_elements": "num_elements",
    "num_sites": "num_sites",
    "refractive_index": "n",
    "shear_modulus_vrh": "g_vrh",
}
"""Quantities that a query may bound from below and above -> their names in mp-api."""

Window = tuple[float | None, float | None]

API = "https://api.materialsproject.org/"
PAGE_SIZE = 250
"""Number of materials in one request; their ids must fit into one address."""

OUTSIDE_WINDOW = "materials without an energy in the window asked for"
OTHER_FUNCTIONAL = "band gaps of another functional left out"
IMPLAUSIBLE = "values outside the physical bounds left out"
_PBE = frozenset({"GGA", "GGA+U", "PBE", "PBE+U"})


class MaterialsProject:
    """Materials of one query, page by page. No request is sent before :meth:`connect`.

    Args:
        thermo_type: Scheme of the energies, one of :data:`THERMO_TYPES`.
        chemical_systems: Materials of exactly these elements, such as ``Ti-O``; ``*`` stands for any element.
        elements: Elements that every material contains; it may contain others too.
        exclude: Elements that no material contains.
        windows: Name of :data:`WINDOWS` -> smallest and largest value, None if there is no bound.
        disorder: How to treat shared or partly filled sites.
        endpoint: Address of the service.
        patience: How long to wait for a busy server.

    Raises:
        UnknownNameError: For an unknown thermo type, element, window or way to treat disorder.
    """

    def __init__(
        self,
        *,
        thermo_type: str,
        chemical_systems: Sequence[str] = (),
        elements: Sequence[str] = (),
        exclude: Sequence[str] = (),
        windows: Mapping[str, Window] | None = None,
        disorder: str = "reject",
        endpoint: str = API,
        patience: Patience | None = None,
    ) -> None:
        if thermo_type not in THERMO_TYPES:
            raise unknown_name("thermo type", thermo_type, THERMO_TYPES)
        for symbol in [*"-".join(chemical_systems).replace("*", "H").split("-"), *elements, *exclude]:
            if symbol and symbol not in ATOMIC_NUMBERS:
                raise unknown_name("element", symbol, ATOMIC_NUMBERS)
        for name in windows or {}:
            if name not in WINDOWS:
                raise unknown_name("window", name, WINDOWS)
        if disorder not in POLICIES:
            raise unknown_name("way to treat disorder", disorder, POLICIES)
        self.thermo_type, self.windows, self.disorder = thermo_type, dict(windows or {}), disorder
        self.chemical_systems = sorted("-".join(sorted(system.split("-"))) for system in chemical_systems)
        self.elements, self.exclude = sorted(elements), sorted(exclude)
        self.endpoint, self._patience = endpoint.rstrip("/") + "/", patience or Patience()
        self._connection: MaterialsProjectRoutes | None = None

    @property
    def query(self) -> dict[str, Any]:
        """The query as plain data."""
        return {
            "provider": "materials_project",
            "endpoint": self.endpoint,
            "thermo_type": self.thermo_type,
            "chemical_systems": self.chemical_systems,
            "elements": self.elements,
            "exclude": self.exclude,
            "windows": {name: list(window) for name, window in sorted(self.windows.items())},
            "disorder": self.disorder,
        }

    @property
    def properties(self) -> dict[str, dict[str, str]]:
        """Columns with their unit and method. Energies of a scheme other than PBE have the scheme in their name."""
        pbe = {_energy_column(name, self.thermo_type): (name, self.thermo_type) for name in ENERGIES}
        pbe |= {property_named(name).column("dft"): (name, "GGA or GGA+U") for name in _FROM_SUMMARY}
        return {column: {"unit": property_named(name).unit, "method": method} for column, (name, method) in pbe.items()}

    def connect(self, notify: Any) -> None:
        """Sign in.

        Raises:
            ProviderKeyError: If the environment holds no key, or the server does not accept it.
            ProviderError: If mp-api is not installed or the server cannot be reached.
        """
        self._connection = MaterialsProjectRoutes(self.endpoint, self._patience, notify)

    def describe(self) -> Database:
        """Describe the database in its present state."""
        return Database(
            provider="Materials Project",
            base_url=self.endpoint,
            version=self._connected.version,
            licence="CC-BY-4.0 (https://next-gen.materialsproject.org/about/terms)" if self.endpoint == API else "",
            thermo_type=self.thermo_type,
        )

    def pages(self, next_page: str) -> Iterator[Page]:
        """Yield the pages from ``next_page`` (empty for the first) on.

        Raises:
            ProviderError: If the server refuses, stays busy or gives an answer that makes no sense.
        """
        number = int(next_page or 1)
        while True:
            documents, total = self._connected.materials(self._criteria(), number, size=PAGE_SIZE)
            rows, notes = self._rows(documents)
            last = not documents or number * PAGE_SIZE >= total
            following = None if last else str(number + 1)
            # If a new release comes out during a fetch, this is noticed on the last page at the latest.
            version = self._connected.ask_version() if last else self._connected.version
            yield Page(rows, following, version, total, notes, len(documents) - len(rows))
            if last:
                return
            number += 1

    @property
    def _connected(self) -> MaterialsProjectRoutes:
        if self._connection is None:
            self.connect(lambda text: None)
        assert self._connection is not None
        return self._connection

    def _criteria(self) -> dict[str, Any]:
        """Return the part of the query that ``materials/summary`` can answer; its energies belong to another scheme."""
        criteria: dict[str, Any] = {WINDOWS[k]: w for k, w in self.windows.items() if k not in ENERGIES}
        for name in ("num_elements", "num_sites"):
            if name in criteria:
                criteria[name] = tuple(None if bound is None else int(bound) for bound in criteria[name])
        lists = {"chemsys": self.chemical_systems, "elements": self.elements, "exclude_elements": self.exclude}
        return criteria | {name: chosen for name, chosen in lists.items() if chosen}

    def _rows(self, documents: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], Counter[str]]:
        notes: Counter[str] = Counter()
        ids = [str(document.get("material_id", "")) for document in documents]
        windows = {WINDOWS[name]: self.windows[name] for name in ENERGIES if name in self.windows}
        energies = self._connected.energies(ids, self.thermo_type, windows)
        run_types = self._connected.run_types(ids)
        rows = []
        for entry_id, document in zip(ids, documents, strict=True):
            formula = str(document.get("formula_pretty") or "")
            if windows and entry_id not in energies:
                notes[OUTSIDE_WINDOW] += 1
            elif not isinstance(document.get("structure"), dict):
                rows.append(refused_row(entry_id, "E-FILE-FORMAT", "an entry without a structure", formula=formula))
            else:
                values = self._values(document, energies.get(entry_id, {}), run_types.get(entry_id, {}), notes)
                structure = document["structure"]
                row = entry_row(entry_id, structure, formula=formula, disorder=self.disorder, properties=values)
                rows.append(row)
        return rows, +notes

    def _values(
        self,
        document: Mapping[str, Any],
        energies: Mapping[str, Any],
        run_types: Mapping[str, str],
        notes: Counter[str],
    ) -> dict[str, float | None]:
        """Return the properties of a material by column. Values that are left out are counted in ``notes``."""
        found = {_energy_column(name, self.thermo_type): (name, energies.get(name)) for name in ENERGIES}
        for name, read in _FROM_SUMMARY.items():
            value = read(document)
            if name == "band_gap" and value is not None and not _is_pbe_gap(document, run_types):
                notes[OTHER_FUNCTIONAL] += 1
                value = None
            found[property_named(name).column("dft")] = (name, value)
        values = {column: plausible(name, value) for column, (name, value) in found.items()}
        notes[IMPLAUSIBLE] += sum(value is not None and values[column] is None for column, (_, value) in found.items())
        return values


def read_window(text: str) -> tuple[str, Window]:
    """Read a window as it is written on a command line.

    Raises:
        ProviderError: If the text is not a window.

    >>> read_window("energy_above_hull=:0.05")
    ('energy_above_hull', (None, 0.05))
    """
    smallest: float | None = None
    largest: float | None = None
    name, _, bounds = text.partition("=")
    low, colon, high = bounds.partition(":")
    try:
        smallest, largest = (float(bound) if bound.strip() else None for bound in (low, high))
    except ValueError:
        colon = ""
    in_order = smallest is None or largest is None or smallest <= largest
    if not colon or smallest is largest is None or not in_order:
        raise ProviderError(
            f"the window '{plain_line(text, 80)}'", "NAME=LOW:HIGH, NAME=LOW: or NAME=:HIGH", "such as band_gap=1.5:3"
        )
    return name.strip(), (smallest, largest)


def _energy_column(name: str, thermo_type: str) -> str:
    """Name of the column of an energy: the usual one for PBE, and a separate one for any other scheme.

    >>> _energy_column("energy_above_hull", "GGA_GGA+U"), _energy_column("energy_above_hull", "R2SCAN")
    ('energy_above_hull_dft', 'energy_above_hull_r2scan_dft')
    """
    if thermo_type == "GGA_GGA+U":
        return property_named(name).column("dft")
    return f"{name}_{thermo_type.lower().replace('+', '_')}_dft"


def _is_pbe_gap(document: Mapping[str, Any], run_types: Mapping[str, str]) -> bool:
    """Whether the band gap comes from PBE with or without U. If that is unclear, all results of the material must."""
    origins = document.get("origins")
    for origin in origins if isinstance(origins, list) else []:
        if isinstance(origin, dict) and origin.get("name") == "electronic_structure":
            return run_types.get(str(origin.get("task_id"))) in _PBE
    return bool(run_types) and set(run_types.values()) <= _PBE


def _average(modulus: Any) -> Any:
    return modulus.get("vrh") if isinstance(modulus, dict) else None


_FROM_SUMMARY: Mapping[str, Any] = {
    "band_gap": lambda document: document.get("band_gap"),
    "bulk_modulus_vrh": lambda document: _average(document.get("bulk_modulus")),
    "shear_modulus_vrh": lambda document: _average(document.get("shear_modulus")),
    "refractive_index": lambda document: document.get("n"),
    "piezoelectric_modulus": lambda document: document.get("e_ij_max"),
}
