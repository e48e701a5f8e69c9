"""A filter that rejects elements without a stable isotope."""

from __future__ import annotations

from matloop.data.elements import RADIOACTIVE
from matloop.data.label import Label
from matloop.screening.filters.elements import ExcludeElements


class ExcludeRadioactive(ExcludeElements):
    """Reject candidates with an element that has no stable isotope (technetium, promethium, polonium and beyond)."""

    name = "exclude_radioactive"

    def __init__(self) -> None:
        super().__init__(sorted(RADIOACTIVE))

    def __str__(self) -> str:
        return self.name

    @classmethod
    def title(cls) -> Label:
        """What it looks at."""
        return Label("radioactive elements", "排除放射性元素")
