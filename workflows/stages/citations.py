"""What to cite for what a run uses beside its training sets: potentials, and labels of insulators and metals."""

from __future__ import annotations

import contextlib
from pathlib import Path

from matloop.data.errors import MatloopError
from matloop.data.label import Label
from matloop.data.packaged.citations import CITATIONS, MATBENCH, MATERIALS_PROJECT, MEASURED_GAPS, TRANSPORT, Citation
from matloop.data.packaged.measured_gaps import load_measured_classes
from matloop.data.packaged.transport import LICENCE as TRANSPORT_LICENCE
from matloop.data.registry import lookup
from matloop.data.runs.directory import RunDirectory
from matloop.data.training.packaged_tables import LICENCE as GAPS_LICENCE
from matloop.models.registry import POTENTIALS
from matloop.screening.campaign.campaign import Campaign

_EMBEDDING = "crystal_embedding"


_INSULATORS = Label("Insulators and metals", "绝缘体与金属的区分")


def citations_of(campaign: Campaign, folder: Path) -> list[Citation]:
    """What a run rests on beside its training sets, each citation once.

    Args:
        campaign: The campaign.
        folder: The run directory.
    """
    found = potential_citations(campaign)
    if RunDirectory(folder).insulators.is_dir():
        licence = (load_measured_classes().schema.metadata or {})[b"licence"].decode()
        found += [Citation(_INSULATORS, CITATIONS[one], GAPS_LICENCE) for one in (MATERIALS_PROJECT, MATBENCH)]
        found.append(Citation(_INSULATORS, CITATIONS[TRANSPORT], TRANSPORT_LICENCE))
        found.append(Citation(_INSULATORS, CITATIONS[MEASURED_GAPS], licence))
    return found


def potential_citations(campaign: Campaign) -> list[Citation]:
    """What the potentials of a campaign say under ``cites``, each citation once.

    A potential relaxes candidates, or gives features. One that cites nothing, or whose package is no longer
    installed, is left out.

    Args:
        campaign: The campaign.
    """
    stage = campaign.potential
    names = [] if stage is None else [stage.name, *([stage.second.name] if stage.second else [])]
    for scored in campaign.scoring_stages.values():
        names += [
            str(entry.options.get("potential", entry.argument)) for entry in scored.features if entry.name == _EMBEDDING
        ]
    found: list[Citation] = []
    for name in dict.fromkeys(names):
        with contextlib.suppress(MatloopError):
            found += getattr(lookup("potential", POTENTIALS, name), "cites", ())
    return list(dict.fromkeys(found))
