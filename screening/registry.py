"""Filters by name."""

from __future__ import annotations

from collections.abc import Mapping

FILTERS: Mapping[str, str] = {
    "exclude_elements": "matloop.screening.filters.filters:ExcludeElements",
    "exclude_radioactive": "matloop.screening.filters.filters:ExcludeRadioactive",
    "require_elements": "matloop.screening.filters.filters:RequireElements",
    "new_compounds": "matloop.screening.filters.filters:NewCompounds",
    "element_count": "matloop.screening.filters.filters:ElementCount",
}
