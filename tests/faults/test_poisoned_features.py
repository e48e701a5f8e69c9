"""Rows that do the worst to the process that featurizes them: each is lost under its code, the others are unharmed."""

import os
import signal
import time
from collections.abc import Iterator

import numpy as np
import psutil
import pytest
from ase import Atoms

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import ROW_CODES
from matloop.data.guard.shared_workers import close_shared_workers
from matloop.data.packaged.materials import load_materials
from matloop.featurizers.guard.guarded import GuardedFeaturizer
from matloop.featurizers.matminer.adapter import MatminerFeaturizer
from matloop.featurizers.registry import feature_set
from matloop.workflows.clusters.workers import local_workers
from tests.plugins import ENDINGS, FAULTS, install_plugin
from tests.processes import until

POISON = f"""
import numpy as np
from matloop.featurizers.base import Features, Featurizer, no_codes
{FAULTS}
class Plugin(Featurizer):
    name, version, feature_names = "poison", "1", ("volume per atom", "sum of coordinates")
    needs, parameters = frozenset({{"crystals"}}), {{}}

    def featurize(self, batch):
        for formula in batch.formulas:
            suffer(formula)
        crystals = batch.crystals
        sums = np.add.reduceat(crystals.frac_coords.sum(axis=1), crystals.offsets[:-1])
        return Features(np.column_stack([crystals.volumes / crystals.site_counts, sums]), no_codes(len(batch)))
"""
# Its oxidation states are guessed for over a minute.
MANY_ELEMENTS = "LiCr2Mn3Fe4Co5Ni6V7W8Mo9Nb10O133S7N13Cl3"


@pytest.fixture(scope="module", autouse=True)
def poison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("poison")
    with pytest.MonkeyPatch.context() as patch:
        install_plugin(folder, patch, group="matloop.featurizers", name="poison", source=POISON)
        yield
        close_shared_workers()


def mixed_with_culprits(good: CandidateBatch) -> tuple[CandidateBatch, dict[int, str]]:
    """The good crystals with one of each noble gas among them, and which row is which gas."""
    assert good.crystals is not None
    gases = CandidateBatch.from_atoms([Atoms(gas, cell=[3, 3, 3], pbc=True) for gas in ENDINGS]).batch
    assert gases.crystals is not None
    parts, rows, step = [], {}, len(good) // len(ENDINGS)
    for place, gas in enumerate(ENDINGS):
        parts += [
            good.crystals.take(np.arange(place * step, (place + 1) * step)),
            gases.crystals.take(np.array([place])),
        ]
        rows[(place + 1) * step + place] = gas
    parts.append(good.crystals.take(np.arange(len(ENDINGS) * step, len(good))))
    sites = np.concatenate([part.site_counts for part in parts])
    mixed = Crystals(
        np.concatenate([part.lattice for part in parts]), np.concatenate([[0], np.cumsum(sites)]),
        np.concatenate([part.species for part in parts]), np.concatenate([part.frac_coords for part in parts]),
    )  # fmt: skip
    return CandidateBatch.from_crystals(mixed), rows


def test_r2_r3_r4_only_the_culprits_among_two_hundred_rows_are_lost() -> None:
    crystals = load_materials().crystals
    assert crystals is not None
    good = CandidateBatch.from_crystals(crystals.take(np.arange(0, 4000, 20)[:200]))
    featurizer = GuardedFeaturizer("poison", seconds=2, megabytes=400)
    clean = featurizer.featurize(good)
    assert (clean.codes == "").all()
    batch, culprits = mixed_with_culprits(good)
    found = featurizer.featurize(batch)
    assert {row: str(code) for row, code in enumerate(found.codes) if code} == {
        row: f"E-FEATURE-{ENDINGS[gas]}" for row, gas in culprits.items()
    }
    assert set(found.codes) <= {"", *ROW_CODES}
    assert found.details.keys() == culprits.keys()
    assert np.isnan(found.values[list(culprits)]).all()
    np.testing.assert_array_equal(np.delete(found.values, list(culprits), axis=0), clean.values)
    np.testing.assert_array_equal(featurizer.featurize(good).values, clean.values)  # it serves on


def test_r3_guesses_of_oxidation_states_are_cut_short() -> None:
    featurizer = MatminerFeaturizer("IonProperty", seconds=3)
    batch = CandidateBatch.from_formulas(["NaCl", MANY_ELEMENTS, "MgO"]).batch
    start = time.monotonic()
    values, codes, details = featurizer.featurize(batch)
    assert time.monotonic() - start < 30
    assert codes.tolist() == ["", "E-FEATURE-TIMEOUT", ""]
    assert details == {1: "took longer than 3 s"}
    np.testing.assert_array_equal(values[[0, 2]], featurizer.featurize(batch.take([0, 2])).values)


def test_r6_rows_filled_with_nan_have_a_code_in_every_feature_set() -> None:
    features = feature_set([{"matminer": {"featurizer": "ElementProperty", "preset": "magpie", "options": {
        "impute_nan": False}}}, "stoichiometry"])  # fmt: skip
    matrix = features.featurize(CandidateBatch.from_formulas(["NaCl", "Og2", "MgO"]).batch)
    assert matrix.codes.tolist() == ["", "E-FEATURE-FAILED", ""]
    assert np.isfinite(matrix.values[[0, 2]]).all()


def test_r2_r5_in_dask_workers_the_guard_holds_and_ends_with_its_worker() -> None:
    featurizer = GuardedFeaturizer("poison", seconds=120)
    salt, crashing, hanging = (
        CandidateBatch.from_atoms([Atoms(name, cell=[4, 4, 4], pbc=True)]).batch for name in ("Na", "Xe", "Ar")
    )
    with local_workers(1) as client:
        assert client.submit(featurizer.featurize, crashing).result(60).codes.tolist() == ["E-FEATURE-CRASH"]
        assert client.submit(featurizer.featurize, salt).result(60).codes.tolist() == [""]
        (pid,) = client.run(os.getpid).values()
        future = client.submit(featurizer.featurize, hanging)
        guards = psutil.Process(pid).children(recursive=True)
        busy = max(guards, key=lambda process: process.create_time())
        assert len(guards) == 2
        assert until(lambda: busy.cpu_times().user >= 0.3, 30)  # in the middle of the native loop
        os.kill(pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(guards, timeout=10)
        assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
        future.cancel()
