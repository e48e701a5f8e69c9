"""Oxidation states of candidates: those in which they were made, otherwise the most common ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.chemistry.assigned_states import assigned_states, states_of_words
from matloop.data.generators.substitution_record import read_record
from matloop.data.properties.columns import Column

_SMALLEST_CHARGE = 1e-6


def candidate_states(batch: CandidateBatch) -> NDArray[np.float64]:
    """Choose the oxidation state of each element of each candidate.

    A crystal made by substitution keeps the charges with which ions were replaced, where these are neutral with the
    most common states of its other elements: its card must not tell two charges of one ion.

    Args:
        batch: n candidates.

    Returns:
        State of each composition entry; nan throughout a candidate that nothing neutralises.

    >>> made = CandidateBatch.from_formulas(["TiNb2O6"]).batch.with_columns(
    ...     origin=["Sc(ReO3)2 (mp-558610), Sc2+ to Ti2+, Re5+ to Nb5+"])
    >>> candidate_states(made).tolist()  # O, Ti, Nb
    [-2.0, 2.0, 5.0]
    """
    compositions, states = batch.compositions, assigned_states(batch.compositions)
    if Column.ORIGIN not in batch.table.column_names:
        return states
    for row, origin in enumerate(batch.table[Column.ORIGIN].to_pylist()):
        record = read_record(origin)
        if record is None:
            continue
        taken = [states_of_words(new) for _, new in record.swaps]
        told = {element: state for ion in taken for element, state in ion.items()}
        entries = slice(compositions.offsets[row], compositions.offsets[row + 1])
        elements = compositions.elements[entries].tolist()
        # An element on two sites with two charges is of mixed valence, and its mean stands for it.
        if len(told) < len(record.swaps) or not told.keys() <= set(elements):
            continue
        made = np.array([told.get(element, state) for element, state in zip(elements, states[entries], strict=True)])
        if abs(made @ compositions.amounts[entries]) < _SMALLEST_CHARGE:
            states[entries] = made
    return states
