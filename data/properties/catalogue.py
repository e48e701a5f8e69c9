"""Every property by its name: packaged ones, those of a campaign, and those of other packages.

There is one catalogue at a time, the one in use. A campaign that brings properties of its own is worked on within
:func:`using`, in the process that was started and, with the same definitions, in its workers.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from matloop.data.errors import PropertyError, unknown_name
from matloop.data.properties.definition import Property
from matloop.data.properties.packaged_properties import PACKAGED_PROPERTIES

GROUP = "matloop.properties"
"""Entry points of other packages: the name of a property -> its :class:`Property`."""


def _check_names(names: list[str], *, taken: Any, whose: str) -> None:
    for number, name in enumerate(names):
        if name in taken or name in names[:number]:
            raise PropertyError(
                f"{whose} is named '{name}'", "a name that no other property has", "choose another name"
            )


@dataclass(frozen=True)
class Catalogue(Mapping[str, Property]):
    """Definitions of properties by name.

    Attributes:
        own: Properties besides the packaged ones and those of other packages.

    Raises:
        PropertyError: If a name is taken.

    >>> hardness = Property(
    ...     name="hardness", symbol="H", unit="GPa", label_en="hardness", label_zh="硬度", lower=0, upper=200
    ... )
    >>> with using(Catalogue((hardness,))):
    ...     property_named("hardness").label
    'hardness (GPa)'
    """

    own: tuple[Property, ...] = ()

    def __post_init__(self) -> None:
        _check_names([known.name for known in self.own], taken=PACKAGED_PROPERTIES, whose="a property of a campaign")

    def __getitem__(self, name: str) -> Property:
        if name in PACKAGED_PROPERTIES:
            return PACKAGED_PROPERTIES[name]
        own = {known.name: known for known in self.own}
        return own[name] if name in own else outside_properties()[name]

    def __iter__(self) -> Iterator[str]:
        outside = outside_properties()
        own = [known.name for known in self.own]
        _check_names(own, taken=outside, whose="a property of a campaign")
        return iter([*PACKAGED_PROPERTIES, *own, *outside])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def definitions(self) -> dict[str, dict[str, Any]]:
        """Return the own properties as plain JSON values, by name: everything that decides their numbers."""
        return {known.name: asdict(known) for known in self.own}

    @property
    def key(self) -> str:
        """Hash of the own definitions: equal catalogues have equal keys in every process."""
        return hashlib.sha256(json.dumps(self.definitions(), sort_keys=True).encode()).hexdigest()


_IN_USE: ContextVar[Catalogue] = ContextVar("catalogue", default=Catalogue())  # noqa: B039  (it is frozen)


def catalogue() -> Catalogue:
    """Return the catalogue in use."""
    return _IN_USE.get()


@contextmanager
def using(one: Catalogue) -> Iterator[None]:
    """Use a catalogue within a block, in this thread; another thread keeps its own."""
    before = _IN_USE.set(one)
    try:
        yield
    finally:
        _IN_USE.reset(before)


@dataclass(frozen=True)
class WithCatalogue:
    """A function that uses a catalogue wherever it is called; travels to workers.

    Attributes:
        catalogue: The catalogue.
        function: Called with it in use.
    """

    catalogue: Catalogue
    function: Callable[..., Any]

    @property
    def __name__(self) -> str:
        return self.function.__name__

    def __call__(self, *arguments: Any) -> Any:
        """Call the function with the catalogue in use, and return its result."""
        with using(self.catalogue):
            return self.function(*arguments)


def property_named(name: str) -> Property:
    """Look up a property by its name in the catalogue in use.

    Raises:
        UnknownNameError: With the nearest known name.
        PropertyError: If a property of another package breaks the rules.

    >>> property_named("band_gap").unit
    'eV'
    """
    known = catalogue().get(name)
    if known is None:
        raise unknown_name("property", name, catalogue())
    return known


@functools.cache
def outside_properties() -> Mapping[str, Property]:
    """Properties of other packages, by name.

    Raises:
        PropertyError: If one cannot be loaded, is no property, has another name than its entry point, or a name that
            is taken.
    """
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    for number, point in enumerate(points):
        before = {*PACKAGED_PROPERTIES, *(other.name for other in points[:number])}
        _check_names([point.name], taken=before, whose=_source_of(point))
    return {point.name: _loaded(point) for point in points}


def _loaded(point: EntryPoint) -> Property:
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise PropertyError(
            f"{_source_of(point)} cannot be loaded: {error}", "", "mend or remove that package"
        ) from error
    if not isinstance(found, Property) or found.name != point.name:
        got = f"property '{found.name}'" if isinstance(found, Property) else f"a {type(found).__name__}"
        raise PropertyError(f"{_source_of(point)} is {got}", f"a Property named '{point.name}'", "mend that package")
    return found


def _source_of(point: EntryPoint) -> str:
    package = "another package" if point.dist is None else f"the package {point.dist.name}"
    return f"'{point.name}' of {package}"
