"""Candidate ids: a hash of what the candidate is, so that the same material has the same id in every run.

For a composition the id hashes the reduced formula. For a crystal it also hashes numbers that do not change with the
choice of cell, origin, site order or orientation, rounded well above rounding noise: the volume per atom, and for each
element the mean and mean square over its sites of the smooth neighbour density

    g = sum over neighbours j of sqrt(Z_j) (1 - (d_j / r_c)^2)^3,   d_j < r_c = 5 Å.

Near-identical but not equal crystals get different ids; finding those is the duplicate search's task, not the id's.
"""

from __future__ import annotations

import hashlib
import itertools

import numpy as np

from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.crystals import Crystals, neighbour_moments

_CUTOFF = 5.0  # Å
_RESOLUTION = 1e-3  # Å3 per atom, and in units of g


def composition_ids(compositions: Compositions) -> list[str]:
    """Compute ids of candidates known by composition alone: ``c`` and 20 hexadecimal digits.

    Args:
        compositions: Compositions of n candidates; multiples of one formula share an id.
    """
    return [_digest("c", content) for content in _composition_bytes(compositions)]


def crystal_ids(crystals: Crystals) -> list[str]:
    """Compute ids of crystals: ``x`` and 20 hexadecimal digits; equal for primitive cell, supercell and shuffled sites.

    Args:
        crystals: Crystals that passed :meth:`Crystals.row_codes`.
    """
    compositions = crystals.compositions()
    volume = np.rint(crystals.volumes / crystals.site_counts / _RESOLUTION).astype(np.int64)
    moments = neighbour_moments(
        crystals.lattice, crystals.offsets, crystals.species, crystals.frac_coords,
        compositions.offsets, compositions.elements, _CUTOFF,
    )  # fmt: skip
    quantised = np.rint(moments / _RESOLUTION).astype(np.int64)
    bounds = compositions.offsets.tolist()
    return [
        _digest("x", content + volume[i].tobytes() + quantised[bounds[i] : bounds[i + 1]].tobytes())
        for i, content in enumerate(_composition_bytes(compositions))
    ]


def text_id(text: str) -> str:
    """Compute the id of an input row that is no material: ``r`` and 20 hexadecimal digits of its text."""
    return _digest("r", text.encode("utf-8", "surrogatepass"))


def _digest(kind: str, content: bytes) -> str:
    return kind + hashlib.blake2b(content, digest_size=10).hexdigest()


def _composition_bytes(compositions: Compositions) -> list[bytes]:
    reduced, _ = compositions.reduced()
    amounts = np.round(reduced.amounts, 6)
    elements, bounds = compositions.elements, compositions.offsets.tolist()
    spans = itertools.pairwise(bounds)
    return [elements[start:stop].tobytes() + amounts[start:stop].tobytes() for start, stop in spans]
