"""The search for replacements of an element in a material: what may replace it, and what becomes of it then."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.formula import parse_formulas, write_formulas
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS, element_table, require_elements
from matloop.data.errors import SubstitutionError
from matloop.data.generators.whole_replacements import Replacing, replace_whole_element
from matloop.data.training.packaged_tables import packaged_training_set
from matloop.data.training.training_set import TrainingSet
from matloop.screening.substitution.element_profile import (
    ElementProfile,
    element_profiles,
    supply_risk_or_worst,
    tables_of_region,
)  # fmt: skip
from matloop.screening.substitution.kept_property import KeptProperty, read_kept_property
from matloop.screening.substitution.ranking import Standing, places_of
from matloop.workflows.modelling.trained_model import TrainedModel
from matloop.workflows.substituting.phase_evidence import NEAR_HULL, PhaseEvidence, phase_evidence
from matloop.workflows.substituting.property_model import given_model, packaged_table_of, property_model
from matloop.workflows.substituting.property_outlook import (
    Outlook,
    PropertyOutlooks,
    PropertyValue,
    probability_of_keeping,
    property_outlooks,
)  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """What is searched for.

    Attributes:
        replaced: Symbol of the element that is replaced.
        by: Symbols of the elements that may replace it; all elements if None.
        keep: Properties that are kept.
        facts: Facts about elements, for a region and a company.
        near_hull: eV/atom above the hull up to which a phase counts as one that can be made.
        models: Folders of models of one's own, which count in place of those of packaged labels.
        left_out: Formulas whose labels count as unknown, to judge the search by materials that it has not seen.
    """

    replaced: str
    by: tuple[str, ...] | None = None
    keep: tuple[KeptProperty, ...] = ()
    facts: ElementFacts = field(default_factory=ElementFacts)
    near_hull: float = NEAR_HULL
    models: tuple[Path, ...] = ()
    left_out: tuple[str, ...] = ()


class Material(NamedTuple):
    """The material before and after.

    Attributes:
        formula: Its formula.
        profile: What its elements are like.
        phases: What is known of its phases.
        values: Its properties, in the order of the wish.
    """

    formula: str
    profile: ElementProfile
    phases: PhaseEvidence
    values: tuple[PropertyValue, ...]


class Replacement(NamedTuple):
    """A replacement.

    Attributes:
        material: The new material.
        replacing: The new element or ion.
        outlooks: What becomes of each property of the wish.
        kept: P(all properties are kept); 1 where none is asked for.
        harmful: Whether the new element is radioactive, or harmful by a list.
        price_change: Of the elements of a mole of formula units, in USD/mol; nan where a price is not known.
    """

    material: Material
    replacing: Replacing
    outlooks: tuple[Outlook, ...]
    kept: float
    harmful: bool
    price_change: float


@dataclass(frozen=True)
class Replacements:
    """What a search found.

    Attributes:
        wish: What was searched for.
        material: The material.
        leaving: The ion that is replaced, or its symbol.
        by_ions: Whether ions of equal charge replace it.
        found: Its replacements, the best first.
        properties: Condition, provenance and training set of each property of the wish.
        refused: Elements of the wish that cannot replace it, with the code of the reason.
    """

    wish: Wish
    material: Material
    leaving: str
    by_ions: bool
    found: tuple[Replacement, ...]
    properties: tuple[PropertyOutlooks, ...]
    refused: dict[str, str]

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables of facts that it rests on."""
        return tables_of_region(self.wish.facts.region)


def read_wish(
    replaced: str, *, by: Sequence[str] | None = None, keep: Sequence[str] = (), facts: ElementFacts | None = None
) -> Wish:
    """Read what is searched for as people write it.

    Args:
        replaced: Symbol of an element.
        by: Symbols of the elements that may replace it; all elements if None.
        keep: What is to be kept, such as ``refractive_index within 5%``.
        facts: Facts about elements; the packaged ones of the world by default.

    Raises:
        UnknownNameError: If an element, a property or a unit is unknown.
        SubstitutionError: If what is to be kept cannot be read, or names a property twice.
        UnitError: If a number has no unit, or one that measures something else.
    """
    require_elements([replaced, *(by or ())])
    kept = tuple(map(read_kept_property, keep))
    names = [one.name for one in kept]
    if len(set(names)) < len(names):
        raise SubstitutionError(f"{', '.join(names)} to be kept", "each property once")
    return Wish(replaced, None if by is None else tuple(by), kept, facts or ElementFacts())


class SubstitutionSearch:
    """Searches for replacements in any number of materials; each property is learned once.

    Args:
        wish: What is searched for.
        store: Whether models are taken from the user's store, and left there.
    """

    def __init__(self, wish: Wish, *, store: bool = True) -> None:
        self.wish, self._store = wish, store
        self._folder = tempfile.TemporaryDirectory(prefix="matloop-substitute-")
        self._own = {model.known.name: model for model in map(given_model, wish.models)}
        self._models: dict[str, tuple[TrainedModel, TrainingSet | None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def replacements(self, composition: Compositions) -> Replacements:
        """Search for replacements in one material, the best first.

        Args:
            composition: The material, one row.

        Raises:
            SubstitutionError: If the material lacks the element.
            UnknownNameError: If no packaged table has labels of a property.
        """
        wish = self.wish
        made = replace_whole_element(composition, wish.replaced, by=wish.by)
        batch = _batch_of(composition, made.compositions)
        outlooks = tuple(self._outlooks(one, batch) for one in wish.keep)
        profiles = element_profiles(batch.compositions, wish.facts)
        phases = phase_evidence(batch.compositions, near_hull=wish.near_hull)
        formulas = batch.formulas
        old = Material(formulas[0], profiles[0], phases[0], tuple(one.old for one in outlooks))
        amount = _amount_of(composition, wish.replaced)
        found = []
        for row, replacing in enumerate(made.new):
            changed = tuple(one.new[row] for one in outlooks)
            new = Material(
                formulas[row + 1], profiles[row + 1], phases[row + 1], tuple(one.value for one in changed)
            )  # fmt: skip
            symbol = SYMBOLS[replacing.element]
            found.append(
                Replacement(
                    new, replacing, changed, probability_of_keeping(outlooks, row), new.profile.harms_by(symbol),
                    amount * price_of_exchange(wish.replaced, symbol, wish.facts),
                )
            )  # fmt: skip
        order = places_of([_standing(old, one) for one in found])
        return Replacements(
            wish, old, made.leaving, made.by_ions, tuple(found[row] for row in order), outlooks, made.refused
        )

    def _outlooks(self, condition: KeptProperty, batch: CandidateBatch) -> PropertyOutlooks:
        model, training = self._model(condition.name)
        return property_outlooks(condition, model, batch, training=training, left_out=self.wish.left_out)

    def _model(self, name: str) -> tuple[TrainedModel, TrainingSet | None]:
        """The model of a property, and what it learned from where that is packaged."""
        if name not in self._models:
            own = self._own.get(name)
            if own is not None:
                self._models[name] = own, None
            else:
                training = packaged_training_set(name, table=packaged_table_of(name))
                kept = _without(training, self.wish.left_out)
                model = property_model(
                    name, Path(self._folder.name) / name, training=kept if kept is not training else None,
                    store=self._store,
                )  # fmt: skip
                self._models[name] = model, kept
        return self._models[name]


def price_of_exchange(old: str, new: str, facts: ElementFacts) -> float:
    """Price of a mole of one element less that of another, in USD/mol; nan where a price is not known.

    The other elements of a formula unit cost the same before and after, so their prices need not be known.

    Args:
        old: Symbol of the element that leaves.
        new: Symbol of the element that comes.
        facts: Facts about elements.

    >>> round(price_of_exchange("Cd", "Zn", ElementFacts()), 2)
    -0.22
    """
    prices = facts.quantity("element_prices").values
    masses = element_table().columns(("atomic_mass",))[:, 0] / 1000  # kg/mol
    before, after = ATOMIC_NUMBERS[old], ATOMIC_NUMBERS[new]
    return float(prices[after] * masses[after] - prices[before] * masses[before])


def _standing(old: Material, new: Replacement) -> Standing:
    changes = [
        abs(one.change / before.best) if before.best and math.isfinite(one.change) else math.inf
        for before, one in zip(old.values, new.outlooks, strict=True)
    ]
    return Standing(
        new.harmful, new.kept, new.material.phases.probability, max(changes, default=0.0),
        supply_risk_or_worst(new.material.profile), new.material.formula,
    )  # fmt: skip


def _batch_of(material: Compositions, others: Compositions) -> CandidateBatch:
    """A batch with the material first, and its replacements."""
    formulas = [*write_formulas(material), *write_formulas(others)]
    return CandidateBatch.from_formulas(formulas, exact=True).batch


def _amount_of(composition: Compositions, symbol: str) -> float:
    """Atoms of an element in a formula unit."""
    reduced, _ = composition.reduced()
    return float(reduced.amounts[reduced.elements == ATOMIC_NUMBERS[symbol]].sum())


def _without(training: TrainingSet, formulas: Sequence[str]) -> TrainingSet:
    """A training set without the rows of some formulas."""
    if not formulas:
        return training
    hidden, _ = parse_formulas(list(formulas))
    rows = np.flatnonzero(~np.isin(composition_keys(training.rows.compositions), composition_keys(hidden)))
    return replace(
        training, name=f"{training.name} without {len(training) - len(rows)} rows", rows=training.rows.take(rows),
        values=training.values[rows], groups=training.groups[rows], weights=training.weights[rows],
        noise=None if training.noise is None else replace(training.noise, errors=training.noise.errors[rows]),
    )  # fmt: skip
