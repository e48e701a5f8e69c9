"""What a model is chosen from: a family with its settings on a feature set, and the limits of the search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matloop.data.errors import ModelError
from matloop.models.families.mean import Mean
from matloop.models.families.part_reader import COLUMNS

_FAMILIES, _WEIGHTS = "families", "weights"


@dataclass(frozen=True)
class Candidate:
    """A family, a feature set and settings that may be chosen.

    Attributes:
        family: Registered family.
        features: Name of a feature set; empty where there is but one.
        parameters: Settings of the family.
    """

    family: str
    features: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        hidden = (COLUMNS, _FAMILIES, _WEIGHTS)
        settings = {name: value for name, value in self.parameters.items() if name not in hidden}
        inside = [each if isinstance(each, str) else next(iter(each)) for each in self.parameters.get(_FAMILIES, ())]
        if weights := self.parameters.get(_WEIGHTS):
            inside = [f"{weight:.2f} {each}" for weight, each in zip(weights, inside, strict=True)]
        named = f"{self.family} of {', '.join(inside)}" if inside else self.family
        return f"{named}{f' {settings}' if settings else ''}" + (f" on {self.features}" if self.features else "")

    @property
    def is_mean_of_others(self) -> bool:
        """Whether it stands for means of the other candidates."""
        return self.family == Mean.family and _FAMILIES not in self.parameters

    def mean_of(self, others: Sequence[Candidate], weights: Sequence[float] | None = None) -> Candidate:
        """Return the mean of some of the other candidates, for one that stands for such means."""
        families = [{each.family: dict(each.parameters)} if each.parameters else each.family for each in others]
        weighted = {} if weights is None else {_WEIGHTS: list(weights)}
        return Candidate(self.family, self.features, {_FAMILIES: families, **weighted})


@dataclass(frozen=True)
class Budget:
    """Limits on the search; the cheapest candidate is always tried.

    The search ends as soon as too little time would be left to fit the slowest candidate tried, in case it wins.

    Which candidates fit into ``seconds`` depends on the machine. With ``candidates`` alone the choice is the same on
    every run.

    Attributes:
        seconds: Time for trying candidates and fitting the winner.
        candidates: Most candidates tried.
        fits: How often the winner is to be fitted: twice where a classifier is grown beside it.
        rows: Most rows to compare candidates on, drawn by whole formulas; the winner is fitted to all of them.
    """

    seconds: float | None = None
    candidates: int | None = None
    fits: int = 1
    rows: int | None = None

    def __post_init__(self) -> None:
        if any(limit is not None and not limit > 0 for limit in (self.seconds, self.candidates, self.rows)):
            raise ModelError(f"a budget of {self}", "limits above zero, or none")

    def __str__(self) -> str:
        limits = [f"{self.seconds:g} s"] if self.seconds is not None else []
        limits += [f"{self.candidates} candidates"] if self.candidates is not None else []
        return " and ".join(limits) or "any size"
