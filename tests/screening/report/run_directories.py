"""Tiny run directories, and their reports as a browser reads them."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import COMPOSITIONS
from matloop.data.packaged.materials import load_materials
from matloop.data.properties.packaged_properties import PACKAGED_PROPERTIES
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.training_files import write_training_sets
from matloop.data.training.packaged_tables import packaged_training_set
from matloop.data.training.training_set import TrainingSet
from matloop.data.training.training_sets import TrainingSets
from matloop.data.whole_files import write_json, write_table, write_text
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.campaign_file import write_campaign
from matloop.screening.dossier.shortlist_files import write_shortlist
from matloop.screening.filters.element_scores import with_element_scores
from matloop.screening.report.page import write_report
from matloop.screening.runs.run_summary import FunnelStage, LostRows, RunSummary


def make_run(
    folder: Path, *properties: str, crystals: bool = True, places: int = 2, rows: int = 30, **named: Any
) -> str:
    """A tiny run directory; returns its report. ``named`` replaces title, name of a source, origins and ids."""
    targets = [
        {"property": p, "goal": "at_most", "value": 1.0, "unit": PACKAGED_PROPERTIES[p].unit} for p in properties
    ]
    campaign = Campaign.model_validate(
        {
            "name": "tiny", "title": named.get("title", "A tiny run"), "title_zh": named.get("title_zh", ""),
            "sources": [{"table": {"path": named.get("path", "compounds.csv")}}], "filters": ["new_compounds"],
            "targets": targets, "surrogates": {"features": ["magpie"], "keep": 30}, "shortlist": {"size": 2},
        }
    )  # fmt: skip
    run = RunDirectory.create(folder, "tiny")
    rng = np.random.default_rng(0)
    batch = load_materials().take(np.arange(rows))
    table = batch.table.select(
        ["candidate_id", "formula", "space_group_number"] if crystals else ["candidate_id", "formula"]
    )
    columns: dict[str, Any] = {
        "origin": [named.get("origin", "NaCl (mp-1), Na+ to K+")] * rows, "probability": rng.random(rows),
        "rank": np.arange(1, rows + 1), "shortlisted": np.where(np.arange(rows) < places, np.arange(1, rows + 1), 0),
    }  # fmt: skip
    for name in properties:
        mean = rng.random(rows)
        columns |= {
            f"{name}_pred": mean,
            f"{name}_lo": mean - 0.1,
            f"{name}_hi": mean + 0.1,
            f"probability_{name}": mean,
        }
        scores = {
            "mae": 0.1, "mae_of_mean": 0.5, "r2": 0.9, "coverage_90": 0.9, "width_error_rank_correlation": None,
            "coverage_curve": [[0.5, 0.5], [0.9, 0.9]],
        }  # fmt: skip
        card = {
            "property": name, "unit": PACKAGED_PROPERTIES[name].unit, "transform": "identity", "family": "extra_trees",
            "rows_trained": 50, "formulas": 40, "best_of_training": [0.0, 1.0], "scores": scores,
        }  # fmt: skip
        folder_of_model = run.model("surrogates", name)
        folder_of_model.mkdir(parents=True)
        write_json(folder_of_model / "card.json", card)
        held_out = {"target": mean, "median": mean + 0.01, "lo": mean - 0.1, "hi": mean + 0.1}
        write_table(folder_of_model / "out_of_fold.parquet", pa.table(held_out))
    blocks = batch.blocks if crystals else {COMPOSITIONS: batch.compositions}
    ranked = with_element_scores(CandidateBatch(table, blocks).with_columns(**columns))
    write_shortlist(run, ranked, campaign)
    if "formula" in named:
        ranked = ranked.with_columns(formula=[named["formula"]] * rows, candidate_id=[named["formula"]] * rows)
    write_text(folder / "campaign.yaml", write_campaign(campaign))
    write_training_sets(run, TrainingSets({name: labels_of(name) for name in properties}))
    write_table(run.ranked, ranked.to_arrow())
    code = named.get("code", "R-FILTER-KNOWN-COMPOUND")
    lost = (LostRows(outcome="rejected", code=code, value="", limit="", rows=5),)
    funnel = (FunnelStage(stage="filter new_compounds", rows_in=40, rows_out=35, lost=lost),)
    outcomes = {"rejected": 40 - places, "shortlisted": places}
    summary = RunSummary(
        campaign="tiny", seed=0, rows_in=40, outcomes=outcomes, funnel=funnel,
        ranges=dict.fromkeys(properties, (None, 1.0)), python="3.11", versions={}, seconds={}, sessions=1, workers=1,
    )  # fmt: skip
    write_json(run.summary, summary.model_dump(mode="json"))
    write_report(folder)
    return run.report.read_text(encoding="utf-8")


def labels_of(name: str) -> TrainingSet:
    """The packaged training set of any property."""
    return packaged_training_set(name, table="transport" if name.startswith("seebeck") else "materials")


class Page(HTMLParser):
    """Elements, texts and scripts of a page, as a browser sees them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._within = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._within = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within == "script":
            self.scripts[-1] += data
        elif self._within != "style":
            self.text += data

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    @property
    def data(self) -> Any:
        return json.loads(self.scripts[0])
