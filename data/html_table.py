"""Tables of HTML for notebooks: every cell is escaped, and long tables are cut."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from itertools import islice

from matloop.data.plain_text import one_line

MOST_ROWS = 20
_LONGEST = 200  # characters in a cell


def html_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, most_rows: int = MOST_ROWS) -> str:
    """Write a table as HTML.

    Args:
        headings: What stands above the columns.
        rows: Cells of each row; numbers are written with four digits.
        most_rows: Rows that are written; the others are left out.

    >>> html_table(["a"], [["<b>"], [0.123456]])
    '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr><tr><td>0.1235</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{html_text(heading)}</th>" for heading in headings)
    body = "".join(
        f"<tr>{''.join(f'<td>{html_text(cell)}</td>' for cell in row)}</tr>" for row in islice(rows, most_rows)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_text(cell: object) -> str:
    """One value as text of HTML; nothing in it is taken for markup."""
    if cell is None or cell != cell:  # nan
        return ""
    text = f"{cell:.4g}" if isinstance(cell, float) else one_line(str(cell))
    return html.escape(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")
