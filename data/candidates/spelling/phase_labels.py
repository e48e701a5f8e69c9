"""Labels of phases, polytypes and structures beside a formula, which are no part of it."""

from __future__ import annotations

import re

from matloop.data.candidates.neutrality import amounts_in, is_neutral
from matloop.data.candidates.slips import NONMETALS
from matloop.data.candidates.spelling.characters import SUBSCRIPT_DIGITS
from matloop.data.candidates.spelling.refusals import SOLVENT, SYNTAX, RefusedError, closed, symbols_in, two_readings

_GREEK = "αβγδεζηθικλμνξπρστυφχψω"
_GREEK_NAMES = (
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|rho|sigma|tau|phi|chi|psi|omega"
)
_WORDS = (
    "anatase|rutile|brookite|cubic|tetragonal|orthorhombic|monoclinic|triclinic|hexagonal|trigonal|rhombohedral|"
    "wurtzite|zincblende|zinc[- ]?blende|sphalerite|rock[- ]?salt|perovskite|spinel|fluorite|diamond|graphite|quartz|"
    "cristobalite|tridymite|coesite|stishovite|calcite|aragonite|vaterite|corundum|hematite|maghemite|magnetite|pyrite|"
    "marcasite|amorphous|crystalline|bulk|monolayer"
)
_POLYTYPE = r"(?:[1-9]\d?[HRTC]|[12]T'|Td)"
_BEFORE = re.compile(
    rf"(?:[{_GREEK}]['\"]*[-_ ]?|(?i:{_GREEK_NAMES})['\"]*[-_ ]|(?i:{_WORDS})[-_ ]+|[acdghikmnoprtw]-|"
    rf"{_POLYTYPE}-)"
    r"(?=[A-Z(])"
)
_AFTER = re.compile(
    rf"(?: *\((?:[{_GREEK}]['\"]*|(?i:{_GREEK_NAMES}|{_WORDS})|{_POLYTYPE}|s|l|g|aq|cr|am)\)"
    rf"|[-_ ](?i:{_WORDS})|[-_ ](?:[αβγ]|(?i:alpha|beta|gamma))|-{_POLYTYPE})$"
)
_BETA_ALUMINA = re.compile(r"(?:β|(?i:beta))['\"]*[- ]?Al2O3|Al2O3 *\((?:β|beta)['\"]*\)")


_BEFORE_POLYTYPE = re.compile(rf"({_POLYTYPE})[_ ]+(\S+)")
_AFTER_POLYTYPE = re.compile(rf"(\S*[A-Za-z\d)\]}}>₀-₉])(?:_+| +)({_POLYTYPE})(_\w+)?")
# Compounds with well-known polytypes, whose label is not held to be atoms of carbon or hydrogen.
_POLYTYPIC = re.compile(
    r"SiC|GeC|(?:Al|Ga|In|B)N|(?:Zn|Cd)(?:O|S|Se|Te)|(?:Ga|In)(?:S|Se)|BeO|AgI|CuI|CuBr|CuCl|"
    r"(?:Mo|W|Nb|Ta|Ti|Zr|Hf|V|Sn|Pt|Pd|Re)(?:S|Se|Te)2|(?:Pb|Cd|Mn|Ca|Mg|Zn)(?:I|Br|Cl)2|CaSi2|"
    r"[A-Z][a-z]?[A-Z][a-z]?(?:O|F|Cl|Br|I)3|TaC|Ti3SiC2"
)


def without_polytype(text: str) -> str:
    """Text without the label of a polytype such as 6H that a blank or an underscore sets apart.

    Raises:
        RefusedError: If the label may also be atoms of hydrogen or carbon.
    """
    if (match := _BEFORE_POLYTYPE.fullmatch(text)) and _is_polytypic(match[2]):
        return match[2]
    match = _AFTER_POLYTYPE.fullmatch(text)
    if match is None:
        return text
    compound, label, more = match.groups()
    if (label[-1] in "HC" and not _is_polytypic(compound)) or more:
        raise two_readings(compound, f"{compound}{label}" if compound[-1].isalpha() else "")
    return compound


def _is_polytypic(compound: str) -> bool:
    digits = "".join(SUBSCRIPT_DIGITS.get(ord(character), character) for character in compound)
    return bool(_POLYTYPIC.fullmatch(re.sub(r"_(\d)", r"\1", digits)))


def without_labels(text: str) -> str:
    """Text without the name of its phase before or after it. Neither can be part of a formula."""
    if _BETA_ALUMINA.fullmatch(text):
        raise two_readings("Na2O·11Al2O3", "Al2O3")
    text = _AFTER.sub("", _BEFORE.sub("", text, count=1) if _BEFORE.match(text) else text)
    if not text.replace("·", "").isascii():
        raise RefusedError(SYNTAX, "a character that belongs to no formula")
    return text


_LARGEST_BARE = 12  # largest amount that is read although a blank stands before it
_STRUKTURBERICHT = r"(?:(?:[A-EL]|H1)\d{1,2}(?:_?\d)?[a-h]?|D[O0]\d{1,2})"
_SPACE_GROUP = r"[PIFCR]\d{1,4}"
_GROUPS_IN_CAPITALS = frozenset("OH CN SCN NCS OCN".split())


def without_labels_after_a_blank(text: str) -> str:
    """The text, unless a number or a word in capitals behind its formula may be a label.

    Raises:
        RefusedError: If a number of a space group or of a purity, a word of the Strukturbericht or another word may
            stand behind a blank; the first reading is the formula without it.
    """
    warm = re.fullmatch(r"(.*[A-Za-z)]) (\d{2,}) [KC]", text)  # a temperature
    if warm and float(warm[2]) > _LARGEST_BARE and not re.search(r" \d", warm[1]):
        raise two_readings(closed(warm[1]), closed(text))
    match = re.fullmatch(r"(.*[A-Za-z)]|.*[A-Z][a-z]?[\d.]+) \(?([A-Z\d][\w.,]*?)\)?", text)
    if match is None:
        return text
    compound, label = match.groups()
    symbols = symbols_in(compound)
    if re.fullmatch(r"\d+(?:[.,]\d+)?", label):
        label = label.replace(",", ".")
        others = re.search(r" [\d.]+(?: |$)", compound)
        joined = closed(compound) + label
        odd = _only_first_is_neutral(closed(compound), joined) and not (label == "2" and compound[-1] in "OSe")
        if len(symbols) > 1 and compound[-1].isalpha() and not others and (float(label) > _LARGEST_BARE or odd):
            raise two_readings(closed(compound), joined)
    elif " " in compound or "·" in compound or not amounts_in(compound):
        return text
    elif re.fullmatch(_STRUKTURBERICHT, label) and (len(symbols) > 1 or not amounts_in(label)):
        raise two_readings(compound, compound + label if amounts_in(label) else "")
    elif _may_be_a_word(compound, label):
        raise two_readings(compound, compound + label)
    return text


def _may_be_a_word(compound: str, label: str) -> bool:
    """Whether symbols behind a compound may be a space group such as P1, a prototype, a version or another word."""
    symbols = symbols_in(compound)
    if re.fullmatch(_SPACE_GROUP, label) and symbols & NONMETALS and len(symbols) > 1:
        return True
    if re.fullmatch(r"[A-Z][a-z]?\d*", label):
        return _only_first_is_neutral(compound, compound + label)
    if len(symbols) > 1 and is_neutral(label) and not re.fullmatch(SOLVENT, label):
        return True  # the compound after which a structure is named
    return bool(re.fullmatch(r"[A-Z]{2,}", label)) and label not in _GROUPS_IN_CAPITALS and is_neutral(compound)


def _only_first_is_neutral(compound: str, with_label: str) -> bool:
    return is_neutral(compound) and not is_neutral(with_label)
