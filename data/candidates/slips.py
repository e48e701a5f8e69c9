"""Slips in typed formulas: a zero for the letter O, capitals for a small letter, names that look like a formula.

Each check knows one slip and gives the formula that was probably meant. A formula with a slip is refused, since the
compound that the letters say is another one.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np

from matloop.data.elements import SYMBOLS, element_table

ANIONS = frozenset("N O F S Cl Se Br Te I".split())
"""Elements that bind the metals of a compound; a hydrate or an adduct has one on each side of its dot."""

NONMETALS = ANIONS | frozenset("H B C Si P As He Ne Ar Kr Xe".split())

NICKNAMES: Mapping[str, str] = MappingProxyType({
    "YBCO": "YBa2Cu3O7", "BSCCO": "Bi2Sr2CaCu2O8", "BFO": "BiFeO3", "KNN": "K0.5Na0.5NbO3", "CIS": "CuInSe2 or CuInS2",
    "BBO": "BaB2O4", "KBBF": "KBe2BO3F2", "BSCF": "Ba0.5Sr0.5Co0.8Fe0.2O3", "SBN": "Sr0.5Ba0.5Nb2O6", "CBN": "BN",
    "HBN": "BN", "PBN": "BN", "WBN": "BN", "BSO": "Bi12SiO20 or BaSnO3", "BCO": "BaCeO3 or BaCoO3", "NBO": "NbO",
    "YVO": "YVO4", "KNO": "KNbO3", "SNO": "SmNiO3", "PCO": "PrCoO3", "NNO": "NdNiO3", "CFO": "CoFe2O4",
    "NFO": "NiFe2O4", "CCO": "Ca3Co4O9", "PBCO": "PrBaCo2O6", "SCO": "SrCoO3",
    "BNO": "BiNiO3",
    "LiPON": "Li3PO4 with N", "LIPON": "Li3PO4 with N", "SiAlON": "Si3N4 with Al and O", "AlON": "Al23O27N5",
    "InGaAs": "In0.53Ga0.47As", "GaInAs": "In0.53Ga0.47As", "AlGaAs": "Al0.3Ga0.7As", "InAlAs": "In0.52Al0.48As",
    "AlInAs": "In0.52Al0.48As", "InGaN": "In0.2Ga0.8N", "AlGaN": "Al0.3Ga0.7N", "InAlN": "In0.17Al0.83N",
    "AlInN": "In0.17Al0.83N", "InGaP": "In0.5Ga0.5P", "GaInP": "In0.5Ga0.5P", "GaAsP": "GaAs0.6P0.4",
    "GaAsSb": "GaAs0.5Sb0.5", "InAsSb": "InAs0.9Sb0.1", "InAsP": "InAs0.5P0.5", "InGaSb": "In0.3Ga0.7Sb",
    "InGaAsP": "In0.7Ga0.3As0.6P0.4", "AlGaInP": "Al0.25Ga0.25In0.5P", "HgCdTe": "Hg0.8Cd0.2Te",
    "CdHgTe": "Hg0.8Cd0.2Te", "CdZnTe": "Cd0.9Zn0.1Te", "ZnCdSe": "Zn0.5Cd0.5Se", "CdZnS": "Cd0.5Zn0.5S",
    "ZnMgO": "Zn0.9Mg0.1O", "MgZnO": "Zn0.9Mg0.1O", "BaSrTiO3": "Ba0.5Sr0.5TiO3", "LaSrMnO3": "La0.7Sr0.3MnO3",
    "TiAl6V4": "6 and 4 % by weight in titanium", "TiAl6Nb7": "6 and 7 % by weight in titanium",
    "AlSi10Mg": "10 % silicon by weight in aluminium", "AlSi7Mg": "7 % silicon by weight in aluminium",
    "AlSi12": "12 % silicon by weight in aluminium", "AlMg3": "3 % magnesium by weight in aluminium",
    "CuZn37": "37 % zinc by weight in copper", "CuZn30": "30 % zinc by weight in copper",
    "CuZn39Pb3": "39 and 3 % by weight in copper", "CuSn8": "8 % tin by weight in copper",
    "CuSn6": "6 % tin by weight in copper", "CuNi10": "10 % nickel by weight in copper",
    "CuNi30": "30 % nickel by weight in copper", "NiCr20": "20 % chromium by weight in nickel",
    "Fe18Cr8Ni": "18 and 8 % by weight in iron",
    "Ti6Al4V": "6 and 4 % by weight in titanium", "Ti64": "6 and 4 % by weight in titanium",
    "Ti6Al7Nb": "6 and 7 % by weight in titanium", "Ti13Nb13Zr": "13 and 13 % by weight in titanium",
    "Ti5Al2.5Sn": "5 and 2.5 % by weight in titanium", "Ti3Al2.5V": "3 and 2.5 % by weight in titanium",
    "Ti10V2Fe3Al": "10, 2 and 3 % by weight in titanium", "Ti6Al2Sn4Zr2Mo": "% by weight in titanium",
    "U10Mo": "10 % by weight in uranium", "U10Zr": "10 % by weight in uranium", "W25Re": "25 % by weight in tungsten",
    "W26Re": "26 % by weight in tungsten", "W5Re": "5 % by weight in tungsten",
    "SiC2H": "SiC", "SiC3C": "SiC", "SiC4H": "SiC", "SiC6H": "SiC", "ZnS2H": "ZnS", "ZnS3C": "ZnS", "MoS22H": "MoS2",
    "WS22H": "WS2", "MoSe22H": "MoSe2", "WSe22H": "WSe2", "NbSe22H": "NbSe2", "TaS22H": "TaS2",
    "SS304": "a steel", "SS316": "a steel", "SUS304": "a steel", "SUS316": "a steel", "SS410": "a steel",
    "Al1050": "an alloy of aluminium", "Al1100": "an alloy of aluminium", "Al2024": "an alloy of aluminium",
    "Al3003": "an alloy of aluminium", "Al5052": "an alloy of aluminium", "Al5083": "an alloy of aluminium",
    "Al6061": "an alloy of aluminium", "Al6063": "an alloy of aluminium", "Al7075": "an alloy of aluminium",
})  # fmt: skip
"""Names that read like a formula -> what they stand for."""

# Pairs of one-letter symbols that may be one symbol in capitals -> formulas that hold such a slip, and formulas that do
# not although their elements stand in an unusual order.
_PAIRS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "BI": (r"^BI(?:2O[35]|F3|N)$", ""),
    "CI": (
        r"^(?:H|Li|Na|K|Rb|Cs|Ag|Cu|Tl|NH4)CI$|^(?:Be|Mg|Ca|Sr|Ba|Zn|Cd|Hg2?|Pb|Sn|Mn|Fe|Co|Ni|Cu|Pd|Pt|Cr|Eu)CI2$|"
        r"^(?:Al|Fe|Cr|Bi|Sb|As|In|Ga|B|P|N|Ru|Rh|Ir|Au|Ti|V|Mo|Sc|Y|La|Ce|Pr|Nd|Sm|Eu|Gd|Tb|Dy|Er|Yb|Lu)CI3$|"
        r"^(?:C|Si|Ge|Sn|Ti|Zr|Hf|Te|V)CI4$|^(?:P|Sb|Mo|Nb|Ta)CI5$|^WCI6$|CIO[1-4]?(?:$|\))|SiCI\d?$|^C\d?H\d*CI|"
        r"(?:Pb|Sn|Pt|Pd|Au|Zn|Cd|Hg|Co|Ni|Fe|Cu|Bi|Sb|In|Re|Ir|Rh|Al|Ga|Ge|Mn|Mg|Cr|Ti|Os|Ru)CI[3-6]$|"
        r"[ONFS]\d*\)?\d*CI\d*$",
        r"^CI",
    ),
    "CO": ("", r"^CO(?:S$|Se$|Cl2$|Br2$|\(NH2\))|(?<=[HC(])CO|(?<=H\d)CO|CO3|CO[ON]?H|CO2H"),
    "CS": (r"^CS(?:I|F|Cl|Br)$|^CS2O$", r"CSN|CS\(NH2\)"),
    "CU": ("", ""),
    "HF": ("", ""),
    "IN": (r"^IN(?:2O3|Cl3|F3|O)$", ""),
    "NB": ("", ""),
    "NI": ("", r"NI3$"),
    "NP": ("", r"NP(?:Cl|Br|F)"),
    "OS": ("", r"(?<!^)OS"),
    "PB": ("", ""),
    "PU": ("", ""),
    "SB": ("", ""),
    "SC": ("", r"SCN|SC\(NH2\)"),
    "SI": (
        r"SIO[2-5]?$|SI2O[5-7]$|SI3N4$|SIF[46]$|"
        r"(?:Mg|Ca|Sr|Ba|Ti|V|Cr|Mn|Fe|Co|Ni|Mo|W|Ta|Zr|Hf|Pt|Pd|Ir|Rh|Ru)\d?SI\d?$", "",
    ),
    "SN": (
        r"^SNO2?$|^SN(?:F|Cl)[24]$|(?:Mg|Ca|Sr|Ba|Zn|Cd|Pb|Cu|Mn|Co|Ni|Na|K)\d?SNO[34]$|(?:Nb3|Mg2|Cu6|Cu3|Ni3)SN5?\d?$",
        r"SNH",
    ),
    "YB": (r"^YB(?:2O3|N|F[23]|Cl[23]|Br[23]|I[23]|S|P)?$", r"YBO3"),
})  # fmt: skip

DOUBTFUL_PAIRS = np.zeros((26, 26), np.bool_)
"""Whether a one-letter symbol before another one looks like a symbol of two letters in capitals, by letters."""
for _pair in (*_PAIRS, "II", "IV", "VI"):
    DOUBTFUL_PAIRS[ord(_pair[0]) - 65, ord(_pair[1]) - 65] = True

_AMOUNT = re.compile(r"(?<=[A-Za-z)])\d+(?:\.\d+)?")
_INNER_ZERO = re.compile(r"(?<=[A-Za-z)])([1-9]\d?)0([1-9]\d?)(?![\d.])")
_LARGE = 20.0  # amounts from which on a formula counts atoms of a large cell, where 106 is a number


def likely_meant(formula: str) -> str:
    """What was probably meant by a formula that holds a slip; empty where none is seen.

    Args:
        formula: One compound without dots that separate compounds; blanks may stand between its symbols.

    >>> likely_meant("Li2C03"), likely_meant("H20"), likely_meant("SIO2"), likely_meant("SiO2")
    ('Li2CO3', 'H2O', 'SiO2', '')
    """
    if formula in NICKNAMES:
        return NICKNAMES[formula]
    meant = formula
    for check in (_zeros, _ones, _oxidation_numbers, _isotopes, _capitals, _groups):
        meant = next(check(meant), meant)
    return "" if meant == formula else meant


def _zeros(formula: str) -> Iterator[str]:
    """A zero for the letter O, or the other way round."""
    if re.search(r"(?<=[A-Za-z)])0\d", formula):
        yield re.sub(r"(?<=[A-Za-z)])0(?=\d)", "O", formula)
    amounts = _AMOUNT.findall(formula)
    if _INNER_ZERO.search(formula) and all(float(a) < _LARGE for a in amounts if not _INNER_ZERO.fullmatch(f"O{a}", 1)):
        yield _INNER_ZERO.sub(r"\1O\2", formula)
    if re.search(r"H\d+0H(?![a-z])", formula):
        yield re.sub(r"(H\d+)0H(?![a-z])", r"\1OH", formula)
    if re.fullmatch(r"[A-Z][a-z]?20", formula) or "(H20)" in formula:
        yield formula.replace("20", "2O")
    if re.search(r"(?:[OFNSI]|Cl|Br|Se|\))[\d.]*H20$", formula):
        yield formula[:-1] + "O"
    if re.search(r"O\.\d", formula) and not re.search(r"(?:[A-NP-Z)]|[A-Z][a-z])\.\d", formula):
        yield formula.replace("O.", "0.")


def _ones(formula: str) -> Iterator[str]:
    """A one for the small letter l of chlorine or aluminium."""
    if re.search(r"A1", formula):
        yield formula.replace("A1", "Al").replace("C1", "Cl")
    others = re.search(r"(?:[ABD-Z]|[A-Z][a-z]|\))1(?![\d.])", formula)
    if re.search(r"C1(?![\d.])", formula) and not others:
        yield re.sub(r"C1(?![\d.])", "Cl", formula)
    if re.fullmatch(r"(?!Li|Na|K|Rb|Cs)[A-Z][a-z]?C1[2-6]", formula):
        yield formula.replace("C1", "Cl")


def _oxidation_numbers(formula: str) -> Iterator[str]:
    """An oxidation number beside its element without brackets, such as FeIII2O3."""
    pattern = r"(?<=[A-Za-z])(?:III|II|IV)(?![a-z])|(?<=[a-z])VI{1,3}(?=\d?O)"
    if re.search(pattern, formula):
        yield re.sub(pattern, "", formula)


def _isotopes(formula: str) -> Iterator[str]:
    """Oxygen 17 or 18 written on the line."""
    if re.fullmatch(r"(?:[A-Z][a-z]?\d?1[78]O\d?|H21[78]O)", formula):
        yield re.sub(r"1[78]O", "O", formula)


_SYMBOL_MEANT = {"CI": "Cl"}
_DOUBLE_OXYGEN = re.compile(r"(?<![HC])(?<!H\d)CO(?:O\d|\d+O|O$)")  # LiCOO2, CO3O4


def _capitals(formula: str) -> Iterator[str]:
    """A symbol of two letters in capitals, such as SIO2.

    In a formula as it is usually written, electronegative elements stand last; a pair that breaks this order, or what
    follows it, shows the slip.
    """
    for pair in _PAIRS:
        for match in re.finditer(rf"{pair}(?![a-z])", formula) if pair in formula else ():
            if _is_one_symbol(pair, match.start(), formula):
                yield formula[: match.start()] + _SYMBOL_MEANT.get(pair, pair.capitalize()) + formula[match.end() :]


def _is_one_symbol(pair: str, start: int, formula: str) -> bool:
    """Whether two capitals at a place in a formula were probably meant as one symbol."""
    slips, elements = _PAIRS[pair]
    if slips and re.search(slips, formula):
        return True
    if re.match(r"\(?C\d*H", formula):
        return False  # the elements of an organic compound stand in the order of their letters
    if pair == "CO" and _DOUBLE_OXYGEN.match(formula, start):
        return True
    if elements and any(found.start() == start for found in re.finditer(elements, formula)):
        return False
    return _is_out_of_order(formula[start:])


def _is_out_of_order(formula: str) -> bool:
    """Whether an element of a formula is less electronegative than the one before it."""
    values = _electronegativities()
    found = [values.get(symbol, 9.9) for symbol in re.findall(r"[A-Z][a-z]?", formula)]
    return any(after < before for before, after in itertools.pairwise(found))


@functools.cache
def _electronegativities() -> dict[str, float]:
    values = element_table().columns(("pauling_electronegativity",))[:, 0].tolist()
    return {symbol: value for symbol, value in zip(SYMBOLS, values, strict=False) if value == value}


_ORGANIC_GROUPS = {
    r"OAc|\(Ac\)|^HAc|^AcOH|AcO\)": "acetate",
    r"OPr|\(PrO\)|^PrOH": "propoxide",
    r"TsO|OTs|TsCl": "tosyl",
}


def _groups(formula: str) -> Iterator[str]:
    """Abbreviations of organic groups that are also symbols of elements."""
    for pattern, group in _ORGANIC_GROUPS.items():
        if re.search(pattern, formula):
            yield f"a compound with {group}, spelled out"
