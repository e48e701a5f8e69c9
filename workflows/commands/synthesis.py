"""Output of ``matloop synthesis``: routes, masses, hazards and gates on a terminal, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from matloop.data.errors import unknown_name
from matloop.data.plain_text import one_line
from matloop.data.synthesis.batch import read_batch
from matloop.data.synthesis.plan import Competitor, Gate, Route, SynthesisPlan, WeighedSubstance
from matloop.screening.language.synthesis import (
    ATMOSPHERE_WORDS,
    ENERGY_ORIGIN_WORDS,
    FACT_SOURCE_WORDS,
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
from matloop.screening.language.text import Words
from matloop.workflows.synthesis.plan_synthesis import plan_synthesis
from matloop.workflows.terminal_tables import Heading, print_table

LANGUAGES = ("en", "zh")


def plan_and_print(
    formula: str,
    *,
    grams: float,
    precursors: str,
    purity: Sequence[str],
    loss: Sequence[str],
    energy: float | None,
    temperature: float,
    routes: int,
    as_json: bool,
    language: str,
) -> bool:
    """Plan a synthesis and print it.

    Args:
        formula: Of the target.
        grams: Mass of the batch.
        precursors: Formulas separated by commas; empty for those of the table.
        purity: Such as ``BaCO3=99.5%``.
        loss: Such as ``Li=5%``.
        energy: Formation energy of the target in eV/atom.
        temperature: K.
        routes: How many to print.
        as_json: Whether to print JSON.
        language: ``en`` or ``zh``.

    Returns:
        Whether a route was found.

    Raises:
        MatloopError: If what is asked for cannot be used.
    """
    if language not in LANGUAGES:
        raise unknown_name("language", language, LANGUAGES)
    named = [name.strip() for name in precursors.split(",") if name.strip()]
    plan = plan_synthesis(
        formula, batch=read_batch(grams, purity, loss), precursors=named, energy=energy, temperature=temperature,
        routes=routes,
    )  # fmt: skip
    if as_json:
        print(json.dumps(plan.to_json(), ensure_ascii=False, indent=2))
    else:
        _PrintedPlan(plan, language, Console(highlight=False)).print()
    return bool(plan.routes)


class _PrintedPlan:
    """A plan on a terminal, in one language."""

    def __init__(self, plan: SynthesisPlan, language: str, console: Console) -> None:
        self.plan, self.language, self.console = plan, language, console

    def word(self, words: Words) -> str:
        """The text in the language."""
        return str(words.zh if self.language == "zh" else words.en)

    def line(self, text: str = "", *, indent: int = 0) -> None:
        """Print one line, cleaned."""
        self.console.print(Text(" " * indent + one_line(text)), soft_wrap=True)

    def print(self) -> None:
        """Print everything."""
        plan, word = self.plan, self.word
        energy = "–" if plan.energy is None else f"{plan.energy:.3f} eV/atom"
        origin = word(ENERGY_ORIGIN_WORDS[plan.energy_origin])
        parts = [plan.target, f"{plan.grams:g} g", f"{plan.molar_mass:.3f} g/mol"]
        self.line(word(Words(", ".join(parts), "，".join(parts))))
        self.line(word(Words(f"Formation energy {energy} ({origin}).", f"形成能 {energy}（{origin}）。")))
        if not plan.routes:
            self.line(word(no_route_sentence(plan)))
        else:
            self.line(word(_counts(plan)))
            self.line(word(ORDER_WORDS[plan.order]))
        for place, route in enumerate(plan.routes, 1):
            self._print_route(place, route)
        self._print_hazards()
        self._print_gates()
        self._print_facts()

    def _print_route(self, place: int, route: Route) -> None:
        word = self.word
        self.line()
        self.line(f"{place}  {route.equation}")
        self.line(word(_difficulties(route)), indent=3)
        for words in _energies(route, self.plan.temperature):
            self.line(word(words), indent=3)
        for one in route.competitors:
            if one.formula:
                self.line(word(_competitor(one)), indent=3)
        self.line(word(onset_sentence(route)), indent=3)
        self._print_masses(route)

    def _print_masses(self, route: Route) -> None:
        word = self.word
        headings = [
            Heading(word(Words("precursor", "前驱体"))), Heading(word(Words("grams", "克")), right=True),
            Heading("g/mol", right=True), Heading("CAS"), Heading(word(Words("in air", "空气敏感性")), breaks=True),
            Heading(word(HAZARDS_HEADING), breaks=True),
        ]  # fmt: skip
        rows = [
            (one.formula, f"{one.grams:.4f}{_with(one)}", f"{one.molar_mass:.3f}", one.cas,
             word(SENSITIVITY_WORDS[one.sensitivity]), word(hazards_sentence(one)))
            for one in route.precursors
        ]  # fmt: skip
        print_table(self.console, "", headings, rows)

    def _print_hazards(self) -> None:
        """What the hazard statements of all routes say."""
        statements = statements_of(self.plan)
        if statements:
            self.line()
        for code, said in statements:
            self.line(self.word(Words(f"{code}: {said.en}", f"{code}：{said.zh}")))
        if self.plan.routes:
            self.line()
            self.line(self.word(HAZARDS_NOT_VERIFIED))
            self.line(self.word(PRODUCT_HAZARDS))

    def _print_gates(self) -> None:
        word = self.word
        headings = [
            Heading(word(Words("makeability", "可制备性")), breaks=True), Heading(word(Words("verdict", "结论"))),
            Heading(word(Words("value", "数值")), breaks=True), Heading(word(Words("limit", "界限"))),
            Heading(word(Words("source", "来源")), breaks=True),
        ]  # fmt: skip
        rows = [
            (word(GATE_WORDS[gate.key]), word(VERDICT_WORDS[gate.verdict]), _value(gate), _limit(gate),
             word(GATE_SOURCE_WORDS[gate.source]))
            for gate in self.plan.gates
        ]  # fmt: skip
        self.line()
        print_table(self.console, "", headings, rows)

    def _print_facts(self) -> None:
        facts = self.plan.facts
        source = FACT_SOURCE_WORDS[facts.table]
        self.line()
        self.line(
            self.word(
                Words(
                    f"Precursors as of {facts.as_of}: {source.en}.",
                    f"前驱体数据截至 {facts.as_of}。{source.zh}。",
                )
            )
        )
        if facts.expired:
            self.line(
                self.word(
                    Words(
                        f"These facts had to be looked at again from {facts.expires}.",
                        f"这些数据自 {facts.expires} 起须重新核对。",
                    )
                )
            )


def _counts(plan: SynthesisPlan) -> Words:
    rest = "" if plan.complete else "; the search ended at its limit, so there may be more"
    others = "" if plan.complete else "；搜索达到上限，可能还有其他路线"
    return Words(
        f"{plan.balanced} routes balance of {plan.sets} sets of precursors{rest}.",
        f"{plan.sets} 组前驱体中有 {plan.balanced} 条路线配平{others}。",
    )


def _energies(route: Route, temperature: float) -> list[Words]:
    """Reaction energy and driving force in sentences, and what warns of the route."""
    found = energy_sentences(route, temperature)
    if route.uphill:
        found.append(Words("uphill: nothing drives this reaction", "能量上坡：该反应无驱动力"))
    if route.self_heating:
        found.append(SELF_HEATING_WORDS)
    return found


def _difficulties(route: Route) -> Words:
    """Atmosphere, points and what they are for."""
    points, atmosphere = points_sentence(route), ATMOSPHERE_WORDS[route.atmosphere]
    return Words(
        f"{atmosphere.en}; {route.total} points{f' ({points.en})' if points.en else ''}",
        f"{atmosphere.zh}；{route.total} 分{f'（{points.zh}）' if points.zh else ''}",
    )


def _competitor(one: Competitor) -> Words:
    force = f"{one.driving_force or 0.0:+.3f} eV/atom"
    return Words(
        f"{one.first} and {one.second} may form {one.formula} first ({force}"
        f"{', more than the target' if one.stronger else ''})",
        f"{one.first} 与 {one.second} 可能先生成 {one.formula}（{force}{'，强于目标物' if one.stronger else ''}）",
    )


def _with(one: WeighedSubstance) -> str:
    """Purity and excess that a mass was reckoned with."""
    parts = [f"{one.purity:.2%}"] if one.purity < 1 else []
    parts += [f"+{one.excess:.1%}"] if one.excess else []
    return f" ({', '.join(parts)})" if parts else ""


def _value(gate: Gate) -> str:
    if gate.value is None:
        return "–"
    return f"{gate.value if isinstance(gate.value, str) else f'{gate.value:g}'} {gate.unit}".rstrip()


def _limit(gate: Gate) -> str:
    return "–" if gate.limit is None else f"{gate.limit:g}"
