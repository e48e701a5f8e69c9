"""The interface of every featurizer, and feature sets: ordered featurizers with a fingerprint that models check."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.elements import element_table
from matloop.data.errors import BatchError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.feature_words import FeatureWords, unworded

CODES_OF_MISSING_BLOCKS = {CRYSTALS: "E-FEATURE-CRYSTAL"}
"""Row code of a candidate that lacks a block; ``E-FEATURE-BLOCK`` for any other block."""


class Features(NamedTuple):
    """Features of n candidates.

    Attributes:
        values: Shape (n, number of features); nan in a refused row.
        codes: Row code of each candidate, empty if all its features were computed, shape (n,).
        details: Details about the codes of some rows, by row.
    """

    values: NDArray[np.float64]
    codes: NDArray[np.str_]
    details: Mapping[int, str] = {}  # never changed


@runtime_checkable
class Featurizer(Protocol):
    """A pure function from a batch to a block of columns.

    A featurizer derives from this class and inherits :meth:`words`. It may define words of its own, which explain its
    features better.

    Attributes:
        name: Name in the registry.
        version: Version, which must change whenever the numbers change.
        feature_names: Names of the columns, in order.
        needs: Names of the blocks that a candidate must have, ``compositions`` or ``crystals``. A candidate without one
            of them gets a row code and does not reach the featurizer.
        parameters: Everything else that the numbers depend on, as plain JSON values.
    """

    name: str
    version: str
    feature_names: tuple[str, ...]
    needs: frozenset[str]
    parameters: Mapping[str, Any]

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate. A row that cannot be computed is nan and has a row code."""
        ...

    def words(self, name: str) -> FeatureWords:
        """Describe a feature in both languages. By default this is its name, in one group with all others.

        Args:
            name: One of ``feature_names``.
        """
        return unworded(name, self.name)


@dataclass(frozen=True)
class FeatureSet:
    """Several featurizers whose columns are joined.

    Attributes:
        featurizers: In column order.
    """

    featurizers: tuple[Featurizer, ...]

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(name for featurizer in self.featurizers for name in featurizer.feature_names)

    @cached_property
    def words(self) -> tuple[FeatureWords, ...]:
        """Words of all columns."""
        return tuple(featurizer.words(name) for featurizer in self.featurizers for name in featurizer.feature_names)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of names, versions, parameters and elemental data. A model refuses features with another fingerprint."""
        content = [[f.name, f.version, dict(f.parameters), list(f.feature_names)] for f in self.featurizers]
        text = json.dumps([content, element_table().digest], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def featurize(self, batch: CandidateBatch) -> FeatureMatrix:
        """Compute all features of a batch. A row keeps the first row code that it gets.

        Returns:
            Values of shape (n, len(feature_names)). A row with any non-finite value has a code.
        """
        blocks = [featurize_checked(featurizer, batch) for featurizer in self.featurizers]
        codes = no_codes(len(batch))
        details: dict[int, str] = {}
        for block in blocks:
            codes = np.where(codes == "", block.codes, codes)
            details = {**block.details, **details}
        return FeatureMatrix(
            np.hstack([block.values for block in blocks]),
            self.feature_names,
            self.fingerprint,
            batch.compositions.element_mask(),
            codes,
            details,
        )


def featurize_checked(featurizer: Featurizer, batch: CandidateBatch) -> Features:
    """Run one featurizer and check its result.

    Raises:
        BatchError: If the block has the wrong shape or type.

    Returns:
        The features. Candidates that lack a needed block and rows with non-finite values have a row code.
    """
    width = len(featurizer.feature_names)
    missing = _missing_blocks(featurizer, batch)
    if (missing != "").any():
        return _where_nothing_is_missing(featurizer, batch, missing)
    values, codes, details = featurizer.featurize(batch)
    if values.shape != (len(batch), width) or values.dtype != np.float64 or codes.shape != (len(batch),):
        raise BatchError(
            f"featurizer '{featurizer.name}' gave values {values.dtype}{values.shape} and codes {codes.shape}",
            f"float64({len(batch)}, {width}) and ({len(batch)},)",
        )
    non_finite = ~np.isfinite(values).all(axis=1)
    return Features(values, np.where(non_finite & (codes == ""), "E-FEATURE-NONFINITE", codes), details)


def _missing_blocks(featurizer: Featurizer, batch: CandidateBatch) -> NDArray[np.str_]:
    """Return a row code for each candidate that lacks a needed block, and an empty text for the others, shape (n,)."""
    codes = no_codes(len(batch))
    for name in sorted(featurizer.needs):
        code = CODES_OF_MISSING_BLOCKS.get(name, "E-FEATURE-BLOCK")
        codes = np.where(batch.has(name) | (codes != ""), codes, code)
    return codes


def _where_nothing_is_missing(featurizer: Featurizer, batch: CandidateBatch, codes: NDArray[np.str_]) -> Features:
    """Compute the features of the candidates that have no code yet."""
    rows = np.flatnonzero(codes == "")
    values = np.full((len(batch), len(featurizer.feature_names)), np.nan)
    if len(rows) == 0:
        return Features(values, codes)
    part = featurize_checked(featurizer, batch.take(rows))
    values[rows], codes[rows] = part.values, part.codes
    return Features(values, codes, {int(rows[row]): detail for row, detail in part.details.items()})


def no_codes(count: int) -> NDArray[np.str_]:
    """Return empty row codes for ``count`` sound rows."""
    return np.full(count, "", dtype="<U32")
