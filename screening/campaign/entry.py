"""What a campaign names with options: a source, a filter, a featurizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    model_serializer,
)  # fmt: skip

from matloop.screening.campaign.frozen_model import FrozenModel


class Entry(FrozenModel):
    """A source, filter or featurizer by name, with its options.

    A campaign gives the name alone, or ``name: {option: value}``, or ``name: value`` if the first option is enough.
    """

    name: str = Field(description="Name in the registry.")
    options: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments.")
    argument: JsonValue = Field(None, description="Value of the first option, if given without its name.")

    def make(self, factory: Callable[..., Any]) -> Any:
        """Call the registered class or function with the options."""
        return factory(**self.options) if self.argument is None else factory(self.argument, **self.options)

    @model_serializer
    def _as_written(self) -> Any:
        if self.argument is not None:
            return {self.name: self.argument}
        return {self.name: self.options} if self.options else self.name


def _read_entry(written: Any) -> Any:
    if isinstance(written, str):
        return {"name": written}
    if isinstance(written, Mapping) and len(written) == 1:
        ((name, options),) = written.items()
        if isinstance(options, Mapping):
            return {"name": name, "options": dict(options)}
        return {"name": name, "argument": options}
    if isinstance(written, Entry):
        return written
    raise ValueError("write a name, or one name with its options: 'name: {option: value}'")


WrittenEntry = Annotated[Entry, BeforeValidator(_read_entry)]
"""An entry in any of the ways a campaign writes it."""

Entries = tuple[WrittenEntry, ...]
