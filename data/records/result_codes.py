"""Why a row of a result sheet is held or refused, by code, in both languages."""

from __future__ import annotations

from collections.abc import Mapping

from matloop.data.label import Label

CANDIDATE, FORMULA, SAMPLE = "E-RESULT-CANDIDATE", "E-RESULT-FORMULA", "E-RESULT-SAMPLE"
OUTCOME, CHOICE, DATE = "E-RESULT-OUTCOME", "E-RESULT-CHOICE", "E-RESULT-DATE"
PROPERTY, NUMBER, UNIT, QUALIFIER = "E-RESULT-PROPERTY", "E-RESULT-NUMBER", "E-RESULT-UNIT", "E-RESULT-QUALIFIER"
UNCERTAINTY, CONDITION = "E-RESULT-UNCERTAINTY", "E-RESULT-CONDITION"
RANGE, JUMP, ZERO = "E-RESULT-RANGE", "E-RESULT-JUMP", "E-RESULT-ZERO"
REPEAT, CONFLICT = "E-RESULT-REPEAT", "E-RESULT-CONFLICT"
LABORATORY, SAME, CELL, EMPTIED = "E-RESULT-LABORATORY", "E-RESULT-SAME", "E-RESULT-CELL", "E-RESULT-EMPTIED"
ROW, IMPOSSIBLE, ANSWER = "E-RESULT-ROW", "E-RESULT-IMPOSSIBLE", "E-RESULT-ANSWER"

RESULT_CODES: Mapping[str, Label] = {
    CANDIDATE: Label("no candidate of this id was proposed or screened", "没有提出或筛选过该编号的候选材料"),
    FORMULA: Label("the formula is not that of the candidate", "化学式与候选材料不符"),
    SAMPLE: Label("the row does not say which sample it is about", "未注明样品编号"),
    OUTCOME: Label(
        "the outcome is missing, or contradicts the rest of the row", "缺少制备结果，或与该行其他内容矛盾"
    ),
    CHOICE: Label("the cell is none of the choices", "单元格内容不在选项之内"),
    DATE: Label("the cell is no day, or a day to come", "单元格不是日期，或为未来日期"),
    PROPERTY: Label(
        "there is no such property, and so no unit of it; --run names a run whose campaign defines it, and packages "
        "add others (entry points matloop.properties)",
        "没有该性质，单位亦未知；若由筛选任务自行定义，请用 --run 指明其运行；"
        "其他性质可由软件包添加（入口点 matloop.properties）",
    ),
    NUMBER: Label("the value is no number, or has two readings", "数值不是数字，或有两种读法"),
    UNIT: Label(
        "the unit is missing, unknown or contradicts the cell of the value", "单位缺失、未知或与数值单元格矛盾"
    ),
    QUALIFIER: Label("the value and its qualifier contradict each other", "数值与限定词矛盾"),
    UNCERTAINTY: Label("the uncertainty is no number above zero", "不确定度不是正数"),
    CONDITION: Label("a condition cannot be read", "测试条件无法识别"),
    RANGE: Label("the value is too large or too small to be plausible; perhaps its unit is another one",
        "数值过大或过小，不合常理，可能单位有误",
    ),
    JUMP: Label(
        "the value is a factor of about 1,000 from others like it; perhaps its unit is another one",
        "数值与同类数值相差约一千倍，可能单位有误",
    ),
    ZERO: Label(
        "the value is 0, which the prediction excludes; if it was not measured, write n.d. instead",
        "数值为 0，而预测排除了 0；若未测量，请填写“未测”",
    ),
    REPEAT: Label("the same row stands twice in the sheet", "表中有两行完全相同"),
    CONFLICT: Label(
        "another result of the same sample is in the records; as written, this one takes its place",
        "记录中已有同一样品的另一结果；若确认，则以此为准",
    ),
    SAME: Label(
        "the same value of the sample is in the records with another method, conditions or candidate; as written, this "
        "is another measurement",
        "记录中已有该样品的相同数值，但方法、条件或候选材料不同；若确认，则算作另一次测量",
    ),
    EMPTIED: Label(
        "the value was sent before and is empty now; as written, it is retracted; refuse keeps it",
        "此前填有数值，现为空；若确认无误，则撤销原数值；答“撤回”则保留原数值",
    ),
    LABORATORY: Label(
        "a sample of this name was sent with another statement of its laboratory; as written, this is another sample",
        "同名样品曾以另一实验室名称导入；若确认，则视为另一样品",
    ),
    CELL: Label(
        "the cell has a spreadsheet formula that was never calculated; write the value instead",
        "单元格中的公式从未计算；请直接写出数值",
    ),
    ROW: Label("the row is broken", "该行格式损坏"),
    IMPOSSIBLE: Label("the value is physically impossible", "数值在物理上不可能"),
    ANSWER: Label("the row was taken back by an answer", "该行已按答复撤回"),
}  # fmt: skip
"""Code -> what it means."""

FINAL = frozenset((ROW, IMPOSSIBLE, ANSWER))
"""Codes that refuse a row. The others ask a question."""
MUST_CHANGE = frozenset(
    (SAMPLE, OUTCOME, CHOICE, DATE, PROPERTY, NUMBER, UNIT, QUALIFIER, UNCERTAINTY, CONDITION, CELL)
)
"""Questions to which 'as written' is no answer: the cell cannot be read as it is."""
BESIDE_RECORDS = frozenset((FORMULA, CONFLICT, SAME, REPEAT, EMPTIED, LABORATORY))
"""Questions about a row beside what the records say; an answer holds as long as they say that."""
