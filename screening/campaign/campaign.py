"""The campaign: where candidates come from, which are excluded, what is wanted and how the shortlist is chosen."""

from __future__ import annotations

from typing import Self

from pydantic import (
    Field,
    model_validator,
)  # fmt: skip

from matloop.data.errors import CampaignError
from matloop.data.properties.catalogue import Catalogue, catalogue
from matloop.data.properties.columns import Column
from matloop.screening.campaign.cluster_settings import LOCAL, Cluster
from matloop.screening.campaign.entry import Entries, Entry
from matloop.screening.campaign.frozen_model import FrozenModel
from matloop.screening.campaign.own_properties import OwnProperty
from matloop.screening.campaign.ranking_settings import BY_PROBABILITY, Ranking
from matloop.screening.campaign.stage_settings import (
    FAMILIES_TO_CHOOSE_FROM,
    PotentialStage,
    SurrogateStage,
)
from matloop.screening.campaign.target import Target

NAME = r"^[A-Za-z0-9._-]{1,80}$"
"""Form of the name of a campaign."""

EMBEDDED = "embedded"
"""Name under which the packaged crystals teach, unless a campaign names other data."""


class ComputedHull(FrozenModel):
    """Places candidates that bring a computed energy on the convex hull of computed phases, without any potential.

    Each such candidate gets the columns `formation_energy_per_atom_dft` and `energy_above_hull_dft`. Filters of the
    kind `stated_value` look at them.
    """

    references: Entries = Field(
        min_length=1,
        description="Sources of the phases, all of one calculation: competing phases, and the elements in pure form.",
    )
    column: str = Field(
        Column.ENTRY_ENERGY_PER_ATOM.value,
        max_length=200,
        description="Number with the total energy in eV/atom, of the phases and of the candidates.",
    )


class Shortlist(FrozenModel):
    """Chooses the shortlist among the ranked candidates."""

    size: int = Field(gt=0, le=1000, description="Number of candidates on the shortlist.")
    diversity: float = Field(
        0.5, ge=0, le=1, description="0 takes the most probable candidates; 1 prefers different chemistry."
    )
    structural_diversity: float = Field(
        0.0, ge=0, le=1, description="0 ignores how alike crystals are; 1 prefers other places of the atoms."
    )
    explore: bool = Field(False, description="Whether candidates outside the domain of a surrogate are ranked too.")
    max_false_discovery: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Largest expected share of misses. Only the largest set of candidates that keeps it is used.",
    )


class Campaign(FrozenModel):
    """Everything that determines the result of a run."""

    name: str = Field(pattern=NAME, description="Name of the campaign, used in folder names.")
    title: str = Field("", max_length=300, description="One line for readers.")
    title_zh: str = Field("", max_length=300, description="The same line in Chinese, for the report in Chinese.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of all random choices.")
    sources: Entries = Field(min_length=1, description="Where candidates come from.")
    properties: tuple[OwnProperty, ...] = Field(
        (),
        max_length=50,
        description="Properties that the packaged catalogue does not know: a list, or the path of a file with one.",
    )
    data: Entries = Field(
        (Entry(name=EMBEDDED, argument=None),),
        min_length=1,
        max_length=50,
        description="Labelled data that the surrogates learn from: own labels, and packaged ones by name.",
    )
    known: str | None = Field(
        None,
        min_length=1,
        max_length=4096,
        description="File of formulas that count as known beside the packaged lists: one a row, or a column `formula` "
        "(`.txt`, `.csv`, `.xlsx`, `.parquet`).",
    )
    filters: Entries = Field((), description="Hard filters, applied in this order.")
    hull: ComputedHull | None = Field(
        None, description="Computed phases that candidates with computed energies are compared with."
    )
    targets: tuple[Target, ...] = Field(
        min_length=1, max_length=10, description="Properties that matter, one target for each."
    )
    surrogates: SurrogateStage = Field(description="First stage, which scores every candidate.")
    structure: SurrogateStage | None = Field(
        None, description="Second stage, which scores the remaining candidates by their crystals."
    )
    potential: PotentialStage | None = Field(None, description="Third stage, which relaxes the remaining candidates.")
    ranking: Ranking = Field(BY_PROBABILITY, description="How the candidates that passed every stage are put in order.")
    shortlist: Shortlist = Field(description="How the shortlist is chosen.")
    cluster: Cluster = Field(LOCAL, description="Where the workers run. No result depends on it.")

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue in use, with the properties of this campaign.

        Raises:
            PropertyError: If a property has a name that is taken.
        """
        own = tuple(written.definition() for written in self.properties)
        return Catalogue((*(known for known in catalogue().own if known not in own), *own))

    @property
    def scoring_stages(self) -> dict[str, SurrogateStage]:
        """Stages that score with surrogates, by name, in their order."""
        stages = {"surrogates": self.surrogates, "structure": self.structure}
        return {name: stage for name, stage in stages.items() if stage is not None}

    @property
    def ranked(self) -> int:
        """Number of candidates that are left when the shortlist is chosen."""
        return list(self.scoring_stages.values())[-1].keep

    def families(self, stage: str, target: Target) -> tuple[str, ...]:
        """Families to choose among for the surrogate of a target in a scoring stage; only one if there is no choice."""
        written = target.family or self.scoring_stages[stage].family
        return (written,) if isinstance(written, str) else written

    def seconds_for(self, stage: str) -> float | None:
        """Time for choosing and fitting each surrogate of a stage that has a choice, None if there is no limit.

        The budget of the stage is divided evenly among the targets that have a choice of families.
        """
        budget = self.scoring_stages[stage].budget
        choices = sum(len(self.families(stage, target)) > 1 for target in self.targets)
        return None if budget is None else budget / max(choices, 1)

    def with_budget(self, seconds: int) -> Self:
        """Return the campaign with one budget for choosing families, divided evenly among its stages.

        A stage with one family chooses among that one and :data:`FAMILIES_TO_CHOOSE_FROM`. A target with one family
        keeps it.

        Args:
            seconds: Time for all surrogates together; it replaces the budgets of the stages.

        Raises:
            CampaignError: If every target names one family.
        """
        if all(isinstance(target.family, str) for target in self.targets):
            raise CampaignError(
                "a budget for a campaign whose targets each name one family", "a target with a choice",
                "leave 'family' of a target out or write a list",
            )  # fmt: skip
        share = max(seconds // len(self.scoring_stages), 1)
        changed = {}
        for name, stage in self.scoring_stages.items():
            written = stage.family
            if isinstance(written, str):
                written = tuple(dict.fromkeys((written, *FAMILIES_TO_CHOOSE_FROM)))
            changed[name] = stage.model_copy(update={"family": written, "budget": share})
        return self.model_copy(update=changed)

    @model_validator(mode="after")
    def _one_definition_per_name(self) -> Self:
        names = [written.name for written in self.properties]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two properties named '{min(twice)}'; give each a name of its own")
        return self

    @model_validator(mode="after")
    def _one_target_per_property(self) -> Self:
        names = [target.property for target in self.targets]
        if len(set(names)) != len(names):
            raise ValueError("two targets for one property; write one with goal 'window'")
        return self
