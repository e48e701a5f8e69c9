"""How far each surrogate can be trusted, in words a materials scientist uses."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from matloop.data.schema import PROPERTIES
from matloop.screening.report.files import RunFiles
from matloop.screening.report.text import Words, number, percent, property_words, with_unit

_GOOD_SKILL, _SOME_SKILL = 0.6, 0.3
_COVERAGE_SLACK = 0.02
_TELLING, _SLIGHT = 0.3, 0.1  # rank correlation of interval width and error

_DESCRIPTIONS_ZH = {
    "formation_energy_per_atom": "0 K 下由单质生成的 PBE 形成能（每原子）。",
    "energy_above_hull": "相对于竞争相凸包的 PBE 能量；0 表示 0 K 下稳定。",
    "band_gap": "PBE（Kohn-Sham）带隙；通常比实验值低 30–50 %。",
    "refractive_index": "静态折射率：电子介电张量平均本征值的平方根（DFPT，PBE）。",
    "bulk_modulus_vrh": "Voigt-Reuss-Hill 平均体积模量（PBE）。",
    "shear_modulus_vrh": "Voigt-Reuss-Hill 平均剪切模量（PBE）。",
    "piezoelectric_modulus": "各方向上最大的压电模量，剪切项按原文献只计一次（DFPT，PBE）。",
    "seebeck_p": "300 K、1e18 空穴/cm³ 下的平均塞贝克系数，恒定弛豫时间。",
    "seebeck_n": "300 K、1e18 电子/cm³ 下的平均塞贝克系数，恒定弛豫时间。",
}


class Score(NamedTuple):
    """One score of a surrogate.

    Attributes:
        value: The number with its unit.
        label: What is measured.
        meaning: What it means for whoever relies on the surrogate.
    """

    value: str
    label: Words
    meaning: Words


class SurrogateSection(NamedTuple):
    """What the report says of one surrogate.

    Attributes:
        name: Property.
        label: Its label.
        description: What the property is and how it was computed.
        scores: How it did on compositions it had not seen.
        has_parity: Whether held-out predictions were kept.
        has_coverage: Whether a coverage curve was kept.
        weak: Whether it hardly beats guessing.
    """

    name: str
    label: Words
    description: Words
    scores: list[Score]
    has_parity: bool
    has_coverage: bool
    weak: bool


def surrogate_sections(run: RunFiles) -> list[SurrogateSection]:
    """One section for each target with a card."""
    sections = []
    for name in run.properties:
        if name not in run.cards:
            continue
        card, known = run.cards[name], PROPERTIES[name]
        scores = card.get("scores", {})
        found = [_error(scores, known.unit), _coverage(scores, known.unit), _width(scores), _training(card)]
        skill = _skill(scores)
        sections.append(
            SurrogateSection(
                name,
                property_words(name),
                Words(known.description, _DESCRIPTIONS_ZH.get(name, known.description)),
                [score for score in found if score is not None],
                name in run.held_out and len(run.held_out[name].target) > 0,
                bool(scores.get("coverage_curve")),
                skill is not None and skill < _SOME_SKILL,
            )
        )
    return sections


def _error(scores: dict[str, Any], unit: str) -> Score | None:
    error, guess, skill = scores.get("mae"), scores.get("mae_of_mean"), _skill(scores)
    if error is None:
        return None
    label = Words("mean absolute error on unseen compositions", "对未见过的成分的平均绝对误差")
    value = with_unit(number(error), unit)
    if guess is None or skill is None:
        return Score(value, label, Words("", ""))
    if skill >= _GOOD_SKILL:
        verdict = Words("a good guide for ranking", "对排序有良好的指导作用")
    elif skill >= _SOME_SKILL:
        verdict = Words("a useful guide for ranking, no substitute for a calculation", "可用于排序，但不能代替计算")
    else:
        verdict = Words("weak, so heed its intervals rather than its values", "预测力较弱，应看区间而非数值")
    guessing, share = with_unit(number(guess), unit), percent(max(skill, 0.0))
    return Score(
        value,
        label,
        Words(
            f"Always guessing the mean would be off by {guessing}; it takes {share} of that away: {verdict.en}.",
            f"若总是猜平均值，误差为 {guessing}；模型消除了其中的 {share}：{verdict.zh}。",
        ),
    )


def _skill(scores: dict[str, Any]) -> float | None:
    """Share of the error of guessing the mean that the surrogate takes away."""
    error, guess = scores.get("mae"), scores.get("mae_of_mean")
    return None if error is None or not guess or not math.isfinite(guess) else 1 - error / guess


def _coverage(scores: dict[str, Any], unit: str) -> Score | None:
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
        size = with_unit(number(width), unit)
        verdict = Words(f"{verdict.en}; on average they are {size} wide", f"{verdict.zh}；平均宽度为 {size}")
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
    family, split = str(card.get("family", "")).replace("_", " "), str(card.get("split", ""))
    split_zh = split.replace(" folds grouped by reduced formula", " 折交叉验证，按化学式分组")
    english = f"{formulas or 0:,} compositions; {family}; tested by {split}."
    chinese = f"{formulas or 0:,} 种成分；{family}；检验方式：{split_zh}。"
    if left_out:
        english += f" {left_out:,} without usable features were left out."
        chinese += f"另有 {left_out:,} 个因特征不可用而未使用。"
    return Score(f"{rows:,}", Words("crystals trained on", "个训练晶体"), Words(english, chinese))
