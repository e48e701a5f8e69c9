"""What a replacement is to keep: a property within a share or a difference of its value, or beyond a limit.

The words are ``refractive_index within 5%``, ``band_gap within 0.3 eV``, ``band_gap >= 2.5 eV`` and
``bulk_modulus_vrh <= 100 GPa``.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import SubstitutionError, UnitError
from matloop.data.plain_text import one_line
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.units import convert
from matloop.screening.language.text import Words, property_words, with_unit

Rule = Literal["share", "difference", "at_least", "at_most"]
_WRITTEN = re.compile(
    r"([a-z][a-z0-9_]{0,59}) *(within|>=|<=) *([+-]?\d{1,17}(?:\.\d{0,17})?(?:[eE][+-]?\d{1,3})?) *(%|[^\d\s%].{0,60})?"
)
_EXAMPLES = "such as 'refractive_index within 5%', 'band_gap within 0.3 eV' or 'band_gap >= 2.5 eV'"


class KeptProperty(NamedTuple):
    """A property that a replacement is to keep.

    Attributes:
        name: The property.
        rule: Whether its value may change by a share or a difference, or must lie beyond a limit.
        limit: The share of the old value, 0.05 for 5 %; else in the unit of the property.
    """

    name: str
    rule: Rule
    limit: float

    def met(self, old: NDArray[np.float64], new: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether new values keep the property, in the shape of both together.

        Args:
            old: Values before, in the unit of the property.
            new: Values after.

        >>> KeptProperty("refractive_index", "share", 0.05).met(np.array(2.5), np.array([2.4, 2.3])).tolist()
        [True, False]
        """
        if self.rule == "at_least":
            return np.broadcast_arrays(new >= self.limit, old)[0]
        if self.rule == "at_most":
            return np.broadcast_arrays(new <= self.limit, old)[0]
        allowed = self.limit * np.abs(old) if self.rule == "share" else self.limit
        return np.asarray(np.abs(new - old) <= allowed * (1 + 1e-9))  # 2.625 lies within 5 % of 2.5

    @property
    def words(self) -> Words:
        """The condition in both languages.

        >>> KeptProperty("band_gap", "difference", 0.3).words.en
        'band gap within 0.3 eV of its value'
        """
        label, amount = property_words(self.name), with_unit(f"{self.limit:.4g}", property_named(self.name).unit)
        if self.rule == "share":
            amount = f"{100 * self.limit:.4g} %"
        if self.rule in ("share", "difference"):
            return Words(f"{label.en} within {amount} of its value", f"{label.zh}变化不超过 {amount}")
        sign = "≥" if self.rule == "at_least" else "≤"
        return Words(f"{label.en} {sign} {amount}", f"{label.zh} {sign} {amount}")


def read_kept_property(text: str) -> KeptProperty:
    """Read what is to be kept.

    Args:
        text: Such as ``refractive_index within 5%``.

    Raises:
        SubstitutionError: If the text cannot be read.
        UnknownNameError: If the property or the unit is unknown.
        UnitError: If a number has no unit, or one that measures something else.

    >>> read_kept_property("band_gap within 300 meV")
    KeptProperty(name='band_gap', rule='difference', limit=0.3)
    """
    plain = unicodedata.normalize("NFKC", text[:300]).replace("≥", ">=").replace("≤", "<=").strip()
    found = _WRITTEN.fullmatch(plain)
    if found is None:
        raise SubstitutionError(f"'{one_line(text[:100])}' as what is to be kept", _EXAMPLES)
    name, relation, number, unit = found.groups()
    known, value = property_named(name), float(number)
    if relation == "within" and value < 0:
        raise SubstitutionError(f"{name} within {number}", "a number of at least 0")
    if unit == "%":
        if relation != "within":
            raise SubstitutionError(f"{name} {relation} {number} %", f"'within' for a share, {_EXAMPLES}")
        return KeptProperty(name, "share", value / 100)
    if unit is None and known.unit != "1":
        raise UnitError(f"{name} {relation} {number} without a unit", known.unit, f"write {number} {known.unit}")
    given = known.unit if unit is None else unit.strip()
    in_unit = convert(value, given, known.unit)
    if relation == "within":
        return KeptProperty(name, "difference", in_unit - convert(0.0, given, known.unit))
    return KeptProperty(name, "at_least" if relation == ">=" else "at_most", in_unit)
