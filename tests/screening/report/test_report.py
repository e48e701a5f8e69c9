import base64
import hashlib
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from markupsafe import escape

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import UnknownNameError
from matloop.data.plain_text import plain
from matloop.data.properties.packaged_properties import PACKAGED_PROPERTIES
from matloop.data.runs.directory import RunDirectory
from matloop.data.whole_files import write_json, write_table, write_text
from matloop.screening.campaign.campaign_file import read_campaign, write_campaign
from matloop.screening.campaign.stage_settings import PotentialStage
from matloop.screening.report.page import write_report
from tests.screening.report.run_directories import Page, make_run

LINKS = ("https://next-gen.materialsproject.org/materials/mp-", "https://doi.org/10.")
"""Where links of the page lead; nothing is fetched from there unless the reader follows one."""
HOSTILE = "</script><script>alert(1)</script>\u202e\u2066\x07\x1b[31m\u2028=cmd|'/C calc'!A0\"onload=\"x"


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_run(tmp_path_factory.mktemp("run") / "run", "band_gap", "refractive_index", "energy_above_hull")


def test_page_is_one_file_that_fetches_nothing(html: str) -> None:
    page = Page(html)
    assert len(html) < 6e6
    assert not {"link", "iframe", "img", "object", "embed", "base"} & {tag for tag, _ in page.elements}
    for value in [*page.attributes("src"), *page.attributes("href"), *page.attributes("action")]:
        assert value.startswith(("#", "data:chemical/x-cif;base64,", *LINKS)), value
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_policy_names_exactly_the_scripts_of_the_page(html: str) -> None:
    page = Page(html)
    (policy,) = (a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in rules["script-src"]
    kinds = [a.get("type", "") for tag, a in page.elements if tag == "script"]
    run = [script for script, kind in zip(page.scripts, kinds, strict=True) if kind != "application/json"]
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in run]
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    named = dict.fromkeys(("title", "path", "origin", "formula", "code"), HOSTILE)
    html = make_run(
        tmp_path / "run", "band_gap", "refractive_index", **{**named, "title": HOSTILE.replace("\x07\x1b", "")}
    )
    page = Page(html)
    shown = "</script><script>alert(1)</script>[31m =cmd|'/C calc'!A0\"onload=\"x"
    assert page.text.count(shown) > 60  # title, origins, formulas, code
    assert len(page.scripts) == 4
    assert not any("alert(1)" in script for script in page.scripts[1:])
    # plotly reads tags in labels
    assert page.data["tradeoff"]["formula"][0] == str(escape(plain(HOSTILE)))
    assert "onload" not in {name for _, attributes in page.elements for name in attributes}
    ours = html[: html.index(page.scripts[1])]  # all but the libraries
    assert not [c for c in ours if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in "\n\t"]


@pytest.mark.parametrize(
    ("title", "title_zh", "shown", "english", "chinese"),
    [
        ("A run", "一次运行", '<span lang="en">A run</span><span lang="zh-CN">一次运行</span>', "A run", "一次运行"),
        ("A run", "", "A run", "A run", "A run"),
        ("", "一次运行", "一次运行", "一次运行", "一次运行"),
        ("", "", "tiny", "tiny", "tiny"),
    ],
)
def test_each_language_has_its_title(
    tmp_path: Path, title: str, title_zh: str, shown: str, english: str, chinese: str
) -> None:
    html = make_run(tmp_path / "run", "band_gap", title=title, title_zh=title_zh)
    assert f"<h1>{shown}</h1>" in html
    assert f"<title>{english} – matloop</title>" in html
    assert Page(html).data["title"] == {"en": english, "zh": chinese}


def test_ids_and_publications_are_links(html: str) -> None:
    addresses = set(Page(html).attributes("href"))
    assert "https://next-gen.materialsproject.org/materials/mp-1" in addresses  # of the origins
    assert "https://doi.org/10.1063/1.4812323" in addresses
    assert sum(address.startswith(LINKS[0]) for address in addresses) > 5  # of neighbours too


def test_one_target_without_crystals(tmp_path: Path) -> None:
    page = Page(make_run(tmp_path / "run", "band_gap", crystals=False))
    assert page.data["tradeoff"] is None
    assert page.data["crystals"] == [None, None]
    assert {"distribution", "parity-band_gap"} <= set(page.data["figures"])
    assert len(page.scripts) == 3  # no viewer of crystals
    assert "place-2" in page.attributes("id")


@pytest.mark.parametrize("rows", [0, 30])
def test_empty_shortlist(tmp_path: Path, rows: int) -> None:
    page = Page(make_run(tmp_path / "run", "band_gap", "refractive_index", places=0, rows=rows))
    assert "No candidate was shortlisted" in page.text
    assert ("No candidate was ranked" in page.text) == (rows == 0)


def test_all_properties_and_no_models(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    names = list(PACKAGED_PROPERTIES)[:9]  # those with packaged data
    make_run(folder, *names)
    for path in sorted(folder.glob("models/*/*/*")):
        path.unlink()
    write_report(folder)
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert list(page.data["tradeoff"]["properties"]) == names
    assert page.data["figures"] == {}


def test_counts_that_do_not_add_up_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert "do not add up" not in Page(make_run(folder, "band_gap")).text
    summary = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    write_json(folder / "run.json", {**summary, "rows_in": 41})
    write_report(folder)
    assert "do not add up" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def relaxed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Report of a run with a potential, whose second finalist did not converge."""
    folder = tmp_path_factory.mktemp("relaxed") / "run"
    make_run(folder, "band_gap", "energy_above_hull")
    run = RunDirectory(folder)
    ranked = CandidateBatch.from_arrow(pq.read_table(run.ranked))
    names = ("steps", "energy", "energy_start", "volume_change")
    columns: dict[str, Any] = {f"relaxation_{name}": np.full(len(ranked), 0.5) for name in names}
    columns["relaxation_outcome"] = ["not_converged" if row == 1 else "converged" for row in range(len(ranked))]
    columns["relaxation_volume_change"] = np.where(np.arange(len(ranked)) == 1, -0.214, 0.199)
    columns |= {"hull_distance": np.full(len(ranked), -0.0214), "expected_misses": 0.3 + 0.01 * np.arange(len(ranked))}
    write_table(run.ranked, ranked.with_columns(**columns).to_arrow())
    novelty = {"candidate_id": ranked.ids[0], "novelty": "new structure", "equal": [], "equal_count": 0,
               "same_composition": [], "same_composition_count": 0, "nearest_structures": []}  # fmt: skip
    write_json(run.novelty, {"finalists": [novelty]})
    with_potential = read_campaign(folder / "campaign.yaml").model_copy(update={"potential": PotentialStage()})
    write_text(folder / "campaign.yaml", write_campaign(with_potential))
    write_report(folder)
    return run.report.read_text(encoding="utf-8")


def test_r33_shares_of_misses_that_are_all_the_same_are_not_shown(relaxed: str, tmp_path: Path) -> None:
    assert "Expected share of misses" in relaxed.split('id="place-')[1]
    folder = tmp_path / "run"
    make_run(folder, "band_gap")
    run = RunDirectory(folder)
    ranked = CandidateBatch.from_arrow(pq.read_table(run.ranked))
    write_table(run.ranked, ranked.with_columns(expected_misses=np.full(len(ranked), 0.3)).to_arrow())
    write_report(folder)
    assert "Expected share of misses" not in run.report.read_text(encoding="utf-8").split('id="place-')[1]


def test_only_a_relaxation_that_did_not_converge_alarms(relaxed: str) -> None:
    first, second = relaxed.split('id="place-')[1:3]
    ended = {"converged": "已收敛", "stopped before it converged": "未收敛即停止"}
    alarms = [
        f'<strong class="alarm"><span lang="en">{english}</span><span lang="zh-CN">{chinese}</span></strong>'
        for english, chinese in ended.items()
    ]
    assert "converged" in first
    assert [alarm in first for alarm in alarms] == [False, False]
    assert [alarm in second for alarm in alarms] == [False, True]


def test_a_volume_that_changed_much_alarms(relaxed: str) -> None:
    first, second = relaxed.split('id="place-')[1:3]
    alarm = '<strong class="alarm"><span lang="en">more than 20 %: it may have become another structure</span>'
    assert "+19.9 %" in first
    assert alarm not in first
    assert "−21.4 %" in second
    assert alarm in second


def test_the_hull_distance_stands_beside_the_energy_that_ends_at_zero(relaxed: str) -> None:
    cards = relaxed.split('id="place-')[1:3]
    for card in cards:
        targets = card[card.index('class="targets"') : card.index('class="card-foot"')].split('class="target"')[1:]
        assert ["−0.021 eV/atom" in target for target in targets] == [False, True]
    table = relaxed[relaxed.index('id="ranked-table"') :]
    assert table.count('<span lang="en">hull</span><span lang="zh-CN">凸包</span> −0.021 eV/atom') == 30


def test_intervals_have_their_unit(relaxed: str) -> None:
    cards = relaxed.split('id="place-')[1:3]
    assert all(re.search(r'<span lang="zh-CN">[−\d.]+ 至 [−\d.]+ eV</span>', card) for card in cards)


def test_sentences_end_as_the_language_ends_them(relaxed: str) -> None:
    foot = relaxed[relaxed.index('class="card-foot"') :]
    foot = foot[: foot.index("</article>")]
    foot = foot[: foot.index("<h4>")]
    assert foot.count("</p>") == 5  # origin, sites, misses, novelty, relaxation
    ends = [paragraph.rstrip()[-60:] for paragraph in foot.split("</p>")[1:5]]
    assert all(end.endswith('<span lang="en">.</span><span lang="zh-CN">。</span>') for end in ends), ends


def test_the_report_says_what_stability_was_judged_by(relaxed: str) -> None:
    text = Page(relaxed).text
    for words in (
        "compared with the phases that Materials Project 20", "与 Materials Project 20",
        "the error is that of candidates relaxed before", "误差取自此前弛豫的候选材料",
        "change of energy per atom",
    ):  # fmt: skip
        assert words in text


def test_property_names_are_checked_before_they_become_paths(tmp_path: Path) -> None:
    make_run(tmp_path / "run", "band_gap")
    path = tmp_path / "run" / "campaign.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("band_gap", "../../band_gap"), encoding="utf-8")
    with pytest.raises(UnknownNameError):
        write_report(tmp_path / "run")


def localized(value: Any) -> Any:
    if isinstance(value, dict):
        return value["zh"] if set(value) == {"en", "zh"} else {key: localized(inner) for key, inner in value.items()}
    return [localized(inner) for inner in value] if isinstance(value, list) else value


def test_figures_are_valid_for_plotly(html: str, tmp_path: Path) -> None:
    from plotly.graph_objects import Figure

    figures = Page(html).data["figures"] | Page(make_run(tmp_path / "run", "band_gap")).data["figures"]
    assert len(figures) == 7
    for figure in figures.values():
        Figure(localized(figure))  # raises on an unknown key or value


def test_cif_download_is_the_cif(html: str) -> None:
    links = [a for tag, a in Page(html).elements if tag == "a" and "download" in a]
    assert len(links) == 2
    content = base64.b64decode(links[0]["href"].partition("base64,")[2]).decode()
    assert content.startswith("#\\#CIF_1.1\n# ")
    assert "\n_space_group_IT_number " in content
    assert links[0]["download"].startswith("01_")


def test_what_is_met_together_is_told_in_both_languages(tmp_path: Path) -> None:
    html = make_run(tmp_path / "run", "band_gap", "refractive_index", "energy_above_hull")
    assert "as if errors of different properties were independent" in Page(html).text
    run = RunDirectory(tmp_path / "run")
    summary = json.loads(run.summary.read_text("utf-8"))
    group = {"targets": ["band_gap", "refractive_index"], "crystals": 1056, "promised": 40.1, "met": 17, "odds": 0.38}
    write_json(run.summary, {**summary, "met_together": [group]})
    write_report(run.folder)
    text = " ".join(Page(run.report.read_text("utf-8")).text.split())
    assert "Of 1,056 packaged crystals with known band gap and refractive index, 17 meet these targets" in text
    assert "promise 40: the odds p / (1 − p) of meeting them together are multiplied by 0.38." in text
    assert "在带隙和折射率均已知的 1,056 个内置晶体中，同时满足这些目标的有 17 个" in text
    assert "were independent" not in text
    assert "less than the single probabilities seem to allow" in text
    write_json(run.summary, {**summary, "met_together": [{**group, "promised": 0.31, "odds": 2.6}]})
    write_report(run.folder)
    text = " ".join(Page(run.report.read_text("utf-8")).text.split())
    assert "promise 0.3: " in text
    assert "seem to allow" not in text
