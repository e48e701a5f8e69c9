"""Filters by name."""

from __future__ import annotations

from collections.abc import Mapping

FILTERS: Mapping[str, str] = {
    "exclude_elements": "matloop.screening.filters.elements:ExcludeElements",
    "exclude_radioactive": "matloop.screening.filters.radioactivity:ExcludeRadioactive",
    "require_elements": "matloop.screening.filters.elements:RequireElements",
    "known_compounds": "matloop.screening.filters.known_compounds:KnownCompounds",
    "new_compounds": "matloop.screening.filters.known_compounds:NewCompounds",
    "stated_value": "matloop.screening.filters.stated_value:StatedValue",
    "condition": "matloop.screening.filters.condition:Condition",
    "element_count": "matloop.screening.filters.element_count:ElementCount",
}
