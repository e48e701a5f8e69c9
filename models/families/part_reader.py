"""Let a family read only some of the columns, so that families with different needs can share a matrix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.bounded_files import read_json
from matloop.data.errors import ModelError
from matloop.data.registry import lookup
from matloop.models.families.contract import Contributions, Ensemble
from matloop.models.families.row_weights import fitted
from matloop.models.registry import MODELS

COLUMNS = "columns"
"""Setting of the columns that a family reads, which every family may have."""

_FILE = "part_reader.json"


class PartReader(Ensemble):
    """An ensemble that reads part of the columns, in the order of the features.

    Args:
        name: Registered family.
        columns: Ranges of columns to read, see :func:`check_ranges`.
        settings: Settings of the family.

    Attributes:
        parameters: Settings of the family, and ``columns``.
        shown: Whether each column is read, shape (k,); empty before the fit.

    Raises:
        ModelError: If the columns are not a list of ranges.
    """

    family: ClassVar[str] = "part_reader"

    def __init__(self, name: str, *, columns: list[list[int | None]], settings: Mapping[str, Any]) -> None:
        check_ranges(columns)
        self._name, self._settings = name, dict(settings)
        self.parameters: dict[str, Any] = {**self._unfitted().parameters, COLUMNS: columns}
        self._ensemble: Ensemble | None = None
        self.shown = np.empty(0, bool)

    def fit(
        self,
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        *,
        groups: NDArray[np.integer] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> Self:
        """Fit to its columns of features (n, k), and to targets (n,).

        Raises:
            ModelError: If a column is missing, or the family cannot be fitted.
        """
        self.shown = _mask(self.parameters[COLUMNS], values.shape[1])
        self._ensemble = fitted(self._unfitted(), self.part(values), target, groups=groups, weights=weights)
        return self

    def predict(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict mean and spread, each (n,), from features with all columns, (n, k)."""
        ensemble = self.reader
        if values.shape[1] != len(self.shown):
            raise ModelError(f"{values.shape[1]} features", f"the {len(self.shown)} it was fitted on")
        return ensemble.predict(self.part(values))

    def importances(self) -> NDArray[np.float64]:
        """Importances of the family, zero for columns that it does not read, shape (k,), sums to 1."""
        inside = self.reader.importances()
        shares = np.zeros(len(self.shown))
        shares[self.shown] = inside
        return shares

    def contributions(self, values: NDArray[np.float64], background: NDArray[np.float64]) -> Contributions | None:
        """Compute contributions of the family. Columns that it does not read contribute nothing."""
        part = self.reader.contributions(self.part(values), self.part(background))
        if part is None:
            return None
        everywhere = np.zeros(values.shape)
        everywhere[:, self.shown] = part.values
        return replace(part, values=everywhere)

    def save(self, folder: Path) -> None:
        """Write ``part_reader.json``, and the family into a separate folder."""
        ensemble, inside = self.reader, folder / "family"
        inside.mkdir()
        ensemble.save(inside)
        content = {
            "name": self._name, COLUMNS: self.parameters[COLUMNS], "settings": self._settings,
            "features": len(self.shown),
        }  # fmt: skip
        (folder / _FILE).write_text(json.dumps(content))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote."""
        content = read_json(folder / _FILE)
        reader = cls(content["name"], columns=content[COLUMNS], settings=content["settings"])
        reader.shown = _mask(reader.parameters[COLUMNS], content["features"])
        reader._ensemble = lookup("model", MODELS, reader._name).load(folder / "family")
        return reader

    def part(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Select the columns to read from features with all columns, (n, k)."""
        return np.compress(self.shown, values, axis=1)

    def _unfitted(self) -> Ensemble:
        made: Ensemble = lookup("model", MODELS, self._name)(**self._settings)
        return made

    @property
    def reader(self) -> Ensemble:
        """The fitted family.

        Raises:
            ModelError: If it was not fitted.
        """
        if self._ensemble is None:
            raise ModelError("an ensemble that was never fitted", "an ensemble after fit() or load()")
        return self._ensemble


def check_ranges(columns: Any) -> None:
    """Check a list of ranges ``[first, one after the last]`` of columns, counted from 0, with None for the end.

    Raises:
        ModelError: If it is not such a list; the message shows an example.

    >>> check_ranges([[0, 118], [250, None]])
    """
    if not (isinstance(columns, list) and columns and all(_is_range(pair) for pair in columns)):
        raise ModelError(
            f"columns {columns!s:.80}", "a list of ranges [first, one after the last]",
            "write [[0, 118], [250, null]] for the first 118 columns and those from the 251st on",
        )  # fmt: skip


def _is_range(pair: Any) -> bool:
    if not (isinstance(pair, list) and len(pair) == 2 and all(type(end) is int for end in pair if end is not None)):
        return False
    first, end = pair
    return first is not None and first >= 0 and (end is None or first < end)


def columns_in_ranges(columns: list[list[int | None]], width: int) -> list[int]:
    """Return the places of the columns in the ranges, of ``width`` columns.

    Raises:
        ModelError: If it is no list of ranges, or one lies beyond the columns.

    >>> columns_in_ranges([[0, 2], [4, None]], 5)
    [0, 1, 4]
    """
    check_ranges(columns)
    return [int(place) for place in np.flatnonzero(_mask(columns, width))]


def _mask(columns: list[list[int | None]], width: int) -> NDArray[np.bool_]:
    """Whether each of ``width`` columns lies in the ranges, shape (width,).

    >>> _mask([[0, 2], [4, None]], 5)
    array([ True,  True, False, False,  True])
    """
    shown = np.zeros(width, bool)
    for first, end in columns:
        # Columns behind the others may be missing, such as the computed value for a member that does not read it.
        start = 0 if first is None else first
        beyond = start > width or (start == width and not shown.any())
        if beyond or (end or 0) > width:
            raise ModelError(f"columns {[first, end]} of {width} features", f"ranges within 0 to {width}")
        shown[first:end] = True
    return shown
