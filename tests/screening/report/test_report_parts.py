"""The parts the run report is put together from."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from matloop.data.candidates.crystals import Crystals
from matloop.data.candidates.kinds import KINDS
from matloop.data.packaged.materials import load_materials
from matloop.screening.language.stages import stage_words
from matloop.screening.language.text import (
    Words,
    number,
    origin_words,
    percent,
    space_group_markup,
)
from matloop.screening.report import sources as report_sources
from matloop.screening.report.axes import Axis, density
from matloop.screening.report.cards import DRAWINGS
from matloop.screening.report.crystal_drawing import Ball, Scene, crystal_scene, still_drawing
from matloop.screening.report.page import cleaned, cleaned_strings, script_json

VENDOR = Path(report_sources.__file__).parent / "vendor"
ROCK_SALT = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def test_script_json_cannot_leave_its_element() -> None:
    written = script_json({"<!--": ["</script>", "\u2028\u2029", "&", "\ud800"]})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {"<!--": ["</script>", "\u2028\u2029", "&", "\ud800"]}
    with pytest.raises(ValueError, match="JSON compliant"):
        script_json(float("nan"))


def rock_salt(edge: float = 5.64, repeat: int = 1) -> Crystals:
    """Conventional cell of NaCl, repeated along a."""
    sites = np.concatenate([ROCK_SALT, ROCK_SALT + 0.5]) % 1
    frac = np.concatenate([(sites + np.array([k, 0, 0])) / [repeat, 1, 1] for k in range(repeat)])
    species = np.tile(np.repeat([11, 17], 4), repeat).astype(np.uint8)
    return Crystals(np.diag([edge * repeat, edge, edge])[None], np.array([0, len(frac)]), species, frac)


def test_cell_is_drawn_with_its_faces_and_bonds() -> None:
    scene = crystal_scene(rock_salt(), 0)
    assert scene is not None
    # Corners and face centres are 14 of one kind, edge centres and middle 13 of the other; 54 contacts join them.
    assert (scene.elements.count("Na"), scene.elements.count("Cl")) == (14, 13)
    ends = scene.positions[scene.bonds]
    np.testing.assert_allclose(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1), 5.64 / 2)
    assert len(scene.bonds) == 54
    assert {frozenset((scene.elements[a], scene.elements[b])) for a, b in scene.bonds} == {frozenset(("Na", "Cl"))}
    np.testing.assert_allclose(np.linalg.norm(scene.edges[:, 1] - scene.edges[:, 0], axis=1), 5.64)
    assert scene.edges[2, 1, 1] > scene.edges[2, 0, 1]  # c points up


def test_drawing_stays_in_its_field_and_large_cells_are_not_drawn() -> None:
    materials = load_materials()
    assert materials.crystals is not None
    for row in range(0, len(materials), 400):
        scene = crystal_scene(materials.crystals, row)
        assert scene is not None
        for thing in still_drawing(scene):
            if isinstance(thing, Ball):
                assert -10 <= thing.x <= 370
                assert -10 <= thing.y <= 310
    assert crystal_scene(rock_salt(repeat=26), 0) is None


def test_every_drawing_that_a_kind_of_candidate_names_can_be_made() -> None:
    materials = load_materials().take([0])
    for kind in KINDS.values():
        if kind.drawing is not None:
            assert isinstance(DRAWINGS[kind.drawing](materials.blocks[kind.drawing], 0), Scene)


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [
        (-0.013, 0.27, False),
        (1.0, 6.1, False),
        (-1000, 900, False),
        (3.0, 400.0, True),
        (20, 80, True),
        (1.5, 4.8, True),
        (2.05, 2.4, True),
        (1e-5, 90, True),
    ],
)
def test_axis_has_some_round_ticks_within(low: float, high: float, log: bool) -> None:
    axis = Axis(low, high, log)
    assert 3 <= len(axis.ticks()) <= 8
    assert all(0 <= axis.scaled(tick) <= 1 for tick in axis.ticks())
    assert (axis.position(low), axis.position(high), axis.position(10 * high)) == (0, 1, 1)
    values = np.random.default_rng(0).uniform(low, high, 500)
    assert density(values, axis).max() == 1
    assert not density(np.full(3, 10 * high), axis).any()


@pytest.mark.parametrize(
    ("low", "high", "log", "texts"),
    [
        (15, 250, True, ["20", "50", "100", "200"]),
        (2.05, 4.8, True, ["2.5", "3", "3.5", "4", "4.5"]),
        (3, 400, True, ["5", "10", "20", "50", "100", "200"]),
        (0.3, 40_000, True, ["1", "10", "100", "1,000", "10,000"]),
        (1e-12, 1e4, True, ["10⁻¹²", "10⁻⁹", "10⁻⁶", "10⁻³", "1", "10³"]),
        (-0.013, 0.27, False, ["0", "0.05", "0.1", "0.15", "0.2", "0.25"]),
        (-900, 1000, False, ["−500", "0", "500", "1,000"]),
        (1e-7, 3.1e-7, False, ["10⁻⁷", "1.5×10⁻⁷", "2×10⁻⁷", "2.5×10⁻⁷", "3×10⁻⁷"]),
    ],
)
def test_ticks_are_whole_numbers_on_strips_and_plots(low: float, high: float, log: bool, texts: list[str]) -> None:
    axis = Axis(low, high, log)
    assert [text for _, text in axis.labelled_ticks()] == texts
    drawn = axis.plotly()
    assert (drawn["tickmode"], drawn["ticktext"], drawn["tickvals"]) == ("array", texts, axis.ticks())
    assert "dtick" not in drawn  # plotly would write the last digit alone


def test_words_and_numbers() -> None:
    assert space_group_markup(227) == '<i>F</i><i>d</i><span class="overbar">3</span><i>m</i>'
    assert (number(-0.0001, 0.1), number(None), number(-1234.5, 100)) == ("0.00", "–", "−1,234")
    assert str(Words("<b>", "乙").__html__()) == '<span lang="en">&lt;b&gt;</span><span lang="zh-CN">乙</span>'
    assert (percent(0.0004), percent(0.9996), percent(1.0), percent(float("nan"))) == ("< 1 %", "> 99 %", "100 %", "–")
    assert origin_words("<i>, Na+ to K+") == ("<i>, Na+ to K+",) * 2


def test_a_filter_named_twice_has_its_own_words() -> None:
    assert stage_words("filter exclude_elements") == ("Filter: unwanted elements", "过滤：排除指定元素")
    assert stage_words("filter 2 exclude_elements") == (
        "Filter: unwanted elements (filter 2)", "过滤：排除指定元素（第 2 个过滤器）",
    )  # fmt: skip
    assert stage_words("filter 12 my_own").en == "Filter: my own (filter 12)"


def test_vendored_files_are_those_the_readme_names() -> None:
    listed = dict(
        re.findall(r"\| `([^`]+\.js)` .*`([0-9a-f]{64})` \|", (VENDOR / "README.md").read_text(encoding="utf-8"))
    )
    assert {path.name for path in VENDOR.glob("*.js")} == set(listed)
    for name, digest in listed.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest


def test_text_of_a_strangers_run_reaches_the_page_without_characters_that_deceive() -> None:
    """Whatever file a text comes from, it is cleaned at the exit; scripts stay as they are."""
    page = "<p>Si\u202eO2\x07</p><script>'\u202e'</script><p>\u200bend</p>"
    assert cleaned(page) == "<p>SiO2</p><script>'\u202e'</script><p>end</p>"
    assert cleaned_strings({"a\u202e": ["b\x1b", 1, None]}) == {"a": ["b", 1, None]}
