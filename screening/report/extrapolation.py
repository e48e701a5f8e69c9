"""What the report says of scores with whole clusters or elements left out of training."""

from __future__ import annotations

from typing import Any

from matloop.screening.language.text import Words, number, percent, with_unit

_WORST = 3


def extrapolation_scores(card: dict[str, Any], unit: str) -> list[tuple[str, Words, Words]]:
    """Value, label and meaning of each score that the card has.

    Args:
        card: Of a surrogate.
        unit: Of its errors.
    """
    scores = card.get("scores", {})
    clusters, elements = scores.get("leave_one_cluster_out") or {}, scores.get("leave_one_element_out") or {}
    told = []
    if clusters.get("mae") is not None:
        label = Words("mean absolute error on regions left out of training", "对训练中整体去除的区域的平均绝对误差")
        told.append((with_unit(number(clusters["mae"]), unit), label, _clusters(scores, clusters)))
    if elements.get("mae") is not None:
        label = Words("mean absolute error on elements left out of training", "对训练中整体去除的元素的平均绝对误差")
        told.append((with_unit(number(elements["mae"]), unit), label, _elements(elements, unit)))
    return told


def _clusters(scores: dict[str, Any], clusters: dict[str, Any]) -> Words:
    grouped = scores.get("held_out_ensemble", {}).get("grouped_mae")
    factor = number(clusters["mae"] / grouped, 1.0) if grouped else "–"
    return Words(
        f"{clusters['folds']} clusters of like crystals were left out in turn: {factor} times the error of the same"
        " small ensemble on single unseen compositions.",
        f"依次去除 {clusters['folds']} 个相似晶体的聚类；误差为同一小型模型对单个未见成分误差的 {factor} 倍。",
    )


def _elements(elements: dict[str, Any], unit: str) -> Words:
    ratio, outside = elements["outside_over_inside"], percent(elements["share_outside"])
    worst = [f"{one['element']} {with_unit(number(one['mae']), unit)}" for one in elements["worst"][:_WORST]]
    english = f"{elements['folds']} elements were left out in turn. {outside} of their crystals lie outside the domain"
    chinese = f"依次去除 {elements['folds']} 种元素；其晶体中有 {outside} 位于适用域之外"
    if ratio is not None:
        english += f", where errors are {number(ratio, 1.0)} times those inside"
        chinese += f"，那里的误差为域内的 {number(ratio, 1.0)} 倍"
    if elements.get("coverage_inside") is not None:
        held = percent(elements["coverage_inside"])
        english += f". Inside it, {held} of the 90 % intervals hold the truth"
        chinese += f"；域内 90 % 区间中有 {held} 包含真值"
    if elements.get("mae_of_mean") is not None:
        of_mean = with_unit(number(elements["mae_of_mean"]), unit)
        english += f". Guessing the mean has an error of {of_mean}"
        chinese += f"；以平均值作猜测的误差为 {of_mean}"
    return Words(f"{english}. Hardest: {', '.join(worst)}.", f"{chinese}。最难的：{'、'.join(worst)}。")
