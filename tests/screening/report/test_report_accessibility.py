"""The report for readers who use a keyboard, a screen reader, another language, a small window or paper."""

import itertools
import os
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from matloop.screening.report.page import asset
from tests.screening.report.run_directories import Page, make_run

BROWSER = os.environ.get("MATLOOP_TEST_BROWSER") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with several finalists."""
    folder = tmp_path_factory.mktemp("run") / "run"
    make_run(folder, "band_gap", "refractive_index", "energy_above_hull", places=4)
    return folder / "report.html"


@pytest.fixture(scope="module")
def html(path: Path) -> str:
    return path.read_text("utf-8")


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Ratio of contrast of two colours, 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def colours() -> dict[str, str]:
    """The colours that the style sheet names."""
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", asset("templates/report.css")))


def test_text_can_be_told_from_what_is_behind_it() -> None:
    named = colours()
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for text in ("ink", "soft", "faint", "blue"):
        for ground in ("#ffffff", named["wash"], "#fdf3ec"):  # the page, notes, rows of the shortlist
            assert contrast(named[text], ground) >= 4.5, (text, ground)
    assert contrast("#ffffff", named["orange"]) >= 4.5  # places
    style = asset("templates/report.css")
    texts = set(re.findall(r"[{;] ?color: (#[0-9a-f]{6})", style))
    assert "#a8320a" in texts
    assert all(contrast(colour, "#ffffff") >= 4.5 for colour in texts)


def test_headings_follow_one_another(html: str) -> None:
    levels = [int(tag[1]) for tag, _ in Page(html).elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert {2, 3, 4} <= set(levels)


def test_the_page_says_what_language_it_is_in(html: str) -> None:
    page = Page(html)
    assert [a["lang"] for tag, a in page.elements if tag == "html"] == ["en"]
    assert set(page.attributes("lang")) == {"en", "zh-CN"}
    assert [a["lang"] for _, a in page.elements if "data-choose" in a] == ["en", "zh-CN"]
    hides = re.search(r":root\[data-language=\"en\"\].*?\{ display: none; \}", asset("templates/report.css"), re.DOTALL)
    assert hides is not None
    assert hides[0].count("[data-choose]") == 2  # the way back to the other language stays in sight


def test_headings_of_the_sorted_table_are_buttons(html: str) -> None:
    table = html[html.index('id="ranked-table"') : html.index("</thead>", html.index('id="ranked-table"'))]
    headings = re.findall(r"<th [^>]*>.*?</th>", table, re.DOTALL)
    assert len(headings) == 5 + 2 * 3
    assert all(heading.count('<button type="button"') == 1 for heading in headings)
    assert all('scope="col"' in heading for heading in headings)
    assert ["aria-sort" in heading for heading in headings] == [True] + [False] * 10  # it comes sorted by rank
    assert "onclick" not in table


def test_every_heading_of_a_table_says_what_it_heads(html: str) -> None:
    scopes = [a.get("scope") for tag, a in Page(html).elements if tag == "th"]
    assert len(scopes) > 30
    assert set(scopes) == {"col", "row"}


def test_what_scrolls_can_be_reached_by_keyboard(html: str) -> None:
    scrolling = [a for _, a in Page(html).elements if a.get("class") == "scroll"]
    assert len(scrolling) >= 5
    for attributes in scrolling:
        assert (attributes["role"], attributes["tabindex"]) == ("region", "0")
        assert attributes.get("aria-label") or attributes.get("aria-labelledby")


def test_on_paper_nothing_longer_than_a_page_is_kept_together() -> None:
    style = asset("templates/report.css")
    rules = re.findall(r"([^{}]+)\{[^{}]*break-inside: avoid[^{}]*\}", style)
    kept = {
        selector.strip() for rule in rules for selector in re.sub(r"/\*.*?\*/", "", rule, flags=re.DOTALL).split(",")
    }
    assert ".card-body" in kept
    assert not kept & {".card", ".surrogate", "section", "article", "table"}


def browse(html: str, folder: Path, *options: str) -> bytes:
    """What headless Chromium writes of a page."""
    page = folder / "page.html"
    page.write_text(html, "utf-8")
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=15000", *options, page.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, timeout=300).stdout


@needs_browser
def test_the_table_is_sorted_by_keyboard(html: str, tmp_path: Path) -> None:
    script = """<script>
      const heading = document.querySelectorAll("#ranked-table th")[3];
      const button = heading.querySelector("button");
      const told = [];
      for (const turn of [1, 2]) {
        button.focus();
        document.activeElement.click(); // what the browser does when Enter is pressed on a button
        const rows = [...document.querySelectorAll("#ranked-table tbody tr")];
        const values = rows.map((row) => Number(row.cells[3].dataset.value) * (turn === 1 ? 1 : -1));
        const sorted = values.every((value, at) => !at || value >= values[at - 1]);
        told.push(heading.getAttribute("aria-sort"), sorted, document.querySelectorAll("[aria-sort]").length);
      }
      document.querySelector('[data-choose="zh"]').click();
      told.push(document.documentElement.lang, document.querySelector('[data-choose="en"]').getClientRects().length);
      document.body.dataset.told = told.join(" ");
    </script>"""
    open_page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    found = browse(open_page.replace("</body>", script + "</body>"), tmp_path, "--dump-dom").decode("utf-8")
    told = re.search(r'data-told="([^"]*)"', found)
    assert told is not None
    assert told[1] == "ascending true 1 descending true 1 zh-CN 1"


def pages_of(pdf: bytes) -> list[int]:
    """How many runs of glyphs each page of a PDF by Chromium shows."""
    objects = {int(number): body for number, body in re.findall(rb"(\d+) 0 obj(.*?)endobj", pdf, re.DOTALL)}
    counts = []
    for body in objects.values():
        if re.search(rb"/Type\s*/Page\b", body):
            (content,) = re.findall(rb"/Contents (\d+) 0 R", body)
            stream = objects[int(content)].partition(b"stream")[2].lstrip(b"\r\n")
            counts.append(len(re.findall(rb"\bT[jJ]\b", zlib.decompressobj().decompress(stream))))
    return counts


@needs_browser
def test_no_page_is_printed_empty(html: str, tmp_path: Path) -> None:
    browse(html, tmp_path, f"--print-to-pdf={tmp_path / 'page.pdf'}", "--no-pdf-header-footer")
    pages = pages_of((tmp_path / "page.pdf").read_bytes())
    assert 4 <= len(pages) <= 14
    assert min(pages[:-1]) > 20, pages


@needs_browser
@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_is_not_wider_than_the_window(width: int, html: str, tmp_path: Path) -> None:
    script = """<script>addEventListener("load", () => {
      document.body.dataset.told = document.documentElement.scrollWidth - innerWidth;
    });</script>"""
    open_page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    page = open_page.replace("</body>", script + "</body>")
    found = browse(page, tmp_path, f"--window-size={width},900", "--hide-scrollbars", "--dump-dom").decode("utf-8")
    told = re.search(r'data-told="(-?\d+)"', found)
    assert told is not None
    assert int(told[1]) <= 0
