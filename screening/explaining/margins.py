"""Reasons for the place of a finalist: contributions in words, and changes with which it would fall out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.comparison.composition_distance import composition_distances
from matloop.data.comparison.structure_distance import structure_distances
from matloop.data.feature_words import FeatureWords
from matloop.data.label import Label
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.training.known_materials import KnownMaterials
from matloop.screening.campaign.campaign import Shortlist
from matloop.screening.filters.contract import Filter
from matloop.screening.language.text import Words, number, unit_text
from matloop.screening.ranking.criteria import merits
from matloop.screening.ranking.ranking import chemical_likeness, structural_likeness
from matloop.screening.ranking.spread import spread_choice, structures_of

MOST_GROUPS = 5
_LOW, _HIGH = 0.3, 0.7  # of the training rows
_NEGLIGIBLE = 1e-9  # of the largest contribution
_SAME_COMPOSITION = 1e-9  # element mover's distance
_SAME_PROBABILITY = 1e-12  # of the probability; two ways of computing it differ by less


class GroupContribution(NamedTuple):
    """Contribution of a group of features to one prediction.

    Attributes:
        group: The group in words.
        contribution: Their sum on the model scale.
        feature: The feature among them that adds most in the same direction.
        value: Its value.
        level: Share of training rows below that value.
        text: The contribution as a sentence.
    """

    group: Words
    contribution: float
    feature: str
    value: float
    level: float
    text: Words


class FilterMargin(NamedTuple):
    """Margin by which a finalist passes a filter.

    Attributes:
        stage: The filter's stage in the funnel.
        text: The margin in words.
    """

    stage: str
    text: Words


def grouped_contributions(
    names: Sequence[str],
    words: Sequence[FeatureWords],
    *,
    values: NDArray[np.float64],
    contributions: NDArray[np.float64],
    levels: NDArray[np.float64],
    property_name: str,
    transform: str,
    most: int = MOST_GROUPS,
) -> tuple[list[GroupContribution], float]:
    """Find the groups of features that move one prediction most, and the sum of the other groups.

    Args:
        names: Of the k features.
        words: Of the k features.
        values: Of one candidate, shape (k,).
        contributions: To its prediction on the model scale, shape (k,).
        levels: Share of training rows below each value, shape (k,).
        property_name: What is predicted.
        transform: How the model scale came from the property.
        most: Most groups.
    """
    groups: dict[str, list[int]] = {}
    for column, word in enumerate(words):
        groups.setdefault(word.group.en, []).append(column)
    sums = {group: float(contributions[columns].sum()) for group, columns in groups.items()}
    order = sorted(sums, key=lambda group: (-abs(sums[group]), group))
    least = _NEGLIGIBLE * max((abs(total) for total in sums.values()), default=0.0)
    shown = [group for group in order[:most] if abs(sums[group]) > least]
    told = []
    for group in shown:
        columns = np.array(groups[group])
        lead = int(columns[np.argmax(contributions[columns] * np.sign(sums[group]))])
        text = _sentence(
            words[lead], float(values[lead]), float(levels[lead]), sums[group],
            property_name=property_name, transform=transform,
        )  # fmt: skip
        name = Words(*words[lead].group)
        told.append(
            GroupContribution(name, sums[group], names[lead], float(values[lead]), float(levels[lead]), text)
        )  # fmt: skip
    return told, float(sum(sums[group] for group in order if group not in shown))


def _sentence(
    words: FeatureWords, value: float, level: float, contribution: float, *, property_name: str, transform: str
) -> Words:
    """``High mean electronegativity raises the band gap by 0.6 eV``, in both languages."""
    known, amount = property_named(property_name), _amount(contribution, property_name, transform)
    verb, verb_zh = _verbs(contribution)
    english, chinese = _state(words, value, level)
    return Words(
        f"{english[:1].upper()}{english[1:]} {verb} the {known.label_en} by {amount}",
        f"{chinese}，使{known.label_zh}{verb_zh} {amount}",
    )


def calibration_sentence(shift: float, *, property_name: str, transform: str) -> Words:
    """Say what calibration adds to the mean of the ensemble, to which the contributions of features lead.

    Args:
        shift: From that mean to the median of the predictive distribution, on the model scale.
        property_name: What is predicted.
        transform: How the model scale came from the property.

    >>> calibration_sentence(-0.02, property_name="band_gap", transform="identity").en
    'Calibration on errors for unseen compositions lowers the band gap by 0.020 eV'
    """
    known, (verb, verb_zh) = property_named(property_name), _verbs(shift)
    amount = _amount(shift, property_name, transform)
    return Words(
        f"Calibration on errors for unseen compositions {verb} the {known.label_en} by {amount}",
        f"按未见成分的误差校准，使{known.label_zh}{verb_zh} {amount}",
    )


def _amount(contribution: float, property_name: str, transform: str) -> str:
    change = abs(10**contribution - 1) * 100 if transform == "log10" else abs(contribution)
    unit = "%" if transform == "log10" else unit_text(property_named(property_name).unit)
    return f"{number(change, change)} {unit}".rstrip()


def _verbs(contribution: float) -> tuple[str, str]:
    return ("raises", "升高") if contribution > 0 else ("lowers", "降低")


def _state(words: FeatureWords, value: float, level: float) -> Label:
    """Describe a feature and its position in the training data."""
    if words.kind == "flag":
        return words.values[int(value > 0)]
    if words.kind == "named":
        unknown = Label(f"unknown {words.label.en}", f"未知{words.label.zh}")
        return words.values.get(round(value), unknown)
    if words.kind == "index":
        return Label(f"{words.label.en} {value:.0f}", f"{words.label.zh} {value:.0f}")
    english, chinese = ("low", "偏低") if level < _LOW else ("high", "偏高") if level > _HIGH else ("middling", "居中")
    shown = f"{value:.3g} {words.unit}".rstrip().replace("-", "−")
    return Label(f"{english} {words.label.en} ({shown})", f"{words.label.zh}{chinese}（{shown}）")


class Cut(NamedTuple):
    """What a ranked candidate needs to be shortlisted, all others unchanged.

    Attributes:
        score: Score below which it is not: the probability of all targets, or what weighs objectives against each other
            (``tradeoff_score``); 0 where the shortlist has room for every one.
        ranking_score: Where it is exactly as probable as needed: the ranking score with which it comes before another
            one of that probability. None where the score alone decides.
    """

    score: float
    ranking_score: float | None = None


def cut_of(ranked: CandidateBatch, row: int, wanted: Shortlist) -> Cut:
    """Compute what a ranked candidate needs to be shortlisted.

    The others stay unchanged. The value is exact: the shortlist is chosen without the candidate, and each pick tells
    the score that the candidate would have needed to come first. Of equally probable candidates that with the larger
    ``ranking_score`` comes first; a cap makes many equally probable.

    Args:
        ranked: The ranked candidates.
        row: Which of them.
        wanted: Size and diversity of the shortlist.
    """
    merit, names = merits(ranked.table), ranked.table.column_names
    turns = _turns(ranked, row, wanted)
    needed = min((turn.score for turn in turns), default=0.0) if _is_full(turns, wanted.size) else 0.0
    if not needed or Column.TRADEOFF_SCORE in names or Column.RANKING_SCORE not in names:
        return Cut(needed)
    scores = ranked.column(Column.RANKING_SCORE).astype(float)
    own = merit[row]
    tied = [
        float(scores[turn.pick])
        for turn in turns
        if merit[turn.pick] == own and np.isclose(turn.score, own, rtol=_SAME_PROBABILITY, atol=0)
    ]
    return Cut(needed, min(tied) if tied and np.isclose(needed, own, rtol=_SAME_PROBABILITY, atol=0) else None)


class _Turn(NamedTuple):
    """One pick of a shortlist chosen without a candidate, and the score with which that would have come first."""

    pick: int
    score: float
    same_composition: bool


def _is_full(turns: Sequence[_Turn], size: int) -> bool:
    """Whether a candidate that came first in none of the turns is not shortlisted."""
    return len(turns) == size or (len(turns) > 0 and turns[-1].same_composition)


def _turns(ranked: CandidateBatch, row: int, wanted: Shortlist) -> list[_Turn]:
    """Choose a shortlist without one candidate, as far as this one could still be picked."""
    merit = merits(ranked.table)
    without = np.where(np.arange(len(ranked)) == row, np.nan, merit)
    picks = spread_choice(without, ranked, wanted)
    chosen = ranked.compositions.take(np.array(picks, np.int64))
    to_row = composition_distances(ranked.compositions.take(np.array([row])), chosen)[0]
    among = composition_distances(chosen, chosen)
    structures = structures_of(ranked, wanted)
    crystals_to_row = crystals_among = np.full(among.shape, np.inf)
    if structures is not None:
        crystals_to_row = np.broadcast_to(structure_distances(structures[[row]], structures[picks]), among.shape)
        crystals_among = structure_distances(structures[picks], structures[picks])
    turns: list[_Turn] = []
    for turn, pick in enumerate(picks):
        worth_of_pick, worth_of_row = (
            (1 - wanted.diversity * float(np.max(chemical_likeness(distances[:turn]), initial=0.0)))
            * (1 - wanted.structural_diversity * float(np.max(structural_likeness(apart[:turn]), initial=0.0)))
            for distances, apart in ((among[turn], crystals_among[turn]), (to_row, crystals_to_row[turn]))
        )
        needed = float(merit[pick]) * worth_of_pick / worth_of_row if worth_of_row > 0 else np.inf
        turns.append(_Turn(pick, needed, bool(to_row[turn] <= _SAME_COMPOSITION)))
        if turns[-1].same_composition:  # once that pick is made, the candidate never is
            break
    return turns


def filter_margins(
    filters: Mapping[str, Filter], finalist: CandidateBatch, *, known: KnownMaterials
) -> list[FilterMargin]:
    """Tell by what margin one finalist passes each filter.

    Args:
        filters: Filters of the campaign by the name of their stage in the funnel, in its order.
        finalist: One candidate.
        known: What the run knows.
    """
    return [FilterMargin(stage, Words(*filter_.margin(finalist, known=known))) for stage, filter_ in filters.items()]
