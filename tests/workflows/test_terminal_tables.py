import io

import pytest
from rich.console import Console

from matloop.workflows.terminal_tables import Heading, print_table

HEADINGS = [
    Heading(""), Heading("formula"), Heading("P(all)"), Heading("band gap (eV)"), Heading("bulk modulus (GPa)"),
    Heading("what was said of it", breaks=True),
]  # fmt: skip
SENTENCE = "a sentence that is much longer than a terminal is wide"
ROWS = [
    [
        "1",
        "La2Ti4O11",
        "0.35",
        "2.66 [1.5, 3.7]",
        "181 [152, 209]",
        SENTENCE,
    ],
    ["2", "Zr3TiO8", "0.35", "2.93 [1.9, 3.9]", "201 [170, 233]", "short"],
]


def printed(width: int, rows: list[list[str]] = ROWS) -> list[str]:
    text = io.StringIO()
    print_table(Console(file=text, width=width), "A title", HEADINGS, rows, keys=2)
    return [line.rstrip() for line in text.getvalue().splitlines()]


@pytest.mark.parametrize("width", [42, 60, 80, 100, 200])
def test_cells_with_numbers_are_never_broken(width: int) -> None:
    lines = printed(width)
    assert max(map(len, lines)) <= width
    for row in ROWS:
        for cell in row[:5]:
            assert any(cell in line for line in lines), cell
    words = " ".join(" ".join(lines).split())
    for word in ROWS[0][5].split():
        assert word in words


def test_a_table_that_fits_is_one_table() -> None:
    lines = printed(200)
    assert len(lines) == 4
    assert lines[1].split() == [word for heading in HEADINGS for word in heading.text.split()]


def test_what_a_row_is_about_is_repeated_in_every_part() -> None:
    lines = printed(40)
    parts = sum("formula" in line for line in lines)
    assert parts > 1
    assert sum(line.startswith("2  Zr3TiO8") for line in lines) == parts


def test_names_beyond_any_terminal_break_and_nothing_is_lost() -> None:
    name = "x" * 300
    lines = printed(80, [["1", name, "0.35", "2.66 [1.5, 3.7]", "181 [152, 209]", "y"]])
    assert max(map(len, lines)) <= 80
    assert sum(line.count("x") for line in lines) >= 300
    assert any("2.66 [1.5, 3.7]" in line for line in lines)


def test_cells_are_cleaned() -> None:
    (line,) = [line for line in printed(200, [["1", "Si\x1b[31mO2\u202e", "", "", "", "[red]"]]) if "Si" in line]
    assert "\x1b" not in line
    assert "[red]" in line
