"""The campaign whose model learns from records, and the one whose model does not: champion and challenger differ in it.

Where a target is learned from computed values, the challenger learns the difference to them from measured ones (a
transfer). Where it is learned from measured values of the same kind already, those of the laboratory join them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matloop.data.properties.catalogue import property_named
from matloop.data.properties.provenance import Provenance, laboratory_provenance
from matloop.data.properties.units import convert
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.entry import Entry
from matloop.screening.campaign.target import Target, Transfer
from matloop.workflows.modelling.trained_model import TrainedModel

NAME = "records"


def target_named(campaign: Campaign, property_name: str) -> Target:
    """The target of a property."""
    return next(target for target in campaign.targets if target.property == property_name)


def without_records(campaign: Campaign, property_name: str) -> Campaign:
    """The campaign with one target that learns from everything but records of laboratories."""
    data = tuple(entry for entry in campaign.data if entry.name != NAME)
    target = target_named(campaign, property_name)
    if target.transfer is not None and target.value_scale is None and len(data) < len(campaign.data):
        target = target.model_copy(update={"provenance": target.transfer.from_, "transfer": None})
    return campaign.model_copy(update={"data": data, "targets": (target,)})


def taught_by_records(
    campaign: Campaign, base: TrainedModel, *, place: str | None, laboratory: str, until: int
) -> Campaign:
    """The campaign with one target that learns from records too, as they stand after an action.

    Args:
        campaign: The campaign, which may name the records itself.
        base: The model that learned from everything else.
        place: The records database.
        laboratory: Whose results; those of all laboratories if empty.
        until: Number of the last action that counts.
    """
    name = base.known.name
    laboratory = laboratory or stated_laboratory(campaign, name)
    target, stated = target_named(campaign, name), campaign.data
    trained = (base.surrogate.card.get("training_set") or {}).get("provenance", "dft")
    source = laboratory_provenance(laboratory)
    if target.transfer is not None:
        source = target.transfer.to
    elif _are_of_one_kind(trained, source):
        source = trained
        target = target.model_copy(update={"provenance": trained})
    else:
        transfer = Transfer.model_validate({"from": trained, "to": source})
        target = target.model_copy(update={"transfer": transfer, "provenance": source})
    others = [entry for entry in stated if entry.name != NAME]
    options = records_options(campaign, name, place=place, laboratory=laboratory, until=until)
    data = (*others, Entry(name=NAME, options={**options, "source": source}, argument=None))
    return campaign.model_copy(update={"data": data, "targets": (_with_limit(target, base),)})


def taught_alone(campaign: Campaign, property_name: str, *, place: str | None, laboratory: str, until: int) -> Campaign:
    """The campaign with one target that learns from records alone, as they stand after an action.

    Args:
        campaign: The campaign, which may name the records itself.
        property_name: Of the target.
        place: The records database.
        laboratory: Whose results; those of all laboratories if empty.
        until: Number of the last action that counts.
    """
    options = records_options(campaign, property_name, place=place, laboratory=laboratory, until=until)
    target = target_named(campaign, property_name).model_copy(update={"provenance": options["source"]})
    entry = Entry(name=NAME, options=options, argument=None)
    return campaign.model_copy(update={"data": (entry,), "targets": (target,)})


def records_options(campaign: Campaign, name: str, *, place: str | None, laboratory: str, until: int) -> dict[str, Any]:
    """Options of the records as they stand after an action, with those that the campaign states itself.

    Args:
        campaign: The campaign.
        name: The property.
        place: The records database.
        laboratory: Whose results; if empty those of the laboratory that the campaign names, or of all.
        until: Number of the last action that counts.
    """
    laboratory = laboratory or stated_laboratory(campaign, name)
    options = {
        "path": place or "", "property": name, "source": laboratory_provenance(laboratory), "until": until,
        "laboratory": laboratory,
    }  # fmt: skip
    mine = _stated_records(campaign, name)
    return {**(mine[0].options if mine else {}), **options}


def stated_laboratory(campaign: Campaign, name: str) -> str:
    """The laboratory whose records of a property a campaign names; empty where it names none, or several."""
    named = {str(entry.options.get("laboratory") or "") for entry in _stated_records(campaign, name)}
    return named.pop() if len(named) == 1 else ""


def _stated_records(campaign: Campaign, name: str) -> list[Entry]:
    return [entry for entry in campaign.data if entry.name == NAME and entry.options.get("property") == name]


def laboratory_of(taught: Campaign) -> str:
    """Whose records teach a campaign that learns from them; empty for those of all laboratories."""
    return str(taught.data[-1].options["laboratory"])


def absolute_place(place: str | None) -> str | None:
    """A records database whose name does not depend on the working folder."""
    return place if place is None or "://" in place else str(Path(place).expanduser().absolute())


def _are_of_one_kind(first: str, second: str) -> bool:
    one, other = Provenance.read(first), Provenance.read(second)
    return one.covers(other) or other.covers(one)


def _with_limit(target: Target, base: TrainedModel) -> Target:
    """The target with the limit in numbers, where it was relative to the labels: more labels do not move it."""
    if not target.is_relative() or base.wanted is None:
        return target
    limit = base.wanted[0] if target.goal == "maximize" else base.wanted[1]
    return target.model_copy(update={"value": convert(limit, property_named(target.property).unit, target.unit)})
