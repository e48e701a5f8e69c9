"""How one would make a compound, as a record that pages, tables and JSON are made of.

Texts are not part of it: gates, points, atmospheres and rules stand under keys that a catalogue has words for
(``matloop.screening.language.synthesis``).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from matloop.data.synthesis.atmospheres import AtmosphereName
from matloop.data.synthesis.precursors import Kind, Sensitivity

Verdict = Literal["passed", "failed", "unknown", "not_applicable"]
EnergyOrigin = Literal["given", "listed", "on_hull", "none"]
"""Where the energy of the target comes from: given, of a listed phase, assumed to lie on the hull, or none."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WeighedSubstance(_Record):
    """A precursor of a route, with what is weighed for the batch.

    Attributes:
        formula: As it is weighed.
        kind: Class of substances.
        coefficient: Whole number in the equation.
        cas: CAS number.
        name: English name in the CRC Handbook; empty where it has none.
        molar_mass: g/mol.
        grams: To weigh for the batch, purity and excess included.
        purity: Mass fraction reckoned with.
        excess: Share added for what evaporates.
        sensitivity: What air does to it.
        hazards: Hazard statements; empty where no harmonised classification is known here, which is not harmless.
        annex_vi_index: Index number of the classification in Annex VI of Regulation (EC) No 1272/2008.
        melting_point: K; None where the source has none.
        residue: Formula of what is left when it decomposes.
    """

    formula: str
    kind: Kind
    coefficient: int
    cas: str
    name: str
    molar_mass: float
    grams: float
    purity: float
    excess: float
    sensitivity: Sensitivity
    hazards: tuple[str, ...]
    annex_vi_index: str
    melting_point: float | None
    residue: str


class GasOfRoute(_Record):
    """A gas of a route.

    Attributes:
        formula: Its formula.
        coefficient: Whole number in the equation; negative where it is taken up.
        grams: Mass for the batch, with the same sign.
        noxious: Whether it is toxic or corrosive.
    """

    formula: str
    coefficient: int
    grams: float
    noxious: bool


class PointOfRoute(_Record):
    """What makes a route less simple.

    Attributes:
        key: Kind of difficulty.
        about: Precursor, gas or atmosphere.
        points: How much it counts.
    """

    key: str
    about: str
    points: int


class Competitor(_Record):
    """The phase that two precursors of a route would form first.

    Attributes:
        first: Formula of one precursor.
        second: Of the other.
        formula: Of the phase; empty where none is known that lowers the energy.
        driving_force: eV/atom of the phase, negative; None where there is none.
        stronger: Whether it is driven more than the target.
    """

    first: str
    second: str
    formula: str
    driving_force: float | None
    stronger: bool


class Onset(_Record):
    """Where the reaction should set in, by a named rule.

    Attributes:
        rule: Key of the rule.
        low: Degrees Celsius.
        high: Degrees Celsius.
        precursor: Formula of the precursor that melts first.
        melting_point: Its melting point in K.
    """

    rule: Literal["tammann"]
    low: float
    high: float
    precursor: str
    melting_point: float


class Route(_Record):
    """A way to make the target.

    Attributes:
        equation: Balanced in whole numbers.
        atmosphere: Of the furnace.
        target_coefficient: Whole number of the target in the equation.
        precursors: What is weighed.
        gases: What leaves or is taken up.
        points: What makes the route less simple; their sum orders routes.
        reaction_energy: eV for an atom of the target at 0 K, from the precursors as written; None where an energy
            lacks.
        reaction_energy_hot: The same with the entropy of gases at the temperature of the plan.
        without_energy: Precursors and gases that the hull does not list.
        driving_force: eV for an atom of the target at 0 K, from what the precursors become when they decompose.
        driving_force_hot: The same with the entropy of oxygen at the temperature of the plan.
        uphill: Whether the deciding energy is above the usual error, so that nothing drives the reaction.
        self_heating: Whether the reaction gives off so much heat that it may run away.
        competitors: What each pair of precursors would form first.
        onset: Where the reaction should set in; None where no rule applies.
    """

    equation: str
    atmosphere: AtmosphereName
    target_coefficient: int
    precursors: tuple[WeighedSubstance, ...]
    gases: tuple[GasOfRoute, ...]
    points: tuple[PointOfRoute, ...]
    reaction_energy: float | None
    reaction_energy_hot: float | None
    without_energy: tuple[str, ...]
    driving_force: float | None
    driving_force_hot: float | None
    uphill: bool
    self_heating: bool
    competitors: tuple[Competitor, ...]
    onset: Onset | None

    @property
    def total(self) -> int:
        """Sum of the points."""
        return sum(point.points for point in self.points)


class Gate(_Record):
    """One question that makeability hangs on, with its own verdict.

    Attributes:
        key: Which question.
        verdict: The answer.
        value: What was found: a number, or a text such as oxidation states; None where nothing was.
        unit: Of the number; empty for a text.
        limit: What the number is compared with; None where there is none.
        source: Key of where the value comes from.
    """

    key: str
    verdict: Verdict
    value: float | str | None
    unit: str
    limit: float | None
    source: str


class FactsUsed(_Record):
    """The table of precursors that a plan rests on.

    Attributes:
        table: Its name.
        source: Where its facts come from.
        as_of: Day on which they held.
        expires: Day from which they have to be looked at again.
        expired: Whether that day is past.
    """

    table: str
    source: str
    as_of: str
    expires: str
    expired: bool


class SynthesisPlan(_Record):
    """How one would make a compound.

    Attributes:
        target: Formula as asked.
        molar_mass: g/mol.
        grams: Mass of the batch.
        temperature: K, of the entropies.
        energy: Formation energy of the target in eV/atom; None where there is none.
        energy_origin: Where it comes from.
        energy_source: Name of the energies of the hull.
        oxidises: Whether the target takes up oxygen from air at the temperature.
        routes: The best first; see ``order``.
        balanced: How many routes balanced in all.
        sets: How many sets of precursors were tried.
        complete: Whether all sets were tried.
        lacking: Elements without a precursor.
        order: Key of the rule that orders routes.
        gates: Makeability, question by question.
        facts: The table of precursors.
    """

    target: str
    molar_mass: float
    grams: float
    temperature: float
    energy: float | None
    energy_origin: EnergyOrigin
    energy_source: str
    oxidises: bool
    routes: tuple[Route, ...]
    balanced: int
    sets: int
    complete: bool
    lacking: tuple[str, ...]
    order: Literal["downhill_points_force_mass"]
    gates: tuple[Gate, ...]
    facts: FactsUsed

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON takes it."""
        return self.model_dump(mode="json")
