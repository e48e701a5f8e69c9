"""Formulas as people write them, put into plain letters, digits and brackets.

People write hydrates with many kinds of dots, amounts as subscripts, oxidation numbers and names of phases. Where a
text has one reading, it is spelled out here. Where it has two, it is refused and both are named: a guess would screen
another compound than the one that was meant.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from typing import NamedTuple

from matloop.data.candidates.neutrality import amounts_in, is_neutral
from matloop.data.candidates.slips import ANIONS, NONMETALS, likely_meant
from matloop.data.elements import SYMBOLS

MAX_LENGTH = 256
AMBIGUOUS, SYNTAX = "E-FORMULA-AMBIGUOUS", "E-FORMULA-SYNTAX"


class Spelling(NamedTuple):
    """A formula in plain letters, digits, points and round brackets, or the code under which it is refused.

    Attributes:
        plain: The formula; empty where it is refused.
        code: Row code; empty where it can be read.
        detail: The readings and how to write it, where more can be said than the code does.
    """

    plain: str
    code: str = ""
    detail: str = ""


class _RefusedError(Exception):
    """Ends the reading of one formula."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail


def _two_readings(*readings: str) -> _RefusedError:
    """The refusal of a formula that may mean several things."""
    shown = [reading for reading in dict.fromkeys(readings) if reading]
    if not shown:
        return _RefusedError(AMBIGUOUS, "may mean several things; write every amount on the line")
    if len(shown) == 1:
        return _RefusedError(AMBIGUOUS, f"may mean {shown[0]}; write the formula that is meant")
    return _RefusedError(AMBIGUOUS, f"may mean {' or '.join(shown)}; write it in one of these ways")


def spelled_plainly(text: str, *, exact: bool = False) -> Spelling:
    """Spell a formula plainly.

    Args:
        text: Formula as written.
        exact: Whether a program wrote it, so that it holds no slips.

    >>> spelled_plainly("Mg(ClO₄)₂•6NH₃").plain, spelled_plainly("α-Fe(III)2O3").plain
    ('(Mg(ClO4)2)(NH3)6', 'Fe2O3')
    """
    text = text.strip()
    if len(text) > MAX_LENGTH:
        return Spelling("", SYNTAX, f"longer than {MAX_LENGTH} characters")
    if text and not any(character.isupper() for character in unicodedata.normalize("NFKC", text)):
        letters = any(character.isalpha() for character in text)
        return Spelling("", SYNTAX, "symbols of elements begin with a capital letter, such as NaCl" * letters)
    if "\n" in text or "\t" in text:
        return Spelling("", SYNTAX, "more than one line or cell")
    try:
        spelled = _without_labels(_ascii(_without_markup(_without_polytype(text))))
        spelled = _without_fractions(_without_blanks(spelled))
        pieces = _pieces(_without_stock_numbers(spelled), exact=exact)
        return Spelling(_joined([_checked(piece, exact=exact) for piece in pieces]))
    except _RefusedError as refusal:
        return Spelling("", refusal.code, refusal.detail)


def explained(text: str) -> str:
    """What can be said about a refused formula besides its code; empty where nothing can."""
    spelling = spelled_plainly(text)
    if spelling.detail or spelling.code == AMBIGUOUS:
        return spelling.detail
    if re.search(_DEUTERIUM, text) and not re.fullmatch(r"[A-Z]{3,}", text):
        plain = re.sub(_DEUTERIUM, "H", text)
        if _symbols(plain) <= set(SYMBOLS):
            return f"D and T are no symbols of elements here; write H for deuterium and tritium, so {plain}"
    return next((words for pattern, words in _HINTS if re.search(pattern, text)), "")


_DEUTERIUM = r"[DT](?![a-z])"
_HINTS = (
    (r"(?<![A-Z])[xyzδn](?![a-z])|[BCFHIKNOPSUVWY][xy](?![a-z])", "an amount is a letter; write its value"),
    (r"\d?[+\-−⁺⁻]\]?$", "a charge; write the neutral compound"),
    (
        r"[(\[{][A-Z][^()]*, ?[A-Z]",
        "a comma stands between elements that share a site; write the amount of each, such as (La0.7Sr0.3)MnO3",
    ),
    (r"[-–−+/:]", "a mixture, a range or a dopant; write one formula with the amount of each element"),
)


# Characters.

_INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad")
_ALIKE = str.maketrans(
    dict.fromkeys("•∙⋅・‧●◦·*∗⁎×✕･＊", "·")
    | dict.fromkeys("‐‑‒–—−", "-")
    | dict.fromkeys("⁄∕", "/")
    | {"[": "(", "]": ")", "{": "(", "}": ")", "，": ",", "µ": "μ", "ß": "β", "′": "'", "″": "''", "’": "'"}
)
_HARMLESS = ("<wide>", "<narrow>", "<noBreak>", "<font>")
_FRACTIONS = {"½": "(1/2)", "¼": "(1/4)", "¾": "(3/4)", "⅓": "(1/3)", "⅔": "(2/3)"}
_SUBSCRIPT = {ord("₀") + digit: str(digit) for digit in range(10)}


def _without_markup(text: str) -> str:
    """Text whose subscripts in HTML or LaTeX have become subscript digits."""
    if re.search(r"<sup>|\^|\$\^", text):
        raise _two_readings(re.sub(r"<sup>.*?</sup>|\^\{.*?\}|\^.|\$", "", text))
    if "<" not in text and "_" not in text and "\\" not in text and "$" not in text:
        return text
    text = re.sub(r"\\(?:ce|mathrm|rm|text)\{(.*)\}", r"\1", text).replace(r"\cdot", "·").replace("$", "")
    for pattern in (r"<sub>([\d./]+)</sub>", r"_\{([\d./]+)\}", r"_(\d)(?!\d)"):
        text = re.sub(pattern, lambda match: match[1].translate(_TO_SUBSCRIPT), text, flags=re.IGNORECASE)
    return text


_TO_SUBSCRIPT = {ord(str(digit)): chr(ord("₀") + digit) for digit in range(10)}


def _ascii(text: str) -> str:
    """Text in ASCII, where the dot that separates compounds has become a middle dot, and greek letters stay."""
    if text.isascii():
        return text.translate(_ALIKE)
    raised = [c for c in text if unicodedata.decomposition(c).startswith(("<super>", "<circle>"))]
    if raised:
        raise _two_readings("".join(c for c in text if c not in raised))
    if match := re.search(r"[₀-₉](?=[0-9])", text):
        raise _two_readings(f"{text[: match.end()]}·{text[match.end() :]}")
    if re.search(r"[0-9][₀-₉]", text):
        raise _RefusedError(AMBIGUOUS, "an amount half on the line and half below it; write it on the line")
    # The point of a number stands among subscripts; one before a digit of full size separates two compounds.
    text = re.sub(r"([₀-₉]+)\.(?=[0-9]+\(?[A-Z])", lambda m: m[0] if m[1] == "₀" else m[1] + "·", text)
    return "".join(map(_ascii_character, text)).translate(_ALIKE)


def _ascii_character(character: str) -> str:
    if character.isascii() or character in "·•∙⋅":
        return character
    if character in _INVISIBLE:
        return ""
    if character in _FRACTIONS:
        return _FRACTIONS[character]
    if ord(character) in _SUBSCRIPT:
        return _SUBSCRIPT[ord(character)]
    tag = unicodedata.decomposition(character).partition(" ")[0]
    plain = unicodedata.normalize("NFKC", character)
    if not tag:
        return character
    is_space, is_roman = character.isspace(), 0x2160 <= ord(character) <= 0x216B
    if tag in _HARMLESS or not tag.startswith("<") or (tag == "<compat>" and (is_space or is_roman)):
        return plain
    if plain == "μ" or character in "･・":
        return plain
    raise _RefusedError(SYNTAX, f"the character {character} belongs to no formula")


# Labels of phases.

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


def _without_polytype(text: str) -> str:
    """Text without the label of a polytype such as 6H that a blank or an underscore sets apart.

    Raises:
        _RefusedError: If the label may also be atoms of hydrogen or carbon.
    """
    if (match := _BEFORE_POLYTYPE.fullmatch(text)) and _is_polytypic(match[2]):
        return match[2]
    match = _AFTER_POLYTYPE.fullmatch(text)
    if match is None:
        return text
    compound, label, more = match.groups()
    if (label[-1] in "HC" and not _is_polytypic(compound)) or more:
        raise _two_readings(compound, f"{compound}{label}" if compound[-1].isalpha() else "")
    return compound


def _is_polytypic(compound: str) -> bool:
    digits = "".join(_SUBSCRIPT.get(ord(character), character) for character in compound)
    return bool(_POLYTYPIC.fullmatch(re.sub(r"_(\d)", r"\1", digits)))


def _without_labels(text: str) -> str:
    """Text without the name of its phase before or after it. Neither can be part of a formula."""
    if _BETA_ALUMINA.fullmatch(text):
        raise _two_readings("Na2O·11Al2O3", "Al2O3")
    text = _AFTER.sub("", _BEFORE.sub("", text, count=1) if _BEFORE.match(text) else text)
    if not text.replace("·", "").isascii():
        raise _RefusedError(SYNTAX, "a character that belongs to no formula")
    return text


# Blanks.

_SOLVENT = r"(?:\(?H2O\)?|\(?NH3\)?|\(?CH3OH\)?|\(?C2H5OH\)?)"


def _without_blanks(text: str) -> str:
    """Text without blanks, where each either stands between symbols or sets a hydrate apart."""
    text = re.sub(r"\s+", " ", text.strip())
    text = re.sub(r" ?· ?", "·", text)
    text = re.sub(r"(?<=·)([\d.]+) (?=[A-Z(])", r"\1", text)
    if " " not in text:
        return text
    if re.search(r" [a-z]", text):
        raise _RefusedError(SYNTAX, "words beside the formula; write the formula alone")
    text = _without_labels_after_a_blank(text)
    text = re.sub(r"(?<=[a-zA-Z]) (?=\.\d+(?: [A-Z]|$))", "", text)
    if match := re.search(r" [.,](?=\d)", text):
        apart, onward = text[: match.start()], text[match.end() :]
        raise _two_readings(_closed(f"{apart}·{onward}"), _closed(f"{apart}·0.{onward}"))
    text = re.sub(r" \. ?|\. ", "·", text)
    text = re.sub(rf"(?<=\d) (?=(?:\d+(?:\.\d+)?|\d/\d ?|\(\d/\d\) ?){_SOLVENT}(?:$|·))", "·", text)
    if match := re.search(r"\d (?=[\d.])", text):
        apart, onward = text[: match.end() - 1], text[match.end() :]
        if re.match(r"[\d.]*\(?[A-Z]", onward):
            raise _two_readings(_closed(f"{apart}·{onward}"), _closed(apart + onward))
        raise _two_readings(_closed(apart))
    if match := re.search(r"[A-Za-z)] (?=[\d.]+(?:\(?[A-Z]| (?:H ?2 ?O|N ?H ?3)$))", text):
        apart, onward = text[: match.end() - 1], text[match.end() :]
        raise _two_readings(_closed(f"{apart}·{onward}"), _closed(apart + onward))
    _refuse_names_after_a_blank(text)
    # A blank between two capitals stays, since it shows that they are two elements.
    return re.sub(r"(?<![A-Z]) | (?![A-Z])", "", text)


def _refuse_names_after_a_blank(text: str) -> None:
    """Refuse a compound with a single symbol behind it, such as TiO2 B, which names a phase or a product."""
    compound, *others = text.split("·")[-1].split(" ")
    symbols = _symbols(compound)
    if _is_compound(compound) and any(_is_compound(o) and not re.fullmatch(rf"{_SOLVENT}", o) for o in others):
        raise _two_readings("·".join([compound, *others]))
    if len(symbols) > 1 and symbols & ANIONS:
        for other in others:
            if re.fullmatch(r"[A-Z][a-z]?[\d.]*", other):
                raise _two_readings(compound, _closed(text))


_STRUKTURBERICHT = r"(?:(?:[A-EL]|H1)\d{1,2}(?:_?\d)?[a-h]?|D[O0]\d{1,2})"
_SPACE_GROUP = r"[PIFCR]\d{1,4}"
_GROUPS_IN_CAPITALS = frozenset("OH CN SCN NCS OCN".split())


def _without_labels_after_a_blank(text: str) -> str:
    """The text, unless a number or a word in capitals behind its formula may be a label.

    Raises:
        _RefusedError: If a number of a space group or of a purity, a word of the Strukturbericht or another word may
            stand behind a blank; the first reading is the formula without it.
    """
    warm = re.fullmatch(r"(.*[A-Za-z)]) (\d{2,}) [KC]", text)  # a temperature
    if warm and float(warm[2]) > _LARGEST_BARE and not re.search(r" \d", warm[1]):
        raise _two_readings(_closed(warm[1]), _closed(text))
    match = re.fullmatch(r"(.*[A-Za-z)]|.*[A-Z][a-z]?[\d.]+) \(?([A-Z\d][\w.,]*?)\)?", text)
    if match is None:
        return text
    compound, label = match.groups()
    symbols = _symbols(compound)
    if re.fullmatch(r"\d+(?:[.,]\d+)?", label):
        label = label.replace(",", ".")
        others = re.search(r" [\d.]+(?: |$)", compound)
        joined = _closed(compound) + label
        odd = _only_first_is_neutral(_closed(compound), joined) and not (label == "2" and compound[-1] in "OSe")
        if len(symbols) > 1 and compound[-1].isalpha() and not others and (float(label) > _LARGEST_BARE or odd):
            raise _two_readings(_closed(compound), joined)
    elif " " in compound or "·" in compound or not amounts_in(compound):
        return text
    elif re.fullmatch(_STRUKTURBERICHT, label) and (len(symbols) > 1 or not amounts_in(label)):
        raise _two_readings(compound, compound + label if amounts_in(label) else "")
    elif _may_be_a_word(compound, label):
        raise _two_readings(compound, compound + label)
    return text


def _may_be_a_word(compound: str, label: str) -> bool:
    """Whether symbols behind a compound may be a space group such as P1, a prototype, a version or another word."""
    symbols = _symbols(compound)
    if re.fullmatch(_SPACE_GROUP, label) and symbols & NONMETALS and len(symbols) > 1:
        return True
    if re.fullmatch(r"[A-Z][a-z]?\d*", label):
        return _only_first_is_neutral(compound, compound + label)
    if len(symbols) > 1 and is_neutral(label) and not re.fullmatch(_SOLVENT, label):
        return True  # the compound after which a structure is named
    return bool(re.fullmatch(r"[A-Z]{2,}", label)) and label not in _GROUPS_IN_CAPITALS and is_neutral(compound)


def _only_first_is_neutral(compound: str, with_label: str) -> bool:
    return is_neutral(compound) and not is_neutral(with_label)


_LARGEST_BARE = 12  # largest amount that is read although a blank stands before it


def _is_compound(token: str) -> bool:
    """Whether a text without brackets in front has an element that binds others, and another one."""
    symbols = _symbols(token)
    return token[:1].isupper() and bool(symbols & ANIONS) and bool(symbols - ANIONS)


def _closed(text: str) -> str:
    return text.replace(" ", "")


# Oxidation numbers.

_ROMAN = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8}
_STOCK = re.compile(r"([A-Z][a-z]?)(\d*) ?\((I{1,3}|IV|VI{0,3})\)(\d*(?:\.\d+)?)")
_MAY_BE = {
    "I": frozenset("Li Na K Rb Cs Cu Ag Au Hg Tl In Ga".split()),
    "V": frozenset("V Nb Ta P As Sb Bi Mo W U Re Pa Np".split()),
}
_NEVER = frozenset("H O F He Ne Ar".split())
_CHARGES = dict.fromkeys(("O", "S", "Se", "Te"), -2) | dict.fromkeys(("F", "Cl", "Br", "I"), -1) | {"N": -3, "Al": 3}
_CHARGES |= dict.fromkeys("H Li Na K Rb Cs".split(), 1) | dict.fromkeys("Mg Ca Sr Ba Zn".split(), 2)
_HALOGENS = frozenset("F Cl Br I".split())


def _without_stock_numbers(text: str) -> str:
    """Text without oxidation numbers such as Cu(I)."""
    _refuse_several_at_once(text)
    found = list(_STOCK.finditer(text))
    for match in found:
        symbol, before, roman, after = match.groups()
        plain = text[: match.start()] + symbol + before + after + text[match.end() :]
        alone = match.end() == len(text) and (match.start() == 0 or roman in _MAY_BE or symbol in NONMETALS)
        if roman == "I" and symbol not in _MAY_BE[roman] and not _symbols(text[match.end() :]) & ANIONS - _HALOGENS:
            continue  # iodine in brackets
        refused = roman in _MAY_BE and symbol not in _MAY_BE[roman]
        if refused or alone or symbol in _NEVER or (before and after) or not _is_neutral(text, found):
            raise _two_readings(plain, text.replace(f"({roman})", roman))
    return _STOCK.sub(_bare, text)


_SEVERAL_AT_ONCE = re.compile(r"([A-Z][a-z]?)([\d.]*)((?:\([IV]+\)[,/+;]?\d*){2,}|\([IV]+(?:[,/+;-][IV]+)+\))")
_NO_NUMBER = re.compile(r"\((?:IIII+|IIV+|VV+|I*VI{4,})\)")


def _refuse_several_at_once(text: str) -> None:
    """Refuse an element with several oxidation numbers, such as Fe(II)(III)2O4 or Fe3(II,III)O4."""
    if match := _SEVERAL_AT_ONCE.search(text):
        symbol, before, numbers = match.groups()
        start, after = text[: match.start()], text[match.end() :]
        readings = [f"{start}{symbol}{before}{after}"]
        if re.search(r"\)[^()]*\d", numbers):
            spelled = start + re.sub(r"[,/+;]?(\([IV]+\))", rf"{symbol}\1", numbers) + after
            neutral = _is_neutral(spelled, list(_STOCK.finditer(spelled)))
            readings = [spelled if neutral else re.sub(r"\([IV]+\)", "", spelled)]
        if iodine := re.search(r"\(I\)(\d*)$", numbers):
            readings.append(f"{start}{symbol}{before}I{iodine[1]}{after}")
        raise _two_readings(*readings)
    if match := _NO_NUMBER.search(text):
        raise _two_readings(text.replace(match[0], ""))


def _bare(match: re.Match[str]) -> str:
    symbol, before, roman, after = match.groups()
    return match[0] if roman in _MAY_BE and symbol not in _MAY_BE[roman] else symbol + before + after


def _is_neutral(text: str, found: list[re.Match[str]]) -> bool:
    """Whether the oxidation numbers neutralise the other elements.

    Where these have no usual charge, a number such as II is believed; I and V could be elements and are not.
    """
    charge, believed = 0.0, all(match[3] not in _MAY_BE for match in found)
    for match in found:
        charge += _ROMAN[match[3]] * float(match[2] or match[4] or 1)
    rest = _STOCK.sub("", text)
    for symbol, amount in re.findall(r"([A-Z][a-z]?)(\d*)", rest):
        if symbol not in _CHARGES:
            return believed
        charge += _CHARGES[symbol] * int(amount or 1)
    return charge == 0 or (believed and (bool(re.search(r"[()·]", rest)) or len(_symbols(rest)) > 1))


# Fractions.

_FRACTION = re.compile(r"(?<=[A-Za-z)])(?:(\d+)/(\d+)|\((\d+)/(\d+)\))(?=[A-Z()·]|$)")


def _without_fractions(text: str) -> str:
    """Text whose amounts such as 1/3 are decimal, and without commas between elements that each have an amount.

    Raises:
        _RefusedError: If the numerator may be an amount of its own, as in TiO2/3.
    """
    text = re.sub(r"\((?:[A-Z][a-z]?[\d./]+[,;] ?)+[A-Z][a-z]?[\d./]+\)", lambda m: re.sub("[,;]", "", m[0]), text)
    out, position = "", 0
    for match in _FRACTION.finditer(text):
        numerator, denominator = match[1] or match[3], match[2] or match[4]
        if not int(denominator):
            raise _RefusedError("E-FORMULA-AMOUNT", "a fraction with denominator zero")
        value = int(numerator) / int(denominator)
        out += text[position : match.start()]
        position = match.end()
        rest = text[position:]
        if match[1] and (len(numerator) > 1 or is_neutral(out + numerator)):
            if len(numerator) > 1 and re.fullmatch(_SOLVENT, rest):
                apart = f"{out}{numerator[:-1]}·{numerator[-1]}/{denominator}{rest}"
                raise _two_readings(apart, f"({out}{value:.4g})({rest})")
            if re.fullmatch(_SOLVENT, rest):
                raise _two_readings(f"{out}{numerator}·{denominator}{rest}", f"({out}{value:.4g})({rest})")
            raise _two_readings("" if rest else f"{out}{numerator}", f"{out}{value:.4g}{rest}")
        out += f"{value:.16f}".rstrip("0").rstrip(".")
    return out + text[position:]


# Dots.

_POINT = re.compile(r"(\d*)\.(\d*)")
_OTHER_MARKS = re.compile(rf"(?<=[\w)]) ?[-:;,+'xX] ?(\d{{0,4}}\.?\d{{0,4}}{_SOLVENT})$")
_MOST_PIECES = 8


def _pieces(text: str, *, exact: bool) -> list[str]:
    """The compounds of a text, which middle dots or points set apart; each may begin with a number.

    Raises:
        _RefusedError: If a point may be that of a number or set compounds apart.
    """
    if match := _OTHER_MARKS.search(text):
        raise _two_readings(f"{text[: match.start()]}·{match[1]}")
    if text.count("·") >= _MOST_PIECES or "·" in (text[:1], text[-1:]) or "··" in text:
        raise _RefusedError(SYNTAX, "a dot with nothing beside it, or more than eight compounds")
    text = re.sub(r"(?<=\d),(?=\d)", ".", _without_thousands(text))
    pieces = []
    for piece in text.split("·"):
        if not exact:
            _refuse_dropped_dot(piece)
            _refuse_oxides_run_together(piece)
        pieces += _split_at_points(piece)
    for before, after in itertools.pairwise(pieces):
        symbols = _symbols(before)
        if before[-1:].isdigit() and after[:1].isdigit() and symbols and not symbols & NONMETALS:
            raise _two_readings(f"{before}.{after}", f"({before})·{after}")
    return pieces


_LARGEST_GROUP = 20  # number of groups in brackets from which on it is held to be two numbers
_OXIDES_RUN_TOGETHER = re.compile(r"(?:[OFS]|Cl|Br)(\d+)(?=[A-Z])")
_RUN_TOGETHER = re.compile(rf"((?:.*[A-Za-z)])?)(\d+(?:\.\d+)?)({_SOLVENT})")


def _refuse_dropped_dot(piece: str) -> None:
    """Refuse a hydrate whose dot is left out, such as MgCl26H2O for MgCl2·6H2O."""
    match = _RUN_TOGETHER.fullmatch(piece)
    if match is None or not match[1]:
        return
    before, digits, solvent = match.groups()
    whole = digits.partition(".")[0]
    if is_neutral(before + digits) and (before[-1] != ")" or int(whole) < _LARGEST_GROUP):
        return
    splits = [
        (digits[:at], digits[at:])
        for at in range(len(whole) - 1, 0, -1)
        if digits[at] != "0" or digits[at + 1 : at + 2] == "."
    ]
    likely = [f"{before}{amount}·{number}{solvent}" for amount, number in splits if is_neutral(before + amount)]
    if not likely and "." not in digits and is_neutral(before):
        likely = [f"{before}·{digits}{solvent}"]
    if likely or (len(digits) > 1 and "." not in digits):
        others = [f"{before}{amount}·{number}{solvent}" for amount, number in splits]
        raise _two_readings(*(likely or others), f"({before}{digits})({solvent.strip('()')})")


def _refuse_oxides_run_together(piece: str) -> None:
    """Refuse several compounds without dots, such as K2OAl2O36SiO2, where they are neutral and the whole is not."""
    for match in _OXIDES_RUN_TOGETHER.finditer(piece):
        if is_neutral(piece):
            return
        digits, rest = match[1], piece[match.end() :]
        for at in range(len(digits) - 1, -1, -1):
            before = piece[: match.start(1) + at]
            if digits[at:] not in ("0", "1") and digits[at] != "0" and is_neutral(before) and is_neutral(rest):
                raise _two_readings(f"{before}·{digits[at:]}{rest}", f"({before}{digits[at:]})({rest})")


def _without_thousands(text: str) -> str:
    if match := re.search(r"[1-9]\d*,\d{3}(?!\d)", text):
        raise _two_readings(text.replace(",", "."), text.replace(match[0], match[0].replace(",", "")))
    return text


def _symbols(text: str) -> set[str]:
    return set(re.findall(r"[A-Z][a-z]?", text))


def _split_at_points(piece: str) -> list[str]:
    """Split a text at the points that belong to no number."""
    if match := re.search(r"[\d)]\.(\d+\.\d+\(?[A-Z].*)", piece):
        raise _two_readings(f"{piece[: match.start() + 1]}·{match[1]}")
    start, parts = 0, []
    for match in _POINT.finditer(piece):
        before, after = piece[: match.start()] + match[1], piece[match.end() :]
        if not before or not after or not (after[0].isupper() or after[0] == "("):
            continue  # the number at the end of a group, or no number at all
        if not match[2]:
            parts.append(piece[start : match.end() - 1])
            start = match.end()
        elif _may_separate(before, match, after):
            point = "." if match[1] else "0."
            raise _two_readings(f"{before}·{match[2]}{after}", f"({before}{point}{match[2]})({after})")
    return [*parts, piece[start:]]


def _may_separate(before: str, match: re.Match[str], after: str) -> bool:
    """Whether a point may set two compounds apart: each has a metal or hydrogen, and something that binds it."""
    whole, fraction = match.groups()
    if whole == "0" or fraction.startswith("0") or not _symbols(before) & ANIONS:
        return False
    if re.fullmatch(_SOLVENT, after):
        return True
    if whole == "1" or fraction == "1" or len(_symbols(before)) < 2:
        return False
    if re.fullmatch(r"\([^()]*\)[\d.]+", after):
        return False
    symbols = _symbols(after)
    if len(symbols) == 1:  # a molecule such as I2 beside an iodide
        return before.rstrip("0123456789").endswith(min(symbols))
    return bool(symbols & (ANIONS | {"H"})) and bool(symbols - ANIONS)


_PART = re.compile(r"(\d*+(?:\.\d*+)?+)(?:\((\d)/(\d)\)|/(\d))?+(.+)")  # possessive: no backtracking on hostile text


def _checked(piece: str, *, exact: bool) -> str:
    """A compound without its number, once it holds no slip and no lone element in brackets."""
    match = _PART.fullmatch(piece)
    bare = match[5] if match else piece
    plain = piece.replace(" ", "")
    if exact:
        return plain
    if match := re.search(r"\(([A-Z][a-z]?)\)(?![\d.])", bare):
        without = bare[: match.start()] + bare[match.end() :]
        raise _two_readings(without, bare.replace(match[0], match[1]) if match[1] in SYMBOLS else "")
    if (match := re.search(r"\(([BC]\d{1,2})\)$", bare)) and len(_symbols(bare[: match.start()])) > 1:
        raise _two_readings(bare[: match.start()], bare[: match.start()] + match[1])
    if meant := likely_meant(bare):
        raise _two_readings(meant)
    return plain


def _joined(pieces: list[str]) -> str:
    """One formula of several compounds, each with its number."""
    if len(pieces) == 1:
        return pieces[0]
    out = []
    for piece in pieces:
        match = _PART.fullmatch(piece)
        if match is None:
            raise _RefusedError(SYNTAX, "a dot with nothing beside it")
        number, upper, lower, under, bare = match.groups()
        value = number
        if lower or under:
            numerator, denominator = (int(upper), int(lower)) if lower else (int(number or 0), int(under))
            whole = int(number or 0) if lower else 0
            value = repr(whole + numerator / denominator) if denominator else "?"
        out.append(f"({bare}){value}")
    return "".join(out)
