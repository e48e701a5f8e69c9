"""Build ``electronic_polarisabilities.csv``: what each element adds to the Lorentz-Lorenz sum of a crystal.

Run ``python data/datasets/build_polarisabilities.py``. The 1,056 packaged crystals with a computed refractive index n
and a volume V give, by least squares, a polarisability alpha of each element in

    (n^2 - 1) / (n^2 + 2) = sum of alpha over the atoms of the cell / V.

Four classes of compounds have polarisabilities of their own, because what a cation adds depends on its anions: oxides,
fluorides, other halides, and all others. What few crystals of a class determine is drawn towards what all crystals say,
shifted by a smooth function of a dozen elemental properties, and that towards another such function. Formulas are
divided into ten parts by their key, and each column leaves one part out: a crystal gets polarisabilities that no
crystal of its formula has taught. The constant 4 pi / 3 is part of them.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from matloop.data.chemistry.polarisabilities import (
    CLASSES,
    PARTS,
    POLARISABILITY_FILE,
    classes_of,
    index_of_sum,
    parts_of,
    polarisability_sums,
)
from matloop.data.elements import SYMBOLS, element_table
from matloop.data.packaged.materials import load_materials

PROPERTIES = (
    "CovalentRadius", "Electronegativity", "Row", "NpValence", "NdValence", "NfValence", "NsValence", "NUnfilled",
)  # fmt: skip
TOWARDS_SMOOTH = 4e-7
"""Strength with which an element is drawn towards the smooth function of all crystals, times their number."""
TOWARDS_ALL = 1.2e-6
"""Strength with which an element of a class is drawn towards what all crystals say, times the crystals of the class."""


WEAKEST = 1e-3
"""Strength that keeps the smooth functions small where nothing determines them, times the number of crystals."""


def smooth_terms() -> NDArray[np.float64]:
    """Terms of the smooth function of elemental properties, shape (119, 12)."""
    table = element_table().columns(PROPERTIES)
    radius, electronegativity, row, p, d, f, s, unfilled = np.where(
        np.isnan(table), np.nanmedian(table, axis=0), table
    ).T
    volume = (radius / 100) ** 3
    return np.stack(
        [
            np.ones(len(table)), volume, volume * electronegativity, electronegativity, electronegativity**2, row, p,
            np.where(d < 10, d, 0.0), d == 10, f, s, unfilled,
        ],
        axis=1,
    )  # fmt: skip


def fitted(amounts: NDArray[np.float64], sums: NDArray[np.float64], kinds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Polarisabilities by class and element, shape (4, 119).

    Args:
        amounts: Atoms of each element per volume, shape (n, 119).
        sums: Lorentz-Lorenz sums, shape (n,).
        kinds: Class of each crystal, shape (n,).
    """
    of_all = _fitted(amounts, sums, np.zeros(len(SYMBOLS)), TOWARDS_SMOOTH)
    return np.stack(
        [_fitted(amounts[kinds == kind], sums[kinds == kind], of_all, TOWARDS_ALL) for kind in range(len(CLASSES))]
    )


def _fitted(
    amounts: NDArray[np.float64], sums: NDArray[np.float64], centre: NDArray[np.float64], strength: float
) -> NDArray[np.float64]:
    """Polarisabilities near a centre that is shifted by a smooth function, shape (119,)."""
    terms, rest = smooth_terms(), sums - amounts @ centre
    terms = terms / (np.sqrt(((amounts @ terms) ** 2).mean(axis=0)) + 1e-12)
    used = amounts @ terms
    weak = WEAKEST * len(sums) * np.eye(terms.shape[1])
    smooth = centre + terms @ np.linalg.solve(used.T @ used + weak, used.T @ rest)
    squares = amounts.T @ amounts + strength * len(sums) * np.eye(len(smooth))
    return smooth + np.linalg.solve(squares, amounts.T @ (sums - amounts @ smooth))


def build() -> None:
    """Fit, check and write."""
    crystals = load_materials()
    indices = crystals.column("refractive_index_dft")
    batch = crystals.take(np.flatnonzero(np.isfinite(indices)))
    indices = indices[np.isfinite(indices)]
    assert batch.crystals is not None
    cells = batch.crystals.compositions()
    amounts = np.zeros((len(batch), len(SYMBOLS)))
    np.add.at(amounts, (cells.rows, cells.elements), cells.amounts)
    amounts /= batch.crystals.volumes[:, None]
    sums, part = (indices**2 - 1) / (indices**2 + 2), parts_of(batch.compositions)
    kinds = classes_of(batch.compositions)
    columns = [fitted(*(of[part != number] for of in (amounts, sums, kinds))) for number in range(PARTS)]
    write(columns)
    found = index_of_sum(polarisability_sums(batch))
    decades = np.abs(np.log10(found / indices))
    print(
        f"{len(batch)} crystals: mean error {decades.mean():.4f} decades, 80 % within {np.quantile(decades, 0.8):.4f}"
    )
    for kind, name in enumerate(CLASSES):
        own = decades[kinds == kind]
        print(f"  {name}: {len(own)} crystals, mean error {own.mean():.4f}, 80 % within {np.quantile(own, 0.8):.4f}")


def write(columns: Sequence[NDArray[np.float64]]) -> None:
    """Write the table; polarisabilities in cubic angstroms."""
    with POLARISABILITY_FILE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["compounds", "symbol", *(f"part_{number}" for number in range(PARTS))])
        for kind, name in enumerate(CLASSES):
            for element in range(1, len(SYMBOLS)):
                writer.writerow([name, SYMBOLS[element], *(f"{column[kind, element]:.4f}" for column in columns)])


if __name__ == "__main__":
    build()
