"""Read the content of a file as a run does, without the guarded process."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.elements import SYMBOLS
from matloop.data.guard.messages import unpack
from matloop.data.readers.structure_split import Unreadable, split_rows
from matloop.data.readers.structure_text import read_row, request


class Outcome(NamedTuple):
    """Code and detail of a row, or its cell."""

    code: str
    detail: str
    formula: str = ""
    lattice: NDArray[np.float64] | None = None
    symbols: tuple[str, ...] = ()
    frac_coords: NDArray[np.float64] | None = None
    stated: dict[str, float] = {}  # noqa: RUF012  # never changed


def outcomes(name: str, content: str | bytes) -> list[Outcome]:
    """One outcome for every row of a file."""
    raw = content.encode() if isinstance(content, str) else content
    try:
        rows = split_rows(name, raw)
    except Unreadable as error:
        return [Outcome(error.code, error.detail)]
    return [_outcome(read_row(request(row, "reject"))) for row in rows]


def outcome(name: str, content: str | bytes) -> Outcome:
    """The outcome of a file with one row."""
    (found,) = outcomes(name, content)
    return found


def _outcome(message: bytes) -> Outcome:
    values, arrays = unpack(message)
    if values["code"] or not arrays:
        return Outcome(values["code"], values["detail"], values["formula"])
    symbols = tuple(SYMBOLS[z] for z in arrays["species"])
    stated = values["stated"]
    return Outcome("", "", values["formula"], arrays["lattice"], symbols, arrays["frac_coords"], stated)
