"""The data a run rests on: what to cite and under which licence it may be passed on."""

from __future__ import annotations

from typing import NamedTuple

from matloop.data.packaged.citations import (
    CITATIONS,
    ELEMENT_PROPERTIES,
    MATERIALS_PROJECT,
    SUBSTITUTION_PROBABILITIES,
    TRANSPORT,
)
from matloop.data.training.packaged_tables import LICENCE
from matloop.data.training.training_sets import TrainingSets
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.language.text import Words, property_words


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


def sources_of(campaign: Campaign, training: TrainingSets) -> list[Source]:
    """What a run rests on, the training data first.

    Args:
        campaign: The campaign.
        training: What its surrogates learned from.
    """
    labels: dict[tuple[str, str], list[Words]] = {}
    for target in campaign.targets:
        data = training[target.property]
        labels.setdefault((data.citation or data.name, data.licence), []).append(property_words(target.property))
    found = []
    for (citation, licence), words in labels.items():
        english, chinese = ", ".join(label.en for label in words), "、".join(label.zh for label in words)
        found.append(Source(Words(f"Training data: {english}", f"训练数据：{chinese}"), citation, licence))
    crystals = Words("Crystals and known compounds", "晶体结构与已知化合物")
    found.append(Source(crystals, CITATIONS[MATERIALS_PROJECT], LICENCE))
    if any(entry.name == "ionic_substitution" for entry in campaign.sources):
        use = Words("Candidates by ionic substitution", "离子替换生成候选材料")
        found.append(Source(use, CITATIONS[SUBSTITUTION_PROBABILITIES], "pymatgen, MIT"))
    cited = {citation for citation, _ in labels}
    if any(entry.name == "new_compounds" for entry in campaign.filters) and CITATIONS[TRANSPORT] not in cited:
        found.append(Source(Words("Further known compounds", "更多已知化合物"), CITATIONS[TRANSPORT], LICENCE))
    found.append(
        Source(Words("Properties of the elements", "元素性质"), CITATIONS[ELEMENT_PROPERTIES], "matminer, BSD")
    )
    found.append(Source(Words("Distance between compositions", "成分间距离"), _ELEMENT_MOVERS_DISTANCE))
    return found
