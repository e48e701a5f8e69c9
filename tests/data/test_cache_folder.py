from pathlib import Path

import pytest

from matloop.data.cache_folder import cache_folder


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"MATLOOP_CACHE": "/a/b", "XDG_CACHE_HOME": "/c"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/matloop"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/of/somebody/.cache/matloop"),
        ({"MATLOOP_CACHE": "", "XDG_CACHE_HOME": ""}, "/home/of/somebody/.cache/matloop"),
        ({}, "/home/of/somebody/.cache/matloop"),
    ],
)
def test_the_first_variable_that_says_something_decides(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MATLOOP_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/of/somebody")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)
