"""What composition models bought a surrogate, in words."""

from __future__ import annotations

from typing import Any

from matloop.data.properties.catalogue import property_named
from matloop.screening.language.model_words import DECADES
from matloop.screening.language.text import Words, number, with_unit


def composition_scores(card: dict[str, Any], unit: str) -> list[tuple[str, Words, Words]]:
    """Value, label and meaning of the error with composition models beside that without; none where there are none.

    Args:
        card: Of the surrogate.
        unit: Of its errors.
    """
    found = card.get("composition_models")
    if not found:
        return []
    with_models, without = found["mae"]["with_models"], found["mae"]["without_models"]
    label = Words("mean absolute error with composition models", "使用成分模型后的平均绝对误差")
    against = Words("", "")
    if without is not None:
        size = with_unit(number(without), unit)
        against = Words(
            f"It is {size} without them, by the same small ensembles on the same folds. ",
            f"不使用时为 {size}（同样的小型模型与分组）。",
        )
    sources_en, sources_zh = zip(*(_source(model) for model in found["models"]), strict=True)
    meaning = Words(
        f"{against.en}One more feature each is what a model by composition expects, which never saw that composition: "
        f"{'; '.join(sources_en)}.",
        f"{against.zh}每个成分模型（从未见过该成分）的预期值各作为一个特征：{'；'.join(sources_zh)}。",
    )
    return [(with_unit(number(with_models), unit), label, meaning)]


def _source(model: dict[str, Any]) -> tuple[str, str]:
    """Where a composition model comes from and how good it is."""
    known = property_named(str(model["property"]))
    scale = DECADES if model["transform"] == "log10" else str(model["unit"])
    error, guess = (with_unit(number(model[name]), scale) for name in ("mae", "mae_of_mean"))
    about, rows = model["training_set"], f"{model['rows']:,}"
    return (
        f"{known.label_en}, {about['provenance']}, of {rows} {about['name']} ({about['licence']}), off by {error} on "
        f"compositions held out ({guess} for the mean)",
        f"{known.label_zh}，{about['provenance']}，{about['name']} 共 {rows} 条（{about['licence']}），"
        f"对留出成分的误差为 {error}（取平均值为 {guess}）",
    )
