"""The featurizer ``property_density``: elemental properties per volume of the crystal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.elements import element_table
from matloop.data.errors import BatchError
from matloop.data.feature_words import FeatureWords
from matloop.data.label import Label
from matloop.featurizers.base import Features, Featurizer, no_codes
from matloop.featurizers.composition import MAGPIE_PROPERTIES
from matloop.featurizers.elemental_words import ELEMENTAL_UNITS, ELEMENTAL_WORDS

_UNITS_PER_VOLUME = {name: f"{unit}/Å³" for name, unit in ELEMENTAL_UNITS.items()} | {"GSvolume_pa": ""}
_BONDING = {"bonding electrons": Label("number of bonding electrons", "成键电子数")}


class PropertyDensity(Featurizer):
    """Sum of an elemental property over the atoms of the cell, divided by its volume (1/Å3): 23 columns.

    sum_i p_i / V for the 22 properties of ``magpie``, and for the number of bonding electrons. Some have a plain
    meaning: electrons and valence electrons per volume, relative volume of the elements the crystal is made from
    (GSvolume_pa), or their melting temperatures per volume, an energy density that follows the bulk modulus as
    Lindemann's rule has it (Lindemann, Phys. Z. 11, 609 (1910); Gilman, Electronic Basis of the Strength of Materials,
    2003, chapter 12). Trees cannot divide a mean of a formula by a volume, so the ratio is a feature of its own.
    """

    name = "property_density"
    version = "1"
    needs = frozenset({CRYSTALS})
    parameters: Mapping[str, Any] = {}
    feature_names = tuple(f"{name} per volume" for name in (*MAGPIE_PROPERTIES, "bonding electrons"))

    def __init__(self) -> None:
        self._table = np.column_stack([element_table().columns(MAGPIE_PROPERTIES), bonding_electrons()])

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, 23)."""
        if batch.crystals is None:
            raise BatchError("candidates without crystals", "a batch with cells and sites")
        cells = batch.crystals.compositions()  # compositions of the batch may count formula units, not cells
        weighted = self._table[cells.elements] * cells.amounts[:, None]
        sums = [np.bincount(cells.rows, column, minlength=len(batch)) for column in weighted.T]
        missing = np.isnan(sums).any(axis=0)
        return Features(
            np.column_stack(sums) / batch.crystals.volumes[:, None],
            np.where(missing, "E-FEATURE-NODATA", no_codes(len(batch))),
        )

    def words(self, name: str) -> FeatureWords:
        """Describe an elemental property per volume; all of them are one group."""
        elemental = name.removesuffix(" per volume")
        english, chinese = {**ELEMENTAL_WORDS, **_BONDING}[elemental]
        group = Label("elemental properties per volume", "单位体积元素性质")
        label = Label(f"{english} per volume", f"单位体积{chinese}")
        return FeatureWords(group, label, unit=_UNITS_PER_VOLUME.get(elemental, "Å⁻³"))


def bonding_electrons() -> NDArray[np.float64]:
    """Number of bonding electrons by atomic number, shape (119,); zero for noble gases and unknown elements.

    With p electrons: s + p or what is missing to eight, whichever is less (C 4, O 2, Cl 1). Without: s electrons, d
    electrons or d holes, whichever is fewer, and at most one f electron (Na 1, Mn 7, Zn 2, La 3).

    >>> from matloop.data.elements import ATOMIC_NUMBERS
    >>> [int(bonding_electrons()[ATOMIC_NUMBERS[symbol]]) for symbol in ("C", "O", "Na", "Mn", "Zn", "Ne")]
    [4, 2, 1, 7, 2, 0]
    """
    names = tuple(f"N{orbital}Valence" for orbital in "spdf")
    s, p, d, f = np.nan_to_num(element_table().columns(names)).T
    outer = s + p
    bonding = np.where(
        p > 0, np.clip(np.minimum(outer, 8 - outer), 0, None), s + np.minimum(d, 10 - d) + np.minimum(f, 1)
    )
    bonding[2] = 0.0  # the shell of helium is full with two electrons
    return bonding
