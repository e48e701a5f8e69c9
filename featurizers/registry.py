"""The table of featurizers by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matloop.data.options import check_options
from matloop.data.registry import lookup
from matloop.featurizers.base import FeatureSet, Featurizer

FEATURIZERS: Mapping[str, str] = {
    "magpie": "matloop.featurizers.composition:Magpie",
    "stoichiometry": "matloop.featurizers.composition:Stoichiometry",
    "valence_orbital": "matloop.featurizers.composition:ValenceOrbital",
    "element_fraction": "matloop.featurizers.composition:ElementFraction",
    "charge_balance": "matloop.featurizers.charge_balance:ChargeBalanceFeatures",
    "d_electrons": "matloop.featurizers.d_electrons:DElectrons",
    "density": "matloop.featurizers.crystal:Density",
    "symmetry": "matloop.featurizers.crystal:Symmetry",
    "property_density": "matloop.featurizers.property_density:PropertyDensity",
    "lorentz_lorenz": "matloop.featurizers.lorentz_lorenz:LorentzLorenz",
    "crystal_local": "matloop.featurizers.crystal_local:CrystalLocal",
    "crystal_voronoi": "matloop.featurizers.crystal_voronoi:CrystalVoronoi",
    "structural_complexity": "matloop.featurizers.matminer.structure_sets:StructuralComplexity",
    "radial_distribution": "matloop.featurizers.matminer.structure_sets:RadialDistribution",
    "sine_coulomb_eigenvalues": "matloop.featurizers.matminer.structure_sets:SineCoulombEigenvalues",
    "matminer": "matloop.featurizers.matminer.adapter:MatminerFeaturizer",
    "guarded": "matloop.featurizers.guard.guarded:GuardedFeaturizer",
}


def feature_set(names: Sequence[str | Mapping[str, Mapping[str, Any]]]) -> FeatureSet:
    """Make a feature set of featurizers by name.

    Args:
        names: Registered names. A featurizer with parameters is a mapping of its name to them.

    Raises:
        UnknownNameError: With the nearest known name.
        CampaignError: If a parameter is missing or of another type.

    >>> len(feature_set(["magpie", {"matminer": {"featurizer": "BandCenter"}}]).feature_names)
    133
    """
    made: list[Featurizer] = []
    for entry in names:
        for name, options in ({entry: {}} if isinstance(entry, str) else entry).items():
            factory = lookup("featurizer", FEATURIZERS, name)
            check_options(name, factory, options)
            made.append(factory(**options))
    return FeatureSet(tuple(made))
