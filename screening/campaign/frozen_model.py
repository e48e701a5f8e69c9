"""The model that the parts of a campaign derive from."""

from __future__ import annotations

import types
import typing
from typing import Any, Union

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class FrozenModel(BaseModel):
    """Keys with values that never change; an unknown key, nan and a truth value for a number are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_value_is_no_number(cls, written: Any, info: ValidationInfo) -> Any:
        if isinstance(written, bool) and _is_number(cls.model_fields[str(info.field_name)].annotation):
            raise ValueError(f"a number is expected, and {str(written).lower()} is none")
        return written


def _is_number(annotation: Any) -> bool:
    """Whether a type is a number, or a number that may be left out."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return all(_is_number(inner) for inner in typing.get_args(annotation) if inner is not type(None))
    return annotation in (int, float)
