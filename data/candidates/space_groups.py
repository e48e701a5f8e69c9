"""Settings of the space groups: the symbols that name them, and their operations.

The table is the database of Hall symbols in moyo: 530 settings of the 230 groups, after S. R. Hall and
R. W. Grosse-Kunstleve. Crystallographers write the symbol of one setting in many ways; an index leads from every usual
way to the settings that it may mean.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_HALL_NUMBERS = range(1, 531)
_MONOCLINIC = range(3, 16)
_STEPS = 24  # translations of all settings are multiples of 1/24
_CENTRES_WITHOUT_BAR = (*range(200, 207), *range(221, 231))  # written m 3 and m 3 m before 1983
_SUFFIX = re.compile(r"(.+?)(?::([12]|[HR]|-?[abc][123]?)|:?O([12])|([SZHR]))", re.IGNORECASE)
_WITH_NUMBER = re.compile(r"(.+?)\((?:no\.?|#)?(\d{1,3})\)", re.IGNORECASE)
_SPELLED_OUT = (
    (re.compile(r"\(?origin(?: choice)? ?([12])\)?\s*$", re.IGNORECASE), r":\1"),
    (re.compile(r"\(?hexagonal axes\)?\s*$", re.IGNORECASE), ":H"),
    (re.compile(r"\(?rhombohedral axes\)?\s*$", re.IGNORECASE), ":R"),
)
_ORIGINS = {"1": "1", "2": "2", "s": "1", "z": "2"}
# Until 1992 five groups were named after one of their two glide planes; the others letters mean the same planes.
_OLD_GLIDES = {
    39: ("A b m 2", "B m a 2", "B 2 c m", "C 2 m b", "C m 2 a", "A c 2 m"),
    41: ("A b a 2", "B b a 2", "B 2 c b", "C 2 c b", "C c 2 a", "A c 2 a"),
    64: ("C m c a", "C c m b", "A b m a", "A c a m", "B b c m", "B m a b"),
    67: ("C m m a", "C m m b", "A b m m", "A c m m", "B m c m", "B m a m"),
    68: ("C c c a", "C c c b", "A b a a", "A c a a", "B b c b", "B b a b"),
}


class Setting(NamedTuple):
    """One setting of a space group.

    Attributes:
        hall_number: Its number in the table, from 1.
        number: Number of the group in the International Tables.
        choice: Axes, cell or origin as the table names them: ``b1``, ``H``, ``2``, ``1cab``; empty without a choice.
        symbol: Full Hermann-Mauguin symbol, which names the unique axis of monoclinic groups.
        short: The usual symbol; the full one for monoclinic groups.
        hall: Hall symbol.
    """

    hall_number: int
    number: int
    choice: str
    symbol: str
    short: str
    hall: str

    @property
    def origin(self) -> str:
        """``1`` or ``2`` for the groups with two origins, else empty."""
        return self.choice[:1] if self.choice[:1] in ("1", "2") else ""

    @property
    def unique_axis(self) -> str:
        """Unique axis of a monoclinic setting, else empty."""
        return self.choice.lstrip("-")[:1] if self.number in _MONOCLINIC else ""

    def __str__(self) -> str:
        return self.symbol + (f" :{self.choice}" if self.choice else "")


def settings_of_symbol(symbol: str) -> list[Setting]:
    """Find the settings that a Hermann-Mauguin symbol may name; none if it is unknown.

    A short monoclinic symbol, a rhombohedral one and one of a group with two origins name several.

    >>> [str(setting) for setting in settings_of_symbol("F d 3 m Z")]
    ['F 41/d -3 2/m :2']
    >>> [str(setting) for setting in settings_of_symbol("P21/n")]
    ['P 1 21/n 1 :b2', 'P 1 1 21/n :c2', 'P 21/n 1 1 :a2']
    """
    plain = _plain_symbol(_with_short_suffix(symbol))
    if numbered := _WITH_NUMBER.fullmatch(plain):
        return [one for one in settings_of_symbol(numbered[1]) if one.number == int(numbered[2])]
    if plain.startswith("H"):  # hexagonal axes of a rhombohedral group, as the Protein Data Bank writes them
        return [setting for setting in settings_of_symbol("R" + plain[1:]) if setting.choice == "H"]
    found = _by_symbol().get(plain)
    if found is not None:
        return [setting_of(number) for number in found]
    suffixed = _SUFFIX.fullmatch(plain)
    if suffixed is None:
        return []
    choice = (suffixed[2] or suffixed[3] or suffixed[4]).lower()
    settings = settings_of_symbol(suffixed[1]) if ":" not in suffixed[1] else []
    if choice in _ORIGINS and (not suffixed[4] or any(setting.origin for setting in settings)):
        return [setting for setting in settings if setting.origin == _ORIGINS[choice]]
    return [setting for setting in settings if setting.choice.lower() == choice]


def settings_of_hall(symbol: str) -> list[Setting]:
    """Find the settings of a Hall symbol; several only if they are the same operations.

    >>> [str(setting) for setting in settings_of_hall("-F 4 2 3")]
    ['F 4/m -3 2/m']
    """
    return [setting_of(number) for number in _by_hall().get(_plain_hall(symbol), ())]


def settings_of_number(number: int) -> list[Setting]:
    """Find all settings of a group by its number in the International Tables."""
    return [setting for setting in map(setting_of, _HALL_NUMBERS) if setting.number == number]


@functools.cache
def setting_of(hall_number: int) -> Setting:
    """Return a setting by its number in the table."""
    import moyopy

    entry = moyopy.HallSymbolEntry(hall_number)
    full = entry.hm_full.replace("_", "")
    short = full if entry.number in _MONOCLINIC else entry.hm_short.replace("_", "")
    return Setting(hall_number, entry.number, str(entry.setting), full, short, entry.hall_symbol.replace("=", '"'))


@functools.cache
def operations_of(setting: Setting) -> NDArray[np.float64]:
    """Return the operations of a setting, shape (n, 3, 4): a rotation, and a translation in the last column."""
    import moyopy

    found = moyopy.operations_from_number(setting.number, setting=moyopy.Setting.hall_number(setting.hall_number))
    translations = np.rint(np.array(found.translations) * _STEPS) % _STEPS / _STEPS
    matrices = np.concatenate([np.array(found.rotations, float), translations[:, :, None]], axis=2)
    # The order of the atoms of a crystal must not depend on the version of the table.
    order = sorted(range(len(matrices)), key=lambda row: matrices[row].round(6).tolist())
    result = matrices[order]
    result.flags.writeable = False
    return result


def _with_short_suffix(symbol: str) -> str:
    """Write the origin or the axes behind a symbol in the short way.

    >>> _with_short_suffix("R -3 2/m (hexagonal axes)")
    'R -3 2/m :H'
    """
    for pattern, short in _SPELLED_OUT:
        symbol = pattern.sub(short, symbol)
    return symbol


def _plain_symbol(symbol: str) -> str:
    """Write a symbol without blanks and underscores: lattice letter in upper case, the rest in lower case.

    >>> _plain_symbol("P 2(1)/C"), _plain_symbol("p 2_1 / c")
    ('P21/c', 'P21/c')
    """
    text = re.sub(r"[\s_]|sub", "", symbol)
    text = re.sub(r"\(([1-5])\)", r"\1", text).replace("\u2212", "-")
    return text[:1].upper() + text[1:].lower()


def _plain_hall(symbol: str) -> str:
    return re.sub(r"[\s_]+", " ", symbol).strip().lower()


@functools.cache
def _by_symbol() -> dict[str, tuple[int, ...]]:
    index: dict[str, list[int]] = defaultdict(list)
    for hall_number in _HALL_NUMBERS:
        for spelling in _spellings(hall_number):
            numbers = index[_plain_symbol(spelling)]
            if hall_number not in numbers:
                numbers.append(hall_number)
    return {spelling: tuple(numbers) for spelling, numbers in index.items()}


def _spellings(hall_number: int) -> list[str]:
    """List the usual spellings of the symbol of a setting, its suffix aside."""
    setting = setting_of(hall_number)
    short = setting.short
    spellings = [setting.symbol, short]
    if setting.number in _MONOCLINIC:  # without the axes that carry no symmetry
        spellings.append("".join(word for word in short.split() if word != "1"))
    if setting.number in _CENTRES_WITHOUT_BAR:
        spellings.append(short.replace("-3", "3"))
    if setting.number in _OLD_GLIDES:
        axes = re.sub(r"^[12]", "", setting.choice)
        order = ("", "ba-c", "cab", "-cba", "bca", "a-cb")
        spellings.append(_OLD_GLIDES[setting.number][order.index(axes)])
    return spellings


@functools.cache
def _by_hall() -> dict[str, tuple[int, ...]]:
    index: dict[str, list[int]] = defaultdict(list)
    for hall_number in _HALL_NUMBERS:
        index[_plain_hall(setting_of(hall_number).hall)].append(hall_number)
    return {symbol: tuple(numbers) for symbol, numbers in index.items()}
