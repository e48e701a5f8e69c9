"""How far a row of labels can be trusted: its weight and its stated error, from columns beside the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matloop.data.errors import InputFileError
from matloop.data.own_labels.label_account import LabelRow
from matloop.data.own_labels.label_cells import EMPTY, read_error, read_label, unit_of_column
from matloop.data.properties.units import convert

WEIGHT, UNCERTAINTY = "E-LABEL-WEIGHT", "E-LABEL-UNCERTAINTY"
_LIGHTEST = 1e-9  # weights far from 1 are slips, and their squares leave the range of numbers


class TextCell(NamedTuple):
    """Content of a cell as text, and where it stands."""

    text: str
    place: str


class TrustColumns:
    """Columns with weights and standard errors, one of each row.

    Args:
        weight: Column with weights, or None.
        uncertainty: Column with standard errors, or None.
        uncertainty_unit: Their unit; by default the one in the name of the column, or that of the values.
        unit: Unit of the values.
        to: Unit of the property.

    Raises:
        InputFileError: If there is a unit of uncertainties and no column with them.
        UnknownNameError: For an unknown unit.
        UnitError: If uncertainties and values measure different quantities.
    """

    def __init__(
        self, weight: str | None, uncertainty: str | None, uncertainty_unit: str | None, *, unit: str, to: str
    ) -> None:
        if uncertainty_unit is not None and uncertainty is None:
            raise InputFileError(
                f"uncertainty_unit {uncertainty_unit} without a column of uncertainties",
                "uncertainty: the name of a column", "name the column, or leave the unit out",
            )  # fmt: skip
        self._weight, self._uncertainty, self._to = weight, uncertainty, to
        self._unit = uncertainty_unit or unit_of_column(uncertainty or "", to) or unit
        convert(0.0, self._unit, to)

    @property
    def columns(self) -> Sequence[str]:
        """The columns to read."""
        return [name for name in (self._weight, self._uncertainty) if name is not None]

    def applied(self, row: LabelRow, cells: Mapping[str, TextCell]) -> LabelRow:
        """Return a row with its weight and error; a row that teaches nothing anyway stays as it is.

        Args:
            row: The row, which may have an error from the cell of its value. That of the column comes first.
            cells: Its cells in :attr:`columns`.
        """
        if not row.code and self._weight is not None:
            row = self._with_weight(row, cells[self._weight])
        if not row.code and self._uncertainty is not None:
            row = self._with_error(row, cells[self._uncertainty])
        return row

    def _with_weight(self, row: LabelRow, cell: TextCell) -> LabelRow:
        read = read_label(cell.text, "1", "1")
        if read.code or not _LIGHTEST <= read.value <= 1 / _LIGHTEST:
            detail = f"'{cell.text[:40]}' in '{self._weight}' is no weight; write a number above zero, such as 1"
            return row._replace(place=cell.place, code=WEIGHT, detail=detail)
        return row._replace(weight=read.value)

    def _with_error(self, row: LabelRow, cell: TextCell) -> LabelRow:
        error = read_error(cell.text, self._unit, self._to)
        if error.code == EMPTY:
            return row
        if error.code or error.uncertainty <= 0:
            detail = f"'{cell.text[:40]}' in '{self._uncertainty}' is no error; write one above zero, or none"
            return row._replace(place=cell.place, code=UNCERTAINTY, detail=detail)
        return row._replace(cell=row.cell._replace(uncertainty=error.uncertainty))
