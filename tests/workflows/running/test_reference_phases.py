"""Reference energies are evaluated once per potential, options and set of crystals, and a run keeps what it used."""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from distributed import Client

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.guard.shared_workers import close_shared_workers
from matloop.data.packaged.materials import load_materials
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.manifest import Manifest
from matloop.data.sources.embedded import EmbeddedCrystals
from matloop.models.potentials import contract
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.clusters.workers import local_workers
from matloop.workflows.inspecting.validation import validate
from matloop.workflows.running import reference_phases, session
from matloop.workflows.running.engine import Engine
from matloop.workflows.running.progress import SilentProgress
from matloop.workflows.running.reference_phases import provide_references
from matloop.workflows.screen import screen
from tests.plugins import MODELS, install_plugin
from tests.workflows.conftest import campaign

OUTSIDE = """
import numpy as np
from matloop.models.potentials.relaxation import relax_crystal
from matloop.models.potentials.relaxed_crystal import Outcome, RelaxedCrystal, failed
from pair_potential import PairPotential

class Plugin(PairPotential):
    name = "elsewhere"
    batch_sites = 400

    def __init__(self, depth: float = 0.2, patience: int = 1):
        self.depth = depth
    neutral_options = frozenset({{"patience"}})

    def relax_batch(self, batch, *, limits, relax_cell):
        if limits.steps:
            rows = range(len(batch))
            return [relax_crystal(batch.atoms(row), self, limits=limits, relax_cell=relax_cell) for row in rows]
        with open({log!r}, "a") as log:
            log.write("".join(formula + "\\n" for formula in batch.formulas))
        found, crystals, ends = self.evaluate(batch), batch.crystals, []
        for row, (start, stop) in enumerate(zip(crystals.offsets[:-1], crystals.offsets[1:])):
            cell, places = crystals.lattice[row], crystals.frac_coords[start:stop]
            if found.codes[row]:
                ends.append(failed(cell, places, code=str(found.codes[row]), detail=""))
                continue
            energy = float(found.energies[row])
            ends.append(RelaxedCrystal(Outcome.NOT_CONVERGED, cell, places, (energy, energy), 0, 0.0, 1.0))
        return ends
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Every crystal that the potential of another package evaluated as it is, one line each."""
    folder = tmp_path_factory.mktemp("elsewhere")
    log = folder / "evaluated"
    log.touch()
    with pytest.MonkeyPatch.context() as patch:
        source = OUTSIDE.format(log=str(log))
        install_plugin(folder, patch, group="matloop.potentials", name="elsewhere", source=source)
        for path in (MODELS, folder):
            patch.syspath_prepend(str(path))
        yield log
        close_shared_workers()
        contract._loaded.cache_clear()
        sys.modules.pop("plugin_elsewhere", None)


@pytest.fixture(scope="module")
def client(log: Path) -> Iterator[Client]:
    with local_workers(2) as client:
        yield client


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("MATLOOP_CACHE", str(folder))
    return folder


FEW = np.array([10, 11, 12, 13, 14])


class Few:
    """A source of a few packaged crystals."""

    def __init__(self, rows: Any = FEW) -> None:
        self.rows = rows

    def intakes(self, size: int) -> Iterator[Intake]:
        for start in range(0, len(self.rows), 2):
            yield Intake(self.batch.take(range(start, min(start + 2, len(self.rows)))), [])

    @property
    def batch(self) -> CandidateBatch:
        return load_materials().take(self.rows)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_phases, "EmbeddedCrystals", Few)


def with_options(**options: Any) -> Campaign:
    return campaign(potential={"name": "elsewhere", "options": options, "steps": 2})


def provided(client: Client, folder: Path, chosen: Campaign) -> Path:
    run = RunDirectory(folder) if folder.exists() else RunDirectory.create(folder, "x")
    provide_references(chosen, Engine(client, run, Manifest(run.folder), SilentProgress(), 2))
    return Path(run.references)


def evaluated(log: Path) -> int:
    """How many were evaluated since the last time; getting a potential ready evaluates rock salt."""
    lines = [line for line in log.read_text().split() if line != "NaCl"]
    log.write_text("")
    return len(lines)


def test_the_second_run_evaluates_no_reference(client: Client, log: Path, cache: Path, tmp_path: Path) -> None:
    evaluated(log)
    first = provided(client, tmp_path / "first", with_options())
    assert evaluated(log) == len(FEW)
    second = provided(client, tmp_path / "second", with_options())
    assert evaluated(log) == 0
    assert second.read_bytes() == first.read_bytes()
    table = pq.read_table(second)
    assert table["id"].to_pylist() == Few().batch.ids
    assert all(table["packaged"].to_pylist())
    potential = contract.potential_named("elsewhere")
    assert isinstance(potential, contract.Evaluates)
    np.testing.assert_allclose(table["energy_per_atom"].to_numpy(), potential.energies(Few().batch), atol=1e-12)


def test_another_option_or_another_set_is_evaluated(
    client: Client, log: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = provided(client, tmp_path / "first", with_options())
    evaluated(log)
    other = provided(client, tmp_path / "other", with_options(depth=0.3))
    assert evaluated(log) == len(FEW)
    energies = [pq.read_table(path)["energy_per_atom"].to_numpy() for path in (first, other)]
    assert (energies[0] != energies[1]).all()
    monkeypatch.setattr(reference_phases, "EmbeddedCrystals", lambda: Few(FEW[:-1]))
    provided(client, tmp_path / "fewer", with_options())
    assert evaluated(log) == len(FEW) - 1
    monkeypatch.setattr(reference_phases, "potential_key", lambda _: "another version of its code")
    provided(client, tmp_path / "code", with_options())
    assert evaluated(log) == len(FEW) - 1


def test_what_is_damaged_is_evaluated_again_and_what_is_missing_alone(
    client: Client, log: Path, cache: Path, tmp_path: Path
) -> None:
    first = provided(client, tmp_path / "first", with_options())
    (path,) = (cache / "references").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    evaluated(log)
    assert provided(client, tmp_path / "second", with_options()).read_bytes() == first.read_bytes()
    assert evaluated(log) == len(FEW)
    store = reference_phases.ReferenceStore(cache / "references")
    (path,) = store.folder.iterdir()
    key, ids = path.name[:64], Few().batch.ids
    found = store.find(key, ids)
    found.codes[[1, 4]] = "E-POTENTIAL-TIMEOUT"  # as if they had taken too long there
    store.keep(key, ids, found)
    assert provided(client, tmp_path / "third", with_options()).read_bytes() == first.read_bytes()
    assert evaluated(log) == 2
    assert len(store.find(key, ids).rows) == len(FEW)


def test_a_run_goes_on_with_its_own_references_when_the_store_is_gone(
    client: Client, log: Path, cache: Path, tmp_path: Path
) -> None:
    first = provided(client, tmp_path / "run", with_options())
    before = first.read_bytes()
    shutil.rmtree(cache)
    evaluated(log)
    assert provided(client, tmp_path / "run", with_options()).read_bytes() == before
    assert evaluated(log) == 0
    first.write_bytes(before[:-1])  # damaged: made again from its own partitions
    assert provided(client, tmp_path / "run", with_options()).read_bytes() == before
    assert evaluated(log) == 0


def test_a_store_that_cannot_be_written_stops_nothing(
    client: Client, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MATLOOP_CACHE", str(tmp_path / "file"))
    evaluated(log)
    with pytest.warns(RuntimeWarning, match="MATLOOP_CACHE"):
        assert provided(client, tmp_path / "run", with_options()).is_file()
    assert evaluated(log) == len(FEW)


CAMPAIGN = """
name: elsewhere
sources: [embedded]
targets: [{{property: refractive_index, goal: at_least, value: 1.5, unit: "1"}}]
surrogates: {{features: [density], keep: 5}}
potential: {{name: elsewhere, options: {options}, competitors: 0}}
shortlist: {{size: 2}}
"""


def test_options_are_checked_with_the_campaign(log: Path, tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(CAMPAIGN.format(options="{depth: 0.3}"))
    text, problems = validate(path)
    assert text.campaign is not None
    assert problems == []
    path.write_text(CAMPAIGN.format(options="{dept: 0.3}"))
    (problem,) = validate(path)[1]
    assert problem.where == "potential.options"
    assert "did you mean 'depth'" in problem.message


@pytest.mark.slow
def test_potential_of_another_package_goes_through_a_campaign(
    client: Client, log: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_phases, "EmbeddedCrystals", EmbeddedCrystals)
    monkeypatch.setattr(session, "workers_of", lambda *_, **__: contextlib.nullcontext(client))
    chosen = campaign(
        sources=[{"ionic_substitution": {"limit": 300, "min_probability": 1e-3, "max_sites": 10}}],
        surrogates={"features": ["valence_orbital"], "keep": 6}, shortlist={"size": 2},
        potential={"name": "elsewhere", "options": {"depth": 0.3}, "steps": 2},
        targets=[{"property": "energy_above_hull", "goal": "at_most", "value": 0.05, "unit": "eV/atom"}],
    )  # fmt: skip
    evaluated(log)
    run = screen(chosen, output=tmp_path / "first")
    assert 6_000 < evaluated(log) < 7_000
    assert run.summary.energies == 'elsewhere-1-000000000000 {"depth": 0.3}'
    assert np.isfinite(run.ranked.column("hull_distance")).any()
    second = provided(client, tmp_path / "second", chosen)
    assert evaluated(log) == 0  # the second run finds them in the store
    assert second.read_bytes() == RunDirectory(run.folder).references.read_bytes()
