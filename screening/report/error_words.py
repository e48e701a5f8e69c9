"""What a card says beyond its scores, in words: learning curve, random split, and where the errors are."""

from __future__ import annotations

from typing import Any, NamedTuple

from matloop.screening.language.text import Words, number, percent, with_bracketed, with_unit

_LEAST_GAIN = 0.01  # share of the error; less cannot be told from chance
_SHOWN_ELEMENTS = 5
_ORDERS = 0.8  # chance to put a pair in order from which an order is a good guide
_CLASSES_ZH = {
    "organic compounds": "有机化合物",
    "oxyhalides": "卤氧化物",
    "oxides": "氧化物",
    "halides": "卤化物",
    "chalcogenides": "硫属化物",
    "pnictides": "磷族化物（含氮化物）",
    "metals and intermetallics": "金属与金属间化合物",
    "carbides, silicides, borides, hydrides": "碳、硅、硼、氢化物",
}


class Region(NamedTuple):
    """Errors for some of the rows.

    Attributes:
        label: Which rows.
        rows: How many.
        mae: Their mean absolute error, on the scale of the model.
        bias: Mean of prediction minus truth.
    """

    label: Words
    rows: int
    mae: float
    bias: float


def hull_order_words(found: dict[str, Any]) -> Words:
    """Say what the order of a surrogate of the energy above the hull is good for.

    Args:
        found: ``hull_order`` of a card.

    >>> errors = {"mae": 0.058, "mae_of_zero": 0.04}
    >>> print(hull_order_words({"near": 0.05, "auc": 0.691, "auc_of_oxides": 0.661, **errors}).en)
    A crystal within 0.05 eV/atom of the hull is predicted below one farther away in 69 % of pairs (66 % among oxides; \
50 % by chance). The mean error is 0.0580 eV/atom; always saying 0 is off by 0.0400. Use it to cut, not to order.
    """
    near, share, chance = f"{found['near']:g}", percent(found["auc"]), percent(0.5)
    oxides = "" if found["auc_of_oxides"] is None else percent(found["auc_of_oxides"])
    error, guess = number(found["mae"]), number(found["mae_of_zero"])
    among, among_zh = (f"{oxides} among oxides; ", f"氧化物中为 {oxides}；") if oxides else ("", "")
    weak = found["auc"] < _ORDERS or found["mae"] >= found["mae_of_zero"]
    advice = Words(" Use it to cut, not to order.", "宜用于淘汰，不宜用于排序。") if weak else Words("", "")
    return Words(
        f"A crystal within {near} eV/atom of the hull is predicted below one farther away in {share} of pairs "
        f"({among}{chance} by chance). The mean error is {error} eV/atom; always saying 0 is off by {guess}."
        f"{advice.en}",
        f"距凸包 {near} eV/atom 以内的晶体，其预测值低于更远晶体的比例为 {share}（{among_zh}随机为 {chance}）。"
        f"平均误差为 {error} eV/atom；若一律取 0，误差为 {guess}。{advice.zh}",
    )


def learning_words(curve: dict[str, Any], unit: str) -> Words:
    """Say what 50 more labels would buy, and twice as many labels.

    Args:
        curve: ``learning_curve`` of a card.
        unit: Of its errors.

    >>> more = [{"labels": 50, "mae": 0.195, "low": 0.19, "high": 0.2}]
    >>> print(learning_words({"rows": 100, "mae": 0.21, "more": more}, "eV").en)
    50 more labels of this kind would on average lower the error expected with all present rows from 0.210 to \
0.190–0.200 eV.
    """
    told = [_gain(curve["mae"], more, curve["rows"], unit) for more in curve["more"]]
    return Words(" ".join(words.en for words in told), "".join(words.zh for words in told))


def _gain(error: float, more: dict[str, Any], rows: int, unit: str) -> Words:
    labels, low, high = more["labels"], more["low"], more["high"]
    double = labels == rows and rows != 50
    english = f"Twice as many labels ({labels:,} more)" if double else f"{labels:,} more labels of this kind"
    chinese = f"若标注数据翻倍（再增加 {labels:,} 个）" if double else f"再增加 {labels:,} 个同类标注数据"
    if not error > 0 or error - low < _LEAST_GAIN * error:
        return Words(f"{english} would change the error by less than 1 %.", f"{chinese}，误差变化不到 1 %。")
    before, least, most = (number(value) for value in (error, low, high))
    after = with_unit(least if least == most else f"{least}–{most}", unit)
    verb = "would" if error - high >= _LEAST_GAIN * error else "might"
    sure = "平均将" if verb == "would" else "平均可能"
    return Words(
        f"{english} {verb} on average lower the error expected with all present rows from {before} to {after}.",
        f"{chinese}，现有数据全部使用时的预期误差{sure}从 {before} 降至 {after}。",
    )


def noise_words(noise: dict[str, Any], rmse: float | None, unit: str) -> Words:
    """Say how large the noise of the labels is beside the error of the model.

    Args:
        noise: ``label_noise`` of a card.
        rmse: Root mean square error of the model, or None.
        unit: Of both.

    >>> print(noise_words({"deviation": 0.2, "repeats": 31, "error": 0.15, "model_deviation": 0.4}, 0.43, "eV").en)
    31 repeats of compounds scatter by 0.200 eV. No model predicts single values better; this one misses by 0.430 eV.
    """
    if noise["deviation"] is None:
        size = with_unit(number(noise["error"]), unit)
        origin = Words(f"Labels have errors of {size}", f"标注数据的误差为 {size}")
    else:
        size, count = with_unit(number(noise["deviation"]), unit), f"{noise['repeats']:,}"
        origin = Words(f"{count} repeats of compounds scatter by {size}", f"{count} 次重复的数值离散度为 {size}")
    if rmse is None:
        return Words(f"{origin.en}.", f"{origin.zh}。")
    own = with_unit(number(rmse), unit)
    return Words(
        f"{origin.en}. No model predicts single values better; this one misses by {own}.",
        f"{origin.zh}。任何模型对单个数值的预测都不会更好；本模型的均方根误差为 {own}。",
    )


def split_words(split: dict[str, Any]) -> Words:
    """Compare the error on random folds with that on grouped folds.

    Args:
        split: ``random_split`` of a card.

    >>> print(split_words({"mae": 0.2, "grouped_mae": 0.2, "rows_with_siblings": 0}).en)
    Every row has a formula of its own, so random folds are as hard as grouped folds.
    """
    siblings, grouped = split["rows_with_siblings"], split["grouped_mae"]
    if not siblings or not grouped > 0:
        return Words(
            "Every row has a formula of its own, so random folds are as hard as grouped folds.",
            "每行数据的化学式各不相同，随机分组与按化学式分组的检验难度相同。",
        )
    less = 1 - split["mae"] / grouped
    share = percent(abs(less))
    change, change_zh = (f"{share} lower", f"低 {share}") if less >= 0 else (f"{share} higher", f"高 {share}")
    return Words(
        f"On random folds, which leave other rows of the same formula in training, the error of a small ensemble is"
        f" {change} than on grouped folds ({number(split['mae'])} against {number(grouped)}). {siblings:,} rows share"
        " their formula with another.",
        f"随机分组时训练数据中留有同一化学式的其他数据，小型模型的误差比按化学式分组时{change_zh}"
        f"（{number(split['mae'])}，对照 {number(grouped)}）。共有 {siblings:,} 行与其他行化学式相同。",
    )


def regions_by_chemistry(found: dict[str, Any]) -> list[Region]:
    """Classes of chemistry, those with the most rows first.

    Args:
        found: ``error_regions`` of a card.
    """
    return [_named(one, _CLASSES_ZH.get(one["name"], one["name"])) for one in found["chemistry"]]


def regions_by_range(found: dict[str, Any], unit: str) -> list[Region]:
    """Ranges of the truth, the lowest first.

    Args:
        found: ``error_regions`` of a card.
        unit: Of the property.
    """
    return [
        Region(
            Words(
                with_unit(f"{number(one['low'])} to {number(one['high'])}", unit),
                with_unit(f"{number(one['low'])} 至 {number(one['high'])}", unit),
            ),
            one["rows"], one["mae"], one["bias"],
        )
        for one in found["ranges"]
    ]  # fmt: skip


def worst_elements(found: dict[str, Any]) -> list[Region]:
    """The elements with the largest errors, the largest first.

    Args:
        found: ``error_regions`` of a card.
    """
    return [_named(one) for one in sorted(found["elements"], key=lambda one: -one["mae"])[:_SHOWN_ELEMENTS]]


def common_elements(found: dict[str, Any]) -> list[Region]:
    """The elements in most rows, the most common first.

    Args:
        found: ``error_regions`` of a card.
    """
    return [_named(one) for one in found["elements"][:_SHOWN_ELEMENTS]]


def _named(one: dict[str, Any], chinese: str = "") -> Region:
    return Region(Words(one["name"], chinese or one["name"]), one["rows"], one["mae"], one["bias"])


def region_headings(what: Words, unit: str) -> list[Words]:
    """Headings of a table of regions.

    Args:
        what: Heading of the first column.
        unit: Of the errors.
    """
    return [
        what,
        Words("rows", "行数"),
        with_bracketed(Words("mean absolute error", "平均绝对误差"), unit),
        Words("bias", "偏差"),
    ]


def region_cells(region: Region) -> list[Words | str]:
    """Cells of the row of a region."""
    sign = "+" if region.bias > 0 else ""
    return [region.label, f"{region.rows:,}", number(region.mae), f"{sign}{number(region.bias, region.mae / 10)}"]
