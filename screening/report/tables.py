"""The counts and tables of the run report."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column, probability_of, property_column
from matloop.screening.flags.flag_words import MEANINGS
from matloop.screening.flags.flags import Flag, raised_in
from matloop.screening.language.reasons import reason_words
from matloop.screening.language.stages import stage_words
from matloop.screening.language.text import (
    OUTCOMES,
    Words,
    formula_markup,
    number,
    origin_words,
    property_words,
    range_words,
    space_group_markup,
    unit_text,
)  # fmt: skip
from matloop.screening.report.batch_columns import numbers, texts
from matloop.screening.report.stability import hull_distance_text
from matloop.screening.runs.run_view import RunView

_MOST_ROWS = 1000
_REASONS_SHOWN = 6

LAPS = {
    "workers started": Words("workers started", "启动工作进程"),
    "surrogates trained": Words("surrogates trained", "训练代理模型"),
    "candidates scored": Words("candidates scored", "候选材料打分"),
    "crystals scored": Words("crystals scored", "按晶体结构打分"),
    "candidates relaxed": Words("candidates relaxed", "候选材料弛豫"),
    "stability judged": Words("stability judged", "判定稳定性"),
    "shortlist chosen": Words("shortlist chosen", "选定入选名单"),
    "vibrations of finalists computed": Words("vibrations of finalists computed", "计算入选材料的晶格振动"),
    "flags raised": Words("flags raised", "标记需复核之处"),
    "shortlist written": Words("shortlist written", "写出入选名单"),
}
"""Names of the laps a run is timed by."""


class Headline(NamedTuple):
    """The run in numbers.

    Attributes:
        rows_in: Candidates that came in.
        shortlisted: Candidates handed on.
        rejected: Candidates a stage decided against.
        quarantined: Candidates that could not be scored.
        seconds: Time the run took.
        workers: Worker processes.
        complete: Whether every candidate that came in has an outcome.
    """

    rows_in: int
    shortlisted: int
    rejected: int
    quarantined: int
    seconds: float
    workers: int
    complete: bool


def run_headline(run: RunView) -> Headline:
    """The run in numbers."""
    outcomes, rows_in = run.summary.outcomes, run.summary.rows_in
    return Headline(
        rows_in,
        len(run.shortlisted),
        outcomes.get("rejected", 0),
        outcomes.get("quarantined", 0),
        float(sum(run.summary.seconds.values())),
        run.summary.workers,
        rows_in == sum(outcomes.values()),
    )


class TargetWords(NamedTuple):
    """A target in words.

    Attributes:
        name: Property.
        label: Its label.
        wanted: The wanted range.
        unit: Unit as printed.
        best_share: Whether the range's end is the best 5 % of the training data.
    """

    name: str
    label: Words
    wanted: Words
    unit: str
    best_share: bool


def target_words(run: RunView) -> list[TargetWords]:
    """The targets in the campaign's order."""
    found = []
    for target in run.campaign.targets:
        unit = property_named(target.property).unit
        relative = target.goal in ("maximize", "minimize") and target.value is None
        wanted = range_words(run.ranges[target.property], unit)
        found.append(TargetWords(target.property, property_words(target.property), wanted, unit_text(unit), relative))
    return found


class MetTogether(NamedTuple):
    """Targets whose truth is known of the same crystals.

    Attributes:
        words: How often they are met together, and what follows.
        lowered: Whether the probability of meeting them together is less than the product.
    """

    words: Words
    lowered: bool


def met_together(run: RunView) -> list[MetTogether]:
    """Groups of targets whose truth is known of the same crystals."""
    found = []
    for group in run.summary.met_together:
        en, zh = zip(*(property_words(name) for name in group.targets), strict=True)
        rows, met, odds = f"{group.crystals:,}", f"{group.met:,}", f"{group.odds:.2g}"
        promised = f"{group.promised:,.0f}" if group.promised >= 10 else f"{group.promised:.1f}"
        words = Words(
            f"Of {rows} packaged crystals with known {', '.join(en[:-1])} and {en[-1]}, {met} meet these targets "
            f"together, where the products of their probabilities promise {promised}: "
            f"the odds p / (1 − p) of meeting them together are multiplied by {odds}.",
            f"在{'、'.join(zh[:-1])}和{zh[-1]}均已知的 {rows} 个内置晶体中，同时满足这些目标的有 {met} 个，"
            f"而各项概率之积预计为 {promised} 个：因此同时达标的发生比（odds，即 p/(1−p)）乘以 {odds}。",
        )
        found.append(MetTogether(words, group.odds < 1))
    return found


class Reason(NamedTuple):
    """Why some candidates went."""

    outcome: Words
    words: Words
    rows: int


class FunnelRow(NamedTuple):
    """One stage of the funnel.

    Attributes:
        stage: Its name.
        left: Candidates left after it.
        lost: Candidates it took out.
        bar: Width of the bar of those left, in percent.
        lost_bar: Width of the bar of those lost, which follows it.
        reasons: Why most of them went.
        more_reasons: The rarer reasons.
    """

    stage: Words
    left: int
    lost: int
    bar: float
    lost_bar: float
    reasons: list[Reason]
    more_reasons: list[Reason]


class Funnel(NamedTuple):
    """Stages, and position (percent) and text of the marks of the logarithmic scale their bars are drawn on."""

    rows: list[FunnelRow]
    ticks: list[tuple[float, str]]


def run_funnel(run: RunView) -> Funnel:
    """The funnel stage by stage."""
    stages = run.summary.funnel
    top = max([2, *(stage.rows_in for stage in stages)])

    def position(count: int) -> float:
        # One candidate still has a visible bar; none has no bar.
        return 0.0 if count < 1 else round(100 * (math.log10(count) + 0.15) / (math.log10(top) + 0.15), 2)

    rows = []
    for stage in stages:
        left, entered = stage.rows_out, stage.rows_in
        reasons = [
            Reason(
                OUTCOMES.get(lost.outcome, Words(lost.outcome, lost.outcome)),
                reason_words(lost.code, lost.value, lost.limit), lost.rows,
            )
            for lost in stage.lost
        ]  # fmt: skip
        bar = position(left)
        rows.append(
            FunnelRow(
                stage_words(stage.stage), left, entered - left, bar, round(position(entered) - bar, 2),
                reasons[:_REASONS_SHOWN], reasons[_REASONS_SHOWN:],
            )
        )  # fmt: skip
    ticks = [(position(10**power), f"{10**power:,}") for power in range(math.floor(math.log10(top)) + 1)]
    return Funnel(rows, ticks)


class RankedValue(NamedTuple):
    """One target of one ranked candidate.

    Attributes:
        value: To sort by.
        text: The same as text.
        interval: 90 % interval.
        hull_distance: As on the cards; empty for all but the energy above the hull by a potential.
        probability: Of lying in the wanted range.
    """

    value: float | None
    text: str
    interval: str
    hull_distance: str
    probability: float


class RankedRow(NamedTuple):
    """One row of the table of ranked candidates."""

    rank: int
    place: int
    formula: Markup
    plain_formula: str
    candidate_id: str
    space_group_number: int | None
    space_group: Markup
    probability: float
    values: list[RankedValue]
    origin: Words
    flags: list[tuple[Flag, Words]]


class RankedTable(NamedTuple):
    """The first ranked candidates, and how many there are in all."""

    rows: list[RankedRow]
    total: int


def ranked_table(run: RunView) -> RankedTable:
    """The ranked candidates, best first, at most 1000 of them."""
    batch = run.ranked.take(np.arange(min(len(run.ranked), _MOST_ROWS)))
    columns = {
        name: [
            numbers(batch, column)
            for column in (
                property_column(name, "pred"),
                property_column(name, "lo"),
                property_column(name, "hi"),
                probability_of(name),
            )
        ]
        for name in run.properties
    }
    groups, origins = numbers(batch, Column.SPACE_GROUP_NUMBER), texts(batch, Column.ORIGIN)
    flags = texts(batch, Column.FLAGS)
    ranks, places, probability = (
        numbers(batch, name) for name in (Column.RANK, Column.SHORTLISTED, Column.PROBABILITY)
    )
    ids, formulas = batch.ids, batch.formulas
    symbols = {int(group): space_group_markup(int(group)) for group in np.unique(groups[np.isfinite(groups)])}
    rows = []
    for row in range(len(batch)):
        group = int(groups[row]) if math.isfinite(groups[row]) else None
        rows.append(
            RankedRow(
                int(ranks[row]), int(places[row]), formula_markup(formulas[row]), formulas[row], ids[row],
                group, symbols.get(group or 0, Markup("")), float(probability[row]),
                [
                    _ranked_value(hull_distance_text(batch, row, name), *(float(column[row]) for column in shown))
                    for name, shown in columns.items()
                ],
                origin_words(origins[row]),
                [(flag, MEANINGS[flag].title) for flag in raised_in(flags[row])],
            )
        )  # fmt: skip
    return RankedTable(rows, len(run.ranked))


def _ranked_value(hull_distance: str, mean: float, low: float, high: float, probability: float) -> RankedValue:
    start, stop = number(low, high - low), number(high, high - low)
    interval = f"≥ {start}" if high == math.inf else f"{start} … {stop}"
    value = mean if math.isfinite(mean) else None
    return RankedValue(value, number(mean, high - low), interval, hull_distance, probability)
