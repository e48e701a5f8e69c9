"""What the lattice vibrations of a finalist say about it, in English and Chinese: a warning, never a verdict."""

from __future__ import annotations

from typing import NamedTuple

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.properties.columns import Column
from matloop.screening.language.reasons import reason_words
from matloop.screening.language.text import Words, number
from matloop.screening.report.batch_columns import numbers, texts

_POINTS = {"0": "0", "0.5": "½"}


class VibrationWords(NamedTuple):
    """What is told of the vibrations of one candidate.

    Attributes:
        words: One sentence.
        is_warning: Whether a frequency is imaginary.
    """

    words: Words
    is_warning: bool


def vibration_words(batch: CandidateBatch) -> list[VibrationWords | None]:
    """Tell what the vibrations of each candidate say; None where they were not asked for.

    Args:
        batch: Ranked candidates.
    """
    lowest, imaginary = numbers(batch, Column.PHONON_LOWEST), numbers(batch, Column.PHONON_IMAGINARY)
    codes, points = texts(batch, Column.PHONON_CODE), texts(batch, Column.PHONON_POINT)
    supercells = texts(batch, Column.PHONON_SUPERCELL)
    told: list[VibrationWords | None] = []
    for row, code in enumerate(codes):
        if code is None:
            told.append(None)
        elif code:
            why = reason_words(code)
            en, zh = f"no lattice vibrations: {why.en}", f"未得到晶格振动：{why.zh}"
            told.append(VibrationWords(Words(en, zh), False))
        else:
            place = _place(points[row] or "", supercells[row] or "")
            told.append(_told(float(lowest[row]), bool(imaginary[row] == 1), place))
    return told


def _told(lowest: float, imaginary: bool, place: Words) -> VibrationWords:
    """Tell of one candidate that has frequencies.

    >>> print(_told(-1.109, True, _place("0.5 0.5 0.5", "2 x 2 x 2")).words.en)
    a lattice vibration is imaginary (1.1 THz at ½ ½ ½, supercell 2 × 2 × 2): the crystal may distort
    """
    if imaginary:
        size = number(-lowest, 1.0)
        en = f"a lattice vibration is imaginary ({size} THz at {place.en}): the crystal may distort"
        zh = f"存在虚频晶格振动（{size} THz，{place.zh}）：该晶体可能发生畸变"
        return VibrationWords(Words(en, zh), True)
    size = number(lowest, 1.0)
    en = f"no lattice vibration is imaginary; the lowest has {size} THz at {place.en}"
    zh = f"无虚频晶格振动；最低频率 {size} THz，{place.zh}"
    return VibrationWords(Words(en, zh), False)


def _place(point: str, supercell: str) -> Words:
    wave = " ".join(_POINTS.get(part, part) for part in point.split(" "))
    size = supercell.replace("x", "×")
    return Words(f"{wave}, supercell {size}", f"波矢 {wave}，超胞 {size}")
