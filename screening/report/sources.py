"""The data a run rests on: what to cite and under which licence it may be passed on."""

from __future__ import annotations

import re
from typing import NamedTuple

from matloop.data.packaged.materials import load_materials
from matloop.data.properties.columns import property_column
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.language.text import Words, property_words

_MATERIALS_PROJECT = "Materials Project data, CC BY 4.0"


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


_CITATIONS = {
    "10.1063/1.4812323": (
        "A. Jain et al., Commentary: The Materials Project: A materials genome approach to accelerating materials "
        "innovation, APL Materials 1, 011002 (2013), doi:10.1063/1.4812323"
    ),
    "10.1002/qua.24917": (
        "F. Faber et al., Crystal structure representations for machine learning models of formation energies, "
        "International Journal of Quantum Chemistry 115, 1094 (2015), doi:10.1002/qua.24917"
    ),
    "10.1038/sdata.2015.9": (
        "M. de Jong et al., Charting the complete elastic properties of inorganic crystalline compounds, "
        "Scientific Data 2, 150009 (2015), doi:10.1038/sdata.2015.9"
    ),
    "10.1038/sdata.2016.134": (
        "I. Petousis et al., High-throughput screening of inorganic compounds for the discovery of novel dielectric "
        "and optical materials, Scientific Data 4, 160134 (2017), doi:10.1038/sdata.2016.134"
    ),
    "10.1038/sdata.2015.53": (
        "M. de Jong et al., A database to enable discovery and design of piezoelectric materials, "
        "Scientific Data 2, 150053 (2015), doi:10.1038/sdata.2015.53"
    ),
    "10.1038/sdata.2017.85": (
        "F. Ricci et al., An ab initio electronic transport database for inorganic materials, "
        "Scientific Data 4, 170085 (2017), doi:10.1038/sdata.2017.85"
    ),
    "10.1038/npjcompumats.2016.28": (
        "L. Ward et al., A general-purpose machine learning framework for predicting properties of inorganic "
        "materials, npj Computational Materials 2, 16028 (2016), doi:10.1038/npjcompumats.2016.28"
    ),
    "10.1021/ic102031h": (
        "G. Hautier et al., Data mined ionic substitutions for the discovery of new compounds, "
        "Inorganic Chemistry 50, 656 (2011), doi:10.1021/ic102031h"
    ),
    "10.1021/acs.chemmater.0c03381": (
        "C. J. Hargreaves et al., The earth mover's distance as a metric for the space of inorganic compositions, "
        "Chemistry of Materials 32, 10610 (2020), doi:10.1021/acs.chemmater.0c03381"
    ),
}


def sources_of(campaign: Campaign) -> list[Source]:
    """What this campaign rests on, the training data first."""
    by_doi: dict[str, list[Words]] = {}
    for target in campaign.targets:
        by_doi.setdefault(_training_doi(target.property), []).append(property_words(target.property))
    found = []
    for doi, labels in by_doi.items():
        if doi in _CITATIONS:
            english, chinese = ", ".join(label.en for label in labels), "、".join(label.zh for label in labels)
            use = Words(f"Training data: {english}", f"训练数据：{chinese}")
            found.append(Source(use, _CITATIONS[doi], _MATERIALS_PROJECT))
    crystals = Words("Crystals and known compounds", "晶体结构与已知化合物")
    found.append(Source(crystals, _CITATIONS["10.1063/1.4812323"], _MATERIALS_PROJECT))
    if any(entry.name == "ionic_substitution" for entry in campaign.sources):
        use = Words("Candidates by ionic substitution", "离子替换生成候选材料")
        found.append(Source(use, _CITATIONS["10.1021/ic102031h"], "pymatgen, MIT"))
    if any(entry.name == "new_compounds" for entry in campaign.filters) and "10.1038/sdata.2017.85" not in by_doi:
        use = Words("Further known compounds", "更多已知化合物")
        found.append(Source(use, _CITATIONS["10.1038/sdata.2017.85"], _MATERIALS_PROJECT))
    magpie = Words("Properties of the elements", "元素性质")
    found.append(Source(magpie, _CITATIONS["10.1038/npjcompumats.2016.28"], "matminer, BSD"))
    distance = Words("Distance between compositions", "成分间距离")
    found.append(Source(distance, _CITATIONS["10.1021/acs.chemmater.0c03381"]))
    return found


def _training_doi(name: str) -> str:
    """Where the computed values of a property were published; empty where that is not recorded."""
    schema = load_materials().table.schema
    column = property_column(name, "dft")
    if column not in schema.names:
        return "10.1038/sdata.2017.85" if name.startswith("seebeck") else ""
    written = (schema.field(column).metadata or {}).get(b"source", b"").decode()
    match = re.search(r"doi:(\S+)", written)
    return match.group(1) if match else ""
