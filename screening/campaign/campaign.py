"""The campaign: where candidates come from, which are excluded, what is wanted and how the shortlist is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)  # fmt: skip

from matloop.data.errors import CampaignError, ProvenanceError, UnitError, UnknownNameError
from matloop.data.properties.catalogue import Catalogue, catalogue, property_named
from matloop.data.properties.columns import Column
from matloop.data.properties.conditions import read_conditions
from matloop.data.properties.definition import Transform
from matloop.data.properties.durations import read_duration, write_duration
from matloop.data.properties.provenance import Provenance
from matloop.data.properties.units import convert
from matloop.screening.campaign.cluster_settings import LOCAL, Cluster
from matloop.screening.campaign.frozen_model import FrozenModel
from matloop.screening.campaign.own_properties import OwnProperty

Goal = Literal["maximize", "minimize", "at_least", "at_most", "window"]

ANY_DFT = "dft"
"""Provenance of the labels of a target that does not name one: computed, with any functional."""

NAME = r"^[A-Za-z0-9._-]{1,80}$"
"""Form of the name of a campaign."""

EMBEDDED = "embedded"
"""Name under which the packaged crystals teach, unless a campaign names other data."""

ASE = "ase"
"""Name of the potential that takes a calculator of ASE."""

FAMILIES_TO_CHOOSE_FROM = ("extra_trees", "gaussian_process", "boosted_trees", "stack")
"""Families to choose among within a budget if the campaign lists none: those without torch, the fastest first."""


class Entry(FrozenModel):
    """A source, filter or featurizer by name, with its options.

    A campaign gives the name alone, or ``name: {option: value}``, or ``name: value`` if the first option is enough.
    """

    name: str = Field(description="Name in the registry.")
    options: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments.")
    argument: JsonValue = Field(None, description="Value of the first option, if given without its name.")

    def make(self, factory: Callable[..., Any]) -> Any:
        """Call the registered class or function with the options."""
        return factory(**self.options) if self.argument is None else factory(self.argument, **self.options)

    @model_serializer
    def _as_written(self) -> Any:
        if self.argument is not None:
            return {self.name: self.argument}
        return {self.name: self.options} if self.options else self.name


def _read_entry(written: Any) -> Any:
    if isinstance(written, str):
        return {"name": written}
    if isinstance(written, Mapping) and len(written) == 1:
        ((name, options),) = written.items()
        if isinstance(options, Mapping):
            return {"name": name, "options": dict(options)}
        return {"name": name, "argument": options}
    if isinstance(written, Entry):
        return written
    raise ValueError("write a name, or one name with its options: 'name: {option: value}'")


WrittenEntry = Annotated[Entry, BeforeValidator(_read_entry)]
"""An entry in any of the ways a campaign writes it."""

Entries = tuple[WrittenEntry, ...]


def _read_families(written: Any) -> Any:
    if isinstance(written, str):
        return written
    names = list(written) if isinstance(written, list | tuple) else []
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError("write one family, or a list of different families to choose among")
    return names[0] if len(names) == 1 else tuple(names)


Families = Annotated[str | tuple[str, ...], BeforeValidator(_read_families)]
"""One model family by name, or several to choose among."""


def _read_duration(written: Any) -> int:
    try:
        return read_duration(written if isinstance(written, str) else str(written))
    except UnitError as error:
        raise ValueError(str(error)) from error


Duration = Annotated[
    int,
    BeforeValidator(_read_duration),
    PlainSerializer(write_duration, return_type=str),
    WithJsonSchema({"type": "string"}),
]
"""Whole seconds. A campaign gives the number with its unit, such as ``5m``."""


def _read_provenance(written: str) -> str:
    try:
        return str(Provenance.read(written))
    except ProvenanceError as error:
        raise ValueError(str(error)) from error


class Transfer(FrozenModel):
    """Learn a property from labels of one provenance with the help of labels of another.

    Many computed values and few measured ones give one model: of the measured values. It learns the difference, so the
    two kinds of labels are never mixed.
    """

    from_: str = Field(
        alias="from", description="Provenance of the many labels that help, such as `dft:pbe`, or that of another lab."
    )
    to: str = Field(description="Provenance of the labels that the surrogate predicts, such as `exp`.")

    @field_validator("from_", "to")
    @classmethod
    def _are_provenances(cls, written: str) -> str:
        return _read_provenance(written)

    @model_validator(mode="after")
    def _two_different_provenances(self) -> Self:
        helping, wanted = Provenance.read(self.from_), Provenance.read(self.to)
        if helping.covers(wanted) or wanted.covers(helping):
            raise ValueError(
                f"'from: {self.from_}' and 'to: {self.to}' may mean the same labels; name two different provenances"
            )
        return self

    @model_serializer
    def _as_written(self) -> dict[str, str]:
        return {"from": self.from_, "to": self.to}

    def helps(self, provenance: str) -> bool:
        """Whether labels of a provenance are those that help.

        Raises:
            ProvenanceError: If the text is not a provenance.
        """
        return Provenance.read(self.from_).covers(Provenance.read(provenance))


class Target(FrozenModel):
    """The range that is wanted for one property.

    ``maximize`` and ``minimize`` ask for a value better than ``value``, or better than 95 % of the training data if
    ``value`` is left out. So every target is a range, and candidates rank by the probability of lying in all ranges.
    """

    property: str = Field(description="Name of the property.")
    goal: Goal = Field(description="Kind of range.")
    unit: str = Field(description="Unit of the numbers below.")
    value: float | None = Field(None, description="Limit of the range, in `unit`.")
    lower: float | None = Field(None, description="Lower end of a window, in `unit`.")
    upper: float | None = Field(None, description="Upper end of a window, in `unit`.")
    family: Families | None = Field(
        None, description="Model family, or a list of families to choose among. If left out, that of the stage."
    )
    provenance: str = Field(
        ANY_DFT, description="Where the labels come from: `dft`, `dft:FUNCTIONAL`, `exp` or `exp:LAB`."
    )
    transform: Transform | None = Field(
        None, description="Scale on which the surrogate learns the property. If left out, that of the property."
    )
    at: dict[str, str] = Field(
        default_factory=dict,
        description="Conditions at which the property is wanted, where its labels state them: each a number with its "
        "unit, such as `temperature: 300 K`.",
    )
    probability: Literal["distribution", "classifier"] = Field(
        "distribution",
        description="How to compute the probability of meeting the target: from the predictive distribution of the "
        "value, or by a calibrated classifier of lying in the range.",
    )

    transfer: Transfer | None = Field(
        None,
        description="Labels of another provenance that help, such as `{from: dft:pbe, to: exp}`: few measured rows "
        "lift many computed ones. Labels of two provenances are never mixed without it.",
    )

    @model_validator(mode="before")
    @classmethod
    def _transfer_names_provenance(cls, written: Any) -> Any:
        if isinstance(written, Mapping) and "provenance" not in written:
            transfer = written.get("transfer")
            wanted = transfer.to if isinstance(transfer, Transfer) else None
            if isinstance(transfer, Mapping):
                wanted = transfer.get("to")
            if isinstance(wanted, str):
                return {**written, "provenance": wanted}
        return written

    @field_validator("provenance")
    @classmethod
    def _provenance_is_one(cls, written: str) -> str:
        return _read_provenance(written)

    @field_validator("at", mode="before")
    @classmethod
    def _conditions_have_units(cls, written: Any) -> Any:
        if not isinstance(written, Mapping):
            raise ValueError("write each condition with its value, such as {temperature: 300 K}")
        try:
            read_conditions(written)
        except (UnitError, UnknownNameError) as error:
            raise ValueError(str(error)) from error
        return written

    def conditions(self) -> dict[str, float]:
        """Return the conditions at which the property is wanted, by name, in the unit in which each is stored."""
        return read_conditions(self.at)

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Plain values; what has its default is left out where a target that does not name it reads the same."""
        written: dict[str, Any] = handler(self)
        if self.provenance == ANY_DFT:
            written.pop("provenance", None)
        if self.transfer is None:
            written.pop("transfer", None)
        if not self.at:
            written.pop("at", None)
        return written

    def names_provenance(self) -> bool:
        """Whether the campaign says which labels teach this target."""
        return self.provenance != ANY_DFT

    def accepts(self, provenance: str) -> bool:
        """Whether this target may learn from labels of a provenance.

        Raises:
            ProvenanceError: If the text is not a provenance.
        """
        return Provenance.read(self.provenance).covers(Provenance.read(provenance))

    @model_validator(mode="after")
    def _transfer_leads_to_provenance(self) -> Self:
        if self.transfer is not None and self.provenance != self.transfer.to:
            raise ValueError(
                f"'provenance: {self.provenance}' is not 'to: {self.transfer.to}' of the transfer; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _numbers_fit_goal(self) -> Self:
        if self.goal == "window":
            if self.lower is None or self.upper is None or self.value is not None or self.lower >= self.upper:
                raise ValueError("goal 'window' takes 'lower' and 'upper' (lower < upper) and no 'value'")
        elif self.lower is not None or self.upper is not None:
            raise ValueError(f"goal '{self.goal}' takes 'value', not 'lower' or 'upper'")
        elif self.goal in ("at_least", "at_most") and self.value is None:
            raise ValueError(f"goal '{self.goal}' needs a 'value'")
        return self

    def scale(self) -> Transform:
        """Scale on which the surrogate learns.

        Raises:
            UnknownNameError: For an unknown property.
        """
        return self.transform or property_named(self.property).transform

    def is_relative(self) -> bool:
        """Whether the range depends on the training data."""
        return self.goal in ("maximize", "minimize") and self.value is None

    def range(self, best_of_training: tuple[float, float]) -> tuple[float, float]:
        """Lower and upper end of the range in the unit of the property, infinite if there is no limit.

        Args:
            best_of_training: 5th and 95th percentile of the training data, in the unit of the property.

        Raises:
            UnknownNameError: For an unknown property or unit.
            UnitError: If the unit is one of another quantity.
        """
        own = property_named(self.property).unit
        convert(0.0, self.unit, own)  # a wrong unit is refused even if there is no number to convert
        low, high = float("-inf"), float("inf")
        if self.goal == "window":
            return tuple(convert(end, self.unit, own) for end in (self.lower, self.upper))  # type: ignore[arg-type,return-value]
        if self.goal in ("at_least", "maximize"):
            low = best_of_training[1] if self.value is None else convert(self.value, self.unit, own)
        else:
            high = best_of_training[0] if self.value is None else convert(self.value, self.unit, own)
        return low, high


class SurrogateStage(FrozenModel):
    """Scores every candidate with one surrogate per target, and keeps the most probable candidates."""

    features: Entries = Field(min_length=1, description="Featurizers, whose columns are joined.")
    family: Families = Field(
        "extra_trees", description="Model family, or a list of families to choose among for each target."
    )
    budget: Duration | None = Field(
        None,
        description="Time to choose and fit families, for all targets of the stage, with its unit: `90s`, "
        "`5m` or `1h`. Without a budget every listed family is tried, on all rows instead of 1,500.",
    )
    keep: int = Field(gt=0, le=100_000, description="Number of candidates that go on to the next stage, or are ranked.")

    @model_validator(mode="before")
    @classmethod
    def _budget_chooses(cls, written: Any) -> Any:
        if isinstance(written, Mapping) and written.get("budget") is not None and "family" not in written:
            return {**written, "family": list(FAMILIES_TO_CHOOSE_FROM)}
        return written


class ChosenPotential(FrozenModel):
    """A potential by name, with its options."""

    name: str = Field(description="Name of the potential.")
    options: dict[str, JsonValue] = Field(
        default_factory=dict, description="Options of the potential, or of the calculator."
    )
    calculator: str | None = Field(
        None,
        description="With `name: ase`: the class or function of an installed package that makes a calculator of ASE, "
        "as `package.module:name`. It is called only where its module is allowed, such as by `--allow`.",
    )
    weights: str | None = Field(
        None,
        description="With `name: ase`: file with the weights of the calculator. The option that takes its path has "
        "the value `$weights`.",
    )
    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="With `weights`: sha256 of that file, in hexadecimal digits."
    )
    elements: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        max_length=118,
        description="With `name: ase`: symbols of the elements that the calculator was made for. Crystals with others "
        "are refused without asking it. All elements without.",
    )

    @model_validator(mode="after")
    def _calculator_goes_with_ase(self) -> Self:
        given = [name for name in ("calculator", "weights", "sha256", "elements") if getattr(self, name) is not None]
        if self.name != ASE and given:
            raise ValueError(f"'{given[0]}' goes with 'name: {ASE}', the adapter to calculators of ASE")
        if self.name == ASE and self.calculator is None:
            raise ValueError(f"'name: {ASE}' needs a 'calculator', written package.module:name")
        return self

    @property
    def parameters(self) -> dict[str, JsonValue]:
        """Options with which the potential is made."""
        if self.calculator is None:
            return self.options
        written: dict[str, JsonValue] = {
            "calculator": self.calculator, "weights": self.weights, "sha256": self.sha256,
            "elements": None if self.elements is None else list(self.elements),
        }  # fmt: skip
        return {"options": self.options, **{name: value for name, value in written.items() if value is not None}}


class PotentialStage(ChosenPotential):
    """Relaxes the remaining candidates with an interatomic potential, and judges their stability by the energy."""

    name: str = Field("chgnet", description="Name of the potential.")
    steps: int = Field(150, gt=0, le=10_000, description="Largest number of steps of a relaxation.")
    largest_force: float = Field(
        0.1, gt=0, le=1, description="A relaxation ends when all forces are below this value, in eV/Å."
    )
    seconds: float = Field(300, gt=0, le=86_400, description="Largest time for one crystal, in seconds.")
    rattle: float = Field(
        0.15,
        ge=0,
        le=0.5,
        description="Root mean square of random displacements, in Å, by which all atoms of a relaxed crystal are moved "
        "before it relaxes once more. Where it falls in energy the new crystal replaces it. 0 skips this test.",
    )
    phonons: bool = Field(
        False,
        description="Whether the lattice vibrations of the finalists are computed, for a warning on their cards. Needs "
        "the extra `phonons`.",
    )
    references: Entries = Field((), description="Sources of further reference phases for the convex hull.")
    competitors: int = Field(
        40,
        ge=0,
        le=1_000,
        description="Largest number of known phases without a packaged crystal that are relaxed, because they compete "
        "with the best candidates on the hull of the potential's own energies. 0 relaxes none.",
    )
    second: ChosenPotential | None = Field(
        None,
        description="A second potential, by name or with options. It gives each relaxed crystal an energy of its own. "
        "Where the two disagree about stability, less is claimed.",
    )

    @field_validator("second", mode="before")
    @classmethod
    def _second_by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def second_stage(self) -> Self | None:
        """The second potential, with the limits of this one."""
        if self.second is None:
            return None
        given = self.second.model_dump()
        return self.model_copy(update={**given, "references": (), "phonons": False, "second": None})


class ComputedHull(FrozenModel):
    """Places candidates that bring a computed energy on the convex hull of computed phases, without any potential.

    Each such candidate gets the columns `formation_energy_per_atom_dft` and `energy_above_hull_dft`. Filters of the
    kind `stated_value` look at them.
    """

    references: Entries = Field(
        min_length=1,
        description="Sources of the phases, all of one calculation: competing phases, and the elements in pure form.",
    )
    column: str = Field(
        Column.ENTRY_ENERGY_PER_ATOM.value,
        max_length=200,
        description="Number with the total energy in eV/atom, of the phases and of the candidates.",
    )


class Shortlist(FrozenModel):
    """Chooses the shortlist among the ranked candidates."""

    size: int = Field(gt=0, le=1000, description="Number of candidates on the shortlist.")
    diversity: float = Field(
        0.5, ge=0, le=1, description="0 takes the most probable candidates; 1 prefers different chemistry."
    )
    explore: bool = Field(False, description="Whether candidates outside the domain of a surrogate are ranked too.")
    max_false_discovery: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Largest expected share of misses. Only the largest set of candidates that keeps it is used.",
    )


class Campaign(FrozenModel):
    """Everything that determines the result of a run."""

    name: str = Field(pattern=NAME, description="Name of the campaign, used in folder names.")
    title: str = Field("", max_length=300, description="One line for readers.")
    title_zh: str = Field("", max_length=300, description="The same line in Chinese, for the report in Chinese.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of all random choices.")
    sources: Entries = Field(min_length=1, description="Where candidates come from.")
    properties: tuple[OwnProperty, ...] = Field(
        (),
        max_length=50,
        description="Properties that the packaged catalogue does not know: a list, or the path of a file with one.",
    )
    data: Entries = Field(
        (Entry(name=EMBEDDED, argument=None),),
        min_length=1,
        max_length=50,
        description="Labelled data that the surrogates learn from: own labels, and packaged ones by name.",
    )
    filters: Entries = Field((), description="Hard filters, applied in this order.")
    hull: ComputedHull | None = Field(
        None, description="Computed phases that candidates with computed energies are compared with."
    )
    targets: tuple[Target, ...] = Field(
        min_length=1, max_length=10, description="Properties that matter, one target for each."
    )
    surrogates: SurrogateStage = Field(description="First stage, which scores every candidate.")
    structure: SurrogateStage | None = Field(
        None, description="Second stage, which scores the remaining candidates by their crystals."
    )
    potential: PotentialStage | None = Field(None, description="Third stage, which relaxes the remaining candidates.")
    shortlist: Shortlist = Field(description="How the shortlist is chosen.")
    cluster: Cluster = Field(LOCAL, description="Where the workers run. No result depends on it.")

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue in use, with the properties of this campaign.

        Raises:
            PropertyError: If a property has a name that is taken.
        """
        own = tuple(written.definition() for written in self.properties)
        return Catalogue((*(known for known in catalogue().own if known not in own), *own))

    @property
    def scoring_stages(self) -> dict[str, SurrogateStage]:
        """Stages that score with surrogates, by name, in their order."""
        stages = {"surrogates": self.surrogates, "structure": self.structure}
        return {name: stage for name, stage in stages.items() if stage is not None}

    @property
    def ranked(self) -> int:
        """Number of candidates that are left when the shortlist is chosen."""
        return list(self.scoring_stages.values())[-1].keep

    def families(self, stage: str, target: Target) -> tuple[str, ...]:
        """Families to choose among for the surrogate of a target in a scoring stage; only one if there is no choice."""
        written = target.family or self.scoring_stages[stage].family
        return (written,) if isinstance(written, str) else written

    def seconds_for(self, stage: str) -> float | None:
        """Time for choosing and fitting each surrogate of a stage that has a choice, None if there is no limit.

        The budget of the stage is divided evenly among the targets that have a choice of families.
        """
        budget = self.scoring_stages[stage].budget
        choices = sum(len(self.families(stage, target)) > 1 for target in self.targets)
        return None if budget is None else budget / max(choices, 1)

    def with_budget(self, seconds: int) -> Self:
        """Return the campaign with one budget for choosing families, divided evenly among its stages.

        A stage with one family chooses among that one and :data:`FAMILIES_TO_CHOOSE_FROM`. A target with one family
        keeps it.

        Args:
            seconds: Time for all surrogates together; it replaces the budgets of the stages.

        Raises:
            CampaignError: If every target names one family.
        """
        if all(isinstance(target.family, str) for target in self.targets):
            raise CampaignError(
                "a budget for a campaign whose targets each name one family", "a target with a choice",
                "leave 'family' of a target out or write a list",
            )  # fmt: skip
        share = max(seconds // len(self.scoring_stages), 1)
        changed = {}
        for name, stage in self.scoring_stages.items():
            written = stage.family
            if isinstance(written, str):
                written = tuple(dict.fromkeys((written, *FAMILIES_TO_CHOOSE_FROM)))
            changed[name] = stage.model_copy(update={"family": written, "budget": share})
        return self.model_copy(update=changed)

    @model_validator(mode="after")
    def _one_definition_per_name(self) -> Self:
        names = [written.name for written in self.properties]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two properties named '{min(twice)}'; give each a name of its own")
        return self

    @model_validator(mode="after")
    def _one_target_per_property(self) -> Self:
        names = [target.property for target in self.targets]
        if len(set(names)) != len(names):
            raise ValueError("two targets for one property; write one with goal 'window'")
        return self
