"""Ensemble families and interatomic potentials by name."""

from __future__ import annotations

from collections.abc import Mapping

MODELS: Mapping[str, str] = {
    "extra_trees": "matloop.models.families.extra_trees:ExtraTrees",
    "boosted_trees": "matloop.models.families.boosted_trees:BoostedTrees",
    "gaussian_process": "matloop.models.families.gaussian_process:GaussianProcess",
    "deep_ensemble": "matloop.models.families.deep_ensemble:DeepEnsemble",
    "element_attention": "matloop.models.families.element_attention:ElementAttention",
    "mean": "matloop.models.families.mean:Mean",
    "stack": "matloop.models.families.stack:Stack",
}

POTENTIALS: Mapping[str, str] = {
    "ase": "matloop.models.potentials.ase_calculator:AsePotential",
    "chgnet": "matloop.models.potentials.chgnet:CHGNetPotential",
    "sevennet": "matloop.models.potentials.sevennet:SevenNetPotential",
}
"""Interatomic potentials by name."""
