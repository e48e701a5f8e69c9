"""What to cite for the potentials that a campaign uses, as they say themselves."""

from __future__ import annotations

import contextlib

from matloop.data.errors import MatloopError
from matloop.data.packaged.citations import Citation
from matloop.data.registry import lookup
from matloop.models.registry import POTENTIALS
from matloop.screening.campaign.campaign import Campaign

_EMBEDDING = "crystal_embedding"


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
