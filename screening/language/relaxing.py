"""What to relax where no candidate is left, in English and Chinese, by the code of why candidates ended."""

from __future__ import annotations

from collections.abc import Mapping

from matloop.data.candidates.reasons import (
    BELOW_CUT,
    EQUAL_CRYSTAL,
    EXPECTED_MISSES,
    EXPLODED,
    NOT_RANKABLE,
    OUTSIDE_DOMAIN,
    POLYMORPH,
    REPEATED,
    UNKNOWN_OBJECTIVE,
)  # fmt: skip
from matloop.screening.language.text import Words

_BY_CODE: Mapping[str, Words] = {
    REPEATED: Words("look whether the sources give the same candidates", "检查各来源是否给出相同的候选材料"),
    OUTSIDE_DOMAIN: Words(
        "set 'explore: true' of the shortlist, or train on materials more like the candidates",
        "将候选名单的 explore 设为 true，或用与候选材料更相近的数据训练",
    ),
    NOT_RANKABLE: Words("look at the features and targets of the stage", "检查该阶段的特征与目标"),
    UNKNOWN_OBJECTIVE: Words(
        "leave this objective of the ranking out, or give facts of your own", "去掉该优化目标，或提供自有数据"
    ),
    BELOW_CUT: Words("raise 'keep' of the stage", "提高该阶段的 keep"),
    EQUAL_CRYSTAL: Words("give sources with more different crystals", "提供晶体差异更大的来源"),
    EXPECTED_MISSES: Words(
        "raise 'max_false_discovery' of the shortlist, or make targets wider",
        "提高候选名单的 max_false_discovery，或放宽目标范围",
    ),
    EXPLODED: Words("leave the potential out, or give sounder crystals", "不使用势函数，或提供更合理的晶体"),
    POLYMORPH: Words("give sources with more different compositions", "提供成分差异更大的来源"),
    "E-MODEL-ELEMENT": Words(
        "exclude these elements, or train on materials that contain them", "排除这些元素，或用含有这些元素的数据训练"
    ),
    "E-FEATURE-CRYSTAL": Words(
        "choose features of compositions, or give sources with crystals", "改用成分特征，或提供含晶体结构的来源"
    ),
    "E-FEATURE-NODATA": Words("exclude these elements, or choose other features", "排除这些元素，或改用其他特征"),
    "E-POTENTIAL-ELEMENT": Words(
        "exclude these elements, or choose another potential", "排除这些元素，或改用其他势函数"
    ),
}
_BY_START: Mapping[str, Words] = {
    "R-FILTER-": Words("relax this filter, or leave it out", "放宽或去掉该筛选条件"),
    "E-FORMULA-": Words("mend these rows of the input", "修正输入中的这些行"),
    "E-TABLE-": Words("mend these rows of the input", "修正输入中的这些行"),
    "E-STRUCT-": Words("mend these crystals of the input", "修正输入中的这些晶体"),
    "E-FILE-": Words("mend these files of the input", "修正输入中的这些文件"),
    "E-POTENTIAL-": Words("give the potential more time, or choose another one", "给势函数更多时间，或改用其他势函数"),
}
_ELSE = Words("matloop why RUN ID tells more of a candidate", "用 matloop why RUN ID 查看单个候选材料的详情")


def relaxing_words(code: str) -> Words:
    """What to relax so that fewer candidates end for a reason.

    Args:
        code: Code of the reason.

    >>> relaxing_words("R-FILTER-EXCLUDED-ELEMENT").en
    'relax this filter, or leave it out'
    """
    found = next((words for start, words in _BY_START.items() if code.startswith(start)), _ELSE)
    return _BY_CODE.get(code, found)
