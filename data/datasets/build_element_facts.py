"""Build the tables of quantities in ``data/tables``: prices, concentration of production, abundance, recycling.

Run ``python data/datasets/build_element_facts.py MENDELEEV_WHEEL``, with the wheel of mendeleev 1.3.0. The abundances
come from that wheel, concentrations of production that the Mineral Commodity Summaries do not tell from the installed
pymatgen. All else stands here as it was read. The lists of elements in the same folder were written by hand.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.resources
import io
import sqlite3
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from pymatgen.core import Composition

FOLDER = Path(__file__).parents[1] / "tables"
MENDELEEV_SHA256 = "76f415767b654634e51dead755513ef431abf200e892eab8468aa659ff218d1c"
HEADER = ("element", "value", "low", "high", "year", "basis", "note")
Row = Sequence[object]

POUND, TROY_OUNCE = 0.45359237, 0.0311034768  # kg, by definition
KILOGRAMS = {"USD/kg": 1.0, "USD/lb": POUND, "US cent/lb": 100 * POUND, "USD/t": 1000.0, "USD/troy oz": TROY_OUNCE}
# Element, substance that is priced, its price, unit, year, and what is quoted.
PRICES = (
    ("Al", "Al2O3", 590, "USD/t", 2025, "alumina, average unit value of imports"),
    ("Bi", "Bi", 20, "USD/lb", 2025, "metal of 99.99 %, Rotterdam"),
    ("Cd", "Cd", 3.90, "USD/kg", 2025, "metal, annual average"),
    ("Cr", "Cr", 5.90, "USD/lb", 2025, "chromium metal, gross weight"),
    ("Ga", "Ga", 580, "USD/kg", 2025, "average unit value of imports"),
    ("Hf", "Hf", 3800, "USD/kg", 2025, "hafnium, unwrought"),
    ("Hg", "Hg", 50, "USD/kg", 2024, "average unit value of imports"),
    ("In", "In", 370, "USD/kg", 2025, "annual average, U.S. warehouse"),
    ("La", "La2O3", 1.00, "USD/kg", 2025, "lanthanum oxide of 99.5 %"),
    ("Ce", "CeO2", 1.71, "USD/kg", 2025, "cerium oxide of 99.5 %"),
    ("Nd", "Nd2O3", 56, "USD/kg", 2025, "neodymium oxide"),
    ("Mn", "Mn", 450, "USD/t", 2025, "manganese in ore, 4.50 dollars per metric ton unit, China"),
    ("Nb", "Nb", 40, "USD/kg", 2025, "niobium in ferroniobium, 26 dollars per kilogram with 65 % Nb"),
    ("Pb", "Pb", 106, "US cent/lb", 2025, "metal, North America"),
    ("Sc", "Sc", 5200, "USD/kg", 2025, "scandium ingot of 99.999 %"),
    ("Sn", "Sn", 1600, "US cent/lb", 2025, "metal, New York dealer"),
    ("Ta", "Ta2O5", 180, "USD/kg", 2025, "tantalum pentoxide in tantalite"),
    ("Ti", "TiO2", 3200, "USD/t", 2025, "titanium dioxide pigment"),
    ("Tl", "Tl", 9300, "USD/kg", 2025, "metal"),
    ("V", "V2O5", 5.02, "USD/lb", 2025, "vanadium pentoxide"),
    ("Y", "Y", 40, "USD/kg", 2025, "yttrium metal of 99.9 %"),
    ("Zn", "Zn", 149, "US cent/lb", 2025, "metal, North America"),
    ("Zr", "Zr", 22, "USD/kg", 2025, "zirconium sponge, China"),
    ("Si", "Si", 130, "US cent/lb", 2025, "silicon metal"),
    ("Li", "Li2CO3", 14000, "USD/t", 2024, "battery-grade carbonate, Mineral Commodity Summaries 2025"),
    ("Mg", "Mg", 2500, "USD/t", 2025, "magnesium metal, Europe"),
    ("Ca", "CaO", 260, "USD/t", 2025, "quicklime at the plant"),
    ("K", "K2O", 1200, "USD/t", 2025, "potash at the mine, as K2O"),
    ("Ba", "BaSO4", 210, "USD/t", 2025, "ground barite"),
    ("Cu", "Cu", 440, "US cent/lb", 2025, "metal, London Metal Exchange"),
    ("Ag", "Ag", 38, "USD/troy oz", 2025, "bullion"),
    ("Ge", "Ge", 4100, "USD/kg", 2025, "metal"),
)
# Elements, world production and the three largest producers in 2025, and what is counted; units cancel.
PRODUCTION = (
    ("Al", 74000, (45000, 4200, 3900), "primary metal"), ("Sb", 110000, (40000, 32000, 22000), "mine"),
    ("As", 61000, (30000, 24000, 5000), "arsenic trioxide"), ("Be", 430, (230, 80, 77), "mine"),
    ("Bi", 16000, (14000, 1000, 500), "refinery"), ("Cd", 23000, (9500, 4300, 1300), "refinery"),
    ("Cr", 51000, (23000, 9000, 7000), "chromite"), ("Co", 310000, (230000, 44000, 7700), "mine"),
    ("Cu", 23000, (5300, 3200, 2700), "mine"), ("Ga", 900000, (900000, 6000, 3000), "low-purity primary metal"),
    ("Au", 3300, (380, 310, 280), "mine"), ("In", 1100, (760, 180, 65), "refinery"),
    ("Fe", 1600000, (600000, 260000, 190000), "iron in ore"), ("Pb", 4500, (1900, 480, 290), "mine"),
    ("Li", 290000, (92000, 62000, 56000), "mine, without the United States"),
    ("Mg", 1100, (950, 60, 20), "primary metal"), ("Mn", 20000, (7600, 5000, 2000), "mine"),
    ("Hg", 210, (200, 5, 4), "mine"), ("Mo", 260000, (97000, 42000, 40000), "mine"),
    ("Ni", 3900000, (2600000, 270000, 200000), "mine"), ("Nb", 112000, (104000, 6000, 970), "mine"),
    ("Pd", 190000, (84000, 70000, 16000), "mine"), ("Pt", 170000, (120000, 20000, 18000), "mine"),
    ("Re", 81000, (30000, 20000, 10000), "mine"), ("Se", 3800, (2000, 640, 320), "refinery"),
    ("Si", 4600, (4000, 180, 130), "silicon metal"), ("Ag", 26000, (6300, 3600, 3400), "mine"),
    ("Sr", 450000, (250000, 100000, 80000), "celestite"), ("Ta", 2500, (1300, 400, 390), "mine"),
    ("Te", 1000, (800, 67, 61), "refinery"), ("Sn", 290000, (71000, 61000, 33000), "mine"),
    ("Ti", 9400, (3200, 1900, 1300), "ilmenite"), ("W", 85000, (67000, 3000, 2400), "mine"),
    ("V", 110000, (82000, 21000, 5300), "mine"), ("Zn", 13000, (4100, 1500, 1100), "mine"),
    ("Zr", 1200, (400, 270, 160), "zircon"),
    ("La Ce Pr Nd Sm Eu Gd Tb Dy Ho Er Tm Yb Lu", 390000, (270000, 51000, 29000), "oxides of all rare earths together"),
)  # fmt: skip
# Classes of end-of-life recycling rates: lowest and highest rate, and the metals.
RECYCLING = (
    (0.5, 1.0, "Al Ti Cr Mn Fe Co Ni Cu Zn Nb Rh Pd Ag Sn Re Pt Au Pb"),
    (0.25, 0.5, "Mg Mo Ir"),
    (0.1, 0.25, "Ru Cd W"),
    (0.01, 0.1, "Sb Hg"),
    (0.0, 0.01, "Li Be B Sc V Ga Ge As Se Sr Y Zr In Te Ba Hf Ta Os Tl Bi La Ce Pr Nd Sm Eu Gd Tb Dy Ho Er Tm Yb Lu"),
)


def prices() -> Iterable[Row]:
    """Dollars for a kilogram of the element in the substance that is priced."""
    for element, substance, price, unit, year, quoted in PRICES:
        share = Composition(substance).get_wt_fraction(element)
        value = price / KILOGRAMS[unit] / share
        yield element, f"{value:.4g}", "", "", year, substance, f"{quoted}: {price:g} {unit}"


def concentrations() -> Iterable[Row]:
    """Herfindahl-Hirschman index of production by country, from 0 to 1.

    The three largest producers leave open how the rest is divided. The index is lowest if the rest is divided among
    many, and highest if each of the others produces as much as the third. The value is the highest.
    """
    told = set()
    for elements, world, largest, counted in PRODUCTION:
        total = max(world, sum(largest))
        shares = [value / total for value in largest]
        low = sum(share**2 for share in shares)
        high = low + (1 - sum(shares)) * shares[-1]
        for element in elements.split():
            told.add(element)
            yield element, f"{high:.4f}", f"{low:.4f}", f"{high:.4f}", 2025, counted, "three largest producers"
    text = importlib.resources.files("pymatgen.analysis").joinpath("hhi_data.csv").read_text("utf-8")
    for line in text.splitlines():
        element, production, _ = line.split(",")
        if not element.startswith("#") and element not in told:
            yield element, f"{float(production) / 1e4:.4f}", "", "", 2013, "", "Gaultois et al. 2013"


def abundances(wheel: Path) -> Iterable[Row]:
    """Milligrams of each element in a kilogram of the crust."""
    content = wheel.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    assert found == MENDELEEV_SHA256, f"another wheel: {found}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "elements.db"
        file.write_bytes(zipfile.ZipFile(io.BytesIO(content)).read("mendeleev/elements.db"))
        database = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
        rows = database.execute("SELECT symbol, abundance_crust FROM elements ORDER BY atomic_number").fetchall()
        database.close()
    for symbol, abundance in rows:
        if abundance is not None:
            yield symbol, f"{abundance:g}", "", "", 2014, "", ""


def recycling() -> Iterable[Row]:
    """Share of a metal in discarded products that is recycled; the value is the lowest of its class."""
    for low, high, elements in RECYCLING:
        for element in elements.split():
            yield element, f"{low:g}", f"{low:g}", f"{high:g}", 2011, "", ""


def write(name: str, rows: Iterable[Row]) -> None:
    """Write a table, elements by atomic number."""
    ordered = sorted(rows, key=lambda row: Composition(str(row[0])).elements[0].Z)
    assert len({row[0] for row in ordered}) == len(ordered), f"{name}: an element stands twice"
    path = FOLDER / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(ordered)
    print(f"{name}: {len(ordered)} elements, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


def build(wheel: Path) -> None:
    """Write every table of quantities."""
    write("element_prices", prices())
    write("production_concentration", concentrations())
    write("crustal_abundance", abundances(wheel))
    write("recycling_rates", recycling())


if __name__ == "__main__":
    build(Path(sys.argv[1]))
