"""Slips of typing that YAML takes for something else: each names its line and the mend, and brings no other problem."""

from pathlib import Path

import pytest

from matloop.screening.campaign.campaign_file import Problem, inspect_campaign

GOOD = """\
name: films
title: 薄膜，第一批：氧化物
sources:
  - embedded
filters:
  - exclude_elements: [Cd, Hg]
targets:
  - {property: refractive_index, goal: at_least, value: 2.5, unit: "1"}
  - property: energy_above_hull
    goal: at_most
    value: 0.5
    unit: eV/atom
surrogates:
  features: [magpie]
  keep: 100
shortlist: {size: 3}
"""


def problems_of(tmp_path: Path, old: str, new: str) -> list[Problem]:
    assert old in GOOD
    path = tmp_path / "campaign.yaml"
    path.write_text(GOOD.replace(old, new, 1), "utf-8")
    return inspect_campaign(path).problems


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("name: films", "name：films", 1, "a full-width '：'; write ':'"),
        ("targets:", "targets：", 7, "a full-width '：'; write ':'"),
        ("goal: at_least,", "goal: at_least，", 8, "a full-width '，'; write ','"),
        ("[magpie]", "【magpie】", 14, "a full-width '【' and '】'; write '[' and ']'"),
        ("filters:", "\u3000filters:", 5, "a full-width blank; write a plain blank"),
        ("  keep: 100", "\tkeep: 100", 15, "a tab at its beginning; indent with blanks"),
        ("value: 2.5", "value: 2,5", 8, "a decimal comma in '2,5'; write 2.5"),
        ("value: 0.5", "value: 0,5", 11, "a decimal comma in '0,5'; write 0.5"),
        ("keep: 100", "keep: 1,5", 15, "a decimal comma in '1,5'; write 1.5"),
        (
            "- embedded",
            '- table: {path: "D:\\new\\table.csv"}',
            4,
            "where \\n is a line break; write 'D:\\new\\table.csv'",
        ),
        ("- embedded", '- table: {path: "D:\\data\\table.csv"}', 4, "or D:/data/table.csv"),
        ("- embedded", '- table: {path: "C:\\Users\\x.csv"}', 4, "write 'C:\\Users\\x.csv' or C:/Users/x.csv"),
        ('unit: "1"', "unit: 1", 8, 'text is expected, and 1 without quotes is none; write unit: "1"'),
        ("name: films", "name: true", 1, 'write name: "true"'),
        ("name: films", "name: 2024", 1, 'write name: "2024"'),
    ],
)
def test_one_slip_is_one_problem_with_its_line_and_the_mend(
    old: str, new: str, line: int, message: str, tmp_path: Path
) -> None:
    (problem,) = problems_of(tmp_path, old, new)
    assert problem.line == line
    assert message in problem.message


def test_every_slip_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    text = (
        GOOD.replace("value: 2.5", "value: 2,5").replace("value: 0.5", "value: 0,5").replace("size: 3", "size: three")
    )
    path = tmp_path / "campaign.yaml"
    path.write_text(text, "utf-8")
    found = inspect_campaign(path).problems
    assert [problem.line for problem in found] == [8, 11, 16]
    assert found[2].where == "shortlist.size"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("薄膜，第一批：氧化物", "“薄膜”　【一】"),
        ("- embedded", "- table: {path: 'D:\\new\\table.csv'}"),
        ("- embedded", '- table: {path: "D:\\\\new\\\\table.csv"}'),
        ("- embedded", "- table: D:/new/table.csv"),
        ("- embedded", "- embedded  # 全部，“已知”"),
        ("- embedded", '- embedded  # not "D:\\new\\table.csv"'),
    ],
)
def test_text_that_only_looks_like_a_slip_is_left_alone(old: str, new: str, tmp_path: Path) -> None:
    assert problems_of(tmp_path, old, new) == []


def test_an_item_with_a_problem_does_not_make_its_list_too_short(tmp_path: Path) -> None:
    text = GOOD.replace("  - property: energy_above_hull\n    goal: at_most\n    value: 0.5\n    unit: eV/atom\n", "")
    path = tmp_path / "campaign.yaml"
    path.write_text(text.replace("value: 2.5", "value: high"), "utf-8")
    (problem,) = inspect_campaign(path).problems
    assert problem.where == "targets.0.value"
