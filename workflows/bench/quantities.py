"""A quantity that labels give: a property of the catalogue, or a column of a user's table that no catalogue defines."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.label import Label
from matloop.data.properties.carried import is_property_column
from matloop.data.properties.catalogue import catalogue, property_named
from matloop.data.properties.definition import Transform

DECADES = 10
"""A column that no catalogue defines is learned on its logarithm if its values, all positive, span this factor."""


class Quantity(NamedTuple):
    """What a benchmark has to know of a quantity.

    Attributes:
        name: Name of the property, or of the column.
        label: For people; a column that no catalogue defines stands under its own name.
        unit: Unit of the values, ``1`` where none is known.
        lower: Smallest possible value.
        upper: Largest possible value.
    """

    name: str
    label: Label
    unit: str = "1"
    lower: float = -np.inf
    upper: float = np.inf


def quantity_named(name: str) -> Quantity:
    """A property by its name or by one of its columns; any other name is that of a column of the table.

    >>> quantity_named("band_gap_exp").name, quantity_named("ZT").lower
    ('band_gap', -inf)
    """
    stem = name.rpartition("_")[0] if is_property_column(name) else name
    if stem not in catalogue():
        return Quantity(name, Label(name, name))
    known = property_named(stem)
    return Quantity(known.name, Label(known.label_en, known.label_zh), known.unit, known.lower, known.upper)


def scale_of(name: str, values: NDArray[np.float64]) -> Transform:
    """Scale on which a quantity is learned: that of the property, or the logarithm of what spans decades.

    >>> scale_of("ZT", np.array([0.01, 0.1, 1.0])), scale_of("ZT", np.array([0.0, 0.1, 1.0]))
    ('log10', 'identity')
    """
    if name in catalogue():
        return property_named(name).transform
    low, high = np.quantile(values, (0.05, 0.95))
    return "log10" if values.min() > 0 and high > DECADES * low else "identity"
