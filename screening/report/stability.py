"""What relaxing a shortlisted candidate with a potential showed, as its card tells it."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.plain_text import plain
from matloop.data.properties.columns import Column
from matloop.screening.dossier.relaxed_volume import volume_changed_much
from matloop.screening.language.text import Words, formula_markup, number, percent, with_unit
from matloop.screening.report.batch_columns import numbers, texts

_OUTCOMES = {
    "converged": Words("converged", "已收敛"),
    "not_converged": Words("stopped before it converged", "未收敛即停止"),
}


class Relaxation(NamedTuple):
    """A relaxation in words.

    Attributes:
        potential: Name of the potential.
        outcome: How it ended.
        converged: Whether it came to rest; numbers of a crystal that did not are not those of a relaxed one.
        steps: Steps taken.
        energy_change: Of the energy, in meV/atom.
        volume_change: Relative change of the volume.
        volume_changed_much: Whether it is beyond 20 %, so that the crystal may have become another one.
        hull_distance: Energy above the hull of the reference phases in eV/atom, by the potential's own energies;
            negative below it; a dash where there is none.
        products: The cheapest mixture of reference phases of the same composition.
        reference_phases: Reference compositions of at least two elements in the chemical system.
        sparse: Whether competing phases are likely to be missing.
    """

    potential: str
    outcome: Words
    converged: bool
    steps: int
    energy_change: str
    volume_change: str
    volume_changed_much: bool
    hull_distance: str
    products: Markup
    reference_phases: int
    sparse: bool


def relaxations(batch: CandidateBatch, potential: str) -> list[Relaxation | None]:
    """The relaxation of each candidate, None where there was none.

    Args:
        batch: Ranked candidates.
        potential: Name of the potential they were relaxed with.
    """
    steps, energy = numbers(batch, Column.RELAXATION_STEPS), numbers(batch, Column.RELAXATION_ENERGY)
    start, volume = numbers(batch, Column.RELAXATION_ENERGY_START), numbers(batch, Column.RELAXATION_VOLUME_CHANGE)
    hull, phases = numbers(batch, Column.HULL_DISTANCE), numbers(batch, Column.HULL_REFERENCE_PHASES)
    sparse, changed_much = numbers(batch, Column.HULL_SPARSE), volume_changed_much(volume)
    outcomes, products = texts(batch, Column.RELAXATION_OUTCOME), texts(batch, Column.HULL_PRODUCTS)
    return [
        None
        if outcomes[row] is None
        else Relaxation(
            potential,
            _OUTCOMES.get(outcomes[row] or "", Words(outcomes[row] or "", outcomes[row] or "")),
            outcomes[row] == "converged",
            int(steps[row]),
            f"{number(1000 * (energy[row] - start[row]), 10)} meV",
            _signed_percent(float(volume[row])),
            bool(changed_much[row]),
            number(float(hull[row]), 0.01),
            _products(products[row] or ""),
            int(np.nan_to_num(phases[row])),
            bool(sparse[row] == 1),
        )
        for row in range(len(batch))
    ]


def hull_distance_text(batch: CandidateBatch, row: int, name: str) -> str:
    """Distance from the hull with its unit, which may be negative, for the energy above the hull; empty for others."""
    distance = float(numbers(batch, Column.HULL_DISTANCE)[row]) if name == "energy_above_hull" else math.nan
    return with_unit(number(distance, 0.01), Column.HULL_DISTANCE.unit) if math.isfinite(distance) else ""


def _signed_percent(share: float) -> str:
    """A relative change with its sign.

    >>> _signed_percent(-0.0312)
    '−3.1 %'
    """
    sign = "−" if share < 0 else "+"
    return f"{sign}{percent(abs(share), 1)}"


def _products(text: str) -> Markup:
    """Products of decomposition with their amounts as subscripts.

    >>> print(_products("0.75 Fe2O3 (mp-24972)"))
    0.75 Fe<sub>2</sub>O<sub>3</sub> (mp-24972)
    """
    parts = [re.fullmatch(r"([0-9.]+) (\S+) (\(.*\))", part) for part in text.split(" + ")]
    if not all(parts):
        return escape(plain(text))
    named = (Markup("{} {} {}").format(m[1], formula_markup(m[2]), plain(m[3])) for m in parts if m)
    return Markup(" + ").join(named)
