"""A campaign with SevenNet from candidates to the report; the reference phases have packaged energies."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.screening.campaign.stage_settings import PotentialStage
from matloop.workflows.inspecting.why import story_of
from matloop.workflows.screen import screen
from matloop.workflows.stages.potential import references_are_packaged
from tests.workflows.conftest import campaign

pytest.importorskip("sevenn", reason="sevenn is not installed (extra sevennet)")
pytestmark = pytest.mark.filterwarnings("ignore")  # the package warns of accelerators and of its own use of torch

SEVENNET: dict[str, Any] = {
    "name": "with_sevennet",
    "targets": [{"property": "formation_energy_per_atom", "goal": "at_most", "value": -1.0, "unit": "eV/atom"}],
    "sources": [{"ionic_substitution": {"limit": 300, "min_probability": 1e-3, "max_sites": 6}}],
    "filters": [{"require_elements": ["O"]}],
    "surrogates": {"features": ["valence_orbital"], "keep": 3},
    "potential": {"name": "sevennet", "steps": 2, "largest_force": 0.5, "competitors": 0},
    "shortlist": {"size": 2},
}


def test_energies_corrections_and_citation_are_told(tmp_path: Path) -> None:
    run = screen(campaign(**SEVENNET), output=tmp_path / "run", workers=1)
    assert not (run.folder / "references.parquet").exists(), "nothing is evaluated that the package holds"
    summary = run.summary
    assert summary.energies == "sevennet-l3i5-a7ff190d41ef"
    fit = summary.formation_energies
    assert fit is not None
    assert fit.error is not None
    assert fit.error_uncorrected is not None
    assert fit.error < 0.5 * fit.error_uncorrected
    added = run.ranked.column("formation_energy_correction")
    assert len(added)
    assert (added <= 0).all()
    report = run.report.read_text("utf-8")
    assert "Scalable parallel algorithm" in report
    assert "不加修正时误差" in report
    told = story_of(run.folder, run.ranked.ids[0])["stages"][-1]["further"]
    assert np.isclose(told.get("formation_energy_correction", 0), added[0])


def test_only_energies_without_other_options_are_packaged() -> None:
    assert references_are_packaged(PotentialStage(name="sevennet"))
    assert references_are_packaged(PotentialStage(name="chgnet"))
