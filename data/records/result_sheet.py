"""The result sheet that a laboratory sends back: its two tables, their columns, and what may stand in them.

A dossier writes the sheet and an import reads it; both take the columns from here. A heading is a label with its unit,
in English or in Chinese; a reader takes the key of the column too.

The table of results has one row for each value. A sample that was not made has one row without a value. The table of
process steps has one row for each step.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from matloop.data.label import Label
from matloop.data.properties.columns import Column

Kind = Literal["text", "number", "whole number", "date", "choice", "property", "unit"]
Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


@dataclass(frozen=True)
class SheetColumn:
    """A column of the result sheet.

    Attributes:
        key: Its name in every language.
        label: What people read.
        hint: What to write there.
        kind: What a cell holds. A ``property`` is the label of a property, a ``unit`` one that fits the property of its
            row.
        unit: Unit of the numbers; empty where they have none.
        choices: What may be chosen, by key; empty for other kinds.
        least: Smallest number.
        most: Largest number.
        needed: Whether a row must have it.
    """

    key: str
    label: Label
    hint: Label
    kind: Kind = "text"
    unit: str = ""
    choices: Mapping[str, Label] = field(default_factory=dict)
    least: float | None = None
    most: float | None = None
    needed: bool = False

    def heading(self, language: Language) -> str:
        """The label with its unit.

        >>> STEPS[5].heading("en"), STEPS[5].heading("zh")
        ('temperature (°C)', '温度（°C）')
        """
        if language == "zh":
            return f"{self.label.zh}（{self.unit}）" if self.unit else self.label.zh
        return f"{self.label.en} ({self.unit})" if self.unit else self.label.en

    def words(self, language: Language) -> list[str]:
        """The choices as a language writes them."""
        return [getattr(label, language) for label in self.choices.values()]


OUTCOMES: Mapping[str, Label] = MappingProxyType(
    {
        "made": Label("made", "已制得"),
        "partly": Label("partly made", "部分制得"),
        "failed": Label("failed", "未制得"),
    }
)
"""What came of a synthesis, by key."""

ALSO_WRITTEN: Mapping[str, str] = MappingProxyType(
    {
        "partly": "partly", "not made": "failed", "制得": "made", "成功": "made", "部分": "partly", "失败": "failed",
        "未成功": "failed",
    }
)  # fmt: skip
"""Short words that people write for outcomes, beside those of the list."""

QUALIFIERS: Mapping[str, Label] = MappingProxyType(
    {
        "is": Label("is", "等于"),
        "below": Label("below", "小于"),
        "above": Label("above", "大于"),
        "about": Label("about", "约"),
    }
)
"""Whether a value is the value, a limit from above or below, or an estimate. No word begins like a formula."""

REASONS: Mapping[str, Label] = MappingProxyType(
    {
        "other_phases": Label("other phases formed", "生成了其他相"),
        "no_reaction": Label("precursors did not react", "前驱体未反应"),
        "amorphous": Label("amorphous", "产物为非晶"),
        "decomposed": Label("decomposed", "发生分解"),
        "melted": Label("melted", "发生熔融"),
        "evaporated": Label("a component evaporated", "组分挥发"),
        "crucible": Label("reacted with the crucible or substrate", "与坩埚或衬底反应"),
        "air": Label("spoiled by air or water", "受空气或水分影响"),
        "equipment": Label("the equipment or the handling failed", "设备或操作故障"),
        "other": Label("other, see note", "其他，见备注"),
    }
)
"""Why a synthesis failed or came out in part, by key."""

OPERATIONS: Mapping[str, Label] = MappingProxyType(
    {
        "weigh": Label("weigh", "称量"),
        "mix": Label("mix or grind", "混合或研磨"),
        "press": Label("press", "压制"),
        "heat": Label("heat", "热处理"),
        "quench": Label("quench", "淬冷"),
        "dissolve": Label("dissolve", "溶解"),
        "precipitate": Label("precipitate", "沉淀"),
        "hydrothermal": Label("heat under pressure in water or solvent", "水热或溶剂热"),
        "deposit": Label("deposit a film", "薄膜沉积"),
        "wash": Label("wash", "洗涤"),
        "dry": Label("dry", "干燥"),
        "other": Label("other, see note", "其他，见备注"),
    }
)
"""Process steps by key."""

ATMOSPHERES: Mapping[str, Label] = MappingProxyType(
    {
        "air": Label("air", "空气"),
        "oxygen": Label("oxygen", "氧气"),
        "nitrogen": Label("nitrogen", "氮气"),
        "argon": Label("argon", "氩气"),
        "forming_gas": Label("hydrogen in argon or nitrogen", "氢氩或氢氮混合气"),
        "ammonia": Label("ammonia", "氨气"),
        "vacuum": Label("vacuum", "真空"),
        "sealed": Label("sealed ampoule", "密封管"),
        "other": Label("other, see note", "其他，见备注"),
    }
)
"""Atmospheres by key."""

_SAMPLE = SheetColumn(
    "sample_id", Label("sample", "样品"),
    Label("your own name of the sample; another sample has another name", "样品的自编编号；不同样品编号不同"),
    needed=True,
)  # fmt: skip

RESULTS: tuple[SheetColumn, ...] = (
    SheetColumn(
        str(Column.CANDIDATE_ID), Label("candidate", "候选材料编号"),
        Label("as the dossier writes it; leave it as it is", "与档案一致，请勿改动"), needed=True,
    ),
    SheetColumn(
        str(Column.FORMULA), Label("formula wanted", "目标化学式"),
        Label("as the dossier writes it; leave it as it is", "与档案一致，请勿改动"),
    ),
    _SAMPLE,
    SheetColumn(
        "made_on", Label("made on", "制备日期"), Label("day, such as 2026-11-29", "日期，如 2026-11-29"), kind="date",
    ),
    SheetColumn("made_by", Label("made by", "制备人"), Label("person or group", "人员或课题组")),
    SheetColumn(
        "batch_mass", Label("mass of the batch", "批次质量"), Label("of the product", "产物质量"), kind="number",
        unit="g", least=0, most=1e6,
    ),
    SheetColumn(
        "outcome", Label("outcome", "结果"),
        Label("choose one; a failure is as welcome as a success", "请选择；失败的结果同样有用"), kind="choice",
        choices=OUTCOMES, needed=True,
    ),
    SheetColumn(
        "reason", Label("why partly or failed", "部分制得或失败的原因"), Label("choose one", "请选择"),
        kind="choice", choices=REASONS,
    ),
    SheetColumn(
        "phases_found", Label("phases found", "检出物相"),
        Label("formulas with shares, such as Ga2S3 80 %, Ga2O3 20 %", "化学式与占比，如 Ga2S3 80 %，Ga2O3 20 %"),
    ),
    SheetColumn(
        "property", Label("property", "性质"), Label("choose one; one row for each value", "请选择；每个数值一行"),
        kind="property",
    ),
    SheetColumn(
        "qualifier", Label("is, below, above, about", "限定"),
        Label("below or above where only a limit is known, about for an estimate", "只知上下限选小于或大于，估计选约"),
        kind="choice", choices=QUALIFIERS,
    ),
    SheetColumn("value", Label("value", "数值"), Label("a number", "数字"), kind="number"),
    SheetColumn(
        "uncertainty", Label("uncertainty", "不确定度"),
        Label("one standard deviation, in the unit of the value", "一倍标准偏差，单位与数值相同"),
        kind="number", least=0,
    ),
    SheetColumn(
        "repeats", Label("repeats", "重复次数"), Label("measurements behind the value", "该数值对应的测量次数"),
        kind="whole number", least=1, most=10_000,
    ),
    SheetColumn("unit", Label("unit", "单位"), Label("of the value; choose one", "数值的单位；请选择"), kind="unit"),
    SheetColumn("method", Label("method", "测试方法"), Label("such as ellipsometry", "如椭圆偏振法")),
    SheetColumn(
        "measured_at", Label("measured at", "测试温度"), Label("temperature of the sample", "样品温度"), kind="number",
        unit="°C", least=-273.15, most=4000,
    ),
    SheetColumn(
        "conditions", Label("other conditions", "其他条件"),
        Label("such as wavelength 589 nm; humidity 40 %", "如：波长 589 nm；湿度 40 %"),
    ),
    SheetColumn("data_file", Label("data file", "数据文件"), Label("name of the file of raw data", "原始数据文件名")),
    SheetColumn("note", Label("note", "备注"), Label("anything else", "其他说明")),
)  # fmt: skip
"""Columns of the table of results, in their order."""

STEPS: tuple[SheetColumn, ...] = (
    _SAMPLE,
    SheetColumn(
        "step", Label("step", "步骤"), Label("1, 2, 3 ...", "1、2、3……"), kind="whole number", least=1, most=1000,
        needed=True,
    ),
    SheetColumn(
        "operation", Label("operation", "操作"), Label("choose one", "请选择"), kind="choice", choices=OPERATIONS,
        needed=True,
    ),
    SheetColumn(
        "material", Label("material or equipment", "物料或设备"),
        Label("such as TiO2 (99.9 %, supplier), zirconia balls", "如 TiO2（99.9 %，供应商）、氧化锆球"),
    ),
    SheetColumn(
        "mass", Label("mass", "质量"), Label("weighed in", "称入量"), kind="number", unit="g", least=0, most=1e6,
    ),
    SheetColumn(
        "temperature", Label("temperature", "温度"), Label("held", "保温温度"), kind="number", unit="°C", least=-273.15,
        most=4000,
    ),
    SheetColumn(
        "duration", Label("time", "时间"), Label("at the temperature, or of the operation", "保温或操作时间"),
        kind="number", unit="h", least=0, most=1e5,
    ),
    SheetColumn(
        "heating_rate", Label("heating rate", "升温速率"), Label("up to the temperature", "升至该温度"), kind="number",
        unit="K/min", least=0, most=1e6,
    ),
    SheetColumn(
        "cooling_rate", Label("cooling rate", "降温速率"), Label("empty where it was not controlled", "未控制则留空"),
        kind="number", unit="K/min", least=0, most=1e6,
    ),
    SheetColumn(
        "atmosphere", Label("atmosphere", "气氛"), Label("choose one", "请选择"), kind="choice", choices=ATMOSPHERES,
    ),
    SheetColumn(
        "pressure", Label("pressure", "压力"), Label("of the gas or of the press", "气体或压机压力"), kind="number",
        unit="MPa", least=0, most=1e5,
    ),
    SheetColumn("note", Label("note", "备注"), Label("anything else", "其他说明")),
)  # fmt: skip
"""Columns of the table of process steps, in their order."""


def keys_of_headings(columns: Sequence[SheetColumn]) -> dict[str, str]:
    """Key of a column by everything that may stand above it: its key, its label, and its label with the unit.

    Headings are compared as :func:`plain_heading` writes them.

    >>> keys_of_headings(STEPS)[plain_heading("温度 (℃)")]
    'temperature'
    """
    found = {}
    for column in columns:
        for language in LANGUAGES:
            for text in (column.key, getattr(column.label, language), column.heading(language)):
                found[plain_heading(text)] = column.key
    return found


def plain_heading(text: str) -> str:
    """A heading as headings are compared: half-width, small letters, no spaces.

    >>> plain_heading("Temperature （°C）")
    'temperature(°c)'
    """
    return "".join(unicodedata.normalize("NFKC", text).lower().split())
