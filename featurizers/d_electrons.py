"""The featurizer ``d_electrons``: how many atoms of a composition are ions with none, one, two ... ten d electrons.

Cr4+ in CrO2 has two d electrons and conducts. Mn4+ in MnO2 has three, which fill half of its lower d levels, and does
not. Whether ions make an insulator does not change steadily with the number of their d electrons, so each number has a
feature of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import COMPOSITIONS
from matloop.data.chemistry.assigned_states import assigned_states
from matloop.data.chemistry.open_shells import FULL_D, FULL_F, shell_electrons
from matloop.data.feature_words import FeatureWords
from matloop.data.label import Label
from matloop.featurizers.base import Features, Featurizer, no_codes
from matloop.featurizers.charge_balance import states_digest

_GROUP = Label("d electrons", "d 电子数")
_OTHERS: Mapping[str, Label] = {
    "ions with an open f shell": Label("share of ions with an open f shell", "具有未满 f 壳层的离子占比"),
    "d electrons between two numbers": Label(
        "share of d-block ions of mixed valence", "混合价态的 d 区离子占比"
    ),
    "no oxidation states": Label("no oxidation states that balance", "没有可平衡的氧化态"),
}  # fmt: skip


class DElectrons(Featurizer):
    """Share of atoms that are ions of the d block with each number of d electrons, and three more: 14 columns.

    Oxidation states are the most common ones that neutralise the composition
    (:func:`matloop.data.chemistry.assigned_states.assigned_states`), and all electrons that they leave count as d
    electrons, as in ligand-field theory. A mean number, as of iron in Fe3O4, is shared between the two whole ones
    beside it; the share of such ions is a column too. So are the share of ions with an open f shell, and whether no
    states neutralise the composition, as in alloys; then all others are zero.
    """

    name = "d_electrons"
    version = "1"
    needs = frozenset({COMPOSITIONS})
    feature_names = (*(f"ions with {count} d electrons" for count in range(FULL_D + 1)), *_OTHERS)

    def __init__(self) -> None:
        self.parameters: Mapping[str, Any] = {"oxidation_states": states_digest()}

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, 14).

        >>> batch = CandidateBatch.from_formulas(["CrO2", "Fe3O4", "Ni3Al"]).batch
        >>> DElectrons().featurize(batch).values.round(2)[:, [2, 5, 6, 12, 13]].tolist()
        [[0.33, 0.0, 0.0, 0.0, 0.0], [0.0, 0.29, 0.14, 0.43, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]]
        """
        compositions = batch.compositions
        states = assigned_states(compositions)
        d, f = shell_electrons(compositions.elements, states)
        values = np.zeros((len(batch), len(self.feature_names)))
        of_d = np.isfinite(d)
        rows, shares, electrons = compositions.rows[of_d], compositions.fractions[of_d], d[of_d]
        whole = np.minimum(electrons.astype(np.int64), FULL_D - 1)
        above = electrons - whole
        np.add.at(values, (rows, whole), shares * (1 - above))
        np.add.at(values, (rows, whole + 1), shares * above)
        open_f = (f > 0) & (f < FULL_F)
        np.add.at(values[:, FULL_D + 1], compositions.rows[open_f], compositions.fractions[open_f])
        mixed = (above > 0) & (above < 1)
        np.add.at(values[:, FULL_D + 2], rows[mixed], shares[mixed])
        values[compositions.rows[np.isnan(states)], FULL_D + 3] = 1.0
        return Features(values, no_codes(len(batch)))

    def words(self, name: str) -> FeatureWords:
        """Describe a share."""
        if name in _OTHERS:
            return FeatureWords(_GROUP, _OTHERS[name])
        count = self.feature_names.index(name)
        words = Label(f"share of ions with {count} d electrons", f"具有 {count} 个 d 电子的离子占比")
        return FeatureWords(_GROUP, words)
