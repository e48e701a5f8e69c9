"""What the report says of scores with whole clusters, elements, or one of several like rows left out of training."""

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
    hidden = scores.get("hidden_chemistry") or {}
    if hidden.get("coverage_90") is not None:
        label = Words(
            "of 90 % intervals hold for chemistry left out of training", "训练中去除的化学体系：90 % 区间包含率"
        )
        told.append((percent(hidden["coverage_90"]), label, _hidden(card.get("domain_limit") or [])))
    twins = scores.get("same_features") or {}
    if twins.get("coverage_90") is not None:
        label = Words(
            "of 90 % intervals hold for other materials with the features of a training row",
            "与某条训练数据特征相同的其他材料：90 % 区间包含率",
        )
        told.append((percent(twins["coverage_90"]), label, _twins(twins, unit)))
    return told


def _twins(twins: dict[str, Any], unit: str) -> Words:
    rows, error = twins["rows"], with_unit(number(twins["mae"]), unit)
    return Words(
        f"One of several training rows with the same features, such as polymorphs of a composition, was left out in"
        f" turn, {rows:,} in all: mean absolute error {error}.",
        f"特征相同的多条训练数据（如同一成分的多种晶型）依次去除其中一条，共 {rows:,} 条；平均绝对误差 {error}。",
    )


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
        english += (
            f". Inside it, {held} of the 90 % intervals hold the truth (their calibration had seen those crystals)"
        )
        chinese += f"；域内 90 % 区间中有 {held} 包含真值（区间的校准用到了这些晶体）"
    if elements.get("mae_of_mean") is not None:
        of_mean = with_unit(number(elements["mae_of_mean"]), unit)
        english += f". Guessing the mean has an error of {of_mean}"
        chinese += f"；以平均值作猜测的误差为 {of_mean}"
    return Words(f"{english}. Hardest: {', '.join(worst)}.", f"{chinese}。最难的：{'、'.join(worst)}。")


def _hidden(limits: list[dict[str, Any]]) -> Words:
    english = (
        "Clusters of like crystals, and all compounds of a few elements, were hidden from training in turn, inside the"
        " domain or not; the intervals of each were calibrated on the others."
    )
    chinese = "依次在训练中隐藏相似晶体的聚类以及少数元素的全部化合物（不论是否在适用域内）；各自的区间由其余部分校准。"
    chosen = next((one for one in limits if one.get("chosen")), None)
    if chosen is None:
        return Words(english, chinese)
    share, failing, groups = percent(chosen["share_of_training"]), chosen["groups_failing"], chosen["groups"]
    least, worst = chosen.get("least_coverage_of_a_group"), Words("", "")
    if least is not None:
        worst = Words(f"; the worst holds {percent(least)}", f"，最差的一组为 {percent(least)}")
    return Words(
        f"{english} The domain reaches as far as {share} of the training crystals lie from the others: of {groups}"
        f" hidden groups with enough crystals inside it, {failing} hold clearly less than 85 %{worst.en}.",
        f"{chinese}适用域的界限取为 {share} 的训练晶体与其余晶体的距离：域内晶体足够多的 {groups} 个隐藏组中，"
        f"有 {failing} 个明显低于 85 %{worst.zh}。",
    )
