"""Settings of the ranking: by which criterion the candidates that passed every stage are put in order."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from matloop.screening.campaign.frozen_model import FrozenModel

CriterionName = Literal["most_probable", "topsis", "desirability", "pareto", "non_dominated"]


class Objective(FrozenModel):
    """What is wanted as large or as small as possible."""

    name: str = Field(
        max_length=200,
        description="A property with a target, `probability` (of meeting all targets), a score of the elements such as "
        "`price_per_kilogram` or `supply_risk`, or a column of a property that the candidates bring, such as "
        "`band_gap_exp`.",
    )
    goal: Literal["maximize", "minimize"] = Field(description="Whether large or small values are wanted.")
    weight: float = Field(1.0, gt=0, le=1000, description="How much it counts beside the others, for sums and means.")
    unit: str | None = Field(None, max_length=50, description="Unit of the two numbers below.")
    worst: float | None = Field(
        None, description="With `desirability`: from this value on a candidate is worth nothing, in `unit`."
    )
    best: float | None = Field(
        None, description="With `desirability`: from this value on nothing is gained any more, in `unit`."
    )
    shape: float = Field(
        1.0,
        gt=0,
        le=100,
        description="With `desirability`: exponent between them; above 1 values near `best` count.",
    )

    @model_validator(mode="after")
    def _limits_fit_goal(self) -> Self:
        if (self.worst is None) != (self.best is None):
            raise ValueError("'worst' and 'best' go together; write both, or none")
        if self.worst is not None and self.best is not None:
            if self.unit is None:
                raise ValueError("'worst' and 'best' need a 'unit'")
            if (self.best > self.worst) != (self.goal == "maximize") or self.best == self.worst:
                raise ValueError(f"with 'goal: {self.goal}', 'best' is the {_END[self.goal]} of the two limits")
        return self


_END = {"maximize": "larger", "minimize": "smaller"}


class Ranking(FrozenModel):
    """Puts the candidates that passed every stage in order, and so decides the shortlist.

    Every stage keeps the candidates that most probably meet all targets. Among those that are left, `topsis` and
    `desirability` weigh objectives against each other, and `pareto` and `non_dominated` ask which candidates no other
    beats. A candidate of which an objective is not known, such as the price of an element, is not ranked.
    """

    criterion: CriterionName = Field(
        default="most_probable",
        description="`most_probable`: by the probability of meeting all targets. `topsis`: by the distances from the "
        "best and the worst values among the candidates. `desirability`: by the mean of how desirable each value is. "
        "`pareto`: by the number of the Pareto front. `non_dominated`: by the probability of lying on the first front.",
    )
    objectives: tuple[Objective, ...] = Field(
        default=(), max_length=10, description="What is weighed against each other; two at least."
    )

    @model_validator(mode="after")
    def _objectives_fit_criterion(self) -> Self:
        names = [objective.name for objective in self.objectives]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two objectives '{min(twice)}'; write one")
        if self.criterion == "most_probable":
            if names:
                raise ValueError("'most_probable' takes no objectives; name another criterion, or leave them out")
        elif len(names) < 2:
            raise ValueError(f"'{self.criterion}' weighs two objectives at least (got {len(names)})")
        without = [objective.name for objective in self.objectives if objective.worst is None]
        if self.criterion == "desirability" and without:
            raise ValueError(f"'desirability' needs 'worst', 'best' and 'unit' of every objective; not of {without[0]}")
        return self


BY_PROBABILITY = Ranking(criterion="most_probable", objectives=())
"""The ranking of a campaign that names no other."""
