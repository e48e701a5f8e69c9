"""What decisions about models are called in both languages, and how their figures are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from matloop.data.label import Label
from matloop.models.surrogates.contest import FEWEST_NEWEST, LEVEL, Comparison, Reason, fewest_to_decide
from matloop.models.surrogates.training import SMALLEST_TRAINING_SET
from matloop.workflows.looping.champions import ModelDecision
from matloop.workflows.wording import number_text

REASONS: Mapping[Reason, Label] = MappingProxyType(
    {
        "first": Label(
            "the model that learned from no result of the laboratory is in use", "启用未学习任何实验结果的初始模型"
        ),
        "first_measured": Label(
            "the first model, learned from results alone, is in use: in cross-validation it has a smaller error than "
            "guessing the mean",
            "启用仅由实验结果训练的初始模型：其交叉验证误差小于以均值猜测",
        ),
        "waits": Label(
            "no model yet: nothing but results teaches this property, and fewer than "
            f"{SMALLEST_TRAINING_SET} compounds have a value",
            f"尚无模型：该性质仅有实验结果可供学习，而有数值的化合物不足 {SMALLEST_TRAINING_SET} 个",
        ),
        "loses_to_mean": Label(
            "no model yet: one learned from results alone has no smaller error than guessing the mean",
            "尚无模型：仅由实验结果训练的模型误差不小于以均值猜测",
        ),
        "wins": Label(
            f"the challenger is in use now: better in cross-validation with a probability of {LEVEL:.0%} or more, and "
            "no worse on the newest results",
            f"现已启用挑战模型：在交叉验证中更优的概率不低于 {LEVEL:.0%}，且在最新结果上不逊于现用模型",
        ),
        "few_results": Label(
            f"the champion stays: too few results; a challenger needs {SMALLEST_TRAINING_SET} compounds with a value, "
            "and with a crystal in the records where features ask for one",
            f"保留现用模型：实验结果太少；挑战模型需要 {SMALLEST_TRAINING_SET} 个有数值的化合物，"
            "若特征需要晶体结构，记录中还须有其结构",
        ),
        "cannot_learn": Label(
            "no model can learn from the results, although they are enough, so that nothing changes",
            "实验结果数量足够，但无法用于训练模型，维持现状",
        ),
        "nothing_new": Label(
            "the champion stays: no compound got its first value since it learned",
            "保留现用模型：自其训练以来没有新化合物获得数值",
        ),
        "few_newest": Label(
            "the champion stays: the newest results are too few to decide; a third of the compounds that it has not "
            f"seen, {FEWEST_NEWEST} or more, is set aside, and {SMALLEST_TRAINING_SET} with a value must remain to "
            f"learn from: {fewest_to_decide()} in all where it has seen none",
            "保留现用模型：最新结果太少，无法判定；现用模型未见过的化合物须留出三分之一"
            f"（至少 {FEWEST_NEWEST} 个），其余至少 {SMALLEST_TRAINING_SET} 个有数值的用于学习："
            f"若现用模型未见过任何结果，共需 {fewest_to_decide()} 个",
        ),
        "loses_cross_validation": Label(
            "the champion stays: in cross-validation the challenger is not better with a probability of "
            f"{LEVEL:.0%} or more",
            f"保留现用模型：挑战模型在交叉验证中更优的概率不足 {LEVEL:.0%}",
        ),
        "loses_newest": Label(
            "the champion stays: the challenger has the larger error on the newest results",
            "保留现用模型：挑战模型在最新结果上误差更大",
        ),
        "back": Label("the model before is in use again", "恢复使用前一个模型"),
        "taken_back": Label(
            "the model in use learned from values that were corrected or retracted since; the one before it, if any, "
            "is in use again",
            "现用模型学习过的部分数值此后已被更正或撤销；如有前一个模型，则恢复使用",
        ),
    }
)  # fmt: skip
"""Why a model is in use, by reason."""

TESTS: Mapping[str, Label] = MappingProxyType(
    {
        "cross_validation": Label("grouped cross-validation, without the newest", "分组交叉验证（不含最新结果）"),
        "newest": Label("newest results, unseen by both", "双方均未见过的最新结果"),
    }
)
"""The two comparisons of a champion and a challenger."""

HEADINGS: Sequence[Label] = (
    Label("test", "检验"),
    Label("results", "结果数"),
    Label("formulas", "化学式数"),
    Label("champion MAE", "现用模型 MAE"),
    Label("challenger MAE", "挑战模型 MAE"),
    Label("guessing the mean", "以均值猜测"),
    Label("P(challenger better)", "挑战模型更优的概率"),
)
"""Headings of a table of comparisons."""


def comparisons_of(decision: ModelDecision) -> dict[str, Comparison]:
    """The comparisons that a decision rests on, by their name in :data:`TESTS`."""
    parts = {"cross_validation": decision.cross_validation, "newest": decision.newest}
    return {name: part for name, part in parts.items() if part is not None}


def cells_of(comparison: Comparison) -> tuple[str, ...]:
    """The figures of a comparison, below :data:`HEADINGS` without the first.

    >>> cells_of(Comparison(8, 7, 0.5, 0.25, 0.75, 0.9375))
    ('8', '7', '0.5', '0.25', '0.75', '0.94')
    """
    errors = (number_text(one, 3) for one in (comparison.champion, comparison.challenger, comparison.mean))
    return f"{comparison.rows:,}", f"{comparison.formulas:,}", *errors, f"{comparison.chance:.2f}"
