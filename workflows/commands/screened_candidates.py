"""What runs know of the candidates that a result sheet is about: formulas, predictions, structures, own properties."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matloop.data.properties.catalogue import Catalogue, catalogue
from matloop.data.properties.columns import Column, Suffix, property_column
from matloop.data.records.ledger import KnownCandidate, ranges_in
from matloop.data.records.own_properties import require_unit
from matloop.screening.runs.run_view import RunView


def candidates_of_runs(runs: Iterable[Path]) -> dict[str, KnownCandidate]:
    """Ranked candidates of runs with their predictions, and the structures of those that were shortlisted.

    Raises:
        RunError: If a folder is no finished run.
    """
    found: dict[str, KnownCandidate] = {}
    for folder in runs:
        view = RunView(folder)
        view.require_finished()
        ids, formulas = (list(map(str, view.ranked.column(name))) for name in (Column.CANDIDATE_ID, Column.FORMULA))
        places = np.asarray(view.ranked.column(Column.SHORTLISTED), int)
        predicted, low, high = (_predicted(view, suffix) for suffix in ("pred", "lo", "hi"))
        promises = np.asarray(view.ranked.column(Column.PROBABILITY), float)
        cifs, ranges = {place: text for place, (_, text) in view.cifs.items()}, ranges_in(view.ranges)
        for at, (name, formula) in enumerate(zip(ids, formulas, strict=True)):
            predictions = {key: float(values[at]) for key, values in predicted.items()}
            cif = cifs.get(int(places[at]), "") if places[at] else ""
            intervals = {
                key: (float(low[key][at]), float(high[key][at])) for key in predicted if np.isfinite(low[key][at])
            }
            known = KnownCandidate(
                formula, view.folder.name, predictions, cif, float(promises[at]), view.campaign.name, ranges, intervals
            )  # fmt: skip
            found[name] = found[name].beside(known) if name in found else known
    return found


def _predicted(view: RunView, suffix: Suffix) -> dict[str, NDArray[np.float64]]:
    """A column of each property; an end of an interval that is missing beside the other is infinite."""
    columns = {
        name: np.asarray(view.ranked.column(property_column(name, suffix)), float) for name in view.properties
    }  # fmt: skip
    if suffix == "hi":
        return {name: np.where(np.isnan(values), np.inf, values) for name, values in columns.items()}
    return columns


def catalogue_of_runs(runs: Iterable[Path]) -> Catalogue:
    """The catalogue in use, with the properties that the campaigns of runs define for themselves.

    Raises:
        PropertyError: If two of them have different units for one name.
    """
    own = {known.name: known for known in catalogue().own}
    for folder in runs:
        for written in RunView(folder).campaign.properties:
            known = written.definition()
            require_unit(own.setdefault(known.name, known), known, of="other runs")
    return Catalogue(tuple(own.values()))
