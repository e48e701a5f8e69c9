"""Lists of compositions that are already known, each with its name, its year and its size."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.errors import unknown_name
from matloop.data.label import Label
from matloop.data.packaged.computed_phases import load_known_formulas
from matloop.data.packaged.materials import load_materials
from matloop.data.packaged.transport import load_transport
from matloop.data.properties.columns import Column


@dataclass(frozen=True)
class KnownList:
    """One list of known compositions.

    Attributes:
        label: What it is, in both languages.
        year: When its database was in this state, or the last year in which that may have been.
        size: Number of different compositions.
        read: Returns their formulas.
    """

    label: Label
    year: int
    size: int
    read: Callable[[], Sequence[str] | pa.Array]


KNOWN_LISTS: Mapping[str, KnownList] = {
    "packaged_crystals": KnownList(
        Label("packaged crystals", "内置晶体"), 2015, 5_667, lambda: load_materials().formulas
    ),
    "transport": KnownList(
        Label("transport data of the Materials Project", "Materials Project 输运数据"), 2017, 34_630,
        lambda: load_transport().column(Column.FORMULA).combine_chunks(),
    ),
    "materials_project": KnownList(
        Label("Materials Project", "Materials Project 数据库"), 2019, 96_124,
        lambda: load_known_formulas("materials_project"),
    ),
    "oqmd": KnownList(Label("OQMD", "OQMD"), 2021, 341_700, lambda: load_known_formulas("oqmd")),
}  # fmt: skip
"""By name. OQMD, and to a lesser part the Materials Project, hold hypothetical compounds too."""

EARLIER_LISTS = ("packaged_crystals", "transport")
"""The lists that were known by 2017, two years before that of the Materials Project."""

KNOWN_SIZE = 396_972  # different compositions of all lists together


def require_lists(names: str | Sequence[str]) -> tuple[str, ...]:
    """Check that lists of known compositions have these names.

    Args:
        names: Names, or one name.

    Returns:
        The names, each once, in the order of :data:`KNOWN_LISTS`.

    Raises:
        UnknownNameError: If there is no list with a name.
    """
    names = [names] if isinstance(names, str) else names
    for name in names:
        if name not in KNOWN_LISTS:
            raise unknown_name("list of known compositions", name, KNOWN_LISTS)
    return tuple(name for name in KNOWN_LISTS if name in names)


def list_formulas(name: str) -> list[str]:
    """Formulas of the compositions of one list, as they stand there.

    Args:
        name: In :data:`KNOWN_LISTS`.

    Raises:
        DatasetError: If a packaged file is not the one that was released.
    """
    formulas = KNOWN_LISTS[name].read()
    return formulas.to_pylist() if isinstance(formulas, pa.Array) else list(formulas)


@functools.cache
def list_keys(name: str) -> NDArray[np.uint64]:
    """Keys of the compositions of one list, ascending.

    Args:
        name: In :data:`KNOWN_LISTS`.

    Raises:
        DatasetError: If a packaged file is not the one that was released.
    """
    compositions, codes = parse_formulas(KNOWN_LISTS[name].read(), exact=True)
    return np.unique(composition_keys(compositions.take(np.flatnonzero(codes == ""))))


@functools.cache
def known_composition_keys() -> NDArray[np.uint64]:
    """Keys of the compositions of all lists, ascending."""
    return np.unique(np.concatenate([list_keys(name) for name in KNOWN_LISTS]))


def lists_holding(compositions: Compositions) -> NDArray[np.bool_]:
    """Find which lists hold each of n compositions.

    Returns:
        Shape (n, lists), in the order of :data:`KNOWN_LISTS`.

    >>> asked, _ = parse_formulas(["MgAl2O4", "YNbO4", "NaCl17"])
    >>> lists_holding(asked).tolist()
    [[True, True, True, True], [False, False, True, True], [False, False, False, False]]
    """
    keys = composition_keys(compositions)
    return np.stack([is_among(keys, list_keys(name)) for name in KNOWN_LISTS], axis=1)


def is_among(keys: NDArray[np.uint64], ascending: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which of n keys occur among others that ascend, shape (n,); quicker than sorting both."""
    if not len(ascending):
        return np.zeros(len(keys), bool)
    places = np.searchsorted(ascending, keys)
    return ascending[np.minimum(places, len(ascending) - 1)] == keys


def lists_in_words(names: Sequence[str]) -> Label:
    """Name lists with their years.

    >>> lists_in_words(["materials_project", "oqmd"])
    Label(en='Materials Project (2019), OQMD (2021)', zh='Materials Project 数据库（2019）、OQMD（2021）')
    """
    told = [KNOWN_LISTS[name] for name in names]
    return Label(
        ", ".join(f"{one.label.en} ({one.year})" for one in told),
        "、".join(f"{one.label.zh}（{one.year}）" for one in told),
    )
