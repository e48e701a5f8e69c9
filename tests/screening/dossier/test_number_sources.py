"""Numbers of a record without a dated source are found wherever they stand."""

from types import SimpleNamespace

import pytest

from matloop.screening.campaign.stage_settings import PotentialStage
from matloop.screening.dossier.number_sources import numbers_without_source, second_potential_source

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


def test_energies_of_a_second_potential_have_a_source_of_their_own() -> None:
    settings = {"name": "chgnet", "second": "sevennet"}
    both = SimpleNamespace(potential=PotentialStage.model_validate(settings))
    view = SimpleNamespace(campaign=both, progress=SimpleNamespace(updated=0.0))
    source = second_potential_source(view)
    assert source is not None
    assert (source.key, source.detail, source.date) == ("second_potential", "sevennet", "1970-01-01")
    assert "sevennet" in source.title.zh
    both.potential = PotentialStage.model_validate({**settings, "second": None})
    assert second_potential_source(view) is None
