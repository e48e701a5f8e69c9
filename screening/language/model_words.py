"""Families of models, and the unit of errors on logarithms, in both languages."""

from __future__ import annotations

import re

from matloop.screening.language.text import Words

DECADES = "decades"
"""Unit of errors of a property that is learned on its decimal logarithm."""
_DECADES_ZH = "个数量级"
_FAMILIES_ZH = {
    "extra_trees": "极端随机树",
    "boosted_trees": "梯度提升树",
    "gaussian_process": "高斯过程",
    "deep_ensemble": "神经网络集成",
    "element_attention": "元素注意力网络",
    "mean": "多模型平均",
    "stack": "堆叠模型",
}


def family_words(written: str) -> Words:
    """Name a family of models, or several in one text; what is no packaged family stays as it is written.

    Args:
        written: As a card writes it, such as ``extra_trees`` or ``mean of extra_trees, boosted_trees``.

    >>> print(*family_words("mean of extra_trees, my_family"), sep="; ")
    mean of extra trees, my family; 多模型平均（极端随机树、my family）
    """
    name, separator, members = written.partition(" of ")
    translated = re.sub(r"[a-z_]+", lambda found: _FAMILIES_ZH.get(found[0], found[0]), members)
    chinese = _FAMILIES_ZH.get(name, name) + (f"（{translated.replace(', ', '、')}）" if separator else "")
    return Words(written.replace("_", " "), chinese.replace("_", " "))


def in_both_languages(words: Words | str) -> Words:
    """Write the unit of errors on logarithms in Chinese in the Chinese text.

    Args:
        words: A text whose Chinese may hold ``decades``, or a number with its unit.

    >>> print(*in_both_languages("0.047 decades"), sep="; ")
    0.047 decades; 0.047 个数量级
    """
    english, chinese = (words, words) if isinstance(words, str) else words
    return Words(english, re.sub(rf"\b{DECADES}\b", _DECADES_ZH, chinese))
