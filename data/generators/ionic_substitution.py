"""Make new crystals from known ones by ionic substitution.

Every ion of a parent crystal may be replaced by another one, with the published conditional probabilities (Hautier et
al., Inorg. Chem. 50, 656 (2011), equation 6). Children are charge-neutral by construction. One element may take two
sites of a child with neighbouring charges, if it occurs with mixed valence, as iron does in magnetite: Fe3O4 is a child
of ZnFe2O4. The cell is scaled by the cube of the ratio of the mean cation plus the mean anion radius (Shannon); over
isostructural pairs of the packaged crystals this halves to thirds the error in volume of the unscaled cell
(``benchmarks/data/substitution.py``).
"""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import gather_rows
from matloop.data.chemistry.ions import Ions, assign_ions, load_ions
from matloop.data.chemistry.oxidation_states import MIXED_VALENCE
from matloop.data.elements import SYMBOLS
from matloop.data.errors import GeneratorError
from matloop.data.generators.substitution import Parents, Plan, Substitution, parents_of, possible_parents
from matloop.data.label import Label
from matloop.data.packaged.citations import CITATIONS, SUBSTITUTION_PROBABILITIES, Citation


class IonicSubstitution(Substitution):
    """Packaged crystals with some of their ions replaced by others (ionic substitution).

    Args:
        limit: Largest number of crystals; the most probable ones are made.
        min_probability: Smallest probability of a substitution.
        max_sites: Largest cell of a parent.

    Raises:
        GeneratorError: If a setting leaves nothing to make.
    """

    name = "ionic_substitution"
    cites = (
        Citation(
            Label("Candidates by ionic substitution", "离子替换生成候选材料"),
            CITATIONS[SUBSTITUTION_PROBABILITIES], "pymatgen, MIT",
        ),
    )  # fmt: skip

    def __init__(self, *, limit: int = 120_000, min_probability: float = 1e-4, max_sites: int = 40) -> None:
        super().__init__(limit=limit, min_probability=min_probability, max_sites=max_sites)

    @property
    def species(self) -> Ions:
        """The ions of the published table."""
        return load_ions()

    @cached_property
    def parents(self) -> Parents:
        """Packaged crystals that lie at most 1 eV/atom above the hull and have an ionic assignment."""
        return _parents(self.max_sites)

    @property
    def may_mix(self) -> NDArray[np.bool_]:
        """Elements that occur with mixed valence."""
        return np.array([symbol in MIXED_VALENCE for symbol in SYMBOLS])

    def scales(self, part: Plan) -> NDArray[np.float64]:
        """Factor of the edges of each child's cell over its parent's."""
        compositions, ions = self.parents.batch.compositions, load_ions()
        old, _ = gather_rows(compositions.offsets, part.parents)
        amounts = compositions.amounts[old]
        scale = ideal_bond_lengths(part.offsets, part.ions, amounts, ions)
        return scale / ideal_bond_lengths(part.offsets, self.parents.ions[old], amounts, ions)


@lru_cache(maxsize=2)
def _parents(max_sites: int) -> Parents:
    materials = possible_parents(max_sites)
    reduced, _ = materials.compositions.reduced()
    chosen, found = assign_ions(reduced, load_ions())
    if not found.any():
        raise GeneratorError(f"no parent crystal with at most {max_sites} sites", "a larger max_sites")
    return parents_of(materials, np.flatnonzero(found), chosen)


def ideal_bond_lengths(
    offsets: NDArray[np.int64], chosen: NDArray[np.integer], amounts: NDArray[np.float64], ions: Ions
) -> NDArray[np.float64]:
    """Mean cation radius plus mean anion radius of each composition in Å."""
    total = np.zeros(len(offsets) - 1)
    for sign in (1, -1):
        weights = np.where(np.sign(ions.charges[chosen]) == sign, amounts, 0.0)
        total += np.add.reduceat(weights * ions.radii[chosen], offsets[:-1]) / np.add.reduceat(weights, offsets[:-1])
    return total
