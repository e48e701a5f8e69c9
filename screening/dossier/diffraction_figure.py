"""The powder pattern of a candidate as lines to draw, over those of the phases that compete with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from matloop.screening.dossier.diffraction_section import Diffraction

WIDTH, LEFT, RIGHT = 1000.0, 10.0, 990.0
_HEIGHT, _ROOM_ABOVE, _ROW, _BELOW = 250.0, 40.0, 46.0, 34.0
_LABEL_ROOM = 34.0  # units of the drawing that a label of Miller indices takes
_LABELLED = 8  # strongest peaks that are labelled where there is room
_STEP = 10  # degrees between ticks
_SMALL = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_COLOURS = ("#b84f00", "#009e73", "#8a5a9e", "#7a6a00", "#52606d")


class Stick(NamedTuple):
    """A line of the drawing.

    Attributes:
        x: Where.
        top: Its upper end.
        label: Miller indices above it; empty without.
        telling: Whether the peak tells the candidate from other phases.
    """

    x: float
    top: float
    label: str
    telling: bool


class Row(NamedTuple):
    """A phase in the drawing.

    Attributes:
        plain: Its formula with small digits.
        base: Lower end of its lines.
        colour: Of its lines.
        sticks: Its lines.
    """

    plain: str
    base: float
    colour: str
    sticks: list[Stick]


class DiffractionFigure(NamedTuple):
    """A drawing of powder patterns in a field of the given size.

    Attributes:
        width: Of the field.
        height: Of the field.
        rows: The candidate first, then other phases.
        ticks: Position and text of the ticks of 2θ.
        axis: Where the axis lies.
    """

    width: float
    height: float
    rows: list[Row]
    ticks: list[tuple[float, str]]
    axis: float


def diffraction_figure(found: Diffraction, formula: str) -> DiffractionFigure | None:
    """Draw the patterns; None where the candidate has none.

    Args:
        found: The patterns.
        formula: Of the candidate.
    """
    if found.pattern is None or not found.pattern.peaks:
        return None
    low, high = found.pattern.ends
    first = max(min(peak.two_theta for peak in found.pattern.peaks) - 4, low)

    def place(angle: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * (angle - first) / (high - first), 1)

    base = _ROOM_ABOVE + _HEIGHT
    named = _labelled(found, place)
    scale = _HEIGHT / 100
    sticks = [
        Stick(
            place(peak.two_theta), round(base - scale * peak.intensity, 1), named.get(at, ""), peak in found.telling
        )
        for at, peak in enumerate(found.pattern.peaks)
    ]  # fmt: skip
    rows = [Row(formula.translate(_SMALL), base, "#0072b2", sticks)]
    for rival, colour in zip(found.rivals, _COLOURS, strict=False):
        base += _ROW
        drawn = [
            Stick(place(peak.two_theta), round(base - (_ROW - 14) * peak.intensity / 100, 1), "", False)
            for peak in rival.pattern.peaks
            if first <= peak.two_theta
        ]
        rows.append(Row(rival.phase.formula.translate(_SMALL), base, colour, drawn))
    start = int(first // _STEP + 1) * _STEP
    ticks = [(place(angle), str(angle)) for angle in range(start, int(high) + 1, _STEP)]
    return DiffractionFigure(WIDTH, base + _BELOW, rows, ticks, base)


def _labelled(found: Diffraction, place: Callable[[float], float]) -> dict[int, str]:
    """Miller indices of the peaks that are labelled: the telling ones, then the strongest where there is room."""
    peaks = [] if found.pattern is None else found.pattern.peaks
    order = sorted(range(len(peaks)), key=lambda at: (peaks[at] not in found.telling, -peaks[at].intensity))
    chosen: dict[int, str] = {}
    taken: list[float] = []
    for at in order[: _LABELLED + len(found.telling)]:
        x = place(peaks[at].two_theta)
        if all(abs(x - other) >= _LABEL_ROOM for other in taken):
            chosen[at] = peaks[at].planes[0]
            taken.append(x)
    return chosen
