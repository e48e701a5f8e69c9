"""Hazard statements in English and Chinese: Annex III of Regulation (EC) No 1272/2008, and the GHS in Chinese."""

from __future__ import annotations

from collections.abc import Mapping

from matloop.screening.language.text import Words

HAZARD_WORDS: Mapping[str, Words] = {
    "H228": Words("flammable solid", "易燃固体"),
    "H252": Words("self-heating in large quantities; may catch fire", "数量大时自热；可能燃烧"),
    "H260": Words(
        "in contact with water releases flammable gases which may ignite spontaneously", "遇水放出可自燃的易燃气体"
    ),
    "H261": Words("in contact with water releases flammable gases", "遇水放出易燃气体"),
    "H271": Words("may cause fire or explosion; strong oxidiser", "可引起燃烧或爆炸；强氧化剂"),
    "H272": Words("may intensify fire; oxidiser", "可加剧燃烧；氧化剂"),
    "H300": Words("fatal if swallowed", "吞咽致命"),
    "H301": Words("toxic if swallowed", "吞咽会中毒"),
    "H302": Words("harmful if swallowed", "吞咽有害"),
    "H310": Words("fatal in contact with skin", "皮肤接触致命"),
    "H311": Words("toxic in contact with skin", "皮肤接触会中毒"),
    "H312": Words("harmful in contact with skin", "皮肤接触有害"),
    "H314": Words("causes severe skin burns and eye damage", "造成严重皮肤灼伤和眼损伤"),
    "H315": Words("causes skin irritation", "造成皮肤刺激"),
    "H317": Words("may cause an allergic skin reaction", "可能导致皮肤过敏反应"),
    "H318": Words("causes serious eye damage", "造成严重眼损伤"),
    "H319": Words("causes serious eye irritation", "造成严重眼刺激"),
    "H330": Words("fatal if inhaled", "吸入致命"),
    "H331": Words("toxic if inhaled", "吸入会中毒"),
    "H332": Words("harmful if inhaled", "吸入有害"),
    "H334": Words(
        "may cause allergy or asthma symptoms or breathing difficulties if inhaled",
        "吸入可能导致过敏或哮喘症状或呼吸困难",
    ),
    "H335": Words("may cause respiratory irritation", "可能造成呼吸道刺激"),
    "H340": Words("may cause genetic defects", "可能导致遗传性缺陷"),
    "H341": Words("suspected of causing genetic defects", "怀疑会导致遗传性缺陷"),
    "H350": Words("may cause cancer", "可能致癌"),
    "H350i": Words("may cause cancer by inhalation", "吸入可能致癌"),
    "H351": Words("suspected of causing cancer", "怀疑会致癌"),
    "H360": Words("may damage fertility or the unborn child", "可能损害生育力或胎儿"),
    "H360D": Words("may damage the unborn child", "可能损害胎儿"),
    "H360F": Words("may damage fertility", "可能损害生育力"),
    "H360FD": Words("may damage fertility; may damage the unborn child", "可能损害生育力；可能损害胎儿"),
    "H360Df": Words("may damage the unborn child; suspected of damaging fertility", "可能损害胎儿；怀疑会损害生育力"),
    "H361fd": Words(
        "suspected of damaging fertility; suspected of damaging the unborn child", "怀疑会损害生育力；怀疑会损害胎儿"
    ),
    "H362": Words("may cause harm to breast-fed children", "可能对母乳喂养的儿童造成伤害"),
    "H372": Words("causes damage to organs through prolonged or repeated exposure", "长期或反复接触会损害器官"),
    "H373": Words("may cause damage to organs through prolonged or repeated exposure", "长期或反复接触可能损害器官"),
    "H400": Words("very toxic to aquatic life", "对水生生物毒性极大"),
    "H410": Words("very toxic to aquatic life with long lasting effects", "对水生生物毒性极大并具有长期持续影响"),
    "H411": Words("toxic to aquatic life with long lasting effects", "对水生生物有毒并具有长期持续影响"),
    "H412": Words("harmful to aquatic life with long lasting effects", "对水生生物有害并具有长期持续影响"),
    "H413": Words("may cause long lasting harmful effects to aquatic life", "可能对水生生物造成长期持续有害影响"),
}
"""Text of each hazard statement that a packaged precursor has, by code."""
