"""Criteria, objectives and their scores in words, in both languages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matloop.screening.campaign.ranking_settings import CriterionName, Objective
from matloop.screening.language.text import Words, property_words
from matloop.screening.ranking.objectives import SCORES

CRITERIA: Mapping[CriterionName, Words] = {
    "most_probable": Words("probability of meeting all targets", "满足全部目标的概率"),
    "topsis": Words("closeness to the best values among them (TOPSIS)", "与其中最优值的接近程度（TOPSIS）"),
    "desirability": Words("overall desirability", "综合满意度"),
    "pareto": Words("one over the number of the Pareto front", "Pareto 前沿序号的倒数"),
    "non_dominated": Words("probability that no other one beats it", "不被其他候选材料支配的概率"),
}
"""What the score of each criterion is."""


def objective_words(name: str) -> Words:
    """Label of an objective.

    >>> objective_words("price_per_kilogram").en, objective_words("band_gap_exp").en
    ('price of the elements of a kilogram', 'band gap (measured)')
    """
    if name in SCORES:
        return Words(*SCORES[name])
    stem, _, suffix = name.rpartition("_")
    if suffix in _STATED:
        label, stated = property_words(stem), _STATED[suffix]
        return Words(f"{label.en} ({stated.en})", f"{label.zh}（{stated.zh}）")
    return property_words(name)


_STATED = {"dft": Words("computed", "计算值"), "exp": Words("measured", "实测值")}


def goal_words(objective: Objective, *, weighted: bool) -> Words:
    """What is wanted of an objective.

    Args:
        objective: The objective.
        weighted: Whether weights count.

    >>> goal_words(Objective(name="supply_risk", goal="minimize", weight=2), weighted=True).en
    'small supply risk (weight 2)'
    """
    label, large = objective_words(objective.name), objective.goal == "maximize"
    weight = f"{objective.weight:g}"
    english = f"{'large' if large else 'small'} {label.en}" + (f" (weight {weight})" if weighted else "")
    chinese = f"{label.zh}{'越大越好' if large else '越小越好'}" + (f"（权重 {weight}）" if weighted else "")
    return Words(english, chinese)


def ranking_words(criterion: CriterionName, objectives: Sequence[Objective]) -> Words:
    """Say by what candidates were put in order.

    >>> wanted = [Objective(name="band_gap", goal="maximize"), Objective(name="supply_risk", goal="minimize")]
    >>> print(ranking_words("pareto", wanted).en)
    Ranked by one over the number of the Pareto front, for large band gap and small supply risk
    """
    score = CRITERIA[criterion]
    if not objectives:
        return Words(f"Ranked by the {score.en}", f"按{score.zh}排序")
    goals = [goal_words(objective, weighted=criterion in ("topsis", "desirability")) for objective in objectives]
    english = " and ".join(filter(None, [", ".join(goal.en for goal in goals[:-1]), goals[-1].en]))
    return Words(f"Ranked by {score.en}, for {english}", f"按{score.zh}排序：{'、'.join(goal.zh for goal in goals)}")


def standing_words(front: float, unbeaten: float, *, draws: int) -> Words:
    """Say on which Pareto front a candidate stands, and how sure that is.

    Args:
        front: Number of the front, from 1.
        unbeaten: Probability that no other ranked candidate beats it.
        draws: From how many draws the probability was estimated.

    >>> print(standing_words(1, 0.5, draws=1000).en)
    Pareto front 1; no other ranked candidate beats it with a probability of 0.50 ± 0.02
    """
    chance = f"{unbeaten:.2f} ± {math.sqrt(unbeaten * (1 - unbeaten) / draws):.2f}"
    return Words(
        f"Pareto front {front:.0f}; no other ranked candidate beats it with a probability of {chance}",
        f"Pareto 前沿第 {front:.0f} 层；不被其他已排序候选材料支配的概率为 {chance}",
    )
