"""Tables on a terminal of any width: a cell with a number or an interval is never broken.

Where a table is too wide, it goes on below with its first columns repeated. Only sentences break, between words.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from matloop.data.plain_text import one_line

_GAP = 2  # columns of the terminal between two columns of a table
_LEAST_SENTENCE = 24
_LEAST_HEADING = 9
_LONGEST_UNBROKEN = 48


class Heading(NamedTuple):
    """A column of a table.

    Attributes:
        text: What stands above it.
        right: Whether its cells stand to the right, as counts do.
        breaks: Whether its cells are sentences, which may break between words.
    """

    text: str
    right: bool = False
    breaks: bool = False


def print_table(
    console: Console, title: str, headings: Sequence[Heading], rows: Sequence[Sequence[str]], *, keys: int = 1
) -> None:
    """Print a table as one, or as several below each other.

    Args:
        console: Where to; its width decides.
        title: A line above the table; empty for none.
        headings: The columns.
        rows: Cells of each row; they may come from anywhere and are cleaned here.
        keys: How many of the first columns tell what a row is about; they are repeated in every part.
    """
    if title:
        console.print(Text(one_line(title)))
    for part in table_parts(headings, rows, width=console.width, keys=keys):
        console.print(part)


def table_parts(
    headings: Sequence[Heading], rows: Sequence[Sequence[str]], *, width: int, keys: int = 1
) -> Iterator[Table]:
    """The tables that hold all columns within a width, as far as single cells allow it."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    columns = [[row[at] for row in cells] for at in range(len(headings))]
    least = [_least_width(heading, column) for heading, column in zip(headings, columns, strict=True)]
    whole = [max(size, cell_len(heading.text)) for size, heading in zip(least, headings, strict=True)]
    if sum(size + _GAP for size in whole) - _GAP <= width:
        least = whole  # no heading need break
    repeated, chosen = list(range(keys)), list[int]()
    for at in range(keys, len(headings)):
        if chosen and sum(least[k] + _GAP for k in [*repeated, *chosen, at]) - _GAP > width:
            yield _table(headings, columns, least, [*repeated, *chosen])
            chosen = []
        chosen.append(at)
    yield _table(headings, columns, least, [*repeated, *chosen])


def _least_width(heading: Heading, column: Sequence[str]) -> int:
    """The least width at which a column can be read."""
    words = [cell_len(word) for word in heading.text.split()]
    words.append(min(cell_len(heading.text), _LEAST_HEADING))
    longest = max(map(cell_len, column), default=0)
    if not _may_break(heading, column):
        return max(*words, longest)
    words += [cell_len(word) for cell in column for word in cell.split()]
    return min(max(*words, min(longest, _LEAST_SENTENCE)), _LONGEST_UNBROKEN)


def _may_break(heading: Heading, column: Sequence[str]) -> bool:
    """Whether cells may break: sentences, and names so long that no terminal has room for them."""
    return heading.breaks or any(cell_len(cell) > _LONGEST_UNBROKEN for cell in column)


def _table(
    headings: Sequence[Heading], columns: Sequence[Sequence[str]], least: Sequence[int], chosen: Sequence[int]
) -> Table:
    table = Table(box=None, pad_edge=False)
    for at in chosen:
        heading = headings[at]
        breaks = _may_break(heading, columns[at])
        text = heading.text if breaks else "\n".join(textwrap.wrap(heading.text, max(least[at], 1)))
        table.add_column(
            Text(text), justify="right" if heading.right else "left", vertical="top", no_wrap=not breaks,
            min_width=least[at], overflow="fold",
        )  # fmt: skip
    for row in zip(*(columns[at] for at in chosen), strict=True):
        table.add_row(*map(Text, row))
    return table
