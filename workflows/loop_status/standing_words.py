"""How a loop stands, in sentences of both languages; the terminal and the page say the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from matloop.data.label import Label
from matloop.data.plain_text import counted
from matloop.data.properties.catalogue import catalogue
from matloop.models.surrogates.real_results import ALARM, Hits
from matloop.workflows.loop_status.on_results import OnResults
from matloop.workflows.loop_status.standing import LoopStanding, Tally
from matloop.workflows.looping.decision_words import REASONS
from matloop.workflows.wording import number_text

_UNLIKELY = 0.05  # below it a difference is told as one


def tally_lines(tally: Tally) -> Iterator[Label]:
    """What was proposed, made, measured and held."""
    made, partly, failed = (tally.samples.get(name, 0) for name in ("made", "partly", "failed"))
    withdrawn = f", {tally.withdrawn:,} withdrawn" if tally.withdrawn else ""
    withdrawn_zh = f"，{tally.withdrawn:,} 个已撤回" if tally.withdrawn else ""
    yield Label(
        f"proposed: {counted(tally.proposed, 'candidate')}, {tally.waiting:,} of them without a result{withdrawn}",
        f"已推荐 {tally.proposed:,} 个候选，其中 {tally.waiting:,} 个尚无结果{withdrawn_zh}",
    )
    handling = f", {tally.of_handling:,} of them by the handling" if tally.of_handling else ""
    handling_zh = f"（其中 {tally.of_handling:,} 个因操作或设备）" if tally.of_handling else ""
    yield Label(
        f"samples: {made:,} made, {partly:,} in part, {failed:,} not{handling}",
        f"样品：制得 {made:,} 个，部分制得 {partly:,} 个，未制得 {failed:,} 个{handling_zh}",
    )
    yield Label(
        f"measured: {counted(tally.measured, 'candidate')}; {counted(tally.held, 'row')} held until answered",
        f"已测 {tally.measured:,} 个候选；{tally.held:,} 行待答复",
    )


def hit_lines(hits: Hits | None, unmeasured: Sequence[str] = ()) -> Iterator[Label]:
    """Hits beside what was promised.

    Args:
        hits: The hits; None without any candidate to count.
        unmeasured: Targets that no candidate tried has a value of.
    """
    if unmeasured:
        names = [catalogue()[name] for name in unmeasured]
        en, zh = ", ".join(one.label_en for one in names), "、".join(one.label_zh or one.label_en for one in names)
        yield Label(
            f"hits: not counted before every target is measured; no value with a limit to meet yet of: {en}",
            f"命中：须每个目标都有测量值才能统计；尚无可比较的数值：{zh}",
        )
        return
    if hits is None:
        yield Label(
            "hits: nothing to compare yet; no candidate with a stated probability has been tried",
            "命中：暂无可比较的数据，尚未试验过给出概率的候选",
        )
        return
    at_the_time = f"; {hits.corrected:.1f} as earlier results corrected it" if hits.corrected != hits.promised else ""
    at_the_time_zh = f"；经当时已有结果校正为 {hits.corrected:.1f} 个" if hits.corrected != hits.promised else ""
    yield Label(
        f"hits: {hits.found:,} of {hits.tried:,} tried, where {hits.promised:.1f} were promised "
        f"({_chance(hits.chance)} if candidates are independent){at_the_time}",
        f"命中：试验 {hits.tried:,} 个，命中 {hits.found:,} 个，预期 {hits.promised:.1f} 个"
        f"（若候选相互独立，{_chance_zh(hits.chance)}）{at_the_time_zh}",
    )


def result_lines(name: str, found: OnResults) -> Iterator[Label]:
    """How predictions of a property held."""
    known = catalogue()[name]
    en, zh = known.label_en, known.label_zh or known.label_en
    coverage, drift = found.coverage, found.drift
    yield Label(
        f"{en}: {coverage.inside:,} of {counted(coverage.results, 'material')} in their 90 % interval "
        f"({_chance(coverage.chance)})",
        f"{zh}：{coverage.results:,} 种材料中 {coverage.inside:,} 个落在 90 % 区间内（{_chance_zh(coverage.chance)}）",
    )
    if drift.alarms:
        side = Label("higher", "偏高") if drift.bias > 0 else Label("lower", "偏低")
        yield Label(
            f"{en}: predictions have drifted; bets against them reached {number_text(drift.highest)} of {ALARM:g}; "
            f"results come out {side.en} on the whole",
            f"{zh}：预测已漂移；反向下注的资本达到 {number_text(drift.highest)}（界限 {ALARM:g}）；结果总体{side.zh}",
        )
    else:
        yield Label(
            f"{en}: no drift seen; bets against predictions reached {number_text(drift.highest)} of {ALARM:g}",
            f"{zh}：未见漂移；反向下注的资本达到 {number_text(drift.highest)}（界限 {ALARM:g}）",
        )


def left_lines(standing: LoopStanding) -> Iterator[Label]:
    """What trying the rest of the pool would bring."""
    left, stated, cost = standing.left, standing.left_as_stated, standing.cost
    if left is None or stated is None:
        yield Label(
            "what is left: name the run whose candidates are the pool with --run",
            "剩余：请用 --run 指定作为候选池的运行",
        )
        return
    tried, factor = standing.correction.tried, standing.correction.factor
    if tried:
        yield Label(
            f"promises: odds times {factor:.2g}, by what {counted(tried, 'candidate')} chosen for their prospects were "
            f"promised and met; probabilities below {standing.correction.lowest:.2g} were not tried",
            f"预期校正：几率乘以 {factor:.2g}，依据 {tried:,} 个因看好而选的候选的预期与结果；"
            f"低于 {standing.correction.lowest:.2g} 的概率尚未试验",
        )
    yield Label(
        f"what is left: of {counted(left.candidates, 'candidate')} that may be proposed, "
        f"{number_text(stated.expected)} hits expected as the models state it, {number_text(left.expected)} as results "
        "correct it",
        f"剩余：可提议的候选 {left.candidates:,} 个，按模型预期命中 {number_text(stated.expected)} 个，"
        f"经结果校正为 {number_text(left.expected)} 个",
    )
    yield Label(
        f"at least one hit: with {_share(left.any_left)} if candidates are independent, with "
        f"{_share(left.at_least)} to {_share(left.at_most)} whatever they have in common",
        f"至少一个命中：若候选相互独立，概率为 {_share(left.any_left)}；无论其相关性如何，为 "
        f"{_share(left.at_least)} 至 {_share(left.at_most)}",
    )
    for share, count in (("50 %", left.to_even_odds), ("90 %", left.to_nine_in_ten)):
        if count is None:
            yield Label(
                f"a hit with {share}: the whole pool does not suffice", f"以 {share} 的概率找到命中：整个候选池也不够"
            )
            continue
        price = "" if math.isnan(cost) else f", {number_text(count * cost)} in all"
        price_zh = "" if math.isnan(cost) else f"，共计 {number_text(count * cost)}"
        yield Label(
            f"a hit with {share}: the {count:,} most probable have to be tried{price}",
            f"以 {share} 的概率找到命中：需试验概率最高的 {count:,} 个{price_zh}",
        )


def decision_lines(standing: LoopStanding) -> Iterator[Label]:
    """The decisions about models, the newest first."""
    if not standing.decisions:
        yield Label("no decision about a model yet: matloop retrain", "尚无关于模型的决定：matloop retrain")
    for one in reversed(standing.decisions):
        reason, when = REASONS[one.reason], one.at[: len("2026-01-01 00:00")].replace("T", " ")
        yield Label(
            f"{when} {one.property_name}: {reason.en} ({one.by})",
            f"{when} {one.property_name}：{reason.zh}（{one.by}）",
        )


def outdated_lines(outdated: Mapping[str, int]) -> Iterator[Label]:
    """Models in use that learned from values which do not stand any more."""
    for name, count in outdated.items():
        known = catalogue()[name]
        yield Label(
            f"{known.label_en}: the model in use learned from {counted(count, 'value')} corrected or retracted since; "
            "matloop retrain decides anew",
            f"{known.label_zh or known.label_en}：现用模型学习过的数值中有 {count:,} 个此后被更正或撤销；"
            "请用 matloop retrain 重新决定",
        )


def sections_of(standing: LoopStanding) -> list[tuple[Label, list[Label]]]:
    """Title and sentences of each part."""
    on_results = [line for name, one in standing.on_results.items() for line in result_lines(name, one)]
    if not on_results:
        on_results = [
            Label(
                "no result to compare with a prediction yet; matloop retrain names the first model",
                "尚无可与预测比较的结果；matloop retrain 会启用初始模型",
            )
        ]
    on_results += outdated_lines(standing.outdated)
    return [
        (
            Label("What came back", "返回的结果"),
            [*tally_lines(standing.tally), *hit_lines(standing.hits, standing.unmeasured)],
        ),
        (Label("Predictions on real results", "预测与实验结果的比较"), on_results),
        (Label("When to stop", "何时停止"), list(left_lines(standing))),
        (Label("Decisions about models", "关于模型的决定"), list(decision_lines(standing))),
    ]


def _chance(chance: float) -> str:
    kind = "more than chance explains" if chance < _UNLIKELY else "within chance"
    return f"{kind}, p = {chance:.2g}"


def _chance_zh(chance: float) -> str:
    kind = "超出偶然" if chance < _UNLIKELY else "属偶然范围"
    return f"{kind}，p = {chance:.2g}"


def _share(share: float) -> str:
    return f"{100 * share:.3g} %"
