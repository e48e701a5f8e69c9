"""What is told about a cell has both languages, and records of older versions stay readable."""

import ast
import string
from pathlib import Path

import pytest

from matloop.data.remarks import REMARKS, Remark

DATA = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize("key", REMARKS)
def test_both_languages_hold_the_same_values(key: str) -> None:
    label = REMARKS[key]
    fields = [sorted({name for _, name, _, _ in string.Formatter().parse(text) if name}) for text in label]
    assert fields[0] == fields[1]
    assert not [character for character in label.en if character > "\u2e7f"]


def test_every_remark_is_told_somewhere() -> None:
    told = set()
    for path in [*DATA.glob("records/*.py"), DATA / "own_labels" / "label_cells.py"]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                told |= {node.value} & set(REMARKS)
    assert set(REMARKS) - told == {"as_told"}


def test_a_text_of_an_older_record_is_told_as_it_is() -> None:
    assert Remark.read("nearest is {TiO2}").label.zh == "nearest is {TiO2}"
    assert Remark.read('["no such key"]').label.en == '["no such key"]'
    assert Remark.read("7").label.en == "7"
    assert Remark.read("") == Remark()
