"""Words of synthesis plans by their keys, in English and Chinese: gates, points, atmospheres, rules."""

from __future__ import annotations

from collections.abc import Mapping

from matloop.screening.language.text import Words

ATMOSPHERE_WORDS: Mapping[str, Words] = {
    "air": Words("air", "空气"),
    "inert": Words("argon", "氩气"),
    "nitrogen": Words("nitrogen", "氮气"),
    "ammonia": Words("flowing ammonia", "流动氨气"),
    "hydrogen": Words("hydrogen", "氢气"),
    "hydrogen_sulfide": Words("flowing hydrogen sulfide", "流动硫化氢"),
    "sealed": Words("sealed evacuated tube", "真空密封管"),
}
"""Atmospheres of a furnace."""

POINT_WORDS: Mapping[str, Words] = {
    "precursor": Words("a precursor to weigh", "需称量的前驱体"),
    "air_sensitive": Words("reacts with air: glove box", "与空气反应，需手套箱"),
    "moisture": Words("takes up water or carbon dioxide", "吸收水或二氧化碳"),
    "unknown_sensitivity": Words("what air does to it is not known here", "空气敏感性未知"),
    "severe_hazard": Words("severe hazard", "严重危险性"),
    "unknown_hazard": Words("no harmonised classification known here", "此处无已知的统一危险分类"),
    "hydrate": Words("water content to be checked", "结晶水含量需核对"),
    "element_to_oxide": Words("an element that must burn to an oxide", "单质须氧化成氧化物"),
    "noxious_gas": Words("toxic or corrosive gas", "有毒或腐蚀性气体"),
    "flammable_gas": Words("extremely flammable gas", "极易燃气体"),
    "gas_taken": Words("takes up a gas other than oxygen", "需吸收除氧气外的气体"),
    "not_in_air": Words("not in air", "不能在空气中进行"),
    "oxygen_lost": Words("must lose oxygen without a reducing agent", "须在无还原剂时失氧"),
    "target_oxidises": Words("the target takes up oxygen from air", "目标物会从空气中吸氧"),
    "self_heating": Words("may heat itself and run away", "可能自热失控"),
}
"""What makes a route less simple."""

SENSITIVITY_WORDS: Mapping[str, Words] = {
    "stable": Words("stable in air", "空气中稳定"),
    "fire": Words("fire before weighing", "称量前须灼烧"),
    "moisture": Words("takes up water or carbon dioxide", "吸收水或二氧化碳"),
    "air": Words("handle in an inert gas", "须在惰性气体中操作"),
    "unknown": Words("not known here", "未知"),
}
"""What air does to a precursor."""

VERDICT_WORDS: Mapping[str, Words] = {
    "passed": Words("passed", "通过"),
    "failed": Words("failed", "未通过"),
    "unknown": Words("unknown", "未知"),
    "not_applicable": Words("does not apply", "不适用"),
}
"""Verdicts of gates."""

GATE_WORDS: Mapping[str, Words] = {
    "charge": Words("charges balance", "电荷平衡"),
    "valence": Words("usual oxidation states", "常见氧化态"),
    "coverage": Words("known compositions of its system that have an energy", "所在体系中有能量数据的已知组成占比"),
    "spans_system": Words(
        "one of the other known compositions of its system holds all its elements",
        "所在体系的其他已知组成中有含全部元素者",
    ),
    "above_hull": Words("energy above the hull of other compositions", "相对其他组成的凸包上能量"),
    "reaction": Words("energy of the simplest route", "最简路线的反应能"),
    "neighbours": Words("kinship to known compounds", "与已知化合物的亲缘度"),
    "oxygen": Words("stays as it is in air", "在空气中不被氧化"),
}
"""Questions that makeability hangs on."""

GATE_SOURCE_WORDS: Mapping[str, Words] = {
    "charge_balance": Words("table of oxidation states, Davies et al. 2016", "氧化态表，Davies 等 2016"),
    "oxidation_states": Words("most common ions in the ICSD", "ICSD 中最常见的离子"),
    "known_compositions": Words(
        "packaged lists of the Materials Project and the OQMD", "内置的 Materials Project 与 OQMD 名单"
    ),
    "hull": Words("hull of the Materials Project of 2019", "2019 年 Materials Project 凸包"),
    "kinship": Words("replacements in known compounds, Glawe et al. 2016", "已知化合物中的元素替换，Glawe 等 2016"),
}
"""Where the values of gates come from."""

ENERGY_ORIGIN_WORDS: Mapping[str, Words] = {
    "given": Words("given", "用户给定"),
    "listed": Words("of the phase that the hull lists", "凸包所列物相的能量"),
    "on_hull": Words(
        "assumed: no phase of this composition is listed, so it is taken to lie on the hull",
        "假定值：未列出该组成的物相，故视为位于凸包上",
    ),
    "none": Words("not known: an element lacks in the hull", "未知：凸包缺少某元素"),
}
"""Where the energy of the target comes from."""

ORDER_WORDS: Mapping[str, Words] = {
    "downhill_points_force_mass": Words(
        "Routes whose energy is above the usual error of 0.024 eV/atom come last; the others by points, fewest first, "
        "then by driving force, then by mass lost as gas.",
        "反应能高于常见误差 0.024 eV/atom 的路线排在最后；其余按分值从低到高排列，"
        "分值相同时驱动力大者在前，再相同时放气少者在前。",
    ),
}
"""Rules that order routes."""

ONSET_WORDS: Mapping[str, Words] = {
    "tammann": Words(
        "Tammann's rule: solids react noticeably from 1/2 to 2/3 of the melting point in K of what melts first",
        "塔曼规则：固相反应约在最先熔化者熔点（K）的 1/2 至 2/3 处明显发生",
    ),
}
"""Rules of where a reaction sets in."""

FACT_SOURCE_WORDS: Mapping[str, Words] = {
    "precursors": Words(
        "hazards: written by hand after Regulation (EC) No 1272/2008 (CLP), Annex VI, Table 3, not verified against "
        "it; names and melting points: CRC Handbook of Chemistry and Physics, as carried by chemicals 1.5.2",
        "危险性：参照欧盟 EC 1272/2008 号法规（CLP）附件六表 3 手工录入，未与原文核对；"
        "名称与熔点：CRC Handbook（chemicals 1.5.2 所载）",
    ),
}
"""Where tables of facts come from."""

NO_ONSET = Words(
    "no temperature is given: a melting point is not known or too low for the rule, or a precursor decomposes before",
    "未给出温度：某熔点未知或过低而规则不适用，或前驱体先行分解",
)
NO_ROUTE = Words("No route was found from the precursors that may be used.", "未能用可用的前驱体找到路线。")
SELF_HEATING_WORDS = Words(
    "gives off so much heat that it may run away (above 1800 K if no heat is lost): begin with a small batch and heat "
    "slowly",
    "放热剧烈，可能失控（若无散热，温度将超过 1800 K）：先试小批量，缓慢升温",
)
PRODUCT_HAZARDS = Words(
    "The hazards of the product itself are not told here: find them out before it is made.",
    "此处未列出产物本身的危险性，制备前请另行查明。",
)
HAZARDS_HEADING = Words("hazards (CLP, not verified)", "危险说明（CLP，未核对）")
HAZARDS_NOT_VERIFIED = Words(
    "Hazard statements were not verified against Regulation (EC) No 1272/2008, Annex VI: read the supplier's safety "
    "data sheet.",
    "危险说明未与欧盟 EC 1272/2008 号法规附件六核对：请查阅供应商的安全数据表。",
)
HAZARDS_UNKNOWN = Words("unknown here, see the supplier's safety data sheet", "此处未知，请查供应商安全数据表")


def lacking_words(elements: tuple[str, ...]) -> Words:
    """Which elements none of the precursors that may be used has.

    >>> lacking_words(("Pu",)).en
    'None of them has Pu.'
    """
    return Words(f"None of them has {', '.join(elements)}.", f"其中没有含{'、'.join(elements)}的前驱体。")
