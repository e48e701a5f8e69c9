import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from matloop.data.errors import RunError, UnknownNameError
from matloop.data.packaged.materials import load_materials
from matloop.data.properties.catalogue import property_named
from matloop.data.runs.directory import RunDirectory
from matloop.featurizers.registry import FEATURIZERS
from matloop.models.registry import MODELS
from matloop.screening.report.tables import LAPS
from matloop.screening.runs.run_summary import RunSummary
from matloop.workflows.commands.model_scores import print_scores
from matloop.workflows.commands.printed import (
    print_dataset,
    print_datasets,
    print_families,
    print_features,
    print_run,
    why_empty,
)
from matloop.workflows.screen import ScreeningRun
from matloop.workflows.shortlist_cells import shortlist_cells

Shown = Callable[..., str]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shown:
    """What a printing function shows, on a wide terminal, with runs of spaces as one."""
    monkeypatch.setenv("COLUMNS", "300")

    def call(function: Callable[..., None], *arguments: object) -> str:
        capsys.readouterr()
        function(*arguments)
        return re.sub(" +", " ", capsys.readouterr().out)

    return call


def test_a_run_in_words(finished: ScreeningRun) -> None:
    text = io.StringIO()
    print_run(finished, Console(file=text, width=300))
    words = re.sub(" +", " ", text.getvalue())
    assert words.startswith("2,300 candidates")
    assert "intake 2,000 repeats an earlier candidate 300" in words
    assert "filter new_compounds" in words
    assert re.search(r"below the 60 most probable [\d,]+", words)
    assert "contains Cd " in words
    assert re.search(r"Every candidate accounted for: .*shortlisted 5; together 2,300\.", words)
    for _, row in finished.shortlist.iterrows():
        for text in (row["formula"], f"{row['probability']:.2f}", f"{row['refractive_index_pred']:.3g}"):
            assert text in words
    assert "90 % interval" in words
    assert str(finished.report) in words


def test_a_composition_among_crystals_has_no_space_group(finished: ScreeningRun) -> None:
    rows = finished.shortlist
    assert len(rows) > 1
    mixed = rows.assign(space_group_number=[np.nan, *[225.0] * (len(rows) - 1)])
    _, cells = shortlist_cells(mixed, list(finished.summary.ranges))
    assert [row[2] for row in cells] == ["", *["225"] * (len(rows) - 1)]


def test_no_interval_is_broken_on_a_narrow_terminal(finished: ScreeningRun) -> None:
    text = io.StringIO()
    print_run(finished, Console(file=text, width=60))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 60 or any(line.startswith(("Report:", "Table:")) for line in lines)
    intervals = [line for line in lines if "[" in line]
    assert len(intervals) >= len(finished.shortlist)
    assert all(line.count("[") == line.count("]") for line in intervals)


def test_an_empty_shortlist_says_why_and_what_to_relax(finished: ScreeningRun) -> None:
    lost = {"outcome": "rejected", "value": "", "limit": ""}
    funnel = [
        {"stage": "filter exclude_elements", "rows_in": 9, "rows_out": 7,
         "lost": [{**lost, "code": "R-FILTER-EXCLUDED-ELEMENT", "value": "Cd", "rows": 2}]},
        {"stage": "domain", "rows_in": 7, "rows_out": 0,
         "lost": [{**lost, "code": "R-SURROGATE-DOMAIN", "rows": 7}]},
    ]  # fmt: skip
    summary = RunSummary.model_validate({**finished.summary.model_dump(), "funnel": funnel})
    first, second, third = why_empty(summary)
    assert first.startswith("The shortlist is empty.")
    assert second.startswith("  domain: outside the domain of a surrogate 7; set 'explore: true' of the shortlist, or ")
    assert third == "  filter exclude_elements: contains Cd 2; relax this filter, or leave it out"
    (nothing,) = why_empty(summary.model_copy(update={"funnel": ()}))
    assert "the sources gave no candidates" in nothing


def test_the_report_has_words_for_every_lap(finished: ScreeningRun) -> None:
    # Those named here belong to stages that the small campaign does not have.
    elsewhere = {"crystals scored", "candidates relaxed", "stability judged", "vibrations of finalists computed"}
    assert set(finished.summary.seconds) | elsewhere == set(LAPS)


def test_data_sets_with_their_counts(shown: Shown) -> None:
    text = shown(print_datasets)
    materials = load_materials().table
    for name in ("band_gap", "piezoelectric_modulus", "energy_above_hull"):
        rows = materials.num_rows - materials[f"{name}_dft"].null_count
        assert f"│ materials │ 6,317 │ {name} │ {property_named(name).unit} │ {rows:,} │" in text
    assert "│ transport │ 47,737 │ seebeck_p │ uV/K │" in text


@pytest.mark.parametrize("name", ["materials", "transport"])
def test_one_data_set_with_units_and_descriptions(name: str, shown: Shown) -> None:
    text = shown(print_dataset, name)
    assert "│ formula │" in text
    assert "GPa" in text if name == "materials" else "uV/K" in text


def test_unknown_data_set() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown data set 'material'.*did you mean 'materials'"):
        print_dataset("material")


def test_feature_sets_and_families_are_all_listed(shown: Shown) -> None:
    features, families = shown(print_features), shown(print_families)
    with_options = features.partition("With options, in a campaign only: ")[2]
    assert all(f"│ {name} │" in features or name in with_options for name in FEATURIZERS)
    assert "guarded" in with_options
    assert "│ magpie │ 132 │ compositions │" in features
    assert all(f"│ {name} │" in families for name in MODELS)


def test_scores_of_a_run(finished: ScreeningRun, shown: Shown) -> None:
    text = shown(print_scores, finished.folder)
    assert "piezoelectric_modulus (C/m2) extra_trees 941 " in text
    assert "log10 refractive_index extra_trees " in text
    assert "folds grouped by reduced formula" in text


def test_scores_with_clusters_and_elements_left_out_stand_beside(finished: ScreeningRun, shown: Shown) -> None:
    text = shown(print_scores, finished.folder)
    assert "with whole clusters or elements left out" in text
    card = json.loads((RunDirectory(finished.folder).model("surrogates", "refractive_index") / "card.json").read_text())
    elements = card["scores"]["leave_one_element_out"]
    (line,) = [line for line in text.splitlines() if "refractive_index extra_trees, 10 trees" in line]
    assert f" {card['scores']['leave_one_cluster_out']['mae']:.3g} {elements['mae']:.3g} " in line
    assert elements["worst"][0]["element"] in line


def test_a_folder_without_models(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(RunError, match=r"E-RUN: .* holds no models"):
            print_scores(folder)
