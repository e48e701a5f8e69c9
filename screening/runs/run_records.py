"""Content of the smaller files of a run, as far as anything reads it: identity, progress, cards, novelty, explanations.

Every required key has a value of the right kind. Further keys stay as they are, because a family of models or a newer
version may write more.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from matloop.screening.campaign.ranking_settings import CriterionName
from matloop.screening.runs.run_summary import Count, Name

LONGEST_TEXT = 20_000
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Number = float | None
"""A number, or null where there is none."""
Size = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""An error, a width or another number that is finite and never below zero."""
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


class RunIdentity(_Record):
    """``identity.json``: what decides the result of a run.

    Attributes:
        campaign: Content of the campaign.
        partition_rows: Candidates in a partition of the first stage.
    """

    campaign: dict[Name, Any]
    partition_rows: Annotated[int, Field(ge=1, le=1_000_000)]


class RunProgress(_Record):
    """``progress.json``: how far a run is, or how it ended.

    Attributes:
        state: ``running``, ``complete``, ``prepared``, ``interrupted`` or ``failed``.
        step: What is done, in words.
        done: Units of the step that are finished.
        total: Units it has.
        rate: Units per second.
        eta_seconds: Time left of the step; None where that is not known.
        counts: What became of all rows so far: stage, outcome, code, value, limit, rows.
        driver_memory: In bytes.
        worker_memory: Of the largest worker, in bytes.
        updated: When this was written, in unix seconds.
        message: What was said last, such as why the run stopped.
    """

    state: Name
    step: Text
    done: Count
    total: Count
    rate: float
    eta_seconds: Number
    counts: list[tuple[Text, Text, Text, Text, Text, Count]]
    driver_memory: Count
    worker_memory: Count
    updated: Annotated[float, Field(ge=0, le=1e11)]
    message: Text


class HardElement(_Record):
    """An element that is hard to predict without."""

    element: Name
    mae: Size | None


class WithoutClusters(_Record):
    """Errors with whole clusters left out of training."""

    mae: Size | None
    folds: Count


class WithoutElements(_Record):
    """Errors with whole elements left out of training."""

    mae: Size | None
    folds: Count
    outside_over_inside: Size | None
    share_outside: Fraction | None
    worst: list[HardElement]
    mae_of_mean: Size | None = None
    coverage_inside: Fraction | None = None


class HiddenChemistry(_Record):
    """Errors and intervals with whole clusters and sets of elements hidden from training and calibration."""

    rows: Count
    mae: Size | None
    coverage_90: Fraction | None
    width_90: Size | None


class UnseenInside(_Record):
    """How intervals hold inside the domain for rows with an element hidden from training."""

    rows: Count
    coverage_90: Fraction | None


class TriedLimit(_Record):
    """How intervals hold for hidden chemistry inside one limit of the domain."""

    share_of_training: Fraction
    distance: Size | None
    hidden_rows: Count
    coverage_hidden: Fraction | None
    least_coverage_of_a_group: Fraction | None
    groups: Count
    groups_failing: Count
    chosen: bool


class SmallEnsemble(_Record):
    """The ensemble that the errors with clusters or elements left out are those of."""

    family: Name
    size: Name = ""
    grouped_mae: Size | None


NO_SKILL = 0.05
"""Share of the error of guessing the mean that a surrogate must take away to be more than a guess."""


class CardScores(_Record):
    """Out-of-fold scores of a surrogate."""

    mae: Size | None
    mae_of_mean: Size | None
    rmse: Size | None = None
    r2: Annotated[float, Field(le=1, allow_inf_nan=False)] | None
    coverage_90: Fraction | None
    width_error_rank_correlation: Number
    width_90: Size | None = None
    coverage_curve: list[tuple[Fraction, Fraction]] = []
    leave_one_cluster_out: WithoutClusters | None = None
    leave_one_element_out: WithoutElements | None = None
    held_out_ensemble: SmallEnsemble | None = None
    hidden_chemistry: HiddenChemistry | None = None
    unseen_elements_inside: UnseenInside | None = None

    @property
    def is_a_guess(self) -> bool:
        """Whether the surrogate is no better than always guessing the mean."""
        if self.mae is None or self.mae_of_mean is None:
            return False
        return self.mae > (1 - NO_SKILL) * self.mae_of_mean


class ChoiceBudget(_Record):
    """When choosing had to stop."""

    seconds: Number


class ChoiceTrial(_Record):
    """One family that was tried."""

    candidate: Text
    outcome: Text
    mae: Size | None
    seconds: Size


class CardChoice(_Record):
    """How a family was chosen."""

    winner: Text
    reason: Text
    nested_mae: Size
    rows: Count
    budget: ChoiceBudget
    tried: list[ChoiceTrial]


class ClassifierScores(_Record):
    """Out-of-fold scores of a classifier."""

    brier: Fraction
    brier_of_share: Fraction
    log_loss: Size
    log_loss_of_share: Size
    calibration_error: Fraction
    reliability: list[tuple[Fraction, Fraction, Count]]


class CardClassifier(_Record):
    """The classifier of meeting a target."""

    rows: Annotated[int, Field(ge=1)]
    rows_met: Count
    scores: ClassifierScores


class CardNoise(_Record):
    """The noise of the labels: of single values from repeats, and root mean square errors of labels and model."""

    deviation: Size | None
    repeats: Count
    error: Size
    model_deviation: Size


class CurvePoint(_Record):
    """Error of ensembles that were fitted to some of the rows, with its range."""

    rows: Count
    mae: Size
    low: Size
    high: Size
    ensemble: Name


class MoreLabels(_Record):
    """Expected error with some more labels, and its range."""

    labels: Count
    mae: Size
    low: Size
    high: Size


class LearningCurve(_Record):
    """How the error falls with the number of rows; ``mae`` is what is expected with all of them."""

    points: Annotated[list[CurvePoint], Field(min_length=1, max_length=100)]
    rows: Annotated[int, Field(ge=1, le=10**15)]
    mae: Size
    more: Annotated[list[MoreLabels], Field(max_length=10)]


class RandomSplit(_Record):
    """Errors of the small ensemble on random folds and on grouped folds."""

    mae: Size
    grouped_mae: Size
    rows_with_siblings: Count


class NamedRegion(_Record):
    """Errors for the rows with an element, or of a class of chemistry."""

    name: Name
    rows: Count
    formulas: Count
    mae: Size
    bias: Finite


class ValueRegion(_Record):
    """Errors for the rows whose truth lies in a range, in the unit of the property."""

    low: Finite
    high: Finite
    rows: Count
    mae: Size
    bias: Finite


class ErrorRegions(_Record):
    """Where the errors are."""

    elements: Annotated[list[NamedRegion], Field(max_length=200)]
    chemistry: Annotated[list[NamedRegion], Field(max_length=100)]
    ranges: Annotated[list[ValueRegion], Field(max_length=100)]


class TransferErrors(_Record):
    """Errors of a transfer and of its rivals on the same held-out measured rows."""

    transfer: Size | None
    measured_only: Size | None
    computed_only: Size | None
    computed_and_line: Size | None
    mean: Size | None


class CardTransfer(_Record):
    """What a surrogate was transferred from, and what the measured rows bought."""

    source: Name
    rows: Count
    formulas_in_both: Count
    mae: TransferErrors
    weights: dict[Name, Fraction]

    @property
    def rivals(self) -> str:
        """Errors without the transfer, for people."""
        errors = self.mae
        named = {
            "measured rows alone": errors.measured_only,
            f"{self.source} alone": errors.computed_only,
            f"{self.source} and a line": errors.computed_and_line,
        }
        return ", ".join(f"{name} {error:.3g}" for name, error in named.items() if error is not None)


class CompositionTable(_Record):
    """A table of computed values by composition, and the error of the composition model that learned it."""

    property: Name
    unit: Name
    transform: Literal["identity", "log10"]
    rows: Count
    mae: Size
    mae_of_mean: Size
    training_set: dict[Name, Text]


class CompositionErrors(_Record):
    """Errors of a surrogate with composition models and without, by one small ensemble."""

    with_models: Size | None
    without_models: Size | None


class CardCompositionModels(_Record):
    """Composition models whose values are features of a surrogate, and what they bought."""

    models: Annotated[list[CompositionTable], Field(min_length=1, max_length=100)]
    mae: CompositionErrors


class CardHullOrder(_Record):
    """How well a surrogate of the energy above the hull puts crystals in order, in eV/atom."""

    near: Size
    rows: Count
    rows_near: Count
    auc: Fraction
    auc_of_oxides: Fraction | None = None
    rows_of_oxides: Count
    mae: Size
    mae_of_zero: Size


class ModelCard(_Record):
    """``card.json`` of a surrogate."""

    property: Name
    unit: Name
    transform: Literal["identity", "log10"]
    family: Name
    rows_trained: Annotated[int, Field(ge=1, le=10**15)]
    best_of_training: tuple[Finite, Finite]
    scores: CardScores
    formulas: Count | None = None
    rows_left_out: Count | None = None
    split: Text = ""
    data_sha256: Name | None = None
    training_set: dict[Name, Text] | None = None
    choice: CardChoice | None = None
    probability: CardClassifier | None = None
    label_noise: CardNoise | None = None
    learning_curve: LearningCurve | None = None
    random_split: RandomSplit | None = None
    error_regions: ErrorRegions | None = None
    domain_limit: list[TriedLimit] = []
    transfer: CardTransfer | None = None
    composition_models: CardCompositionModels | None = None
    hull_order: CardHullOrder | None = None


class InsulatorCard(_Record):
    """``models/insulators/card.json``: what the classifier of insulators and metals learned from."""

    rows: Count
    in_several: Count
    disagreeing: Count


class NoveltyRecord(_Record):
    """What is known that is like one finalist; neighbours are name, formula, distance of composition and structure."""

    candidate_id: Name
    novelty: Name
    equal: list[Name]
    equal_count: Count
    same_composition: list[Name]
    same_composition_count: Count
    nearest_structures: list[tuple[Name, Name, Number, float]]


class NoveltyRecords(_Record):
    """``novelty.json``."""

    finalists: list[NoveltyRecord]


class BothLanguages(_Record):
    """A text in English and Chinese."""

    en: Text
    zh: Text


class Margin(_Record):
    """How far one target is from the cut."""

    probability: Number
    at_cut: Number
    value_at_cut: Number


class Standing(_Record):
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


class DomainPlace(_Record):
    """Distance from the training data and its limit."""

    distance: float
    limit: float


class NearCompound(_Record):
    """A training compound near a finalist."""

    formula: Name | None
    material_id: Name | None
    composition_distance: Number
    distance: float
    value: Number


class GroupOfFeatures(_Record):
    """What a group of features adds to a prediction."""

    text: BothLanguages


class Contributions(_Record):
    """What groups of features and calibration add to a prediction."""

    base: float
    groups: list[GroupOfFeatures]
    calibration_text: BothLanguages


class ExplainedTarget(_Record):
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


class PassedFilter(_Record):
    """By what margin a filter is passed."""

    stage: Name
    text: BothLanguages


class StageCut(_Record):
    """Probability in a stage, and the least with which a candidate went on."""

    stage: Name
    probability: float
    cut: Number


class SwapChange(_Record):
    """What a swap does to one target: probability before and after."""

    probability: tuple[Number, Number]


class BestSwap(_Record):
    """The element swap that helps one target most."""

    old: Name
    new: Name
    formula: Name
    probability_of_all: tuple[Number, Number]
    targets: dict[Name, SwapChange]


class Swaps(_Record):
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


class Explanations(_Record):
    """``explanations.json``."""

    finalists: list[ExplainedFinalist]
    near_misses: list[Standing]
