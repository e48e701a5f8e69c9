"""How far each surrogate can be trusted, in words a materials scientist uses."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from matloop.data.properties.catalogue import property_named
from matloop.screening.language.model_words import DECADES, family_words, in_both_languages
from matloop.screening.language.text import Words, number, percent, property_words, unit_text, with_bracketed, with_unit
from matloop.screening.report.composition_words import composition_scores
from matloop.screening.report.error_words import (
    Region,
    hull_order_words,
    learning_words,
    noise_words,
    region_cells,
    region_headings,
    regions_by_chemistry,
    regions_by_range,
    split_words,
    worst_elements,
)
from matloop.screening.report.extrapolation import extrapolation_scores
from matloop.screening.runs.card_records import NO_SKILL
from matloop.screening.runs.run_view import RunView

_GOOD_SKILL, _SOME_SKILL = 0.6, 0.3
_COVERAGE_SLACK = 0.02
_TELLING, _SLIGHT = 0.3, 0.1  # rank correlation of interval width and error


class Score(NamedTuple):
    """One score of a surrogate.

    Attributes:
        value: The number with its unit.
        label: What is measured.
        meaning: What it means for whoever relies on the surrogate.
    """

    value: Words | str
    label: Words
    meaning: Words


class ScoreTable(NamedTuple):
    """A small table below the scores of a surrogate.

    Attributes:
        caption: What it shows.
        headings: Of the columns.
        rows: Their cells.
    """

    caption: Words
    headings: list[Words]
    rows: list[list[Words | str]]


class SurrogateSection(NamedTuple):
    """What the report says of one surrogate.

    Attributes:
        name: Property.
        label: Its label.
        description: What the property is and how it was computed.
        scores: How it did on compositions it had not seen.
        tables: Families it was chosen from, and how far the probabilities of its classifier hold, if any.
        has_parity: Whether held-out predictions were kept.
        has_coverage: Whether a coverage curve was kept.
        weak: Whether it hardly beats guessing.
    """

    name: str
    label: Words
    description: Words
    scores: list[Score]
    tables: list[ScoreTable]
    has_parity: bool
    has_coverage: bool
    weak: bool


def surrogate_sections(run: RunView) -> list[SurrogateSection]:
    """One section for each target with a card."""
    sections = []
    for name in run.properties:
        if name not in run.cards:
            continue
        card, known = run.cards[name], property_named(name)
        skill = _skill(card.get("scores", {}))
        sections.append(
            SurrogateSection(
                name,
                property_words(name),
                Words(known.description_en, known.description_zh or known.description_en),
                scores_of(card, known.unit),
                [*region_tables(card, known.unit), *tables_of(card, known.unit)],
                name in run.held_out and len(run.held_out[name].target) > 0,
                bool(card.get("scores", {}).get("coverage_curve")),
                skill is not None and skill < _SOME_SKILL,
            )
        )
    return sections


def scores_of(card: dict[str, Any], unit: str) -> list[Score]:
    """Scores that a card has, in words.

    Args:
        card: Of the surrogate.
        unit: Of its property.
    """
    scores = card.get("scores", {})
    found = [_error(card, unit), _hull_order(card), _label_noise(card, unit), _coverage(card, unit)]
    found += [_width(scores), _training(card)]
    found += [Score(*one) for one in composition_scores(card, error_unit(card, unit))]
    found += [Score(*one) for one in extrapolation_scores(card, error_unit(card, unit))]
    found += [_transfer(card, unit), _more_labels(card, unit), _random_split(card, unit)]
    found += [_choice(card, unit), _classifier(card)]
    return [_translated_score(score) for score in found if score is not None]


def tables_of(card: dict[str, Any], unit: str) -> list[ScoreTable]:
    """Tables that a card has: the families that were tried, probabilities of a classifier.

    Args:
        card: Of the surrogate.
        unit: Of its property.
    """
    return [_translated(table) for table in (_tried(card, unit), _reliability(card)) if table is not None]


def _translated_score(score: Score) -> Score:
    """Write the unit of errors in both languages."""
    value, label, meaning = (in_both_languages(text) for text in score)
    return Score(value.en if value.en == value.zh else value, label, meaning)


def _translated(table: ScoreTable) -> ScoreTable:
    """Write the unit of its errors in both languages."""
    return table._replace(headings=[in_both_languages(heading) for heading in table.headings])


def _more_labels(card: dict[str, Any], unit: str) -> Score | None:
    curve = card.get("learning_curve")
    if not curve or not curve["more"]:
        return None
    first = curve["more"][0]
    labels = f"{first['labels']:,}"
    return Score(
        with_unit(f"{number(first['low'])}–{number(first['high'])}", error_unit(card, unit)),
        Words(f"error expected with {labels} more labels", f"再增加 {labels} 个标注数据时的预期误差"),
        learning_words(curve, error_unit(card, unit)),
    )


def _random_split(card: dict[str, Any], unit: str) -> Score | None:
    split = card.get("random_split")
    if not split:
        return None
    label = Words("error of a small ensemble on random folds", "小型模型在随机分组下的误差")
    return Score(with_unit(number(split["mae"]), error_unit(card, unit)), label, split_words(split))


def region_tables(card: dict[str, Any], unit: str) -> list[ScoreTable]:
    """Tables of where the errors are: by chemistry, by range of the truth, and the elements with the largest.

    Args:
        card: Of the surrogate.
        unit: Of its property.
    """
    found = card.get("error_regions")
    if not found:
        return []
    errors = unit_text(error_unit(card, unit))
    parts: list[tuple[Words, Words, list[Region]]] = [
        (Words("Errors by chemistry", "按化学类别的误差"), Words("class", "类别"), regions_by_chemistry(found)),
        (Words("Errors by range of the true value", "按真值范围的误差"), Words("range", "范围"),
         regions_by_range(found, unit)),
        (Words("Elements with the largest errors", "误差最大的元素"), Words("element", "元素"), worst_elements(found)),
    ]  # fmt: skip
    return [
        _translated(ScoreTable(caption, region_headings(what, errors), [region_cells(region) for region in regions]))
        for caption, what, regions in parts
        if regions
    ]


def _error(card: dict[str, Any], unit: str) -> Score | None:
    scores, unit = card.get("scores", {}), error_unit(card, unit)
    error, guess, skill = scores.get("mae"), scores.get("mae_of_mean"), _skill(scores)
    if error is None:
        return None
    label = Words(
        "mean absolute error of the printed value on unseen compositions, with four fifths of the rows",
        "所示数值对未见过的成分的平均绝对误差（用五分之四的数据训练）",
    )
    value = with_unit(number(error), unit)
    if guess is None or skill is None:
        return Score(value, label, Words("", ""))
    if card.get("hull_order"):
        verdict = Words("what its order is worth stands beside", "其排序的价值见旁")
    elif skill >= _GOOD_SKILL:
        verdict = Words("a good guide for ranking", "对排序有良好的指导作用")
    elif skill >= _SOME_SKILL:
        verdict = Words("a useful guide for ranking, no substitute for a calculation", "可用于排序，但不能代替计算")
    elif skill >= NO_SKILL:
        verdict = Words("weak, so heed its intervals rather than its values", "预测力较弱，应看区间而非数值")
    else:
        verdict = Words("no better than a guess, so its order means nothing", "并不比猜测更好，其排序没有意义")
    guessing, share = with_unit(number(guess), unit), percent(max(skill, 0.0))
    return Score(
        value,
        label,
        Words(
            f"Always guessing the mean would be off by {guessing}; it takes {share} of that away: {verdict.en}.",
            f"若总是猜平均值，误差为 {guessing}；模型消除了其中的 {share}：{verdict.zh}。",
        ),
    )


def _hull_order(card: dict[str, Any]) -> Score | None:
    """How well a surrogate of the energy above the hull orders crystals."""
    found = card.get("hull_order")
    if not found:
        return None
    label = Words(
        "of pairs are in the right order: near the hull, and farther away", "的晶体对（近凸包与远凸包）排序正确"
    )
    return Score(percent(found["auc"]), label, hull_order_words(found))


def _label_noise(card: dict[str, Any], unit: str) -> Score | None:
    """The noise of the labels beside the error of the model."""
    noise, errors = card.get("label_noise"), error_unit(card, unit)
    if not noise:
        return None
    size = noise["error"] if noise["deviation"] is None else noise["deviation"]
    label = Words("noise of the labels", "标注数据的噪声")
    return Score(with_unit(number(size), errors), label, noise_words(noise, card.get("scores", {}).get("rmse"), errors))


def _skill(scores: dict[str, Any]) -> float | None:
    """Share of the error of guessing the mean that the surrogate takes away."""
    error, guess = scores.get("mae"), scores.get("mae_of_mean")
    return None if error is None or not guess or not math.isfinite(guess) else 1 - error / guess


def _coverage(card: dict[str, Any], unit: str) -> Score | None:
    scores = card.get("scores", {})
    coverage, width = scores.get("coverage_90"), scores.get("width_90")
    if coverage is None:
        return None
    if abs(coverage - 0.9) <= _COVERAGE_SLACK:
        verdict = Words("They can be taken at their word", "区间可信")
    elif coverage < 0.9:
        verdict = Words("They are too narrow", "区间偏窄")
    else:
        verdict = Words("They are wider than need be", "区间偏宽")
    if width is not None:
        size = with_unit(number(width), error_unit(card, unit))
        verdict = Words(f"{verdict.en}; on average they are {size} wide", f"{verdict.zh}；平均宽度为 {size}")
    if (card.get("widening") or {}).get("factor", 1.0) != 1.0:
        verdict = Words(
            f"{verdict.en}; their width was chosen so that this share stays between 88 and 92 %",
            f"{verdict.zh}；选择宽度时已要求此比例保持在 88 % 至 92 % 之间",
        )
    about = card.get("training_set")
    if isinstance(about, dict) and str(about.get("provenance")).startswith("exp"):
        label = Words("of measured values lie in the 90 % intervals", "的测量值落在 90 % 区间内")
    else:
        label = Words("of computed values lie in the 90 % intervals", "的计算值落在 90 % 区间内")
    return Score(percent(coverage, 1), label, Words(f"{verdict.en}.", f"{verdict.zh}。"))


def _width(scores: dict[str, Any]) -> Score | None:
    correlation = scores.get("width_error_rank_correlation")
    if correlation is None or not math.isfinite(correlation):
        return None
    if correlation >= _TELLING:
        verdict = Words("Wide intervals do go with large errors.", "区间越宽，误差确实越大。")
    elif correlation >= _SLIGHT:
        verdict = Words("Wide intervals go with larger errors, but only slightly.", "区间宽度与误差仅略有关联。")
    else:
        verdict = Words("The width of an interval says little about the error.", "区间宽度几乎不反映误差大小。")
    label = Words("rank correlation of interval width and error", "区间宽度与误差的秩相关系数")
    return Score(number(correlation, 0.1), label, verdict)


def _training(card: dict[str, Any]) -> Score | None:
    rows, formulas, left_out = (card.get(key) for key in ("rows_trained", "formulas", "rows_left_out"))
    if not rows:
        return None
    family, split = family_words(str(card.get("family", ""))), str(card.get("split", ""))
    split_zh = split_text_zh(split)
    english = f"{formulas or 0:,} compositions; {family.en}; tested by {split}."
    chinese = f"{formulas or 0:,} 种成分；{family.zh}；检验方式：{split_zh}。"
    if left_out:
        english += f" {left_out:,} without usable features were left out."
        chinese += f"另有 {left_out:,} 个因特征不可用而未使用。"
    return Score(f"{rows:,}", Words("crystals trained on", "个训练晶体"), Words(english, chinese))


def split_text_zh(split: str) -> str:
    """How a surrogate was tested, as its card says it, in Chinese.

    Args:
        split: Text of the card.
    """
    return split.replace(" folds grouped by reduced formula", " 折交叉验证，按化学式分组")


def _transfer(card: dict[str, Any], unit: str) -> Score | None:
    """What measured rows bought: the errors of the rivals of a transfer on the same rows."""
    found = card.get("transfer")
    if found is None:
        return None
    scale, errors = error_unit(card, unit), found["mae"]
    alone, shifted = (
        with_unit(number(errors["measured_only"]), scale),
        with_unit(number(errors["computed_and_line"]), scale),
    )
    computed, mean = with_unit(number(errors["computed_only"]), scale), with_unit(number(errors["mean"]), scale)
    source, rows = str(found["source"]), f"{found['rows']:,}"
    return Score(
        with_unit(number(errors["transfer"]), scale),
        Words(
            f"mean absolute error with transfer from {source}, before calibration",
            f"由 {source} 迁移后、校准之前的平均绝对误差",
        ),
        Words(
            f"On the same held-out rows: {alone} with these rows alone, {computed} with a model of the {rows} rows of"
            f" {source} alone, {shifted} if that is shifted and stretched by a line, and {mean} for the mean.",
            f"在同样的留出数据上：仅用这些数据为 {alone}，仅用 {source} 的 {rows} 条数据建模为 {computed}，"
            f"再作线性校正为 {shifted}，取平均值为 {mean}。",
        ),
    )


def _choice(card: dict[str, Any], unit: str) -> Score | None:
    choice = card.get("choice")
    if choice is None:
        return None
    count, budget = len(choice["tried"]), choice["budget"]["seconds"]
    error = with_unit(number(choice["nested_mae"]), error_unit(card, unit))
    within = ("", "") if budget is None else (f" within {budget:,.0f} s", f"，限时 {budget:,.0f} 秒")
    return Score(
        family_words(str(card.get("family", ""))),
        Words(f"chosen among {count} families{within[0]}", f"从 {count} 种模型中选出{within[1]}"),
        Words(
            f"It had the least error in nested cross-validation on {choice['rows']:,} crystals. Before calibration, the"
            f" whole procedure, choosing included, is off by {error} on average for compositions that took no part in"
            " choosing.",
            f"在 {choice['rows']:,} 个晶体的嵌套交叉验证中误差最小。校准之前，包括选择在内的整个流程"
            f"对未参与选择的成分平均误差为 {error}。",
        ),
    )


def error_unit(card: dict[str, Any], unit: str) -> str:
    """Unit of errors on the scale the surrogate works on.

    Args:
        card: Of the surrogate.
        unit: Of its property.
    """
    return DECADES if card.get("transform") == "log10" else unit


def _tried(card: dict[str, Any], unit: str) -> ScoreTable | None:
    choice = card.get("choice")
    if choice is None:
        return None
    rows: list[list[Words | str]] = []
    for trial in choice["tried"]:
        outcome: Words | str = _OUTCOMES_OF_TRIALS.get(trial["outcome"], trial["outcome"])
        if trial["candidate"] == choice["winner"]:
            outcome = Words("chosen", "选中")
        rows.append([family_words(trial["candidate"]), number(trial["mae"]), f"{trial['seconds']:.0f} s", outcome])
    error = error_unit(card, unit_text(unit))
    headings = [
        Words("family", "模型"),
        with_bracketed(Words("mean absolute error", "平均绝对误差"), error),
        Words("time", "用时"),
        Words("outcome", "结果"),
    ]
    caption = Words(
        "Families that were tried, with errors of their means before calibration", "试过的模型及其校准之前的误差"
    )
    return ScoreTable(caption, headings, rows)


_OUTCOMES_OF_TRIALS = {
    "tried": Words("tried", "已试"),
    "out of budget": Words("did not fit into the time", "超出时限"),
}


def _classifier(card: dict[str, Any]) -> Score | None:
    found = card.get("probability")
    if found is None:
        return None
    scores = found["scores"]
    guess, loss = number(scores["brier_of_share"], 0.01), number(scores["log_loss"], 0.01)
    share, guessed_loss = percent(found["rows_met"] / found["rows"]), number(scores["log_loss_of_share"], 0.01)
    return Score(
        number(scores["brier"], 0.01),
        Words("Brier score of the probability to meet the target", "达标概率的 Brier 评分"),
        Words(
            f"The probability comes from a classifier. {share} of the training crystals meet the target; giving every"
            f" crystal that share would score {guess}. Log loss {loss} against {guessed_loss}. Smaller is better.",
            f"该概率由分类器给出。{share} 的训练晶体达标；若一律取此比例，评分为 {guess}。对数损失 {loss}，对照值"
            f" {guessed_loss}。数值越小越好。",
        ),
    )


def _reliability(card: dict[str, Any]) -> ScoreTable | None:
    found = card.get("probability")
    if found is None:
        return None
    rows: list[list[Words | str]] = [
        [percent(stated), percent(share), f"{count:,}"] for stated, share, count in found["scores"]["reliability"]
    ]
    headings = [
        Words("probability told, on average", "给出的平均概率"),
        Words("share that meets the target", "实际达标比例"),
        Words("crystals", "晶体数"),
    ]
    caption = Words(
        "Probabilities of the classifier for compositions it had not seen", "分类器对未见过的成分给出的概率"
    )
    return ScoreTable(caption, headings, rows)
