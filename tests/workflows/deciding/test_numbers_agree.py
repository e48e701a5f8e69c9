"""The numbers of a run, read where people read them: cards, ranked table, shortlist, terminal and run.json agree."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from matloop.data.candidates.batch import CandidateBatch
from matloop.screening.language.supported_probability import capped_words
from matloop.screening.language.text import number, percent
from matloop.workflows.commands.printed import print_run
from matloop.workflows.screen import ScreeningRun, screen
from tests.workflows.conftest import campaign

PAIR = ("refractive_index", "band_gap")
"""Targets whose truth is known of the same crystals."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> ScreeningRun:
    """A run that wants what hardly any known crystal has, so that caps are at work."""
    targets = [
        {"property": "refractive_index", "goal": "at_least", "value": 2.2, "unit": "1"},
        {"property": "band_gap", "goal": "at_least", "value": 2.5, "unit": "eV"},
    ]
    folder = tmp_path_factory.mktemp("pair") / "run"
    return screen(campaign(targets=targets), output=folder, workers=2)


@pytest.fixture(params=["finished", "pair"])
def run(request: pytest.FixtureRequest) -> ScreeningRun:
    found: ScreeningRun = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def ranked(run: ScreeningRun) -> CandidateBatch:
    return run.ranked


def shortlisted(run: ScreeningRun) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = run.shortlist.to_dict("records")
    return rows


def cards_of(run: ScreeningRun) -> list[str]:
    """Markup of each card, best place first."""
    html = run.report.read_text("utf-8")
    return re.findall(r'<article class="card".*?</article>', html, re.DOTALL)


def numbers_in(text: str) -> list[float]:
    return [float(found.replace("−", "-")) for found in re.findall(r"[-−]?\d+(?:\.\d+)?", text.replace(",", ""))]


def test_a_probability_is_the_same_on_card_table_shortlist_and_terminal(run: ScreeningRun) -> None:
    html, cards = run.report.read_text("utf-8"), cards_of(run)
    with run.view.paths.shortlist.open(encoding="utf-8-sig", newline="") as lines:
        written = list(csv.DictReader(lines))
    text = io.StringIO()
    print_run(run, Console(file=text, width=250))
    rows = shortlisted(run)
    assert len(cards) == len(rows) == len(written) == run.summary.outcomes["shortlisted"]
    for card, line, row in zip(cards, written, rows, strict=True):
        probability = float(row["probability"])  # type: ignore[arg-type]
        assert f'<div class="chance"><b>{percent(probability).replace("<", "&lt;")}</b>' in card
        table_row = re.search(rf"<code>{row['candidate_id']}</code></td>.*?</tr>", html, re.DOTALL)
        assert table_row is not None
        assert f'data-value="{probability}"' in table_row[0]
        assert float(line["probability_of_all_targets"]) == pytest.approx(probability, rel=1e-3)
        assert re.search(rf"{re.escape(str(row['formula']))} .*{probability:.2f}", text.getvalue())
        shown = re.findall(r'<span class="target-chance">(.*?)</span>', card)
        each = [float(row[f"probability_{name}"]) for name in run.summary.ranges]  # type: ignore[arg-type]
        assert shown == [percent(chance).replace("<", "&lt;").replace(">", "&gt;") for chance in each]
        assert all(f'data-value="{chance}"' in table_row[0] for chance in each)


def test_every_shown_interval_holds_the_value_beside_it(run: ScreeningRun) -> None:
    for card in cards_of(run):
        values = re.findall(r'<span class="target-value"><b>(.*?)</b> <small>90 %.*?<span lang="en">(.*?)</span>', card)
        assert len(values) == len(run.summary.ranges)
        for value, interval in (pair for pair in values if "to" in pair[1]):
            low, high = numbers_in(interval.replace(" to ", " ; "))[:2]
            assert low <= numbers_in(value)[0] <= high


def test_value_interval_and_probability_never_contradict_each_other(run: ScreeningRun, ranked: CandidateBatch) -> None:
    beyond = 0
    for name, (low, high) in run.summary.ranges.items():
        value, lower, upper = (ranked.column(f"{name}_{end}") for end in ("pred", "lo", "hi"))
        chance = ranked.column(f"probability_{name}")
        capped = np.array([name in text.split(",") for text in ranked.table["capped_targets"].to_pylist()])
        assert ((lower <= value) & (value <= upper)).all()
        least, most = -np.inf if low is None else low, np.inf if high is None else high
        inside = (value >= least) & (value <= most)
        assert inside[chance > 0.5].all()
        if None in (low, high):
            assert (chance[inside & ~capped] >= 0.5).all()
            beyond += int((~inside).sum())
        assert (chance[(lower >= least) & (upper <= most) & ~capped] > 0.85).all()
    assert beyond  # some values miss a limit, so that the lines above can fail


def test_the_value_is_the_same_on_card_table_shortlist_and_terminal(run: ScreeningRun) -> None:
    html, cards = run.report.read_text("utf-8"), cards_of(run)
    with run.view.paths.shortlist.open(encoding="utf-8-sig", newline="") as lines:
        written = list(csv.DictReader(lines))
    text = io.StringIO()
    print_run(run, Console(file=text, width=250))
    for card, line, row in zip(cards, written, shortlisted(run), strict=True):
        shown = dict(zip(run.summary.ranges, re.findall(r'<span class="target-value"><b>(.*?)</b>', card), strict=True))
        for name in run.summary.ranges:
            value, width = float(row[f"{name}_pred"]), float(row[f"{name}_hi"]) - float(row[f"{name}_lo"])  # type: ignore[arg-type]
            assert re.sub("<.*?>", "", shown[name]).startswith(number(value, width))
            (column,) = (key for key in line if key.split(" (")[0] == name)
            assert float(line[column]) == pytest.approx(value, rel=1e-3)
            table_row = re.search(rf"<code>{row['candidate_id']}</code></td>.*?</tr>", html, re.DOTALL)
            assert table_row is not None
            assert f'data-value="{value}"' in table_row[0]
            assert re.search(rf"{re.escape(str(row['formula']))} .*{value:.3g}", text.getvalue())


def test_no_probability_is_larger_than_its_parts_or_its_cap(run: ScreeningRun, ranked: CandidateBatch) -> None:
    probability, score = ranked.column("probability"), ranked.column("ranking_score")
    each = {name: ranked.column(f"probability_{name}") for name in run.summary.ranges}
    assert (probability <= np.min(list(each.values()), axis=0) + 1e-12).all()
    assert (np.diff(probability) <= 0).all()  # in the order of the ranks
    assert (score >= probability - 1e-12).all()
    capped = ranked.table["capped_targets"].to_pylist()
    assert [text != "" for text in capped] == (score > probability + 1e-12).tolist()
    most = {"+".join(entry.targets): entry.highest for entry in run.summary.supported}
    assert set(most) >= set(run.summary.ranges)
    for name, chance in each.items():
        assert (chance <= most[name]).all()
        held = np.array([name in text.split(",") for text in capped])
        assert (chance[held] == most[name]).all()
    for card, row in zip(cards_of(run), shortlisted(run), strict=True):
        words = capped_words(str(row["capped_targets"]), run.summary.supported)
        assert card.count('<span class="capped">') == len(words)
        assert all(told.zh in card for told in words)


def test_targets_met_together_follow_from_the_shown_numbers(pair: ScreeningRun) -> None:
    (group,) = pair.summary.met_together
    (most,) = (entry for entry in pair.summary.supported if entry.targets == PAIR)
    assert group.targets == PAIR
    assert group.crystals == most.rows
    product = np.prod([pair.ranked.column(f"probability_{name}") for name in PAIR], axis=0)
    expected = np.minimum(product * group.odds / (1 - product + product * group.odds), most.highest)
    np.testing.assert_allclose(pair.ranked.column("probability"), expected, rtol=1e-9)


def test_promises_and_back_tests_agree(run: ScreeningRun) -> None:
    summary = run.summary
    most = {entry.targets: entry.highest for entry in summary.supported}
    tested = summary.back_tests
    assert {name for entry in tested for name in entry.targets} == set(summary.ranges)
    for entry in tested:
        assert entry.met <= min(entry.hits, entry.size)
        assert entry.promised <= entry.size * most[entry.targets] + 1e-3
        assert entry.random == pytest.approx(entry.size * entry.hits / entry.materials, rel=0.1)
        assert entry.random < entry.met
        assert not entry.promises_too_much
    text = io.StringIO()
    print_run(run, Console(file=text, width=2000))
    html = re.sub(r"<.*?>", "", run.report.read_text("utf-8"))
    expected = sum(float(row["probability"]) for row in shortlisted(run))  # type: ignore[arg-type]
    promise = f"The probabilities below add up to {expected:.1f} of {len(run.shortlist)} that meet all targets"
    for shown in (html, text.getvalue()):
        assert shown.count("Lists like this held") == len({entry.targets for entry in tested})
        assert shown.index("Lists like this held") < shown.index(promise)
        assert "No back-test" not in shown


def test_counts_add_up(run: ScreeningRun) -> None:
    summary, html = run.summary, run.report.read_text("utf-8")
    assert sum(summary.outcomes.values()) == summary.rows_in
    assert all(stage.rows_in - stage.rows_out == sum(lost.rows for lost in stage.lost) for stage in summary.funnel)
    lead = re.search(r'<p class="headline">(.*?)</p>', html, re.DOTALL)
    assert lead is not None
    assert f"<b>{summary.rows_in:,}</b> candidates in, <b>{len(run.shortlist)}</b> out" in lead[1]
    assert f"{min(len(run.ranked), 1000):,} of {len(run.ranked):,} ranked candidates" in html


def test_a_cif_of_every_card_is_there(run: ScreeningRun) -> None:
    folder: Path = run.view.paths.cif
    assert len(list(folder.glob("*.cif"))) == len(run.shortlist)
