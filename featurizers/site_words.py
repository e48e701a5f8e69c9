"""Labels of statistics over the sites of a crystal, for ``crystal_local`` and ``crystal_voronoi``."""

from __future__ import annotations

from collections.abc import Mapping

from matloop.data.feature_words import FeatureWords
from matloop.data.label import Label
from matloop.featurizers.elemental_words import ELEMENTAL_UNITS, ELEMENTAL_WORDS, statistic_words

SIZE_GROUP = Label("density and packing", "密度与堆积")
_ORIENTATION_GROUP = Label("bond orientation", "键取向")
_QUANTITIES: Mapping[str, Label] = {
    "coordination": Label("coordination number", "配位数"),
    "reduced bond length": Label("bond length over the sum of radii", "约化键长"),
    "spread of reduced bond lengths": Label("spread of bond lengths", "键长离散度"),
    "shortest reduced bond length": Label("shortest bond over the sum of radii", "最短约化键长"),
    "bond length": Label("bond length", "键长"),
    "ionicity": Label("bond ionicity", "键的离子性"),
    "site volume": Label("site volume", "位点体积"),
}
_UNITS: Mapping[str, str] = {"bond length": "Å", "site volume": "Å³"}
_OF_ALL_SITES: Mapping[str, Label] = {
    "site volume variation": Label("variation of site volumes", "位点体积变化"),
    "packing": Label("packing of the sites", "位点堆积"),
}


def site_words(name: str) -> FeatureWords:
    """Describe a feature whose name consists of a prefix, a quantity of sites and a statistic.

    >>> site_words("local bond length minimum").label.en, site_words("voronoi q4 mean").group.en
    ('minimum bond length', 'bond orientation')
    """
    _, _, text = name.partition(" ")
    if text in _OF_ALL_SITES:
        return FeatureWords(SIZE_GROUP, _OF_ALL_SITES[text])
    quantity, _, statistic = text.rpartition(" ")
    if quantity.startswith("difference "):
        elemental = quantity.removeprefix("difference ")
        english, chinese = ELEMENTAL_WORDS[elemental]
        difference = Label(f"difference in {english} between neighbours", f"相邻原子{chinese}差")
        return statistic_words(difference, statistic, unit=ELEMENTAL_UNITS.get(elemental, ""))
    if quantity.startswith("q"):
        order = Label(f"bond-orientation order {quantity}", f"键取向序参数 {quantity}")
        return statistic_words(order, statistic, group=_ORIENTATION_GROUP)
    return statistic_words(_QUANTITIES[quantity], statistic, unit=_UNITS.get(quantity, ""))
