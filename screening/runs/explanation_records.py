"""Content of ``explanations.json``: why each finalist and near miss of a run stands where it does."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from matloop.screening.campaign.ranking_settings import CriterionName
from matloop.screening.runs.record_fields import Number, Record, Text
from matloop.screening.runs.run_summary import Count, Name


class BothLanguages(Record):
    """A text in English and Chinese."""

    en: Text
    zh: Text


class Margin(Record):
    """How far one target is from the cut."""

    probability: Number
    at_cut: Number
    value_at_cut: Number


class Standing(Record):
    """How far a ranked candidate is from the cut.

    The ranking scores are there if it is exactly as probable as needed, so that the order of equal ones decides.
    """

    candidate_id: Name
    criterion: CriterionName = "most_probable"
    score: Number = None
    needed: Number
    ranking_score: Number = None
    ranking_score_needed: Number = None
    expected_misses: Number
    max_false_discovery: Number
    margins: dict[Name, Margin]


class DomainPlace(Record):
    """Distance from the training data, its limit, and nonmetals that the training data hardly have."""

    distance: float
    limit: float
    hardly_seen: tuple[Name, ...] = ()


class NearCompound(Record):
    """A training compound near a finalist."""

    formula: Name | None
    material_id: Name | None
    composition_distance: Number
    distance: float
    value: Number


class GroupOfFeatures(Record):
    """What a group of features adds to a prediction."""

    text: BothLanguages


class Contributions(Record):
    """What groups of features and calibration add to a prediction."""

    base: float
    groups: list[GroupOfFeatures]
    calibration_text: BothLanguages


class ExplainedTarget(Record):
    """One target of one finalist; only the row code where it has no prediction."""

    code: Annotated[str, Field(max_length=500)]


class PredictedTarget(ExplainedTarget):
    """One target of one finalist with a prediction, and so without row code."""

    code: Literal[""]
    transform: Literal["identity", "log10"]
    judged_by: Name
    prediction: float
    only_insulators: bool
    domain: DomainPlace
    nearest_training: list[NearCompound]
    contributions: Contributions | None


class PassedFilter(Record):
    """By what margin a filter is passed."""

    stage: Name
    text: BothLanguages


class StageCut(Record):
    """Probability in a stage, and the least with which a candidate went on."""

    stage: Name
    probability: float
    cut: Number


class SwapChange(Record):
    """What a swap does to one target: probability before and after."""

    probability: tuple[Number, Number]


class BestSwap(Record):
    """The element swap that helps one target most."""

    old: Name
    new: Name
    formula: Name
    probability_of_all: tuple[Number, Number]
    targets: dict[Name, SwapChange]


class Swaps(Record):
    """Single element swaps of a finalist."""

    proposable: Count
    best: dict[Name, BestSwap | None]


class ExplainedFinalist(Standing):
    """Why one finalist stands where it does."""

    targets: dict[Name, PredictedTarget | ExplainedTarget]
    filters: list[PassedFilter]
    stages: list[StageCut]
    swaps: Swaps | None

    @model_validator(mode="after")
    def _targets_are_whole(self) -> Self:
        for name, target in self.targets.items():
            if not target.code and not isinstance(target, PredictedTarget):
                raise ValueError(f"target {name} has neither a row code nor a whole prediction")
            if name not in self.margins:
                raise ValueError(f"target {name} has no margin")
        return self


class Explanations(Record):
    """``explanations.json``."""

    finalists: list[ExplainedFinalist]
    near_misses: list[Standing]
