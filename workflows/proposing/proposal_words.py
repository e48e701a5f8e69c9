"""Words about a batch in English and Chinese: how it was chosen, what was left out, and why each candidate stands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from matloop.data.label import Label
from matloop.data.plain_text import counted
from matloop.data.records.ledger import written_ranges
from matloop.workflows.proposing.proposal import ChosenCandidate, Proposal, why_of

STRATEGY_LABELS: Mapping[str, Label] = {
    "probability": Label("probability of meeting all targets", "满足全部目标的概率"),
    "improvement": Label("probability of beating the best measured candidate", "优于已测最佳候选的概率"),
    "expected_improvement": Label("expected improvement", "期望改进"),
    "upper_confidence_bound": Label("upper confidence bound", "置信上界"),
    "thompson": Label("Thompson sampling", "汤普森采样"),
    "expected_hypervolume": Label("expected gain of hypervolume", "期望超体积增益"),
}
"""Strategies by name."""

LEFT_OUT: Mapping[str, Label] = {
    "made": Label("made before", "已制备"),
    "pending": Label("proposed and not back yet", "已提议、结果未回"),
    "later_stage": Label("rejected by a later stage of the run", "被运行的后续阶段淘汰"),
    "elements": Label("elements not in house", "所需元素实验室没有"),
    "most_per_kilogram": Label("dearer by the kilogram, or of unknown price", "每千克价格超限或未知"),
    "most_per_mole": Label("dearer by the mole, or of unknown price", "每摩尔价格超限或未知"),
    "precursors": Label("no route from the precursors", "无可用前驱体路线"),
    "furnace": Label("no reaction that sets in at the furnace temperature", "炉温下反应不能进行"),
}
"""Why candidates are left out, by reason."""

HEADINGS: Mapping[str, Label] = {
    "place": Label("no.", "序号"), "candidate": Label("candidate", "候选材料编号"),
    "formula": Label("formula", "化学式"),
    "probability": Label("P(all targets)", "满足全部目标的概率"),
    "corrected": Label("P corrected by earlier results", "经此前结果校正的概率"), "why": Label("why", "入选原因"),
    "purpose": Label("purpose", "用途"), "price": Label("price of elements (USD/kg)", "元素价格（美元/千克）"),
    "route": Label("precursors", "前驱体"),
}  # fmt: skip
"""Columns of a batch."""

PURPOSES: Mapping[str, Label] = {"exploit": Label("promising", "有望达标"), "explore": Label("explores", "探索")}
"""What a candidate of a batch is for."""


def in_language(label: Label, language: str) -> str:
    """The text of a label in a language; English for any but ``zh``."""
    return label.zh if language == "zh" else label.en


def why(one: ChosenCandidate, strategy: str) -> Label:
    """Why a candidate was chosen, in a sentence.

    Args:
        one: The candidate.
        strategy: Name of the strategy.
    """
    choice = one.choice
    if choice.purpose == "explore":
        found = Label(
            "its result would explain most of what is uncertain about the others", "其结果最能减少其他候选的不确定性"
        )
    elif strategy == "thompson":
        found = Label(
            f"best of one draw of the truth; no. {choice.rank_alone:,} of the candidates looked at by upper confidence "
            "bound",
            f"在一次真值抽样中最优；按置信上界在比较过的候选中排第 {choice.rank_alone:,}",
        )
    else:
        label = STRATEGY_LABELS[strategy]
        found = Label(
            f"no. {choice.rank_alone:,} of the candidates looked at by {label.en}",
            f"按{label.zh}在比较过的候选中排第 {choice.rank_alone:,}",
        )
    if choice.nearest >= 0 and choice.correlation >= 0.05:
        near = f"{choice.correlation:.2f}"
        found = Label(
            f"{found.en}; correlation {near} with no. {choice.nearest + 1}",
            f"{found.zh}；与第 {choice.nearest + 1} 号的相关系数 {near}",
        )
    if one.precursors:
        made = " + ".join(one.precursors)
        found = Label(f"{found.en}; from {made}", f"{found.zh}；前驱体 {made}")
    return found


def summary(proposal: Proposal) -> list[Label]:
    """How a batch was chosen, a line each."""
    wish, counts = proposal.wish, proposal.counts
    label, exploring = STRATEGY_LABELS[wish.strategy], sum(one.choice.purpose == "explore" for one in proposal.chosen)
    size = len(proposal.chosen)
    lines = [
        Label(
            f"{counted(size, 'candidate')} of {counts.free:,} that may be proposed, by {label.en}; {exploring} of them "
            f"explore (share asked {wish.explored:.0%}, seed {wish.seed}).",
            f"从 {counts.free:,} 个可提议的候选中按{label.zh}选出 {size} 个，其中 {exploring} 个用于探索"
            f"（探索份额 {wish.explored:.0%}，随机种子 {wish.seed}）。",
        )
    ]
    lines += promise_lines(proposal)
    if proposal.retrained:
        names = ", ".join(proposal.retrained)
        lines.append(
            Label(
                f"Judged again by models that learned from the records: {names}.",
                f"已由学习了实验记录的模型重新评估：{names}。",
            )
        )
    if proposal.outdated:
        names = ", ".join(proposal.outdated)
        lines.append(
            Label(
                f"Values that taught the model of {names} were corrected or retracted since: matloop retrain first.",
                f"{names} 的模型所学的部分数值此后已被更正或撤销：请先运行 matloop retrain。",
            )
        )
    left = [(LEFT_OUT[reason], number) for reason, number in counts.left_out.items() if number]
    if left:
        en = ", ".join(f"{label.en} {number:,}" for label, number in left)
        zh = "，".join(f"{label.zh} {number:,} 个" for label, number in left)
        lines.append(Label(f"Left out: {en}.", f"未列入：{zh}。"))
    if size < wish.size:
        lines.append(Label(f"{wish.size} were asked for.", f"要求 {wish.size} 个，候选不足。"))
    if proposal.best > 0:
        lines.append(
            Label(
                f"The best of {counted(proposal.measured, 'measured one')} meets all targets and is the one to beat.",
                f"已测的 {proposal.measured} 个候选中最佳者满足全部目标，以其为比较基准。",
            )
        )
    if proposal.temperature is not None:
        lines.append(
            Label(
                f"At {proposal.temperature:.0f} °C every reaction should set in by Tammann's rule (no programme).",
                f"按塔曼规则，{proposal.temperature:.0f} °C 时各反应均应开始（仅为温度范围，并非升温程序）。",
            )
        )
    return lines


def promise_lines(proposal: Proposal) -> list[Label]:
    """How many hits the batch promises, as the models state it and as earlier results correct it."""
    known = [one for one in proposal.chosen if math.isfinite(one.probability)]
    if not known:
        return []
    stated, corrected = (sum(getattr(one, name) for one in known) for name in ("probability", "corrected"))
    tried, factor = proposal.correction.tried, proposal.correction.factor
    if not tried:
        return [Label(f"Promised: {stated:.1f} hits.", f"预期命中 {stated:.1f} 个。")]
    return [
        Label(
            f"Promised: {stated:.1f} hits by the models, {corrected:.1f} as {counted(tried, 'earlier result')} "
            f"{'corrects' if tried == 1 else 'correct'} it (odds times {factor:.2g}).",
            f"预期命中：按模型 {stated:.1f} 个，经此前 {tried:,} 个结果校正为 {corrected:.1f} 个"
            f"（几率乘以 {factor:.2g}）。",
        )
    ]


def shown_probability(value: float) -> str:
    """A probability for people; nothing where there is none."""
    return f"{value:.3g}" if math.isfinite(value) else ""


def shown_prediction(values: tuple[float, float, float], unit: str) -> str:
    """A prediction with its 90 % interval.

    >>> shown_prediction((2.0, 1.5, 2.5), "eV")
    '2 (1.5 to 2.5) eV'
    >>> shown_prediction((21.0, 1.0, math.inf), "1")
    '21 (≥ 1)'
    """
    value, low, high = (f"{number:.3g}" for number in values)
    ends = f"≥ {low}" if values[2] == math.inf else f"{low} to {high}"
    return f"{value} ({ends})" + ("" if unit == "1" else f" {unit}")


def as_json(proposal: Proposal) -> dict[str, Any]:
    """A batch as plain JSON values with stable names."""
    return {
        "action": proposal.action, "run": proposal.run, "campaign": proposal.campaign, **proposal.wish._asdict(),
        "laboratory": proposal.laboratory.model_dump(mode="json"), "scored": proposal.counts.scored,
        "free": proposal.counts.free,
        "left_out": {reason: number for reason, number in proposal.counts.left_out.items() if number},
        "correction": proposal.correction._asdict(), "ranges": written_ranges(proposal.ranges),
        "best_margin": proposal.best, "retrained": list(proposal.retrained),
        "outdated": list(proposal.outdated),
         "measured": proposal.measured, "temperature_celsius": proposal.temperature,
        "candidates": [
            {"place": place, "candidate_id": one.candidate_id, "formula": one.formula, **why_of(one)}
            for place, one in enumerate(proposal.chosen, start=1)
        ],
    }  # fmt: skip
