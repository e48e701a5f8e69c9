"""Whatever a lab may read stands in English and in Chinese: in the code, in the templates, on the page."""

import ast
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.screening.report.run_directories import make_run

ROOT = Path(__file__).parents[3]
FOLDERS = ("data", "featurizers", "models", "screening", "workflows")
TEMPLATES = sorted((ROOT / "screening").glob("*/templates/*.j2"))
CHINESE = re.compile("[\u4e00-\u9fff]")
CHINESE_OR_ITS_MARKS = re.compile("[\u3001-\u3011\u4e00-\u9fff\uff01-\uff5e]")
ENGLISH = re.compile("[a-z]{3}")
SENTENCE = re.compile(r"[A-Za-z]*[a-z]{2,},? [a-z]{2,}")


class Pair(NamedTuple):
    """A text in both languages, and where it stands."""

    place: str
    en: str
    zh: str


def problem(pair: Pair, *, chinese: re.Pattern[str] = CHINESE) -> str:
    """What is wrong with a pair; empty where nothing is."""
    if CHINESE.search(pair.en):
        return f"{pair.place}: Chinese in the English text: {pair.en}"
    if ENGLISH.search(pair.en) and not chinese.search(pair.zh):
        return f"{pair.place}: no Chinese for: {pair.en}"
    return ""


def written_text(node: ast.expr) -> str | None:
    """The words in a literal or f-string, with 字 for Chinese from elsewhere; None if made elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "字" * ("zh" in ast.unparse(part))
            for part in node.values
        )
    return None


def pairs_in_code(source: str, place: str) -> list[Pair]:
    """The literal texts of every ``Words(en, zh)`` and ``Label(en, zh)``."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Words", "Label"):
            texts = [written_text(argument) for argument in node.args]
            if len(texts) == 2 and texts[0] is not None and texts[1] is not None:
                found.append(Pair(f"{place}:{node.lineno}", texts[0], texts[1]))
    return found


def pairs_in_template(source: str, place: str) -> list[Pair]:
    """The literal texts of every ``tr(en, zh)``."""
    literal = r'"((?:[^"\\]|\\.)*)"'
    return [Pair(place, *texts) for texts in re.findall(rf"\btr\({literal},\s*{literal}\)", source)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_texts_in_the_code_are_translated(folder: str) -> None:
    pairs = [
        pair
        for path in sorted((ROOT / folder).rglob("*.py"))
        for pair in pairs_in_code(path.read_text("utf-8"), path.relative_to(ROOT).as_posix())
    ]
    assert len(pairs) > {"featurizers": 20, "screening": 100}.get(folder, -1)
    assert not list(filter(None, map(problem, pairs)))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_texts_in_the_templates_are_translated(template: Path) -> None:
    source = template.read_text("utf-8")
    pairs = pairs_in_template(source, template.name)
    assert len(pairs) == len(re.findall(r"\btr\((?!en, zh\))", source))  # none is overlooked
    assert not list(filter(None, map(problem, pairs)))


QUOTED = "sources"
"""Class of the list of publications, which are cited in their own language."""


class Languages(HTMLParser):
    """The texts of a page: those in English alone, in Chinese alone, and those that every reader sees.

    What is quoted is left out: the campaign, licences, publications, and the title that the user gave.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.en: list[str] = []
        self.zh: list[str] = []
        self.shared: list[str] = []
        self._within: list[tuple[str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("meta", "br", "input", "col", "hr", "img", "link"):
            return
        here = dict(attrs)
        language = "" if tag == "html" else here.get("lang") or ""
        if language:
            (self.en if language == "en" else self.zh).append("")
        self._within.append((QUOTED if here.get("class") == "sources" else tag, language))

    def handle_endtag(self, tag: str) -> None:
        while self._within and self._within.pop()[0] not in (tag, QUOTED):
            pass

    def handle_data(self, data: str) -> None:
        languages = [language for _, language in self._within if language]
        if languages:
            (self.en if languages[0] == "en" else self.zh)[-1] += data
        elif not {tag for tag, _ in self._within} & {"script", "style", "code", "pre", "title", "h1", QUOTED}:
            self.shared.append(data)


def problems_of_page(html: str) -> list[str]:
    """Texts of a page that readers of one language would miss."""
    page = Languages(html)
    found = [f"for all readers: {text.strip()}" for text in page.shared if SENTENCE.search(text)]
    if len(page.en) != len(page.zh):
        return [*found, f"{len(page.en)} texts in English, {len(page.zh)} in Chinese"]
    pairs = [Pair("page", " ".join(en.split()), zh) for en, zh in zip(page.en, page.zh, strict=True)]
    return [*found, *filter(None, (problem(pair, chinese=CHINESE_OR_ITS_MARKS) for pair in pairs))]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_run(tmp_path_factory.mktemp("page") / "run", "band_gap", "refractive_index", "energy_above_hull")


def test_every_text_of_the_page_is_there_for_both_readers(page: str) -> None:
    assert len(Languages(page).en) > 100
    assert not problems_of_page(page)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("代理模型", "surrogates"),
        ('<span lang="zh-CN">排序</span>', ""),
        ('<span lang="en">Shortlist</span><span lang="zh-CN">入选名单</span>', "List of finalists"),
        ('<span lang="en">Shortlist</span>', '<span lang="en">入选名单</span>'),
    ],
)
def test_a_text_that_lacks_a_language_is_seen(old: str, new: str, page: str) -> None:
    assert old in page
    assert problems_of_page(page.replace(old, new))


def test_a_text_that_was_never_translated_is_seen() -> None:
    source = 'Words("outside", "outside"), Words(f"{n} rows", f"{n} 行"), Words("eV", "eV"), Words("外", "外")'
    assert [bool(problem(pair)) for pair in pairs_in_code(source, "here")] == [True, False, False, True]
    template = 'tr("rank", "排序") tr("origin", "")'
    assert [bool(problem(pair)) for pair in pairs_in_template(template, "here")] == [False, True]
