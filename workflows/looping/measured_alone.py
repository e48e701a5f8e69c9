"""Properties that nothing but the records of laboratories teaches, and campaigns that ask for them before they can.

Such a property has no labels until enough compounds are measured. A campaign that names it can be used by the commands
of the loop all the same, which tell how many results there are; a screening needs a model of every target.
"""

from __future__ import annotations

from pathlib import Path

from matloop.data.errors import TrainingSetError
from matloop.data.properties.catalogue import using
from matloop.data.training.packaged_tables import DEFAULT, labelled_table
from matloop.screening.campaign.campaign import EMBEDDED, Campaign
from matloop.screening.campaign.campaign_file import campaign_error
from matloop.workflows.inspecting.validation import campaign_path, checked_campaign, validate
from matloop.workflows.looping.taught_campaign import NAME, target_named
from matloop.workflows.running.own_data import is_packaged


def is_measured_alone(campaign: Campaign, property_name: str) -> bool:
    """Whether a campaign names no labels of a property but records of laboratories.

    Args:
        campaign: The campaign, with its catalogue in use.
        property_name: Of one of its targets.
    """
    if target_named(campaign, property_name).transfer is not None:
        return False
    for entry in campaign.data:
        if is_packaged(entry):
            if labelled_table(DEFAULT if entry.name == EMBEDDED else entry.name).has(property_name):
                return False
        elif entry.name != NAME and entry.options.get("property") == property_name:
            return False
    return True


def loop_campaign(name: str | Path) -> Campaign:
    """The campaign, once nothing is wrong with it but that results are too few for a property measured alone.

    Args:
        name: A campaign file, or the name of a packaged campaign.

    Raises:
        CampaignError: Listing every other problem with its line.
    """
    path = campaign_path(name)
    text, problems = validate(path)
    if text.campaign is None or not problems:
        return checked_campaign(name)
    waiting = _places_that_wait(text.campaign)
    left = [one for one in problems if not (one.where in waiting and one.message.startswith(waiting[one.where]))]
    if left:
        raise campaign_error(path, left)
    return text.campaign


def _places_that_wait(campaign: Campaign) -> dict[str, str]:
    """Where a campaign may have a problem because results are too few, and how the message of that problem begins."""
    with using(campaign.catalogue):
        alone = [
            target.property for target in campaign.targets
            if target.property in campaign.catalogue and is_measured_alone(campaign, target.property)
        ]  # fmt: skip
    data = {
        f"data.{place}": TrainingSetError.code for place, entry in enumerate(campaign.data)
        if entry.name == NAME and entry.options.get("property") in alone
    }  # fmt: skip
    targets = {
        f"targets.{place}.property": "" for place, target in enumerate(campaign.targets) if target.property in alone
    }
    return data | targets
