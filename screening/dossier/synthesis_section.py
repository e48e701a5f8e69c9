"""How one would make a candidate, as a dossier tells it: routes with masses, hazards, and makeability by question."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any, NamedTuple

from markupsafe import Markup

from matloop.data.plain_text import plain
from matloop.data.synthesis.plan import Gate, Route, SynthesisPlan, WeighedSubstance
from matloop.screening.dossier.number_sources import NumberSource
from matloop.screening.language.synthesis import (
    ATMOSPHERE_WORDS,
    ENERGY_ORIGIN_WORDS,
    GATE_SOURCE_WORDS,
    GATE_WORDS,
    HAZARDS_HEADING,
    HAZARDS_NOT_VERIFIED,
    ORDER_WORDS,
    PRODUCT_HAZARDS,
    SELF_HEATING_WORDS,
    SENSITIVITY_WORDS,
    VERDICT_WORDS,
)
from matloop.screening.language.synthesis_sentences import (
    energy_sentences,
    hazards_sentence,
    no_route_sentence,
    onset_sentence,
    points_sentence,
    statements_of,
)
from matloop.screening.language.text import Words, formula_markup, number
from matloop.screening.report.flags import chemical_markup

PRECURSORS = "table/precursors"
_RESOLUTION = 0.01  # eV/atom
_DATES = {"charge_balance": "2016", "known_compositions": "2019, 2021", "hull": "2019", "kinship": "2016"}
"""Years of what gates rest on; the others are of the installed pymatgen, whose versions are dates."""

_BY_POTENTIAL = Words(
    "by the potential of this run, on the scale of the hull", "由本次运行的势函数给出，已换算到凸包标度"
)


class RouteWords(NamedTuple):
    """A route, ready to print.

    Attributes:
        equation: The balanced reaction.
        atmosphere: Of the furnace.
        difficulties: What makes it less simple, with points.
        energies: Reaction energy and driving force, or what they lack.
        uphill: Whether nothing drives it.
        self_heating: Whether it may run away.
        competitors: What pairs of precursors would form first.
        onset: Where it should set in, with the rule.
        masses: What is weighed.
        gases: What leaves, with grams.
    """

    equation: Markup
    atmosphere: Words
    difficulties: Words
    energies: list[Words]
    uphill: bool
    self_heating: bool
    competitors: list[tuple[Markup, Markup, str, bool]]
    onset: Words
    masses: list[dict[str, Any]]
    gases: list[tuple[Markup, str, bool]]


class GateWords(NamedTuple):
    """A question of makeability, ready to print.

    Attributes:
        question: What is asked.
        verdict: The answer.
        failed: Whether it is no.
        value: What was found.
        limit: What it is compared with.
        source: Key of the source.
    """

    question: Words
    verdict: Words
    failed: bool
    value: Markup | str
    limit: str
    source: str


def gate_source(key: str) -> NumberSource:
    """What a gate rests on."""
    date = _DATES.get(key) or version("pymatgen").replace(".", "-")
    return NumberSource(f"gate/{key}", GATE_SOURCE_WORDS[key], date)


def synthesis_words(plan: SynthesisPlan | None, refused: str) -> dict[str, Any]:
    """What the template prints of a plan.

    Args:
        plan: The plan; None where none could be made.
        refused: Why none could be made.
    """
    if plan is None:
        return {"plan": None, "routes": [], "gates": [], "no_plan": Words(refused, refused)}
    none = None if plan.routes else no_route_sentence(plan)
    origin = _BY_POTENTIAL if plan.energy_origin == "given" else ENERGY_ORIGIN_WORDS[plan.energy_origin]
    return {
        "plan": plan, "routes": [_route(route, plan.temperature) for route in plan.routes],
        "gates": [_gate(gate) for gate in plan.gates],
        "no_plan": none, "order": ORDER_WORDS[plan.order], "energy_origin": origin,
        "self_heating_words": SELF_HEATING_WORDS, "statements": statements_of(plan), "product_hazards": PRODUCT_HAZARDS,
        "hazards_heading": HAZARDS_HEADING, "hazards_not_verified": HAZARDS_NOT_VERIFIED,
    }  # fmt: skip


def _route(route: Route, temperature: float) -> RouteWords:
    points = points_sentence(route)
    difficulties = Words(
        "; ".join(filter(None, (f"{route.total}", points.en))), "；".join(filter(None, (f"{route.total}", points.zh)))
    )
    return RouteWords(
        equation_markup(route.equation), ATMOSPHERE_WORDS[route.atmosphere],
        difficulties,
        energy_sentences(route, temperature), route.uphill, route.self_heating,
        [
            (
                Markup("{} + {}").format(formula_markup(one.first), formula_markup(one.second)),
                formula_markup(one.formula), _energy(one.driving_force), one.stronger,
            )
            for one in route.competitors
            if one.formula
        ],
        onset_sentence(route), [_mass(one) for one in route.precursors],
        [(formula_markup(gas.formula), f"{gas.grams:.3f}", gas.noxious) for gas in route.gases],
    )  # fmt: skip


def _energy(value: float | None) -> str:
    return number(value, _RESOLUTION)


def _mass(one: WeighedSubstance) -> dict[str, Any]:
    return {
        "formula": formula_markup(one.formula), "name": one.name, "grams": f"{one.grams:.4f}",
        "purity": f"{100 * one.purity:g} %", "excess": f"{100 * one.excess:g} %", "molar_mass": f"{one.molar_mass:.3f}",
        "cas": one.cas, "sensitivity": SENSITIVITY_WORDS[one.sensitivity],
        "hazards": hazards_sentence(one),
    }  # fmt: skip


def _gate(gate: Gate) -> GateWords:
    value: Markup | str = "–"
    if isinstance(gate.value, str):
        value = chemical_markup(gate.value)
    elif gate.value is not None:
        whole = float(gate.value).is_integer() and not gate.unit
        value = f"{int(gate.value)}" if whole else f"{number(gate.value, _RESOLUTION)} {gate.unit}".rstrip()
    limit = "–" if gate.limit is None else f"{number(gate.limit)} {gate.unit}".rstrip()
    return GateWords(
        GATE_WORDS[gate.key], VERDICT_WORDS[gate.verdict], gate.verdict == "failed", value, limit, f"gate/{gate.source}"
    )


def equation_markup(equation: str) -> Markup:
    """A balanced reaction with amounts lowered and an arrow.

    >>> print(equation_markup("BaCO3 + 2 TiO2 -> BaTi2O5 + CO2"))
    BaCO<sub>3</sub> + 2 TiO<sub>2</sub> → BaTi<sub>2</sub>O<sub>5</sub> + CO<sub>2</sub>
    """
    parts = [
        "→" if word == "->" else word if re.fullmatch(r"[0-9]+|\+", word) else formula_markup(word)
        for word in plain(equation).split()
    ]
    return Markup(" ").join(parts)


def synthesis_record(plan: SynthesisPlan | None, refused: str) -> dict[str, Any]:
    """A plan as plain JSON values; energies and masses name their sources.

    Args:
        plan: The plan; None where none could be made.
        refused: Why none could be made.
    """
    if plan is None:
        return {"refused": refused}
    told = plan.to_json()
    routes, gates = told.pop("routes"), told.pop("gates")
    for route in routes:
        route["source"] = "hull"
        route["precursors"] = [{"source": PRECURSORS, **one} for one in route["precursors"]]
        route["gases"] = [{"source": PRECURSORS, **one} for one in route["gases"]]
        if route["onset"] is not None:
            route["onset"] = {**route["onset"], "source": PRECURSORS}
    return {
        **told, "source": "hull", "routes": routes,
        "gates": [{**gate, "source": f"gate/{gate['source']}"} for gate in gates],
    }  # fmt: skip
