"""What every featurizer is, and feature sets: ordered featurizers with a fingerprint that models are tied to."""

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
        values: Shape (n, number of features); nan where a row was refused.
        codes: Row code of each candidate, empty where all features are there, shape (n,).
        details: What went wrong, by row, where more is known than the code says.
    """

    values: NDArray[np.float64]
    codes: NDArray[np.str_]
    details: Mapping[int, str] = {}  # never written to


@runtime_checkable
class Featurizer(Protocol):
    """A pure function from a batch to a block of columns.

    A featurizer derives from this class and thereby inherits :meth:`words`; one that writes its own is understood
    better.

    Attributes:
        name: Name in the registry.
        version: Raised whenever the numbers change.
        feature_names: Names of the columns, in order.
        needs: Names of the blocks a candidate must have, ``compositions`` or ``crystals``; one that lacks any of
            them gets a row code and is not handed to the featurizer.
        parameters: What else the numbers depend on; plain JSON values.
    """

    name: str
    version: str
    feature_names: tuple[str, ...]
    needs: frozenset[str]
    parameters: Mapping[str, Any]

    def featurize(self, batch: CandidateBatch) -> Features:
        """Features of each candidate; a row that cannot be computed is nan and has a row code."""
        ...

    def words(self, name: str) -> FeatureWords:
        """A feature in words of both languages; its own name, in one group with all others, where none are written.

        Args:
            name: One of ``feature_names``.
        """
        return unworded(name, self.name)


@dataclass(frozen=True)
class FeatureSet:
    """Several featurizers side by side.

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
        """Hash of names, versions, parameters and the elemental data; a model refuses features of another one."""
        content = [[f.name, f.version, dict(f.parameters), list(f.feature_names)] for f in self.featurizers]
        text = json.dumps([content, element_table().digest], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def featurize(self, batch: CandidateBatch) -> FeatureMatrix:
        """All features of a batch; the first row code met stands for a row.

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
    """Run one featurizer and hold it to its contract.

    Raises:
        BatchError: If the block has the wrong shape or type.

    Returns:
        The block; candidates without a crystal and rows with non-finite values carry a row code.
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
    """Row code of each candidate that lacks a block the featurizer needs, and empty for the others, shape (n,)."""
    codes = no_codes(len(batch))
    for name in sorted(featurizer.needs):
        code = CODES_OF_MISSING_BLOCKS.get(name, "E-FEATURE-BLOCK")
        codes = np.where(batch.has(name) | (codes != ""), codes, code)
    return codes


def _where_nothing_is_missing(featurizer: Featurizer, batch: CandidateBatch, codes: NDArray[np.str_]) -> Features:
    """Features of the candidates that have no code yet."""
    rows = np.flatnonzero(codes == "")
    values = np.full((len(batch), len(featurizer.feature_names)), np.nan)
    if len(rows) == 0:
        return Features(values, codes)
    part = featurize_checked(featurizer, batch.take(rows))
    values[rows], codes[rows] = part.values, part.codes
    return Features(values, codes, {int(rows[row]): detail for row, detail in part.details.items()})


def no_codes(count: int) -> NDArray[np.str_]:
    """Row codes of ``count`` rows that are all in order."""
    return np.full(count, "", dtype="<U32")
