"""Citations of data that come with matloop or with the packages it installs (see ``datasets/ATTRIBUTION.md``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from matloop.data.label import Label


class Citation(NamedTuple):
    """A publication that the report cites for data or a method.

    Attributes:
        use: What was used from it, in both languages.
        publication: The publication.
        licence: Of the data; empty for a method.
    """

    use: Label
    publication: str
    licence: str = ""


MATERIALS_PROJECT = "10.1063/1.4812323"
MATBENCH = "10.1038/s41524-020-00406-3"
OQMD = "10.1038/npjcompumats.2015.10"
TRANSPORT = "10.1038/sdata.2017.85"
MEASURED_INDICES = "10.1038/s41597-023-02898-2"
ELEMENT_PROPERTIES = "10.1038/npjcompumats.2016.28"
SUBSTITUTION_PROBABILITIES = "10.1021/ic102031h"
ELEMENT_REPLACEMENTS = "10.1038/s41524-020-00481-6"
MEASURED_HARDNESS = "10.1002/adma.202005112"
MEASURED_STRENGTH = "10.1038/s41597-020-00768-9"
MEASURED_GAPS = "10.1021/acs.jpclett.8b00124"
CHGNET = "10.1038/s42256-023-00716-3"
SEVENNET = "10.1021/acs.jctc.4c00190"

CITATIONS: Mapping[str, str] = {
    MATERIALS_PROJECT: (
        "A. Jain et al., Commentary: The Materials Project: A materials genome approach to accelerating materials "
        "innovation, APL Materials 1, 011002 (2013), doi:10.1063/1.4812323"
    ),
    MATBENCH: (
        "A. Dunn et al., Benchmarking materials property prediction methods: the Matbench test set and Automatminer "
        "reference algorithm, npj Computational Materials 6, 138 (2020), doi:10.1038/s41524-020-00406-3"
    ),
    "10.1007/s11837-013-0755-4": (
        "J. E. Saal et al., Materials design and discovery with high-throughput density functional theory: the Open "
        "Quantum Materials Database (OQMD), JOM 65, 1501 (2013), doi:10.1007/s11837-013-0755-4"
    ),
    OQMD: (
        "S. Kirklin et al., The Open Quantum Materials Database (OQMD): assessing the accuracy of DFT formation "
        "energies, npj Computational Materials 1, 15010 (2015), doi:10.1038/npjcompumats.2015.10"
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
    "10.1038/sdata.2018.65": (
        "G. Petretto et al., High-throughput density-functional perturbation theory phonons for inorganic materials, "
        "Scientific Data 5, 180065 (2018), doi:10.1038/sdata.2018.65"
    ),
    TRANSPORT: (
        "F. Ricci et al., An ab initio electronic transport database for inorganic materials, "
        "Scientific Data 4, 170085 (2017), doi:10.1038/sdata.2017.85"
    ),
    MEASURED_GAPS: (
        "Y. Zhuo, A. Mansouri Tehrani and J. Brgoch, Predicting the band gaps of inorganic solids by machine learning, "
        "The Journal of Physical Chemistry Letters 9, 1668 (2018), doi:10.1021/acs.jpclett.8b00124"
    ),
    MEASURED_HARDNESS: (
        "Z. Zhang, A. Mansouri Tehrani, A. O. Oliynyk, B. Day and J. Brgoch, Finding the next superhard material "
        "through ensemble learning, Advanced Materials 33, 2005112 (2021), doi:10.1002/adma.202005112"
    ),
    MEASURED_STRENGTH: (
        "C. K. H. Borg et al., Expanded dataset of mechanical properties and observed phases of multi-principal "
        "element alloys, Scientific Data 7, 430 (2020), doi:10.1038/s41597-020-00768-9"
    ),
    MEASURED_INDICES: (
        "M. N. Polyanskiy, Refractiveindex.info database of optical constants, Scientific Data 11, 94 (2024), "
        "doi:10.1038/s41597-023-02898-2"
    ),
    ELEMENT_PROPERTIES: (
        "L. Ward et al., A general-purpose machine learning framework for predicting properties of inorganic "
        "materials, npj Computational Materials 2, 16028 (2016), doi:10.1038/npjcompumats.2016.28"
    ),
    SUBSTITUTION_PROBABILITIES: (
        "G. Hautier et al., Data mined ionic substitutions for the discovery of new compounds, "
        "Inorganic Chemistry 50, 656 (2011), doi:10.1021/ic102031h"
    ),
    ELEMENT_REPLACEMENTS: (
        "H.-C. Wang, S. Botti, M. A. L. Marques, Predicting stable crystalline compounds using chemical similarity, "
        "npj Computational Materials 7, 12 (2021), doi:10.1038/s41524-020-00481-6"
    ),
    CHGNET: (
        "B. Deng et al., CHGNet as a pretrained universal neural network potential for charge-informed atomistic "
        "modelling, Nature Machine Intelligence 5, 1031 (2023), doi:10.1038/s42256-023-00716-3"
    ),
    SEVENNET: (
        "Y. Park et al., Scalable parallel algorithm for graph neural network interatomic potentials in molecular "
        "dynamics simulations, Journal of Chemical Theory and Computation 20, 4857 (2024), doi:10.1021/acs.jctc.4c00190"
    ),
}
"""DOI -> publication."""


def cited_in(text: str) -> str:
    """The publication whose DOI a text names; empty where it names none that is listed.

    >>> cited_in("elastic_tensor:K_VRH, doi:10.1038/sdata.2015.9")[:20]
    'M. de Jong et al., C'
    """
    found = re.search(r"doi:([^\s,;]+)", text)
    return CITATIONS.get(found.group(1), "") if found else ""
