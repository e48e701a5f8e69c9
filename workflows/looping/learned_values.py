"""Whether the values that a model learned from still stand: one that was corrected or retracted since does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from matloop.data.properties.catalogue import using
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.record_labels import RecordLabels
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.looping.champions import Champion, champion_of
from matloop.workflows.looping.taught_campaign import records_options


def values_taken_back(campaign: Campaign, name: str, champion: Champion, *, place: str | None) -> int:
    """How many of the values that a model learned from were corrected or retracted since.

    A value that came again with more cells filled in stands. Values of a sample that failed after all do not.

    Args:
        campaign: The campaign, with its catalogue in use.
        name: The property.
        champion: The model.
        place: The records database.
    """
    if champion.until == 0:
        return 0
    options = records_options(
        campaign, name, place=place, laboratory=champion.laboratory or "", until=champion.until
    )  # fmt: skip
    then, now = (_taught(RecordLabels(**{**options, "until": until})) for until in (champion.until, None))
    return (then - now).total()


def outdated_models(
    database: RecordsDatabase, campaign: Campaign, properties: Sequence[str], *, place: str | None
) -> dict[str, int]:
    """Number of values taken back that a model in use learned from, by property; models without any are left out.

    Args:
        database: The records.
        campaign: The campaign.
        properties: Properties of its targets.
        place: Where the records are.
    """
    with using(campaign.catalogue):
        in_use = {name: champion_of(database, campaign.name, name) for name in properties}
        found = {
            name: values_taken_back(campaign, name, champion, place=place)
            for name, champion in in_use.items() if champion is not None
        }  # fmt: skip
    return {name: count for name, count in found.items() if count}


def compounds_that_teach(taught: Campaign) -> int:
    """How many compounds have a value that teaches a campaign with one target, in the records that it names last.

    Limits teach nothing, nor do values of samples that failed or were made only in part, unless the campaign asks for
    these, nor values outside the conditions that it asks for.

    Args:
        taught: The campaign, with its catalogue in use.
    """
    return len({formula for formula, _ in _taught(RecordLabels(**taught.data[-1].options))})


def _taught(labels: RecordLabels) -> Counter[tuple[str, float]]:
    return Counter((row.formula, row.cell.value) for row in labels.read_rows().rows if not row.code)
