"""Words, numbers and formulas of the run report, in English and Chinese."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from matloop.data.generators.substitution_record import read_record
from matloop.data.plain_text import plain
from matloop.data.properties.catalogue import catalogue


class Words(NamedTuple):
    """The same text in two languages; the page shows the one the reader chose. Either may be Markup."""

    en: str
    zh: str

    def __html__(self) -> str:
        english, chinese = escape(finalize(self.en)), escape(finalize(self.zh))
        if english == chinese:
            return str(english)
        return f'<span lang="en">{english}</span><span lang="zh-CN">{chinese}</span>'


def formula_markup(formula: str) -> Markup:
    """Write a formula with its amounts as subscripts, safe in HTML and in plot labels; other text is only escaped.

    >>> print(formula_markup("Ba(PO3)2"))
    Ba(PO<sub>3</sub>)<sub>2</sub>
    """
    safe = escape(plain(formula))
    if not re.fullmatch(r"[A-Za-z0-9.()\[\]·]{1,256}", formula):
        return safe
    return Markup(re.sub(r"(?<=[A-Za-z)\]])([0-9]+(?:\.[0-9]+)?)", r"<sub>\1</sub>", str(safe)))


def space_group_markup(number: int | None) -> Markup:
    """Write the symbol of a space group: letters in italics, screw axes as subscripts, bars over numbers.

    >>> print(space_group_markup(14))
    <i>P</i>2<sub>1</sub>/<i>c</i>
    """
    if number is None or not 1 <= number <= 230:
        return Markup("")
    from moyopy import SpaceGroupType

    symbol = SpaceGroupType(number).hm_short.replace(" ", "")
    return Markup(re.sub(r"_([0-9])|-([0-9])|([A-Za-z])", _symbol_part, symbol))


def _symbol_part(part: re.Match[str]) -> str:
    screw, inversion, letter = part.groups()
    if letter:
        return f"<i>{letter}</i>"
    return f"<sub>{screw}</sub>" if screw else f'<span class="overbar">{inversion}</span>'


_POWERS = str.maketrans("23", "²³")


def unit_text(unit: str) -> str:
    """A unit as printed; empty for a plain number.

    >>> unit_text("uV/K"), unit_text("cm2/(V s)"), unit_text("MPa m0.5"), unit_text("1")
    ('µV/K', 'cm²/(V s)', 'MPa m⁰·⁵', '')
    """
    if unit == "1":
        return ""
    printed = re.sub(r"(?<=[A-Za-zÅ])[23](?![\d.])", lambda power: power[0].translate(_POWERS), unit)
    printed = re.sub(r"\bmu(?=B)", "µ", re.sub(r"\bu(?=[A-Z]|m\b|mol|s\b|ohm)", "µ", printed))
    return printed.replace("m0.5", "m⁰·⁵").replace("ohm", "Ω")


def with_unit(text: str, unit: str) -> str:
    """A number's text followed by its unit, if it has one."""
    return f"{text} {unit_text(unit)}".rstrip()


def number(value: float | None, resolution: float | None = None) -> str:
    """Write a number with as many decimals as its uncertainty allows.

    Args:
        value: The number; None and nan become a dash.
        resolution: Uncertainty of the number; its first two digits are kept. By default the number has three digits.

    >>> number(0.008363, 0.062), number(2.357, 0.52), number(160000), number(0.49052)
    ('0.008', '2.36', '160,000', '0.491')
    """
    if value is None or not math.isfinite(value):
        return "–"
    scale, digits = (resolution, 1) if resolution and math.isfinite(resolution) else (abs(value), 2)
    if scale == 0:
        return "0"
    decimals = digits - math.floor(math.log10(scale))
    if decimals > 6:
        return f"{value:.2e}".replace("-", "−")
    text = f"{value:,.{max(decimals, 0)}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text.replace("-", "−")


def percent(share: float | None, decimals: int = 0) -> str:
    """Write a share of one in percent; only exact values become 0 % or 100 %.

    >>> percent(0.7095), percent(0.9996), percent(0.002)
    ('71 %', '> 99 %', '< 1 %')
    """
    if share is None or not math.isfinite(share):
        return "–"
    step = 10.0**-decimals
    if 0 < share * 100 < step / 2:
        return f"< {step:g} %"
    if 100 - step / 2 < share * 100 < 100:
        return f"> {100 - step:g} %"
    return f"{share * 100:.{decimals}f} %"


def interval_words(low: float, high: float, resolution: float, unit: str = "") -> Words:
    """Write an interval in both languages, open above where its upper end is infinite.

    Args:
        low: Lower end.
        high: Upper end.
        resolution: Uncertainty of the numbers, as for :func:`number`.
        unit: Of both; none by default.

    >>> interval_words(0.01, 0.32, 0.3, "eV").en, interval_words(0.01, math.inf, 0.3, "eV").en
    ('0.01 to 0.32 eV', '≥ 0.01 eV')
    """
    start, stop = number(low, resolution), number(high, resolution)
    if high == math.inf:
        return Words(with_unit(f"≥ {start}", unit), with_unit(f"≥ {start}", unit))
    return Words(with_unit(f"{start} to {stop}", unit), with_unit(f"{start} 至 {stop}", unit))


def range_text(ends: tuple[float | None, float | None], unit: str) -> str:
    """Write a wanted range, open if an end is None.

    >>> range_text((None, 0.05), "eV/atom"), range_text((1, 2), "1")
    ('≤ 0.05 eV/atom', '1 to 2')
    """
    low, high = ((None if end is None else f"{end:.4g}".replace("-", "−")) for end in ends)
    if low is None and high is None:
        return "–"
    if low is None or high is None:
        return with_unit(f"≤ {high}" if low is None else f"≥ {low}", unit)
    return with_unit(f"{low} to {high}", unit)


def range_words(ends: tuple[float | None, float | None], unit: str) -> Words:
    """:func:`range_text` in both languages."""
    text = range_text(ends, unit)
    return Words(text, text.replace(" to ", " 至 "))


def property_words(name: str) -> Words:
    """Label of a property, without unit."""
    known = catalogue().get(name)
    return Words(known.label_en, known.label_zh) if known else Words(name, name)


def joined_properties(names: Sequence[str]) -> Words:
    """Labels of several properties in one phrase.

    >>> joined_properties(["refractive_index", "band_gap", "density"]).en
    'refractive index, band gap and density'
    """
    en, zh = zip(*(property_words(name) for name in names), strict=True)
    return Words(
        " and ".join(filter(None, [", ".join(en[:-1]), en[-1]])), "和".join(filter(None, ["、".join(zh[:-1]), zh[-1]]))
    )


def axis_words(name: str) -> Words:
    """Label of a property with its unit, as written on an axis."""
    label, unit = property_words(name), unit_text(catalogue()[name].unit) if name in catalogue() else ""
    return with_bracketed(label, unit)


def with_bracketed(label: Words, unit: str) -> Words:
    """A label with its unit in brackets, if it has one.

    >>> with_bracketed(Words("band gap", "带隙"), "eV")
    Words(en='band gap (eV)', zh='带隙（eV）')
    """
    return Words(f"{label.en} ({unit})", f"{label.zh}（{unit}）") if unit else label


def listed(texts: Sequence[str]) -> Words:
    """Texts one after another.

    >>> print(*listed(["mp-1", "mp-2"]))
    mp-1, mp-2 mp-1、mp-2
    """
    return Words(Markup(", ").join(texts), Markup("、").join(texts))


OUTCOMES = {"rejected": Words("rejected", "淘汰"), "quarantined": Words("set aside", "搁置")}
"""Outcome of a candidate that is not shortlisted."""


def origin_words(origin: str | None) -> Words:
    """Describe the origin of a candidate; an ionic substitution is written out.

    >>> print(origin_words("Hf3SnO8 (mp-761842), Sn4+ to Ti4+").en)
    Hf<sub>3</sub>SnO<sub>8</sub> (mp-761842) with Sn<sup>4+</sup> → Ti<sup>4+</sup>
    """
    if not origin:
        return Words("not recorded", "未记录")
    if not (record := read_record(origin)):
        return Words(origin, origin)
    arrows = [Markup(" → ").join(map(ion_markup, swap)) for swap in record.swaps]
    parts = {"formula": formula_markup(record.formula), "parent": record.parent_id}
    return Words(
        Markup("{formula} ({parent}) with {swaps}").format(**parts, swaps=Markup(", ").join(arrows)),
        Markup("{formula}（{parent}），{swaps}").format(**parts, swaps=Markup("、").join(arrows)),
    )


def ion_markup(label: str) -> Markup:
    """Write an ion with its charge raised.

    >>> print(ion_markup("Ti4+"))
    Ti<sup>4+</sup>
    """
    symbol = label.rstrip("0123456789.+-")
    charge = label.removeprefix(symbol).replace("-", "−")
    return Markup("{}<sup>{}</sup>").format(symbol, charge) if charge else escape(symbol)


def finalize(value: Any) -> Any:
    """Return the text that a template prints for a value, without characters that deceive."""
    if value is None:
        return ""
    return plain(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
