"""Content of the cards of a run: of its surrogates, and of the classifier of insulators and metals."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from matloop.screening.runs.record_fields import Finite, Fraction, Number, Record, Size, Text
from matloop.screening.runs.run_summary import Count, Name


class HardElement(Record):
    """An element that is hard to predict without."""

    element: Name
    mae: Size | None


class WithoutClusters(Record):
    """Errors with whole clusters left out of training."""

    mae: Size | None
    folds: Count


class WithoutElements(Record):
    """Errors with whole elements left out of training."""

    mae: Size | None
    folds: Count
    outside_over_inside: Size | None
    share_outside: Fraction | None
    worst: list[HardElement]
    mae_of_mean: Size | None = None
    coverage_inside: Fraction | None = None


class HeldApart(Record):
    """Errors and intervals of rows that were held out in another way than by their formula."""

    rows: Count
    coverage_90: Fraction | None
    mae: Size | None = None
    width_90: Size | None = None


class TriedLimit(Record):
    """How intervals hold for hidden chemistry inside one limit of the domain."""

    share_of_training: Fraction
    distance: Size | None
    hidden_rows: Count
    coverage_hidden: Fraction | None
    least_coverage_of_a_group: Fraction | None
    groups: Count
    groups_failing: Count
    chosen: bool


class SmallEnsemble(Record):
    """The ensemble that the errors with clusters or elements left out are those of."""

    family: Name
    size: Name = ""
    grouped_mae: Size | None


NO_SKILL = 0.05
"""Share of the error of guessing the mean that a surrogate must take away to be more than a guess."""


class CardScores(Record):
    """Out-of-fold scores of a surrogate."""

    mae: Size | None
    mae_of_mean: Size | None
    rmse: Size | None = None
    r2: Annotated[float, Field(le=1, allow_inf_nan=False)] | None
    coverage_90: Fraction | None
    width_error_rank_correlation: Number
    width_90: Size | None = None
    coverage_curve: tuple[tuple[Fraction, Fraction], ...] = ()
    leave_one_cluster_out: WithoutClusters | None = None
    leave_one_element_out: WithoutElements | None = None
    held_out_ensemble: SmallEnsemble | None = None
    hidden_chemistry: HeldApart | None = None
    unseen_elements_inside: HeldApart | None = None
    same_features: HeldApart | None = None

    @property
    def is_a_guess(self) -> bool:
        """Whether the surrogate is no better than always guessing the mean."""
        if self.mae is None or self.mae_of_mean is None:
            return False
        return self.mae > (1 - NO_SKILL) * self.mae_of_mean


class ChoiceBudget(Record):
    """When choosing had to stop."""

    seconds: Number


class ChoiceTrial(Record):
    """One family that was tried."""

    candidate: Text
    outcome: Text
    mae: Size | None
    seconds: Size


class CardChoice(Record):
    """How a family was chosen."""

    winner: Text
    reason: Text
    nested_mae: Size
    rows: Count
    budget: ChoiceBudget
    tried: list[ChoiceTrial]


class ClassifierScores(Record):
    """Out-of-fold scores of a classifier."""

    brier: Fraction
    brier_of_share: Fraction
    log_loss: Size
    log_loss_of_share: Size
    calibration_error: Fraction
    reliability: list[tuple[Fraction, Fraction, Count]]


class CardClassifier(Record):
    """The classifier of meeting a target."""

    rows: Annotated[int, Field(ge=1)]
    rows_met: Count
    scores: ClassifierScores


class CardNoise(Record):
    """The noise of the labels: of single values from repeats, and root mean square errors of labels and model."""

    deviation: Size | None
    repeats: Count
    error: Size
    model_deviation: Size


class CurvePoint(Record):
    """Error of ensembles that were fitted to some of the rows, with its range."""

    rows: Count
    mae: Size
    low: Size
    high: Size
    ensemble: Name


class MoreLabels(Record):
    """Expected error with some more labels, and its range."""

    labels: Count
    mae: Size
    low: Size
    high: Size


class LearningCurve(Record):
    """How the error falls with the number of rows; ``mae`` is what is expected with all of them."""

    points: Annotated[list[CurvePoint], Field(min_length=1, max_length=100)]
    rows: Annotated[int, Field(ge=1, le=10**15)]
    mae: Size
    more: Annotated[list[MoreLabels], Field(max_length=10)]


class RandomSplit(Record):
    """Errors of the small ensemble on random folds and on grouped folds."""

    mae: Size
    grouped_mae: Size
    rows_with_siblings: Count


class NamedRegion(Record):
    """Errors for the rows with an element, or of a class of chemistry."""

    name: Name
    rows: Count
    formulas: Count
    mae: Size
    bias: Finite


class ValueRegion(Record):
    """Errors for the rows whose truth lies in a range, in the unit of the property."""

    low: Finite
    high: Finite
    rows: Count
    mae: Size
    bias: Finite


class ErrorRegions(Record):
    """Where the errors are."""

    elements: Annotated[list[NamedRegion], Field(max_length=200)]
    chemistry: Annotated[list[NamedRegion], Field(max_length=100)]
    ranges: Annotated[list[ValueRegion], Field(max_length=100)]


class TransferErrors(Record):
    """Errors of a transfer and of its rivals on the same held-out measured rows."""

    transfer: Size | None
    measured_only: Size | None
    computed_only: Size | None
    computed_and_line: Size | None
    mean: Size | None


class CardTransfer(Record):
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


class CompositionTable(Record):
    """A table of computed values by composition, and the error of the composition model that learned it."""

    property: Name
    unit: Name
    transform: Literal["identity", "log10"]
    rows: Count
    mae: Size
    mae_of_mean: Size
    training_set: dict[Name, Text]


class CompositionErrors(Record):
    """Errors of a surrogate with composition models and without, by one small ensemble."""

    with_models: Size | None
    without_models: Size | None


class CardCompositionModels(Record):
    """Composition models whose values are features of a surrogate, and what they bought."""

    models: Annotated[list[CompositionTable], Field(min_length=1, max_length=100)]
    mae: CompositionErrors


class CardHullOrder(Record):
    """How well a surrogate of the energy above the hull puts crystals in order, in eV/atom."""

    near: Size
    rows: Count
    rows_near: Count
    auc: Fraction
    auc_of_oxides: Fraction | None = None
    rows_of_oxides: Count
    mae: Size
    mae_of_zero: Size


class ModelCard(Record):
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
    domain_limit: tuple[TriedLimit, ...] = ()
    transfer: CardTransfer | None = None
    composition_models: CardCompositionModels | None = None
    hull_order: CardHullOrder | None = None


class InsulatorCard(Record):
    """``models/insulators/card.json``: what the classifier of insulators and metals learned from."""

    rows: Count
    in_several: Count
    disagreeing: Count
