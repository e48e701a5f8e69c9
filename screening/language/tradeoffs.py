"""Criteria, objectives and their scores in words, in both languages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matloop.screening.campaign.ranking_settings import CriterionName, Objective
from matloop.screening.language.text import Words, property_words
from matloop.screening.ranking.objectives import SCORES
from matloop.screening.runs.run_summary import DiversityPrice, MovedLimit

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


def price_words(price: DiversityPrice, criterion: CriterionName) -> Words:
    """Say what the diversity of a shortlist costs.

    >>> from matloop.screening.runs.run_summary import ListSpread
    >>> chosen = ListSpread(score=0.5, probability=0.5, chemistry=20.0, structure=0.4)
    >>> plain = ListSpread(score=0.6, probability=0.6, chemistry=5.0, structure=0.4)
    >>> print(price_words(DiversityPrice(chosen=chosen, undiversified=plain), "most_probable").en)
    Diversity costs 0.100 of the mean probability of meeting all targets (0.500 instead of 0.600); the mean distance \
of two finalists is 20.0 instead of 5.0 in composition and 0.40 instead of 0.40 in structure
    """
    chosen, plain, score = price.chosen, price.undiversified, CRITERIA[criterion]
    now, best = f"{chosen.score:.3f}", f"{plain.score:.3f}"
    english = (
        f"Diversity costs {max(plain.score - chosen.score, 0):.3f} of the mean {score.en} ({now} instead of {best})"
    )
    chinese = f"多样性的代价：平均{score.zh}由 {best} 降为 {now}"
    apart = [
        (f"{own:{form}} instead of {other:{form}} in {en}", f"{zh}由 {other:{form}} 变为 {own:{form}}")
        for own, other, form, en, zh in (
            (chosen.chemistry, plain.chemistry, ".1f", "composition", "成分"),
            (chosen.structure, plain.structure, ".2f", "structure", "结构"),
        )
        if own is not None and other is not None
    ]
    if not apart:
        return Words(english, chinese)
    return Words(
        f"{english}; the mean distance of two finalists is {' and '.join(en for en, _ in apart)}",
        f"{chinese}；入选材料两两平均距离：{'，'.join(zh for _, zh in apart)}",
    )


def moves_words(moved: Sequence[MovedLimit], places: int) -> Words:
    """Say how many finalists stay if weights and limits are moved, and which move changes the shortlist most.

    Args:
        moved: Every move of a run, one at least.
        places: Number of finalists.

    >>> moves = [
    ...     MovedLimit(kind="target", name="band_gap", before=2.5, after=3.0, stay=1, enter=("MgO",)),
    ...     MovedLimit(kind="target", name="band_gap", before=2.5, after=2.0, stay=3),
    ... ]
    >>> print(moves_words(moves, 3).en)
    If one limit or weight is moved by 20 %, 2.0 of 3 finalists stay in the mean of 2 moves; fewest, 1, stay if the \
limit of band gap is 3 instead of 2.5 (MgO would come in)
    """
    mean, least = sum(move.stay for move in moved) / len(moved), min(moved, key=lambda move: move.stay)
    english = (
        f"If one limit or weight is moved by 20 %, {mean:.1f} of {places:,} finalists stay in the mean of "
        f"{len(moved):,} moves"
    )
    chinese = f"单个界限或权重变动 20 % 时，{len(moved):,} 次变动平均有 {mean:.1f}/{places:,} 个入选材料保留"
    if least.stay >= places:
        return Words(english, chinese)
    label, what = objective_words(least.name), _MOVED[least.kind]
    after, before = f"{least.after:.4g}", f"{least.before:.4g}"
    entering = ", ".join(least.enter)
    return Words(
        f"{english}; fewest, {least.stay}, stay if the {what.en} of {label.en} is {after} instead of {before}"
        + (f" ({entering} would come in)" if entering else ""),
        f"{chinese}；{label.zh}的{what.zh}由 {before} 变为 {after} 时保留最少，为 {least.stay} 个"
        + (f"（{'、'.join(least.enter)} 将入选）" if entering else ""),
    )


_MOVED = {
    "target": Words("limit", "界限"),
    "weight": Words("weight", "权重"),
    "worst": Words("limit of no use", "无用界限"),
    "best": Words("limit of no further gain", "最佳界限"),
}


def listed_words(share: float, worst: float, moves: int) -> Words:
    """Say how a finalist stands the moves.

    Args:
        share: Of the moves in which it stays on the shortlist.
        worst: Its last rank in them.
        moves: Number of moves.

    >>> print(listed_words(0.75, 12, 4).en)
    stays on the shortlist in 3 of 4 moves of one limit or weight by 20 %; its last rank in them is 12
    """
    stay = f"{share * moves:.0f}"
    return Words(
        f"stays on the shortlist in {stay} of {moves:,} moves of one limit or weight by 20 %; its last rank in them is "
        f"{worst:.0f}",
        f"单个界限或权重变动 20 % 的 {moves:,} 次中有 {stay} 次仍入选，最差排名 {worst:.0f}",
    )
