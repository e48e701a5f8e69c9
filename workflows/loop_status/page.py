"""How a loop stands, as one HTML file that opens from a disk without network, in English and Chinese."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from matloop.data.label import Label
from matloop.data.whole_files import write_text
from matloop.screening.language.text import Words
from matloop.screening.report.page import asset, cleaned, content_policy, page_template
from matloop.workflows.loop_status.standing import LoopStanding
from matloop.workflows.loop_status.standing_words import sections_of
from matloop.workflows.looping.decision_words import HEADINGS, TESTS, cells_of, comparisons_of

_TEMPLATES = Path(__file__).parent / "templates"


def write_loop_page(path: Path, standing: LoopStanding, *, language: str = "en") -> None:
    """Write the page of a loop.

    Args:
        path: The file.
        standing: What it shows.
        language: Language in which it opens, ``en`` or ``zh``; it holds both.
    """
    write_text(path, render_loop_page(standing, language=language))


def render_loop_page(standing: LoopStanding, *, language: str = "en") -> str:
    """The page of a loop as HTML; everything that comes from the records is escaped.

    Args:
        standing: What it shows.
        language: Language in which it opens, ``en`` or ``zh``.
    """
    script = (_TEMPLATES / "loop.js").read_text(encoding="utf-8")
    sections = [
        {"title": _words(title), "lines": [_words(line) for line in lines]} for title, lines in sections_of(standing)
    ]
    comparisons = [
        (one.at[:10], one.property_name, _words(TESTS[name]), *cells_of(found))
        for one in standing.decisions
        for name, found in comparisons_of(one).items()
    ]
    page = page_template(_TEMPLATES, "loop.html.j2").render(
        language=language,
        title=Words(f"The loop of {standing.campaign}", f"{standing.campaign} 的闭环"),
        sections=sections,
        headings=[_words(Label("day", "日期")), _words(Label("property", "性质")), *map(_words, HEADINGS)],
        comparisons=comparisons,
        style=Markup(asset("templates/report.css")),
        scripts=[Markup(script)],
        policy=content_policy([script]),
    )
    return cleaned(page)


def _words(label: Label) -> Words:
    return Words(label.en, label.zh)
