"""Identifiers in texts are links, and nothing else is."""

import re

import pytest
from markupsafe import Markup

from matloop.screening.language.links import linked
from matloop.screening.language.text import Words

MATERIAL = "https://next-gen.materialsproject.org/materials/"


def links_of(text: str) -> list[tuple[str, str]]:
    """Address and text of each link."""
    return re.findall(r'<a href="([^"]*)" rel="noreferrer noopener">([^<]*)</a>', str(linked(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mp-149", [("mp-149", "mp-149")]),
        ("0.71 TiO2 (mp-554278) + 0.29 La2O3 (mp-557691)", [("mp-554278",) * 2, ("mp-557691",) * 2]),
        ("mp-1, mp-2, ... (5)", [("mp-1",) * 2, ("mp-2",) * 2]),
        ("x-mp-149, amp-12, mp-, mp-12a, mp-149-GGA, runs/mp-149", []),
    ],
)
def test_ids_of_the_materials_project(text: str, expected: list[tuple[str, str]]) -> None:
    assert links_of(text) == [(MATERIAL + name, shown) for name, shown in expected]


@pytest.mark.parametrize(
    ("before", "shown", "after", "doi"),
    [
        ("Sci. Data 2 (2015), ", "doi:10.1038/sdata.2015.53", "", "10.1038/sdata.2015.53"),
        ("(see ", "doi:10.1063/1.4812323", ").", "10.1063/1.4812323"),
        ("", "DOI: 10.1016/0022-0248(94)90411-1", ", p. 2", "10.1016/0022-0248(94)90411-1"),
        ("at ", "https://doi.org/10.1107/S0567739476001551", "", "10.1107/S0567739476001551"),
    ],
)
def test_publications(before: str, shown: str, after: str, doi: str) -> None:
    assert links_of(before + shown + after) == [(f"https://doi.org/{doi}", shown)]
    assert Markup(linked(before + shown + after)).striptags() == before + shown + after


def test_hostile_text_stays_text() -> None:
    text = 'doi:10.1/x doi:10.1000/"onclick="alert(1) <a href="javascript:x">mp-1</a>'
    found = str(linked(text))
    assert '<a href="javascript' not in found
    assert [address for address, _ in re.findall(r'<a href="([^"]*)" (\w+)', found)] == [
        "https://doi.org/10.1000/&#34;onclick=&#34;alert(1)", MATERIAL + "mp-1",
    ]  # fmt: skip


def test_both_languages_have_the_link() -> None:
    words = linked(Words("from mp-1", "来自 mp-1"))
    assert isinstance(words, Words)
    assert all(MATERIAL + "mp-1" in text for text in words)
    assert str(linked(Markup("Fe<sub>2</sub> (mp-2)"))).startswith("Fe<sub>2</sub> (<a ")
