"""Run a featurizer row by row under a time and a memory limit, in a process that can be killed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import ROW_CODES, FeaturizerError, GuardError, UnknownNameError
from matloop.data.feature_words import FeatureWords
from matloop.data.guard.guarded import Failure, GuardedWorker
from matloop.data.guard.messages import pack, unpack
from matloop.data.guard.shared_workers import shared_worker
from matloop.featurizers.base import Features, Featurizer, no_codes
from matloop.featurizers.guard.rows import batch_message

ANSWER = "matloop.featurizers.guard.rows:answer"
_FIRST_ROWS, _MOST_ROWS = 16, 1024
_MOST_VALUES = 2_000_000  # of one answer
_PART_SECONDS = 0.25  # intended time for one message, so that little is repeated when a row is lost
_CODES = {
    "E-GUARD-TIMEOUT": "E-FEATURE-TIMEOUT",
    "E-GUARD-MEMORY": "E-FEATURE-MEMORY",
    "E-GUARD-CRASH": "E-FEATURE-CRASH",
}


class GuardedFeaturizer(Featurizer):
    """Any registered featurizer, or one of another package, row by row in a process that can be killed.

    A row that raises an error gets the code ``E-FEATURE-FAILED``, one that takes too long ``E-FEATURE-TIMEOUT``, one
    that needs too much memory ``E-FEATURE-MEMORY``, and one that ends its process ``E-FEATURE-CRASH``. The other rows
    are not affected. The child receives composition and crystal of a row, but no other columns. All guarded featurizers
    of a process with the same limits share one child.

    Args:
        featurizer: Name in :data:`matloop.featurizers.registry.FEATURIZERS`, or of an entry point in
            ``matloop.featurizers``.
        options: Parameters of the featurizer as plain JSON values.
        seconds: Time limit of a row.
        megabytes: Memory limit of a row, beyond what the idle process holds.

    Raises:
        UnknownNameError: If there is no such featurizer.
        FeaturizerError: If it refuses its options, or the limits are not above zero.

    >>> guarded = GuardedFeaturizer("stoichiometry", seconds=10)
    >>> guarded.featurize(CandidateBatch.from_formulas(["NaCl"]).batch).values[0, 0]
    np.float64(2.0)
    """

    name = "guarded"

    def __init__(
        self,
        featurizer: str,
        *,
        options: Mapping[str, Any] | None = None,
        seconds: float = 30.0,
        megabytes: float = 2000.0,
    ) -> None:
        if not (seconds > 0 and megabytes > 0):
            raise FeaturizerError(f"limits of {seconds} seconds and {megabytes} megabytes", "numbers above zero")
        self.seconds, self.megabytes = float(seconds), float(megabytes)
        try:
            self._made_of = json.dumps([featurizer, dict(options or {})], sort_keys=True)
            known = unpack(self._worker().prepare(self._introduction())).values
        except (GuardError, TypeError) as error:
            got = error.got if isinstance(error, GuardError) else str(error)
            raise FeaturizerError(
                f"featurizer '{featurizer}' with options {dict(options or {})!r}: {got}", "options that it documents"
            ) from error
        if "error" in known:
            code, *parts = known["error"]
            raise (UnknownNameError if code == UnknownNameError.code else FeaturizerError)(*parts)
        self.version = str(known["version"])
        self.feature_names = tuple(map(str, known["feature_names"]))
        self.needs = frozenset(known["needs"])
        self.parameters: Mapping[str, Any] = {"featurizer": featurizer, "parameters": known["parameters"]}
        self._words = self._read_words(known["words"])

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, number of features)."""
        self._worker().prepare(self._introduction())  # a copy of this featurizer may have come from another process
        values = np.full((len(batch), len(self.feature_names)), np.nan)
        codes = no_codes(len(batch))
        details: dict[int, str] = {}
        most = max(1, min(_MOST_ROWS, _MOST_VALUES // len(self.feature_names)))
        start, size = 0, min(_FIRST_ROWS, most)
        while start < len(batch):
            rows = np.arange(start, min(start + size, len(batch)))
            begun = time.perf_counter()
            part = self._features(batch.take(rows))
            values[rows], codes[rows] = part.values, part.codes
            details |= {start + row: detail for row, detail in part.details.items()}
            start += len(rows)
            size = max(1, min(most, int(_PART_SECONDS * len(rows) / (time.perf_counter() - begun))))
        return Features(values, codes, details)

    def words(self, name: str) -> FeatureWords:
        """Return the words of the guarded featurizer for its feature."""
        return self._words[self.feature_names.index(name)]

    def _read_words(self, content: Any) -> tuple[FeatureWords, ...]:
        """Check and return the words that the child sent for every feature."""
        try:
            words = tuple(map(FeatureWords.from_json, content))
        except (ValueError, TypeError, AttributeError) as error:
            raise FeaturizerError(f"words of {self.parameters}: {error}", "words in both languages") from error
        if len(words) != len(self.feature_names):
            raise FeaturizerError(f"words of {len(words)} features", f"words of all {len(self.feature_names)}")
        return words

    def _features(self, part: CandidateBatch) -> Features:
        """Compute a few rows at once. If that fails, compute each row alone, so that only the failing row is lost."""
        (reply,) = self._worker().map([batch_message(part, self._made_of)])
        found = reply if isinstance(reply, Failure) else self._read(reply, len(part))
        if not isinstance(found, Failure):
            return found
        if len(part) == 1:
            code, detail = found
            values = np.full((1, len(self.feature_names)), np.nan)
            return Features(values, np.array([_CODES.get(code, code)]), {0: detail})
        alone = [self._features(part.take([row])) for row in range(len(part))]
        return Features(
            np.concatenate([one.values for one in alone]),
            np.concatenate([one.codes for one in alone]),
            {row: detail for row, one in enumerate(alone) for detail in one.details.values()},
        )

    def _read(self, reply: bytes, count: int) -> Features | Failure:
        """Check and return the answer of the child."""
        try:
            known, arrays = unpack(reply)
            if "error" in known:
                return Failure("E-FEATURE-FAILED", str(known["error"])[:500])
            values, codes = arrays["features"], [str(code) for code in known["codes"]]
            details = {int(row): str(detail)[:500] for row, detail in known["details"].items()}
            if values.shape != (count, len(self.feature_names)) or len(codes) != count:
                raise ValueError(f"features of shape {values.shape}")
            if not {"", *ROW_CODES}.issuperset(codes) or not set(range(count)).issuperset(details):
                raise ValueError("an unknown code or row")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return Failure("E-FEATURE-CRASH", f"the process gave no usable answer: {error}"[:200])
        return Features(values, np.array(codes, dtype="<U32"), details)

    def _worker(self) -> GuardedWorker:
        return shared_worker(ANSWER, memory_limit=int(self.megabytes * 1e6), timeout=self.seconds)

    def _introduction(self) -> bytes:
        return pack({"made_of": self._made_of})
