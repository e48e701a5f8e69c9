"""Candidates that labels know are counted before anything is trained."""

from pathlib import Path

import numpy as np
import pytest

from matloop.data.training.training_set import TrainingSet
from matloop.workflows.running import labelled_candidates as module
from matloop.workflows.running.labelled_candidates import labelled_candidates
from tests.workflows.conftest import campaign


@pytest.fixture
def labels() -> TrainingSet:
    return TrainingSet.of_formulas(
        ["NaCl", "MgO", "LiF"], np.array([1.0, 2.0, 3.0]), property_name="band_gap", name="labels.csv",
        provenance="exp", licence="unknown", citation="us",
    )  # fmt: skip


def candidates(folder: Path) -> dict[str, str]:
    path = folder / "candidates.csv"
    path.write_text("formula\nNa2Cl2\nNaCl\nKBr\nMgO\nXx\n", "utf-8")
    return {"table": str(path)}


def test_candidates_with_labels_are_counted(labels: TrainingSet, tmp_path: Path) -> None:
    generated = {"composition_enumeration": {"elements": ["Na", "Cl"]}}
    made = campaign(sources=[candidates(tmp_path), generated], filters=[])
    assert labelled_candidates(made, [labels]) == [
        "3 of 4 candidates of candidates.csv have a composition with a label of band_gap in labels.csv; the filter "
        "new_compounds would leave them out"
    ]
    made = campaign(sources=["embedded"], filters=["new_compounds"])
    (told,) = labelled_candidates(made, [labels])
    assert told.startswith("6 of 6,317 candidates of embedded have a composition")
    assert told.endswith("in labels.csv; new_compounds leaves them out")
    assert labelled_candidates(made, []) == []


def test_long_sources_are_not_read(labels: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CANDIDATES", 3)
    assert labelled_candidates(campaign(sources=[candidates(tmp_path)]), [labels]) == []
