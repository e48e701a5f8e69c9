from collections.abc import Iterator

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.guard.shared_workers import close_shared_workers
from matloop.models.potentials.guarded_relaxation import GuardedRelaxationSettings, relax_guarded
from matloop.models.potentials.rattling import FALL_TOLERANCE, rattle_and_relax, rattled
from matloop.models.potentials.relaxed_crystal import RelaxationLimits
from tests.models.potentials.test_guarded_relaxation import PAIR
from tests.plugins import install_plugin

SETTINGS = GuardedRelaxationSettings(limits=RelaxationLimits(largest_force=0.05, steps=200))
STARTS = bulk("Ge", "fcc", a=4.1, cubic=True), bulk("Si", "sc", a=2.9) * (2, 2, 2)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CandidateBatch]:
    """A closest packing and a simple cubic crystal, relaxed."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = tmp_path_factory.mktemp("pair")
        install_plugin(folder, monkeypatch, group="matloop.potentials", name="pair", source=PAIR)
        yield relax_guarded("pair", batch_of(*STARTS), SETTINGS)
        close_shared_workers()


def batch_of(*crystals: Atoms) -> CandidateBatch:
    return CandidateBatch.from_atoms(crystals).batch


def test_a_saddle_point_falls_and_a_minimum_stays_as_it_was(first: CandidateBatch) -> None:
    """Pair bonds hold no simple cubic crystal: nothing resists a shear (Born, 1940). A closest packing is stable."""
    assert first.column("relaxation_outcome").tolist() == ["converged", "converged"]
    done = rattle_and_relax("pair", first, SETTINGS, displacement=0.1)
    stayed, fell = done.column("relaxation_rattle_gain")
    assert stayed == 0
    assert fell > 0.1
    before, after = first.column("relaxation_energy"), done.column("relaxation_energy")
    np.testing.assert_allclose(before - after, [0, fell], atol=1e-12)
    assert done.cell(0)[0].tolist() == first.cell(0)[0].tolist()
    assert done.cell(0)[2].tolist() == first.cell(0)[2].tolist()
    again = relax_guarded("pair", done.take([1]), GuardedRelaxationSettings(limits=RelaxationLimits(steps=0)))
    assert again.column("relaxation_energy")[0] == pytest.approx(after[1], abs=1e-9)  # of the crystal that is returned
    for batch in (first, done):
        change = batch.crystals.volumes / batch_of(*STARTS).crystals.volumes - 1
        np.testing.assert_allclose(batch.column("relaxation_volume_change"), change, atol=1e-9)
    assert (done.column("relaxation_steps") > first.column("relaxation_steps")).all()
    alone = rattle_and_relax("pair", first.take([1]), SETTINGS, displacement=0.1)
    assert alone.column("relaxation_energy")[0] == after[1]  # whatever else is in the batch
    assert alone.ids == [done.ids[1]]


def test_what_is_not_moved_or_comes_to_no_end_stays_and_is_not_called_tested(first: CandidateBatch) -> None:
    off = rattle_and_relax("pair", first, SETTINGS, displacement=0)
    assert off.without_columns("relaxation_rattle_gain").table.equals(first.table)
    assert np.isnan(off.column("relaxation_rattle_gain")).all()
    hurried = GuardedRelaxationSettings(limits=RelaxationLimits(largest_force=1e-9, steps=200, seconds=1e-6))
    cut_short = rattle_and_relax("pair", first, hurried, displacement=0.1)
    assert np.isnan(cut_short.column("relaxation_rattle_gain")).all()
    assert cut_short.column("relaxation_energy").tolist() == first.column("relaxation_energy").tolist()
    unfinished = first.with_columns({"relaxation_outcome": ["not_converged", "exploded"]})
    still = rattle_and_relax("pair", unfinished, SETTINGS, displacement=0.1)
    assert np.isnan(still.column("relaxation_rattle_gain")).all()


def test_a_second_relaxation_that_uses_up_its_steps_lower_replaces_the_first(first: CandidateBatch) -> None:
    few = GuardedRelaxationSettings(limits=RelaxationLimits(largest_force=1e-9, steps=25))
    done = rattle_and_relax("pair", first, few, displacement=0.1)
    assert done.column("relaxation_outcome").tolist() == ["converged", "not_converged"]
    assert done.column("relaxation_detail")[1].startswith("stopped after 25 steps")
    gains = done.column("relaxation_rattle_gain")
    assert np.isnan(gains[0])  # it came to no end
    assert gains[1] >= FALL_TOLERANCE


def test_displacements_have_the_size_asked_for_and_follow_from_the_candidate() -> None:
    batch = batch_of(bulk("Si", "sc", a=2.9) * (5, 5, 5), bulk("Ge", "fcc", a=4.1, cubic=True))
    moved = rattled(batch, 0.05)
    steps = (moved.crystals.frac_coords - batch.crystals.frac_coords)[:125] @ batch.crystals.lattice[0]
    assert np.sqrt((steps**2).sum(axis=1).mean()) == pytest.approx(0.05, rel=0.1)
    np.testing.assert_allclose(steps.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_array_equal(moved.crystals.lattice, batch.crystals.lattice)
    alone = rattled(batch.take([1]), 0.05)
    np.testing.assert_array_equal(alone.crystals.frac_coords, moved.crystals.frac_coords[125:])
