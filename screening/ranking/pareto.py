"""Pareto fronts, exact for any number of objectives: which candidates are beaten by no other, and in what layers.

A candidate beats another one if it is at least as good in every objective and better in one. The first front holds the
candidates that nobody beats, the second those that only candidates of the first beat, and so on: the front of a
candidate is one more than the highest front among those that beat it.

Fronts are found by divide and conquer (Kung, Luccio and Preparata, J. ACM 22, 469 (1975); for all fronts Jensen, IEEE
Trans. Evol. Comput. 7, 503 (2003)): sorted candidates are cut in halves, of which the lower cannot beat the upper; what
remains to be compared has one objective less. It takes n log(n)^(d-1) steps for n candidates and d objectives, also
where most of them are beaten by nobody, for which comparing all pairs would take n^2.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

NOT_COMPARED = 0
"""In place of a front: an objective is not known, or the candidate lies behind the last front that was asked for."""
_ALL = 2**62
_FEW_PAIRS = 4096
"""Comparing so many pairs takes less time than cutting them further."""


def pareto_fronts(gains: NDArray[np.float64], *, fronts: int | None = None) -> NDArray[np.int64]:
    """Number of the Pareto front of each candidate, from 1.

    Equal candidates stand in the same front. One with an objective that is not a number is compared with nobody.

    Args:
        gains: Objectives, the larger the better, shape (n, d).
        fronts: How many fronts are wanted; all by default.

    Returns:
        Shape (n,); :data:`NOT_COMPARED` where an objective is nan, and behind the last front that is wanted.

    >>> pareto_fronts(np.array([[1.0, 3.0], [2.0, 2.0], [1.0, 2.0], [2.0, 2.0], [np.nan, 9.0]])).tolist()
    [1, 1, 2, 1, 0]
    """
    gains = np.asarray(gains, np.float64)
    found = np.full(len(gains), NOT_COMPARED, np.int64)
    rows = np.flatnonzero(~np.isnan(gains).any(axis=1))
    if not len(rows):
        return found
    places = np.ascontiguousarray(_places(gains[rows]))
    # The best come first: none can be beaten by one that stands behind it.
    order = np.lexsort(places.T[::-1])
    places = places[order]
    differs = np.r_[True, (places[1:] != places[:-1]).any(axis=1)]
    each = np.ones(int(differs.sum()), np.int64)
    _divide(np.ascontiguousarray(places[differs]), each, _ALL if fronts is None else fronts)
    if fronts is not None:
        each[each > fronts] = NOT_COMPARED
    found[rows[order]] = each[np.cumsum(differs) - 1]
    return found


class StreamedFronts:
    """The first Pareto fronts of candidates that come in parts, such as the partitions of a run.

    Only candidates that may still belong to these fronts are kept. The result is that of all parts together, whatever
    their order and size: a candidate stands in no earlier front among all than it does in its part.

    Args:
        fronts: How many fronts are wanted.

    >>> streamed = StreamedFronts()
    >>> streamed.add(np.array(["a", "b"]), np.array([[1.0, 0.0], [0.0, 0.5]]))
    >>> streamed.add(np.array(["c"]), np.array([[0.0, 1.0]]))
    >>> [names.tolist() for names in streamed.result()]
    [['a', 'c'], [1, 1]]
    """

    def __init__(self, fronts: int = 1) -> None:
        self.fronts = fronts
        self.not_compared = 0
        """Candidates so far with an objective that is not a number."""
        self._parts: list[tuple[NDArray[np.str_], NDArray[np.float64]]] = []
        self._merged = 0

    def add(self, ids: NDArray[np.str_], gains: NDArray[np.float64]) -> None:
        """Take in a part.

        Args:
            ids: Of n candidates, shape (n,).
            gains: Their objectives, the larger the better, shape (n, d).
        """
        self.not_compared += int(np.isnan(gains).any(axis=1).sum())
        rows = np.flatnonzero(pareto_fronts(gains, fronts=self.fronts))
        self._parts.append((np.asarray(ids)[rows], np.asarray(gains, np.float64)[rows]))
        # Merged when as many came in as were kept: each candidate is compared again only so many times.
        if sum(len(names) for names, _ in self._parts) > 2 * self._merged:
            self._merge()

    def result(self) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
        """Ids of the candidates in the fronts, the first front first and each front by id; and their fronts."""
        if not self._parts:
            return np.empty(0, str), np.empty(0, np.int64)
        found = self._merge()
        ids = self._parts[0][0]
        order = np.lexsort((ids, found))
        return ids[order], found[order]

    def _merge(self) -> NDArray[np.int64]:
        """Keep one part with the candidates of the fronts; returns their fronts."""
        ids = np.concatenate([names for names, _ in self._parts])
        gains = np.concatenate([values for _, values in self._parts])
        found = pareto_fronts(gains, fronts=self.fronts)
        rows = np.flatnonzero(found)
        self._parts, self._merged = [(ids[rows], gains[rows])], len(rows)
        return found[rows]


def _places(gains: NDArray[np.float64]) -> NDArray[np.int32]:
    """Place of each value in its objective, the best 0 and equal values with the same; at least three objectives."""
    columns = [np.unique(-column, return_inverse=True)[1] for column in gains.T]
    columns += [np.zeros(len(gains), np.int64)] * (3 - len(columns))
    return np.column_stack(columns).astype(np.int32)


@numba.njit(cache=True, nogil=True)
def _divide(places, fronts, most):  # type: ignore[no-untyped-def]
    """Find the fronts of sorted, distinct candidates: the upper half first, which the lower one cannot beat.

    Tasks wait on a stack, because compiled functions that call themselves cannot be kept on disk.
    """
    upper, lower = np.arange(len(places)), np.arange(len(places))
    waiting = [(0, len(places), False)]
    while len(waiting):
        start, stop, compares = waiting.pop()
        middle = (start + stop) // 2
        if compares:
            upper[start:middle], lower[middle:stop] = np.arange(start, middle), np.arange(middle, stop)
            _compare(places, fronts, upper, lower, (start, middle, middle, stop, 1), most)
        elif (stop - start) ** 2 <= _FEW_PAIRS:
            for row in range(start + 1, stop):
                for other in range(start, row):
                    if fronts[other] >= fronts[row] and _reaches(places, other, row, 1):
                        fronts[row] = fronts[other] + 1
        else:
            waiting.append((middle, stop, False))
            waiting.append((start, stop, True))
            waiting.append((start, middle, False))


@numba.njit(cache=True, nogil=True)
def _reaches(places, one, other, objective):  # type: ignore[no-untyped-def]
    """Whether a candidate is at least as good as another one in this objective and all that follow."""
    at = objective
    while at < places.shape[1] and places[one, at] <= places[other, at]:
        at += 1
    return at == places.shape[1]


@numba.njit(cache=True, nogil=True)
def _compare(places, fronts, upper, lower, task, most):  # type: ignore[no-untyped-def]
    """Raise the fronts of candidates above those that beat them.

    A task is a stretch of ``upper``, one of ``lower`` that it may beat, and the objective from which on to compare.
    Tasks put the rows of their stretches in another order, and no row leaves its stretch.
    """
    last = places.shape[1] - 2
    waiting = [task]
    while len(waiting):
        begin, end, start, stop, objective = waiting.pop()
        end = _first_below(upper, begin, end, fronts, most + 1)
        if begin == end or start == stop:
            continue
        highest = fronts[upper[begin:end]].max()
        stop = _first_below(lower, start, stop, fronts, highest + 1)
        if (end - begin) * (stop - start) <= _FEW_PAIRS:
            for row in lower[start:stop]:
                for other in upper[begin:end]:
                    if fronts[other] >= fronts[row] and _reaches(places, other, row, objective):
                        fronts[row] = fronts[other] + 1
            continue
        if objective == last:
            _sweep(places, fronts, upper[begin:end], lower[start:stop], objective)
            continue
        values = places[:, objective]
        first, second = values[upper[begin:end]], values[lower[start:stop]]
        if first.max() <= second.min():  # this objective decides nothing any more
            waiting.append((begin, end, start, stop, objective + 1))
        elif first.min() <= second.max():
            cut = _cut(first, second)
            middle = _first_below(upper, begin, end, values, cut)
            centre = _first_below(lower, start, stop, values, cut)
            waiting.append((begin, middle, start, centre, objective))
            waiting.append((begin, middle, centre, stop, objective + 1))
            waiting.append((middle, end, centre, stop, objective))


@numba.njit(cache=True, nogil=True)
def _first_below(rows, start, stop, values, limit):  # type: ignore[no-untyped-def]
    """Move rows whose value is below a limit to the beginning of a stretch; returns where they end."""
    end = start
    for at in range(start, stop):
        row = rows[at]
        if values[row] < limit:
            rows[at], rows[end] = rows[end], row
            end += 1
    return end


@numba.njit(cache=True, nogil=True)
def _cut(first, second):  # type: ignore[no-untyped-def]
    """A place that cuts both sets in halves, as far as equal values allow it; neither half is empty."""
    together = np.concatenate((first, second))
    cut = int(np.median(together))
    return cut if cut > together.min() else cut + 1


@numba.njit(cache=True, nogil=True)
def _sweep(places, fronts, upper, lower, objective):  # type: ignore[no-untyped-def]
    """Compare by the last two objectives: from the best of the first one down, with the best of the second by front."""
    upper = upper[np.argsort(places[upper, objective])]
    lower = lower[np.argsort(places[lower, objective])]
    least, size = fronts[upper].min(), 1
    while size < fronts[upper].max() - least + 1:
        size *= 2
    tree = np.full(2 * size, np.iinfo(np.int32).max, np.int32)  # the best place by front, and by stretches of fronts
    at = 0
    for row in lower:
        while at < len(upper) and places[upper[at], objective] <= places[row, objective]:
            other = upper[at]
            node, value = size + fronts[other] - least, places[other, objective + 1]
            while node >= 1 and tree[node] > value:
                tree[node] = value
                node //= 2
            at += 1
        value = places[row, objective + 1]
        if tree[1] > value:
            continue
        node = 1
        while node < size:
            node = 2 * node + 1 if tree[2 * node + 1] <= value else 2 * node
        fronts[row] = max(fronts[row], node - size + least + 1)
