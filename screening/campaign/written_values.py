"""Values in the ways a campaign writes them: families, times with their units, provenances."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    PlainSerializer,
    WithJsonSchema,
)  # fmt: skip

from matloop.data.errors import ProvenanceError, UnitError
from matloop.data.properties.durations import read_duration, write_duration
from matloop.data.properties.provenance import Provenance


def _read_families(written: Any) -> Any:
    if isinstance(written, str):
        return written
    names = list(written) if isinstance(written, list | tuple) else []
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError("write one family, or a list of different families to choose among")
    return names[0] if len(names) == 1 else tuple(names)


Families = Annotated[str | tuple[str, ...], BeforeValidator(_read_families)]
"""One model family by name, or several to choose among."""


def _read_duration(written: Any) -> int:
    try:
        return read_duration(written if isinstance(written, str) else str(written))
    except UnitError as error:
        raise ValueError(str(error)) from error


Duration = Annotated[
    int,
    BeforeValidator(_read_duration),
    PlainSerializer(write_duration, return_type=str),
    WithJsonSchema({"type": "string"}),
]
"""Whole seconds. A campaign gives the number with its unit, such as ``5m``."""


def read_provenance(written: str) -> str:
    """Return a provenance in its standard form.

    Raises:
        ValueError: If it is none; pydantic tells where it stands.
    """
    try:
        return str(Provenance.read(written))
    except ProvenanceError as error:
        raise ValueError(str(error)) from error
