"""Plan the synthesis of a compound: routes, driving forces, competing phases, masses and gates, as one record."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matloop.data.errors import SynthesisError
from matloop.data.synthesis.amounts import Amounts, molar_mass, read_amounts
from matloop.data.synthesis.atmospheres import NOXIOUS_GASES
from matloop.data.synthesis.batch import Batch, weigh
from matloop.data.synthesis.furnace import onset_range
from matloop.data.synthesis.plan import (
    Competitor,
    EnergyOrigin,
    FactsUsed,
    GasOfRoute,
    Onset,
    PointOfRoute,
    Route,
    SynthesisPlan,
    WeighedSubstance,
)
from matloop.data.synthesis.precursors import Precursor, find_precursor, precursor_table
from matloop.data.synthesis.residues import residue
from matloop.data.synthesis.routes import CandidateRoute, RouteSearch, find_routes, route_from
from matloop.data.synthesis.simplicity import POINTS, Point
from matloop.models.synthesis.competing_phases import competing_phases
from matloop.models.synthesis.driving_force import DrivingForce, driving_force, takes_up_oxygen
from matloop.models.synthesis.phase_hull import PhaseHull, packaged_phase_hull
from matloop.workflows.synthesis.gates import makeability_gates

TEMPERATURE = 1000.0
"""K, at which the entropies of gases are reckoned if nothing else is asked."""
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 273.15, 3000.0
MOST_ELEMENTS = 10
ROUTES = 5


class _Target(NamedTuple):
    """What is made, and its energy.

    Attributes:
        formula: As asked.
        amounts: Atoms in a formula unit.
        energy: Of a formula unit in eV; None without any.
        origin: Where the energy comes from.
    """

    formula: str
    amounts: Amounts
    energy: float | None
    origin: EnergyOrigin


def plan_synthesis(
    formula: str,
    *,
    batch: Batch | None = None,
    precursors: Sequence[str] = (),
    energy: float | None = None,
    temperature: float = TEMPERATURE,
    routes: int = ROUTES,
    on: dt.date | None = None,
    exact: bool = False,
) -> SynthesisPlan:
    """Plan how one would make a compound.

    Routes that cost energy come last. The others stand in the order of their points
    (:mod:`matloop.data.synthesis.simplicity`), which count a reaction that may run away as they count work in an inert
    gas. Where points are equal, the stronger driving force comes first; then the route that loses less mass as gas.

    Args:
        formula: Of the target.
        batch: Mass, purities and excesses; 10 g by default.
        precursors: The only ones that may be used; all of them together are one route, if they balance.
        energy: Formation energy of the target in eV/atom on the scale of the packaged hull. Without it, that of a
            listed phase counts, or the target is assumed to lie on the hull.
        temperature: K, at which the entropies of gases are reckoned.
        routes: How many routes to describe.
        on: Day for which the age of facts is told; today by default.
        exact: Whether a program wrote the formula.

    Raises:
        SynthesisError: If the formula or a number cannot be used, or an excess is of no element of the compound.
        UnknownNameError: For a precursor that the table lacks.

    >>> plan = plan_synthesis("BaTiO3")
    >>> plan.routes[0].equation, [round(one.grams, 3) for one in plan.routes[0].precursors]
    ('BaCO3 + TiO2 -> BaTiO3 + CO2', [8.462, 3.425])
    """
    if not LOWEST_TEMPERATURE <= temperature <= HIGHEST_TEMPERATURE:
        raise SynthesisError(f"{temperature} K", f"{LOWEST_TEMPERATURE} to {HIGHEST_TEMPERATURE} K")
    amounts = read_amounts(formula, exact=exact)
    if not 1 < len(amounts) <= MOST_ELEMENTS:
        raise SynthesisError(f"{formula} of {len(amounts)} elements", f"a compound of 2 to {MOST_ELEMENTS} elements")
    batch = _of_its_elements(batch or Batch(10.0), formula, amounts)
    hull = packaged_phase_hull()
    target = _target(formula, amounts, energy, hull)
    oxidises = "O" in amounts and takes_up_oxygen(amounts, hull=hull, temperature=temperature)
    search = _search(formula, [find_precursor(name) for name in precursors], oxidises, exact)
    ordered = _ordered(search.routes, target, hull, temperature)
    described = tuple(
        _describe(route, force, target, batch, hull, temperature) for route, force in ordered[: max(routes, 0)]
    )
    simplest = min(ordered, key=lambda pair: pair[0].total, default=None)
    known = target.energy if target.origin in ("given", "listed") else None
    table, day = precursor_table(), on or dt.date.today()
    return SynthesisPlan(
        target=formula, molar_mass=molar_mass(amounts), grams=batch.grams, temperature=temperature,
        energy=None if target.energy is None else target.energy / float(sum(amounts.values())),
        energy_origin=target.origin, energy_source=hull.source, oxidises=oxidises, routes=described,
        balanced=len(search.routes), sets=search.sets, complete=search.complete, lacking=search.lacking,
        order="downhill_points_force_mass",
        gates=makeability_gates(
            amounts, known, simplest[1].deciding if simplest else None, oxidises=oxidises, hull=hull
        ),
        facts=FactsUsed(
            table=table.name, source=table.source, as_of=table.as_of.isoformat(), expires=table.expires.isoformat(),
            expired=table.expired(day),
        ),
    )  # fmt: skip


def _of_its_elements(batch: Batch, formula: str, amounts: Amounts) -> Batch:
    """Refuse an excess of an element that the target does not have: nobody would notice that it is not weighed."""
    if strangers := [symbol for symbol in batch.excess if symbol not in amounts]:
        raise SynthesisError(
            f"an excess of {', '.join(strangers)} for {formula}", f"elements of the compound: {', '.join(amounts)}"
        )
    return batch


def _target(formula: str, amounts: Amounts, energy: float | None, hull: PhaseHull) -> _Target:
    """Find the energy of the target."""
    if energy is not None:
        if not math.isfinite(energy) or abs(energy) > 100:
            raise SynthesisError(f"a formation energy of {energy} eV/atom", "a number between -100 and 100")
        return _Target(formula, amounts, energy * float(sum(amounts.values())), "given")
    listed = hull.listed_energy(amounts)
    if listed is not None:
        return _Target(formula, amounts, listed, "listed")
    (mixture,) = hull.mixture_energies([amounts])
    return _Target(formula, amounts, mixture, "none" if mixture is None else "on_hull")


def _search(formula: str, chosen: Sequence[Precursor], oxidises: bool, exact: bool) -> RouteSearch:
    """All routes, or those from chosen precursors: all of them together, else any of them."""
    if not chosen:
        return find_routes(formula, oxidises=oxidises, exact=exact)
    whole = route_from(formula, chosen, oxidises=oxidises, exact=exact)
    if whole is not None:
        return RouteSearch((whole,), 1, True, ())
    allowed: Mapping[str, Precursor] = {precursor.formula: precursor for precursor in chosen}
    return find_routes(formula, precursors=allowed, oxidises=oxidises, exact=exact)


def _ordered(
    found: Sequence[CandidateRoute], target: _Target, hull: PhaseHull, temperature: float
) -> list[tuple[CandidateRoute, DrivingForce]]:
    """Routes with their driving forces, in the stated order."""
    forces = [_force(route, target, hull, temperature) for route in found]
    pairs = [(_with_its_heat(route, force), force) for route, force in zip(found, forces, strict=True)]
    return sorted(
        pairs,
        key=lambda pair: (
            pair[1].uphill,
            pair[0].total,
            math.inf if pair[1].deciding is None else round(pair[1].deciding, 6),
            pair[0].mass_lost,
            pair[0].reaction.equation(),
        ),
    )


def _with_its_heat(route: CandidateRoute, force: DrivingForce) -> CandidateRoute:
    """The route with the points of one that may run away, where it may: they need the energies of the hull."""
    if not force.self_heating:
        return route
    heat = Point("self_heating", route.reaction.target, POINTS["self_heating"])
    return dataclasses.replace(route, points=(*route.points, heat))


def _force(route: CandidateRoute, target: _Target, hull: PhaseHull, temperature: float) -> DrivingForce:
    if target.energy is None:
        return DrivingForce(None, None, (target.formula,), None, None)
    return driving_force(
        route.reaction, route.precursors, target.amounts, target.energy, hull=hull, temperature=temperature
    )


def _describe(
    route: CandidateRoute, force: DrivingForce, target: _Target, batch: Batch, hull: PhaseHull, temperature: float
) -> Route:
    """One route as a record."""
    onset = onset_range(route.precursors)
    return Route(
        equation=route.reaction.equation(),
        atmosphere=route.atmosphere,
        target_coefficient=route.reaction.multiple,
        precursors=_weighed(route, batch),
        gases=_gases(route, target, batch),
        points=tuple(PointOfRoute(key=one.key, about=one.about, points=one.points) for one in route.points),
        reaction_energy=force.as_written,
        reaction_energy_hot=force.as_written_hot,
        without_energy=force.without_energy,
        driving_force=force.of_residues,
        driving_force_hot=force.of_residues_hot,
        uphill=force.uphill,
        self_heating=force.self_heating,
        competitors=_competitors(route, force, target, hull, temperature),
        onset=None if onset is None else Onset(rule="tammann", **onset._asdict()),
    )


def _weighed(route: CandidateRoute, batch: Batch) -> tuple[WeighedSubstance, ...]:
    numbers = route.reaction.coefficients()
    return tuple(
        WeighedSubstance(
            formula=one.formula, kind=one.kind, coefficient=-numbers[one.formula], cas=one.cas, name=one.name,
            molar_mass=one.molar_mass, grams=mass.grams, purity=mass.purity, excess=mass.excess,
            sensitivity=one.sensitivity, hazards=one.hazards, annex_vi_index=one.annex_vi_index,
            melting_point=one.melting_point, residue=_written(residue(one)),
        )
        for one, mass in zip(route.precursors, weigh(route.reaction, batch), strict=True)
    )  # fmt: skip


def _written(amounts: Amounts) -> str:
    """A residue as a formula in whole numbers, metals first; empty where nothing stays."""
    if not amounts:
        return ""
    multiple = math.lcm(*(amount.denominator for amount in amounts.values()))
    whole = {symbol: int(amount * multiple) for symbol, amount in amounts.items()}
    divisor = math.gcd(*whole.values())
    order = sorted(whole, key=lambda symbol: (symbol == "O", symbol))
    return "".join(f"{symbol}{n if (n := whole[symbol] // divisor) > 1 else ''}" for symbol in order)


def _gases(route: CandidateRoute, target: _Target, batch: Batch) -> tuple[GasOfRoute, ...]:
    moles = batch.grams / molar_mass(target.amounts)
    multiple = route.reaction.multiple
    return tuple(
        GasOfRoute(
            formula=term.formula, coefficient=int(term.amount * multiple),
            grams=moles * float(term.amount) * molar_mass(term.amounts), noxious=term.formula in NOXIOUS_GASES,
        )
        for term in route.reaction.gases
    )  # fmt: skip


def _competitors(
    route: CandidateRoute, force: DrivingForce, target: _Target, hull: PhaseHull, temperature: float
) -> tuple[Competitor, ...]:
    found = competing_phases(
        route.precursors, target.amounts, hull=hull, temperature=temperature, oxygen=route.atmosphere == "air"
    )
    own = force.deciding
    return tuple(
        Competitor(
            first=one.first, second=one.second, formula=one.formula,
            driving_force=one.driving_force if one.formula else None,
            stronger=bool(one.formula) and own is not None and one.driving_force < own,
        )
        for one in found
    )  # fmt: skip
