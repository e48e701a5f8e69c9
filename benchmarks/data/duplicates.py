"""Groups of equal crystals: matloop against pymatgen's StructureMatcher, and novelty of ten finalists, in one run.

The groups of both are compared on the 3,938 crystals of flla; then the growth with the number of formulas.

``python benchmarks/data/duplicates.py``
"""

from __future__ import annotations

import os
import time
import warnings

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402  # after the thread limits
from pymatgen.core.structure_matcher import StructureMatcher  # noqa: E402

from matloop.data.candidates.batch import CandidateBatch  # noqa: E402
from matloop.data.comparison.equal_crystals import crystal_groups  # noqa: E402
from matloop.data.comparison.structure_distance import structure_fingerprints  # noqa: E402
from matloop.data.packaged.materials import load_materials  # noqa: E402
from matloop.screening.explaining.novelty import novelty_reports  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402

warnings.filterwarnings("ignore", "No Pauling electronegativity")  # of noble gases, from the matcher


def compare(batch: CandidateBatch) -> None:
    """Time both, structures made beforehand for pymatgen, and compare their groups."""
    structures = [batch.structure(row) for row in range(len(batch))]
    start = time.process_time()
    theirs = StructureMatcher().group_structures(structures)
    plain = time.process_time() - start
    start = time.process_time()
    ours = crystal_groups(batch)
    fast = time.process_time() - start
    rows = {id(structure): row for row, structure in enumerate(structures)}
    same = {frozenset(rows[id(one)] for one in group) for group in theirs} == {
        frozenset(group.tolist()) for group in ours.members
    }
    print(f"pymatgen group_structures  {len(theirs):6,} groups  {plain:7.2f} s")
    print(f"matloop crystal_groups     {len(ours.members):6,} groups  {fast:7.2f} s   {plain / fast:.1f} times faster")
    print(f"the same groups: {'yes' if same else 'NO'}; more than one member: {len(ours.duplicates)}\n")


def growth(materials: CandidateBatch) -> None:
    """Time against the number of formulas, whole formulas drawn at random."""
    formulas = np.array(materials.formulas)
    shuffled = np.random.default_rng(0).permutation(np.unique(formulas))
    for count in (*(n for n in (1000, 2000, 4000) if n < len(shuffled)), len(shuffled)):
        batch = materials.take(np.flatnonzero(np.isin(formulas, shuffled[:count])))
        start = time.process_time()
        groups = crystal_groups(batch)
        taken = time.process_time() - start
        print(
            f"{count:6,} formulas {len(batch):6,} crystals {len(groups.members):6,} groups {taken:6.2f} s "
            f"{1e3 * taken / count:6.2f} ms a formula"
        )


def novelty(materials: CandidateBatch) -> None:
    """Ten finalists against all packaged crystals."""
    finalists = materials.take(np.linspace(0, len(materials) - 1, 10).astype(int))
    names = materials.table["material_id"].to_pylist()
    start = time.process_time()
    novelty_reports(finalists, materials, names=names)
    taken = time.process_time() - start
    print(f"\nnovelty of 10 among {len(materials):,} crystals {taken:.2f} s")


def main() -> None:
    """Print the comparison, the growth and the novelty."""
    materials = load_materials()
    print(describe("pymatgen", "numba"))
    print("one core, processor time\n")
    small = materials.take(np.flatnonzero(np.array(materials.formulas) == "SnO"))
    crystal_groups(small)  # compiles the kernels
    assert small.crystals is not None
    structure_fingerprints(small.crystals)
    compare(materials.take(np.flatnonzero(materials.column("in_flla"))))
    growth(materials)
    novelty(materials)


if __name__ == "__main__":
    main()
