"""A check of the contract of a filter, for authors of new filters."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import Reason
from matloop.data.contract_checks import Clauses, content_of, sample_crystals
from matloop.data.label import Label
from matloop.data.properties.columns import Column
from matloop.data.training.known_materials import KnownMaterials
from matloop.screening.filters.contract import Filter, Verdict


def validate_filter(make: Callable[[], Filter], *, batch: CandidateBatch | None = None) -> None:
    """Check that a filter keeps its contract.

    Checked: the parts of the contract are there, shapes and types of verdicts, a reason with a stable code for each
    candidate that goes and for no other, the same verdict for a candidate again, in another order, in batches of
    another size and in another process, the batch is left as it was, and title, reasons and margins have words in both
    languages.

    Args:
        make: Makes the filter; called twice.
        batch: Candidates to try it with, of which some had better stay and some go; nine crystals with the structure of
            rock salt, every other one known, where left out.

    Raises:
        ContractError: If a clause is broken; the message names the first.

    >>> from matloop.screening.filters.elements import ExcludeElements
    >>> validate_filter(lambda: ExcludeElements(["Cl", "Pb"]))
    """
    filter_ = make()
    clauses = Clauses(f"filter {getattr(filter_, 'name', filter_)!r}", "matloop.screening.filters.contract.Filter")
    batch = _sample() if batch is None else batch
    clauses.require(isinstance(filter_, Filter), "parts of the contract are missing")
    clauses.require(bool(filter_.name), "its name is no text")
    _check_words(filter_.title(), "its title", clauses)
    for code, words in filter_.reason_words.items():
        _check_words(words, f"the reason {code}", clauses)
    before = content_of(batch)
    whole = filter_.judge(batch)
    clauses.require(content_of(batch) == before, "it changes the batch it is handed")
    _check_verdict(filter_, whole, len(batch), clauses)
    _check_verdict(filter_, filter_.judge(batch.take([])), 0, clauses)
    _check_independence(filter_, make, batch, clauses)
    clauses.require(_same(clauses.copied(filter_).judge(batch), whole), "a copy in another process judges differently")
    known = known_without_labels(batch)
    for row in np.flatnonzero(whole.keep).tolist():
        _check_words(filter_.margin(batch.take([row]), known=known), "a margin", clauses)


def known_without_labels(batch: CandidateBatch) -> KnownMaterials:
    """Candidates as known materials of which no property and no space group is known."""
    rows = batch.with_columns({Column.SPACE_GROUP_NUMBER: pa.nulls(len(batch), pa.int64())})
    return KnownMaterials(rows, batch.ids, {"energy_above_hull": np.full(len(batch), np.nan)})


def _sample() -> CandidateBatch:
    crystals = sample_crystals()
    known = np.arange(len(crystals)) % 2 == 0
    return crystals.with_columns({Column.KNOWN: known, Column.KNOWN_TO: np.where(known, "oqmd", "").tolist()})


def _check_words(words: Label, what: str, clauses: Clauses) -> None:
    clauses.require(all(text.strip() for text in words), f"{what} lacks words in a language")


def _check_verdict(filter_: Filter, verdict: Verdict, count: int, clauses: Clauses) -> None:
    keep, reasons = verdict
    clauses.require(keep.shape == (count,), f"keep of {count} candidates has shape {keep.shape}, not ({count},)")
    clauses.require(keep.dtype == np.bool_, f"keep is {keep.dtype}, not bool")
    clauses.require(reasons.shape == (count,), f"reasons of {count} candidates have shape {reasons.shape}")
    for stays, reason in zip(keep.tolist(), reasons.tolist(), strict=True):
        clauses.require(stays == (reason is None), "a candidate has a reason exactly if it goes")
        if reason is not None:
            _check_reason(filter_, reason, clauses)


def _check_reason(filter_: Filter, reason: Reason, clauses: Clauses) -> None:
    clauses.require(isinstance(reason, Reason), f"a reason is {type(reason).__name__}, not Reason")
    clauses.require(bool(re.fullmatch(r"R(-[A-Z0-9]+)+", reason.code)), f"{reason.code!r} is no code such as R-MY-OWN")
    clauses.require(reason.source == filter_.name, f"the source of a reason is {reason.source!r}, not its name")
    clauses.require(reason.code in filter_.reason_words, f"the reason {reason.code} has no words")
    for words in filter_.reason_words[reason.code]:
        try:
            words.format(value="1", limit="2")
        except (KeyError, IndexError, ValueError) as error:
            told = f"words of {reason.code} have another field than value and limit: {error}"
            clauses.require(held=False, clause=told)


def _check_independence(
    filter_: Filter, make: Callable[[], Filter], batch: CandidateBatch, clauses: Clauses
) -> None:  # fmt: skip
    """What is said of a candidate depends on that candidate alone."""
    whole = filter_.judge(batch)
    clauses.require(_same(filter_.judge(batch), whole), "the same candidates are judged differently the second time")
    clauses.require(_same(make().judge(batch), whole), "another one of its kind judges differently")
    order = np.random.default_rng(0).permutation(len(batch))
    turned = filter_.judge(batch.take(order))
    clauses.require(_same(turned, _rows(whole, order)), "verdicts depend on the order of the candidates")
    for size in (1, max(len(batch) // 2, 1)):
        parts = [filter_.judge(part) for part in batch.slices(size)]
        joined = Verdict(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
        clauses.require(_same(joined, whole), "verdicts depend on what else is in the batch")


def _rows(verdict: Verdict, rows: NDArray[np.int64]) -> Verdict:
    return Verdict(verdict.keep[rows], verdict.reasons[rows])


def _same(one: Verdict, other: Verdict) -> bool:
    return one.keep.tolist() == other.keep.tolist() and one.reasons.tolist() == other.reasons.tolist()
