"""How simple a route is: points for each precursor and for everything that makes work, fewer being simpler.

The points are a rule of thumb, stated with each route, and no measured quantity. What is not known counts like what is
known to be bad: an unknown hazard as a severe one, an unknown sensitivity as moisture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from matloop.data.synthesis.amounts import Amounts, read_amounts
from matloop.data.synthesis.atmospheres import NOXIOUS_GASES, AtmosphereName
from matloop.data.synthesis.precursors import Precursor
from matloop.data.synthesis.reactions import Reaction

POINTS: Mapping[str, int] = {
    "precursor": 1,
    "air_sensitive": 3,
    "moisture": 2,
    "unknown_sensitivity": 2,
    "severe_hazard": 1,
    "unknown_hazard": 1,
    "hydrate": 1,
    "element_to_oxide": 3,
    "noxious_gas": 1,
    "flammable_gas": 1,
    "gas_taken": 1,
    "not_in_air": 1,
    "oxygen_lost": 2,
    "target_oxidises": 3,
    "self_heating": 3,
}
"""Points by what they are given for."""


class Point(NamedTuple):
    """Points for one thing.

    Attributes:
        key: Name in :data:`POINTS`.
        about: Precursor, gas or atmosphere.
        points: How many.
    """

    key: str
    about: str
    points: int


def points_of_precursor(precursor: Precursor, target: Amounts) -> list[Point]:
    """What makes a precursor less simple, the precursor itself among it.

    Args:
        precursor: What is weighed.
        target: What is made.

    >>> from matloop.data.synthesis.precursors import find_precursor
    >>> from matloop.data.synthesis.amounts import read_amounts
    >>> [(point.key, point.points) for point in points_of_precursor(find_precursor("BaO"), read_amounts("BaTiO3"))]
    [('precursor', 1), ('moisture', 2), ('unknown_hazard', 1)]
    """
    return [Point(key, precursor.formula, POINTS[key]) for key in _keys_of_precursor(precursor, target)]


def _keys_of_precursor(precursor: Precursor, target: Amounts) -> Iterator[str]:
    yield "precursor"
    if precursor.sensitivity in ("air", "moisture", "unknown"):
        named = {"air": "air_sensitive", "moisture": "moisture", "unknown": "unknown_sensitivity"}
        yield named[precursor.sensitivity]
    if precursor.severe:
        yield "severe_hazard"
    elif not precursor.hazards:
        yield "unknown_hazard"
    if "H2O" in precursor.formula and precursor.kind in ("nitrate", "acetate"):
        yield "hydrate"
    if precursor.kind == "element" and "O" in target:
        yield "element_to_oxide"
    if precursor.kind in ("nitrate", "oxalate", "acetate") or precursor.formula.startswith(("NH4", "(NH4)")):
        yield "noxious_gas"


def points_of_route(
    reaction: Reaction, atmosphere: AtmosphereName, precursors: list[Precursor], *, oxidises: bool
) -> list[Point]:
    """All points of a route.

    Args:
        reaction: The balanced reaction.
        atmosphere: Of the furnace.
        precursors: Those of the reaction.
        oxidises: Whether the target takes up oxygen from air.
    """
    target = read_amounts(reaction.target, exact=True)
    found = [point for precursor in precursors for point in points_of_precursor(precursor, target)]
    from_precursors = {"NH3", "NO2", "CO"} if any(point.key == "noxious_gas" for point in found) else set()
    for gas in reaction.gases:
        if gas.amount > 0 and gas.formula in NOXIOUS_GASES and gas.formula not in from_precursors:
            found.append(Point("noxious_gas", gas.formula, POINTS["noxious_gas"]))
        if gas.amount < 0 and gas.formula != "O2":
            found.append(Point("gas_taken", gas.formula, POINTS["gas_taken"]))
            if gas.formula in NOXIOUS_GASES:
                found.append(Point("noxious_gas", gas.formula, POINTS["noxious_gas"]))
            if gas.formula == "H2":
                found.append(Point("flammable_gas", gas.formula, POINTS["flammable_gas"]))
        if gas.amount > 0 and gas.formula == "O2" and atmosphere != "air":
            found.append(Point("oxygen_lost", gas.formula, POINTS["oxygen_lost"]))
    if atmosphere != "air":
        found.append(Point("not_in_air", atmosphere, POINTS["not_in_air"]))
    elif oxidises:
        found.append(Point("target_oxidises", reaction.target, POINTS["target_oxidises"]))
    return found
