"""Kinds of fields of the smaller files of a run, and their common base.

Every required key has a value of the right kind. Further keys stay as they are, because a family of models or a newer
version may write more.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

LONGEST_TEXT = 20_000
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Number = float | None
"""A number, or null where there is none."""
Size = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""An error, a width or another number that is finite and never below zero."""
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Record(BaseModel):
    """Content of one file or of one part of it, which may hold further keys."""

    model_config = ConfigDict(frozen=True, extra="allow")
