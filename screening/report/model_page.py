"""The card of a model as one HTML file that opens from a disk without network, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from matloop.data.elements import SYMBOLS
from matloop.data.properties.catalogue import property_named
from matloop.data.whole_files import write_text
from matloop.screening.language.model_words import family_words, in_both_languages
from matloop.screening.language.text import Words, listed, number, property_words, unit_text, with_unit
from matloop.screening.report.error_words import common_elements, region_cells, region_headings
from matloop.screening.report.figures import Figure, coverage_figure, learning_figure, parity_figure
from matloop.screening.report.page import asset, cleaned, cleaned_strings, content_policy, page_template, script_json
from matloop.screening.report.surrogates import (
    ScoreTable,
    error_unit,
    region_tables,
    scores_of,
    split_text_zh,
    tables_of,
)
from matloop.screening.runs.run_view import HeldOut

_HERE = Path(__file__).parent
_LONGEST_CELL = 2000
_RARE_FROM = 84  # heavier elements are not listed as missing


class ModelFacts(NamedTuple):
    """What the page of a model shows.

    Attributes:
        name: Campaign or file that the model was trained for.
        card: Its card, read and checked.
        held_out: Out-of-fold predictions of its training rows.
        features: Names of its featurizers.
        elements: Atomic numbers that occur in its training data.
        limit: Largest distance to the training data within its domain.
        outside: Share of the training rows that lie outside the domain.
        predicts_unseen: Whether a candidate with an element that no training row has gets a number.
        unseen_in_domain: Whether it may count as inside the domain.
        hardly_seen: Atomic numbers of nonmetals with which too few training formulas are; their compounds lie outside.
        notes: What differs between the versions it was trained with and those here.
        lacking: What its card does not hold, because an earlier version wrote it.
    """

    name: str
    card: Mapping[str, Any]
    held_out: HeldOut
    features: Sequence[str]
    elements: Sequence[int]
    limit: float
    outside: float
    predicts_unseen: bool
    unseen_in_domain: bool
    hardly_seen: Sequence[int]
    notes: Sequence[str]
    lacking: Words | None


class Fact(NamedTuple):
    """A line of a table of facts.

    Attributes:
        label: What it is.
        value: What the card says.
    """

    label: Words
    value: Words | str


def write_model_page(path: Path, facts: ModelFacts, *, language: str = "en") -> None:
    """Write the page of a model.

    Args:
        path: The file.
        facts: What it shows.
        language: Language in which it opens, ``en`` or ``zh``.
    """
    write_text(path, render_model_page(facts, language=language))


def render_model_page(facts: ModelFacts, *, language: str = "en") -> str:
    """The page of a model as HTML; everything that comes from the model is escaped.

    Args:
        facts: What it shows.
        language: Language in which it opens, ``en`` or ``zh``.
    """
    card = dict(facts.card)
    known = property_named(card["property"])
    label, family = property_words(known.name), family_words(str(card["family"]))
    title = Words(f"Model of {label.en}: {family.en}", f"{label.zh}模型：{family.zh}")
    figures = _figures(facts, card)
    scripts = [asset("vendor/plotly-basic.min.js"), asset("templates/report.js")] if figures else []
    content: dict[str, Any] = {
        "title": title._asdict(),
        "language": language,
        "figures": figures,
        "tradeoff": None,
        "crystals": [],
    }
    page = page_template(_HERE / "templates", "model_card.html.j2").render(
        language=language,
        title=title,
        description=Words(known.description_en, known.description_zh or known.description_en),
        facts=facts,
        card=card,
        scores=scores_of(card, known.unit),
        tables=[_rivals(card, known.unit), *tables_of(card, known.unit)],
        regions=[*region_tables(card, known.unit), *_common(card, known.unit)],
        figures=figures,
        domain=_domain(facts),
        what=_what(card, known.unit, facts),
        data=_data(card, known.unit),
        versions=_texts(card.get("versions")),
        notes=facts.notes,
        licence=asset("vendor/plotly-basic.LICENSE.txt"),
        style=Markup(asset("templates/report.css")),
        scripts=[Markup(script) for script in scripts],
        policy=content_policy(scripts),
        content=script_json(cleaned_strings(content)),
    )
    return cleaned(page)


def _figures(facts: ModelFacts, card: dict[str, Any]) -> dict[str, Figure]:
    """Figures by the name of the element they are drawn in."""
    figures = {}
    if len(facts.held_out.target) > 1:
        log = card["transform"] == "log10"
        figures["parity"] = parity_figure(card["property"], facts.held_out, log=log, truth=Words("true", "真实"))
    if card["scores"].get("coverage_curve"):
        figures["coverage"] = coverage_figure(card)
    if card.get("learning_curve"):
        figures["learning"] = learning_figure(card, error_unit(card, property_named(card["property"]).unit))
    return figures


def _rivals(card: dict[str, Any], unit: str) -> ScoreTable:
    """Errors of the model beside those of simpler questions and of the trivial rival."""
    scores, curve, split = card["scores"], card.get("learning_curve") or {}, card.get("random_split") or {}
    small, clusters, elements = (
        scores.get(name) or {} for name in ("held_out_ensemble", "leave_one_cluster_out", "leave_one_element_out")
    )
    lines = [
        (
            "printed value with four fifths of the rows, unseen formulas",
            "所示数值（用五分之四的数据），未见过的化学式",
            scores.get("mae"),
        ),
        ("printed value with all rows, as expected", "所示数值（用全部数据），预期值", curve.get("mae")),
        ("always guessing the mean", "总是猜平均值", scores.get("mae_of_mean")),
        ("small ensemble, unseen formulas", "小型模型，未见过的化学式", small.get("grouped_mae")),
        ("small ensemble, random folds", "小型模型，随机分组", split.get("mae")),
        ("small ensemble, regions left out", "小型模型，整体去除的区域", clusters.get("mae")),
        ("small ensemble, elements left out", "小型模型，整体去除的元素", elements.get("mae")),
    ]
    errors = unit_text(error_unit(card, unit))
    both = region_headings(Words("who, and for what", "模型与检验对象"), errors)
    headings = [in_both_languages(both[at]) for at in (0, 2)]
    caption = Words("Errors beside those of simpler rivals", "与简单对照的误差比较")
    return ScoreTable(caption, headings, [[Words(en, zh), number(mae)] for en, zh, mae in lines if mae is not None])


def _common(card: dict[str, Any], unit: str) -> list[ScoreTable]:
    found = card.get("error_regions")
    if not found:
        return []
    headings = region_headings(Words("element", "元素"), unit_text(error_unit(card, unit)))
    headings = [in_both_languages(heading) for heading in headings]
    caption = Words("The most frequent elements", "最常见的元素")
    return [ScoreTable(caption, headings, [region_cells(one) for one in common_elements(found)])]


def _domain(facts: ModelFacts) -> list[Fact]:
    """Say where the model may be used."""
    present = [SYMBOLS[at] for at in facts.elements]
    absent = [SYMBOLS[at] for at in range(1, _RARE_FROM) if at not in set(facts.elements)]
    nonmetals = [SYMBOLS[at] for at in facts.hardly_seen if at < _RARE_FROM]
    return [
        Fact(
            Words("largest distance to the training data", "与训练数据的最大距离"),
            Words(
                f"{number(facts.limit)}, in features weighted by importance; candidates farther away are marked",
                f"{number(facts.limit)}（按重要性加权的特征距离）；更远的候选材料会被标记",
            ),
        ),
        Fact(Words("training rows outside the domain", "适用域之外的训练数据"), f"{100 * facts.outside:.1f} %"),
        Fact(Words(f"elements in training ({len(present)})", f"训练数据中的元素（{len(present)}）"), listed(present)),
        Fact(
            _unseen(facts),
            listed(absent) if absent else Words("none up to polonium", "钋之前均有"),
        ),
        Fact(
            Words(
                "nonmetals that hardly a training formula has: their compounds lie outside the domain",
                "训练化学式中极少出现的非金属元素：其化合物不在适用域内",
            ),
            listed(nonmetals) if nonmetals else Words("none up to polonium", "钋之前均无"),
        ),
    ]


def _unseen(facts: ModelFacts) -> Words:
    """What the model does with elements that none of its training rows has."""
    if not facts.predicts_unseen:
        return Words("not in training: no prediction is given", "训练数据中没有：不给出预测")
    if not facts.unseen_in_domain:
        return Words(
            "not in training: predicted with wide intervals, outside the domain",
            "训练数据中没有：给出宽区间的预测，不在适用域内",
        )
    return Words("not in training: predicted with wide intervals", "训练数据中没有：给出宽区间的预测")


def _what(card: dict[str, Any], unit: str, facts: ModelFacts) -> list[Fact]:
    scale = (
        Words("logarithm to base 10", "以 10 为底的对数") if card["transform"] == "log10" else Words("as it is", "原值")
    )
    return [
        Fact(Words("property", "性质"), f"{card['property']}"),
        Fact(Words("unit", "单位"), unit_text(unit) or Words("none", "无")),
        Fact(Words("scale of learning", "学习所用标度"), scale),
        Fact(Words("family", "模型族"), family_words(str(card["family"]))),
        Fact(Words("settings", "参数"), ", ".join(f"{k} {v}" for k, v in _texts(card.get("parameters")).items())),
        Fact(Words("features", "特征"), ", ".join(facts.features)),
        Fact(Words("trained for", "训练用途"), facts.name),
        Fact(Words("licence", "许可证"), _text(card.get("licence"))),
    ]


def _data(card: dict[str, Any], unit: str) -> list[Fact]:
    about = _texts(card.get("training_set"))
    low, high = card["best_of_training"]
    left_out, split = card.get("rows_left_out"), _text(card.get("split"))
    lines = [
        (Words("training set", "训练集"), about.get("name")),
        (Words("provenance", "来源"), about.get("provenance")),
        (Words("licence", "许可证"), about.get("licence")),
        (Words("citation", "引用"), about.get("citation")),
        (Words("rows", "行数"), f"{card['rows_trained']:,}"),
        (Words("formulas", "化学式数"), None if card.get("formulas") is None else f"{card['formulas']:,}"),
        (Words("rows without usable features", "特征不可用的行"), None if left_out is None else f"{left_out:,}"),
        (Words("5th to 95th percentile", "第 5 至第 95 百分位"), with_unit(f"{number(low)}–{number(high)}", unit)),
        (Words("split", "检验方式"), Words(split, split_text_zh(split))),
        (Words("sha256 of the training set", "训练集 sha256"), about.get("sha256")),
        (Words("sha256 of features and values", "特征与数值的 sha256"), card.get("data_sha256")),
    ]  # fmt: skip
    return [Fact(label, value if isinstance(value, Words) else _text(value)) for label, value in lines if value]


def _text(value: Any) -> str:
    """A text of the card, cut where it is very long; anything else is left out."""
    return value[:_LONGEST_CELL] if isinstance(value, str) else ""


def _texts(found: Any) -> dict[str, str]:
    """Texts and numbers of a dictionary of the card, as text; whatever else stands there is left out."""
    if not isinstance(found, Mapping):
        return {}
    return {
        str(key)[:100]: str(value)[:_LONGEST_CELL]
        for key, value in found.items()
        if isinstance(value, str | int | float)
    }


def held_out_of(target: Any, median: Any, lower: Any, upper: Any) -> HeldOut:
    """Out-of-fold predictions of the rows for which all four numbers are finite.

    Args:
        target: Truth in the unit of the property, shape (m,).
        median: Prediction, shape (m,).
        lower: Lower end of the 90 % interval, shape (m,).
        upper: Upper end, shape (m,).
    """
    columns = np.array([target, median, lower, upper], np.float64)
    return HeldOut(*columns[:, np.isfinite(columns).all(axis=0)])
