"""Numbers of a record without a dated source are found wherever they stand."""

import pytest

from matloop.screening.dossier.number_sources import numbers_without_source

SOURCES = {"run": {"date": "2026-11-29"}, "undated": {"title": "x"}}


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ({"value": 1.0, "source": "run"}, []),
        ({"source": "run", "rows": [[1, 2], {"x": 3}]}, []),
        ({"value": 1.0}, ["part.value"]),
        ({"value": 1.0, "source": "nobody"}, ["part.value"]),
        ({"value": 1.0, "source": "undated"}, ["part.value"]),
        ([{"value": None, "text": "1", "truth": True}], []),
        ({"inner": {"source": "run", "x": 1}, "outer": [2]}, ["part.outer.0"]),
    ],
)
def test_numbers_need_a_dated_source(part: object, found: list[str]) -> None:
    assert numbers_without_source({"sources": SOURCES, "part": part}) == found
