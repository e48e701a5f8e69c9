"""Vibrations of finalists are computed once, and a run that goes on reads them again."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.guard.shared_workers import close_shared_workers
from matloop.models.potentials import contract, phonons
from matloop.models.potentials.validation import example_crystals
from matloop.screening.campaign.stage_settings import PotentialStage
from matloop.screening.report.vibrations import vibration_words
from matloop.workflows.inspecting.validation import _check_potential
from matloop.workflows.running import engine as engine_module
from matloop.workflows.running import finalist_phonons
from matloop.workflows.running.finalist_phonons import lost_phonons, with_phonons
from tests.models.potentials.test_guarded_relaxation import PAIR
from tests.plugins import MODELS, install_plugin
from tests.workflows.running.engines import engine_in, inline

STAGE = PotentialStage(name="pair", phonons=True)


def _bring_pair(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A potential from outside, for this process too."""
    install_plugin(folder, monkeypatch, group="matloop.potentials", name="pair", source=PAIR)
    for path in (MODELS, folder):
        monkeypatch.syspath_prepend(str(path))
    contract._loaded.cache_clear()


@pytest.fixture
def ranked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CandidateBatch]:
    pytest.importorskip("phonopy", reason="phonopy is not installed (extra phonons)")
    _bring_pair(tmp_path, monkeypatch)
    monkeypatch.setattr(engine_module, "answers", inline())
    yield example_crystals().take([0, 1, 2]).with_columns(shortlisted=np.array([2, 1, 0]))
    close_shared_workers()
    contract._loaded.cache_clear()
    sys.modules.pop("plugin_pair", None)


def test_finalists_get_vibrations_that_a_resumed_run_does_not_compute_again(
    ranked: CandidateBatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = with_phonons(engine_in(tmp_path / "run"), STAGE, ranked)
    assert found.ids == ranked.ids
    lowest = found.table["phonon_lowest"].to_pylist()
    assert [value is None for value in lowest] == [False, False, True]
    assert found.table["phonon_code"].to_pylist() == ["", "", None]
    words = vibration_words(found)
    assert words[2] is None
    assert words[0] is not None
    assert words[0].is_warning == (lowest[0] < phonons.IMAGINARY)
    monkeypatch.setattr(finalist_phonons, "phonons_guarded", None)
    again = with_phonons(engine_in(tmp_path / "run"), STAGE, ranked)
    assert again.table.equals(found.table)


def test_a_finalist_that_ends_its_workers_has_a_code_in_its_row(ranked: CandidateBatch) -> None:
    lost = lost_phonons(Intake(ranked.take([1]), []))
    assert lost.fates["phonon_code"].to_pylist() == ["E-POTENTIAL-CRASH"]
    assert lost.fates["phonon_lowest"].to_pylist() == [None]
    assert lost.best.num_rows == 0
    (told,) = vibration_words(ranked.take([1]).with_columns({n: lost.fates[n] for n in lost.fates.column_names}))
    assert told is not None
    assert not told.is_warning
    assert told.words.en.startswith("no lattice vibrations: the relaxation ended the process that ran it")


def test_a_campaign_that_asks_for_phonons_without_phonopy_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _bring_pair(tmp_path, monkeypatch)
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "phonopy" else there(name))
    (problem,) = _check_potential(STAGE)
    assert problem[0] == ("potential", "phonons")
    assert "phonopy is not installed" in problem[1]
    assert list(_check_potential(PotentialStage(name="pair"))) == []
