"""What each flag says of a candidate, what it means and where it comes from, in English and Chinese."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from matloop.screening.flags.flags import FACTS, Flag, raised_in
from matloop.screening.language.text import Words


class Meaning(NamedTuple):
    """What a flag means.

    Attributes:
        title: A few words, for tables.
        rule: When it is raised, and where the rule comes from.
        share: Part of the packaged crystals on the hull that raise it, of those that the rule can judge
            (``benchmarks/screening/flags.py``); None where it says something about a run and not about a crystal.
    """

    title: Words
    rule: Words
    share: float | None = None


MEANINGS: Mapping[Flag, Meaning] = {
    Flag.CHARGE_BALANCE: Meaning(
        Words("charges do not balance", "电荷不平衡"),
        Words(
            "No choice of the usual oxidation states of its elements adds up to zero, and it is no metal "
            "(Davies et al., doi:10.1016/j.chempr.2016.09.010).",
            "各元素的常见氧化态无法组合成电中性，且不属于金属体系（Davies 等，doi:10.1016/j.chempr.2016.09.010）。",
        ),
        0.029,
    ),
    Flag.OPEN_SHELL: Meaning(
        Words("open d or f shell", "d 或 f 壳层未满"),
        Words(
            "An ion has an open d or f shell in its oxidation state. Such compounds may be magnetic, metallic or "
            "coloured, and neither PBE nor what learns from it is to be trusted about their gap: many have been "
            "labelled metals that are insulators, and the reverse.",
            "某离子在其氧化态下 d 或 f 壳层未满。这类化合物可能具有磁性、呈金属性或有色，PBE 及由其学习的模型"
            "对其带隙均不可靠：既有绝缘体被标为金属，也有相反情形。",
        ),
        0.481,
    ),
    Flag.BOND_VALENCE: Meaning(
        Words("bonds do not suit the charges", "键价和偏离氧化态"),
        Words(
            "The bond-valence sum of an ion, the sum of exp((R0 − R) / 0.37 Å) over its bonds, differs from its charge "
            "by 0.5 or more (Brown and Altermatt, doi:10.1107/S0108768185002063; R0 by O'Keeffe and Brese, "
            "doi:10.1021/ja00009a002, moved so that known crystals have their charge in the median). The crystal is "
            "too tight or too wide for this ion, or its charge is another one.",
            "某离子的键价和（对其各键求和 exp((R0 − R) / 0.37 Å)）与其电荷相差 0.5 或以上（Brown 与 Altermatt，"
            "doi:10.1107/S0108768185002063；R0 取自 O'Keeffe 与 Brese，doi:10.1021/ja00009a002，并按已知晶体校准）。"
            "说明该结构对此离子过紧或过松，或其价态另有不同。",
        ),
        0.093,
    ),
    Flag.LONE_PAIR: Meaning(
        Words("lone pair on another kind of site", "孤对电子与位点不符"),
        Words(
            "A cation with a lone pair of s electrons, such as Bi3+ or Te4+, was replaced by one without, or the "
            "reverse. Such cations shape their sites (Brown, doi:10.1021/cr900053k), and relaxing starts from the "
            "shape of the parent: look for crystals in which the new ion is at home.",
            "带 s 孤对电子的阳离子（如 Bi3+、Te4+）与不带孤对电子的阳离子发生了互换。孤对电子决定配位形状"
            "（Brown，doi:10.1021/cr900053k），而弛豫从母体结构出发：请另寻适合新离子的结构。",
        ),
    ),
    Flag.ORDERED_SLICE: Meaning(
        Words("may be an ordered slice of a solid solution", "可能是固溶体的有序切片"),
        Words(
            "Two cations of one charge have radii within 15 % (Goldschmidt's rule; radii by Shannon, "
            "doi:10.1107/S0567739476001551), and with one of them in both places it is a known compound, or the "
            "places become equivalent. Or their charges differ by one or two, the places become equivalent, and their "
            "bond strengths (charge over number of anions; Pauling, doi:10.1021/ja01379a006) differ by at most a sixth "
            "of the anion's charge. Then it may exist only with both in disorder.",
            "两种同价阳离子半径相差在 15 % 以内（Goldschmidt 规则；Shannon 半径，doi:10.1107/S0567739476001551），"
            "且两处换成同一元素后是已知化合物，或两处位点变为等价。或者二者电荷相差 1 或 2，两处位点变为等价，且键强"
            "（电荷除以阴离子数；Pauling，doi:10.1021/ja01379a006）之差不超过阴离子电荷的六分之一。此时它可能只以无序形式存在。",
        ),
        0.036,
    ),
    Flag.INDEX_DISAGREES: Meaning(
        Words("refractive index disputed", "折射率存疑"),
        Words(
            "Additive polarisabilities in the volume of the crystal (Lorentz and Lorenz) give another refractive index "
            "than the surrogate, farther off than they are for four fifths of the computed crystals of its class. The "
            "volume may be wrong, or the surrogate knows nothing alike.",
            "由加和极化率与晶体体积（Lorentz–Lorenz 关系）得到的折射率与代理模型不一致，"
            "差距超出该类晶体中五分之四的偏差。可能是体积有误，或代理模型未见过类似材料。",
        ),
    ),
    Flag.NOT_CONVERGED: Meaning(
        Words("relaxation stopped early", "弛豫未收敛"),
        Words("The relaxation ended before the crystal came to rest.", "弛豫在晶体达到平衡之前已停止。"),
    ),
    Flag.VOLUME_CHANGE: Meaning(
        Words("volume changed much", "体积变化过大"),
        Words(
            "Relaxing changed the volume by more than 20 %: it may have become another structure.",
            "弛豫使体积变化超过 20 %：可能已变为另一种结构。",
        ),
    ),
    Flag.SADDLE_POINT: Meaning(
        Words("fell into a lower symmetry", "微扰后对称性降低"),
        Words(
            "A small random displacement of its atoms lowered the energy into another space group: the crystal of the "
            "parent's space group may be a saddle point.",
            "原子随机微扰后能量降低并进入另一空间群：保持母体空间群的结构可能是鞍点。",
        ),
    ),
    Flag.IMAGINARY_VIBRATION: Meaning(
        Words("imaginary vibration", "存在虚频"),
        Words(
            "A lattice vibration by the potential is imaginary: the crystal may distort.",
            "势函数给出的晶格振动存在虚频：晶体可能发生畸变。",
        ),
    ),
    Flag.POTENTIALS_DISAGREE: Meaning(
        Words("potentials disagree", "势函数不一致"),
        Words(
            "Two potentials place it on the hull more than twice the error of formation energies apart.",
            "两种势函数给出的凸包距离之差超过形成能误差的两倍。",
        ),
    ),
    Flag.REFERENCES_INCOMPLETE: Meaning(
        Words("competing phases may be missing", "竞争相可能缺失"),
        Words(
            "It competes with an element, or lies far below the hull: reference phases may be missing. Value, interval "
            "and probability of the energy above the hull count that.",
            "它与单质竞争，或远低于凸包：参考相可能缺失。凸包以上能量的数值、区间和概率均已计入这种情况。",
        ),
    ),
    Flag.OUTSIDE_DOMAIN: Meaning(
        Words("outside the training domain", "超出适用域"),
        Words(
            "A surrogate has learned from nothing like it: its intervals need not hold.",
            "代理模型未见过类似材料：其区间未必可靠。",
        ),
    ),
}
"""Title, rule and share of known stable crystals of each flag."""

_SENTENCES: Mapping[tuple[Flag, int], tuple[str, str]] = {
    (Flag.CHARGE_BALANCE, 0): ("its usual oxidation states do not add up to zero", "常见氧化态无法组合成电中性"),
    (Flag.OPEN_SHELL, 1): (
        "it has an open d or f shell ({0}), so do not trust its gap", "d 或 f 壳层未满（{0}），其带隙不可轻信",
    ),
    (Flag.BOND_VALENCE, 1): (
        "its bonds do not suit the charges; bond-valence sums: {0}", "键长与电荷不符；键价和：{0}",
    ),
    (Flag.LONE_PAIR, 1): (
        "on a site of the parent ions with and without a lone pair changed places; new ion off centre by: {0}",
        "母体位点上带与不带孤对电子的离子发生互换；新离子偏心距离：{0}",
    ),
    (Flag.ORDERED_SLICE, 5): (
        "it may be an ordered slice of a solid solution: {0} and {1} have one charge and similar radii, the first on "
        "{2} of their sites; with one of them it is {3}, at distance {4} in composition (ElMD)",
        "可能是固溶体的有序切片：{0} 与 {1} 同价且半径相近，前者占这些位点的 {2}；换成同一元素后为 {3}，"
        "成分距离（ElMD）{4}",
    ),
    (Flag.ORDERED_SLICE, 3): (
        "it may be an ordered slice of a solid solution: {0} and {1} have one charge and similar radii, the first on "
        "{2} of their sites, which are equivalent when one of them holds all",
        "可能是固溶体的有序切片：{0} 与 {1} 同价且半径相近，前者占这些位点的 {2}；换成同一元素后这些位点等价",
    ),
    (Flag.ORDERED_SLICE, 4): (
        "it may be an ordered slice of a disordered crystal: {0} and {1} have similar radii, the first on {2} of their "
        "sites, which are equivalent when one of them holds all, and their bond strengths differ by only {3} of the "
        "anion's charge",
        "可能是无序晶体的有序切片：{0} 与 {1} 半径相近，前者占这些位点的 {2}；换成同一元素后这些位点等价，"
        "且二者键强之差仅为阴离子电荷的 {3}",
    ),
    (Flag.INDEX_DISAGREES, 2): (
        "its refractive index is {0} by the surrogate and {1} by additive polarisabilities",
        "折射率：代理模型为 {0}，加和极化率为 {1}",
    ),
}  # fmt: skip
"""Sentences by flag and number of facts, which stand in braces."""


class FlagWords(NamedTuple):
    """A flag of one candidate.

    Attributes:
        flag: Which one.
        words: What it says of this candidate.
    """

    flag: Flag
    words: Words


def flag_words(
    codes: str | None, facts: Mapping[str, str | None], *, written: Callable[[str], str] = str
) -> list[FlagWords]:
    """Tell the flags of one candidate.

    Args:
        codes: Its column ``flags``.
        facts: Its columns that tell more, by name.
        written: How formulas and ions are written.

    >>> told = flag_words("bond_valence, imaginary_vibration", {"valence_misfits": "La3+ 3.69"})
    >>> [words.words.en for words in told]
    ['its bonds do not suit the charges; bond-valence sums: La3+ 3.69', 'imaginary vibration']
    """
    found = []
    for flag in raised_in(codes):
        fact = FACTS[flag]
        told = None if fact is None else facts.get(fact)
        parts = [written(part) for part in told.split("; ")] if told else []
        sentences = _SENTENCES.get((flag, len(parts)))
        if sentences is None:
            found.append(FlagWords(flag, MEANINGS[flag].title))
        else:
            kind = type(parts[0]) if parts else str
            found.append(FlagWords(flag, Words(*(kind(text).format(*parts) for text in sentences))))
    return found
