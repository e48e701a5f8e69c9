"""SevenNet beside CHGNet: equality with its package, speed, formation energies against DFT, and stable crystals found.

Both potentials were trained on relaxations of the Materials Project, most of the packaged crystals among them: read the
errors as those of interpolation. What is fitted here, energies of the elements and corrections for +U, never sees a
formula of the rows it is judged on. A crystal counts as found where its distance from the hull of density functional
theory, moved by the error of the formation energy, is at most 50 meV/atom.

``python benchmarks/models/sevennet.py`` on one thread, with the extras ``potentials`` and ``sevennet``; some two
minutes. The errors are those of the packaged energies, which a sample of crystals is compared with.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.packaged.materials import load_materials
from matloop.models.potentials.contract import GGA_AND_U, energy_source, potential_named
from matloop.models.potentials.sevennet import WEIGHTS, SevenNetPotential
from matloop.models.stability.formation_energies import FormationEnergyFit, held_out_formation_energies
from matloop.models.stability.hull import PhaseEnergies, packaged_references
from matloop.workflows.bench.hardware import describe

STABLE = 0.05  # eV/atom
MOST_SITES = 20


def sample(count: int) -> NDArray[np.int64]:
    """Rows of random packaged crystals with few sites, whose formation energy and distance from the hull are known."""
    materials = load_materials()
    usable = materials.crystals.site_counts <= MOST_SITES
    for name in ("formation_energy_per_atom_dft", "energy_above_hull_dft"):
        usable &= np.isfinite(materials.column(name).astype(float))
    return np.sort(np.random.default_rng(0).choice(np.flatnonzero(usable), count, replace=False))


def evaluated(batch: CandidateBatch) -> PhaseEnergies:
    """Energies of SevenNet, and how fast they came."""
    potential = potential_named("sevennet")
    assert isinstance(potential, SevenNetPotential)
    potential.energies(batch.take([0]))  # reads the weights, builds the network
    processor = time.process_time()
    energies = potential.energies(batch)
    seconds = time.process_time() - processor
    print(f"{len(batch)} packaged crystals: {len(batch) / seconds:.1f} evaluations per second of processor time")
    return PhaseEnergies(energy_source(potential), batch.compositions, energies, list(batch.ids))


def compare_with_package(batch: CandidateBatch, energies: NDArray[np.float64]) -> None:
    """Largest difference from the calculator that the package makes of its own file."""
    from sevenn.calculator import SevenNetCalculator

    package, found = SevenNetCalculator("7net-l3i5", device="cpu"), []
    for row in range(len(batch)):
        atoms = batch.atoms(row)
        atoms.calc = package
        found.append(atoms.get_potential_energy() / len(atoms))
    difference = np.abs(np.array(found) - energies).max()
    print(f"{WEIGHTS.path.name}: largest difference from the package in {len(batch)} crystals {difference:.1e} eV/atom")


def verdict(
    name: str,
    phases: PhaseEnergies,
    truth: NDArray[np.float64],
    above: NDArray[np.float64],
    corrected: tuple[str, ...] = (),
) -> None:
    """One line: error of formation energies and F1 of stable crystals, on grouped folds."""
    formation = held_out_formation_energies(phases, truth, corrected=corrected)
    error = formation - truth
    judged = np.isfinite(error)
    found, stable = (above + error <= STABLE)[judged], (above <= STABLE)[judged]
    f1 = 2 * (found & stable).sum() / (found.sum() + stable.sum())
    print(
        f"  {name:<24} MAE {np.abs(error[judged]).mean():.4f}  median {np.median(np.abs(error[judged])):.4f} eV/atom  "
        f"F1 {f1:.3f}  no number for {(~judged).sum()}"
    )
    for symbol, correction in FormationEnergyFit.of(phases, truth, corrected=corrected).corrections.items():
        print(f"    {symbol:<2} beside O or F {correction:+.2f} eV/atom of it")


def main() -> None:
    """Print everything."""
    import torch

    parser = argparse.ArgumentParser()
    parser.add_argument("--crystals", type=int, default=100, help="evaluated to compare speed and energies")
    count = parser.parse_args().crystals
    torch.set_num_threads(1)
    print(describe())
    materials = load_materials()
    rows = sample(count)
    batch, packaged = materials.take(rows), packaged_references(materials, "sevennet")
    evaluated_now = evaluated(batch)
    compare_with_package(batch.take(np.arange(0, count, 5)), evaluated_now.energies[::5])
    difference = np.abs(evaluated_now.energies - packaged.energies[rows]).max()
    print(f"largest difference from the packaged energies {difference:.1e} eV/atom")
    judged = np.flatnonzero(
        np.isfinite(materials.column("formation_energy_per_atom_dft").astype(float))
        & np.isfinite(materials.column("energy_above_hull_dft").astype(float))
    )
    sevennet, chgnet = packaged.take(judged), packaged_references(materials).take(judged)
    truth = materials.column("formation_energy_per_atom_dft").astype(float)[judged]
    above = materials.column("energy_above_hull_dft").astype(float)[judged]
    print(f"{len(judged)} crystals, those within {1000 * STABLE:.0f} meV/atom of the hull to be found, grouped folds")
    verdict("CHGNet", chgnet, truth, above)
    verdict("CHGNet, corrected", chgnet, truth, above, GGA_AND_U)
    verdict("SevenNet, uncorrected", sevennet, truth, above)
    verdict("SevenNet, corrected", sevennet, truth, above, GGA_AND_U)


if __name__ == "__main__":
    main()
