"""matloop: high-throughput screening of materials, from candidates to a ranked shortlist with uncertainties.

The parts are imported as ``matloop.data``, ``matloop.featurizers``, ``matloop.models``, ``matloop.screening`` and
``matloop.workflows``. A few verbs are at hand directly, and load nothing until they are used::

    from matloop import screen
    run = screen("optical_window", output="runs/first")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matloop.workflows.predict import predict as predict
    from matloop.workflows.resume import fork as fork
    from matloop.workflows.resume import resume as resume
    from matloop.workflows.screen import screen as screen
    from matloop.workflows.substitute import substitute as substitute
    from matloop.workflows.train import train as train
    from matloop.workflows.validate import validate as validate

    __version__: str

_VERBS = {
    "fork": "matloop.workflows.resume",
    "predict": "matloop.workflows.predict",
    "resume": "matloop.workflows.resume",
    "screen": "matloop.workflows.screen",
    "substitute": "matloop.workflows.substitute",
    "train": "matloop.workflows.train",
    "validate": "matloop.workflows.validate",
}
"""Function -> the module that defines it."""

__all__ = ["__version__", "fork", "predict", "resume", "screen", "substitute", "train", "validate"]


def __getattr__(name: str) -> Any:
    """Load what is asked for; ``import matloop`` alone takes a millisecond."""
    if name == "__version__":
        from importlib.metadata import version

        return version("matloop")
    if name in _VERBS:
        return getattr(importlib.import_module(_VERBS[name]), name)
    raise AttributeError(f"module 'matloop' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
