"""Run any matminer featurizer of compositions or structures, by class name and preset, in a guarded process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matloop.featurizers.guard.guarded import GuardedFeaturizer


class MatminerFeaturizer(GuardedFeaturizer):
    """One matminer featurizer, row by row under a time and a memory limit in a process that can be killed.

    Some featurizers of matminer take minutes or gigabytes for a few materials (guesses of oxidation states, powder
    patterns of large cells). A lost row gets one of the codes that
    :class:`~matloop.featurizers.guard.guarded.GuardedFeaturizer` lists. A row that matminer refuses or fills with nan
    gets ``E-FEATURE-FAILED``. Other rows are not affected. The limits are not part of the fingerprint.

    Args:
        featurizer: Class name in ``matminer.featurizers.composition`` or ``.structure``, for example ``WenAlloys``.
        preset: Name for the method ``from_preset`` of the class, for example ``magpie``.
        options: Keyword arguments of the class (or of ``from_preset``) as plain JSON values.
        seconds: Time limit of a row.
        megabytes: Memory limit of a row, beyond what the idle process holds.

    Raises:
        UnknownNameError: If matminer has no such featurizer.
        FeaturizerError: If the class refuses the preset or options, or needs fitting first.
    """

    name = "matminer"

    def __init__(
        self,
        featurizer: str,
        *,
        preset: str | None = None,
        options: Mapping[str, Any] | None = None,
        seconds: float = 30.0,
        megabytes: float = 2000.0,
    ) -> None:
        asked = {"featurizer": featurizer, "preset": preset, "options": dict(options or {})}
        super().__init__("matminer", options=asked, seconds=seconds, megabytes=megabytes)
        self.parameters = asked
