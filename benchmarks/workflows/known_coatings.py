"""Do textbook coatings come first among the known compounds?

``python benchmarks/workflows/known_coatings.py RUN`` reads a finished run of the packaged campaign ``known_compounds``
(``matloop screen known_compounds --output RUN``).

The coatings are common materials of thin-film optics (H. A. Macleod, Thin-Film Optical Filters, 4th ed. 2010). Beside
their places stands how many of them 20 random known compositions hold on average.
The surrogates learned from crystals of which many are packaged coatings, so that predictions for these are partly
remembered; a candidate without a parent is such a crystal.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.packaged.known_compositions import known_composition_keys
from matloop.data.properties.columns import Column
from matloop.screening.runs.run_view import RunView
from matloop.workflows.bench.hardware import describe

COATINGS = "ZrO2 TiO2 HfO2 Ta2O5 Nb2O5 Y2O3 Sc2O3 La2O3 CeO2 YScO3 Bi2O3 ZnO SnO2 In2O3 Si3N4 AlN ZnS".split()
FIRST = 20


def main(run: Path) -> None:
    """Print where the coatings stand, and what chance would do."""
    view = RunView(run)
    ranked = view.ranked
    coatings = composition_keys(parse_formulas(COATINGS)[0])
    held = np.isin(composition_keys(ranked.compositions), coatings)
    groups = ranked.column(Column.SPACE_GROUP_NUMBER)
    origins = ranked.table.column(Column.ORIGIN).to_pylist()
    found = {ranked.formulas[row] for row in np.flatnonzero(held[:FIRST])}
    print(f"{len(found)} of {len(COATINGS)} textbook coatings among the first {FIRST}: {', '.join(sorted(found))}")
    for row in np.flatnonzero(held):
        print(f"  {row + 1:3} {ranked.formulas[row]:6} {groups[row]:4}  {origins[row]}")
    by_chance = len(COATINGS) * FIRST / len(known_composition_keys())
    print(
        f"{FIRST} random ones of the {len(known_composition_keys()):,} known compositions: {by_chance:.3f} on average"
    )
    print(f"first {FIRST}: {', '.join(dict.fromkeys(ranked.formulas[:FIRST]))}")


if __name__ == "__main__":
    print(describe("pymatgen"))
    main(Path(sys.argv[1]))
