"""The words of a search for replacements, in both languages."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence

from matloop.data.element_facts.composition_scores import SCORES
from matloop.data.element_facts.fact_tables import fact_table
from matloop.data.generators.whole_replacements import REFUSALS
from matloop.data.label import Label
from matloop.data.packaged.known_compositions import KNOWN_LISTS
from matloop.screening.language.aged_facts import expiry_words
from matloop.screening.language.reasons import reason_words
from matloop.screening.language.text import Words, number, with_unit
from matloop.screening.substitution.element_profile import HAZARD_LISTS, ElementProfile, Score

COLUMNS: Mapping[str, Words] = {
    "place": Words("", ""),
    "formula": Words("formula", "化学式"),
    "ion": Words("in its place", "替换为"),
    "substitution": Words("P(substitution)", "替换概率"),
    "radius": Words("radius", "半径变化"),
    "known": Words("known value", "已知值"),
    "predicted": Words("predicted [90 %]", "预测值 [90 %]"),
    "change": Words("change [90 %]", "变化 [90 %]"),
    "kept": Words("P(kept)", "保持概率"),
    "phase": Words("phase", "物相"),
    "price": Words("price, USD/mol", "价格变化，USD/mol"),
    "marks": Words("lists", "清单"),
}
"""Headings of the table by key."""
METAL_WORDS = Words("metal, has none", "金属，无此性质")
OUTSIDE = Words("outside the domain", "超出适用域")
NOTHING = Words("no facts missing", "无缺失")


def marks_words(profile: ElementProfile) -> Words:
    """Lists that name the elements, each with them; elements named in some forms only have a question mark.

    >>> from matloop.screening.substitution.element_profile import Mark
    >>> print(marks_words(ElementProfile({}, (Mark("eu_rohs", "Cd", True), Mark("eu_rohs", "Cr", False)), ())).en)
    substances restricted in electronics: Cd, Cr?
    """
    named: dict[str, list[str]] = {}
    for mark in profile.marks:
        named.setdefault(mark.table, []).append(mark.symbol + "?" * (not mark.every_form))
    parts = [(fact_table(table).label, symbols) for table, symbols in sorted(named.items(), key=_harm_first)]
    if profile.radioactive:
        parts.insert(0, (Label("radioactive", "放射性"), list(profile.radioactive)))
    return Words(
        "; ".join(f"{label.en}: {', '.join(symbols)}" for label, symbols in parts) or "none",
        "；".join(f"{label.zh}：{'、'.join(symbols)}" for label, symbols in parts) or "无",
    )


def _harm_first(item: tuple[str, list[str]]) -> bool:
    return item[0] not in HAZARD_LISTS


def score_words(name: str, old: Score, new: Score) -> Words:
    """A score before and after with its unit; where it is not known, the element whose fact is missing.

    >>> print(score_words("supply_risk", Score(0.2, ""), Score(float("nan"), "Sm")).en)
    0.200 → unknown (Sm)
    """
    unit = SCORES[name].unit
    texts = []
    for unknown, bracket in (("unknown", " ({})"), ("未知", "（{}）")):
        told = [
            with_unit(number(one.value), unit) if math.isfinite(one.value)
            else unknown + (bracket.format(one.unknown) if one.unknown else "")
            for one in (old, new)
        ]  # fmt: skip
        texts.append(" → ".join(told))
    return Words(*texts)


def phase_words(
    lists: Sequence[str], distances: Mapping[str, float], *, coverage: tuple[float, int], makeable: float
) -> Words:
    """What is known of the phases of a composition.

    Args:
        lists: Lists that hold it.
        distances: eV/atom above the hull by database.
        coverage: Share of the other known compositions whose energy the hull has, and their number.
        makeable: P(makeable phase).

    >>> print(phase_words(["oqmd"], {"oqmd": 0.02}, coverage=(0.5, 4), makeable=0.3).en)
    0.0200 eV/atom above the hull of OQMD (2021), energies of 2 of 4 known others, P(makeable) 0.30
    """
    english, chinese = [], []
    for name, distance in list(distances.items())[:1]:
        label, year, text = KNOWN_LISTS[name].label, KNOWN_LISTS[name].year, with_unit(number(distance), "eV/atom")
        on = distance < _ON_HULL
        english.append(f"on the hull of {label.en} ({year})" if on else f"{text} above the hull of {label.en} ({year})")
        chinese.append(f"在 {label.zh}（{year}）凸包上" if on else f"高于 {label.zh}（{year}）凸包 {text}")
    if not distances:
        english.append("known without energy" if lists else "not known")
        chinese.append("已知但无能量" if lists else "未知化合物")
    share, known = coverage
    english.append(f"energies of {share * known:.0f} of {known} known others")
    chinese.append(f"其余 {known} 个已知成分中 {share * known:.0f} 个有能量")
    if "materials_project" not in distances and math.isfinite(makeable):
        english.append(f"P(makeable) {makeable:.2f}")
        chinese.append(f"可合成概率 {makeable:.2f}")
    return Words(", ".join(english), "，".join(chinese))


_ON_HULL = 5e-4  # eV/atom


def code_words(code: str) -> Words:
    """Why there is no prediction, or none that counts."""
    return METAL_WORDS if code == "R-REPLACE-METAL" else reason_words(code)


def refused_words(refused: Mapping[str, str], *, most: int = 20) -> list[Words]:
    """Why elements that were named cannot take the place, one sentence for each reason."""
    by_code: dict[str, list[str]] = {}
    for symbol, code in refused.items():
        by_code.setdefault(code, []).append(symbol)
    return [
        Words(
            f"Cannot replace it: {', '.join(symbols[:most])}{' and more' * (len(symbols) > most)}, {REFUSALS[code].en}",
            f"不能替换：{'、'.join(symbols[:most])}{'等' * (len(symbols) > most)}，{REFUSALS[code].zh}",
        )
        for code, symbols in by_code.items()
    ]


def table_words(names: Sequence[str], on: dt.date) -> list[Words]:
    """The tables of facts with the day on which they held, and a warning for each that is past its expiry.

    Args:
        names: Tables of facts.
        on: Today.
    """
    tables = [fact_table(name) for name in names]
    told = [
        Words(
            f"Facts: {'; '.join(f'{table.label.en} as of {table.as_of}' for table in tables)}",
            f"数据：{'；'.join(f'{table.label.zh}（{table.as_of}）' for table in tables)}",
        )
    ]
    return told + [Words(f"{words.en[0].upper()}{words.en[1:]}", words.zh) for words in expiry_words(names, on)]
