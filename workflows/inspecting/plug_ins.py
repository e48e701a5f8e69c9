"""Plug-ins of other packages: list them with their package, and check them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points

from matloop.data.errors import PlugInError, PropertyError
from matloop.data.properties.catalogue import GROUP as PROPERTY_GROUP
from matloop.data.properties.catalogue import outside_properties
from matloop.data.registry import SOURCES, PlugIn, distribution_of, lookup, plug_ins
from matloop.models.registry import MODELS, POTENTIALS
from matloop.screening.registry import FILTERS
from matloop.workflows.inspecting.check import OK, WARN, Check
from matloop.workflows.stages.campaign_featurizers import CAMPAIGN_FEATURIZERS

TABLES: Mapping[str, Mapping[str, str]] = {
    "source": SOURCES,
    "featurizer": CAMPAIGN_FEATURIZERS,
    "model": MODELS,
    "filter": FILTERS,
    "potential": POTENTIALS,
}
"""What a campaign may name, by kind."""
OWN = "matloop"


def brought_by(kind: str) -> dict[str, str]:
    """List every name of a kind with the package and version that brings it; our own first."""
    outside = {found.name: found.distribution for found in plug_ins(kind)}
    own = TABLES[kind]
    return {**dict.fromkeys(own, OWN), **{name: package for name, package in outside.items() if name not in own}}


def check_plug_ins() -> Iterator[Check]:
    """Check each plug-in: it can be loaded, fulfils its contract, and has a name of its own."""
    for kind in TABLES:
        for found in plug_ins(kind):
            yield _check(found)
    yield from _check_properties()


def _check_properties() -> Iterator[Check]:
    try:
        names = list(outside_properties())
    except PropertyError as error:
        yield Check("properties", WARN, f"{error.code}: {error.got}", error.fix)
        return
    packages = {point.name: distribution_of(point) for point in entry_points(group=PROPERTY_GROUP)}
    for name in names:
        yield Check(f"property {name}", OK, f"from {packages[name]}")


def _check(found: PlugIn) -> Check:
    name = f"{found.kind} {found.name}"
    if found.name in TABLES[found.kind]:
        told = f"{found.distribution} brings a name that matloop has itself, which is the one that is used"
        return Check(name, WARN, told, "ask its authors for another name")
    try:
        lookup(found.kind, TABLES[found.kind], found.name)
    except PlugInError as error:
        return Check(name, WARN, f"{error.code}: {error.got}", error.fix)
    return Check(name, OK, f"from {found.distribution}")
