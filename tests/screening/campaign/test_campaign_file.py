from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from matloop.data.errors import CampaignError
from matloop.data.properties.packaged_properties import PACKAGED_PROPERTIES
from matloop.screening.campaign.campaign import Campaign, Shortlist
from matloop.screening.campaign.campaign_file import (
    Problem,
    campaign_error,
    inspect_campaign,
    read_campaign,
    write_campaign,
)
from matloop.screening.campaign.entry import Entry
from matloop.screening.campaign.stage_settings import SurrogateStage
from matloop.screening.campaign.target import Target

GOOD = """\
# Line 1 is a comment.
name: example
title: Å and 中文
seed: 3
sources:
  - ionic_substitution: {limit: 1000, min_probability: 1e-3}
  - embedded
filters:
  - exclude_elements: [No, Y, N, Cd]
  - exclude_radioactive
targets:
  - {property: energy_above_hull, goal: at_most, value: 50, unit: meV/atom}
  - property: refractive_index
    goal: at_least
    value: 2.2
    unit: "1"
surrogates:
  features: [magpie, density]
  family: extra_trees
  keep: 2e2
shortlist:
  size: 3
  diversity: 0.25
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "campaign.yaml"


def problems_of(path: Path, text: str) -> list[Problem]:
    path.write_text(text, encoding="utf-8")
    found = inspect_campaign(path)
    assert (found.campaign is None) == bool(found.problems)
    return found.problems


def test_a_good_campaign(path: Path) -> None:
    assert problems_of(path, GOOD) == []
    campaign = read_campaign(path)
    assert (campaign.name, campaign.title, campaign.seed) == ("example", "Å and 中文", 3)
    assert campaign.sources[1] == Entry(name="embedded")
    assert campaign.targets[0].range((0, 0)) == (float("-inf"), pytest.approx(0.05))
    assert campaign.surrogates.keep == 200


def test_yaml_traps(path: Path) -> None:
    path.write_text(GOOD, encoding="utf-8")
    campaign = read_campaign(path)
    assert campaign.filters[0].argument == ["No", "Y", "N", "Cd"]  # nobelium, not false
    assert campaign.sources[0].options == {"limit": 1000, "min_probability": 0.001}  # a number, not text


def test_byte_order_mark_and_line_ends_of_windows(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert read_campaign(path).title == "Å and 中文"
    path.write_bytes(GOOD.replace("seed: 3", "sed: 3").replace("\n", "\r\n").encode())
    assert [problem.line for problem in inspect_campaign(path).problems] == [4]


@pytest.mark.parametrize(
    ("old", "new", "line", "where", "message"),
    [
        ("seed: 3", "sed: 3", 4, "sed", "unknown key 'sed'; did you mean 'seed'?"),
        (
            "seed: 3",
            "paint: red",
            4,
            "paint",
            "unknown key 'paint'; allowed: name, title, title_zh, seed, sources, properties, data, known, filters",
        ),
        ("value: 50", "valu: 50", 12, "targets.0.valu", "unknown key 'valu'; did you mean 'value'?"),
        ("    goal:", "    gaol:", 14, "targets.1.gaol", "unknown key 'gaol'; did you mean 'goal'?"),
        ("keep: 2e2", "kep: 200", 20, "surrogates.kep", "unknown key 'kep'; did you mean 'keep'?"),
        ("diversity:", "divercity:", 23, "shortlist.divercity", "unknown key 'divercity'; did you mean 'diversity'?"),
        ("seed: 3", "seed: three", 4, "seed", "a whole number is expected (got 'three')"),
        ("seed: 3", "seed: 1.5", 4, "seed", "(got 1.5)"),
        ("seed: 3", "seed: -1", 4, "seed", "of at least 0 is expected (got -1)"),
        ("name: example", "name: ../../etc", 2, "name", "(got '../../etc')"),
        ("value: 50", "value: .nan", 12, "targets.0.value", "finite number"),
        ("value: 50", "value: .inf", 12, "targets.0.value", "finite number"),
        ("    value: 2.2", "    value: high", 15, "targets.1.value", "(got 'high')"),
        (
            'unit: "1"',
            "unit: 1",
            16,
            "targets.1.unit",
            'text is expected, and 1 without quotes is none; write unit: "1"',
        ),
        ("goal: at_most", "goal: lowest", 12, "targets.0.goal", "(got 'lowest')"),
        ("goal: at_most, value: 50", "goal: window, lower: 2, upper: 1", 12, "targets.0", "lower < upper"),
        ("refractive_index", "energy_above_hull", 2, "", "two targets for one property"),
        ("- embedded", "- 5", 7, "sources.1", "write a name, or one name with its options"),
        ("- embedded", "-", 7, "sources.1", "write a name"),
        ("- exclude_radioactive", "- {a: 1, b: 2}", 10, "filters.1", "write a name"),
        ("size: 3", "size: 0", 22, "shortlist.size", "larger than 0 is expected (got 0)"),
        ("[magpie, density]", "magpie", 18, "surrogates.features", "a list is expected"),
        ("title: Å and 中文", "title: 2020-01-01", 3, "title", 'write title: "2020-01-01"'),
        ("title: Å and 中文", "5: 6", 2, "5", "a key is text"),
    ],
)
def test_problems_are_named_with_their_line(
    old: str, new: str, line: int, where: str, message: str, path: Path
) -> None:
    found = problems_of(path, GOOD.replace(old, new, 1))
    matching = [problem for problem in found if message in problem.message]
    assert len(matching) == 1, found
    assert (matching[0].line, matching[0].where) == (line, where)


def test_missing_keys_are_named_at_the_line_of_what_lacks_them(path: Path) -> None:
    text = GOOD.replace("goal: at_most, ", "").replace("  keep: 2e2\n", "").replace("name: example\n", "")
    assert [str(problem) for problem in problems_of(path, text)] == [
        "line 2, name: is required",
        "line 11, targets.0.goal: is required",
        "line 16, surrogates.keep: is required",
    ]


def test_all_problems_are_told_at_once_in_the_order_of_lines(path: Path) -> None:
    text = GOOD.replace("seed: 3", "sed: 3").replace("value: 50", "valu: 50").replace("size: 3", "size: many")
    found = problems_of(path, text)
    assert [problem.line for problem in found] == [4, 12, 22]
    with pytest.raises(
        CampaignError, match=r"E-CAMPAIGN: campaign.yaml has 3 problems: line 4, sed: .*; line 12"
    ) as caught:
        read_campaign(path)
    assert caught.value.fix == f"matloop validate {path}"
    assert str(campaign_error(path, found)) == str(caught.value)


def test_a_long_value_is_cut_short(path: Path) -> None:
    (problem,) = problems_of(path, GOOD.replace("name: example", "name: " + "x" * 50_000))
    assert len(problem.message) < 250


def test_line_of_an_entry_and_of_what_encloses_it(path: Path) -> None:
    path.write_text(GOOD, encoding="utf-8")
    text = inspect_campaign(path)
    assert text.line_of(("targets", 1, "unit")) == 16
    assert text.line_of(("targets", 1, "lower")) == 13
    assert text.line_of(("targets", 0)) == 12
    assert text.line_of(("filters", 0, "exclude_elements", 3)) == 9
    assert text.line_of(("nowhere",)) == 2  # where the mapping begins


def test_problem_of_a_whole_file_has_no_line(tmp_path: Path) -> None:
    (problem,) = inspect_campaign(tmp_path / "gone.yaml").problems
    assert str(problem) == f"cannot read {tmp_path / 'gone.yaml'}: No such file or directory"
    (problem,) = inspect_campaign(tmp_path).problems
    assert str(problem).endswith("Is a directory")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text(st.sampled_from("abcXYZ_019"), min_size=1, max_size=12)
finite = st.floats(-1e300, 1e300)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | finite | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
entries = st.one_of(
    st.builds(Entry, name=texts),
    st.builds(Entry, name=texts, options=st.dictionaries(texts, values, min_size=1, max_size=3)),
    st.builds(Entry, name=texts, argument=st.lists(values, max_size=4) | texts | st.integers(0, 99) | finite),
)


families = texts | st.lists(texts, min_size=1, max_size=3, unique=True)
budgets = st.none() | st.builds("{}{}".format, st.integers(1, 999_999), st.sampled_from("smh"))


@st.composite
def targets(draw: st.DrawFn, name: str) -> Target:
    goal = draw(st.sampled_from(["maximize", "minimize", "at_least", "at_most", "window"]))
    numbers: dict[str, Any] = {"value": draw(finite)}
    if goal == "window":
        lower, upper = sorted([draw(finite), draw(finite)])
        numbers = {"lower": lower, "upper": upper} if lower < upper else {"lower": 0.0, "upper": 1.0}
    elif goal in ("maximize", "minimize") and draw(st.booleans()):
        numbers = {}
    unit, family = draw(texts), draw(st.none() | families)
    way = draw(st.sampled_from(["distribution", "classifier"]))
    return Target(property=name, goal=goal, unit=unit, family=family, probability=way, **numbers)


@st.composite
def campaigns(draw: st.DrawFn) -> Campaign:
    properties = draw(st.lists(st.sampled_from(sorted(PACKAGED_PROPERTIES)), min_size=1, max_size=4, unique=True))
    features = draw(st.lists(entries, min_size=1, max_size=2))
    return Campaign(
        name=draw(st.from_regex(r"\A[A-Za-z0-9._-]{1,80}\Z")),
        title=draw(texts),
        seed=draw(st.integers(0, 2**32 - 1)),
        sources=draw(st.lists(entries, min_size=1, max_size=3)),
        filters=draw(st.lists(entries, max_size=3)),
        targets=[draw(targets(name)) for name in properties],
        surrogates=SurrogateStage(
            features=features, family=draw(families), keep=draw(st.integers(1, 100_000)), budget=draw(budgets)
        ),
        shortlist=Shortlist(
            size=draw(st.integers(1, 1000)), diversity=draw(st.floats(0, 1)), explore=draw(st.booleans())
        ),
    )


def with_title(title: str, argument: Any = None) -> Campaign:
    stage = SurrogateStage(features=["magpie"], keep=1)
    goal = Target(property="band_gap", goal="maximize", unit="eV")
    source = Entry(name="No", argument=argument)
    return Campaign(
        name="1e3", title=title, sources=[source], targets=[goal], surrogates=stage, shortlist=Shortlist(size=1)
    )


@given(campaigns())
@example(
    with_title("No", ["No", "on", "y", "1e-3", "0o7", "1_000", "~", "null", "<<", "=", "2020-01-01", "1:30", ".nan"])
)
@example(with_title("# no comment", "a: b"))
@example(with_title("\x00 \x07 \x85 \u2028 \ufeff \x1b[31m"))
@example(with_title("%YAML 1.1", [1e-3, 1e300, 5e-324, -0.0, 10**12]))
def test_a_written_campaign_reads_back_the_same(tmp_path_factory: pytest.TempPathFactory, campaign: Campaign) -> None:
    path = tmp_path_factory.mktemp("campaign") / "campaign.yaml"
    text = write_campaign(campaign)
    path.write_text(text, encoding="utf-8")
    again = read_campaign(path)
    assert again == campaign
    assert write_campaign(again) == text
