"""Features of compositions, computed from the flat element and amount arrays.

``magpie``, ``stoichiometry``, ``valence_orbital`` and ``element_fraction`` are the sets of the same names in matminer
(Ward et al., npj Comput. Mater. 2, 16028 (2016)), with the same columns, order and values. There is one deliberate
difference: a row with an element that lacks an entry in the property table is refused; matminer uses the mean of all
elements instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import COMPOSITIONS
from matloop.data.candidates.compositions import Compositions
from matloop.data.elements import SYMBOLS, element_table
from matloop.data.errors import unknown_name
from matloop.data.feature_words import FeatureWords
from matloop.data.label import Label
from matloop.featurizers.base import Features, Featurizer, no_codes
from matloop.featurizers.elemental_words import ELEMENTAL_UNITS, ELEMENTAL_WORDS, statistic_words

MAGPIE_PROPERTIES: tuple[str, ...] = (
    "Number", "MendeleevNumber", "AtomicWeight", "MeltingT", "Column", "Row", "CovalentRadius", "Electronegativity",
    "NsValence", "NpValence", "NdValence", "NfValence", "NValence", "NsUnfilled", "NpUnfilled", "NdUnfilled",
    "NfUnfilled", "NUnfilled", "GSvolume_pa", "GSbandgap", "GSmagmom", "SpaceGroupNumber",
)  # fmt: skip
_MISSING = ("refuse", "impute")
_STATISTICS = ("minimum", "maximum", "range", "mean", "avg_dev", "mode")
_ORBITALS = ("s", "p", "d", "f")


class Magpie(Featurizer):
    """Statistics of 22 elemental properties over the atoms of a formula: 132 columns.

    With fractions x_i and property values p_i of the elements: minimum, maximum, range, mean = sum x_i p_i, mean
    absolute deviation = sum x_i |p_i - mean|, and mode = the value of the most abundant element (the smallest
    value if several are equally abundant).

    Args:
        missing: What to do if the table has no number for an element: ``refuse`` the row, or ``impute`` the mean over
            all elements like matminer.

    Raises:
        UnknownNameError: For another word.
    """

    name = "magpie"
    version = "1"
    needs = frozenset({COMPOSITIONS})

    def __init__(self, missing: Literal["refuse", "impute"] = "refuse") -> None:
        if missing not in _MISSING:
            raise unknown_name("way to treat missing data", str(missing), _MISSING)
        self.parameters: Mapping[str, Any] = {"missing": missing}
        self.feature_names = tuple(f"MagpieData {stat} {prop}" for prop in MAGPIE_PROPERTIES for stat in _STATISTICS)
        self._table = element_table().columns(MAGPIE_PROPERTIES)
        if missing == "impute":
            self._table = np.where(np.isnan(self._table), np.nanmean(self._table, axis=0), self._table)

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, 132)."""
        compositions = batch.compositions
        values = _statistics(compositions.offsets, compositions.elements, compositions.amounts, self._table)
        return Features(values, _codes_without_data(compositions, np.isnan(self._table).any(axis=1)))

    def words(self, name: str) -> FeatureWords:
        """Describe a statistic of an elemental property, in the group of that property."""
        _, statistic, elemental = name.split(" ")
        return statistic_words(ELEMENTAL_WORDS[elemental], statistic, unit=ELEMENTAL_UNITS.get(elemental, ""))


class Stoichiometry(Featurizer):
    """Number of elements and the p-norms (sum x_i^p)^(1/p) of the fractions, p = 2, 3, 5, 7, 10."""

    name = "stoichiometry"
    version = "1"
    needs = frozenset({COMPOSITIONS})
    parameters: Mapping[str, Any] = {}
    feature_names = tuple(f"{p}-norm" for p in (0, 2, 3, 5, 7, 10))

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, 6)."""
        compositions = batch.compositions
        rows, fractions = compositions.rows, compositions.fractions
        norms = [compositions.lengths.astype(float)]
        for p in (2, 3, 5, 7, 10):
            norms.append(np.bincount(rows, fractions**p, minlength=len(batch)) ** (1.0 / p))
        return Features(np.column_stack(norms), no_codes(len(batch)))

    def words(self, name: str) -> FeatureWords:
        """Describe the number of elements, or how unevenly they are mixed."""
        group = Label("stoichiometry", "化学计量")
        if name == "0-norm":
            return FeatureWords(group, Label("number of elements", "元素种数"))
        return FeatureWords(group, Label(f"unevenness of the amounts ({name})", f"元素含量不均度（{name}）"))


class ValenceOrbital(Featurizer):
    """Mean number of s, p, d and f valence electrons per atom, and each as a share of all valence electrons."""

    name = "valence_orbital"
    version = "1"
    needs = frozenset({COMPOSITIONS})
    parameters: Mapping[str, Any] = {}
    feature_names = tuple(f"{kind} {orbital} valence electrons" for kind in ("avg", "frac") for orbital in _ORBITALS)

    def __init__(self) -> None:
        self._table = element_table().columns((*(f"N{orbital}Valence" for orbital in _ORBITALS), "NValence"))

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, 8)."""
        compositions = batch.compositions
        weighted = self._table[compositions.elements] * compositions.fractions[:, None]
        means = sum_rows(compositions, weighted)
        with np.errstate(invalid="ignore"):
            shares = means[:, :4] / means[:, 4:]
        no_data = np.isnan(self._table).any(axis=1)
        return Features(np.hstack([means[:, :4], shares]), _codes_without_data(compositions, no_data))

    def words(self, name: str) -> FeatureWords:
        """Describe the mean number or share of the valence electrons of an orbital."""
        kind, orbital, _, _ = name.split(" ")
        quantity = ELEMENTAL_WORDS[f"N{orbital}Valence"]
        if kind == "avg":
            return statistic_words(quantity, "mean")
        share = Label(f"share of {orbital} among valence electrons", f"价电子中 {orbital} 电子占比")
        return FeatureWords(quantity, share)


class ElementFraction(Featurizer):
    """Atomic fraction of each element, from hydrogen to oganesson: 118 columns."""

    name = "element_fraction"
    version = "1"
    needs = frozenset({COMPOSITIONS})
    parameters: Mapping[str, Any] = {}
    feature_names = SYMBOLS[1:]

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, 118)."""
        compositions = batch.compositions
        values = np.zeros((len(batch), len(SYMBOLS)))
        values[compositions.rows, compositions.elements] = compositions.fractions
        return Features(values[:, 1:], no_codes(len(batch)))

    def words(self, name: str) -> FeatureWords:
        """Describe the share of an element; each element is a group of its own."""
        share = Label(f"share of {name}", f"{name} 含量")
        return FeatureWords(share, share)


def sum_rows(compositions: Compositions, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum the values of the entries of each candidate; (entries, k) becomes (n, k)."""
    if len(values) == 0:
        return np.zeros((len(compositions), values.shape[1]))
    return np.add.reduceat(values, compositions.offsets[:-1], axis=0)


def _codes_without_data(compositions: Compositions, no_data: NDArray[np.bool_]) -> NDArray[np.str_]:
    missing = np.bincount(compositions.rows, no_data[compositions.elements], minlength=len(compositions)) > 0
    return np.where(missing, "E-FEATURE-NODATA", no_codes(len(compositions)))


@numba.njit(cache=True, nogil=True)
def _statistics(offsets, elements, amounts, table):  # type: ignore[no-untyped-def]
    n, k = len(offsets) - 1, table.shape[1]
    values = np.empty((n, 6 * k))
    for i in range(n):
        start, stop = offsets[i], offsets[i + 1]
        total, largest = 0.0, 0.0
        for entry in range(start, stop):
            total += amounts[entry]
            largest = max(largest, amounts[entry])
        near_largest = largest - (1e-8 + 1e-5 * largest)  # equal in the sense of numpy.isclose, which matminer uses
        for prop in range(k):
            low, high, mode, mean, deviation = np.inf, -np.inf, np.inf, 0.0, 0.0
            for entry in range(start, stop):
                value = table[elements[entry], prop]
                low, high = min(low, value), max(high, value)
                mean += value * amounts[entry]
                if amounts[entry] >= near_largest:
                    mode = min(mode, value)
            mean /= total
            for entry in range(start, stop):
                deviation += abs(table[elements[entry], prop] - mean) * amounts[entry]
            if np.isnan(mean):
                low, high, mode = np.nan, np.nan, np.nan
            at = 6 * prop
            values[i, at], values[i, at + 1], values[i, at + 2] = low, high, high - low
            values[i, at + 3], values[i, at + 4], values[i, at + 5] = mean, deviation / total, mode
    return values
