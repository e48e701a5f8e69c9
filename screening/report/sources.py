"""The data a run rests on: what to cite and under which licence it may be passed on."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matloop.data.element_facts.fact_tables import fact_table
from matloop.data.errors import MatloopError
from matloop.data.packaged.citations import (
    CITATIONS,
    ELEMENT_PROPERTIES,
    MATERIALS_PROJECT,
    Citation,
)
from matloop.data.registry import SOURCES, lookup
from matloop.data.training.packaged_tables import LICENCE
from matloop.data.training.training_sets import TrainingSets
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.entry import Entries
from matloop.screening.filters.used_facts import used_fact_tables
from matloop.screening.language.text import Words, property_words
from matloop.screening.registry import FILTERS


class Source(NamedTuple):
    """A source of data or a method.

    Attributes:
        use: What the run took from it.
        citation: The publication.
        licence: Of the data; empty for a method.
    """

    use: Words
    citation: str
    licence: str = ""


_ELEMENT_MOVERS_DISTANCE = (
    "C. J. Hargreaves et al., The earth mover's distance as a metric for the space of inorganic compositions, "
    "Chemistry of Materials 32, 10610 (2020), doi:10.1021/acs.chemmater.0c03381"
)


def sources_of(campaign: Campaign, training: TrainingSets, *, further: Sequence[Citation] = ()) -> list[Source]:
    """What a run rests on, the training data first.

    Args:
        campaign: The campaign.
        training: What its surrogates learned from.
        further: What else the run rests on, such as potentials.
    """
    labels: dict[tuple[str, str], list[Words]] = {}
    for target in campaign.targets:
        sets = [training[target.property], *training.only(target.property).helping.values()]
        for data in sets:
            labels.setdefault((data.citation or data.name, data.licence), []).append(property_words(target.property))
    found = []
    for (citation, licence), words in labels.items():
        english, chinese = ", ".join(label.en for label in words), "、".join(label.zh for label in words)
        found.append(Source(Words(f"Training data: {english}", f"训练数据：{chinese}"), citation, licence))
    crystals = Words("Crystals and known compounds", "晶体结构与已知化合物")
    found.append(Source(crystals, CITATIONS[MATERIALS_PROJECT], LICENCE))
    cited = {citation for citation, _ in labels}
    named = _hooks("source", SOURCES, campaign.sources, "cites")
    named += _hooks("filter", FILTERS, campaign.filters, "cites")
    named.append(further)
    for each in dict.fromkeys(citation for citations in named for citation in citations):
        if each.publication not in cited:
            found.append(Source(Words(*each.use), each.publication, each.licence))
    for table in map(fact_table, used_fact_tables(campaign)):
        found.append(Source(Words(*table.label), f"{table.source}; as of {table.as_of}", table.licence))
    found.append(
        Source(Words("Properties of the elements", "元素性质"), CITATIONS[ELEMENT_PROPERTIES], "matminer, BSD")
    )
    found.append(Source(Words("Distance between compositions", "成分间距离"), _ELEMENT_MOVERS_DISTANCE))
    return found


def cautions_of(campaign: Campaign) -> list[Words]:
    """What the sources of a campaign say of their crystals where these were not relaxed."""
    return [Words(*caution) for caution in dict.fromkeys(_hooks("source", SOURCES, campaign.sources, "caution"))]


def _hooks(kind: str, table: Mapping[str, str], entries: Entries, hook: str) -> list[Any]:
    """What the things that a campaign names say under a hook; those that say nothing, or are gone, are left out."""
    found = []
    for entry in entries:
        with contextlib.suppress(MatloopError):  # a report is also written where a package is no longer installed
            found.append(getattr(lookup(kind, table, entry.name), hook, None))
    return [each for each in found if each]
