"""Ensemble families and interatomic potentials by name."""

from __future__ import annotations

from collections.abc import Mapping

MODELS: Mapping[str, str] = {
    "extra_trees": "matloop.models.ensembles:ExtraTrees",
    "boosted_trees": "matloop.models.ensembles:BoostedTrees",
}

POTENTIALS: Mapping[str, str] = {
    "chgnet": "matloop.models.chgnet_potential:CHGNetPotential",
}
"""Interatomic potentials by name."""
