"""Routes to a target: sets of precursors that balance, the simplest first.

Each cation comes from one precursor, which may supply several; anions may come with several of them, as sulfur does
with Cu2S and In2S3. Sets are tried in the order of the points of their precursors
(:mod:`matloop.data.synthesis.simplicity`), by best-first search, so that the first routes found are the simplest ones
and the search ends early however many sets there are.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from matloop.data.synthesis.amounts import Amounts, molar_mass, read_amounts
from matloop.data.synthesis.atmospheres import AtmosphereName, atmospheres_for, gas_choices, supplied_by, withstands
from matloop.data.synthesis.precursors import Precursor, load_precursors
from matloop.data.synthesis.reactions import Reaction, balance
from matloop.data.synthesis.simplicity import Point, points_of_precursor, points_of_route

ANIONS = frozenset("N O F S Cl Se Br Te I".split())
"""Elements that may come with several precursors."""
MOST_OPTIONS = 8
"""Precursors that are tried for an element, the simplest ones."""
MOST_SETS = 400
"""Sets of precursors that are tried for each atmosphere."""
MOST_STEPS = 20_000
"""Steps of the search for each atmosphere."""


@dataclass(frozen=True)
class CandidateRoute:
    """A balanced way to make a target.

    Attributes:
        reaction: To one mole of the target.
        precursors: Those of the reaction, in its order.
        atmosphere: Of the furnace.
        points: What makes it less simple.
    """

    reaction: Reaction
    precursors: tuple[Precursor, ...]
    atmosphere: AtmosphereName
    points: tuple[Point, ...]

    @property
    def total(self) -> int:
        """Sum of its points."""
        return sum(point.points for point in self.points)

    @property
    def mass_lost(self) -> float:
        """Grams of gas that leave for a mole of the target."""
        return sum(float(gas.amount) * molar_mass(gas.amounts) for gas in self.reaction.gases if gas.amount > 0)


@dataclass(frozen=True)
class RouteSearch:
    """What a search found.

    Attributes:
        routes: The simplest first.
        sets: Sets of precursors that were tried.
        complete: Whether every set was tried, or the search ended at its limit.
        lacking: Elements for which no precursor is known in any atmosphere.
    """

    routes: tuple[CandidateRoute, ...]
    sets: int
    complete: bool
    lacking: tuple[str, ...]


def find_routes(
    target: str,
    *,
    precursors: Mapping[str, Precursor] | None = None,
    oxidises: bool = False,
    exact: bool = False,
) -> RouteSearch:
    """Find routes to a target.

    Args:
        target: Its formula; amounts may be fractions.
        precursors: What may be used, by formula; the packaged ones by default.
        oxidises: Whether the target takes up oxygen from air.
        exact: Whether a program wrote the formula.

    Raises:
        SynthesisError: If the formula cannot be read.

    >>> find_routes("BaTiO3").routes[0].reaction.equation()
    'BaCO3 + TiO2 -> BaTiO3 + CO2'
    """
    wanted = read_amounts(target, exact=exact)
    known = load_precursors() if precursors is None else precursors
    found: dict[frozenset[str], CandidateRoute] = {}
    tried, complete, lacking = 0, True, set(wanted)
    for atmosphere in atmospheres_for(wanted, oxidises=oxidises):
        search = _PrecursorSets(wanted, atmosphere, list(known.values()))
        lacking &= set(search.lacking)
        for chosen in itertools.islice(search, MOST_SETS):
            tried += 1
            route = _route(target, wanted, chosen, atmosphere, oxidises)
            key = frozenset(precursor.formula for precursor in chosen)
            if route is not None and (key not in found or route.total < found[key].total):
                found[key] = route
        complete &= search.complete
    order = sorted(found.values(), key=lambda route: (route.total, route.mass_lost, route.reaction.equation()))
    return RouteSearch(tuple(order), tried, complete, tuple(sorted(lacking)))


def route_from(
    target: str, precursors: Sequence[Precursor], *, oxidises: bool = False, exact: bool = False
) -> CandidateRoute | None:
    """The route from given precursors, in the first atmosphere in which it balances; None if there is none.

    Args:
        target: Its formula.
        precursors: All of them are used.
        oxidises: Whether the target takes up oxygen from air.
        exact: Whether a program wrote the formula.

    Raises:
        SynthesisError: If the formula cannot be read.
    """
    wanted = read_amounts(target, exact=exact)
    routes = [
        route
        for atmosphere in atmospheres_for(wanted, oxidises=oxidises)
        if (route := _route(target, wanted, precursors, atmosphere, oxidises)) is not None
    ]
    return min(routes, key=lambda route: route.total, default=None)


def _route(
    target: str, wanted: Amounts, chosen: Sequence[Precursor], atmosphere: AtmosphereName, oxidises: bool
) -> CandidateRoute | None:
    """Balance a set of precursors in an atmosphere."""
    for gases in gas_choices(atmosphere, chosen, wanted):
        reaction = balance(target, [precursor.formula for precursor in chosen], gases, exact=True)
        if reaction is not None:
            points = points_of_route(reaction, atmosphere, list(chosen), oxidises=oxidises)
            return CandidateRoute(reaction, tuple(chosen), atmosphere, tuple(points))
    return None


class _PrecursorSets:
    """Sets of precursors that cover the elements of a target, those with the fewest points first.

    Attributes:
        lacking: Elements that no precursor supplies.
        complete: Whether all sets were given out.
    """

    def __init__(self, target: Amounts, atmosphere: AtmosphereName, precursors: Sequence[Precursor]) -> None:
        removable = {"C", "H", "N"} | ({"O"} if atmosphere != "sealed" else set())
        wanted = [symbol for symbol in target if symbol not in supplied_by(atmosphere)]
        # Anions come last: what the cations bring along may be enough.
        self._elements = sorted(wanted, key=lambda symbol: (symbol in ANIONS, symbol))
        self._options: dict[str, list[tuple[int, Precursor]]] = {symbol: [] for symbol in wanted}
        self.complete = True
        for precursor in precursors:
            held = set(precursor.amounts)
            if not held <= set(target) | removable or not _suits(precursor, target):
                continue
            if not withstands(precursor, atmosphere):
                continue
            points = sum(point.points for point in points_of_precursor(precursor, target))
            for symbol in held & set(wanted):
                self._options[symbol].append((points, precursor))
        for symbol, options in self._options.items():
            options.sort(key=lambda pair: (pair[0], pair[1].formula))
            self.complete &= len(options) <= MOST_OPTIONS
            self._options[symbol] = options[:MOST_OPTIONS]
        self.lacking = [symbol for symbol, options in self._options.items() if not options]

    def __iter__(self) -> Iterator[tuple[Precursor, ...]]:
        if self.lacking:
            return
        least = {
            symbol: min(points / len(set(precursor.amounts) & set(self._elements)) for points, precursor in options)
            for symbol, options in self._options.items()
        }
        number = itertools.count()
        waiting: list[tuple[float, int, int, tuple[Precursor, ...]]] = [(0.0, next(number), 0, ())]
        for _ in range(MOST_STEPS):
            if not waiting:
                return
            _, _, points, chosen = heapq.heappop(waiting)
            covered = {symbol for precursor in chosen for symbol in precursor.amounts}
            open_elements = [symbol for symbol in self._elements if symbol not in covered]
            if not open_elements:
                yield chosen
                continue
            following = open_elements[0]
            cations = covered - ANIONS - {"C", "H"}
            for more, precursor in self._options[following]:
                if following not in ANIONS and cations & set(precursor.amounts) & set(self._elements):
                    continue  # a cation would come from two precursors
                rest = sum(least[symbol] for symbol in open_elements if symbol not in precursor.amounts)
                heapq.heappush(waiting, (points + more + rest, next(number), points + more, (*chosen, precursor)))
        self.complete = False


def _suits(precursor: Precursor, target: Amounts) -> bool:
    """Whether a class of precursors makes sense for a target, and the precursor is not the target itself."""
    unsuited = set[str]()
    if "N" in target:
        unsuited |= {"nitrate", "ammonium"}  # their nitrogen is not that of nitrides
    else:
        unsuited.add("nitride")
    if "C" in target:
        unsuited |= {"oxalate", "acetate"} if "O" in target else {"carbonate", "oxalate", "acetate"}
    if "S" in target and "O" not in target:
        unsuited.add("sulfate")
    if "O" not in target and "O" in precursor.amounts and {"P", "Si"} & set(precursor.amounts):
        return False  # phosphorus and silicon keep their oxygen
    return precursor.kind not in unsuited and not _same(precursor.amounts, target)


def _same(one: Amounts, other: Amounts) -> bool:
    """Whether two formulas are multiples of each other."""
    if set(one) != set(other):
        return False
    return len({one[symbol] / other[symbol] for symbol in one}) == 1
