"""Check that a featurizer keeps its contract. Authors of new featurizers can run the check."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import COMPOSITIONS, CRYSTALS
from matloop.data.contract_checks import Clauses, content_of, sample_crystals
from matloop.data.errors import ROW_CODES, BatchError
from matloop.featurizers.base import Features, Featurizer


def validate_featurizer(make: Callable[[], Featurizer], *, batch: CandidateBatch | None = None) -> None:
    """Hold a featurizer to its contract.

    Checked: the parts of the contract are there, shapes and types, a row with a number that is not finite has a known
    row code, the same candidates get the same numbers (again, in another order, in batches of another size, in another
    process), the batch is left as it was, no block is used but those it says it needs, and every feature has words in
    both languages.

    Args:
        make: Makes the featurizer; called twice.
        batch: Candidates to try it with, four or more; nine crystals with the structure of rock salt where left out.

    Raises:
        ContractError: Naming the first clause that is broken.

    >>> from matloop.featurizers.composition import Magpie
    >>> validate_featurizer(Magpie)
    """
    featurizer = make()
    clauses = Clauses(f"featurizer {getattr(featurizer, 'name', featurizer)!r}", "matloop.featurizers.base.Featurizer")
    batch = sample_crystals() if batch is None else batch
    clauses.require(len(batch) >= 4, "it is tried with fewer than four candidates")
    _check_parts(featurizer, clauses)
    before = content_of(batch)
    whole = featurizer.featurize(batch)
    clauses.require(content_of(batch) == before, "it changes the batch it is handed")
    _check_features(featurizer, whole, len(batch), clauses)
    _check_independence(featurizer, make, batch, clauses)
    copy = clauses.copied(featurizer)
    clauses.require(_same(copy.featurize(batch), whole), "a copy in another process gives other features")
    _check_features(featurizer, featurizer.featurize(batch.take([])), 0, clauses)
    given = featurizer.needs | {COMPOSITIONS} if CRYSTALS in featurizer.needs else featurizer.needs
    needed = {name: block for name, block in batch.blocks.items() if name in given}  # a crystal has a composition
    if len(needed) < len(batch.blocks):
        features = _of_blocks(featurizer, CandidateBatch(batch.table, needed), clauses)
        clauses.require(_same(features, whole), "it uses a block of the batch and does not say so")


def _of_blocks(featurizer: Featurizer, batch: CandidateBatch, clauses: Clauses) -> Features:
    """Features from the needed blocks alone."""
    try:
        return featurizer.featurize(batch)
    except BatchError as error:
        clauses.require(held=False, clause=f"it uses a block of the batch and does not say so: {error.got}")
        raise


def _check_parts(featurizer: Featurizer, clauses: Clauses) -> None:
    clauses.require(isinstance(featurizer, Featurizer), "parts of the contract are missing")
    clauses.require(all(map(_is_text, (featurizer.name, featurizer.version))), "its name or version is no text")
    clauses.require(isinstance(featurizer.needs, frozenset), "needs is no frozenset of names of blocks")
    names = featurizer.feature_names
    clauses.require(
        _is_filled_tuple(names) and all(map(_is_text, names)),
        "feature_names is no tuple of texts",
    )
    clauses.require(len(set(names)) == len(names), "two features have one name")
    try:
        json.dumps(dict(featurizer.parameters), allow_nan=False)
    except (TypeError, ValueError) as error:
        clauses.require(held=False, clause=f"its parameters are no plain JSON values: {error}")
    for name in names:
        problem = featurizer.words(name).problem()
        clauses.require(not problem, f"words of the feature {name!r}: {problem}")


def _is_text(part: object) -> bool:
    return isinstance(part, str) and bool(part)


def _is_filled_tuple(part: object) -> bool:
    return isinstance(part, tuple) and bool(part)


def _check_features(featurizer: Featurizer, features: Features, count: int, clauses: Clauses) -> None:
    values, codes = np.asarray(features.values), np.asarray(features.codes)
    shape = (count, len(featurizer.feature_names))
    clauses.require(values.shape == shape, f"values of {count} candidates have shape {values.shape}, not {shape}")
    clauses.require(values.dtype == np.float64, f"values are {values.dtype}, not float64")
    clauses.require(codes.shape == (count,), f"codes of {count} candidates have shape {codes.shape}, not ({count},)")
    unknown = sorted(set(codes.tolist()) - {"", *ROW_CODES})
    clauses.require(not unknown, f"row codes that nobody knows: {', '.join(map(str, unknown))}")
    finite = np.isfinite(values).all(axis=1)
    clauses.require(bool((finite == (codes == "")).all()), "a row has a code exactly if a number in it is not finite")


def _check_independence(
    featurizer: Featurizer, make: Callable[[], Featurizer], batch: CandidateBatch, clauses: Clauses
) -> None:
    """What a candidate gets depends on that candidate alone."""
    whole = featurizer.featurize(batch)
    clauses.require(_same(featurizer.featurize(batch), whole), "the same candidates get other features the second time")
    clauses.require(_same(make().featurize(batch), whole), "another one of its kind gives other features")
    order = np.random.default_rng(0).permutation(len(batch))
    turned = featurizer.featurize(batch.take(order))
    clauses.require(_same(turned, _rows(whole, order)), "features depend on the order of the candidates")
    for size in (1, max(len(batch) // 2, 1)):
        parts = [featurizer.featurize(part) for part in batch.slices(size)]
        joined = Features(np.concatenate([p.values for p in parts]), np.concatenate([p.codes for p in parts]))
        clauses.require(_same(joined, whole), "features depend on what else is in the batch")


def _rows(features: Features, rows: np.ndarray) -> Features:
    return Features(features.values[rows], features.codes[rows])


def _same(one: Features, other: Features) -> bool:
    equal = np.array_equal(one.values, other.values, equal_nan=True)
    return equal and np.array_equal(one.codes, other.codes)
