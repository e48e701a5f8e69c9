"""Names of the stages of the funnel, in English and Chinese; a filter has its own title."""

from __future__ import annotations

import re

from matloop.screening.language.filter_words import filter_title
from matloop.screening.language.text import Words

_STAGES = {
    "intake": Words("Read in", "读入"),
    "features": Words("Features computed", "计算特征"),
    "surrogates": Words("Predicted by the surrogates", "代理模型给出预测"),
    "domain": Words("Inside the surrogates' domain", "处于代理模型适用域内"),
    "ranking": Words("Ranked", "进入排序"),
    "structure": Words("Scored by crystal structure", "按晶体结构评分"),
    "potential": Words("Relaxed with a potential", "势函数弛豫"),
    "stability": Words("Placed on the hull together", "共同参与凸包比较"),
    "shortlist": Words("Shortlisted", "入选"),
}


def stage_words(stage: str) -> Words:
    """Return the name of a stage of the funnel."""
    if stage in _STAGES:
        return _STAGES[stage]
    if again := re.fullmatch(r"filter ([0-9]+) (.+)", stage):  # a filter the campaign names more than once
        named = stage_words(f"filter {again[2]}")
        return Words(f"{named.en} (filter {again[1]})", f"{named.zh}（第 {again[1]} 个过滤器）")
    if stage.startswith("filter "):
        title = filter_title(stage.removeprefix("filter "))
        return Words(f"Filter: {title.en}", f"过滤：{title.zh}")
    name = stage.replace("_", " ")
    return Words(name, name)
