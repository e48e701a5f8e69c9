"""Options of registered things: their names and types, by the annotations of what makes them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from matloop.data.errors import CampaignError, MatloopError, UnknownNameError
from matloop.data.options import check_options
from matloop.featurizers.composition import Stoichiometry


class Thing:
    """Has an option of every type that ours have."""

    def __init__(
        self,
        path: str | Path,
        *,
        count: int = 3,
        share: float = 0.5,
        on: bool = True,
        names: Sequence[str] = (),
        pairs: Mapping[str, Sequence[float | str]] | None = None,
        kind: Literal["soft", "hard"] = "soft",
        limit: int | None = None,
    ) -> None: ...


@pytest.mark.parametrize(
    "options",
    [
        {"count": 0, "share": 1, "on": False, "names": ["a"], "kind": "hard", "limit": None},
        {"path": Path("t.csv"), "names": ("a", "b"), "pairs": {"Fe": [0.1, "1/3"]}},
        {"pairs": None, "share": -2.5e3},
    ],
)
def test_what_is_of_its_type_is_accepted(options: dict[str, Any]) -> None:
    check_options("thing", Thing, {"path": "t.csv", **options})


@pytest.mark.parametrize(
    ("option", "value", "got", "allowed", "fix"),
    [
        ("count", True, "true", "a whole number", "write count: 3, for example"),
        ("count", "7", '"7"', "a whole number", "write count: 7"),
        ("count", 2e9, "2000000000.0", "a whole number", "write count: 2000000000"),
        ("count", [7], "[7]", "a whole number", "write count: 7"),
        ("count", float("inf"), "inf, which is no finite number", "a whole number", "write count: 3, for example"),
        ("share", float("nan"), "nan, which is no finite number", "a number", "write share: 0.5, for example"),
        ("share", "0.25", '"0.25"', "a number", "write share: 0.25"),
        ("share", None, "null", "a number", "write share: 0.5, for example"),
        ("on", 1, "1", "true or false", "write on: true, for example"),
        ("names", "a", '"a"', "a list of texts", 'write names: ["a"]'),
        ("names", [["a"]], '[["a"]]', "a list of texts", "docs/campaign.md"),
        ("pairs", 5, "5", "keys with values, each value a list of numbers, or texts, or null", "docs/campaign.md"),
        ("pairs", {"Fe": [0.1, float("nan")]}, "which is no finite number", "keys with values", "docs/campaign.md"),
        ("limit", False, "false", "a whole number, or null", "docs/campaign.md"),
        ("path", 5, "5", "text", 'write path: "5"'),
    ],
)
def test_a_value_of_another_type_is_refused_in_plain_words(
    option: str, value: Any, got: str, allowed: str, fix: str
) -> None:
    with pytest.raises(CampaignError) as caught:
        check_options("thing", Thing, {"path": "t.csv", option: value})
    assert caught.value.got.startswith(f"option '{option}' of thing is ")
    assert got in caught.value.got
    assert allowed in caught.value.allowed
    assert fix in caught.value.fix
    assert not {"typing", "NoneType", "Sequence", "__init__"} & set(str(caught.value).replace("[", " ").split())


def test_a_word_that_is_none_of_the_choices_is_told_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'hard'") as caught:
        check_options("thing", Thing, {"path": "t.csv", "kind": "haard"})
    assert caught.value.allowed == "hard, soft"


def test_missing_and_unknown_options_are_named() -> None:
    with pytest.raises(CampaignError, match="thing without its option 'path'"):
        check_options("thing", Thing, {"count": 1})
    with pytest.raises(UnknownNameError, match="did you mean 'count'"):
        check_options("thing", Thing, {"path": "t.csv", "cont": 1})


def alone(*, count: int = 1) -> None: ...


@pytest.mark.parametrize(
    ("factory", "argument", "words"),
    [
        (Thing, 5, "option 'path' of thing is 5"),
        (Thing, True, "option 'path' of thing is true"),
        (alone, 5, "the value 5, which belongs to no option"),
        (Stoichiometry, 5, "write 'thing' alone"),
    ],
)
def test_a_value_without_a_name_is_checked_too(factory: Any, argument: Any, words: str) -> None:
    with pytest.raises(MatloopError, match=words):
        check_options("thing", factory, {}, argument=argument)
    check_options("thing", Thing, {}, argument="t.csv")


def test_what_has_no_annotations_is_not_checked_for_types() -> None:
    def made(value, other=1, **more): ...  # type: ignore[no-untyped-def]

    check_options("made", made, {"value": True, "other": "x", "third": 3})
    with pytest.raises(CampaignError, match="without its option 'value'"):
        check_options("made", made, {})


def test_a_type_that_is_not_at_hand_is_not_checked() -> None:
    def made(value: "NoSuchType") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    check_options("made", made, {"value": 5})
