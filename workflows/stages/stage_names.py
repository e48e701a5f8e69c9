"""Names of the stages at which candidates of a campaign can end."""

from __future__ import annotations

from matloop.screening.campaign.campaign import Campaign


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
    names += ["structure"] * (campaign.structure is not None) + ["potential"] * (campaign.potential is not None)
    return [*names, "shortlist"]
