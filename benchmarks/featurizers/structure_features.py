"""Structure features: crystals per second of matloop and of matminer, one core, the same run.

matminer works on a small sample, matloop on all packaged crystals; a second matloop figure is for the sample.
Crystals a matminer featurizer raises an error for count as done. Voronoi cells are timed beside pymatgen's (Qhull) and,
where ``freud-analysis`` is installed, those of voro++; all find the same faces, freud in single precision.

``python benchmarks/featurizers/structure_features.py``
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402  # after the thread limits
from features import seconds  # noqa: E402
from matminer.featurizers import site, structure  # noqa: E402
from pymatgen.analysis.local_env import VoronoiNN  # noqa: E402
from pymatgen.core import Structure  # noqa: E402

from matloop.data.candidates.batch import CandidateBatch  # noqa: E402
from matloop.data.packaged.materials import load_materials  # noqa: E402
from matloop.featurizers.neighbours import neighbour_list  # noqa: E402
from matloop.featurizers.registry import feature_set  # noqa: E402
from matloop.featurizers.voronoi import voronoi_cells  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402

warnings.filterwarnings("ignore")

OURS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("radial_distribution", {"cutoff": 5.0}), ("radial_distribution", {"cutoff": 8.0}),
    ("radial_distribution", {"cutoff": 20.0}), ("sine_coulomb_eigenvalues", {}), ("structural_complexity", {}),
    ("property_density", {}), ("crystal_local", {}), ("crystal_voronoi", {}),
)  # fmt: skip


def theirs() -> dict[str, list[Any]]:
    """matminer's featurizers, by what they are compared with."""
    statistics = structure.SiteStatsFingerprint
    return {
        "RadialDistributionFunction, 8 Å": [structure.RadialDistributionFunction(cutoff=8.0)],
        "RadialDistributionFunction, 20 Å": [structure.RadialDistributionFunction()],
        "CrystalNNFingerprint, SiteStats": [statistics.from_preset("CrystalNNFingerprint_ops")],
        "Ward 2017, Voronoi": [
            structure.StructuralHeterogeneity(), structure.ChemicalOrdering(), structure.MaximumPackingEfficiency(),
            statistics.from_preset("CoordinationNumber_ward-prb-2017"),
            statistics(site.LocalPropertyDifference.from_preset("ward-prb-2017"), ("mean", "std_dev", "minimum")),
        ],
    }  # fmt: skip


def voronoi_rates(sample: CandidateBatch) -> dict[str, float]:
    """Tessellations per second; freud's only where it is installed."""
    structures = [sample.structure(row) for row in range(len(sample))]
    finder = VoronoiNN(tol=0, compute_adj_neighbors=False)
    start = time.process_time()
    for structure_ in structures:
        finder.get_all_voronoi_polyhedra(structure_)
    found = {"pymatgen  Voronoi cells": len(sample) / (time.process_time() - start)}
    try:
        import freud
    except ImportError:
        print("freud     Voronoi cells: not installed")
        return found
    freud.parallel.set_num_threads(1)

    def tessellate() -> None:
        for structure_ in structures:
            triangular = np.linalg.qr(structure_.lattice.matrix.T, mode="r")
            triangular *= np.sign(np.diag(triangular))[:, None]
            box = freud.box.Box.from_matrix(triangular)
            freud.locality.Voronoi().compute((box, box.wrap(structure_.frac_coords @ triangular.T))).nlist  # noqa: B018

    found["freud     Voronoi cells"] = len(sample) / seconds(tessellate, repeats=3)
    return found


def rate(featurizers: list[Any], crystals: list[Structure]) -> float:
    """Crystals per second of processor time."""
    start = time.process_time()
    for crystal in crystals:
        for featurizer in featurizers:
            try:
                featurizer.featurize(crystal)
            except (ValueError, RuntimeError, IndexError):  # a Voronoi cell or neighbour shell it cannot make
                continue
    return len(crystals) / (time.process_time() - start)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=24)
    count = parser.parse_args().sample
    materials = load_materials()
    crystals = materials.crystals
    assert crystals is not None
    materials = materials.with_columns(known=np.ones(len(materials), bool))
    sample = materials.take(np.linspace(0, len(materials) - 1, count).astype(int))
    assert sample.crystals is not None
    print(describe("matminer", "pymatgen", "numba"))
    print(f"{len(materials)} crystals, {crystals.site_counts.mean():.1f} sites on average; processor time, median of 3")
    print(f"the sample has {count} crystals, {sample.crystals.site_counts.mean():.1f} sites on average\n")

    for name, options in OURS:
        featurizer = feature_set([{name: options}]).featurizers[0]
        everything = seconds(lambda made=featurizer: made.featurize(materials), repeats=3)  # type: ignore[misc]
        part = seconds(lambda made=featurizer: made.featurize(sample), repeats=3)  # type: ignore[misc]
        label = f"{name} {options or ''}"
        print(
            f"matloop   {label:<42} {len(materials) / everything:12,.0f}/s   sample {count / part:10,.0f}/s", flush=True
        )
    for cutoff in (5.0, 8.0):
        taken = seconds(lambda reach=cutoff: neighbour_list(crystals, reach), repeats=3)  # type: ignore[misc]
        print(f"matloop   {f'neighbour list, {cutoff:.0f} Å':<42} {len(materials) / taken:12,.0f}/s")
    everything = seconds(lambda: voronoi_cells(crystals), repeats=3)
    part = seconds(lambda: voronoi_cells(sample.crystals), repeats=3)
    print(
        f"matloop   {'Voronoi cells':<42} {len(materials) / everything:12,.0f}/s   sample {count / part:10,.0f}/s",
        flush=True,
    )
    for label, found in voronoi_rates(sample).items():
        print(f"{label:<52} {found:12,.1f}/s", flush=True)
    pymatgen_crystals = [sample.structure(row) for row in range(count)]
    for label, featurizers in theirs().items():
        print(f"matminer  {label:<42} {rate(featurizers, pymatgen_crystals):12,.1f}/s", flush=True)


if __name__ == "__main__":
    main()
