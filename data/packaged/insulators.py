"""Labels of insulators and metals by composition, from computed transport and from measured classes.

The archive of computed transport names no band gap. But in a metal the Seebeck coefficient at 300 K is small, and in a
crystal with a gap it is large for holes and for electrons alike, since all charge is carried near a band edge. A
crystal counts as an insulator if both exceed 150 uV/K (``benchmarks/models/metals.py`` prints how many of the packaged
dielectrics do).

A composition with a packaged crystal whose band gap was computed is an insulator, whatever the coefficients say.

In the measured classes an insulator has a measured band gap, and metals are compositions that somebody called so.
Doped and alloyed compositions are left out.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.packaged.materials import MATERIALS_SHA256, load_materials
from matloop.data.packaged.measured_gaps import CLASSES_FILE, load_measured_classes
from matloop.data.packaged.transport import ARCHIVE, load_transport
from matloop.data.properties.columns import Column, property_column

SMALLEST_SEEBECK = 150.0
"""uV/K, for holes and for electrons, above which a computed crystal counts as an insulator."""


@dataclass(frozen=True)
class InsulatorLabels:
    """Compositions that are known to be insulators or metals, each once.

    Attributes:
        formulas: Formula of each composition, length n.
        computed: Share of the computed crystals of each composition that are insulators, nan without one, shape (n,).
        measured: 1 where the measured classes say insulator, 0 where they say metal, else nan, shape (n,).
    """

    formulas: list[str]
    computed: NDArray[np.float64]
    measured: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.formulas)

    @property
    def values(self) -> NDArray[np.float64]:
        """What is learned of each composition, 0 to 1: the mean of what the two sources say, shape (n,)."""
        return np.asarray(np.nanmean([self.computed, self.measured], axis=0))

    @property
    def disagreeing(self) -> NDArray[np.bool_]:
        """Whether one source says insulator and the other metal, shape (n,)."""
        both = np.isfinite(self.computed) & np.isfinite(self.measured)
        return np.asarray(both & ((self.computed >= 0.5) != (self.measured >= 0.5)))

    @property
    def batch(self) -> CandidateBatch:
        """The compositions as candidates."""
        return CandidateBatch.from_formulas(self.formulas, exact=True).batch

    @property
    def about(self) -> dict[str, str]:
        """Hashes of the files that the labels come from."""
        return {
            "transport": ARCHIVE.sha256, "packaged_crystals": MATERIALS_SHA256, "measured_classes": CLASSES_FILE.sha256
        }  # fmt: skip

    def take(self, rows: NDArray[np.integer]) -> InsulatorLabels:
        """Return some of the compositions."""
        return InsulatorLabels([self.formulas[row] for row in rows.tolist()], self.computed[rows], self.measured[rows])

    def without(self, formulas: Iterable[str]) -> InsulatorLabels:
        """Return all compositions but those of some formulas.

        >>> "ReO3" in insulator_labels().without(["ReO3", "NbO"]).formulas
        False
        """
        left_out = composition_keys(_compositions(list(formulas)))
        return self.take(np.flatnonzero(~np.isin(composition_keys(_compositions(self.formulas)), left_out)))


@functools.cache
def insulator_labels() -> InsulatorLabels:
    """Read both sources.

    Raises:
        DatasetError: If a file is missing or is not the one that was released.

    >>> labels = insulator_labels()
    >>> len(labels), int(labels.disagreeing.sum())
    (36536, 227)
    """
    transport, classes = load_transport(), load_measured_classes()
    classes = classes.filter(pc.invert(classes["alloyed"]))  # all of them insulators, which amounts would give away
    smaller = np.minimum(*(np.abs(transport[f"seebeck_{sign}_dft"].to_numpy()) for sign in "pn"))
    formulas = [*transport[Column.FORMULA].to_pylist(), *classes[Column.FORMULA].to_pylist()]
    keys, first, place = np.unique(composition_keys(_compositions(formulas)), return_index=True, return_inverse=True)
    computed = _shares(place[: len(smaller)], smaller > SMALLEST_SEEBECK, count=len(first))
    computed = np.where(np.isin(keys, _keys_with_gap()) & np.isfinite(computed), 1.0, computed)
    measured = _shares(place[len(smaller) :], classes["insulator"].to_numpy(zero_copy_only=False), count=len(first))
    return InsulatorLabels([formulas[row] for row in first.tolist()], computed, measured)


def _keys_with_gap() -> NDArray[np.uint64]:
    """Keys of the compositions of packaged crystals with a computed gap above zero."""
    crystals = load_materials()
    return composition_keys(crystals.compositions)[crystals.column(property_column("band_gap", "dft")) > 0]


def _shares(place: NDArray[np.integer], insulating: NDArray[np.bool_], *, count: int) -> NDArray[np.float64]:
    """Share of insulators among the rows at each of ``count`` places, nan at a place without rows."""
    rows = np.bincount(place, minlength=count)
    return np.asarray(np.bincount(place, insulating, count) / np.where(rows, rows, np.nan))


def _compositions(formulas: list[str]) -> Compositions:
    return parse_formulas(formulas, exact=True)[0]
