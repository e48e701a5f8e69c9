"""Crystals relaxed together end by our limits, and as ASE's FIRE ends them where torch-sim makes the steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import BatchError, PotentialError, UnknownNameError
from matloop.models.potentials import torch_sim_relaxation
from matloop.models.potentials.contract import Evaluation, RelaxesBatches, capabilities_of, energy_source
from matloop.models.potentials.relaxation import code_of, relax_crystal
from matloop.models.potentials.relaxed_crystal import Outcome, RelaxationLimits, RelaxedCrystal
from matloop.models.potentials.sevennet import SevenNetPotential
from matloop.models.potentials.torch_sim_relaxation import largest_forces, relax_together, require_torch_sim
from matloop.models.potentials.validation import example_crystals, validate_potential
from tests.models.potentials.pair_potential import PairPotential

POTENTIAL = PairPotential()
WIDE = RelaxationLimits(volume_ratio=(0.1, 10.0))
Judge = Callable[[CandidateBatch], Evaluation]


@pytest.fixture
def torch_sim() -> None:
    pytest.importorskip("torch_sim", reason="torch-sim is not installed (extra torch-sim)")


class Standing:
    """What torch-sim has in hand, with steps that move nothing; cells are forced by stress times volume per atom."""

    def __init__(self, starts: list[Any], answer: dict[str, Any]) -> None:
        import torch

        self.starts, self.answer = starts, answer
        cells = np.array([one.hand * one.cell for one in starts])
        places = [one.frac_coords @ cell for one, cell in zip(starts, cells, strict=True)]
        counts = [len(one.numbers) for one in starts]
        self.n_systems, self.row_vector_cell = len(starts), torch.tensor(cells)
        self.positions = torch.tensor(np.concatenate(places))
        self.system_idx = torch.tensor(np.repeat(np.arange(len(starts)), counts))
        volumes = np.linalg.det(cells) / counts
        if answer:
            self.cell_forces = -answer["stress"] * torch.tensor(volumes)[:, None, None]

    def deform_grad(self) -> Any:
        import torch

        return torch.eye(3, dtype=torch.float64).expand(self.n_systems, 3, 3)

    def __getitem__(self, places: list[int]) -> Standing:
        return Standing([self.starts[place] for place in places], {})


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed (extra potentials)")

    def optimizer(model: Any) -> tuple[Any, Any]:
        def step(state: Standing) -> Standing:
            return Standing(state.starts, model(state))

        return step, step

    monkeypatch.setattr(
        torch_sim_relaxation, "_torch_sim", lambda *, relax_cell: (lambda starts: Standing(starts, {}), optimizer)
    )


def judged(change: Callable[[CandidateBatch, Evaluation], None]) -> Judge:
    """The pair potential with other numbers."""

    def evaluate(batch: CandidateBatch) -> Evaluation:
        found = dataclasses.replace(POTENTIAL.evaluate(batch), details={0: "by hand"})
        change(batch, found)
        return found

    return evaluate


def ends_by_formula(batch: CandidateBatch, ends: list[RelaxedCrystal]) -> dict[str, RelaxedCrystal]:
    assert len(ends) == len(batch)
    return dict(zip(batch.formulas, ends, strict=True))


def test_the_force_that_is_judged_is_of_atoms_and_cells() -> None:
    forces = np.array([[0.3, 0, 0], [0, 0.4, 0.3], [0, 0, 0.1]])
    np.testing.assert_allclose(largest_forces(forces, [2, 1]), [0.5, 0.1])
    cell_forces = np.zeros((2, 3, 3))
    cell_forces[1, 2] = [0.6, 0, 0.8]
    np.testing.assert_allclose(largest_forces(forces, [2, 1], cell_forces), [0.5, 1.0])


@pytest.mark.usefixtures("standing")
def test_a_strained_cell_without_forces_has_not_converged() -> None:
    salt, limits = example_crystals().take([0]), RelaxationLimits(steps=3)
    assert np.abs(POTENTIAL.evaluate(salt).forces).max() < 1e-6
    (strained,) = relax_together(POTENTIAL.evaluate, salt, limits=limits, relax_cell=True)
    assert (strained.outcome, strained.steps) == (Outcome.NOT_CONVERGED, 3)
    assert strained.largest_force > limits.largest_force
    assert strained.detail.startswith("stopped after 3 steps at ")
    (fixed,) = relax_together(POTENTIAL.evaluate, salt, limits=limits, relax_cell=False)
    assert (fixed.outcome, fixed.steps, fixed.detail) == (Outcome.CONVERGED, 0, "")


@pytest.mark.usefixtures("standing")
def test_crystals_without_numbers_fail_alone() -> None:
    def spoil(batch: CandidateBatch, found: Evaluation) -> None:
        for row, formula in enumerate(batch.formulas):
            if formula == "Si":
                found.energies[row] = np.inf
            elif formula == "TiO2":
                found.codes[row] = "E-POTENTIAL-FAILED"

    batch, limits = example_crystals().take([2, 1, 0]), RelaxationLimits(steps=2)
    ends = ends_by_formula(batch, relax_together(judged(spoil), batch, limits=limits, relax_cell=True))
    assert {name: (end.outcome.value, end.code) for name, end in ends.items()} == {
        "TiO2": ("failed", "E-POTENTIAL-FAILED"), "Si": ("failed", "E-POTENTIAL-NONFINITE"),
        "NaCl": ("not_converged", ""),
    }  # fmt: skip
    assert ends["TiO2"].detail == "by hand (after 0 steps)"
    assert np.isfinite(ends["NaCl"].energies).all()
    assert np.isnan([*ends["Si"].energies, ends["Si"].largest_force]).all()


@pytest.mark.usefixtures("standing")
def test_time_and_explosions_end_a_relaxation() -> None:
    salt = example_crystals().take([0])
    (late,) = relax_together(POTENTIAL.evaluate, salt, limits=RelaxationLimits(seconds=-1.0), relax_cell=True)
    assert (late.outcome, late.steps) == (Outcome.NOT_CONVERGED, 0)
    (burst,) = relax_together(POTENTIAL.evaluate, salt, limits=RelaxationLimits(shortest_distance=3.0), relax_cell=True)
    assert (burst.outcome, burst.code) == (Outcome.EXPLODED, "")
    assert "Å apart" in burst.detail
    np.testing.assert_array_equal(burst.cell, salt.crystals.lattice[0])


def test_what_cannot_be_relaxed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert relax_together(POTENTIAL.evaluate, example_crystals().take([]), limits=WIDE, relax_cell=True) == []
    with pytest.raises(BatchError, match="without crystals"):
        relax_together(POTENTIAL.evaluate, CandidateBatch.from_formulas(["NaCl"]).batch, limits=WIDE, relax_cell=True)
    monkeypatch.setattr(torch_sim_relaxation.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PotentialError, match=r"torch-sim is not installed.*\[torch-sim\]"):
        require_torch_sim()


def test_a_gpu_without_memory_is_told_as_such() -> None:
    assert code_of(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")) == "E-POTENTIAL-MEMORY"


def test_sevennet_relaxes_batches_only_with_torch_sim(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = SimpleNamespace(read=lambda error: b"")
    monkeypatch.setattr("matloop.models.potentials.sevennet.WEIGHTS", weights)
    monkeypatch.setattr("matloop.models.potentials.sevennet.require_torch_sim", lambda: None)
    alone, together = SevenNetPotential(), SevenNetPotential(engine="torch-sim")
    assert capabilities_of(alone) == ("Evaluates",)
    assert isinstance(together, RelaxesBatches)
    assert (alone.batch_sites, together.batch_sites) == (1, 128)
    assert energy_source(alone) == energy_source(together)
    with pytest.raises(UnknownNameError, match="did you mean 'torch-sim'"):
        SevenNetPotential(engine="torchsim")  # type: ignore[arg-type]


@pytest.mark.usefixtures("torch_sim")
@pytest.mark.parametrize("relax_cell", [True, False])
def test_steps_are_those_of_fire_in_ase(relax_cell: bool) -> None:
    batch = example_crystals()
    for limits in (WIDE, dataclasses.replace(WIDE, steps=4)):
        ends = relax_together(POTENTIAL.evaluate, batch, limits=limits, relax_cell=relax_cell)
        for row, end in enumerate(ends):
            own = relax_crystal(batch.atoms(row), POTENTIAL, limits=limits, optimizer="fire", relax_cell=relax_cell)
            assert (end.outcome, end.steps, end.detail) == (own.outcome, own.steps, own.detail)
            assert end.energies == pytest.approx(own.energies, abs=1e-4)
            np.testing.assert_allclose(end.cell, own.cell, atol=0.01)


@pytest.mark.usefixtures("torch_sim")
def test_left_handed_cells_relax_like_their_mirror_image() -> None:
    salt = example_crystals().take([3]).crystals
    left = Crystals(-salt.lattice, salt.offsets, salt.species, salt.frac_coords)
    limits = dataclasses.replace(WIDE, steps=30)
    ends = [
        relax_together(POTENTIAL.evaluate, CandidateBatch.from_crystals(crystals), limits=limits, relax_cell=True)[0]
        for crystals in (salt, left)
    ]
    assert ends[1].energies == pytest.approx(ends[0].energies, abs=1e-9)
    np.testing.assert_allclose(ends[1].cell, -ends[0].cell, atol=1e-9)
    np.testing.assert_allclose(ends[1].frac_coords, ends[0].frac_coords, atol=1e-9)


@pytest.mark.usefixtures("torch_sim")
def test_an_explosion_does_not_disturb_the_others() -> None:
    batch, limits = example_crystals(), RelaxationLimits()
    ends = relax_together(POTENTIAL.evaluate, batch, limits=limits, relax_cell=True)
    assert ends[2].outcome == Outcome.EXPLODED
    (alone,) = relax_together(POTENTIAL.evaluate, batch.take([3]), limits=limits, relax_cell=True)
    assert (alone.outcome, alone.steps, alone.energies[1]) == (
        ends[3].outcome, ends[3].steps, pytest.approx(ends[3].energies[1], abs=1e-6)
    )  # fmt: skip


@pytest.mark.usefixtures("torch_sim")
def test_a_potential_with_torch_sim_keeps_the_contract() -> None:
    class Together(PairPotential):
        batch_sites = 1000

        def relax_batch(
            self, batch: CandidateBatch, *, limits: RelaxationLimits, relax_cell: bool
        ) -> list[RelaxedCrystal]:
            return relax_together(self.evaluate, batch, limits=limits, relax_cell=relax_cell)

    assert "RelaxesBatches" in validate_potential(Together())


@pytest.mark.filterwarnings("ignore")  # sevenn warns of accelerators and of its own use of torch
@pytest.mark.usefixtures("torch_sim")
def test_sevennet_together_and_alone() -> None:
    pytest.importorskip("sevenn", reason="sevenn is not installed (extra sevennet)")
    alone, together = SevenNetPotential(), SevenNetPotential(engine="torch-sim")
    assert isinstance(together, RelaxesBatches)
    batch, limits = example_crystals().take([1, 2]), RelaxationLimits(steps=4)
    silicon, rutile = together.relax_batch(batch, limits=limits, relax_cell=True)
    own = relax_crystal(batch.atoms(0), alone, limits=limits)
    assert (silicon.outcome, own.outcome) == (Outcome.CONVERGED, Outcome.CONVERGED)
    assert silicon.energies == pytest.approx(own.energies, abs=1e-3)
    assert (rutile.outcome, rutile.steps) == (Outcome.NOT_CONVERGED, 4)
    assert rutile.energies[0] == pytest.approx(alone.energies(batch)[1], abs=1e-5)
