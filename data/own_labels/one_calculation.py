"""Whether computed energies may be compared: whether nothing says that they come from several calculations.

Formation energies and energies above the hull compare phases with each other. That means something only where all
energies come from one functional with one set of +U values and pseudopotentials.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from matloop.data.candidates.compositions import Compositions
from matloop.data.elements import SYMBOLS
from matloop.data.errors import EnergySourceError
from matloop.data.properties.columns import Column

CORRECTED = Column.ENTRY_CORRECTED_ENERGY_PER_ATOM
"""Column with energies that hold the corrections of their file."""
_MOST_SHOWN = 3


def check_one_calculation(
    settings: Sequence[str], compositions: Compositions, places: Sequence[str], *, corrected: bool
) -> dict[str, str]:
    """Check that energies may be compared, by what their files say of functional, +U and pseudopotentials.

    Rows that say nothing contradict nobody.

    Args:
        settings: What each of n files says (:func:`matloop.data.readers.entry_settings.read_settings`).
        compositions: Of the n phases.
        places: Where each energy stands.
        corrected: Whether the energies hold corrections, which are made to compare energies with +U and without.

    Returns:
        What the rows say together, by what it is about.

    Raises:
        EnergySourceError: If two rows contradict each other; it names them.
    """
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row, (text, place) in enumerate(zip(settings, places, strict=True)):
        elements = compositions.elements[compositions.offsets[row] : compositions.offsets[row + 1]].tolist()
        for name, value in statements_of(text, [SYMBOLS[z] for z in elements], corrected=corrected).items():
            found[name][value].append(place)
    for name, values in found.items():
        if len(values) > 1:
            told = "; ".join(f"{value} in {_shown(rows)}" for value, rows in values.items())
            raise EnergySourceError(
                f"energies of several calculations, which form no hull together: {name} is {told}",
                "one functional, with one +U value and one pseudopotential for each element",
                f"keep the rows of one calculation in a file of their own, or write column: {CORRECTED} if the "
                "entries hold corrections that bring energies with +U and without together",
            )  # fmt: skip
    return {name: next(iter(values)) for name, values in found.items()}


def statements_of(settings: str, symbols: Sequence[str], *, corrected: bool) -> dict[str, str]:
    """Return what a file says of how an energy was computed, by what it is about.

    Args:
        settings: As the reader gave them; empty if the file says nothing.
        symbols: Elements of the phase.
        corrected: Whether the energy holds corrections; it says nothing of elements without +U then.

    >>> statements_of('{"functional": "GGA", "u": {"Fe": 5.3}}', ["O", "Fe"], corrected=False)
    {'the functional': 'GGA', 'U of O': 'none', 'U of Fe': '5.3 eV'}
    """
    stated: Mapping[str, Any] = json.loads(settings) if settings else {}
    found = {"the functional": str(stated["functional"])} if "functional" in stated else {}
    for symbol in symbols:
        if "u" in stated and (symbol in stated["u"] or not corrected):
            value = stated["u"].get(symbol)
            found[f"U of {symbol}"] = "none" if value is None else f"{value:g} eV"
        if symbol in stated.get("pseudopotentials", {}):
            found[f"the pseudopotential of {symbol}"] = str(stated["pseudopotentials"][symbol])
    return found


def _shown(places: Sequence[str]) -> str:
    more = len(places) - _MOST_SHOWN
    return ", ".join(places[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
