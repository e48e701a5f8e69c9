"""CHGNet: speed, formation energies against DFT, and what its hull adds to a surrogate when stability is sought.

Formation energies and hull distances are those of flla (Materials Project of 2015). CHGNet was trained on later
Materials Project relaxations, most of these crystals among them: read its errors as those of interpolation. Whatever is
fitted here, elements and surrogates, never sees a formula of the rows it is judged on.

``python benchmarks/models/potentials.py`` on one thread; about five minutes, ``--only formation`` for a part.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
import warnings
from collections import Counter
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.candidates.crystals import Crystals
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.packaged.materials import load_materials
from matloop.featurizers.registry import feature_set
from matloop.models.grouped_folds import grouped_folds
from matloop.models.potentials.contract import potential_named
from matloop.models.potentials.relaxation import OPTIMIZERS, relax
from matloop.models.stability.elemental_references import ElementalReferences
from matloop.models.stability.hull import Hull, PhaseEnergies, packaged_references
from matloop.models.surrogates.surrogate import Surrogate
from matloop.workflows.bench.hardware import describe

STABLE = 0.05  # eV/atom
FEATURES = ("magpie", "stoichiometry", "valence_orbital", "density", "symmetry")


def sample(count: int) -> CandidateBatch:
    """Random packaged crystals."""
    materials = load_materials()
    return materials.take(np.sort(np.random.default_rng(0).choice(len(materials), count, replace=False)))


def rate(count: int, work: Any) -> str:
    """Crystals per second of wall time and of processor time; of two runs the quicker."""
    walls, processors = [], []
    for _ in range(2):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return f"{count / min(walls):6.1f} /s by the clock, {count / min(processors):6.1f} /s of processor time"


def speed(count: int) -> None:
    """The potential against the chgnet package, which builds a graph for second derivatives."""
    import torch
    from chgnet.model.model import CHGNet

    torch.set_num_threads(1)
    batch, potential = sample(count), potential_named("chgnet")
    few = batch.take(np.arange(0, count, 4))
    potential.evaluate(batch.take([0]))  # reads the weights, compiles the neighbour search
    print(f"\n{count} packaged crystals, {len(batch.crystals.species) / count:.1f} sites on average, one thread")
    print(f"  matloop energies                         {rate(count, lambda: potential.energies(batch))}")
    print(f"  matloop energies, forces, stresses       {rate(count, lambda: potential.evaluate(batch))}")
    with contextlib.redirect_stdout(io.StringIO()):
        package = CHGNet.load(use_device="cpu", verbose=False)
    order = np.argsort(few.crystals.site_counts, kind="stable")
    structures = [few.structure(row) for row in order]

    def predict(task: Any) -> None:
        package.predict_structure(structures, task=task, batch_size=8)

    def without_graph() -> None:
        plain = torch.autograd.grad
        with mock.patch("torch.autograd.grad", lambda *a, **k: plain(*a, **{**k, "create_graph": False})):
            predict("efs")

    print(f"  chgnet package, energies                 {rate(len(few), lambda: predict('e'))}")
    print(f"  chgnet package, create_graph=True        {rate(len(few), lambda: predict('efs'))}")
    print(f"  chgnet package, create_graph=False       {rate(len(few), without_graph)}")


def relaxation() -> None:
    """Steps and time of relaxations, and what relaxing the packaged crystals would change."""
    batch, potential, random = sample(400), potential_named("chgnet"), np.random.default_rng(1)
    batch = batch.take(np.flatnonzero(batch.crystals.site_counts <= 12)[:20])
    settled = relax(batch, potential)
    drop = settled.column("relaxation_energy_start") - settled.column("relaxation_energy")
    print(
        f"\n{len(batch)} packaged crystals of up to 12 sites: relaxing lowers the energy by "
        f"{1000 * np.median(drop):.1f} (median) and {1000 * drop.max():.1f} (most) meV/atom"
    )
    start = batch.crystals
    lattice = start.lattice * 1.03
    owner = np.repeat(np.arange(len(start)), start.site_counts)
    shaken = np.einsum("si,sij->sj", 0.05 * random.normal(size=start.frac_coords.shape), np.linalg.inv(lattice)[owner])
    changed = Crystals(lattice, start.offsets, start.species, start.frac_coords + shaken)
    moved = batch.with_block(CRYSTALS, changed)
    print("the same stretched by 3 % and shaken by 0.05 Å, relaxed to 0.05 eV/Å")
    for name in OPTIMIZERS:
        processor = time.process_time()
        done = relax(moved, potential, optimizer=name)
        seconds, steps = time.process_time() - processor, done.column("relaxation_steps").sum()
        ends = ", ".join(f"{n} {end}" for end, n in Counter(done.column("relaxation_outcome")).items())
        print(f"  {name:<5} {ends}; {steps / len(batch):.0f} steps each, {1000 * seconds / steps:.0f} ms a step")


def formation(groups: NDArray[np.int64], labelled: NDArray[np.int64]) -> None:
    """Mean absolute error of formation energies with three choices of elements."""
    phases = packaged_references(load_materials())
    known = load_materials().column("formation_energy_per_atom_dft")
    print(f"\nformation energies of {len(labelled)} crystals against DFT, eV/atom")
    naive = ElementalReferences.of_crystals(phases)
    error = np.abs(naive.formation_energies(phases).energies - known)[labelled]
    print(
        f"  elements as crystals     MAE {np.nanmean(error):.4f}  median {np.nanmedian(error):.4f}  "
        f"no number for {np.isnan(error).sum()} ({len(naive.missing)} elements up to Pu have no crystal)"
    )
    fitted = {}
    for train, test in grouped_folds(groups):
        elements = ElementalReferences.fitted(phases.take(labelled[train]), known[labelled[train]])
        fitted[len(fitted)] = np.abs(elements.formation_energies(phases).energies - known)[labelled[test]]
    error = np.concatenate(list(fitted.values()))
    print(
        f"  elements fitted, 5 folds MAE {np.nanmean(error):.4f}  median {np.nanmedian(error):.4f}  "
        f"no number for {np.isnan(error).sum()}"
    )


def verdict(name: str, found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> None:
    """One line: precision, recall, F1 and discovery acceleration factor (precision over prevalence)."""
    hits = (found & truth).sum()
    precision, recall = hits / max(found.sum(), 1), hits / truth.sum()
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    print(
        f"    {name:<12} precision {precision:.3f}  recall {recall:.3f}  "
        f"F1 {f1:.3f}  DAF {precision / truth.mean():.2f}"
    )


def potential_hull(fit_rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Distance of every packaged crystal from the hull of all of them, elements fitted to ``fit_rows`` only."""
    phases = packaged_references(load_materials())
    known = load_materials().column("formation_energy_per_atom_dft")
    elements = ElementalReferences.fitted(phases.take(fit_rows), known[fit_rows])
    formation_energies = elements.formation_energies(phases)
    return Hull(formation_energies.joined(elements.elements())).distances(formation_energies).energy_above_hull


def surrogate_hull(
    features: FeatureMatrix, groups: NDArray[np.int64], fit_rows: NDArray[np.int64], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Distance of predicted formation energies from the hull of the training rows' DFT energies."""
    materials = load_materials()
    known = materials.column("formation_energy_per_atom_dft")
    model = Surrogate.fit("formation_energy_per_atom", features.take(fit_rows), known[fit_rows], groups[fit_rows])
    # Predictions of a model of DFT energies are compared with its own training data: knowingly under one name.
    source = "DFT 2015"
    elements = ElementalReferences(source, "elements", np.where(np.arange(119) > 0, 0.0, np.nan)).elements()
    compositions = materials.compositions.take(fit_rows)
    train = PhaseEnergies(source, compositions, known[fit_rows], [""] * len(fit_rows))
    hull = Hull(train.joined(replace(elements, source=source)))
    predicted = model.predict(features.take(rows)).median
    return hull.distances(
        PhaseEnergies(source, materials.compositions.take(rows), predicted, [""] * len(rows))
    ).energy_above_hull


def discovery(groups: NDArray[np.int64], labelled: NDArray[np.int64]) -> None:
    """Which of a held-back fifth lie within 50 meV/atom of the hull."""
    materials = load_materials()
    features = feature_set(FEATURES).featurize(materials)
    target = materials.column("energy_above_hull_dft")
    everyone = materials.groups()
    train, test = next(iter(grouped_folds(groups)))
    fit_rows, rows = labelled[train], labelled[test]
    distance = potential_hull(fit_rows)
    direct = Surrogate.fit("energy_above_hull", features.take(fit_rows), target[fit_rows], everyone[fit_rows])
    prediction = direct.predict(features.take(rows))
    combined = replace(
        features, values=np.column_stack([features.values, distance]), names=(*features.names, "potential hull"),
        fingerprint=f"{features.fingerprint}+potential hull",
        codes=np.where(np.isnan(distance) & (features.codes == ""), "E-FEATURE-NONFINITE", features.codes),
    )  # fmt: skip
    both = Surrogate.fit("energy_above_hull", combined.take(fit_rows), target[fit_rows], everyone[fit_rows])
    answers = {
        "surrogate of hull distance": prediction.median,
        "surrogate of formation energy + DFT hull": surrogate_hull(features, everyone, fit_rows, rows),
        "potential hull": distance[rows],
        "surrogate, then potential hull": np.fmax(prediction.median, distance[rows]),
        "surrogate that reads the potential hull": both.predict(combined.take(rows)).median,
    }
    truth = target[rows] <= STABLE
    print(f"\nwithin 50 meV/atom of the hull: {truth.sum()} of {len(rows)} held-back crystals ({truth.mean():.1%})")
    print(f"the best possible DAF is {1 / truth.mean():.2f} for these and {1 / (1 - truth.mean()):.2f} for the others")
    for name, answer in answers.items():
        error = np.nanmean(np.abs(np.maximum(answer, 0) - target[rows]))
        print(f"  {name}: MAE {error:.4f} eV/atom, no number for {np.isnan(answer).sum()}")
        verdict("near hull", answer <= STABLE, truth)
        verdict("far from it", ~(answer <= STABLE), ~truth)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crystals", type=int, default=200, help="how many to time")
    parser.add_argument("--only", choices=("speed", "relaxation", "formation", "discovery"))
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    print(describe("torch", "chgnet"))
    if arguments.only in (None, "speed"):
        speed(arguments.crystals)
    if arguments.only in (None, "relaxation"):
        relaxation()
    materials = load_materials()
    labelled = np.flatnonzero(np.isfinite(materials.column("formation_energy_per_atom_dft")))
    groups = materials.take(labelled).groups()
    if arguments.only in (None, "formation"):
        formation(groups, labelled)
    if arguments.only in (None, "discovery"):
        discovery(groups, labelled)


if __name__ == "__main__":
    main()
