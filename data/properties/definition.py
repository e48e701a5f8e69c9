"""The definition of a property: name, unit, scale, bounds and words; checked when it is made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from matloop.data.errors import PropertyError
from matloop.data.properties.columns import SUFFIXES, Column, Suffix, probability_of, property_column
from matloop.data.properties.units import UNITS, canonical_unit

Transform = Literal["identity", "log10"]


@dataclass(frozen=True, kw_only=True)
class Property:
    """One material property.

    Attributes:
        name: Column stem; columns are ``name_dft``, ``name_pred`` and so on.
        symbol: Short symbol used on axes.
        unit: Unit of every column of this property, as :mod:`matloop.data.properties.units` writes it.
        label_en: English label.
        label_zh: Chinese label.
        description_en: Meaning of the number and how it is obtained, in one sentence.
        description_zh: The same in Chinese.
        lower: Smallest physically possible value; predictions are clipped there.
        upper: Largest plausible value; a larger input is held back as a likely unit mistake.
        transform: Scale on which surrogates learn it unless a campaign says otherwise: the logarithm of what is
            positive and spread over decades, or has a long tail.

    Raises:
        PropertyError: If an attribute breaks the rules.

    >>> Property(name="density", symbol="d", unit="g/cc", label_en="density", label_zh="密度", lower=0, upper=30)
    Traceback (most recent call last):
    ...
    matloop.data.errors.PropertyError: E-PROPERTY: property 'density' has unit 'g/cc'. Allowed: g/cm3.
    """

    name: str
    symbol: str
    unit: str
    label_en: str
    label_zh: str
    description_en: str = ""
    description_zh: str = ""
    lower: float
    upper: float
    transform: Transform = "identity"

    def __post_init__(self) -> None:
        self._check_name()
        unit = canonical_unit(self.unit)
        if self.unit not in UNITS:
            raise PropertyError(f"property '{self.name}' has unit '{self.unit}'", unit)
        for label in ("label_en", "label_zh", "symbol"):
            text = getattr(self, label)
            if not text.strip() or not text.isprintable():
                raise PropertyError(f"property '{self.name}' has {label} {text!r}", "a printable text in one line")
        if not self.lower < self.upper:
            raise PropertyError(f"property '{self.name}' lies in {self.lower:g} to {self.upper:g}", "lower < upper")
        if self.transform not in ("identity", "log10"):
            raise PropertyError(f"property '{self.name}' has transform '{self.transform}'", "identity, log10")
        if self.transform == "log10" and not self.lower >= 0:
            raise PropertyError(
                f"property '{self.name}' may be {self.lower:g} and is learned on its logarithm",
                "a lower bound of at least 0", "use transform 'identity'",
            )  # fmt: skip

    def _check_name(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,59}", self.name):
            raise PropertyError(
                f"a property named {self.name[:80]!r}", "an identifier of small letters, digits and underscores"
            )
        columns = {probability_of(self.name), *(property_column(self.name, suffix) for suffix in SUFFIXES)}
        if taken := columns & set(Column):
            raise PropertyError(f"property '{self.name}' would have a column {taken.pop()}", "", "choose another name")

    def column(self, suffix: Suffix) -> str:
        """Column name of this property from one provenance."""
        return property_column(self.name, suffix)

    @property
    def label(self) -> str:
        """English label with the unit, as written on an axis."""
        return self.label_en if self.unit == "1" else f"{self.label_en} ({self.unit})"
