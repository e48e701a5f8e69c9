from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.errors import InputFileError
from matloop.data.synthesis.furnace import OnsetRange
from matloop.workflows.proposing.laboratory import (
    Laboratory,
    feasible_route,
    read_laboratory,
    shared_temperature,
)


def test_elements_and_prices_leave_candidates_out() -> None:
    batch = CandidateBatch.from_formulas(["BaTiO3", "SrTiO3", "PtO2", "BaTcO3"]).batch
    limits = Laboratory(elements=("Ba", "Ti", "Pt", "Tc", "O"), most_per_kilogram=100.0)
    found = limits.left_out(batch.compositions, ElementFacts())
    assert found["elements"].tolist() == [False, True, False, False]
    assert found["most_per_kilogram"][[0, 2, 3]].tolist() == [False, True, True]  # technetium has no price


def test_route_comes_from_the_shelf() -> None:
    shelf = Laboratory(precursors=("BaCO3", "TiO2"))
    route, _ = feasible_route(shelf, "BaTiO3")
    assert route is not None
    assert set(route.precursors) == {"BaCO3", "TiO2"}
    assert feasible_route(shelf, "SrTiO3") == (None, "precursors")
    assert feasible_route(Laboratory(hottest_furnace=30.0), "BaTiO3") == (None, "furnace")


@given(st.lists(st.tuples(st.integers(20, 60), st.integers(1, 20), st.integers(0, 9)), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_shared_temperature_is_the_best_there_is(drawn: list[tuple[int, int, int]]) -> None:
    onsets = [OnsetRange(10.0 * low, 10.0 * (low + wide), "x", 1.0) for low, wide, _ in drawn]
    merits = np.array([float(merit) for *_, merit in drawn])

    def worth(temperature: float) -> float:
        suited = [onset.low <= temperature <= onset.high for onset in onsets]
        return float(np.sort(merits[np.array(suited)])[::-1][:3].sum())

    found = shared_temperature(onsets, merits, 3)
    assert worth(found.temperature) == max(worth(float(t)) for t in range(200, 820, 5))
    assert all(onsets[row].low <= found.temperature <= onsets[row].high for row in found.rows.tolist())


def test_limits_come_from_a_file_and_options(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text("lab:\n  elements: [Ba, Ti, O]\n  hottest_furnace: 1200\n", encoding="utf-8")
    read = read_laboratory(path, {"hottest_furnace": 900.0, "elements": [], "most_per_mole": None})
    assert read == Laboratory(elements=("Ba", "Ti", "O"), hottest_furnace=900.0)
    for text, fault in (
        ("elements: [Xx]", "Xx"), ("furnace: 3", "furnace"), ("precursors: [BaCO4]", "BaCO"), ("- 1", "no keys"),
        ("a: &b 1", "line 1"), ("hottest_furnce: 3", "unknown key 'hottest_furnce'"),
        ("hottest_furnace: hot", "a number is expected"),
    ):  # fmt: skip
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputFileError, match=fault):
            read_laboratory(path, {})
