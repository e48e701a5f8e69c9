"""What people are told about a cell or a row that cannot be taken as it is, by key, in both languages.

Records keep the key and the values, so that a question is asked in the language of whoever reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple, Self

from matloop.data.label import Label

REMARKS: Mapping[str, Label] = {
    "as_told": Label("{0}", "{0}"),
    # Cells of numbers
    "no_number": Label(
        "'{0}' is no number; write one number, or leave the cell empty", "“{0}”不是数字；请写一个数字，或将单元格留空"
    ),
    "two_readings": Label(
        "'{0}' has two readings; write number and error without a power or a share",
        "“{0}”有两种读法；数值与误差请勿带幂或百分号",
    ),
    "unit_behind": Label("'{0}' has '{1}' behind the number; write it in {2}", "“{0}”的数字后为“{1}”；请以 {2} 填写"),
    "comma": Label(
        "'{0}' may have a decimal comma or one of thousands; write 1.5 or 1500",
        "“{0}”中的逗号可能是小数点或千位分隔符；请写 1.5 或 1500",
    ),
    "too_large": Label("'{0}' is too large", "“{0}”过大"),
    "too_small": Label("'{0}' is too small", "“{0}”过小"),
    "negative_error": Label("'{0}' has an error below zero", "“{0}”的误差为负"),
    "limit": Label("'{0}' is a limit, and not a value", "“{0}”是界限，不是数值"),
    "between": Label("a number from {0} to {1} {2}", "{0} 至 {1} {2} 之间的数字"),
    "at_least": Label("a number of at least {0} {1}", "不小于 {0} {1} 的数字"),
    "at_most": Label("a number of at most {0} {1}", "不大于 {0} {1} 的数字"),
    "whole_number": Label("a whole number", "整数"),
    "step_number": Label("1, 2, 3 ...", "1、2、3……"),
    "uncertainty_alone": Label("an uncertainty without a value", "有不确定度而无数值"),
    "positive_in": Label("a number above zero in {0}", "以 {0} 为单位的正数"),
    "other_uncertainty": Label("another uncertainty stands behind the value", "数值后写有另一个不确定度"),
    # Other cells
    "choices": Label("{0}", "{0}"),
    "choose": Label("choose one", "请选择一项"),
    "nearest": Label("nearest is {0}", "最接近的是 {0}"),
    "property_of_lists": Label("a property of the sheet of lists", "列表工作表中的性质"),
    "candidate_formula": Label("the candidate is {0}", "候选材料为 {0}"),
    "outcomes": Label("made, partly made or failed", "已制得、部分制得或未制得"),
    "failed_with_value": Label(
        "a failed synthesis with a measured value; write partly made, or refuse the row and send it without the value",
        "制备失败却有测量值；请改为部分制得，或撤回该行并去掉数值后重新提交",
    ),
    "day": Label("a day such as 2026-11-29", "日期，如 2026-11-29"),
    "unit_such_as": Label("a unit such as {0}", "单位，如 {0}"),
    "two_units": Label("'{0}' behind the number, '{1}' in the column of units", "数字后为“{0}”，单位列为“{1}”"),
    "wrong_unit": Label("'{0}' does not measure {1} ({2})", "“{0}”不是{1}的单位（{2}）"),
    "sign_before": Label("'{0}' stands before the number", "数字前有“{0}”"),
    "zero": Label(
        "{0} is above zero; where nothing was found, write below and the limit of detection",
        "{0}大于零；若未检出，请选小于并填写检出限",
    ),
    "made_with_reason": Label(
        "the outcome is made; write - if there is no reason, or refuse the row and send it with another outcome",
        "结果为已制得；若无原因请写 -，否则撤回该行并以正确的结果重新提交",
    ),
    "lowest": Label("{0} is at least {1} {2}", "{0}不小于 {1} {2}"),
    "above": Label("{0} {1} is above {2}", "{0} {1} 大于 {2}"),
    "condition_such_as": Label("such as wavelength 589 nm; humidity 40 %", "如：波长 589 nm；湿度 40 %"),
    "two_conditions": Label("two values of {0}", "{0}有两个数值"),
    "predicted": Label("{0}, predicted {1}", "{0}，预测值 {1}"),
    "median": Label("{0}, the median of the others {1}", "{0}，其余数值的中位数 {1}"),
    "interval": Label("predicted {0}, 90 % interval {1} to {2} {3}", "预测值 {0}，90 % 区间 {1} 至 {2} {3}"),
    "records_say": Label("the records say {0}", "记录中为 {0}"),
    "emptied": Label("it was {0}", "此前为 {0}"),
    "retracted": Label("{0} of the same sample was retracted", "同一样品的 {0} 已被撤销"),
    "sample_of": Label(
        "the records have it of {0}; this sheet names no laboratory", "记录中属于 {0}；本表未注明实验室"
    ),
    "sample_of_unnamed": Label("the records have it of a laboratory that was not named", "记录中该样品未注明实验室"),
    "sample_of_file": Label("the very same file came from {0} before", "同一文件此前已由 {0} 提交"),
    "value_of_candidate": Label(
        "of {0}, as {1}; if the candidate was mended, take that value back with matloop retract",
        "属于 {0}（{1}）；若更正了候选材料编号，请用 matloop retract 撤销该数值",
    ),
    "several_samples": Label("several candidates have a sample of this name", "多个候选材料有同名样品"),
    "no_sample": Label("no result of this sample is accepted yet", "该样品尚无已接受的结果"),
    # Rows
    "ragged": Label("{0} cells below {1} headings", "{1} 个表头下有 {0} 个单元格"),
    "long_cell": Label("a cell of more than {0} characters", "某单元格超过 {0} 个字符"),
}
"""Key -> text; ``{0}`` stands for the first value."""


class Remark(NamedTuple):
    """A text by its key, with the values that stand in it.

    Attributes:
        key: In :data:`REMARKS`; empty where there is nothing to say.
        values: In the order of the text; a label where the word differs by language.

    >>> Remark("records_say", ("2.1 eV",)).label
    Label(en='the records say 2.1 eV', zh='记录中为 2.1 eV')
    >>> Remark.read(Remark("nearest", (Label("band gap", "带隙"),)).stored()).label.zh
    '最接近的是 带隙'
    """

    key: str = ""
    values: tuple[str | Label, ...] = ()

    @property
    def label(self) -> Label:
        """The text in both languages."""
        if not self.key:
            return Label("", "")
        en, zh = ([_word(value, at) for value in self.values] for at in (0, 1))
        return Label(REMARKS[self.key].en.format(*en), REMARKS[self.key].zh.format(*zh))

    def stored(self) -> str:
        """The remark as records keep it; empty where there is nothing to say."""
        return json.dumps([self.key, *self.values], ensure_ascii=False) if self.key else ""

    @classmethod
    def read(cls, stored: str) -> Self:
        """The remark that records keep; a text of an older record is told as it is."""
        try:
            key, *values = json.loads(stored)
            if key in REMARKS and all(isinstance(value, str) or len(value) == 2 for value in values):
                return cls(key, tuple(value if isinstance(value, str) else Label(*value) for value in values))
        except (ValueError, TypeError):
            pass
        return cls("as_told", (stored,)) if stored else cls()


def _word(value: str | Label, language: int) -> str:
    return value if isinstance(value, str) else value[language]
