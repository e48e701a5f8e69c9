"""Names of the stages at which candidates of a campaign can end."""

from __future__ import annotations

from matloop.screening.campaign.campaign import Campaign

_OF_POTENTIAL = ["potential", "stability"]


def filter_stages(campaign: Campaign) -> list[str]:
    """Stage of each filter, by the name the campaign gives it; a filter named again is told by its number there."""
    names: list[str] = []
    for number, entry in enumerate(campaign.filters, start=1):
        name = f"filter {entry.name}"
        names.append(f"filter {number} {entry.name}" if name in names else name)
    return names


def stage_names(campaign: Campaign) -> list[str]:
    """Stages at which a candidate of this campaign can end, in order."""
    names = ["intake", *filter_stages(campaign)]
    names += ["features", "surrogates", "domain", "ranking"]
    names += ["structure"] * (campaign.structure is not None)
    names += _OF_POTENTIAL if campaign.potential is not None else []
    return [*names, "shortlist"]


def partitioned_stages(campaign: Campaign) -> list[str]:
    """Stages that candidates of this campaign are worked on in, in order; each has files in ``partitions/``."""
    return [*campaign.scoring_stages, *(_OF_POTENTIAL if campaign.potential is not None else [])]
