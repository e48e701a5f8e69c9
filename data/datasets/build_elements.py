"""Build ``elements.csv`` from the Magpie tables that matminer 0.10.1 carries, and pymatgen's masses and radii.

Run ``python data/datasets/build_elements.py``. A number is copied as it is written in its table, so that features made
from it agree with matminer's to the last digit. A cell is empty where the source has no number: nothing is imputed.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import io
import warnings
from pathlib import Path

import matminer
import pyarrow.parquet as pq
from matminer.featurizers.composition import ElementProperty
from matminer.utils.data import MagpieData
from pymatgen.core import Composition, Element

OUTPUT = Path(__file__).with_name("elements.csv")
MATERIALS = Path(__file__).with_name("materials.parquet")
MATMINER_VERSION = "0.10.1"
TABLES = Path(matminer.__file__).parent / "utils" / "data_files" / "magpie_elementdata"
HEAVIEST = 118


def magpie_column(name: str) -> list[str]:
    """The numbers of one Magpie table as text by atomic number, empty where there is none."""
    lines = (TABLES / f"{name}.table").read_text().splitlines()[:HEAVIEST]
    return [_number(line) for line in lines] + [""] * (HEAVIEST - len(lines))


def _number(text: str) -> str:
    try:
        value = float(text)
    except ValueError:
        return ""
    return text.strip() if value == value else ""


def pymatgen_columns() -> dict[str, list[str]]:
    """Mass (u), atomic radius (Å) and Pauling electronegativity, as the shortest text that reads back the same."""
    elements = [Element.from_Z(number) for number in range(1, HEAVIEST + 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one warning for each number that is not known
        radii = [element.atomic_radius for element in elements]
        electronegativities = [float(element.X) for element in elements]
    return {
        "symbol": [element.symbol for element in elements],
        "name": [element.long_name for element in elements],
        "atomic_mass": [repr(float(element.atomic_mass)) for element in elements],
        "atomic_radius": ["" if radius is None else _number(repr(float(radius))) for radius in radii],
        "pauling_electronegativity": [_number(repr(value)) for value in electronegativities],
    }


def check(columns: dict[str, list[str]], features: list[str]) -> None:
    """Compare with what matminer reads, and print the gaps."""
    magpie = MagpieData(impute_nan=False)
    symbols = columns["symbol"]
    for name in features:
        for symbol, text in zip(symbols, columns[name], strict=True):
            value = magpie.all_elemental_props[name][symbol]
            if (float(text) if text else None) != (None if value != value else value):
                raise SystemExit(f"{name} of {symbol} is '{text}' here and {value} in matminer")
    formulas = pq.read_table(MATERIALS, columns=["formula"])["formula"].to_pylist()
    occurring = {str(element) for formula in set(formulas) for element in Composition(formula)}
    print(f"elements in {MATERIALS.name}: {len(occurring)}")
    for name in [*features, "atomic_mass", "atomic_radius"]:
        missing = [symbol for symbol, text in zip(symbols, columns[name], strict=True) if not text]
        print(f"{name}: none for {' '.join(missing) or 'no element'}")
        print(f"    of these in {MATERIALS.name}: {' '.join(s for s in missing if s in occurring) or 'none'}")


def main() -> None:
    """Write the table."""
    version = importlib.metadata.version("matminer")
    if version != MATMINER_VERSION:
        raise SystemExit(f"matminer {version} is installed, the table is made from {MATMINER_VERSION}")
    features = ElementProperty.from_preset("magpie", impute_nan=False).features
    extra = pymatgen_columns()
    columns = {"atomic_number": [str(number) for number in range(1, HEAVIEST + 1)]}
    columns |= {name: extra[name] for name in ("symbol", "name")}
    columns |= {name: magpie_column(name) for name in features}
    columns |= {name: extra[name] for name in ("atomic_mass", "atomic_radius", "pauling_electronegativity")}
    check(columns, features)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    OUTPUT.write_text(text.getvalue(), encoding="utf-8")
    print(f"{OUTPUT.name}: {len(columns)} columns, sha256 {hashlib.sha256(OUTPUT.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
