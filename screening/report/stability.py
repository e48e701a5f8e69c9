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
from matloop.screening.flags.relaxed_volume import volume_changed_much
from matloop.screening.language.text import Words, formula_markup, number, percent, with_unit
from matloop.screening.report.batch_columns import numbers, texts
from matloop.screening.runs.run_summary import RunSummary

_OUTCOMES = {
    "converged": Words("converged", "已收敛"),
    "not_converged": Words("stopped before it converged", "未收敛即停止"),
}

_DEVICES = {
    "cpu": Words(", computed on the processor", "，在处理器上计算"),
    "cuda": Words(", computed on a GPU, which is not tested", "，在 GPU 上计算（未经测试）"),
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
        products: The cheapest mixture of reference phases of the same composition.
        correction: What corrections of elements add to the formation energy, in eV/atom; empty if nothing.
    """

    potential: str
    outcome: Words
    converged: bool
    steps: int
    energy_change: str
    volume_change: str
    volume_changed_much: bool
    products: Markup
    correction: str


def relaxations(batch: CandidateBatch, potential: str) -> list[Relaxation | None]:
    """The relaxation of each candidate, None where there was none.

    Args:
        batch: Ranked candidates.
        potential: Name of the potential they were relaxed with.
    """
    steps, energy = numbers(batch, Column.RELAXATION_STEPS), numbers(batch, Column.RELAXATION_ENERGY)
    start, volume = numbers(batch, Column.RELAXATION_ENERGY_START), numbers(batch, Column.RELAXATION_VOLUME_CHANGE)
    added = numbers(batch, Column.FORMATION_CORRECTION)
    changed_much = volume_changed_much(volume)
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
            _products(products[row] or ""),
            number(float(added[row]), 0.01) if np.nan_to_num(added[row]) else "",
        )
        for row in range(len(batch))
    ]


def formation_energy_words(summary: RunSummary) -> Words | None:
    """How formation energies came from the energies of the potential, and how wrong they are; None without one."""
    fit = summary.formation_energies
    if fit is None:
        return None
    crystals, error = f"{fit.crystals:,}", number(fit.error, 0.01)
    device = _DEVICES.get(summary.device or "", Words("", ""))
    en = (
        f"Energies: {summary.energies}{device.en}. Formation energies count from energies of the elements that were "
        f"fitted to the known formation energies of {crystals} packaged crystals. For compositions that the fit had "
        f"not seen, their mean absolute error is {error} eV/atom."
    )
    zh = (
        f"能量：{summary.energies}{device.zh}。形成能以拟合的单质能量为基准，拟合依据 {crystals} 个内置晶体的"
        f"已知形成能；对拟合未见过的成分，平均绝对误差为 {error} eV/atom。"
    )
    if fit.corrections:
        before = number(fit.error_uncorrected, 0.01)
        terms = ", ".join(f"{symbol} {number(-value, 0.01)}" for symbol, value in fit.corrections.items())
        en += (
            " Beside oxygen or fluorine a correction is added for each atom of these elements, fitted with them, in "
            f"eV: {terms}. Without corrections the error is {before} eV/atom."
        )
        zh += f"含氧或氟时，下列元素的每个原子另加一并拟合的修正，单位 eV：{terms}。不加修正时误差为 {before} eV/atom。"
    else:
        en, zh = f"{en} No element is corrected.", f"{zh}未对任何元素作修正。"
    return Words(en, zh)


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
    parts = [re.fullmatch(r"([0-9.]+) (\S+)( \(.*\))?", part) for part in text.split(" + ")]
    if not all(parts):
        return escape(plain(text))
    named = (Markup("{} {}{}").format(m[1], formula_markup(m[2]), plain(m[3] or "")) for m in parts if m)
    return Markup(" + ").join(named)
