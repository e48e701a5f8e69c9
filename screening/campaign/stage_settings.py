"""Settings of the stages of a campaign: surrogates, and the potential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import (
    Field,
    JsonValue,
    field_validator,
    model_validator,
)  # fmt: skip

from matloop.screening.campaign.entry import Entries
from matloop.screening.campaign.frozen_model import FrozenModel
from matloop.screening.campaign.written_values import Duration, Families

ASE = "ase"
"""Name of the potential that takes a calculator of ASE."""

FAMILIES_TO_CHOOSE_FROM = (
    "extra_trees", "gaussian_process", "deep_ensemble", "element_attention", "boosted_trees", "mean",
)  # fmt: skip
"""Families to choose among within a budget if the campaign lists none, and the mean that weighs them.

The two networks are passed over where torch is not installed; the campaign stays the same.
"""


class SurrogateStage(FrozenModel):
    """Scores every candidate with one surrogate per target, and keeps the most probable candidates."""

    features: Entries = Field(min_length=1, description="Featurizers, whose columns are joined.")
    family: Families = Field(
        "extra_trees", description="Model family, or a list of families to choose among for each target."
    )
    budget: Duration | None = Field(
        None,
        description="Time to choose and fit families, for all targets of the stage, with its unit: `90s`, "
        "`5m` or `1h`. Without a budget every listed family is tried, on all rows instead of 1,500.",
    )
    keep: int = Field(gt=0, le=100_000, description="Number of candidates that go on to the next stage, or are ranked.")

    @model_validator(mode="before")
    @classmethod
    def _budget_chooses(cls, written: Any) -> Any:
        if isinstance(written, Mapping) and written.get("budget") is not None and "family" not in written:
            return {**written, "family": list(FAMILIES_TO_CHOOSE_FROM)}
        return written


class ChosenPotential(FrozenModel):
    """A potential by name, with its options."""

    name: str = Field(description="Name of the potential.")
    options: dict[str, JsonValue] = Field(
        default_factory=dict, description="Options of the potential, or of the calculator."
    )
    calculator: str | None = Field(
        None,
        description="With `name: ase`: the class or function of an installed package that makes a calculator of ASE, "
        "as `package.module:name`. It is called only where its module is allowed, such as by `--allow`.",
    )
    weights: str | None = Field(
        None,
        description="With `name: ase`: file with the weights of the calculator. The option that takes its path has "
        "the value `$weights`.",
    )
    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="With `weights`: sha256 of that file, in hexadecimal digits."
    )
    elements: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        max_length=118,
        description="With `name: ase`: symbols of the elements that the calculator was made for. Crystals with others "
        "are refused without asking it. All elements without.",
    )

    @model_validator(mode="after")
    def _calculator_goes_with_ase(self) -> Self:
        given = [name for name in ("calculator", "weights", "sha256", "elements") if getattr(self, name) is not None]
        if self.name != ASE and given:
            raise ValueError(f"'{given[0]}' goes with 'name: {ASE}', the adapter to calculators of ASE")
        if self.name == ASE and self.calculator is None:
            raise ValueError(f"'name: {ASE}' needs a 'calculator', written package.module:name")
        return self

    @property
    def parameters(self) -> dict[str, JsonValue]:
        """Options with which the potential is made."""
        if self.calculator is None:
            return self.options
        written: dict[str, JsonValue] = {
            "calculator": self.calculator, "weights": self.weights, "sha256": self.sha256,
            "elements": None if self.elements is None else list(self.elements),
        }  # fmt: skip
        return {"options": self.options, **{name: value for name, value in written.items() if value is not None}}


class PotentialStage(ChosenPotential):
    """Relaxes the remaining candidates with an interatomic potential, and judges their stability by the energy."""

    name: str = Field("chgnet", description="Name of the potential.")
    steps: int = Field(150, gt=0, le=10_000, description="Largest number of steps of a relaxation.")
    largest_force: float = Field(
        0.1, gt=0, le=1, description="A relaxation ends when all forces are below this value, in eV/Å."
    )
    seconds: float = Field(300, gt=0, le=86_400, description="Largest time for one crystal, in seconds.")
    rattle: float = Field(
        0.15,
        ge=0,
        le=0.5,
        description="Root mean square of random displacements, in Å, by which all atoms of a relaxed crystal are moved "
        "before it relaxes once more. Where it falls in energy the new crystal replaces it. 0 skips this test.",
    )
    phonons: bool = Field(
        False,
        description="Whether the lattice vibrations of the finalists are computed, for a warning on their cards. Needs "
        "the extra `phonons`.",
    )
    references: Entries = Field((), description="Sources of further reference phases for the convex hull.")
    competitors: int = Field(
        40,
        ge=0,
        le=1_000,
        description="Largest number of known phases without a packaged crystal that are relaxed, because they compete "
        "with the best candidates on the hull of the potential's own energies. 0 relaxes none.",
    )
    second: ChosenPotential | None = Field(
        None,
        description="A second potential, by name or with options. It gives each relaxed crystal an energy of its own. "
        "Where the two disagree about stability, less is claimed.",
    )

    @field_validator("second", mode="before")
    @classmethod
    def _second_by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def second_stage(self) -> Self | None:
        """The second potential, with the limits of this one."""
        if self.second is None:
            return None
        given = self.second.model_dump()
        return self.model_copy(update={**given, "references": (), "phonons": False, "second": None})
