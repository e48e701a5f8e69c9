"""What a card says of the stability of a finalist: distances from hulls, what they lack, and siblings."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.runs.directory import RunDirectory
from matloop.data.whole_files import write_json, write_table, write_text
from matloop.screening.campaign.campaign_file import read_campaign, write_campaign
from matloop.screening.campaign.stage_settings import PotentialStage
from matloop.screening.language.text import Words
from matloop.screening.report.hull_evidence import agreement_words, coverage_words, hull_evidence
from matloop.screening.report.hull_figure import hull_figure
from matloop.screening.report.page import write_report
from matloop.screening.runs.run_summary import FormationEnergies
from matloop.screening.runs.run_view import RunView
from tests.screening.report.run_directories import Page, make_run
from tests.strategies import batch_of

NAMES = Words("chgnet", "chgnet"), Words("sevennet", "sevennet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a potential: the second finalist lies far below the hull, and the third has its composition."""
    folder = tmp_path_factory.mktemp("evidence") / "run"
    make_run(folder, "energy_above_hull")
    run = RunDirectory(folder)
    ranked = CandidateBatch.from_arrow(pq.read_table(run.ranked))
    n = len(ranked)
    twin = ranked.take([0, 1, 1, *range(3, n)])
    columns: dict[str, Any] = {
        "candidate_id": ranked.ids, "rank": np.arange(1, n + 1),
        "shortlisted": np.where(np.arange(n) < 2, np.arange(1, n + 1), 0),
        "relaxation_outcome": ["converged"] * n, "relaxation_energy": np.linspace(-5, -4.9, n),
        "relaxation_energy_start": np.full(n, -4.8), "relaxation_steps": np.full(n, 40),
        "relaxation_volume_change": np.full(n, 0.01), "relaxation_rattle_gain": np.full(n, 0.0),
        "hull_distance": np.where(np.arange(n) == 1, -0.15, 0.02), "hull_distance_second": np.full(n, 0.03),
        "hull_distance_own": np.full(n, -0.058), "hull_coverage": np.full(n, 19 / 22),
        "hull_known_compositions": np.full(n, 22), "hull_without_energy": ["La2Ti2O7, La4Ti9O24"] * n,
        "hull_spans_system": np.arange(n) != 1, "hull_incomplete": ["", "element_products, far_below", *[""] * (n - 2)],
        "hull_products": ["0.60 La2O3 + 0.40 Ti"] * n, "probability_makeable_phase": np.full(n, 0.12),
    }  # fmt: skip
    write_table(run.ranked, twin.with_columns(**columns).to_arrow())
    with_potential = read_campaign(folder / "campaign.yaml").model_copy(update={"potential": PotentialStage()})
    write_text(folder / "campaign.yaml", write_campaign(with_potential))
    summary = RunView(folder).summary.model_copy(
        update={"formation_energies": FormationEnergies(crystals=9, error=0.03)}
    )
    write_json(run.summary, summary.model_dump(mode="json"))
    write_report(folder)
    return folder


def test_distances_by_potentials_and_hulls_with_their_interval(folder: Path) -> None:
    view = RunView(folder)
    first, second = hull_evidence(view, view.shortlisted)
    assert first is not None
    assert second is not None
    assert [distance.value for distance in first.distances] == ["0.020 eV/atom", "0.030 eV/atom", "−0.058 eV/atom"]
    assert [bool(distance.interval.en) for distance in first.distances] == [True, False, False]
    assert "Materials Project 20" in first.distances[0].label.en
    assert "hull of fewer phases" in first.distances[2].label.en
    assert first.incomplete is None
    assert second.incomplete is not None
    assert second.incomplete.en.startswith("the cheapest competing mixture holds an element; it lies far below")
    assert "；" in second.incomplete.zh


def test_other_crystals_of_the_composition_are_named(folder: Path) -> None:
    view = RunView(folder)
    first, second = hull_evidence(view, view.shortlisted)
    assert first is not None
    assert second is not None
    assert first.siblings is None
    assert second.siblings is not None
    assert second.siblings.en.startswith("rank 3 ")
    assert second.siblings.en.endswith(", 3 meV/atom higher")
    assert second.siblings.zh.startswith("第 3 名")


def test_the_card_tells_all_of_it_in_both_languages(folder: Path) -> None:
    html = RunDirectory(folder).report.read_text("utf-8")
    first, second = (card[: card.index("</article>")] for card in html.split('id="place-')[1:3])
    assert "References incomplete" not in first
    for text in ("References incomplete", "参考相不完整", "Hulls disagree", "各凸包不一致"):
        assert text in second
    assert "so a competing phase may be missing" in second
    for text in ("La<sub>2</sub>Ti<sub>2</sub>O<sub>7</sub>", "19 of 22 known compositions", "22 种已知成分"):
        assert text in first
    assert "one or more of them hold all its elements" in first
    assert "none of them holds all its elements" in second
    assert 'P(makeable phase)</span><span lang="zh-CN">可制备相概率</span> <b>12 %</b>' in first
    assert "not all that lies near the hull will be listed" in html
    assert "nan" not in Page(html).text.split("Evidence of stability")[1][:2000]


@pytest.mark.parametrize(
    ("distances", "disagree", "words"),
    [
        ((0.02, 0.03, 0.0), False, "agree within twice the error of 0.030 eV/atom"),
        ((0.02, 0.09, 0.0), True, "chgnet and sevennet differ by 0.070 eV/atom"),
        ((0.02, math.nan, -0.2), False, "0.220 eV/atom lower: that one lacks phases"),
        ((0.02, 0.02, 0.2), True, "0.180 eV/atom higher"),
    ],
)
def test_only_more_than_twice_the_error_is_a_contradiction(
    distances: tuple[float, float, float], disagree: bool, words: str
) -> None:
    told, found = agreement_words(*distances, error=0.03, names=NAMES)
    assert told is not None
    assert found == disagree
    assert words in told.en
    assert ("缺少相" if "lacks" in words else "两倍") in told.zh


def test_nothing_is_compared_with_nothing() -> None:
    assert agreement_words(0.02, math.nan, math.nan, error=0.03, names=NAMES) == (None, False)
    assert agreement_words(0.02, 0.5, 0.5, error=math.nan, names=NAMES) == (None, False)


def test_a_system_of_which_nothing_is_known() -> None:
    batch = batch_of("LaTiO3").with_columns(hull_coverage=[0.0], hull_known_compositions=[0])
    words = coverage_words(batch, 0)
    assert words is not None
    assert words.en == "no other composition of La-Ti-O is known"


def test_the_drawing_has_a_row_for_each_finalist(folder: Path) -> None:
    figure = hull_figure(RunView(folder).shortlisted)
    assert figure is not None
    assert figure.kinds == ["first", "second", "own"]
    assert [row.place for row in figure.rows] == [1, 2]
    first, second = (dict(row.marks) for row in figure.rows)
    assert first["own"] < figure.zero < first["first"] < first["second"]
    assert second["first"] < second["own"]
    interval = figure.rows[0].interval
    assert interval is not None
    assert figure.zero < interval[0] < interval[1] <= 100
    positions = [position for position, _ in figure.ticks]
    assert positions == sorted(positions)
    assert {text: at for at, text in figure.ticks}["0"] == figure.zero


def test_nothing_is_drawn_without_a_potential(tmp_path: Path) -> None:
    make_run(tmp_path / "run", "energy_above_hull")
    assert hull_figure(RunView(tmp_path / "run").shortlisted) is None
