"""How predictions of a property held on results that the model in use before them had not seen.

One result a material counts: the mean of its replicates, under the conditions that were measured first. Replicates and
series of conditions share the error of the model, so that they say nothing new of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.own_labels.label_account import ReadLabels
from matloop.data.properties.catalogue import using
from matloop.data.properties.columns import Column
from matloop.data.records.contents import first_values, values_table
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.record_labels import RecordLabels
from matloop.models.surrogates.prediction import Prediction
from matloop.models.surrogates.real_results import Coverage, Drift, coverage_of, drift_of
from matloop.workflows.looping.champions import Champion, ModelDecision, read_champion
from matloop.workflows.modelling.trained_model import TrainedModel


class OnResults(NamedTuple):
    """How predictions of a property held on results that the model in use had not seen.

    Attributes:
        coverage: Of 90 % intervals.
        drift: Whether results came out other than predicted.
    """

    coverage: Coverage
    drift: Drift


class ModelsOverTime:
    """The models of a property that were in use, one after the other.

    Args:
        decisions: About the property, the oldest first.
        models: Folder of the models.
    """

    def __init__(self, decisions: Sequence[ModelDecision], models: Path) -> None:
        self._decisions = [one for one in decisions if one.champion is not None or one.reason == "taken_back"]
        self._models = models
        self._read: dict[Champion, TrainedModel] = {}

    def first(self) -> TrainedModel | None:
        """The first of them; None before any decision."""
        return None if not self._decisions else self.read(self._decisions[0].champion)

    def before(self, action: int) -> Champion | None:
        """The model that was in use when an action was taken; the first one, if that came later and has not seen it."""
        earlier = [one.champion for one in self._decisions if one.number < action]
        first = self._decisions[0].champion if self._decisions else None
        return earlier[-1] if earlier else first if first is not None and first.until < action else None

    def read(self, champion: Champion | None) -> TrainedModel | None:
        """Read a model, once."""
        if champion is None:
            return None
        if champion not in self._read:
            self._read[champion] = read_champion(champion, self._models)
        return self._read[champion]


class Results(NamedTuple):
    """One result of each of n materials, in the order in which their first values came.

    Attributes:
        rows: Row of each material, shape (n,).
        values: Mean of its replicates, shape (n,).
        conditions: Conditions under which they were measured, shape (n, c).
        action: Number of the action that brought the first value, which may be corrected since, shape (n,).
    """

    rows: NDArray[np.int64]
    values: NDArray[np.float64]
    conditions: NDArray[np.float64]
    action: NDArray[np.int64]


def results_by_material(read: ReadLabels, database: RecordsDatabase, name: str) -> Results:
    """The results of a property, one a material.

    Args:
        read: What the records teach of the property.
        database: The records.
        name: Of the property.
    """
    taught = [row for row in read.rows if not row.code]
    table, first = values_table(database, [name]), first_values(database, name)
    candidates = dict(zip(table["measurement_id"].to_pylist(), table[Column.CANDIDATE_ID].to_pylist(), strict=True))
    came = [first[candidates[row.place.rsplit(" ", 1)[-1]]] for row in taught]
    of_material = defaultdict[str, list[int]](list)
    for row in np.argsort(came, kind="stable").tolist():
        of_material[read.materials.ids[row]].append(row)
    replicates = [
        [row for row in rows if taught[row].conditions == taught[rows[0]].conditions] for rows in of_material.values()
    ]
    firsts = [rows[0] for rows in replicates]
    return Results(
        np.array(firsts, np.int64),
        np.array([np.mean([taught[row].cell.value for row in rows]) for rows in replicates]),
        np.array([taught[row].conditions for row in firsts], float).reshape(len(firsts), len(read.conditions)),
        np.array([came[row] for row in firsts], np.int64),
    )  # fmt: skip


def unseen_by_model(
    results: Results, formulas: NDArray[np.int64], models: ModelsOverTime
) -> dict[Champion, list[int]]:  # fmt: skip
    """Places of results by the model that was in use before them and has seen no result of their formula.

    Args:
        results: One of each material.
        formulas: Number of the formula of each, which other crystals may have too, shape (n,).
        models: The models of the property.
    """
    first = {int(formula): int(results.action[formulas == formula].min()) for formula in np.unique(formulas)}
    found = defaultdict[Champion, list[int]](list)
    for at, (action, formula) in enumerate(zip(results.action.tolist(), formulas.tolist(), strict=True)):
        champion = models.before(action)
        if champion is not None and champion.until < first[formula]:
            found[champion].append(at)
    return found


def place_in(prediction: Prediction, value: float) -> float:
    """Where a result lies in the distribution predicted for one candidate, from 0 at its lower end to 1 at its upper.

    A value on a physical bound, such as a band gap of zero, may have a probability of its own. It lies in the middle of
    that, as the mean of a uniform draw. Bets against predictions are convex functions of this place, so that no bet
    gains by it where predictions are right (Jensen's inequality).

    Args:
        prediction: Of one candidate.
        value: The result, in the unit of the property.
    """
    at_most = float(prediction.probability_between(-np.inf, value)[0])
    return (at_most + float(prediction.probability_between(-np.inf, float(np.nextafter(value, -np.inf)))[0])) / 2


def on_results_of(
    database: RecordsDatabase, name: str, models: ModelsOverTime, *, place: str | None, laboratory: str
) -> OnResults | None:
    """Compare results with what the models in use before them had predicted; None where there are none.

    Args:
        database: The records.
        name: Of the property.
        models: Its models.
        place: Where the records are.
        laboratory: Whose results; those of all laboratories if empty.
    """
    read = RecordLabels(place or "", property=name, laboratory=laboratory, source="exp").read_rows()
    results = results_by_material(read, database, name)
    rows_of = unseen_by_model(results, read.materials.groups()[results.rows], models)
    inside, below = np.zeros(len(results.rows), bool), np.full(len(results.rows), np.nan)
    stated = [one.condition.name for one in read.conditions]
    for champion, rows in rows_of.items():
        model = models.read(champion)
        assert model is not None
        learned = {one.condition.name for one in model.surrogate.conditions if one.is_feature}
        conditions = {
            condition: results.conditions[rows, at] for at, condition in enumerate(stated) if condition in learned
        }
        values = results.values[rows]
        with using(model.catalogue):
            materials = read.materials.take(results.rows[rows])
            alone = model.surrogate.predict(model.features.featurize(materials), conditions=conditions)
            prediction = model.with_insulators(alone, materials)
            low, high = prediction.interval(0.9)
            inside[rows] = (low <= values) & (values <= high)
            if prediction.met is None:
                below[rows] = [place_in(prediction.take(np.array([at])), value) for at, value in enumerate(values)]
    judged = np.isfinite(below)
    coverage = coverage_of(inside[judged])
    return None if coverage is None else OnResults(coverage, drift_of(below[judged]))
