"""Crystals that do the worst to the process that relaxes them: each fails under its code, the others are unharmed."""

from collections.abc import Iterator

import numpy as np
import pytest
from ase import Atoms

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import ROW_CODES
from matloop.data.guard.shared_workers import close_shared_workers
from matloop.models.potentials.guarded_relaxation import GuardedRelaxationSettings, relax_guarded
from matloop.models.potentials.relaxation import relax
from matloop.models.potentials.relaxed_crystal import Outcome, RelaxationLimits
from matloop.models.potentials.validation import example_crystals
from tests.models.potentials.pair_potential import PairPotential
from tests.plugins import ENDINGS, FAULTS, install_plugin

POISON = f"""
from pair_potential import PairPotential
{FAULTS}
class Plugin(PairPotential):
    name = "poison"
    def evaluate(self, batch):
        suffer(batch.formulas[0])
        return super().evaluate(batch)
"""
IN_BATCHES = (
    POISON.replace('"poison"', '"poison_batches"')
    + """
    batch_sites = 1000
    def relax_batch(self, batch, *, limits, relax_cell):
        from matloop.models.potentials.relaxation import relax_crystal
        for formula in batch.formulas:
            suffer(formula)
        rows = range(len(batch))
        return [relax_crystal(batch.atoms(row), self, limits=limits, relax_cell=relax_cell) for row in rows]
"""
)
LIMITS = RelaxationLimits(steps=4, seconds=5)  # a busy machine takes its time with a new process
SETTINGS = GuardedRelaxationSettings(limits=LIMITS, grace_seconds=5, megabytes=400)


@pytest.fixture(autouse=True)
def poison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("poison")
    with pytest.MonkeyPatch.context() as patch:
        for name, source in {"poison": POISON, "poison_batches": IN_BATCHES}.items():
            install_plugin(folder, patch, group="matloop.potentials", name=name, source=source)
        yield
        close_shared_workers()


@pytest.mark.parametrize("potential", ["poison", "poison_batches"])
def test_r2_r3_r4_only_the_culprits_fail_and_every_crystal_ends_in_one_way(potential: str) -> None:
    """Also where a potential relaxes crystals together: a batch that fails is halved until the culprit is alone."""
    good = example_crystals()
    gases = CandidateBatch.from_atoms([Atoms(gas, cell=[3, 3, 3], pbc=True) for gas in ENDINGS]).batch
    assert good.crystals is not None
    assert gases.crystals is not None
    order = [0, 4, 5, 1, 6, 7, 2, 8, 9, 3]  # good ones are 0 to 3
    batch = CandidateBatch.from_crystals(
        Crystals(
            np.concatenate([good.crystals.lattice, gases.crystals.lattice]),
            np.concatenate([good.crystals.offsets, good.crystals.offsets[-1] + gases.crystals.offsets[1:]]),
            np.concatenate([good.crystals.species, gases.crystals.species]),
            np.concatenate([good.crystals.frac_coords, gases.crystals.frac_coords]),
        )
    ).take(order)
    done = relax_guarded(potential, batch, SETTINGS)
    assert done.ids == batch.ids
    expected = dict(zip(batch.formulas, [""] * len(batch), strict=True))
    expected |= {gas: f"E-POTENTIAL-{ending}" for gas, ending in ENDINGS.items()}
    codes = done.table["relaxation_code"].to_pylist()
    assert dict(zip(done.formulas, codes, strict=True)) == expected
    assert set(codes) <= {"", *ROW_CODES}
    outcomes = done.table["relaxation_outcome"].to_pylist()
    assert [outcome == Outcome.FAILED for outcome in outcomes] == [code != "" for code in codes]
    assert set(outcomes) <= {outcome.value for outcome in Outcome}

    alone = relax(good, PairPotential(), limits=LIMITS)
    survivors = done.take([order.index(row) for row in range(4)])
    assert survivors.crystals is not None
    assert alone.crystals is not None
    np.testing.assert_array_equal(survivors.crystals.lattice, alone.crystals.lattice)
    np.testing.assert_array_equal(survivors.crystals.frac_coords, alone.crystals.frac_coords)
    for name in ("outcome", "energy_start", "energy", "largest_force", "steps", "volume_change", "detail"):
        np.testing.assert_array_equal(survivors.column(f"relaxation_{name}"), alone.column(f"relaxation_{name}"))
    lost = done.take([order.index(row) for row in range(4, 10)])
    assert lost.crystals is not None
    np.testing.assert_array_equal(lost.crystals.lattice, gases.crystals.lattice)  # those of the start
