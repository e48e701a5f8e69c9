"""Explain the finalists of a finished run: reasons for each prediction, improvements, and what decides their places."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.comparison.composition_distance import composition_distances
from matloop.data.elements import SYMBOLS
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.feature_words import FeatureWords
from matloop.data.label import Label
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.training.known_materials import KnownCompositions, KnownMaterials
from matloop.data.whole_files import write_json
from matloop.models.surrogates.computed_model import COMPUTED_VALUE
from matloop.models.surrogates.joint_probability import JointProbability
from matloop.models.surrogates.prediction import Prediction, backward, value_at_probability
from matloop.models.surrogates.surrogate import Surrogate
from matloop.models.surrogates.training_comparison import background_of, levels, nearest_training
from matloop.screening.explaining.margins import calibration_sentence, cut_of, filter_margins, grouped_contributions
from matloop.screening.ranking.criteria import merits
from matloop.screening.runs.run_view import RunView, in_catalogue_of_run
from matloop.workflows.deciding.swap_effects import one_row, swap_effects
from matloop.workflows.stages.fates import BELOW, SCORED
from matloop.workflows.stages.makeable import counted_column, kinship_targets, supported_after_relaxing
from matloop.workflows.stages.potential import BY_POTENTIAL
from matloop.workflows.stages.scoring import (
    ScoringTask,
    build_filters,
    feature_words_of,
    features_of,
    joint_probability_of,
    surrogate_of,
    with_composition,
)
from matloop.workflows.stages.stage_names import filter_stages

MOST_FINALISTS = 30
"""As many as the report has cards."""
MOST_NEAR_MISSES = 5


@in_catalogue_of_run
def explain_run(folder: str | Path) -> dict[str, Any]:
    """Write ``explanations.json`` of a finished run.

    Args:
        folder: The run directory, with its models and ``ranked.parquet``.

    Returns:
        What was written: ``finalists``, best place first, and ``near_misses``, the most probable that were not chosen,
        with the probability each would have needed, or the ranking score where it is as probable as needed.

    Raises:
        DamagedFileError: If a file that every run has is missing, or one is not what a run writes.
        ModelError: If a surrogate of the last scoring stage cannot be loaded.
    """
    folder = Path(folder)
    run = RunView(folder)
    view = _Ranking.of(run)
    place = view.ranked.column(Column.SHORTLISTED)
    chosen = np.flatnonzero(place > 0)[np.argsort(place[place > 0], kind="stable")][:MOST_FINALISTS]
    missed = np.flatnonzero(place == 0)[:MOST_NEAR_MISSES].tolist()
    finalists = _explained(view, chosen) if len(chosen) else []
    for finalist, cuts in zip(finalists, _stage_cuts(run, view, chosen), strict=True):
        finalist["stages"] = cuts
    content = {
        "finalists": finalists,
        "near_misses": [_standing(view, row) for row in missed],
    }
    write_json(run.paths.explanations, content)
    return content


@dataclass(frozen=True)
class _Ranking:
    """Input of the explanations.

    Attributes:
        task: The last scoring stage.
        surrogates: Of that stage, by property.
        ranked: The ranked candidates.
        known: Known materials of the run.
        compositions: Compositions that it counts as known.
    """

    task: ScoringTask
    surrogates: Mapping[str, Surrogate]
    ranked: CandidateBatch
    known: KnownMaterials
    compositions: KnownCompositions

    @classmethod
    def of(cls, run: RunView) -> _Ranking:
        """Read the input from a run."""
        ranges = {
            name: (-np.inf if low is None else low, np.inf if high is None else high)
            for name, (low, high) in run.ranges.items()
        }
        task = ScoringTask(run.campaign, run.folder.resolve(), ranges, run.last_stage)
        surrogates = {name: surrogate_of(task, name) for name in ranges}
        return cls(task, surrogates, run.ranked, run.known, run.known_compositions)

    @functools.cached_property
    def joint(self) -> JointProbability:
        """The joint probability of all targets on which the ranking rests."""
        campaign, ranges = self.task.campaign, self.task.ranges
        by_potential = [name for name in self.surrogates if self.judged_by(name) == "potential"]
        joint = joint_probability_of(self.task, without=by_potential)
        relaxed = supported_after_relaxing(campaign, {name: ranges[name] for name in by_potential})
        return JointProbability(joint.groups + relaxed.groups)

    @functools.cached_property
    def eligible(self) -> CandidateBatch:
        """The ranked candidates; their score is nan where the expected share of misses is too high to be chosen."""
        limit = self.task.campaign.shortlist.max_false_discovery
        if limit is None:
            return self.ranked
        supported = self.ranked.column(Column.EXPECTED_MISSES) <= limit
        column = Column.TRADEOFF_SCORE if self.weighs_objectives else Column.PROBABILITY
        return self.ranked.with_columns({column: np.where(supported, self.ranked.column(column), np.nan)})

    @property
    def weighs_objectives(self) -> bool:
        """Whether places follow objectives that are weighed against each other, not the probability alone."""
        return Column.TRADEOFF_SCORE in self.ranked.table.column_names

    def judged_by(self, name: str) -> str:
        """The source of the probability of a target in the ranking."""
        if self.task.campaign.potential is not None and name in BY_POTENTIAL:
            return "potential"
        return "kinship" if name in kinship_targets(self.task.campaign, self.task.ranges) else "surrogate"


def _explained(view: _Ranking, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Explain every finalist, as plain JSON values."""
    batch = view.ranked.take(rows)
    features = features_of(view.task, batch)
    predictions = {name: surrogate.predict(features) for name, surrogate in view.surrogates.items()}
    predictions = with_composition(view.task, predictions, batch)
    of_targets = {name: _of_target(view, name, batch, features, predictions[name]) for name in predictions}
    campaign = view.task.campaign
    filters = dict(zip(filter_stages(campaign), build_filters(campaign), strict=True))
    found = []
    for at, row in enumerate(rows.tolist()):
        own = {name: one_row(prediction, at) for name, prediction in predictions.items()}
        scored = all(prediction.codes[0] == "" for prediction in own.values())
        finalist = batch.take([at])
        margins = filter_margins(filters, finalist, known=view.known)
        found.append(
            {
                **_standing(view, row, own),
                "targets": {name: told[at] for name, told in of_targets.items()},
                "filters": [{"stage": stage, "text": text._asdict()} for stage, text in margins],
                "swaps": swap_effects(view.task, view.surrogates, finalist, own, known=view.compositions)
                if scored
                else None,
            }
        )
    return found


def _of_target(
    view: _Ranking, name: str, batch: CandidateBatch, features: FeatureMatrix, prediction: Prediction
) -> list[dict[str, Any]]:
    """Return contributions, nearest training compounds and place in the domain of each finalist, for one target."""
    surrogate = view.surrogates[name]
    features = surrogate.completed(features)
    told: list[dict[str, Any]] = [{"code": str(code)} for code in prediction.codes]
    sound = np.flatnonzero(prediction.codes == "")
    if not len(sound):
        return told
    values, names = surrogate.inputs(features.values[sound]), [*features.names]
    words = [*feature_words_of(view.task), *surrogate.condition_words]
    if surrogate.computed is not None:
        names.append(COMPUTED_VALUE)
        words.append(_words_of_computed(name, surrogate.computed.card["source"]))
    parts = surrogate.ensemble.contributions(values, background_of(surrogate))
    with_a_value = prediction.with_a_value  # contributions of features and the calibration lead to it
    shifts = with_a_value.scaled_median - prediction.centre
    below = levels(surrogate, values)
    near, distances = nearest_training(surrogate, values)
    hardly_seen = surrogate.intervals.support.hardly_seen
    from_training, beyond = surrogate.domain.distances(values), surrogate.domain.extrapolated(values)
    for k, row in enumerate(sound.tolist()):
        told[row] |= {
            "unit": property_named(name).unit,
            "transform": surrogate.transform,
            "judged_by": view.judged_by(name),
            "prediction": float(with_a_value.median[row]),
            "only_insulators": prediction.insulator is not None,
            "centre": float(prediction.centre[row]),
            "domain": {
                "distance": float(from_training[k]), "limit": surrogate.domain.limit, "extrapolated": float(beyond[k]),
                "hardly_seen": [SYMBOLS[at] for at in np.flatnonzero(features.elements[row] & hardly_seen)],
            },
            "nearest_training": _nearest(
                surrogate, near[k], distances[k], finalist=batch.take([row]), known=view.known
            ),
            "contributions": None,
        }  # fmt: skip
        if parts is not None:
            groups, others = grouped_contributions(
                names, words, values=values[k], contributions=parts.values[k], levels=below[k],
                property_name=name, transform=surrogate.transform,
            )  # fmt: skip
            listed = [
                {**group._asdict(), "group": group.group._asdict(), "text": group.text._asdict()} for group in groups
            ]
            told[row]["contributions"] = {
                "method": parts.method, "base": parts.base, "groups": listed, "others": others,
                "calibration": float(shifts[row]),
                "calibration_text": calibration_sentence(
                    float(shifts[row]), property_name=name, transform=surrogate.transform
                )._asdict(),
            }  # fmt: skip
    return told


def _words_of_computed(name: str, provenance: str) -> FeatureWords:
    """Words of the computed value that a property is transferred from."""
    known = property_named(name)
    label = Label(
        f"{known.label_en} by the model of {provenance} labels", f"由 {provenance} 标签模型给出的{known.label_zh}"
    )  # fmt: skip
    return FeatureWords(Label("computed value", "计算值"), label, unit=known.unit)


def _nearest(
    surrogate: Surrogate, rows: NDArray[np.int64], distances: NDArray[np.float64],
    *, finalist: CandidateBatch, known: KnownMaterials,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the nearest training compounds with their labels; the formula is None if their ids are not known."""
    values = backward(surrogate.training.target[rows], surrogate.transform)
    places = [known.row_of.get(name) for name in surrogate.training.ids[rows].tolist()]
    found: list[dict[str, Any]] = []
    for row, value, distance in zip(places, values.tolist(), distances.tolist(), strict=True):
        compound: dict[str, Any] = {"formula": None, "material_id": None, "composition_distance": None}
        if row is not None:
            material = known.rows.take([row])
            apart = composition_distances(finalist.compositions, material.compositions)[0, 0]
            identity = material.formulas[0], known.names[row], float(apart)
            compound = dict(zip(compound, identity, strict=True))
        found.append({**compound, "distance": distance, "value": value})
    return found


def _standing(view: _Ranking, row: int, own: Mapping[str, Prediction] | None = None) -> dict[str, Any]:
    """Compute how far a ranked candidate is from the cut of the shortlist: in all targets together and in each alone.

    Args:
        view: The run.
        row: Row of the ranked.
        own: Its predictions, for the value of each target at which the cut would be crossed.
    """
    shortlist, table = view.task.campaign.shortlist, view.ranked.table
    needed, score_needed = cut_of(view.eligible, row, shortlist)
    probability = float(table[Column.PROBABILITY][row].as_py())
    known = Column.EXPECTED_MISSES in table.column_names
    misses = float(table[Column.EXPECTED_MISSES][row].as_py()) if known else None
    margins: dict[str, Any] = {}
    counted = {name: counted_column(table.column_names, name) for name in view.task.ranges}
    present = {name: float(table[column][row].as_py()) for name, column in counted.items()}
    for name, ends in view.task.ranges.items():
        # Without a probability at the cut, no value of this target alone would do.
        by_probability = np.isfinite(needed) and not view.weighs_objectives
        at_cut = view.joint.needed(present, name, wanted=needed) if by_probability else None
        value = None
        if own is not None and view.judged_by(name) == "surrogate" and at_cut is not None and 0 < at_cut < 1:
            value = value_at_probability(own[name], 0, ends=ends, probability=at_cut)
        margins[name] = {"probability": present[name], "at_cut": at_cut, "value_at_cut": value}
    return {
        "candidate_id": view.ranked.ids[row],
        "formula": view.ranked.formulas[row],
        "rank": int(table[Column.RANK][row].as_py()),
        "place": int(table[Column.SHORTLISTED][row].as_py()),
        "probability": probability,
        "criterion": view.task.campaign.ranking.criterion,
        "score": float(merits(table)[row]),
        "needed": needed if np.isfinite(needed) else None,
        Column.RANKING_SCORE: None if score_needed is None else float(table[Column.RANKING_SCORE][row].as_py()),
        "ranking_score_needed": score_needed,
        "expected_misses": misses,
        "max_false_discovery": shortlist.max_false_discovery,
        "margins": margins,
    }


def _stage_cuts(run: RunView, view: _Ranking, rows: NDArray[np.int64]) -> list[list[dict[str, Any]]]:
    """Return the probability of all targets of each finalist in every scoring stage, and the lowest that passed.

    The cut is None if the stage had room for all candidates.
    """
    names = np.array([view.ranked.ids[row] for row in rows.tolist()])
    told: list[list[dict[str, Any]]] = [[] for _ in names]
    least = {line["stage"]: line["least"] for line in run.manifest.of_kind("fates") if line["merge"] == BELOW}
    for stage in view.task.campaign.scoring_stages:
        columns = [Column.CANDIDATE_ID, Column.OUTCOME, Column.PROBABILITY]
        parts = [run.table(path, columns) for path in run.parts(run.paths.partitions / stage)]
        if not parts:
            continue
        table = pa.concat_tables(parts)
        scored = table.filter(
            pc.and_(
                pc.equal(table[Column.OUTCOME], SCORED),
                pc.is_in(table[Column.CANDIDATE_ID], pa.array(names.tolist(), pa.string())),
            )
        )
        own = dict(zip(scored[Column.CANDIDATE_ID].to_pylist(), scored[Column.PROBABILITY].to_pylist(), strict=True))
        # Partition files hold probabilities in single precision, and the cut stands beside them.
        cut = None if least.get(stage) is None else float(np.float32(least[stage]))
        for cuts, name in zip(told, names.tolist(), strict=True):
            if name in own:
                cuts.append({"stage": stage, "probability": own[name], "cut": cut})
    return told
