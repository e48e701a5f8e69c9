"""Where the probability of a target comes from, if it does not come from the interval that stands beside it."""

from __future__ import annotations

from matloop.screening.campaign.campaign import Campaign
from matloop.screening.language.text import Words


def probability_source(campaign: Campaign, name: str) -> Words | None:
    """Say what gives the probability of a target; None where it is that of the interval.

    A probability from elsewhere may be below one half although the predicted value meets the target, and the other way
    round.

    Args:
        campaign: The campaign.
        name: Property of the target.
    """
    if any(target.property == name and target.probability == "classifier" for target in campaign.targets):
        return Words(
            "its probability comes from a classifier that learned which compounds meet the target, not from this"
            " interval",
            "其概率由学习哪些化合物达标的分类器给出，并非由此区间得出",
        )
    return None
