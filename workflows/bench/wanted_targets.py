"""What a replay looks for: several targets that a hit meets all at once, and ranges that can tell hits apart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import MatloopError, ThresholdError
from matloop.workflows.bench.discovery_settings import wanted_range, within
from matloop.workflows.bench.quantities import quantity_named

MOST_HITS = 0.5
"""Share of the rows above which a hit is nothing that one has to search for."""
_NUMBER = r"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)"
_WRITTEN = re.compile(rf"\s*([^<>=:]+?)\s*(?:(>=|<=)\s*{_NUMBER}|:\s*(?:(max|min)|{_NUMBER}\.\.{_NUMBER}))\s*")

Ranges = Mapping[str, tuple[float, float]]


class WantedTarget(NamedTuple):
    """One target of a hit.

    Attributes:
        column: A property, a column of one such as ``band_gap_exp``, or another column of numbers.
        direction: ``max``, ``min`` or ``within``: whether high values are wanted, low ones, or those between two ends.
        ends: Lower and upper end of the wanted values, in the unit of the labels; None if they follow the labels.
    """

    column: str
    direction: str
    ends: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """Name of the property, or of the column."""
        return quantity_named(self.column).name

    def __str__(self) -> str:
        if self.ends is None:
            return f"{self.column}:{self.direction}"
        if self.direction == "within":
            return f"{self.column}:{self.ends[0]:g}..{self.ends[1]:g}"
        return f"{self.column}>={self.ends[0]:g}" if self.direction == "max" else f"{self.column}<={self.ends[1]:g}"

    def range(self, labels: NDArray[np.float64], *, top: float) -> tuple[float, float]:
        """Lower and upper end of the wanted values.

        Args:
            labels: Labels that the ends follow if none are given: the range is where their top share begins.
            top: That share.
        """
        return self.ends or wanted_range(labels, top, self.direction)


IS_HIT = WantedTarget("is_hit", "max", (0.5, np.inf))
"""The target of a table that says of each row whether it is a hit, by 1 and 0."""


def read_target(text: str) -> WantedTarget:
    """Read a target as it is written on a command line.

    Raises:
        MatloopError: If it is not of the form ``NAME>=VALUE``, ``NAME<=VALUE``, ``NAME:LOW..HIGH``, ``NAME:max`` or
            ``NAME:min``.

    >>> read_target("refractive_index >= 2.2").ends, str(read_target("band_gap:max")), str(read_target("ZT:1..1.5"))
    ((2.2, inf), 'band_gap:max', 'ZT:1..1.5')
    """
    found = _WRITTEN.fullmatch(text)
    column, sign, limit, best, low, high = found.groups() if found else ("", None, None, None, None, None)
    numbers = [float(written) for written in (limit, low, high) if written]
    ends: tuple[float, float] | None = None
    if sign:
        ends = (numbers[0], np.inf) if sign == ">=" else (-np.inf, numbers[0])
    elif low:
        ends = (numbers[0], numbers[1])
    if not found or (ends and (not ends[0] < ends[1] or not np.isfinite(ends).any())):
        raise MatloopError(
            f"--target '{text[:60]}'",
            "'NAME>=VALUE', 'NAME<=VALUE', 'NAME:LOW..HIGH', or 'NAME:max' or 'NAME:min' for the top share",
            "put it in quotation marks, such as --target 'refractive_index>=2.2'",
        )  # fmt: skip
    direction = best or ("within" if low else "max" if sign == ">=" else "min")
    return WantedTarget(column, direction, ends)


def hits_among(labels: Mapping[str, NDArray[np.float64]], ranges: Ranges) -> NDArray[np.bool_]:
    """Whether each of n rows meets all targets, shape (n,)."""
    return np.logical_and.reduce([within(labels[name], ends) for name, ends in ranges.items()])


def check_thresholds(labels: Mapping[str, NDArray[np.float64]], ranges: Ranges, *, of: str) -> None:
    """Refuse thresholds that leave nothing to search for.

    Args:
        labels: Values of n rows by property.
        ranges: Lower and upper end wanted, by property.
        of: What the rows are, for people.

    Raises:
        ThresholdError: If no row meets all targets, or more than half of the rows do.

    >>> check_thresholds({"band_gap": np.arange(10.0)}, {"band_gap": (20.0, np.inf)}, of="a.csv")
    Traceback (most recent call last):
    ...
    matloop.data.errors.ThresholdError: E-BENCH-THRESHOLD: no hit among 10 rows of a.csv (band_gap >= 20: 0). Allowed: \
1 to 5 hits. To mend it: its best tenth begins at band_gap >= 9; take thresholds nearer to that.
    """
    hits = int(hits_among(labels, ranges).sum())
    count = len(next(iter(labels.values())))
    if 0 < hits <= MOST_HITS * count:
        return
    alone = ", ".join(f"{_words(name, ends)}: {int(within(labels[name], ends).sum())}" for name, ends in ranges.items())
    tenths = {name: _direction(ends) for name, ends in ranges.items() if _direction(ends) != "within"}
    begins = " and ".join(_words(name, wanted_range(labels[name], 0.1, way)) for name, way in tenths.items())
    raise ThresholdError(
        f"{'no hit' if not hits else f'{hits:,} hits'} among {count:,} rows of {of} ({alone})",
        f"1 to {int(MOST_HITS * count):,} hits",
        f"its best tenth begins at {begins}; take thresholds nearer to that" if tenths else "take another range",
    )


def _direction(ends: tuple[float, float]) -> str:
    if np.isfinite(ends).all():
        return "within"
    return "max" if np.isinf(ends[1]) else "min"


def _words(name: str, ends: tuple[float, float]) -> str:
    if _direction(ends) == "within":
        return f"{name} {ends[0]:g} to {ends[1]:g}"
    return f"{name} >= {ends[0]:g}" if _direction(ends) == "max" else f"{name} <= {ends[1]:g}"


def ranges_of(
    targets: Sequence[WantedTarget], labels: Mapping[str, NDArray[np.float64]], *, top: float
) -> dict[str, tuple[float, float]]:
    """Wanted range of each property, see :meth:`WantedTarget.range`."""
    return {target.name: target.range(labels[target.name], top=top) for target in targets}
