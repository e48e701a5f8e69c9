"""Ensemble families and interatomic potentials by name."""

from __future__ import annotations

from collections.abc import Mapping

MODELS: Mapping[str, str] = {
    "extra_trees": "matloop.models.ensembles:ExtraTrees",
    "boosted_trees": "matloop.models.ensembles:BoostedTrees",
    "gaussian_process": "matloop.models.gaussian_process:GaussianProcess",
    "deep_ensemble": "matloop.models.deep_ensemble:DeepEnsemble",
    "element_attention": "matloop.models.element_attention:ElementAttention",
    "stack": "matloop.models.stack:Stack",
}

POTENTIALS: Mapping[str, str] = {
    "chgnet": "matloop.models.chgnet_potential:CHGNetPotential",
}
"""Interatomic potentials by name."""
