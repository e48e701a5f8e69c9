"""A laboratory whose measured refractive indices follow computed ones by a line that no model knows."""

import csv
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from matloop.data.records.database import open_records
from matloop.data.records.importing import ImportReport, KnownCandidate, import_sheet
from matloop.data.training.packaged_tables import packaged_training_set
from matloop.models.families.extra_trees import ExtraTrees
from tests.data.records.result_sheets import result, write_sheet

LABORATORY = "lab-a"
INDEX = {"property": "refractive index", "unit": "1"}


class Laboratory:
    """Computed refractive indices of 100 compounds, a campaign on them, and measurements of other compounds."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.records = folder, str(folder / "records.sqlite")
        packaged = packaged_training_set("refractive_index")
        rows = np.arange(0, len(packaged), len(packaged) // 260)[:260]
        formulas = [packaged.rows.formulas[row] for row in rows]
        first = {
            formula: float(packaged.values[row]) for formula, row in reversed(list(zip(formulas, rows, strict=True)))
        }
        self.computed = dict(itertools.islice(first.items(), 100))
        self.others = {formula: value for formula, value in first.items() if formula not in self.computed}
        with (folder / "computed.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("formula", "index"), *self.computed.items()])
        self.campaign = folder / "campaign.yaml"
        table = {"path": "computed.csv", "property": "refractive_index", "column": "index", "source": "dft:pbe"}
        target = {"property": "refractive_index", "goal": "at_least", "value": 3.0, "unit": "1"}
        self.campaign.write_text(
            f"name: films\ndata: {json.dumps([{'table': table}])}\n"
            "sources:\n  - composition_enumeration: {elements: [Ga, Zn, N, O], most_elements: 2}\n"
            f"targets:\n  - {json.dumps(target)}\n"
            "surrogates: {features: [stoichiometry, valence_orbital], keep: 20}\nshortlist: {size: 5}\n",
            "utf-8",
        )
        self._sheets = itertools.count()

    def measure(
        self, formulas: Sequence[str], *, slope: float = 1.3, offset: float = 0.4, cells: Mapping[str, str] = INDEX
    ) -> ImportReport:  # fmt: skip
        """Send a sheet with values of some compounds."""
        rows = [
            result(f"c-{formula}", formula, f"{formula}-1", f"{slope * self.others[formula] + offset:.3f}", **cells)
            for formula in formulas
        ]
        sheet = write_sheet(self.folder / f"sheet-{next(self._sheets)}.csv", rows)
        known = {f"c-{formula}": KnownCandidate(formula) for formula in formulas}
        return import_sheet(open_records(self.records), sheet, candidates=known, laboratory=LABORATORY)


@pytest.fixture
def laboratory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Laboratory:
    monkeypatch.setenv("MATLOOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(ExtraTrees.__init__.__kwdefaults__, "trees", 10)  # the decisions are tested, not the forest
    return Laboratory(tmp_path)
