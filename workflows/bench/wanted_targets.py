"""What a replay looks for: several targets that a hit meets all at once, and thresholds that can tell hits apart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import MatloopError, ThresholdError
from matloop.data.properties.carried import is_property_column
from matloop.data.properties.catalogue import property_named
from matloop.workflows.bench.discovery_settings import wanted_range, within

MOST_HITS = 0.5
"""Share of the rows above which a hit is nothing that one has to search for."""
_WRITTEN = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(?:(>=|<=)\s*([-+0-9.eE]+)|:\s*(max|min))\s*")

Ranges = Mapping[str, tuple[float, float]]


class WantedTarget(NamedTuple):
    """One target of a hit.

    Attributes:
        property_name: A property, or a column of one such as ``band_gap_exp``.
        direction: ``max`` or ``min``: whether high or low values are wanted.
        threshold: The least value that is high enough, or the largest that is low enough, in the unit of the property;
            None if it follows the labels.
    """

    property_name: str
    direction: str
    threshold: float | None = None

    @property
    def name(self) -> str:
        """Name of the property."""
        is_column = is_property_column(self.property_name)
        return property_named(self.property_name.rpartition("_")[0] if is_column else self.property_name).name

    def __str__(self) -> str:
        if self.threshold is None:
            return f"{self.property_name}:{self.direction}"
        return f"{self.property_name}{'>=' if self.direction == 'max' else '<='}{self.threshold:g}"

    def range(self, labels: NDArray[np.float64], *, top: float) -> tuple[float, float]:
        """Lower and upper end of the wanted values.

        Args:
            labels: Labels that the threshold follows if none is given: it is where their top share begins.
            top: That share.
        """
        if self.threshold is None:
            return wanted_range(labels, top, self.direction)
        return (self.threshold, np.inf) if self.direction == "max" else (-np.inf, self.threshold)


def read_target(text: str) -> WantedTarget:
    """Read a target as it is written on a command line.

    Raises:
        MatloopError: If it is not of the form ``NAME>=VALUE``, ``NAME<=VALUE``, ``NAME:max`` or ``NAME:min``.

    >>> read_target("refractive_index >= 2.2"), str(read_target("band_gap:max"))
    (WantedTarget(property_name='refractive_index', direction='max', threshold=2.2), 'band_gap:max')
    """
    found = _WRITTEN.fullmatch(text)
    try:
        threshold = float(found[3]) if found and found[3] else None
    except ValueError:
        found = None
    if not found or (threshold is not None and not np.isfinite(threshold)):
        raise MatloopError(
            f"--target '{text[:60]}'", "'NAME>=VALUE' or 'NAME<=VALUE', or 'NAME:max' or 'NAME:min' for the top share",
            "put it in quotation marks, such as --target 'refractive_index>=2.2'",
        )  # fmt: skip
    return WantedTarget(found[1], found[4] or ("max" if found[2] == ">=" else "min"), threshold)


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
    tenths = {name: wanted_range(labels[name], 0.1, _direction(ends)) for name, ends in ranges.items()}
    begins = " and ".join(_words(name, ends) for name, ends in tenths.items())
    raise ThresholdError(
        f"{'no hit' if not hits else f'{hits:,} hits'} among {count:,} rows of {of} ({alone})",
        f"1 to {int(MOST_HITS * count):,} hits",
        f"its best tenth begins at {begins}; take thresholds nearer to that",
    )


def _direction(ends: tuple[float, float]) -> str:
    return "max" if np.isinf(ends[1]) else "min"


def _words(name: str, ends: tuple[float, float]) -> str:
    return f"{name} >= {ends[0]:g}" if _direction(ends) == "max" else f"{name} <= {ends[1]:g}"


def ranges_of(
    targets: Sequence[WantedTarget], labels: Mapping[str, NDArray[np.float64]], *, top: float
) -> dict[str, tuple[float, float]]:
    """Wanted range of each property, see :meth:`WantedTarget.range`."""
    return {target.name: target.range(labels[target.name], top=top) for target in targets}
