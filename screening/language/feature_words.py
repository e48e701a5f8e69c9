"""Names of features in words, and the groups in which their contributions are told.

Statistics of one elemental property are collinear: how a model shares a contribution among them is chance, so they
are added up. So are the statistics of one quantity over the sites of a crystal.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from matloop.data.elements import ATOMIC_NUMBERS

CRYSTAL_SYSTEMS = {
    1: ("cubic", "立方"), 2: ("hexagonal", "六方"), 3: ("trigonal", "三方"), 4: ("tetragonal", "四方"),
    5: ("orthorhombic", "正交"), 6: ("monoclinic", "单斜"), 7: ("triclinic", "三斜"),
}  # fmt: skip


class FeatureWords(NamedTuple):
    """A feature in words.

    Attributes:
        group: What its contribution is added up with, in English; also the group's name.
        group_zh: The same in Chinese.
        en: The feature itself, as after "high"; of a flag what it means if set and, after a bar, if not.
        zh: The same in Chinese.
        kind: ``number``, ``flag`` for yes or no, ``label`` for a number that is no quantity, ``system`` for a
            crystal system.
    """

    group: str
    group_zh: str
    en: str
    zh: str
    kind: str = "number"


_ELEMENTAL = {
    "Number": ("atomic number", "原子序数"),
    "MendeleevNumber": ("Mendeleev number", "门捷列夫序数"),
    "AtomicWeight": ("atomic weight", "原子量"),
    "MeltingT": ("melting point of the elements", "单质熔点"),
    "Column": ("group in the periodic table", "族序数"),
    "Row": ("period in the periodic table", "周期数"),
    "CovalentRadius": ("covalent radius", "共价半径"),
    "Electronegativity": ("electronegativity", "电负性"),
    "NsValence": ("number of s valence electrons", "s 价电子数"),
    "NpValence": ("number of p valence electrons", "p 价电子数"),
    "NdValence": ("number of d valence electrons", "d 价电子数"),
    "NfValence": ("number of f valence electrons", "f 价电子数"),
    "NValence": ("number of valence electrons", "价电子数"),
    "NsUnfilled": ("number of empty s states", "s 空态数"),
    "NpUnfilled": ("number of empty p states", "p 空态数"),
    "NdUnfilled": ("number of empty d states", "d 空态数"),
    "NfUnfilled": ("number of empty f states", "f 空态数"),
    "NUnfilled": ("number of empty valence states", "价层空态数"),
    "GSvolume_pa": ("volume per atom of the elements", "单质每原子体积"),
    "GSbandgap": ("band gap of the elements", "单质带隙"),
    "GSmagmom": ("magnetic moment of the elements", "单质磁矩"),
    "SpaceGroupNumber": ("space group number of the elements", "单质空间群序号"),
    "bonding electrons": ("number of bonding electrons", "成键电子数"),
}
_STATISTICS = {
    "minimum": ("minimum {}", "{}最小值"),
    "maximum": ("maximum {}", "{}最大值"),
    "range": ("range of {}", "{}极差"),
    "mean": ("mean {}", "{}平均值"),
    "avg_dev": ("mean deviation of {}", "{}平均偏差"),
    "mode": ("{} of the most abundant element", "含量最多元素的{}"),
}
_LOCAL = {
    "coordination": ("coordination number", "配位数"),
    "reduced bond length": ("bond length over the sum of radii", "约化键长"),
    "spread of reduced bond lengths": ("spread of bond lengths", "键长离散度"),
    "shortest reduced bond length": ("shortest bond over the sum of radii", "最短约化键长"),
    "bond length": ("bond length", "键长"),
    "ionicity": ("bond ionicity", "键的离子性"),
    "site volume": ("site volume", "位点体积"),
    **{f"q{order}": (f"bond-orientation order q{order}", f"键取向序参数 q{order}") for order in (1, 2, 3, 4, 6)},
}
_CHARGE, _COUNT = ("charge balance", "电荷平衡"), ("electron count", "电子计数")
_SIZE, _SYMMETRY = ("density and packing", "密度与堆积"), ("symmetry", "对称性")
_PLAIN: dict[str, FeatureWords] = {
    "charges balance": FeatureWords(
        *_CHARGE, "charges that balance|charges that do not balance", "电荷可平衡|电荷无法平衡", "flag"
    ),
    "log ways to balance charges": FeatureWords(*_CHARGE, "number of ways to balance charges", "电荷平衡方式数"),
    "charge imbalance per atom": FeatureWords(*_CHARGE, "charge imbalance per atom", "每原子电荷失衡"),
    "metallic composition": FeatureWords(
        *_CHARGE, "having metals only|having a nonmetal", "仅含金属元素|含非金属元素", "flag"
    ),
    "odd electrons": FeatureWords(
        *_COUNT, "an odd number of electrons|an even number of electrons", "电子数为奇数|电子数为偶数", "flag"
    ),
    "anion share": FeatureWords(*_CHARGE, "share of anions", "阴离子占比"),
    "anion charge per atom": FeatureWords(*_CHARGE, "anion charge per atom", "每原子阴离子电荷"),
    "charge out of reach per atom": FeatureWords(*_CHARGE, "charge out of reach per atom", "每原子无法达到的电荷"),
    "place in range of cation charges": FeatureWords(
        *_CHARGE, "place in the range of cation charges", "在阳离子电荷范围内的位置"
    ),
    "mean cation charge": FeatureWords(*_CHARGE, "mean cation charge", "平均阳离子电荷"),
    "share of cations of several valences": FeatureWords(
        *_CHARGE, "share of cations of several valences", "多价阳离子占比"
    ),
    "electronegativity difference": FeatureWords(
        "electronegativity", "电负性", "electronegativity difference of anions and cations", "阴阳离子电负性差"
    ),
    "electronegativity step": FeatureWords(
        "electronegativity", "电负性", "largest step in electronegativity", "电负性最大跳跃"
    ),
    "outer electrons per atom": FeatureWords(*_COUNT, "outer electrons per atom", "每原子外层电子数"),
    "deviation from four outer electrons per atom": FeatureWords(
        *_COUNT, "deviation from four outer electrons per atom", "与每原子四个外层电子的偏差"
    ),
    "outer electrons per anion": FeatureWords(*_COUNT, "outer electrons per anion", "每阴离子外层电子数"),
    "deviation from the octet": FeatureWords(*_COUNT, "deviation from the octet", "与八隅体的偏差"),
    "outer electrons left on cations per atom": FeatureWords(
        *_COUNT, "outer electrons left on cations per atom", "每原子阳离子剩余外层电子数"
    ),
    "open d electrons per atom": FeatureWords(*_COUNT, "open-shell d electrons per atom", "每原子未满 d 壳层电子数"),
    "lone pair electrons per atom": FeatureWords(*_COUNT, "lone-pair electrons per atom", "每原子孤对电子数"),
    "density": FeatureWords(*_SIZE, "density", "密度"),
    "volume per atom": FeatureWords(*_SIZE, "volume per atom", "每原子体积"),
    "packing fraction": FeatureWords(*_SIZE, "packing fraction", "堆积率"),
    "shortest distance": FeatureWords(*_SIZE, "shortest distance between atoms", "最短原子间距"),
    "spacegroup_num": FeatureWords(*_SYMMETRY, "space group number", "空间群序号", "label"),
    "crystal_system_int": FeatureWords(*_SYMMETRY, "crystal system", "晶系", "system"),
}


def feature_words(name: str) -> FeatureWords:
    """Words of a feature and its group; a name nobody put into words stays as it is, without its number.

    >>> feature_words("MagpieData mean Electronegativity")[:3]
    ('electronegativity', '电负性', 'mean electronegativity')
    >>> feature_words("local bond length minimum").en, feature_words("rdf [2.0 - 2.1]A").group
    ('minimum bond length', 'radial distribution')
    """
    if name in _PLAIN:
        return _PLAIN[name]
    if name in ATOMIC_NUMBERS:
        return FeatureWords(f"share of {name}", f"{name} 含量", f"share of {name}", f"{name} 含量")
    for read in (_elemental, _local, _of_volume, _counted):
        if (words := read(name)) is not None:
            return words
    group = re.sub(r"[\s_]*\d+$", "", name) or name
    return FeatureWords(group, group, name, name)


def _elemental(name: str) -> FeatureWords | None:
    """Magpie statistics, and the mean numbers and shares of valence electrons."""
    if match := re.fullmatch(r"(avg|frac) ([spdf]) valence electrons", name):
        kind, orbital = match.groups()
        quantity = _ELEMENTAL[f"N{orbital}Valence"]
        if kind == "avg":
            return _statistic(quantity, "mean", quantity)
        return FeatureWords(*quantity, f"share of {orbital} among valence electrons", f"价电子中 {orbital} 电子占比")
    match = re.fullmatch(r"MagpieData (\w+) (\w+)", name)
    if match is None or match[1] not in _STATISTICS or match[2] not in _ELEMENTAL:
        return None
    return _statistic(_ELEMENTAL[match[2]], match[1], _ELEMENTAL[match[2]])


def _local(name: str) -> FeatureWords | None:
    """Statistics over the sites of a crystal of what surrounds them."""
    match = re.fullmatch(r"(?:local|voronoi) (.+?) (mean|avg_dev|minimum|maximum)", name)
    if match is None:
        if re.fullmatch(r"(?:local|voronoi) (?:site volume variation|packing)", name):
            english, chinese = ("packing of the sites", "位点堆积") if "packing" in name else (
                "variation of site volumes", "位点体积变化"
            )  # fmt: skip
            return FeatureWords(*_SIZE, english, chinese)
        return None
    if (inner := match[1].removeprefix("difference ")) in _ELEMENTAL and inner != match[1]:
        english, chinese = _ELEMENTAL[inner]
        quantity = f"difference in {english} between neighbours", f"相邻原子{chinese}差"
        return _statistic(quantity, match[2], quantity)
    if match[1] not in _LOCAL:
        return None
    group = ("bond orientation", "键取向") if match[1].startswith("q") else _LOCAL[match[1]]
    return _statistic(_LOCAL[match[1]], match[2], group)


def _of_volume(name: str) -> FeatureWords | None:
    """Sums over the atoms of a cell divided by its volume."""
    inner = name.removesuffix(" per volume")
    if inner == name or inner not in _ELEMENTAL:
        return None
    english, chinese = _ELEMENTAL[inner]
    return FeatureWords(*("elemental properties per volume", "单位体积元素性质"), f"{english} per volume",
                        f"单位体积{chinese}")  # fmt: skip


_COUNTED: tuple[tuple[str, tuple[str, str], tuple[str, str]], ...] = (
    (r"0-norm", ("stoichiometry", "化学计量"), ("number of elements", "元素种数")),
    (r"\d+-norm", ("stoichiometry", "化学计量"), ("unevenness of the amounts", "元素含量不均度")),
    *(
        (pattern, words, words)
        for pattern, words in (
            (r"(?:electron|thermal) .*(?:stiffness|shear to bulk).*", ("stiffness of the bond network", "键网络刚度")),
            (r"rdf \[.*", ("radial distribution", "径向分布")),
            (r"sine coulomb matrix eig \d+", ("sine Coulomb matrix", "正弦库仑矩阵")),
            (r"structural complexity .*", ("structural complexity", "结构复杂度")),
            (r"\w+ embedding \d+", ("embedding of the potential", "势函数嵌入")),
        )
    ),
)


def _counted(name: str) -> FeatureWords | None:
    """Features of which there are several of a kind."""
    for pattern, group, (english, chinese) in _COUNTED:
        if re.fullmatch(pattern, name):
            mark = "" if name == "0-norm" else f" ({name})"
            return FeatureWords(*group, english + mark, chinese + mark)
    return None


def _statistic(quantity: tuple[str, str], statistic: str, group: tuple[str, str]) -> FeatureWords:
    english, chinese = _STATISTICS[statistic]
    return FeatureWords(*group, english.format(quantity[0]), chinese.format(quantity[1]))
