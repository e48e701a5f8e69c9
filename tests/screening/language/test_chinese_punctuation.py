"""Chinese texts have full-width punctuation: in the code, in the templates, on the page."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.screening.language.test_both_languages import (
    FOLDERS,
    QUOTED,
    ROOT,
    TEMPLATES,
    pairs_in_code,
    pairs_in_template,
)
from tests.screening.report.run_directories import make_run

CHINESE = re.compile("[\u4e00-\u9fff]")
HALF_WIDTH = re.compile(
    r"[\u4e00-\u9fff\uff00-\uffef\u3000-\u303f]([,;:!?]| ?[()])"  # behind a Chinese character or mark
    r"|[,;:!?][\u4e00-\u9fff]|[()] ?[\u4e00-\u9fff]"  # before one
    r"|[,;:!?](?=\s|$)"  # between words of a Chinese sentence
    r"|(?<![A-Z])\. ?(?=[\u4e00-\u9fff]|$)"  # at the end of one
)
BLOCKS = {
    "article", "aside", "body", "div", "dd", "dt", "figcaption", "figure", "h1", "h2", "h3", "h4", "header", "li",
    "main", "nav", "ol", "p", "section", "summary", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
NOT_READ = {"script", "style", "code", "pre", "title", "svg"}


def half_width_marks(text: str) -> list[str]:
    """Half-width marks in a text that is Chinese, with what stands around them."""
    if not CHINESE.search(text):
        return []
    return [text[max(found.start() - 12, 0) : found.end() + 12] for found in HALF_WIDTH.finditer(text)]


class ChinesePage(HTMLParser):
    """What a reader of Chinese sees of a page, block by block; publications are quoted as they are."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.blocks = [""]
        self._within: list[tuple[str, bool]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in BLOCKS or tag == "br" or given.get("class") in ("cell", "hint", "elements", "download"):
            self.blocks.append("")
        if tag in ("meta", "br", "input", "link", "img", "path", "circle", "line", "rect", "use", "stop", "i"):
            return
        hidden = tag in NOT_READ or given.get("class") == QUOTED or (tag != "html" and given.get("lang") == "en")
        self._within.append((tag, hidden))

    def handle_endtag(self, tag: str) -> None:
        while self._within and self._within.pop()[0] != tag:
            pass
        if tag in BLOCKS:
            self.blocks.append("")

    def handle_data(self, data: str) -> None:
        if not any(hidden for _, hidden in self._within):
            self.blocks[-1] += data


def problems_of_page(html: str) -> list[str]:
    """Half-width marks that a reader of Chinese meets on a page."""
    return [mark for block in ChinesePage(html).blocks for mark in half_width_marks(" ".join(block.split()))]


@pytest.mark.parametrize("folder", FOLDERS)
def test_texts_in_the_code(folder: str) -> None:
    found = {
        f"{pair.place}: {mark}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for pair in pairs_in_code(path.read_text("utf-8"), path.relative_to(ROOT).as_posix())
        for mark in half_width_marks(pair.zh.strip())
    }
    assert not found


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_texts_in_the_templates(template: Path) -> None:
    pairs = pairs_in_template(template.read_text("utf-8"), template.name)
    assert not [mark for pair in pairs for mark in half_width_marks(pair.zh.strip())]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_run(tmp_path_factory.mktemp("page") / "run", "band_gap", "refractive_index", "energy_above_hull")


def test_the_page(page: str) -> None:
    assert sum(bool(CHINESE.search(block)) for block in ChinesePage(page).blocks) > 80
    assert not problems_of_page(page)


def test_half_width_marks_are_seen(page: str) -> None:
    for text in ("带隙(eV)", "带隙: 1.5", "带隙, 折射率", "若 x < 1; 则", "已收敛.", "是否可信?"):
        assert half_width_marks(text)
    for text in ("带隙（eV）", "Ba(PO3)2 的带隙：1.5 eV", "1,056 个晶体", "a = 1, b = 2", "Jin 与 Candès 2023。"):
        assert not half_width_marks(text)
    assert problems_of_page(page.replace("代理模型的可信程度", "代理模型: 可信程度"))
