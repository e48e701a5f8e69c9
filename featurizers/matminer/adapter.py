"""Any matminer featurizer of compositions or structures, by class name and preset, under guard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matloop.featurizers.guard.guarded import GuardedFeaturizer


class MatminerFeaturizer(GuardedFeaturizer):
    """One matminer featurizer, each row under a time and a memory limit in a process that may be killed.

    Some of matminer's featurizers take minutes or gigabytes for a few materials (guesses of oxidation states, powder
    patterns of large cells). A row that is lost gets one of the codes that
    :class:`~matloop.featurizers.guard.guarded.GuardedFeaturizer` lists, one that matminer refuses or fills with nan
    ``E-FEATURE-FAILED``; its neighbours are unharmed. The limits are not part of the feature set's fingerprint.

    Args:
        featurizer: Class name in ``matminer.featurizers.composition`` or ``.structure``, for example ``WenAlloys``.
        preset: Name handed to the class's ``from_preset``, for example ``magpie``.
        options: Keyword arguments of the class (or of ``from_preset``); plain JSON values.
        seconds: Wall time a row may take.
        megabytes: Memory a row may ask for, beyond what the process holds when idle.

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
