"""Labels of elemental properties and of statistics over them, which several featurizers share."""

from __future__ import annotations

from collections.abc import Mapping

from matloop.data.feature_words import FeatureWords
from matloop.data.label import Label

ELEMENTAL_WORDS: Mapping[str, Label] = {
    "Number": Label("atomic number", "原子序数"),
    "MendeleevNumber": Label("Mendeleev number", "门捷列夫序数"),
    "AtomicWeight": Label("atomic weight", "原子量"),
    "MeltingT": Label("melting point of the elements", "单质熔点"),
    "Column": Label("group in the periodic table", "族序数"),
    "Row": Label("period in the periodic table", "周期数"),
    "CovalentRadius": Label("covalent radius", "共价半径"),
    "Electronegativity": Label("electronegativity", "电负性"),
    "NsValence": Label("number of s valence electrons", "s 价电子数"),
    "NpValence": Label("number of p valence electrons", "p 价电子数"),
    "NdValence": Label("number of d valence electrons", "d 价电子数"),
    "NfValence": Label("number of f valence electrons", "f 价电子数"),
    "NValence": Label("number of valence electrons", "价电子数"),
    "NsUnfilled": Label("number of empty s states", "s 空态数"),
    "NpUnfilled": Label("number of empty p states", "p 空态数"),
    "NdUnfilled": Label("number of empty d states", "d 空态数"),
    "NfUnfilled": Label("number of empty f states", "f 空态数"),
    "NUnfilled": Label("number of empty valence states", "价层空态数"),
    "GSvolume_pa": Label("volume per atom of the elements", "单质每原子体积"),
    "GSbandgap": Label("band gap of the elements", "单质带隙"),
    "GSmagmom": Label("magnetic moment of the elements", "单质磁矩"),
    "SpaceGroupNumber": Label("space group number of the elements", "单质空间群序号"),
}
"""The 22 properties of ``magpie``."""

ELEMENTAL_UNITS: Mapping[str, str] = {
    "AtomicWeight": "u",
    "MeltingT": "K",
    "CovalentRadius": "pm",
    "GSvolume_pa": "Å³",
    "GSbandgap": "eV",
    "GSmagmom": "µB",
}
"""Units of those of them that have one."""

_STATISTICS: Mapping[str, Label] = {
    "minimum": Label("minimum {}", "{}最小值"),
    "maximum": Label("maximum {}", "{}最大值"),
    "range": Label("range of {}", "{}极差"),
    "mean": Label("mean {}", "{}平均值"),
    "avg_dev": Label("mean deviation of {}", "{}平均偏差"),
    "mode": Label("{} of the most abundant element", "含量最多元素的{}"),
}


def statistic_words(quantity: Label, statistic: str, *, group: Label | None = None, unit: str = "") -> FeatureWords:
    """Describe a statistic of a quantity, in the group of that quantity if no other group is given.

    All statistics have the unit of the quantity.

    >>> statistic_words(ELEMENTAL_WORDS["Electronegativity"], "mean").label
    Label(en='mean electronegativity', zh='电负性平均值')
    """
    english, chinese = _STATISTICS[statistic]
    label = Label(english.format(quantity.en), chinese.format(quantity.zh))
    return FeatureWords(quantity if group is None else group, label, unit=unit)
