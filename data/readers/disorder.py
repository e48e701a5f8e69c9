"""Treat crystals in which sites are shared by elements or only partly filled."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.readers.parsed import ParsedCell
from matloop.data.readers.structure_split import Unreadable

POLICIES: Mapping[str, str] = {
    "reject": "refused under E-STRUCT-DISORDER",
    "composition_only": "a candidate known by its composition alone, amounts from the occupancies",
    "order": "the arrangement of lowest electrostatic energy in the cell as given, if the cell is small enough",
}
"""Description of each policy by its name."""

_SAME_PLACE = 0.1  # Å; partly filled sites that are closer than this are one shared site
_MOST_SITES_TO_ORDER = 60
_MOST_ARRANGEMENTS = 1e6
_WHOLE = 0.02  # atoms of an element per cell may be this far from a whole number


def resolve_disorder(cell: ParsedCell, policy: str) -> ParsedCell | None:
    """Return an ordered cell, or None if only the composition is to be kept.

    Args:
        cell: A cell with shared or partly filled sites.
        policy: One of :data:`POLICIES`.

    Raises:
        Unreadable: If the policy gives no candidate.
    """
    shared = merge_shared(cell)
    if shared.is_ordered:  # several entries of one element together fill the site
        return shared
    if policy == "composition_only":
        return None
    if policy == "order":
        return _ordered(shared)
    raise _refusal(cell, "the source can read it with disorder: composition_only or order")


def merge_shared(cell: ParsedCell) -> ParsedCell:
    """Merge partly filled sites that lie at the same place.

    Raises:
        Unreadable: If a place holds more than one atom.
    """
    places: list[int] = []
    shares: list[dict[str, float]] = []
    for row, site in enumerate(cell.occupancies):
        apart = cell.frac_coords[places] - cell.frac_coords[row]
        apart -= np.rint(apart)
        close = np.flatnonzero(((apart @ cell.lattice) ** 2).sum(1) < _SAME_PLACE**2)
        if not len(close):
            places.append(row)
            shares.append(dict(site))
            continue
        share = shares[int(close[0])]
        for symbol, occupancy in site.items():
            share[symbol] = share.get(symbol, 0.0) + occupancy
    worst = max(sum(share.values()) for share in shares)
    if worst > 1.02:
        raise Unreadable("E-STRUCT-OCCUPANCY", f"a site is filled {worst:.3g} times", cell.formula())
    return ParsedCell(cell.lattice, cell.frac_coords[places], shares)


def _ordered(cell: ParsedCell) -> ParsedCell:
    """Return the arrangement of lowest Ewald energy among a bounded number of arrangements."""
    amounts = cell.amounts()
    if len(cell.occupancies) > _MOST_SITES_TO_ORDER:
        raise _refusal(cell, f"{len(cell.occupancies)} sites, more than {_MOST_SITES_TO_ORDER} to order")
    if any(abs(amount - round(amount)) > _WHOLE for amount in amounts.values()):
        raise _refusal(cell, "no whole number of atoms in the cell as given")
    arrangements = np.prod(
        [2.0 + len(share) - 1 for share in cell.occupancies if sum(share.values()) < 1 or len(share) > 1]
    )
    if arrangements > _MOST_ARRANGEMENTS:
        raise _refusal(cell, "too many arrangements")
    from pymatgen.core import Lattice, Structure
    from pymatgen.transformations.standard_transformations import OrderDisorderedStructureTransformation

    structure = Structure(Lattice(cell.lattice), [_at_most_one(share) for share in cell.occupancies], cell.frac_coords)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            structure.add_oxidation_state_by_guess(max_sites=-1)
            ordered: Any = OrderDisorderedStructureTransformation().apply_transformation(structure)
        except (ValueError, IndexError, ZeroDivisionError, TypeError) as error:
            raise _refusal(cell, f"no arrangement was found: {error}"[:200]) from error
    if not ordered.is_ordered:
        raise _refusal(cell, "no arrangement was found")
    symbols = [str(site.specie.element.symbol) for site in ordered]
    return ParsedCell(cell.lattice, np.asarray(ordered.frac_coords), [{symbol: 1.0} for symbol in symbols])


def _at_most_one(share: dict[str, float]) -> dict[str, float]:
    """Scale occupancies so that rounding does not let their sum exceed one."""
    total = max(sum(share.values()), 1.0)
    return {symbol: share[symbol] / total for symbol in sorted(share, key=ATOMIC_NUMBERS.__getitem__)}


def _refusal(cell: ParsedCell, detail: str) -> Unreadable:
    return Unreadable("E-STRUCT-DISORDER", detail, cell.formula())
