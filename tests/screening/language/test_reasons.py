"""Every code has words in English and Chinese."""

import re
import string

import pytest

from matloop.data.candidates import reasons as codes_module
from matloop.data.candidates.reasons import DECISION_CODES
from matloop.data.errors import ROW_CODES
from matloop.screening.language.filter_words import filter_reasons
from matloop.screening.language.reasons import DECISION_WORDS, ROW_CODES_ZH, reason_words

EVERY = {**DECISION_WORDS, **filter_reasons()}
CHINESE = re.compile("[\u4e00-\u9fff]")


def test_no_code_lacks_words() -> None:
    assert set(DECISION_WORDS) == DECISION_CODES
    assert set(ROW_CODES_ZH) == set(ROW_CODES)
    assert not DECISION_CODES & filter_reasons().keys()
    named = {value for name, value in vars(codes_module).items() if name.isupper() and isinstance(value, str)}
    assert named == DECISION_CODES


@pytest.mark.parametrize("code", sorted(EVERY.keys() | ROW_CODES.keys()))
def test_every_code_has_words_in_both_languages(code: str) -> None:
    assert re.fullmatch(r"[ER](-[A-Z0-9]+)+", code)
    words = reason_words(code, "5", "1234")
    assert re.search("[a-z]{3}", words.en)
    assert not CHINESE.search(words.en)
    assert CHINESE.search(words.zh)
    assert "{" not in words.en + words.zh


@pytest.mark.parametrize("code", sorted(EVERY))
def test_both_languages_tell_the_same_figures(code: str) -> None:
    fields = [{name for _, name, *_ in string.Formatter().parse(text) if name} for text in EVERY[code]]
    assert fields[0] == fields[1] <= {"value", "limit"}


def test_words_are_made_from_value_and_limit() -> None:
    assert reason_words("R-FILTER-EXCLUDED-ELEMENT", "Tl") == ("contains Tl", "含 Tl")
    assert reason_words("R-RANKING-BELOW-CUT", "0.25", "5000").zh == "未进入概率最高的前 5,000 名"
    assert reason_words("R-SHORTLIST-EXPECTED-MISSES", "0.4", "0.3").en == "expected share of misses above 0.3"
    assert reason_words("E-FILE-EMPTY") == ("the file is empty (E-FILE-EMPTY)", "文件为空（E-FILE-EMPTY）")


def test_a_code_of_others_is_shown_with_its_figures() -> None:
    assert reason_words("R-HEAVY", "312.4", "300") == ("R-HEAVY: 312.4 (allowed: 300)", "R-HEAVY: 312.4（允许：300）")
    assert reason_words("R-HEAVY") == ("R-HEAVY", "R-HEAVY")
