"""Choose the next batch from a finished run: score the pool, keep what the laboratory can make, choose, explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.element_facts.composition_scores import price_per_kilogram
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.errors import ProposalError
from matloop.data.records.contents import values_table
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.ledger import KnownCandidate, Ranges
from matloop.data.records.proposals import ProposedCandidate
from matloop.models.acquisition.batch import Choice, choose_batch, strategy_named
from matloop.models.acquisition.hypervolume import pareto_front
from matloop.models.surrogates.kept_promises import AS_STATED, PromiseCorrection
from matloop.models.surrogates.prediction import forward
from matloop.screening.filters.element_scores import own_facts_of
from matloop.screening.runs.run_view import RunView, in_catalogue_of_run
from matloop.workflows.proposing.laboratory import FeasibleRoute, Laboratory, feasible_route, shared_temperature
from matloop.workflows.proposing.models_in_use import ModelsInUse
from matloop.workflows.proposing.outcomes import OutcomeFactor
from matloop.workflows.proposing.pool_chances import proposable_parts
from matloop.workflows.proposing.predicted import WantedTarget, wanted_targets
from matloop.workflows.proposing.promises import tried_candidates, wanted_conditions
from matloop.workflows.proposing.scored_pool import (
    Finalists,
    PoolCounts,
    batch_of,
    best_finalists,
)
from matloop.workflows.proposing.shared_errors import with_shared_errors

BATCH, EXPLORED, STRATEGY = 8, 0.25, "probability"
FINALISTS = 1000
"""Candidates of the pool whose joint errors are computed."""
FEWEST_FINALISTS = 20
"""Finalists for each place of a batch where more are needed."""


class Wish(NamedTuple):
    """What is asked of a batch.

    Attributes:
        size: Number of candidates.
        strategy: Name of the strategy.
        explored: Share of the batch that explores.
        seed: Of draws.
    """

    size: int = BATCH
    strategy: str = STRATEGY
    explored: float = EXPLORED
    seed: int = 0


class ChosenCandidate(NamedTuple):
    """A candidate of a batch.

    Attributes:
        candidate_id: Its id.
        formula: Its formula.
        choice: Why it was chosen.
        probability: Of meeting all targets, no larger than evidence supports; nan where it is not known.
        corrected: The same as results of earlier candidates support it.
        predictions: By property: predicted value and ends of the 90 % interval, in the unit of the property; the upper
            end is infinite where nothing bounds the interval.
        price: Of the elements of a kilogram in US dollars; nan where it is not known.
        precursors: Of the simplest route within the limits of the laboratory; none where no route was asked for.
        outcome_factor: By what outcomes of making multiplied the probability.
    """

    candidate_id: str
    formula: str
    choice: Choice
    probability: float
    corrected: float
    predictions: Mapping[str, tuple[float, float, float]]
    price: float
    precursors: tuple[str, ...]
    outcome_factor: float = 1.0


@dataclass(frozen=True)
class Proposal:
    """A batch.

    Attributes:
        run: Name of the run directory.
        campaign: Name of the campaign.
        wish: What was asked.
        laboratory: Limits of the laboratory.
        chosen: The candidates, in the order of their choice.
        batch: The same as a batch.
        counts: How many candidates the pool has.
        best: Smallest margin of the best measured candidate; 0 where none meets all targets.
        measured: Candidates with a measured value of every target.
        temperature: Furnace temperature for all, in degrees Celsius; None where none was asked for.
        action: Id of the action in the records; empty where nothing was written.
        retrained: Properties whose model learned from records since the run.
        correction: What results say of promises.
        ranges: Wanted range of each target, in the unit of the property.
        outdated: Properties whose model in use learned from values that were corrected or retracted since.
    """

    run: str
    campaign: str
    wish: Wish
    laboratory: Laboratory
    chosen: tuple[ChosenCandidate, ...]
    batch: CandidateBatch
    counts: PoolCounts
    best: float
    measured: int
    temperature: float | None
    action: str = ""
    retrained: tuple[str, ...] = ()
    correction: PromiseCorrection = AS_STATED
    ranges: Ranges = field(default_factory=dict)
    outdated: tuple[str, ...] = ()


@in_catalogue_of_run
def choose_proposal(
    view: RunView, wish: Wish, laboratory: Laboratory, database: RecordsDatabase | None, *,
    models: Path = Path("records.models"),
) -> Proposal:  # fmt: skip
    """Choose a batch from the candidates that a run has scored.

    Args:
        view: A finished run.
        wish: What is asked.
        laboratory: Limits of the laboratory.
        database: The records: what is measured or pending is left out. None for no records.
        models: Folder of the models that ``matloop retrain`` made; those in use judge the pool again.

    Raises:
        RunError: If the run is not finished, or kept no scored candidates.
        ProposalError: If no candidate is left, or the wish cannot be met.
        UnknownNameError: For an unknown strategy.
    """
    strategy = strategy_named(wish.strategy)
    if wish.size < 1 or not 0 <= wish.explored <= 1:
        raise ProposalError(
            f"a batch of {wish.size} with a share of {wish.explored:g} explored", "1 or more, and a share of 0 to 1"
        )
    view.require_finished()
    margins = _measured_margins(view, database)
    best = max(0.0, float(margins.min(axis=1).max())) if len(margins) else 0.0
    counts, in_use = PoolCounts(), ModelsInUse.of(view, database, models)
    parts = proposable_parts(view, database, in_use, laboratory, counts)
    finalists = best_finalists(
        parts, strategy, best=best, front=pareto_front(margins), explores=wish.explored > 0,
        count=max(FINALISTS, FEWEST_FINALISTS * wish.size),
    )  # fmt: skip
    if finalists is None:
        raise _nothing_left(counts)
    finalists = finalists.take(_best_of_each_formula(finalists, strategy.value(finalists.prospects)))
    feasible = _feasible(finalists, strategy.value(finalists.prospects), laboratory, wish, counts)
    finalists = finalists.take(feasible.rows)
    batch = batch_of(view, finalists)
    outcomes = OutcomeFactor.of(view, database)
    factor = outcomes.of_candidates(batch.ids, batch.compositions)
    finalists = _with_outcomes(finalists, factor)
    prospects = with_shared_errors(view, finalists.prospects, batch, in_use)
    choices = choose_batch(prospects, strategy, wish.size, explored=wish.explored, seed=wish.seed)
    rows = np.array([choice.row for choice in choices], np.int64)
    batch, finalists = batch.take(rows), finalists.take(rows)
    correction = AS_STATED
    if database is not None:
        tried = tried_candidates(
            database, in_use.ranges, campaign=view.campaign.name, at=wanted_conditions(view.campaign)
        )
        correction = tried.correction(outcomes)
    promises = np.column_stack([finalists.stated, correction.corrected(finalists.stated), factor[rows]])
    routes = [route.precursors if (route := feasible.routes[row]) else () for row in rows.tolist()]
    return Proposal(
        view.folder.name, view.campaign.name, wish, laboratory,
        _described(view, finalists, batch, choices, routes, promises), batch, counts, best, len(margins),
        feasible.temperature, retrained=tuple(in_use.models), correction=correction,
        ranges=in_use.ranges,
    )  # fmt: skip


def _with_outcomes(finalists: Finalists, factor: NDArray[np.float64]) -> Finalists:
    """The finalists with all probabilities of meeting all targets multiplied by a factor each, up to certainty."""
    known = finalists.prospects.probability
    prospects = replace(finalists.prospects, probability=None if known is None else np.minimum(known * factor, 1.0))
    return finalists._replace(prospects=prospects, stated=np.minimum(finalists.stated * factor, 1.0))


def _best_of_each_formula(finalists: Finalists, merits: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places of the best candidate of each formula: who makes a compound does not choose among its crystals."""
    order = np.lexsort((finalists.prospects.ids, -np.nan_to_num(merits, nan=-np.inf)))
    return order[np.sort(np.unique(finalists.formulas[order], return_index=True)[1])]


class _Feasible(NamedTuple):
    """Finalists that a laboratory can make, the routes to them, and the furnace temperature."""

    rows: NDArray[np.int64]
    routes: Sequence[FeasibleRoute | None]
    temperature: float | None


def _feasible(
    finalists: Finalists, merits: NDArray[np.float64], laboratory: Laboratory, wish: Wish, counts: PoolCounts
) -> _Feasible:
    """Look for routes to the best finalists, until there are enough that have one."""
    if not laboratory.asks_for_routes:
        return _Feasible(np.arange(len(merits)), [None] * len(merits), None)
    order = np.lexsort((finalists.prospects.ids, -np.nan_to_num(merits, nan=-np.inf)))
    rows, routes = list[int](), list[FeasibleRoute]()
    for row in order.tolist():
        route, limit = feasible_route(laboratory, str(finalists.formulas[row]))
        if route is None:
            counts.left_out[limit] += 1
            continue
        rows.append(row)
        routes.append(route)
        if len(rows) >= FEWEST_FINALISTS * wish.size:
            break
    if not rows:
        raise _nothing_left(counts)
    chosen = np.array(rows, np.int64)
    if not laboratory.same_furnace:
        return _Feasible(chosen, routes, None)
    onsets = [route.onset for route in routes if route.onset is not None]
    worth = merits[chosen] - min(0.0, float(np.nanmin(merits[chosen])))
    shared = shared_temperature(onsets, np.nan_to_num(worth), wish.size, hottest=laboratory.hottest_furnace)
    counts.left_out["furnace"] += len(chosen) - len(shared.rows)
    return _Feasible(chosen[shared.rows], [routes[at] for at in shared.rows.tolist()], shared.temperature)


def _nothing_left(counts: PoolCounts) -> ProposalError:
    reasons = ", ".join(f"{reason} {number:,}" for reason, number in counts.left_out.most_common() if number)
    return ProposalError(
        f"no candidate of {counts.scored:,} may be proposed (left out: {reasons or 'none'})", "at least one",
        "loosen the limits of the laboratory, or screen more candidates",
    )  # fmt: skip


def _measured_margins(view: RunView, database: RecordsDatabase | None) -> NDArray[np.float64]:
    """Margins of candidates of which every target was measured, shape (f, t)."""
    targets = wanted_targets(view)
    if database is None:
        return np.empty((0, len(targets)))
    table = values_table(database, [target.name for target in targets])
    found: dict[str, dict[str, list[float]]] = {}
    for row in table.select(["candidate_id", "property", "value", "relation"]).to_pylist():
        if row["relation"] == "=":
            found.setdefault(row["candidate_id"], {}).setdefault(row["property"], []).append(row["value"])
    complete = [values for values in found.values() if len(values) == len(targets)]
    margins = [
        [_margin(target, float(np.mean(values[target.name]))) for target in targets] for values in complete
    ]  # fmt: skip
    return np.array(margins).reshape(-1, len(targets))


def _margin(target: WantedTarget, value: float) -> float:
    scaled = forward(np.array([value]), "log10" if target.on_log_scale else "identity")[0]
    return float(min(scaled - target.lower, target.upper - scaled) / target.spread)


def _described(
    view: RunView, finalists: Finalists, batch: CandidateBatch, choices: Sequence[Choice],
    routes: Sequence[tuple[str, ...]], promises: NDArray[np.float64],
) -> tuple[ChosenCandidate, ...]:  # fmt: skip
    prices = price_per_kilogram(batch.compositions, ElementFacts(own=own_facts_of(view.campaign))).values
    found = []
    for at, choice in enumerate(choices):
        predictions = {
            name: tuple(shown) for name, shown in zip(view.properties, finalists.shown[at].tolist(), strict=True)
        }
        stated, corrected, factor = promises[at].tolist()
        found.append(
            ChosenCandidate(
                batch.ids[at],
                batch.formulas[at],
                choice,
                stated,
                corrected,
                predictions,
                float(prices[at]),
                routes[at],
                factor,
            )
        )
    return tuple(found)


def as_records(proposal: Proposal) -> list[ProposedCandidate]:
    """The candidates of a batch as records hold them, with their crystals."""
    found = []
    for place, one in enumerate(proposal.chosen):
        kind = proposal.batch.kinds[place]
        cif = kind.export(proposal.batch, place, facts={}) if kind.file_ending == "cif" else ""
        predictions = {name: mean for name, (mean, _, _) in one.predictions.items()}
        intervals = {name: (low, high) for name, (_, low, high) in one.predictions.items() if np.isfinite(low)}
        known = KnownCandidate(one.formula, proposal.run, predictions, cif, intervals=intervals)
        found.append(ProposedCandidate(one.candidate_id, known, why_of(one)))
    return found


def why_of(one: ChosenCandidate) -> dict[str, Any]:
    """Why a candidate was chosen and what is said of it, as plain JSON values."""
    choice = one.choice
    return {
        "purpose": choice.purpose, "value": choice.value, "alone": choice.alone, "rank_alone": choice.rank_alone,
        "nearest": choice.nearest + 1, "correlation": choice.correlation,
        "probability": _finite(one.probability), "corrected": _finite(one.corrected),
        "outcome_factor": one.outcome_factor, "precursors": list(one.precursors),
        "price_usd_per_kilogram": _finite(one.price),
        "predictions": {
            name: dict(zip(("value", "lo", "hi"), map(_finite, shown), strict=True))
            for name, shown in one.predictions.items()
        },
    }  # fmt: skip


def _finite(value: float) -> float | None:
    """A number for JSON, which has neither nan nor infinity."""
    return value if np.isfinite(value) else None
