"""Campaign files that try to run code, to exhaust the reader, or are no campaigns at all (S5)."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.errors import CampaignError
from matloop.screening.campaign.campaign_file import inspect_campaign, read_campaign

SECONDS = 30.0  # generous: other processes share the machine


def refusal(path: Path, content: str | bytes) -> str:
    """What the only problem of a file is said to be."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    started = time.perf_counter()
    text = inspect_campaign(path)
    assert time.perf_counter() - started < SECONDS
    assert text.campaign is None
    (problem,) = text.problems
    assert len(str(problem)) < 500
    with pytest.raises(CampaignError, match="E-CAMPAIGN"):
        read_campaign(path)
    return str(problem)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "campaign.yaml"


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system [touch ran]",
        "!!python/object/apply:pathlib.Path.touch [ran]",
        "!!python/object/new:os.system [touch ran]",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/tuple [1, 2]",
        "!<tag:yaml.org,2002:python/object/apply:os.system> [touch ran]",
        "!custom {a: 1}",
        "!include other.yaml",
    ],
)
def test_no_tag_makes_an_object(tag: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    assert "could not determine a constructor" in refusal(path, f"name: example\nseed: {tag}\n")
    assert "could not determine a constructor" in refusal(path, f"name: example\n? {tag}\n: 1\n")
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: example\ntitle: &text x\nseed: *text\n", 2),
        ("name: example\nseed: *text\n", 2),
        ("name: &a [*a]\n", 1),
        ("&a name: x\n? *a\n: y\n", 1),
        ("name: x\n\n<<: *a\n", 3),
        ("name: &a x\ntitle: &a y\n", 1),
    ],
)
def test_anchors_and_aliases_are_refused(text: str, line: int, path: Path) -> None:
    reason = refusal(path, text)
    assert reason.startswith(f"line {line}: ")
    assert "aliases (*name) are not allowed" in reason


def test_alias_bomb_is_refused_at_once(path: Path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 15)]
    assert "aliases" in refusal(path, "\n".join(levels))


@pytest.mark.parametrize(
    "version", ["%YAML 1.1", "%YAML 1.2", "# comment\n\n%YAML 1.1", "%TAG ! tag:example.org,2000:"]
)
def test_a_directive_is_refused(version: str, path: Path) -> None:
    """YAML 1.1 would read nobelium as false."""
    reason = refusal(path, f"{version}\n---\nfilters: [exclude_elements: [No]]\n")
    assert "directives (%...) are not allowed" in reason
    assert reason.startswith(f"line {1 + version.count(chr(10))}: ")


@pytest.mark.parametrize(
    "text",
    [
        "name: " + "[" * 50 + "]" * 50,
        "name: " + "[" * 3000 + "]" * 3000,
        "name: " + "{a: " * 40_000,
        "name:\n" + "- " * 90_000,
        "\n".join(" " * depth + "a:" for depth in range(500)),
    ],
    ids=["fifty", "brackets", "open braces", "dashes", "indentation"],
)
def test_deep_nesting_is_refused(text: str, path: Path) -> None:
    assert "nested more than 20 levels deep" in refusal(path, text)


def test_too_many_values_are_refused(path: Path) -> None:
    assert "too large" in refusal(path, "name: [" + "1," * 50_000 + "]")


def test_too_large_a_file_is_refused_unread(path: Path) -> None:
    assert refusal(path, "name: example # " + "x" * 200_000) == "the file has more than 200000 bytes"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse
    assert str(inspect_campaign(path).problems[0]) == "the file has more than 200000 bytes"


def test_a_number_of_ten_thousand_digits_is_refused(path: Path) -> None:
    told = refusal(path, "name: a\nseed: " + "9" * 10_000)
    assert told == "line 2: a number of 10,000 digits; the longest has 300"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: \xff\n", "not UTF-8 (byte 6)"),
        ("name: 盐\n".encode("gbk"), "not UTF-8 (byte 6)"),
        ("name: example\n".encode("utf-16"), "not UTF-8 (byte 0)"),
        (b"name: \x07bell\n", "special characters are not allowed"),
        (b"name: a\x00b\n", "special characters are not allowed"),
        ("", "must be a mapping"),
        ("\n\n# nothing but a comment\n", "must be a mapping"),
        ("null\n", "must be a mapping"),
        ("- name: example\n- seed: 1\n", "must be a mapping"),
        ("example\n", "must be a mapping"),
        ("42\n", "must be a mapping"),
        ("name: a\n---\nname: b\n", "another document"),
        ("name: a\nname: b\n", 'line 2: not valid YAML: found duplicate key "name"'),
        ("shortlist:\n  size: 1\n  size: 2\n", 'line 3: not valid YAML: found duplicate key "size"'),
        ("sources:\n  - embedded: {a: 1, a: 2}\n", 'line 2: not valid YAML: found duplicate key "a"'),
        ("name: [a\nseed: 1\n", "line 2: not valid YAML"),
        ("name: a\n\tseed: 1\n", "line 2: a tab at its beginning; indent with blanks"),
        ("name: 'a\n", "not valid YAML"),
        ("{a: b}: 1\n", "unhashable key"),
    ],
)
def test_what_is_no_campaign_is_refused_with_a_reason(content: str | bytes, message: str, path: Path) -> None:
    assert message in refusal(path, content)


def test_a_key_that_is_no_text_is_refused(path: Path) -> None:
    path.write_text("? [a, b]\n: 1\n", encoding="utf-8")
    found = inspect_campaign(path)
    assert found.campaign is None
    assert any("a key is text" in problem.message for problem in found.problems)


pieces = st.sampled_from(
    "name: seed: sources: targets: surrogates: shortlist: - [ ] { } , : ? | > & * ! % @ ` ' \" # -- --- ... << ~ null "
    "No 1 1e-3 .nan .inf magpie &a *a !!str !!set !!binary !!python/name:os 0x1 é 中 \ufeff \u2028 \x85 \x00".split(" ")
)
documents = st.lists(st.tuples(pieces, st.sampled_from(["", " ", "\n", "\n  ", "\n    "])), max_size=25).map(
    lambda parts: "".join(piece + space for piece, space in parts)
)


@given(documents | st.text(max_size=60))
def test_no_text_raises_anything_but_problems(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("campaign") / "campaign.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    found = inspect_campaign(path)
    assert found.campaign is None
    assert found.problems
    assert all(isinstance(str(problem), str) for problem in found.problems)


@given(st.binary(max_size=80))
def test_no_bytes_raise_anything_but_problems(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("campaign") / "campaign.yaml"
    path.write_bytes(content)
    assert inspect_campaign(path).problems
