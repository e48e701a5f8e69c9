"""Check a campaign without training or generating anything."""

from __future__ import annotations

import difflib
import itertools
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.errors import CampaignError, InputFileError, MatloopError, PlugInContractError
from matloop.data.options import check_options
from matloop.data.own_labels.label_account import ReadLabels, assembled, together
from matloop.data.plain_text import counted
from matloop.data.properties.catalogue import property_named, using
from matloop.data.registry import SOURCES, lookup
from matloop.data.sources.contract import Source
from matloop.data.sources.table import FormulaTable
from matloop.data.training.known_formulas import read_known_formulas
from matloop.data.training.packaged_tables import labelled_table, packaged_training_set
from matloop.data.training.training_set import TrainingSet
from matloop.data.training.training_sets import PackagedSet, TrainingSets, packed
from matloop.featurizers.base import FeatureSet, Featurizer
from matloop.models.potentials.ase_calculator import AsePotential
from matloop.models.potentials.contract import energy_source, potential_named, require_capability
from matloop.models.potentials.phonons import require_phonopy
from matloop.models.registry import MODELS, POTENTIALS
from matloop.models.surrogates.classification import check_both_sides
from matloop.models.surrogates.conditions import check_asked, learned_conditions
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.campaign_file import CampaignText, Problem, campaign_error, inspect_campaign
from matloop.screening.campaign.entry import Entries, Entry
from matloop.screening.campaign.source_paths import with_absolute_paths
from matloop.screening.campaign.stage_settings import ChosenPotential, PotentialStage
from matloop.screening.campaign.target import Target
from matloop.screening.campaign.written_values import Families
from matloop.screening.campaign.yaml_document import Location
from matloop.screening.filters.contract import Filter
from matloop.screening.ranking.objectives import objective_column
from matloop.screening.registry import FILTERS
from matloop.workflows.running.own_data import (
    OwnData,
    handed_properties,
    is_packaged,
    read_labels,
    read_own_data,
    training_of,
    with_provenances,
)
from matloop.workflows.running.own_hull import own_hull
from matloop.workflows.stages.campaign_featurizers import CAMPAIGN_FEATURIZERS

_CONTRACTS: Mapping[str, type] = {"source": Source, "featurizer": Featurizer, "filter": Filter}
_MOST_LOOKED_AT = 1000
PACKAGED_CAMPAIGNS = Path(__file__).parents[1] / "campaigns"


def campaign_path(name: str | Path) -> Path:
    """A campaign file, or the packaged campaign of that name.

    >>> campaign_path("optical_window").name
    'optical_window.yaml'
    """
    packaged = PACKAGED_CAMPAIGNS / f"{name}.yaml"
    own = Path(name).expanduser()
    return packaged if packaged.is_file() and not own.is_file() else own


def checked_campaign(name: str | Path, training_sets: Sequence[TrainingSet] = ()) -> Campaign:
    """The campaign, once nothing is wrong with it.

    Args:
        name: A campaign file, or the name of a packaged campaign.
        training_sets: Training sets besides the packaged ones.

    Raises:
        CampaignError: Listing every problem with its line.
    """
    path = campaign_path(name)
    if not os.path.lexists(path):
        got, fix = _not_there(path)
        raise CampaignError(got, f"a campaign file, or a packaged campaign: {', '.join(_packaged())}", fix)
    text, problems = validate(path, training_sets)
    if text.campaign is None or problems:
        raise campaign_error(path, problems)
    return text.campaign


def check_campaign(campaign: Campaign, training_sets: Sequence[TrainingSet] = ()) -> None:
    """Check the meaning of a campaign that was made in Python.

    Args:
        campaign: The campaign.
        training_sets: Training sets besides the packaged ones.

    Raises:
        CampaignError: Listing every problem with its place in the campaign.
    """
    wrong = _problems(campaign, training_sets)
    problems = [Problem(0, ".".join(map(str, place)), reason) for place, reason in wrong]
    if problems:
        listed = "; ".join(str(problem) for problem in problems)
        raise CampaignError(
            f"campaign '{campaign.name}' has {counted(len(problems), 'problem')}: {listed}", fix="change what is named"
        )


def validate(name: str | Path, training_sets: Sequence[TrainingSet] = ()) -> tuple[CampaignText, list[Problem]]:
    """Every problem of a campaign file, of form or of meaning, in the order of its lines.

    Sources, featurizers, filters and families are looked up and set up with their options; nothing is run.

    Args:
        name: A campaign file, or the name of a packaged campaign.
        training_sets: Training sets besides the packaged ones.
    """
    path = campaign_path(name)
    if not os.path.lexists(path):
        return CampaignText(None, [], {}), [Problem(0, "", "; ".join(_not_there(path)))]
    text = inspect_campaign(path)
    if text.campaign is None:
        return text, text.problems
    campaign = with_absolute_paths(text.campaign, path.parent)
    wrong = list(_problems(campaign, training_sets))
    found = [Problem(text.line_of(place), ".".join(map(str, place)), reason) for place, reason in wrong]
    slips = {slip.line: slip.message for slip in text.slips}
    told = sorted(_with_slip(problem, slips.get(problem.line, "")) for problem in found)
    return text._replace(campaign=campaign), told


def _with_slip(problem: Problem, slip: str) -> Problem:
    """A problem, and the slip of typing in its line that may be the cause."""
    end = " " if problem.message.endswith(("?", ".")) else ". "
    return problem._replace(message=f"{problem.message}{end}The line has {slip}") if slip else problem


def _packaged() -> list[str]:
    return sorted(path.stem for path in PACKAGED_CAMPAIGNS.glob("*.yaml"))


def _not_there(path: Path) -> tuple[str, str]:
    """What to say of a campaign that is not there, and how to mend it: with the nearest name, if one is near."""
    beside = [
        str(found) for pattern in ("*.yaml", "*.yml") for found in itertools.islice(path.parent.glob(pattern), 1000)
    ]
    close = difflib.get_close_matches(str(path), [*_packaged(), *beside], n=1)
    fix = f"did you mean '{close[0]}'?" if close else "look at the path; matloop validate FILE checks one"
    return f"cannot read {path}: No such file or directory", fix


def _problems(campaign: Campaign, sets: Sequence[TrainingSet]) -> Iterator[tuple[Location, str]]:
    """Every problem of meaning, with the properties of the campaign in use."""
    if taken := _refusal(lambda: list(campaign.catalogue)):
        yield ("properties",), taken
        return
    transfers = {target.property for target in campaign.targets if target.transfer is not None}
    given = {training.property_name: training for training in sets if training.property_name not in transfers}
    with using(campaign.catalogue):
        unreadable = list(_check_data(campaign, handed_properties(campaign, sets)))
        yield from unreadable
        if unreadable:
            lost = {str(entry.options.get("property")) for entry in campaign.data}
            readable = [target for target in campaign.targets if target.property not in lost]
            yield from _check(campaign.model_copy(update={"targets": tuple(readable)}), given)
            return
        own = read_own_data(campaign, sets)
        taught = {training.property_name for training in own.sets} | transfers
        training = dict(given)
        for index, target in enumerate(campaign.targets):
            if target.property in given or target.property not in campaign.catalogue:
                continue
            one, found = campaign.model_copy(update={"targets": (target,)}), list[TrainingSets]()
            key = "provenance" if target.transfer is None else "transfer"
            reason = _refusal(lambda one=one, found=found: found.append(_sets_of(one, own, sets)))  # type: ignore[misc]
            if found:
                training[target.property] = found[0][target.property]
            elif target.property in taught:
                yield ("targets", index, key), reason
        taught |= {name for name, one in training.items() if isinstance(packed(one), PackagedSet)}
        yield from _check(_resolved(campaign, training, taught), training)


def _sets_of(campaign: Campaign, own: OwnData, sets: Sequence[TrainingSet]) -> TrainingSets:
    """What a campaign of one target learns from; training sets that are given matter to a transfer alone."""
    (target,) = campaign.targets
    given = [training for training in sets if training.property_name == target.property]
    return training_of(campaign, own, given if target.transfer is not None else ())


def _resolved(campaign: Campaign, training: Mapping[str, TrainingSet], taught: set[str]) -> Campaign:
    """The campaign with the provenance of own labels in its targets, without targets that have none to learn from.

    Args:
        campaign: The campaign.
        training: Training sets by property.
        taught: Properties of which the campaign names own labels.
    """
    targets = tuple(target for target in campaign.targets if target.property in training)
    told = with_provenances(campaign.model_copy(update={"targets": targets}), TrainingSets(training))
    resolved = {target.property: target for target in told.targets if target.property in taught}
    kept = [target for target in campaign.targets if target.property in training or target.property not in taught]
    return campaign.model_copy(update={"targets": tuple(resolved.get(one.property, one) for one in kept)})


def _check_data(campaign: Campaign, given: Collection[str]) -> Iterator[tuple[Location, str]]:
    """Read the labels of the campaign, except those of properties whose training sets are given."""
    places: dict[int, int] = {}
    parts: list[ReadLabels] = []
    lost: set[str] = set()  # of these it is known already that something must be mended
    for index, entry in enumerate(campaign.data):
        if is_packaged(entry):
            if entry.options or entry.argument is not None:
                yield ("data", index), f"'{entry.name}' takes no options"
            continue
        if str(entry.options.get("property")) in given:
            continue
        reason = _refusal(lambda entry=entry: parts.append(read_labels(entry)))  # type: ignore[misc]
        if reason:
            lost.add(str(entry.options.get("property")))
            yield ("data", index), reason
        else:
            places.setdefault(id(parts[-1]), index)
    for some in together([part for part in parts if part.property_name not in lost]):
        if reason := _refusal(lambda some=some: assembled(some)):  # type: ignore[misc]
            yield ("data", places[id(some[0])]), reason


def _check(campaign: Campaign, own: Mapping[str, TrainingSet]) -> Iterator[tuple[Location, str]]:
    unusable = list(_check_entries(campaign.sources, ("sources",), "source", SOURCES))
    yield from unusable
    yield from _check_entries(campaign.filters, ("filters",), "filter", FILTERS)
    for name, stage in campaign.scoring_stages.items():
        yield from _check_entries(stage.features, (name, "features"), "featurizer", CAMPAIGN_FEATURIZERS)
        yield from _check_family(stage.family, (name, "family"))
        if stage.budget is not None and all(len(campaign.families(name, target)) == 1 for target in campaign.targets):
            yield (name, "budget"), "there is nothing to choose in that time; make 'family' a list, or leave it out"
    if campaign.known is not None and (reason := _refusal(partial(read_known_formulas, campaign.known))):
        yield ("known",), reason
    if campaign.hull is not None:
        unread = list(_check_entries(campaign.hull.references, ("hull", "references"), "source", SOURCES))
        yield from unread
        if not unread and (reason := _refusal(partial(own_hull, campaign.hull))):
            yield ("hull",), reason
    if campaign.potential is not None:
        yield from _check_potential(campaign.potential)
    if not unusable:
        yield from _check_crystals(campaign)
    for index, target in enumerate(campaign.targets):
        yield from _check_target(target, ("targets", index), own.get(target.property))
    kept = [(f"{name}.keep", stage.keep) for name, stage in campaign.scoring_stages.items()]
    for (before, more), (name, fewer) in itertools.pairwise(kept):
        if fewer > more:
            yield tuple(name.split(".")), f"is larger than {before} = {more}"
    yield from _check_objectives(campaign)
    if campaign.shortlist.size > campaign.ranked:
        yield ("shortlist", "size"), f"is larger than {kept[-1][0]} = {campaign.ranked}"


def _check_objectives(campaign: Campaign) -> Iterator[tuple[Location, str]]:
    """Look up the objectives of the ranking."""
    for index, objective in enumerate(campaign.ranking.objectives):
        if reason := _refusal(partial(objective_column, objective, campaign)):
            yield ("ranking", "objectives", index), reason


def _check_entries(
    entries: Entries, place: Location, kind: str, table: Mapping[str, str]
) -> Iterator[tuple[Location, str]]:
    seen: dict[str, int] = {}
    for index, entry in enumerate(entries):
        made: list[Any] = []
        reason = _refusal(lambda entry=entry, made=made: made.append(_set_up(kind, table, entry)))  # type: ignore[misc]
        if reason:
            yield (*place, index), reason
            continue
        first = seen.setdefault(_same_as(kind, entry, made[0]), index)
        if first != index and kind != "source":
            yield (*place, index), f"'{entry.name}' stands here twice with the same options; leave one of them out"


def _same_as(kind: str, entry: Entry, made: Any) -> str:
    """A text that two entries share if one of them adds nothing to the other."""
    if kind == "featurizer":
        return FeatureSet((made,)).fingerprint
    return entry.model_dump_json()


def _check_crystals(campaign: Campaign) -> Iterator[tuple[Location, str]]:
    """Refuse what needs crystals where no source has any: the run would lose every candidate."""
    sources = [entry.name for entry in campaign.sources]
    if any(getattr(lookup("source", SOURCES, name), "gives_crystals", True) for name in sources):
        return
    told = f"crystals, and the source {' and '.join(sources)} gives formulas alone"
    mend = "or add a source of crystals, such as structure_files"
    for name, stage in campaign.scoring_stages.items():
        for index, entry in enumerate(stage.features):
            made: list[Featurizer] = []
            unusable = _refusal(lambda entry=entry, made=made: made.append(  # type: ignore[misc]
                _set_up("featurizer", CAMPAIGN_FEATURIZERS, entry)
            ))  # fmt: skip
            if not unusable and CRYSTALS in made[0].needs:
                yield (name, "features", index), f"'{entry.name}' needs {told}; leave it out, {mend}"
    if campaign.potential is not None:
        yield ("potential",), f"a relaxation needs {told}; leave 'potential' out, {mend}"


def _set_up(kind: str, table: Mapping[str, str], entry: Entry) -> Any:
    factory = lookup(kind, table, entry.name)
    check_options(entry.name, factory, entry.options, argument=entry.argument)
    made = entry.make(factory)
    if not isinstance(made, _CONTRACTS[kind]):
        raise PlugInContractError(
            f"{kind} '{entry.name}' makes {type(made).__name__}, which lacks a part of its contract",
            f"what {_CONTRACTS[kind].__module__} describes",
            f"derive from {_CONTRACTS[kind].__name__}",
        )
    if isinstance(made, FormulaTable) and not made.has_rows():
        raise InputFileError(f"{made.path} holds no rows", "a header and at least one row below it", "add rows")
    return made


def _check_potential(stage: PotentialStage) -> Iterator[tuple[Location, str]]:
    problems = list(_check_chosen_potential(stage, ("potential",)))
    if not problems and stage.phonons and (reason := _refusal(lambda: _check_phonons(stage))):
        problems.append((("potential", "phonons"), reason))
    second = stage.second
    if second is not None:
        problems += _check_chosen_potential(second, ("potential", "second"))
        if not problems and _source_of(second) == _source_of(stage):
            problems += [(("potential", "second"), f"its energies are those of the first one: {_source_of(stage)}")]
    yield from problems
    yield from _check_entries(stage.references, ("potential", "references"), "source", SOURCES)


def _check_chosen_potential(chosen: ChosenPotential, place: Location) -> Iterator[tuple[Location, str]]:
    unknown = _refusal(lambda: lookup("potential", POTENTIALS, chosen.name))
    if reason := unknown or _refusal(lambda: _set_up_potential(chosen)):
        key = "calculator" if chosen.calculator else "options" if chosen.options else "name"
        yield (*place, "name" if unknown else key), reason


def _source_of(chosen: ChosenPotential) -> str:
    return energy_source(potential_named(chosen.name, **chosen.parameters))


def _set_up_potential(chosen: ChosenPotential) -> None:
    potential = potential_named(chosen.name, **chosen.parameters)
    require_capability(potential, "Evaluates", "RelaxesBatches")
    if isinstance(potential, AsePotential):
        potential.check_calculator()


def _check_phonons(stage: PotentialStage) -> None:
    require_phonopy()
    require_capability(potential_named(stage.name, **stage.parameters), "Evaluates")


def _check_family(family: Families, place: Location) -> Iterator[tuple[Location, str]]:
    for name in (family,) if isinstance(family, str) else family:
        reason = _refusal(lambda name=name: lookup("model", MODELS, name))  # type: ignore[misc]
        if reason:
            yield place, reason


def _check_target(target: Target, place: Location, own: TrainingSet | None) -> Iterator[tuple[Location, str]]:
    reason = _refusal(lambda: property_named(target.property))
    if reason:
        yield (*place, "property"), reason
        return
    known = property_named(target.property)
    reason = _refusal(lambda: target.range((known.lower, known.upper)))
    if reason:
        yield (*place, "unit"), reason
        return
    low, high = target.range((known.lower, known.upper))
    for end in (low, high):
        if np.isfinite(end) and not known.lower <= end <= known.upper:
            allowed = f"{known.lower:g} to {known.upper:g} {known.unit}"
            yield (*place, "value"), f"{end:g} {known.unit} is not possible for {known.label_en}; allowed: {allowed}"
    provenance = labelled_table().provenance if own is None else own.provenance
    if own is None and not labelled_table().has(target.property):
        yield (*place, "property"), f"no packaged data to train a surrogate of '{target.property}' on"
    elif not target.accepts(provenance):
        yield (*place, "provenance"), f"labels of {target.property} have provenance {provenance}"
    elif target.probability == "classifier" and not target.is_relative():
        training = own or packaged_training_set(target.property)
        reason = _refusal(lambda: _check_labels(training, (low, high)))
        if reason:
            yield (*place, "probability"), reason
    learned = learned_conditions({} if own is None else own.conditions)
    reason = _refusal(lambda: check_asked(learned, target.conditions(), of=target.property))
    if reason:
        yield (*place, "at"), reason
    if target.family is not None:
        yield from _check_family(target.family, (*place, "family"))


def _check_labels(training: TrainingSet, wanted: tuple[float, float]) -> None:
    """Refuse a range that too few labelled formulas lie inside or outside to train a classifier."""
    inside = (training.values >= wanted[0]) & (training.values <= wanted[1])
    check_both_sides(inside.astype(float), training.groups, wanted)


def _refusal(attempt: Callable[[], Any]) -> str:
    """What an attempt was refused with; empty where it went through."""
    try:
        attempt()
    except MatloopError as error:
        return str(error)
    except (TypeError, ValueError) as error:
        return f"E-CAMPAIGN: options not accepted: {error}"
    return ""
