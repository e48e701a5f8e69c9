"""What a laboratory can make: elements, prices, precursors on the shelf, and the temperature of its furnace."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, field_validator

from matloop.data.bounded_files import read_bounded
from matloop.data.candidates.compositions import Compositions
from matloop.data.element_facts.composition_scores import price_per_kilogram, price_per_mole
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.errors import InputFileError, MatloopError, SynthesisError
from matloop.data.synthesis.furnace import OnsetRange, onset_range
from matloop.data.synthesis.precursors import Precursor, find_precursor
from matloop.data.synthesis.routes import CandidateRoute, find_routes
from matloop.screening.campaign.frozen_model import FrozenModel
from matloop.screening.campaign.problem_words import problem_words
from matloop.screening.campaign.yaml_document import read_yaml

LARGEST_FILE = 100_000  # bytes


class Laboratory(FrozenModel):
    """Limits of a laboratory; what is left out limits nothing."""

    elements: tuple[str, ...] = Field((), description="Symbols of the elements in house; a candidate has no others.")
    precursors: tuple[str, ...] = Field((), description="Formulas of the precursors on the shelf.")
    most_per_kilogram: float | None = Field(
        None, gt=0, description="Most that the elements of a kilogram may cost, in US dollars."
    )
    most_per_mole: float | None = Field(
        None, gt=0, description="Most that the elements of a mole of formula units may cost, in US dollars."
    )
    same_furnace: bool = Field(
        False, description="Whether one furnace temperature must be in the range in which each reaction sets in."
    )
    hottest_furnace: float | None = Field(None, gt=0, le=3000, description="Highest furnace temperature in °C.")

    @field_validator("elements")
    @classmethod
    def _are_elements(cls, written: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [symbol for symbol in written if symbol not in ATOMIC_NUMBERS]:
            raise ValueError(f"'{wrong[0][:20]}' is no symbol of an element, such as Ba")
        return written

    @field_validator("precursors")
    @classmethod
    def _are_precursors(cls, written: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(find_precursor(formula).formula for formula in written)
        except MatloopError as error:
            raise ValueError(str(error)) from error

    @property
    def asks_for_routes(self) -> bool:
        """Whether candidates need a route to them."""
        return bool(self.precursors) or self.same_furnace or self.hottest_furnace is not None

    def left_out(self, compositions: Compositions, facts: ElementFacts) -> dict[str, NDArray[np.bool_]]:
        """Which candidates elements and prices exclude, by the limit, each (n,). An unknown price excludes.

        Args:
            compositions: Of n candidates.
            facts: Prices of elements.
        """
        found = {}
        if self.elements:
            in_house = np.zeros(len(ATOMIC_NUMBERS) + 2, bool)
            in_house[[ATOMIC_NUMBERS[symbol] for symbol in self.elements]] = True
            foreign = ~in_house[compositions.elements]
            found["elements"] = np.bincount(compositions.rows, foreign, len(compositions)) > 0
        for name, most, score in (
            ("most_per_kilogram", self.most_per_kilogram, price_per_kilogram),
            ("most_per_mole", self.most_per_mole, price_per_mole),
        ):
            if most is not None:
                found[name] = ~(np.nan_to_num(score(compositions, facts).values, nan=np.inf) <= most)
        return found


NO_LIMITS = Laboratory.model_validate({})


class FeasibleRoute(NamedTuple):
    """A route that a laboratory can take.

    Attributes:
        route: The simplest one.
        onset: Temperatures between which its reaction should set in; None where no rule tells.
    """

    route: CandidateRoute
    onset: OnsetRange | None

    @property
    def precursors(self) -> tuple[str, ...]:
        """Formulas of its precursors."""
        return tuple(precursor.formula for precursor in self.route.precursors)


def feasible_route(laboratory: Laboratory, formula: str) -> tuple[FeasibleRoute | None, str]:
    """The simplest route to a candidate within the limits; without one, the limit that excludes it.

    Args:
        laboratory: Its limits. A route of which no rule tells where its reaction sets in suits no furnace limit.
        formula: Of the candidate.
    """
    shelf: Mapping[str, Precursor] | None = None
    if laboratory.precursors:
        shelf = {name: find_precursor(name) for name in laboratory.precursors}
    try:
        routes = find_routes(formula, precursors=shelf, exact=True).routes
    except SynthesisError:
        routes = ()
    found = [FeasibleRoute(route, onset_range(route.precursors)) for route in routes]
    if not found:
        return None, "precursors"
    if laboratory.same_furnace or laboratory.hottest_furnace is not None:
        hottest = laboratory.hottest_furnace or np.inf
        found = [one for one in found if one.onset is not None and one.onset.low <= hottest]
    return (found[0], "") if found else (None, "furnace")


class SharedTemperature(NamedTuple):
    """A furnace temperature for a batch.

    Attributes:
        temperature: In degrees Celsius.
        rows: Candidates whose reactions it lets set in.
    """

    temperature: float
    rows: NDArray[np.int64]


def shared_temperature(
    onsets: Sequence[OnsetRange], merits: NDArray[np.float64], size: int, *, hottest: float | None = None
) -> SharedTemperature:
    """The furnace temperature at which the best ``size`` candidates that it suits are worth most together.

    Args:
        onsets: Range of each of n candidates.
        merits: What each is worth, 0 or more, shape (n,).
        size: Of the batch.
        hottest: Highest temperature.

    >>> ranges = [OnsetRange(500, 700, "a", 1.0), OnsetRange(600, 900, "b", 1.0), OnsetRange(800, 900, "c", 1.0)]
    >>> shared_temperature(ranges, np.array([0.5, 0.4, 0.3]), 2)
    SharedTemperature(temperature=650.0, rows=array([0, 1]))
    """
    low, high = (np.array([getattr(onset, end) for onset in onsets]) for end in ("low", "high"))
    high = np.minimum(high, np.inf if hottest is None else hottest)
    ends = np.unique(np.concatenate([low, high]))
    worth, chosen = -1.0, SharedTemperature(float(ends[0]), np.empty(0, np.int64))
    for temperature in np.unique(np.concatenate([ends, (ends[1:] + ends[:-1]) / 2])):
        suited = np.flatnonzero((low <= temperature) & (temperature <= high))
        total = float(np.sort(merits[suited])[::-1][:size].sum())
        # Of equal temperatures, take one inside the ranges and not at their ends.
        inside = np.minimum(temperature - low[suited], high[suited] - temperature)
        margin = 1e-9 * float(inside.min()) if len(suited) else 0.0
        if total + margin > worth:
            worth, chosen = total + margin, SharedTemperature(float(temperature), suited)
    return chosen


def read_laboratory(path: Path | None, options: Mapping[str, Any]) -> Laboratory:
    """Read the limits of a laboratory from a YAML file, and put options in their place.

    Args:
        path: The file; its keys stand alone or under ``lab``. None for none.
        options: Limits that are stated otherwise; those that are None or empty change nothing.

    Raises:
        InputFileError: If the file cannot be read, or a limit is not what it can be.
    """
    written: dict[str, Any] = {}
    if path is not None:
        document = read_yaml(read_bounded(path, most_bytes=LARGEST_FILE))
        content = document.data.get("lab", document.data) if isinstance(document.data, dict) else document.data
        if document.problems or not isinstance(content, dict):
            line, problem = (document.problems or ((0, "no keys with values"),))[0]
            raise InputFileError(
                f"{path.name}, line {line}: {problem}", f"keys among {', '.join(Laboratory.model_fields)}"
            )
        written = dict(content)
    written |= {name: value for name, value in options.items() if value not in (None, (), [], False)}
    try:
        return Laboratory.model_validate(written)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "lab"
        is_unknown = first["type"] == "extra_forbidden"
        found = f"unknown key '{place[:60]}'" if is_unknown else f"{place[:60]}: {problem_words(first)[:300]}"
        close = difflib.get_close_matches(place, Laboratory.model_fields, n=1) if is_unknown else []
        raise InputFileError(
            f"limits of the laboratory: {found}", f"keys among {', '.join(Laboratory.model_fields)}",
            f"did you mean {close[0]}?" if close else "",
        ) from error  # fmt: skip
