"""Compositions that are already known."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.packaged.materials import load_materials
from matloop.data.packaged.transport import load_transport
from matloop.data.properties.columns import Column


@functools.cache
def known_composition_keys() -> NDArray[np.uint64]:
    """Keys of all compositions known to the packaged crystals and to the transport data (Materials Project, 2017)."""
    formulas = load_materials().formulas + load_transport().column(Column.FORMULA).to_pylist()
    compositions, codes = parse_formulas(formulas, exact=True)
    return np.unique(composition_keys(compositions.take(np.flatnonzero(codes == ""))))
