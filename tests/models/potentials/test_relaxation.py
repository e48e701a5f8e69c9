import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import ROW_CODES, BatchError, UnknownNameError
from matloop.models.potentials.contract import Evaluation, potential_named
from matloop.models.potentials.relaxation import OPTIMIZERS, relax
from matloop.models.potentials.relaxed_crystal import Outcome, RelaxationLimits
from matloop.models.potentials.validation import example_crystals
from tests.models.potentials.pair_potential import PairPotential


class Failing(PairPotential):
    """Raises for silicon, refuses titanium oxide, and pulls everything else to pieces."""

    def evaluate(self, batch: CandidateBatch) -> Evaluation:
        result = super().evaluate(batch)
        if batch.formulas == ["Si"]:
            raise KeyError("no silicon today")
        if batch.formulas == ["TiO2"]:
            result.codes[:] = "E-POTENTIAL-SIZE"
        return Evaluation(
            result.energies, result.forces, np.broadcast_to(-300 * np.eye(3), (1, 3, 3)), result.magnetic_moments,
            result.codes,
        )  # fmt: skip


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_relaxed_crystals_have_no_forces_left(optimizer: str) -> None:
    batch, potential = example_crystals().take([0, 1, 3]), PairPotential()
    limits = RelaxationLimits(largest_force=0.02, steps=500, volume_ratio=(0.2, 5))
    done = relax(batch, potential, optimizer=optimizer, limits=limits)
    assert set(done.column("relaxation_outcome")) == {Outcome.CONVERGED}
    assert done.ids == batch.ids
    after = potential.evaluate(done)
    np.testing.assert_allclose(done.column("relaxation_energy"), after.energies, atol=1e-9)
    np.testing.assert_allclose(done.column("relaxation_energy_start"), potential.energies(batch), atol=1e-9)
    assert (done.column("relaxation_energy") <= done.column("relaxation_energy_start")).all()
    assert np.abs(after.forces).max() < 0.02
    assert (done.column("relaxation_largest_force") <= 0.02).all()
    change = done.crystals.volumes / batch.crystals.volumes - 1
    np.testing.assert_allclose(done.column("relaxation_volume_change"), change)
    assert done.table["relaxation_detail"].to_pylist() == [""] * 3


def test_cell_stays_where_only_atoms_relax() -> None:
    batch = example_crystals().take([3])
    done = relax(batch, PairPotential(), relax_cell=False)
    np.testing.assert_array_equal(done.crystals.lattice, batch.crystals.lattice)
    assert done.column("relaxation_energy")[0] < done.column("relaxation_energy_start")[0]


def test_every_crystal_ends_in_one_way_and_says_why() -> None:
    batch = example_crystals()
    done = relax(batch, Failing())
    assert done.column("relaxation_outcome").tolist() == ["exploded", "failed", "failed", "exploded"]
    details = done.table["relaxation_detail"].to_pylist()
    assert "volume" in details[0]
    assert details[1] == "KeyError: 'no silicon today'"
    codes = done.table["relaxation_code"].to_pylist()
    assert codes == ["", "E-POTENTIAL-FAILED", "E-POTENTIAL-SIZE", ""]
    assert set(codes) <= {"", *ROW_CODES}
    np.testing.assert_array_equal(done.crystals.lattice, batch.crystals.lattice)  # those of the start
    for name in ("energy", "volume_change", "largest_force"):
        assert np.isnan(done.column(f"relaxation_{name}")).all()


def test_atoms_that_come_too_close_have_exploded() -> None:
    done = relax(example_crystals().take([3]), PairPotential(), limits=RelaxationLimits(shortest_distance=2.6))
    assert done.column("relaxation_outcome").tolist() == ["exploded"]
    assert "apart" in done.table["relaxation_detail"][0].as_py()


@pytest.mark.parametrize("limits", [RelaxationLimits(steps=2), RelaxationLimits(seconds=0.0)])
def test_steps_and_time_are_bounded(limits: RelaxationLimits) -> None:
    done = relax(example_crystals().take([3]), PairPotential(), limits=limits)
    assert done.column("relaxation_outcome").tolist() == ["not_converged"]
    assert done.column("relaxation_steps")[0] <= 2
    assert "stopped after" in done.table["relaxation_detail"][0].as_py()
    assert np.isfinite(done.column("relaxation_energy")[0])


def test_nothing_to_relax_and_nothing_known() -> None:
    assert len(relax(example_crystals().take([]), PairPotential())) == 0
    with pytest.raises(BatchError, match="without crystals"):
        relax(CandidateBatch.from_formulas(["NaCl"]).batch, PairPotential())
    with pytest.raises(UnknownNameError, match="did you mean 'fire'"):
        relax(example_crystals(), PairPotential(), optimizer="fir")


def test_chgnet_brings_distorted_rock_salt_back() -> None:
    pytest.importorskip("torch", reason="torch is not installed (extra potentials)")
    pytest.importorskip("chgnet", reason="chgnet is not installed (extra potentials)")
    done = relax(example_crystals().take([0, 3]), potential_named("chgnet"), optimizer="bfgs")
    assert set(done.column("relaxation_outcome")) == {"converged"}
    perfect, mended = done.column("relaxation_energy")
    assert mended == pytest.approx(perfect, abs=0.005)
    assert done.crystals.volumes[1] == pytest.approx(done.crystals.volumes[0], rel=0.03)
