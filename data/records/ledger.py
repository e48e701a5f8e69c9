"""Actions and candidates: what every other record refers to."""

from __future__ import annotations

import getpass
import importlib.metadata
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select

from matloop.data.errors import DamagedFileError
from matloop.data.plain_text import one_line
from matloop.data.records.identifiers import new_id
from matloop.data.records.tables import ACTIONS, CANDIDATES

_PROMISE, _CAMPAIGN = "probability of all targets", "campaign of the run"  # no property has such names
_RANGES, _INTERVALS = "wanted ranges of the run", "90 % intervals"
IMPORT = "import"
"""Kind of the actions that take a sheet in."""

Ranges = Mapping[str, tuple[float, float]]
"""Lower and upper end of a range by property, infinite where it is open."""


class KnownCandidate(NamedTuple):
    """A candidate that was screened.

    Attributes:
        formula: Its formula.
        origin: Where it was screened, such as the name of a run.
        predictions: Predicted value by property, in the unit of the catalogue.
        cif: Its structure; empty for a composition.
        promise: Probability of meeting all targets that was stated for it; nan where none was.
        campaign: Name of the campaign whose targets these are; empty where none is known.
        ranges: Ranges that the promise is about, in the unit of each property; none where they are not known.
        intervals: Calibrated 90 % interval of the predictions by property, infinite where nothing bounds it.
        elsewhere: The same candidate as runs of other campaigns screened it.
    """

    formula: str
    origin: str = ""
    predictions: Mapping[str, float] = {}
    cif: str = ""
    promise: float = math.nan
    campaign: str = ""
    ranges: Mapping[str, tuple[float, float]] = {}
    intervals: Mapping[str, tuple[float, float]] = {}
    elsewhere: tuple[KnownCandidate, ...] = ()

    def beside(self, other: KnownCandidate) -> KnownCandidate:
        """The candidate with what another run says of it."""
        return self._replace(
            predictions={**other.predictions, **self.predictions}, cif=self.cif or other.cif,
            intervals={**other.intervals, **self.intervals}, elsewhere=(*self.elsewhere, other),
        )  # fmt: skip


def add_action(
    connection: Connection, kind: str, *, by: str = "", note: str = "", details: Mapping[str, Any] | None = None
) -> str:
    """Add an action and return its id.

    Args:
        connection: In a transaction that writes.
        kind: What is done.
        by: Who does it; the user of the system if empty.
        note: Anything else.
        details: Figures, as JSON can hold them.
    """
    action = new_id("action")
    number = select(func.coalesce(func.max(ACTIONS.c.number), 0) + 1).scalar_subquery()
    connection.execute(
        insert(ACTIONS).values(
            id=action, number=number, kind=kind, at=datetime.now(UTC).isoformat(timespec="seconds"),
            by=one_line(by or _user())[:100], version=importlib.metadata.version("matloop"), note=one_line(note)[:2000],
            details_json=as_json(details or {}),
        )
    )  # fmt: skip
    return action


def as_json(content: Any) -> str:
    """JSON with sorted keys, in ASCII."""
    return json.dumps(content, sort_keys=True, allow_nan=False)


def read_json(written: str, *, of: str) -> dict[str, Any]:
    """What a column of JSON holds.

    Args:
        written: The text.
        of: What it belongs to, in words.

    Raises:
        DamagedFileError: If it is no JSON object.
    """
    try:
        found = json.loads(written)
    except ValueError as error:
        raise damaged_records(of) from error
    if not isinstance(found, dict):
        raise damaged_records(of)
    return found


def laboratory_in(details: str, *, of: str) -> str:
    """The laboratory that an import was told, from the details of its action; empty where it was told none.

    Raises:
        DamagedFileError: If the details cannot be read.
    """
    return str(read_json(details, of=of).get("laboratory", ""))


def damaged_records(of: str) -> DamagedFileError:
    """The error that something in the records cannot be read."""
    return DamagedFileError(
        f"a records database in which {of} cannot be read", "the records as they were written",
        "restore the database from a backup",
    )  # fmt: skip


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def add_candidates(connection: Connection, action: str, candidates: Mapping[str, KnownCandidate]) -> None:
    """Add candidates that the records do not know yet."""
    known = set(connection.execute(select(CANDIDATES.c.candidate_id)).scalars())
    rows = [
        {
            "candidate_id": name, "action_id": action, "formula": one.formula, "origin": one.origin,
            "predictions_json": as_json(_written(one)),
            "cif": one.cif,
        }
        for name, one in candidates.items() if name not in known
    ]  # fmt: skip
    if rows:
        connection.execute(insert(CANDIDATES), rows)


def candidates_in(connection: Connection) -> dict[str, KnownCandidate]:
    """Candidates that the records know, without their structures."""
    wanted = (CANDIDATES.c.candidate_id, CANDIDATES.c.formula, CANDIDATES.c.origin, CANDIDATES.c.predictions_json)
    found = {}
    for name, formula, origin, written in connection.execute(select(*wanted)):
        of = f"what was predicted for {name}"
        said = read_json(written, of=of)
        with coded_damage(of):
            campaign, ranges = str(said.pop(_CAMPAIGN, "")), ranges_in(said.pop(_RANGES, {}))
            intervals = ranges_in(said.pop(_INTERVALS, {}))
            predictions = {key: float(value) for key, value in said.items()}
            promise = predictions.pop(_PROMISE, math.nan)
        found[name] = KnownCandidate(formula, origin, predictions, "", promise, campaign, ranges, intervals)
    return found


def promises_elsewhere(screened: Mapping[str, KnownCandidate], known: Mapping[str, KnownCandidate]) -> list[Any]:
    """What campaigns promised of candidates that the records hold with the promise of another one, as JSON holds it.

    Args:
        screened: Candidates of runs, by id.
        known: Candidates that the records hold.
    """
    return [
        {"candidate": name, "campaign": one.campaign, "promise": one.promise, "ranges": written_ranges(one.ranges)}
        for name, stated in sorted(screened.items())
        for one in (stated, *stated.elsewhere)
        if one.campaign not in ("", known.get(name, stated).campaign) and math.isfinite(one.promise)
    ]


def stated_candidates(connection: Connection) -> list[tuple[str, KnownCandidate]]:
    """Candidates by id, with what a campaign promised of them; one that several campaigns screened comes for each."""
    known = candidates_in(connection)
    found = list(known.items())
    query = select(ACTIONS.c.number, ACTIONS.c.details_json).where(ACTIONS.c.kind == IMPORT)
    for number, details in connection.execute(query.order_by(ACTIONS.c.number)):
        for said in read_json(details, of=f"action {number}").get("promises", []):
            with coded_damage(f"action {number}"):
                ranges, promise = ranges_in(said["ranges"]), float(said["promise"])
                of = known[said["candidate"]]
                found.append(
                    (said["candidate"], of._replace(campaign=said["campaign"], promise=promise, ranges=ranges))
                )
    return found


@contextmanager
def coded_damage(of: str) -> Iterator[None]:
    """Tell content of another kind than was written by the code of damaged records."""
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise damaged_records(of) from error


def written_ranges(ranges: Ranges) -> dict[str, list[float | None]]:
    """Ranges as JSON can hold them.

    >>> written_ranges({"band_gap": (3.0, math.inf)})
    {'band_gap': [3.0, None]}
    """
    return {name: [end if math.isfinite(end) else None for end in ends] for name, ends in ranges.items()}


def read_ranges(said: Mapping[str, Any], *, of: str) -> Ranges:
    """The ranges that an action keeps; none where it keeps none.

    Args:
        said: Its details.
        of: What they belong to, in words.

    Raises:
        DamagedFileError: If they cannot be read.
    """
    with coded_damage(of):
        return ranges_in(said.get("ranges", {}))


def ranges_in(written: Mapping[str, tuple[float | None, float | None]]) -> Ranges:
    """Ranges as :func:`written_ranges` gives them.

    >>> ranges_in({"band_gap": (3.0, None)})
    {'band_gap': (3.0, inf)}
    """
    return {
        name: (-math.inf if low is None else float(low), math.inf if high is None else float(high))
        for name, (low, high) in written.items()
    }


def _written(one: KnownCandidate) -> dict[str, Any]:
    """What is kept of the predictions and the promise of a candidate."""
    values = {**one.predictions, _PROMISE: one.promise}
    written: dict[str, Any] = {key: value for key, value in values.items() if math.isfinite(value)}
    written |= {_CAMPAIGN: one.campaign} if one.campaign else {}
    named = {_RANGES: one.ranges, _INTERVALS: one.intervals}
    return written | {key: written_ranges(ranges) for key, ranges in named.items() if ranges}
