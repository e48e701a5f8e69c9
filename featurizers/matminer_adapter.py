"""Any matminer featurizer of compositions or structures, by class name and preset."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from matloop.data.batch import CandidateBatch
from matloop.data.errors import MatloopError, unknown_name
from matloop.featurizers.base import Features, no_codes


class FeaturizerError(MatloopError):
    """When a matminer featurizer cannot be set up as asked."""

    code = "E-FEATURIZER"


class MatminerFeaturizer:
    """One matminer featurizer, row by row, in this process.

    A row that matminer cannot do, or fills with nan, gets the code ``E-FEATURE-FAILED``; its neighbours are unharmed.

    Args:
        featurizer: Class name in ``matminer.featurizers.composition`` or ``.structure``, for example ``WenAlloys``.
        preset: Name handed to the class's ``from_preset``, for example ``magpie``.
        options: Keyword arguments of the class (or of ``from_preset``).

    Raises:
        UnknownNameError: If matminer has no such featurizer.
        FeaturizerError: If the class refuses the preset or options, or needs fitting first.
    """

    name = "matminer"

    def __init__(self, featurizer: str, *, preset: str | None = None, options: Mapping[str, Any] | None = None) -> None:
        import matminer
        from matminer.featurizers import composition, structure

        self.parameters: Mapping[str, Any] = {
            "featurizer": featurizer, "preset": preset, "options": dict(options or {})
        }  # fmt: skip
        self.version = matminer.__version__
        self.needs_crystal = hasattr(structure, featurizer)
        known = {name for module in (composition, structure) for name in dir(module) if name[0].isupper()}
        if featurizer not in known:
            raise unknown_name("matminer featurizer", featurizer, known)
        factory = getattr(structure if self.needs_crystal else composition, featurizer)
        try:
            self._featurizer = (
                factory(**(options or {})) if preset is None else factory.from_preset(preset, **(options or {}))
            )
            self._featurizer.set_n_jobs(1)  # its process pool cannot start inside a Dask worker
            self.feature_names = tuple(f"{featurizer} {label}" for label in self._featurizer.feature_labels())
        except Exception as error:  # whatever a foreign constructor raises, the user gets one message
            raise FeaturizerError(
                f"matminer's {featurizer} refused preset={preset!r}, options={dict(options or {})!r}: {error}",
                "a preset and options that its documentation lists, and a class that needs no fitting",
            ) from error

    def featurize(self, batch: CandidateBatch) -> Features:
        """Features of each candidate, shape (n, number of labels)."""
        values = np.full((len(batch), len(self.feature_names)), np.nan)
        codes, details = no_codes(len(batch)), {}
        for row in range(len(batch)):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # one line per row would drown the run's own messages
                    values[row] = self._featurizer.featurize(self._material(batch, row))
            except Exception as error:  # noqa: BLE001  # foreign code may raise anything for a strange material
                details[row] = f"{type(error).__name__}: {error}"[:500]
            if not np.isfinite(values[row]).all():
                codes[row] = "E-FEATURE-FAILED"
        return Features(values, codes, details)

    def _material(self, batch: CandidateBatch, row: int) -> Any:
        if self.needs_crystal:
            return batch.structure(row)
        from pymatgen.core import Composition

        return Composition(batch.formulas[row])
