"""Candidates that own labels know already, told before anything is trained.

A run marks what is known when it takes its candidates in. Before that, only sources that are read in a moment are
compared: tables of formulas and the packaged crystals.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from matloop.data.candidates.compositions import composition_keys
from matloop.data.registry import SOURCES, lookup
from matloop.data.sources.embedded import EmbeddedCrystals
from matloop.data.sources.table import FormulaTable
from matloop.data.training.training_set import TrainingSet
from matloop.screening.campaign.campaign import Campaign

MOST_CANDIDATES = 100_000
"""Candidates of one source that are compared at most; reading so many formulas takes about a second."""
_ROWS = 10_000
_ASKING = ("new_compounds", "known_compounds")


def asks_what_is_known(campaign: Campaign) -> bool:
    """Whether a filter of a campaign, alone or joined with others, looks at what is known."""
    return any(name in str(entry.model_dump()) for entry in campaign.filters for name in _ASKING)


def labelled_candidates(campaign: Campaign, sets: Sequence[TrainingSet]) -> list[str]:
    """Say how many candidates have a composition that own labels teach, one sentence for each source and set.

    Args:
        campaign: The campaign, with absolute paths.
        sets: Own labels.

    Returns:
        Nothing where there are none, or where a source takes longer to read.
    """
    if not sets:
        return []
    leaves_out = any(entry.name == "new_compounds" for entry in campaign.filters)
    mend = "new_compounds leaves them out" if leaves_out else "the filter new_compounds would leave them out"
    told = []
    for entry in campaign.sources:
        factory = lookup("source", SOURCES, entry.name)
        if factory not in (FormulaTable, EmbeddedCrystals):
            continue
        source = entry.make(factory)
        if source.count() > MOST_CANDIDATES:
            continue
        parts = [composition_keys(intake.batch.compositions) for intake in source.intakes(_ROWS)]
        keys = np.concatenate([np.empty(0, np.uint64), *parts])
        name = source.path.name if isinstance(source, FormulaTable) else entry.name
        for training in sets:
            count = int(np.isin(keys, composition_keys(training.rows.compositions)).sum())
            if count:
                told.append(
                    f"{count:,} of {len(keys):,} candidates of {name} have a composition with a label of "
                    f"{training.property_name} in {training.name}; {mend}"
                )
    return told
