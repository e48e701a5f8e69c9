"""A target of a campaign: the property that matters, what is wanted of it, and what it is learned from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)  # fmt: skip

from matloop.data.errors import UnitError, UnknownNameError
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.conditions import read_conditions
from matloop.data.properties.definition import Transform
from matloop.data.properties.provenance import Provenance
from matloop.data.properties.units import convert
from matloop.data.training.packaged_tables import MEASURED_TABLES
from matloop.screening.campaign.frozen_model import FrozenModel
from matloop.screening.campaign.written_values import Families, read_provenance

Goal = Literal["maximize", "minimize", "at_least", "at_most", "window"]

ANY_DFT = "dft"
"""Provenance of the labels of a target that does not name one: computed, with any functional."""

EXPERIMENT = "experiment"
"""Scale of a target whose limit and predictions are measured values."""


class Transfer(FrozenModel):
    """Learn a property from labels of one provenance with the help of labels of another.

    Many computed values and few measured ones give one model: of the measured values. It learns the difference, so the
    two kinds of labels are never mixed.
    """

    from_: str = Field(
        alias="from", description="Provenance of the many labels that help, such as `dft:pbe`, or that of another lab."
    )
    to: str = Field(description="Provenance of the labels that the surrogate predicts, such as `exp`.")

    @field_validator("from_", "to")
    @classmethod
    def _are_provenances(cls, written: str) -> str:
        return read_provenance(written)

    @model_validator(mode="after")
    def _two_different_provenances(self) -> Self:
        helping, wanted = Provenance.read(self.from_), Provenance.read(self.to)
        if helping.covers(wanted) or wanted.covers(helping):
            raise ValueError(
                f"'from: {self.from_}' and 'to: {self.to}' may mean the same labels; name two different provenances"
            )
        return self

    @model_serializer
    def _as_written(self) -> dict[str, str]:
        return {"from": self.from_, "to": self.to}

    def helps(self, provenance: str) -> bool:
        """Whether labels of a provenance are those that help.

        Raises:
            ProvenanceError: If the text is not a provenance.
        """
        return Provenance.read(self.from_).covers(Provenance.read(provenance))


class Target(FrozenModel):
    """The range that is wanted for one property.

    ``maximize`` and ``minimize`` ask for a value better than ``value``, or better than 95 % of the training data if
    ``value`` is left out. So every target is a range, and candidates rank by the probability of lying in all ranges.
    """

    property: str = Field(description="Name of the property.")
    goal: Goal = Field(description="Kind of range.")
    unit: str = Field(description="Unit of the numbers below.")
    value: float | None = Field(None, description="Limit of the range, in `unit`.")
    lower: float | None = Field(None, description="Lower end of a window, in `unit`.")
    upper: float | None = Field(None, description="Upper end of a window, in `unit`.")
    family: Families | None = Field(
        None, description="Model family, or a list of families to choose among. If left out, that of the stage."
    )
    provenance: str = Field(
        ANY_DFT, description="Where the labels come from: `dft`, `dft:FUNCTIONAL`, `exp` or `exp:LAB`."
    )
    transform: Transform | None = Field(
        None, description="Scale on which the surrogate learns the property. If left out, that of the property."
    )
    at: dict[str, str] = Field(
        default_factory=dict,
        description="Conditions at which the property is wanted, where its labels state them: each a number with its "
        "unit, such as `temperature: 300 K`.",
    )
    probability: Literal["distribution", "classifier"] = Field(
        "distribution",
        description="How to compute the probability of meeting the target: from the predictive distribution of the "
        "value, or by a calibrated classifier of lying in the range.",
    )

    transfer: Transfer | None = Field(
        None,
        description="Labels of another provenance that help, such as `{from: dft:pbe, to: exp}`: few measured rows "
        "lift many computed ones. Labels of two provenances are never mixed without it.",
    )

    value_scale: Literal["experiment"] | None = Field(
        None,
        alias="scale",
        description="`experiment`: the limit and all predictions are measured values. Packaged measured values teach "
        "how they follow from computed ones; the prediction on the computed scale stands beside. For "
        f"{' and '.join(f'`{name}`' for name in MEASURED_TABLES)}.",
    )

    @model_validator(mode="before")
    @classmethod
    def _experiment_is_a_transfer(cls, written: Any) -> Any:
        if not isinstance(written, Mapping) or written.get("scale") != EXPERIMENT:
            return written
        if given := [name for name in ("transfer", "provenance") if written.get(name) is not None]:
            raise ValueError(f"'scale: experiment' is a transfer from dft to exp by itself; leave '{given[0]}' out")
        if (named := written.get("property")) not in MEASURED_TABLES:
            raise ValueError(
                f"'scale: experiment' knows no measured values of {named}, only of {', '.join(MEASURED_TABLES)}; give "
                "own labels under 'data' and write 'transfer: {from: dft, to: exp}'"
            )
        return {**written, "transfer": {"from": ANY_DFT, "to": "exp"}, "provenance": "exp"}

    @model_validator(mode="before")
    @classmethod
    def _transfer_names_provenance(cls, written: Any) -> Any:
        if isinstance(written, Mapping) and "provenance" not in written:
            transfer = written.get("transfer")
            wanted = transfer.to if isinstance(transfer, Transfer) else None
            if isinstance(transfer, Mapping):
                wanted = transfer.get("to")
            if isinstance(wanted, str):
                return {**written, "provenance": wanted}
        return written

    @field_validator("provenance")
    @classmethod
    def _provenance_is_one(cls, written: str) -> str:
        return read_provenance(written)

    @field_validator("at", mode="before")
    @classmethod
    def _conditions_have_units(cls, written: Any) -> Any:
        if not isinstance(written, Mapping):
            raise ValueError("write each condition with its value, such as {temperature: 300 K}")
        try:
            read_conditions(written)
        except (UnitError, UnknownNameError) as error:
            raise ValueError(str(error)) from error
        return written

    def conditions(self) -> dict[str, float]:
        """Return the conditions at which the property is wanted, by name, in the unit in which each is stored."""
        return read_conditions(self.at)

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Plain values; what has its default is left out where a target that does not name it reads the same."""
        written: dict[str, Any] = handler(self)
        if self.provenance == ANY_DFT:
            written.pop("provenance", None)
        if self.transfer is None:
            written.pop("transfer", None)
        if not self.at:
            written.pop("at", None)
        scale = written.pop("value_scale", written.pop("scale", None))
        if scale is not None:  # which says where labels come from too
            written = {name: value for name, value in written.items() if name not in ("transfer", "provenance")}
            written["scale"] = scale
        return written

    def names_provenance(self) -> bool:
        """Whether the campaign says which labels teach this target."""
        return self.provenance != ANY_DFT

    def accepts(self, provenance: str) -> bool:
        """Whether this target may learn from labels of a provenance.

        Raises:
            ProvenanceError: If the text is not a provenance.
        """
        return Provenance.read(self.provenance).covers(Provenance.read(provenance))

    @model_validator(mode="after")
    def _transfer_leads_to_provenance(self) -> Self:
        if self.transfer is not None and self.provenance != self.transfer.to:
            raise ValueError(
                f"'provenance: {self.provenance}' is not 'to: {self.transfer.to}' of the transfer; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _numbers_fit_goal(self) -> Self:
        if self.goal == "window":
            if self.lower is None or self.upper is None or self.value is not None or self.lower >= self.upper:
                raise ValueError("goal 'window' takes 'lower' and 'upper' (lower < upper) and no 'value'")
        elif self.lower is not None or self.upper is not None:
            raise ValueError(f"goal '{self.goal}' takes 'value', not 'lower' or 'upper'")
        elif self.goal in ("at_least", "at_most") and self.value is None:
            raise ValueError(f"goal '{self.goal}' needs a 'value'")
        return self

    def scale(self) -> Transform:
        """Scale on which the surrogate learns.

        Raises:
            UnknownNameError: For an unknown property.
        """
        return self.transform or property_named(self.property).transform

    def is_relative(self) -> bool:
        """Whether the range depends on the training data."""
        return self.goal in ("maximize", "minimize") and self.value is None

    def range(self, best_of_training: tuple[float, float]) -> tuple[float, float]:
        """Lower and upper end of the range in the unit of the property, infinite if there is no limit.

        Args:
            best_of_training: 5th and 95th percentile of the training data, in the unit of the property.

        Raises:
            UnknownNameError: For an unknown property or unit.
            UnitError: If the unit is one of another quantity.
        """
        own = property_named(self.property).unit
        convert(0.0, self.unit, own)  # a wrong unit is refused even if there is no number to convert
        low, high = float("-inf"), float("inf")
        if self.goal == "window":
            return tuple(convert(end, self.unit, own) for end in (self.lower, self.upper))  # type: ignore[arg-type,return-value]
        if self.goal in ("at_least", "maximize"):
            low = best_of_training[1] if self.value is None else convert(self.value, self.unit, own)
        else:
            high = best_of_training[0] if self.value is None else convert(self.value, self.unit, own)
        return low, high
