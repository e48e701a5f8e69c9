"""Sentences about a replayed loop, in English and Chinese: what was replayed, and what it is worth on these data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from matloop.data.plain_text import counted
from matloop.screening.language.text import Words
from matloop.workflows.bench.loop_measures import (
    FEWEST_SEEDS,
    Figures,
    Spread,
    expected_by_chance,
    fewer_than,
    figures_of,
    oracle_acceleration,
    place_of,
    verdict,
)
from matloop.workflows.bench.loop_replay import LoopRun
from matloop.workflows.bench.loop_strategies import RANDOM
from matloop.workflows.bench.quantities import quantity_named
from matloop.workflows.bench.wanted_targets import hits_among

STRATEGY_WORDS: Mapping[str, Words] = {
    RANDOM: Words("random", "随机"), "loop": Words("loop", "闭环"), "trees": Words("trees", "极端随机树"),
    "greedy": Words("greedy", "贪心"), "forest": Words("plain random forest", "普通随机森林"),
    "physbo": Words("PHYSBO", "PHYSBO"),
}  # fmt: skip


def strategy_words(name: str) -> Words:
    """Name of a strategy for people."""
    return STRATEGY_WORDS.get(name, Words(name, name))


def wanted_words(name: str, ends: Sequence[float]) -> Words:
    """A wanted range of a quantity.

    >>> wanted_words("band_gap", (3.0, np.inf)).en, wanted_words("ZT", (1.0, 2.0)).en
    ('band gap ≥ 3 eV', 'ZT 1 to 2')
    """
    known = quantity_named(name)
    unit = "" if known.unit == "1" else f" {known.unit}"
    if np.isfinite(ends).all():
        low, high = (f"{end:.4g}" for end in ends)
        return Words(f"{known.label.en} {low} to {high}{unit}", f"{known.label.zh} {low} 至 {high}{unit}")
    sign, value = ("≥", ends[0]) if np.isinf(ends[1]) else ("≤", ends[1])
    return Words(f"{known.label.en} {sign} {value:.4g}{unit}", f"{known.label.zh} {sign} {value:.4g}{unit}")


def data_words(run: LoopRun) -> list[Words]:
    """What was searched for, in what, how, and what the figures mean."""
    data, settings = run.data, run.settings
    wanted = [wanted_words(name, ends) for name, ends in run.ranges.items()]
    hits, count = int(hits_among(data.labels, run.ranges).sum()), len(data.candidates)
    formulas = len(np.unique(data.groups))
    best = oracle_acceleration(run)
    return [
        Words(
            f"{hits:,} of {count:,} candidates ({formulas:,} formulas) of {data.name} are hits: "
            f"{' and '.join(one.en for one in wanted)}.",
            f"{data.name} 的 {count:,} 个候选材料（{formulas:,} 个化学式）中有 {hits:,} 个目标材料："
            f"{'，且 '.join(one.zh for one in wanted)}。",
        ),
        Words(
            f"{counted(settings.seeds, 'seed')}: {settings.first} candidates are measured at random, then "
            f"{settings.batch} at a time, at most {settings.budget:,} after the first ones. Goal: "
            f"{100 * settings.goal:g} % of the hits among those not measured at first. Median (smallest to largest).",
            f"{settings.seeds} 个随机种子：先随机测量 {settings.first} 个候选材料，之后每批 {settings.batch} 个，"
            f"初始之后最多 {settings.budget:,} 个。目标：找到初始未测者中 {100 * settings.goal:g} % 的目标材料。"
            "所列为中位数（最小至最大）。",
        ),
        Words(
            "To the goal: measurements in whole batches, after the first ones; one by one: up to the hit itself, each "
            "batch in the order in which it was picked. Acceleration: what chance needs on "
            f"average over that; an oracle that knows the hits reaches {best:.1f}. Enhanced: hits over those of chance "
            "at the end of the budget; yield: share of the hits found by then. A hit: probability that a measurement "
            "up to the goal is one. Sooner: seeds in which it was sooner than the order of chance of the seed.",
            "达标测量数按整批计，不含初始测量；逐个计：每批按选取顺序逐个测量，直至达标的那个目标材料。"
            f"加速因子：随机平均所需与其之比；预知答案者可达 {best:.1f}。"
            "增强因子：用尽预算时目标材料数与随机之比；发现率：届时已找到的比例；命中概率：达标之前每次测量的命中率；"
            "早于随机：早于同一种子的随机顺序的种子数。",
        ),
    ]  # fmt: skip


def plain_sentence(run: LoopRun) -> Words:
    """One sentence: what the first strategy needed on these data, what chance needs, and whether that is a gain."""
    settings = run.settings
    found = figures_of(run, settings.strategies[0])
    chance = float(np.median([expected_by_chance(one, settings.goal) for one in run.of(RANDOM) if one.hits]))
    share, seeds = f"{100 * settings.goal:g} %", found.seeds
    own = _needed(found, settings.budget)
    verdicts = _verdict_words(found, seeds)
    return Words(
        f"On your data the loop needed {own.en} where random needs {chance:,.0f} to find {share} of the hits "
        f"(median of {counted(seeds, 'seed')}, {_range(found.needed).en}). {verdicts.en}",
        f"在您的数据上，找到 {share} 的目标材料，闭环需要{own.zh}，随机需要 {chance:,.0f} 次"
        f"（{seeds} 个种子的中位数，{_range(found.needed).zh}）。{verdicts.zh}",
    )


def _needed(found: Figures, budget: int) -> Words:
    if math.isinf(found.needed.median):
        return Words(f"more than {budget:,} measurements", f"超过 {budget:,} 次测量")
    return Words(f"{found.needed.median:,.0f} measurements", f" {found.needed.median:,.0f} 次测量")


def _range(needed: Spread) -> Words:
    low, high = (f"{value:,.0f}" if math.isfinite(value) else "" for value in needed[1:])
    if not low:
        return Words("the loop in no seed", "所有种子均未达标")
    if not high:
        return Words(f"the loop from {low} to more than the budget", f"闭环 {low} 至超出预算")
    return Words(f"the loop {low} to {high}", f"闭环 {low} 至 {high}")


def _verdict_words(found: Figures, seeds: int) -> Words:
    judged = verdict(found)
    if judged == "sooner":
        factor = "" if not found.acceleration.median else f"{found.acceleration.median:.1f}"
        return Words(
            f"It was sooner than random in {found.sooner} of {seeds} seeds"
            + (f", {factor} times as fast in the median." if factor else "."),
            f"{seeds} 个种子中有 {found.sooner} 个早于随机" + (f"，中位数快 {factor} 倍。" if factor else "。"),
        )
    if judged == "later":
        return Words(
            f"That is no gain but a loss: it was later than random in {found.later} of {seeds} seeds.",
            f"没有收益，反而更差：{seeds} 个种子中有 {found.later} 个晚于随机。",
        )
    if not found.reached and found.enhancement > 1:
        return Words(
            f"The budget was spent before; the loop found {found.enhancement:.1f} times as many hits as random finds "
            "on average with as many measurements (median).",
            f"预算先已用尽；闭环找到的目标材料是随机在同样测量次数下平均所得的 {found.enhancement:.1f} 倍（中位数）。",
        )
    few = Words(
        f" At least {FEWEST_SEEDS} seeds are needed for a verdict.", f"至少需要 {FEWEST_SEEDS} 个种子才能下结论。"
    )
    told = few if seeds < FEWEST_SEEDS else Words("", "")
    return Words(
        f"That is no proven gain: it was sooner than random in {found.sooner} of {seeds} seeds, which chance alone "
        f"may give.{told.en}",
        f"未能证明有收益：{seeds} 个种子中有 {found.sooner} 个早于随机，这可能只是偶然。{told.zh}",
    )


def saving_sentence(run: LoopRun, rival: str) -> Words:
    """How many fewer measurements than a rival the first strategy needed."""
    saved, own, other = fewer_than(run, run.settings.strategies[0], rival), run.settings.strategies[0], rival
    names = strategy_words(own), strategy_words(other)
    if not math.isfinite(saved):
        return Words(
            f"{names[0].en} against {names[1].en}: the goal was not reached.", f"{names[0].zh}对{names[1].zh}：未达标。"
        )
    unfinished = figures_of(run, rival).reached < figures_of(run, rival).seeds
    more = Words("at least ", "至少") if unfinished else Words("", "")
    batches, singly = _change(saved), _change(fewer_than(run, own, other, count=place_of))
    return Words(
        f"{names[0].en} against {names[1].en}: {more.en}{batches.en} measurements to the goal in whole batches, "
        f"{more.en}{singly.en} one by one (medians).",
        f"{names[0].zh}对{names[1].zh}：达标所需测量按整批计{more.zh}{batches.zh}，逐个计{more.zh}{singly.zh}（中位数）。",
    )


def _change(saved: float) -> Words:
    """A share of measurements saved, as more or fewer.

    >>> _change(0.3).en, _change(-0.25).en
    ('30 % fewer', '25 % more')
    """
    amount = f"{100 * abs(saved):.0f} %"
    return Words(f"{amount} fewer", f"少 {amount}") if saved >= 0 else Words(f"{amount} more", f"多 {amount}")
