"""What is known of the stability of a finalist: its distances from several hulls, and what those hulls do not know."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import composition_keys
from matloop.data.packaged.computed_phases import load_computed_phases
from matloop.data.properties.columns import Column, property_column
from matloop.screening.language.text import Words, formula_markup, interval_words, listed, number, space_group_markup
from matloop.screening.report.batch_columns import numbers, texts
from matloop.screening.runs.run_view import RunView

_MOST_SIBLINGS = 5
_RESOLUTION = 0.01  # eV/atom
_INCOMPLETE: Mapping[str, Words] = {
    "element_products": Words("the cheapest competing mixture holds an element", "最低能竞争组合中含有单质"),
    "far_below": Words("it lies far below the hull", "它远低于凸包"),
}


class HullDistance(NamedTuple):
    """Energy above one hull.

    Attributes:
        label: The hull, and what the energy comes from.
        value: In eV/atom, with its unit; negative below the hull.
        interval: 90 % interval, empty where there is none.
    """

    label: Words
    value: str
    interval: Words


class HullEvidence(NamedTuple):
    """What is known of the stability of one finalist.

    Attributes:
        distances: From each hull, the one that decides first.
        verdict: Whether the distances agree; None where there is only one.
        disagree: Whether they differ by more than their errors.
        coverage: How many of the known compositions of its elements have an energy; None where nobody counted.
        without_energy: Known compositions without an energy; None where there are none.
        incomplete: Why competing phases may be missing; None where nothing shows it.
        siblings: Other ranked crystals of its composition; None where there are none.
    """

    distances: list[HullDistance]
    verdict: Words | None
    disagree: bool
    coverage: Words | None
    without_energy: Words | None
    incomplete: Words | None
    siblings: Words | None


def hull_evidence(run: RunView, batch: CandidateBatch) -> list[HullEvidence | None]:
    """What is known of the stability of each candidate, None where no potential judged it.

    Args:
        run: The run.
        batch: Some of its ranked candidates.
    """
    siblings = _siblings(run.ranked, batch)
    judged = np.isfinite(numbers(batch, Column.HULL_DISTANCE))
    return [
        _of_row(run, batch, row)._replace(siblings=siblings[row]) if judged[row] else None for row in range(len(batch))
    ]


@functools.cache
def hull_name() -> str:
    """The database whose phases form the hull, with its year."""
    about = load_computed_phases("materials_project").schema.metadata
    return f"{about[b'database'].decode()} {about[b'year'].decode()}"


def _of_row(run: RunView, batch: CandidateBatch, row: int) -> HullEvidence:
    names = _potentials(run)
    first, second, own = (
        float(numbers(batch, name)[row])
        for name in (Column.HULL_DISTANCE, Column.HULL_DISTANCE_SECOND, Column.HULL_DISTANCE_OWN)
    )
    distances = [HullDistance(_of_database(names[0]), _energy(first), _interval(batch, row))]
    if math.isfinite(second):
        distances.append(HullDistance(_of_database(names[1]), _energy(second), Words("", "")))
    if math.isfinite(own):
        distances.append(HullDistance(_of_potential(names[0]), _energy(own), Words("", "")))
    verdict, disagree = agreement_words(first, second, own, error=_error(run), names=names)
    return HullEvidence(
        distances, verdict, disagree, coverage_words(batch, row), _without_energy(batch, row),
        _incomplete(texts(batch, Column.HULL_INCOMPLETE)[row]), None,
    )  # fmt: skip


def _potentials(run: RunView) -> tuple[Words, Words]:
    """Names of the two potentials of a run; the first is empty without one."""
    potential = run.campaign.potential
    name = "" if potential is None else potential.name
    second = "" if potential is None or potential.second is None else potential.second.name
    told = Words(f"the second potential {second}".rstrip(), f"第二势函数 {second}".rstrip())
    return Words(name, name), told


def _of_database(potential: Words) -> Words:
    """The hull of a database, reached by a potential."""
    return Words(
        f"above the hull of {hull_name()}, energy by {potential.en}",
        f"相对 {hull_name()} 凸包，能量取自{_spaced(potential.zh).rstrip()}",
    )


def _of_potential(potential: Words) -> Words:
    """The hull of crystals with energies by a potential alone."""
    return Words(
        f"above a hull of fewer phases, all energies by {potential.en} (second opinion)",
        f"相对相数较少的凸包，能量均取自{_spaced(potential.zh).rstrip()}（第二意见）",
    )


def _spaced(name: str) -> str:
    """A name in a Chinese sentence, with a space before and after Latin letters.

    >>> _spaced("chgnet"), _spaced("第二势函数")
    (' chgnet ', '第二势函数')
    """
    return f" {name} " if name.isascii() else name


def _error(run: RunView) -> float:
    fit = run.summary.formation_energies
    return math.nan if fit is None or fit.error is None else fit.error


def _energy(value: float) -> str:
    return f"{number(value, _RESOLUTION)} {Column.HULL_DISTANCE.unit}"


def _interval(batch: CandidateBatch, row: int) -> Words:
    """90 % interval of the energy above the hull, which ends at 0; empty where it was no target."""
    low, high = (float(numbers(batch, property_column("energy_above_hull", end))[row]) for end in ("lo", "hi"))
    if math.isnan(low) or math.isnan(high):
        return Words("", "")
    return interval_words(low, high, _RESOLUTION, Column.HULL_DISTANCE.unit)


def agreement_words(
    first: float, second: float, own: float, *, error: float, names: tuple[Words, Words]
) -> tuple[Words | None, bool]:
    """Whether distances from hulls differ by more than their errors.

    Args:
        first: Energy above the hull of the database by the first potential, in eV/atom.
        second: The same by the second potential, nan without one.
        own: Energy above the hull of the first potential's own energies, nan without one.
        error: Mean absolute error of formation energies by the first potential in eV/atom; nan if unknown.
        names: Of the two potentials.

    Returns:
        A sentence, None where there is nothing to compare; and whether they contradict each other. The potential's own
        hull has fewer phases, so a candidate that lies lower there is no contradiction.

    >>> print(agreement_words(0.02, 0.13, 0.02, error=0.03, names=(Words("a", "a"), Words("b", "b")))[0].en)
    a and b differ by 0.110 eV/atom, more than twice the error of 0.030 eV/atom.
    """
    if not math.isfinite(error) or not (math.isfinite(second) or math.isfinite(own)):
        return None, False
    en, zh, told = [], [], f"{number(error, _RESOLUTION)} eV/atom"
    apart = math.isfinite(second) and abs(first - second) > 2 * error
    if apart:
        by = f"{number(abs(first - second), _RESOLUTION)} eV/atom"
        en.append(f"{names[0].en} and {names[1].en} differ by {by}, more than twice the error of {told}.")
        zh.append(f"{names[0].zh} 与{_spaced(names[1].zh)}相差 {by}，超过误差 {told} 的两倍。")
    if math.isfinite(own) and abs(first - own) > 2 * error:
        by = f"{number(abs(first - own), _RESOLUTION)} eV/atom"
        if own < first:
            en.append(f"On the hull of {names[0].en}'s own energies it lies {by} lower: that one lacks phases.")
            zh.append(f"在 {names[0].zh} 自身能量的凸包上低 {by}：该凸包缺少相。")
        else:
            apart = True
            en.append(f"On the hull of {names[0].en}'s own energies it lies {by} higher, more than twice the error.")
            zh.append(f"在 {names[0].zh} 自身能量的凸包上高 {by}，超过误差的两倍。")
    if en:
        return Words(" ".join(en), "".join(zh)), apart
    return Words(f"They agree within twice the error of {told}.", f"各距离在误差 {told} 的两倍以内一致。"), False


def coverage_words(batch: CandidateBatch, row: int) -> Words | None:
    """How many of the known compositions of the elements of a candidate have an energy in the hull."""
    share = float(numbers(batch, Column.HULL_COVERAGE)[row])
    known = float(numbers(batch, Column.HULL_KNOWN_COMPOSITIONS)[row])
    if not (math.isfinite(share) and math.isfinite(known)):
        return None
    system = _system(batch.formulas[row])
    if known == 0:
        return Words(f"no other composition of {system} is known", f"{system} 体系中没有其他已知成分")
    have, all_known = round(share * known), int(known)
    spans = numbers(batch, Column.HULL_SPANS_SYSTEM)[row] == 1
    en = f"{have:,} of {all_known:,} known compositions of {system} have an energy"
    zh = f"{system} 体系的 {all_known:,} 种已知成分中有 {have:,} 种具有能量"
    if spans:
        return Words(f"{en}, and one or more of them hold all its elements", f"{zh}，其中有包含其全部元素的成分")
    return Words(f"{en}, but none of them holds all its elements", f"{zh}，但没有一种包含其全部元素")


def _system(formula: str) -> str:
    """Elements of a formula in its order.

    >>> _system("La2Ti2O7")
    'La-Ti-O'
    """
    return "-".join(dict.fromkeys(re.findall("[A-Z][a-z]?", formula)))


def _without_energy(batch: CandidateBatch, row: int) -> Words | None:
    names = [name for name in (texts(batch, Column.HULL_WITHOUT_ENERGY)[row] or "").split(", ") if name]
    return listed([formula_markup(name) for name in names]) if names else None


def _incomplete(codes: str | None) -> Words | None:
    """Why references are incomplete, in words.

    >>> print(_incomplete("far_below").zh)
    它远低于凸包
    """
    reasons = [_INCOMPLETE.get(code, Words(code, code)) for code in (codes or "").split(", ") if code]
    if not reasons:
        return None
    return Words("; ".join(reason.en for reason in reasons), "；".join(reason.zh for reason in reasons))


def _siblings(ranked: CandidateBatch, batch: CandidateBatch) -> list[Words | None]:
    """Other ranked crystals of the composition of each candidate: rank, space group, and how much higher they lie."""
    keys, energies = composition_keys(ranked.compositions), numbers(ranked, Column.RELAXATION_ENERGY)
    groups, ranks = numbers(ranked, Column.SPACE_GROUP_NUMBER), numbers(ranked, Column.RANK)
    own_energies, found = numbers(batch, Column.RELAXATION_ENERGY), []
    for row, key in enumerate(composition_keys(batch.compositions)):
        others = [at for at in np.flatnonzero(keys == key).tolist() if ranked.ids[at] != batch.ids[row]]
        told = [_sibling(ranks[at], groups[at], energies[at] - own_energies[row]) for at in others[:_MOST_SIBLINGS]]
        found.append(
            Words(Markup("; ").join(words.en for words in told), Markup("；").join(words.zh for words in told))
            if told else None
        )  # fmt: skip
    return found


def _sibling(rank: float, group: float, higher: float) -> Words:
    symbol = space_group_markup(int(group)) if math.isfinite(group) else Markup("")
    by = number(abs(1000 * higher), 10)
    en, zh = ("higher", "高") if higher > 0 else ("lower", "低")
    energy = Words(f", {by} meV/atom {en}", f"，能量{zh} {by} meV/atom") if math.isfinite(higher) else Words("", "")
    return Words(
        Markup("rank {} {}{}").format(int(rank), symbol, energy.en),
        Markup("第 {} 名 {}{}").format(int(rank), symbol, energy.zh),
    )
