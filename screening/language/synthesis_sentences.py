"""Sentences about synthesis plans, in English and Chinese, as terminals and dossiers both tell them."""

from __future__ import annotations

from matloop.data.synthesis.plan import Route, SynthesisPlan, WeighedSubstance
from matloop.screening.language.hazard_statements import HAZARD_WORDS
from matloop.screening.language.synthesis import (
    ATMOSPHERE_WORDS,
    HAZARDS_UNKNOWN,
    NO_ONSET,
    NO_ROUTE,
    ONSET_WORDS,
    POINT_WORDS,
    lacking_words,
)
from matloop.screening.language.text import Words


def no_route_sentence(plan: SynthesisPlan) -> Words:
    """That no route was found, and which elements no precursor has."""
    if not plan.lacking:
        return NO_ROUTE
    lacking = lacking_words(plan.lacking)
    return Words(f"{NO_ROUTE.en} {lacking.en}", f"{NO_ROUTE.zh}{lacking.zh}")


def energy_sentences(route: Route, temperature: float) -> list[Words]:
    """Reaction energy and driving force of a route, or what they lack.

    Args:
        route: The route.
        temperature: K, of the entropies.
    """
    found = []
    if route.without_energy:
        lacking = ", ".join(route.without_energy)
        found.append(
            Words(f"no reaction energy: the hull lists no {lacking}", f"无反应能：凸包未列出{lacking}")
        )  # fmt: skip
    elif route.reaction_energy is not None and route.reaction_energy_hot is not None:
        cold, hot = signed(route.reaction_energy), signed(route.reaction_energy_hot)
        found.append(
            Words(
                f"reaction energy {cold} eV/atom at 0 K, {hot} with the entropy of gases at {temperature:g} K",
                f"反应能 0 K 时 {cold} eV/atom，计入气体熵（{temperature:g} K）后 {hot}",
            )
        )
    if route.driving_force is not None and route.driving_force_hot is not None:
        cold, hot = signed(route.driving_force), signed(route.driving_force_hot)
        found.append(
            Words(
                f"driving force from the decomposed precursors {cold} eV/atom at 0 K, {hot} at {temperature:g} K",
                f"由分解后的前驱体计算的驱动力 0 K 时 {cold} eV/atom，{temperature:g} K 时 {hot}",
            )
        )
    return found


def signed(energy: float) -> str:
    """An energy with its sign and a minus as print has it.

    >>> signed(-0.0484)
    '−0.048'
    """
    return f"{energy:+.3f}".replace("-", "−")


def points_sentence(route: Route) -> Words:
    """What makes a route less simple, each with its points; empty where only precursors have any."""
    told = [one for one in route.points if one.key != "precursor"]
    about = [ATMOSPHERE_WORDS.get(one.about, Words(one.about, one.about)) for one in told]
    parts = [(what, POINT_WORDS[one.key], one.points) for one, what in zip(told, about, strict=True)]
    return Words(
        "; ".join(f"{what.en}: {why.en} {points}" for what, why, points in parts),
        "；".join(f"{what.zh}：{why.zh} {points}" for what, why, points in parts),
    )


def onset_sentence(route: Route) -> Words:
    """Where the reaction of a route should set in, with the rule and the precursor that melts first."""
    onset = route.onset
    if onset is None:
        return NO_ONSET
    rule, low, high = ONSET_WORDS[onset.rule], round(onset.low), round(onset.high)
    first, kelvin = onset.precursor, f"{onset.melting_point:.0f} K"
    return Words(
        f"{low} to {high} °C. {rule.en} ({first}, {kelvin})", f"{low} 至 {high} °C。{rule.zh}（{first}，{kelvin}）"
    )


def hazards_sentence(substance: WeighedSubstance) -> Words:
    """Hazard statements of a precursor with the index number of its entry, or that none is known here."""
    if not substance.hazards:
        return HAZARDS_UNKNOWN
    told = f"{' '.join(substance.hazards)} ({substance.annex_vi_index})"
    return Words(told, told)


def statements_of(plan: SynthesisPlan) -> list[tuple[str, Words]]:
    """What the hazard statements of all routes say, by code."""
    used = {code for route in plan.routes for one in route.precursors for code in one.hazards}
    return [(code, HAZARD_WORDS[code]) for code in sorted(used)]
