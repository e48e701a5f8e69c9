"""Why candidates end, in English and Chinese: words keyed by the codes of reasons.

In a template, ``{value}`` is the value of the candidate and ``{limit}`` the limit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from matloop.data.candidates.reasons import (
    BELOW_CUT,
    CHOSEN,
    EQUAL_CRYSTAL,
    EXPECTED_MISSES,
    EXPLODED,
    NO_EVIDENCE,
    NOT_CHOSEN,
    NOT_RANKABLE,
    OUTSIDE_DOMAIN,
    POLYMORPH,
    REPEATED,
    UNKNOWN_OBJECTIVE,
)  # fmt: skip
from matloop.data.errors import ROW_CODES
from matloop.screening.language.filter_words import filter_reasons
from matloop.screening.language.text import Words

DECISION_WORDS: Mapping[str, Words] = {
    REPEATED: Words("repeats an earlier candidate", "与先前的候选材料重复"),
    OUTSIDE_DOMAIN: Words("outside the domain of a surrogate", "超出某个代理模型的适用域"),
    NOT_RANKABLE: Words("no finite score to be ranked by", "没有可用于排序的有限评分"),
    UNKNOWN_OBJECTIVE: Words("{value} is not known, and it is an objective", "{value} 未知，而它是优化目标"),
    BELOW_CUT: Words("below the {limit} most probable", "未进入概率最高的前 {limit} 名"),
    EQUAL_CRYSTAL: Words("equal to a more probable candidate", "与概率更高的候选材料相同"),
    EXPLODED: Words("exploded in relaxation", "弛豫时结构崩溃"),
    POLYMORPH: Words(
        "{limit} crystals of its composition have lower energies", "同一成分已有 {limit} 个能量更低的晶体"
    ),
    EXPECTED_MISSES: Words("expected share of misses above {limit}", "预期未达标比例高于 {limit}"),
    NO_EVIDENCE: Words(
        "known materials support no share of misses, so none up to {limit}",
        "已知材料不足以支持任何未达标比例，包括 {limit} 以内",
    ),
    NOT_CHOSEN: Words("ranked, not chosen", "已排序，未入选"),
    CHOSEN: Words("chosen for the shortlist", "入选候选名单"),
}
"""Words of every decision but those of filters, which bring their own."""

ROW_CODES_ZH: Mapping[str, str] = {
    "E-FORMULA-EMPTY": "化学式为空",
    "E-FORMULA-SYNTAX": "文本不是化学式",
    "E-FORMULA-ELEMENT": "化学式中含有不是元素的符号（D、T、Xx 均不接受；氘请写作 H）",
    "E-FORMULA-AMOUNT": "原子数为零、过大或不是数字",
    "E-FORMULA-AMBIGUOUS": "化学式有两种读法，或像是笔误（如把 O 写成 0）；请不带点和空格地写出",
    "E-STRUCT-NONFINITE": "晶胞或坐标不是有限数值，或坐标超过一百万个晶胞",
    "E-STRUCT-ELEMENT": "某个位点不是 1 至 118 号元素",
    "E-STRUCT-CELL": "某一轴向的晶面间距小于 0.1 Å；请约化过度倾斜的晶胞",
    "E-STRUCT-VOLUME": "每原子体积不在 2 至 2000 Å³ 之间",
    "E-STRUCT-SIZE": "晶胞没有位点或超过 500 个",
    "E-STRUCT-DISORDER": "某个位点部分占据或混合占据",
    "E-STRUCT-DISTANCE": "两个原子相距不足 0.5 Å(均非氢时为 0.9 Å)",
    "E-STRUCT-NOCELL": "没有三维周期性晶胞（分子、表面层或片段）",
    "E-STRUCT-NOATOMS": "有晶胞，但没有带分数坐标的原子",
    "E-STRUCT-SYMBOLS": "文件没有说明原子是哪些元素",
    "E-STRUCT-SYMMETRY": "对称性的写法给不出对称操作",
    "E-STRUCT-OCCUPANCY": "占据率为负，或同一位点的占据率之和大于一",
    "E-STRUCT-FORMULA": "原子数与文件所写化学式不符（常因氢原子未定位）",
    "E-FILE-FORMAT": "文件不属于可读格式：CIF、POSCAR、扩展 XYZ、XSF、pymatgen 或 OPTIMADE JSON",
    "E-FILE-EMPTY": "文件为空",
    "E-FILE-TOO-LARGE": "文件（压缩或解压后）超过上限，或声明的原子数超过其容量",
    "E-FILE-ENCODING": "文件不是 UTF-8、UTF-16 或 Latin-1 文本",
    "E-FILE-SYNTAX": "文件不符合其格式的规则，或不完整",
    "E-FILE-UNREADABLE": "文件无法打开",
    "E-FILE-CHANGED": "读取候选材料期间文件发生了变化",
    "E-FILE-MEMBER": "压缩包成员是链接或设备，或其名称指向压缩包之外",
    "E-GUARD-TIMEOUT": "处理该候选材料耗时过长，已放弃",
    "E-GUARD-CRASH": "该候选材料使处理它的进程终止",
    "E-GUARD-MEMORY": "该候选材料所需内存超过上限",
    "E-FEATURE-NODATA": "元素性质表中没有该元素的数据",
    "E-FEATURE-NONFINITE": "某个特征不是有限数值",
    "E-FEATURE-FAILED": "特征计算程序拒绝了该候选材料",
    "E-FEATURE-TIMEOUT": "某个特征的计算耗时过长，已放弃",
    "E-FEATURE-BLOCK": "该特征需要的数据在候选材料中不存在",
    "E-FEATURE-CRYSTAL": "该特征需要晶体结构，而候选材料只有成分",
    "E-MODEL-ELEMENT": "某个元素从未出现在代理模型的训练数据中",
    "E-MODEL-CONDITION": "条件缺失或超出标签范围，或该材料没有接近该条件的标签",
    "E-POTENTIAL-CRYSTAL": "势函数需要晶体结构，而候选材料只有成分",
    "E-POTENTIAL-ELEMENT": "势函数的训练数据不含其中某个元素",
    "E-POTENTIAL-ISOLATED": "某个原子在势函数截断半径内没有近邻",
    "E-POTENTIAL-SIZE": "晶体的键或键角数目超过势函数允许占用的内存",
    "E-POTENTIAL-TIMEOUT": "弛豫耗时过长，已放弃",
    "E-POTENTIAL-NONFINITE": "势函数给出的能量、力或应力不是有限数值",
    "E-HULL-ENERGY": "候选材料没有可与凸包比较的能量",
    "E-HULL-ELEMENT": "凸包参考相中缺少其中某个元素的单质",
    "E-TABLE-RAGGED": "该行的单元格数与表格的列数不符",
    "E-TABLE-CELL": "化学式单元格是数字、日期或逻辑值；请将该列设为文本格式",
    "E-TABLE-NUMBER": "某个性质列的单元格不是有限数值",
    "E-FEATURE-CRASH": "计算该候选材料的某个特征使其进程终止",
    "E-FEATURE-MEMORY": "该候选材料的某个特征所需内存超过上限",
    "E-POTENTIAL-FAILED": "势函数或优化器对该晶体报错",
    "E-POTENTIAL-CRASH": "弛豫使运行它的进程终止",
    "E-POTENTIAL-MEMORY": "弛豫所需内存超过上限",
}
"""Row code -> what it means, in Chinese; the English is in :data:`matloop.data.errors.ROW_CODES`."""


def reason_words(code: str, value: str = "", limit: str = "") -> Words:
    """Say in words why a candidate ended; a code without words is shown with its value and limit.

    Args:
        code: Code of a reason.
        value: What was met, as fates store it.
        limit: What was allowed, as fates store it.

    >>> reason_words("R-RANKING-BELOW-CUT", limit="5000").en
    'below the 5,000 most probable'
    >>> reason_words("R-MY-OWN", "312", "300").en
    'R-MY-OWN: 312 (allowed: 300)'
    """
    if code in ROW_CODES:
        return Words(f"{ROW_CODES[code]} ({code})", f"{ROW_CODES_ZH[code]}（{code}）")
    parts = {"value": _shown(value), "limit": _shown(limit)}
    words = DECISION_WORDS.get(code) or filter_reasons().get(code)
    if words is not None:
        return Words(*(text.format(**parts) for text in words))
    met = f": {parts['value']}" if value else ""
    allowed = f" (allowed: {parts['limit']})", f"（允许：{parts['limit']}）"
    return Words(*(f"{code}{met}{text if limit else ''}" for text in allowed))


def _shown(text: str) -> str:
    """Write a whole number with separated thousands, and everything else unchanged."""
    return f"{int(text):,}" if re.fullmatch(r"[0-9]+", text) else text
