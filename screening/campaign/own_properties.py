"""A property that a campaign defines for itself, because the packaged catalogue does not know it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from matloop.data.errors import MatloopError
from matloop.data.properties.definition import Property
from matloop.data.properties.units import canonical_unit
from matloop.screening.campaign.frozen_model import FrozenModel


class OwnProperty(FrozenModel):
    """Name, unit, bounds and words of a property."""

    name: str = Field(description="Small letters, digits and underscores; targets and labels use this name.")
    unit: str = Field(description="Unit of all its numbers, such as `S/cm`.")
    lower: float = Field(description="Smallest possible value, in `unit`; labels below it are left out.")
    upper: float = Field(description="Largest plausible value, in `unit`; labels above it are left out.")
    scale: Literal["linear", "log10"] = Field(
        "linear", description="Scale on which surrogates learn it: `log10` for what is spread over decades."
    )
    label_en: str = Field("", max_length=100, description="English words for it; the name if left out.")
    label_zh: str = Field("", max_length=100, description="Chinese words for it; the English ones if left out.")
    symbol: str = Field("", max_length=20, description="Symbol on axes; the English words if left out.")
    description_en: str = Field("", max_length=500, description="Meaning of the number, in one sentence.")
    description_zh: str = Field("", max_length=500, description="The same in Chinese.")

    @model_validator(mode="after")
    def _keeps_the_rules(self) -> Self:
        try:
            self.definition()
        except MatloopError as error:
            raise ValueError(str(error)) from error
        return self

    def definition(self) -> Property:
        """The property as the catalogue holds it.

        Raises:
            PropertyError: If it breaks the rules of the catalogue.
            UnknownNameError: If its unit is unknown.

        >>> OwnProperty(name="ionic_conductivity", unit="S cm-1", lower=0, upper=100, scale="log10").definition().unit
        'S/cm'
        """
        english = self.label_en or self.name.replace("_", " ")
        return Property(
            name=self.name, symbol=self.symbol or english, unit=canonical_unit(self.unit), label_en=english,
            label_zh=self.label_zh or english, description_en=self.description_en, description_zh=self.description_zh,
            lower=self.lower, upper=self.upper, transform="log10" if self.scale == "log10" else "identity",
        )  # fmt: skip
