"""Labels of insulators and metals by composition: from computed gaps, computed transport and measured classes.

Three sources answer the question whether a composition has a band gap, each in its own way:

- The Materials Project computed gaps. That of the polymorph of lowest energy counts, and metals and half-metals have
  none.
- The archive of computed transport names no gap. But in a metal the Seebeck coefficient at 300 K is small, and in a
  crystal with a gap it is large for holes and for electrons alike, since all charge is carried near a band edge. A
  crystal counts as an insulator if both exceed 150 uV/K (``benchmarks/models/metals.py`` prints how many of the
  packaged dielectrics do).
- In the measured classes an insulator has a measured band gap, and metals are compositions that somebody called so.
  Doped and alloyed compositions are left out.

A composition with a packaged crystal whose band gap was computed is an insulator, whatever the first two say.
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
from matloop.data.packaged.computed_properties import PROPERTY_FILES, load_computed_properties
from matloop.data.packaged.materials import MATERIALS_SHA256, load_materials
from matloop.data.packaged.measured_gaps import CLASSES_FILE, load_measured_classes
from matloop.data.packaged.transport import ARCHIVE, load_transport
from matloop.data.properties.columns import Column, property_column

_DATABASE = "materials_project"
SMALLEST_SEEBECK = 150.0
"""uV/K, for holes and for electrons, above which a computed crystal counts as an insulator."""


GAPS, TRANSPORT, MEASURED = SOURCES = "computed gaps", "computed transport", "measured classes"
"""The sources, in the order of the columns of :attr:`InsulatorLabels.answers`."""


@dataclass(frozen=True)
class InsulatorLabels:
    """Compositions that are known to be insulators or metals, each once.

    Attributes:
        formulas: Formula of each composition, length n.
        answers: What each of :data:`SOURCES` says, 1 of an insulator and 0 of a metal, and nan where it does not know
            the composition, shape (n, 3). Transport gives the share of the computed crystals that are insulators.
    """

    formulas: list[str]
    answers: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.formulas)

    def of(self, source: str) -> NDArray[np.float64]:
        """What one source says, shape (n,).

        Args:
            source: One of :data:`SOURCES`.
        """
        return self.answers[:, SOURCES.index(source)]

    @property
    def disagreeing(self) -> NDArray[np.bool_]:
        """Whether one source says insulator and another metal, shape (n,)."""
        return np.asarray((self.answers > 0.5).any(axis=1) & (self.answers < 0.5).any(axis=1))

    @property
    def batch(self) -> CandidateBatch:
        """The compositions as candidates."""
        return CandidateBatch.from_formulas(self.formulas, exact=True).batch

    def take(self, rows: NDArray[np.integer]) -> InsulatorLabels:
        """Return some of the compositions."""
        return InsulatorLabels([self.formulas[row] for row in rows.tolist()], self.answers[rows])

    def without(self, formulas: Iterable[str]) -> InsulatorLabels:
        """Return all compositions but those of some formulas.

        >>> "ReO3" in insulator_labels().without(["ReO3", "NbO"]).formulas
        False
        """
        left_out = composition_keys(_compositions(list(formulas)))
        return self.take(np.flatnonzero(~np.isin(composition_keys(_compositions(self.formulas)), left_out)))


def files_of_labels() -> dict[str, str]:
    """Hashes of the files that the labels come from; nothing is read for it."""
    return {
        "computed_gaps": PROPERTY_FILES[_DATABASE, "band_gap"].sha256, "transport": ARCHIVE.sha256,
        "packaged_crystals": MATERIALS_SHA256, "measured_classes": CLASSES_FILE.sha256,
    }  # fmt: skip


@functools.cache
def insulator_labels() -> InsulatorLabels:
    """Read all sources.

    Raises:
        DatasetError: If a file is missing or is not the one that was released.

    >>> labels = insulator_labels()
    >>> len(labels), int(labels.disagreeing.sum())
    (81498, 1966)
    """
    gaps, transport, classes = (
        load_computed_properties("band_gap", _DATABASE),
        load_transport(),
        load_measured_classes(),
    )
    classes = classes.filter(pc.invert(classes["alloyed"]))  # all of them insulators, which amounts would give away
    smaller = np.minimum(*(np.abs(transport[f"seebeck_{sign}_dft"].to_numpy()) for sign in "pn"))
    insulating = [
        gaps["value"].to_numpy() > 0, smaller > SMALLEST_SEEBECK, classes["insulator"].to_numpy(zero_copy_only=False)
    ]  # fmt: skip
    formulas = [name for table in (gaps, transport, classes) for name in table[Column.FORMULA].to_pylist()]
    keys, first, place = np.unique(composition_keys(_compositions(formulas)), return_index=True, return_inverse=True)
    ends = np.cumsum([len(said) for said in insulating])[:-1]
    places = np.split(place, ends)
    answers = np.stack([_shares(at, said, len(first)) for at, said in zip(places, insulating, strict=True)], axis=1)
    computed = answers[:, :2]  # a view
    computed[np.isin(keys, _keys_with_gap())[:, None] & np.isfinite(computed)] = 1.0
    return InsulatorLabels([formulas[row] for row in first.tolist()], answers)


def _keys_with_gap() -> NDArray[np.uint64]:
    """Keys of the compositions of packaged crystals with a computed gap above zero."""
    crystals = load_materials()
    return composition_keys(crystals.compositions)[crystals.column(property_column("band_gap", "dft")) > 0]


def _shares(place: NDArray[np.integer], insulating: NDArray[np.bool_], count: int) -> NDArray[np.float64]:
    """Share of insulators among the rows at each of ``count`` places, nan at a place without rows."""
    rows = np.bincount(place, minlength=count)
    return np.asarray(np.bincount(place, insulating, count) / np.where(rows, rows, np.nan))


def _compositions(formulas: list[str]) -> Compositions:
    return parse_formulas(formulas, exact=True)[0]
