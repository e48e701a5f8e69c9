"""Run matminer featurizers row by row in this process, which must be the child of a guard."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Mapping
from typing import Any

import matminer
import numpy as np
from matminer.featurizers import composition, structure
from matminer.featurizers.base import BaseFeaturizer
from pymatgen.core import Composition

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import COMPOSITIONS, CRYSTALS
from matloop.data.errors import FeaturizerError, MatloopError, unknown_name
from matloop.data.feature_words import FeatureWords, unworded
from matloop.data.options import check_options
from matloop.featurizers.base import Features, Featurizer, no_codes


def _classes(module: Any) -> dict[str, Any]:
    """Return the featurizers that a package of matminer offers, by class name."""
    return {
        name: kind
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, BaseFeaturizer) and kind.__module__.startswith(f"{module.__name__}.")
    }


class MatminerRows(Featurizer):
    """One matminer featurizer.

    Args:
        featurizer: Class name in ``matminer.featurizers.composition`` or ``.structure``.
        preset: Name for the method ``from_preset`` of the class.
        options: Keyword arguments of the class (or of ``from_preset``).

    Raises:
        UnknownNameError: If matminer has no such featurizer.
        FeaturizerError: If the class refuses the preset or options, or needs fitting first.
    """

    name = "matminer"
    version = matminer.__version__

    def __init__(self, featurizer: str, *, preset: str | None = None, options: Mapping[str, Any] | None = None) -> None:
        self.parameters: Mapping[str, Any] = {
            "featurizer": featurizer, "preset": preset, "options": dict(options or {})
        }  # fmt: skip
        of_structures = _classes(structure)
        known = {**_classes(composition), **of_structures}
        if featurizer not in known:
            raise unknown_name("matminer featurizer", featurizer, known)
        self.needs = frozenset({CRYSTALS if featurizer in of_structures else COMPOSITIONS})
        factory = known[featurizer] if preset is None else getattr(known[featurizer], "from_preset", None)
        refused = f"matminer's {featurizer} refused preset={preset!r}, options={dict(options or {})!r}"
        if factory is None:
            raise FeaturizerError(f"{refused}: it has no presets", "no preset", "leave the preset out")
        try:
            check_options(featurizer, factory, options or {}, argument=preset)
        except MatloopError as error:
            raise FeaturizerError(f"{refused}: {error.got}", error.allowed, error.fix) from error
        try:
            self._featurizer = factory(**(options or {})) if preset is None else factory(preset, **(options or {}))
            self._featurizer.set_n_jobs(1)  # without further processes of its own
            self.feature_names = tuple(f"{featurizer} {label}" for label in self._featurizer.feature_labels())
        except Exception as error:  # whatever a foreign constructor raises, the user gets one message
            raise FeaturizerError(
                f"{refused}: {error}",
                "a preset and options that its documentation lists, and a class that needs no fitting",
            ) from error

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, number of labels). After an error a row has nan and a code.

        Raises:
            MemoryError: If there is not enough memory.
        """
        values = np.full((len(batch), len(self.feature_names)), np.nan)
        codes, details = no_codes(len(batch)), {}
        for row in range(len(batch)):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # one line per row would hide the messages of the run
                    values[row] = self._featurizer.featurize(self._material(batch, row))
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001  # foreign code may raise anything for a strange material
                details[row] = f"{type(error).__name__}: {error}"[:500]
            if not np.isfinite(values[row]).all():
                codes[row] = "E-FEATURE-FAILED"
        return Features(values, codes, details)

    def words(self, name: str) -> FeatureWords:
        """Describe a feature by the name that matminer gives; numbered columns of one name are one group."""
        return unworded(name, re.sub(r"[\s_]*[0-9]+$", "", name) or name)

    def _material(self, batch: CandidateBatch, row: int) -> Any:
        return batch.structure(row) if CRYSTALS in self.needs else Composition(batch.formulas[row])
