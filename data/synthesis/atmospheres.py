"""Atmospheres of a furnace: which gases a reaction may take up in each, and which leave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, get_args

from matloop.data.synthesis.amounts import Amounts
from matloop.data.synthesis.precursors import Precursor
from matloop.data.synthesis.reactions import Exchange

AtmosphereName = Literal["air", "inert", "nitrogen", "ammonia", "hydrogen", "hydrogen_sulfide", "sealed"]
ATMOSPHERES: tuple[AtmosphereName, ...] = get_args(AtmosphereName)
NOXIOUS_GASES = ("NH3", "NO2", "CO", "HCl", "HF", "HBr", "SO2", "H2S")
"""Toxic or corrosive gases, for which a furnace needs a scrubber or an exhaust."""
HALOGENS = ("F", "Cl", "Br")
CHALCOGENS = ("S", "Se", "Te")
VOLATILE = frozenset({"P", "As", "Hg", "Cd", "Zn", "Tl", "I", *HALOGENS, *CHALCOGENS})
"""Elements that evaporate from an open furnace."""
REDUCING = ("hydrogen", "ammonia", "hydrogen_sulfide")
"""Atmospheres in which nitrates and other oxidisers have no place."""


def atmospheres_for(target: Amounts, *, oxidises: bool = False) -> tuple[AtmosphereName, ...]:
    """Atmospheres that a target may be made in, the usual one first.

    A compound without oxygen is made without it; one with a volatile element in a sealed tube. Hydrogen reduces an
    oxide that would take up oxygen from air.

    Args:
        target: Atoms in a formula unit.
        oxidises: Whether the target takes up oxygen from air.

    >>> from matloop.data.synthesis.amounts import read_amounts
    >>> [atmospheres_for(read_amounts(formula))[0] for formula in ("BaTiO3", "TaON", "GaN", "Bi2Te3", "MoSi2")]
    ['air', 'ammonia', 'nitrogen', 'sealed', 'inert']
    """
    found: list[AtmosphereName] = []
    if "N" in target:
        found += ["ammonia", "nitrogen"] if "O" in target else ["nitrogen", "ammonia"]
    if "O" in target:
        found += ["air", "inert"]
    else:
        found += ["sealed", "inert"] if VOLATILE & set(target) else ["inert"]
    if "H" in target or ("O" in target and oxidises):
        found.append("hydrogen")
    if "S" in target:
        found.append("hydrogen_sulfide")
    return tuple(found)


def supplied_by(atmosphere: AtmosphereName) -> frozenset[str]:
    """Elements that need no precursor of their own; oxygen comes with the precursors where the gas has none.

    >>> sorted(supplied_by("ammonia"))
    ['N', 'O']
    """
    more = {"nitrogen": "NO", "ammonia": "NO", "hydrogen": "HO", "hydrogen_sulfide": "SO", "sealed": ""}
    return frozenset(more.get(atmosphere, "O"))


def withstands(precursor: Precursor, atmosphere: AtmosphereName) -> bool:
    """Whether a precursor may be heated in an atmosphere.

    A volatile element evaporates from an open furnace, and nitrates and peroxides do not go into a reducing gas.

    Args:
        precursor: What is weighed.
        atmosphere: Of the furnace.

    >>> from matloop.data.synthesis.precursors import find_precursor
    >>> withstands(find_precursor("P"), "air"), withstands(find_precursor("P"), "sealed")
    (False, True)
    """
    if precursor.kind == "element" and set(precursor.amounts) & VOLATILE:
        return atmosphere == "sealed"
    oxidiser = precursor.kind == "nitrate" or any(code in ("H270", "H271", "H272") for code in precursor.hazards)
    return not (oxidiser and atmosphere in REDUCING)


def gas_choices(
    atmosphere: AtmosphereName, precursors: Sequence[Precursor], target: Amounts
) -> Iterator[tuple[Exchange, ...]]:
    """Gases that may take part, one choice after the other.

    Carbon leaves as CO2, hydrogen as H2O or with a halogen, nitrogen of ammonium as NH3, of nitrates as NO2, and of
    both together as N2. Without oxygen around, the carbon of oxalates and acetates leaves as CO as well.

    Args:
        atmosphere: Of the furnace.
        precursors: What is weighed.
        target: The target.
    """
    if atmosphere == "sealed":
        yield ()
        return
    leaving = list(_leaving(precursors, target))
    names = {gas.formula for gas in leaving}
    if atmosphere == "air":
        yield (*leaving, Exchange("O2", taken=True))
    elif atmosphere == "inert":
        # An oxide does not give all its oxygen away: a target without oxygen is not made so.
        yield (*leaving, Exchange("O2")) if "O" in target else tuple(leaving)
        if "CO2" in names and "O" in target:
            yield (*leaving, Exchange("CO"))
    elif atmosphere == "nitrogen":
        rest = [gas for gas in leaving if gas.formula not in ("N2", "CO2")]
        yield (*rest, Exchange("N2", taken=True), Exchange("CO")) if "CO2" in names else (
            *rest, Exchange("N2", taken=True)
        )  # fmt: skip
    else:
        yield from _with_hydrogen(atmosphere, leaving, precursors, target)


def _with_hydrogen(
    atmosphere: AtmosphereName, leaving: Sequence[Exchange], precursors: Sequence[Precursor], target: Amounts
) -> Iterator[tuple[Exchange, ...]]:
    """Choices where the gas holds hydrogen: it takes oxygen away as water, or leaves as H2."""
    taken = {"ammonia": "NH3", "hydrogen": "H2", "hydrogen_sulfide": "H2S"}[atmosphere]
    rest = [gas for gas in leaving if gas.formula not in ("H2O", taken)]
    if "O" in _elements(precursors):
        yield (*rest, Exchange(taken, taken=True, released=False), Exchange("H2O"))
    elif atmosphere == "hydrogen":
        yield (*rest, Exchange("H2", taken=True, released=False))
    else:
        yield (*rest, Exchange(taken, taken=True, released=False), Exchange("H2"))


def _leaving(precursors: Sequence[Precursor], target: Amounts) -> Iterator[Exchange]:
    """Gases that carry away what the target does not hold."""
    present, kinds = _elements(precursors), {precursor.kind for precursor in precursors}
    ammonium = any(_is_ammonium(precursor) for precursor in precursors)
    if "N" in present and "N" not in target:
        yield Exchange("N2" if ammonium and "nitrate" in kinds else "NH3" if ammonium else "NO2")
    if "C" in present and "C" not in target:
        yield Exchange("CO2")
    if "H" in present and "H" not in target:
        yield Exchange("H2O")
    for halogen in HALOGENS:
        if halogen in present and "H" in present and halogen not in target:
            yield Exchange(f"H{halogen}")
    if "S" in present and "S" not in target and "sulfate" in kinds:
        yield Exchange("SO2")


def _is_ammonium(precursor: Precursor) -> bool:
    return "NH4" in precursor.formula


def _elements(precursors: Iterable[Precursor]) -> set[str]:
    return {symbol for precursor in precursors for symbol in precursor.amounts}
