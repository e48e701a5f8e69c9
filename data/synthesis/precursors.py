"""Common precursors of solid-state synthesis: the packaged table, with hazards and what air does to them.

Classifications were written by hand and not verified against Regulation (EC) No 1272/2008, Annex VI. A precursor
without one in the table is not thereby harmless: its hazards are unknown here.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from matloop.data.element_facts.fact_tables import FactTable, fact_table
from matloop.data.errors import DatasetError, unknown_name
from matloop.data.synthesis.amounts import Amounts, molar_mass, read_amounts

Kind = Literal[
    "element", "oxide", "carbonate", "nitrate", "hydroxide", "oxalate", "acetate", "ammonium", "phosphate", "halide",
    "chalcogenide", "nitride", "sulfate",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
Sensitivity = Literal["stable", "fire", "moisture", "air", "unknown"]
SENSITIVITIES: tuple[Sensitivity, ...] = get_args(Sensitivity)

SEVERE_STATEMENTS = ("H300", "H310", "H330", "H340", "H350", "H360", "H250", "H260", "H270", "H271", "H272")
"""Hazard statements that count as severe: fatal, mutagenic, carcinogenic, toxic for reproduction (categories 1A and
1B), pyrophoric, water-reactive, oxidising. Letters after a number (H350i, H360FD) are part of the same statement."""


class Precursor(NamedTuple):
    """A substance that a laboratory buys.

    Attributes:
        formula: As it is weighed, with its water.
        kind: Class of substances.
        cas: CAS number.
        name: English name in the CRC Handbook; empty where it has none.
        melting_point: In K; None where the source has none.
        sensitivity: What air does: ``stable``; ``fire``: takes up water or carbon dioxide, which firing before
            weighing drives out; ``moisture``: takes up water or carbon dioxide for good; ``air``: handled in an inert
            gas; ``unknown``.
        hazards: Hazard statements of the harmonised classification, not verified; empty where none is known here.
        annex_vi_index: Index number of that classification in Annex VI of Regulation (EC) No 1272/2008.
    """

    formula: str
    kind: Kind
    cas: str
    name: str
    melting_point: float | None
    sensitivity: Sensitivity
    hazards: tuple[str, ...]
    annex_vi_index: str

    @property
    def amounts(self) -> Amounts:
        """Atoms of each element in a formula unit."""
        return read_amounts(self.formula.replace(".", "·"), exact=True)

    @property
    def molar_mass(self) -> float:
        """In g/mol."""
        return molar_mass(self.amounts)

    @property
    def severe(self) -> bool:
        """Whether one of its hazard statements is severe."""
        return any(statement.startswith(SEVERE_STATEMENTS) for statement in self.hazards)


def precursor_table() -> FactTable:
    """The packaged table, with its source, dates, licence and sha256."""
    return fact_table("precursors")


@functools.cache
def load_precursors() -> Mapping[str, Precursor]:
    """Every packaged precursor by formula.

    Raises:
        DatasetError: If the packaged file is not the one that was released.

    >>> carbonate = load_precursors()["BaCO3"]
    >>> carbonate.hazards, carbonate.annex_vi_index, round(carbonate.molar_mass, 2)
    (('H302',), '056-003-00-2', 197.34)
    """
    try:
        found = [_precursor(row) for row in precursor_table().rows()]
    except (KeyError, ValueError) as error:
        raise DatasetError(f"precursors.csv holds no precursors: {error}", "the released table") from error
    return {precursor.formula: precursor for precursor in found}


def _precursor(row: Mapping[str, str]) -> Precursor:
    kind = next(kind for kind in KINDS if kind == row["kind"])
    sensitivity = next(known for known in SENSITIVITIES if known == (row["sensitivity"] or "unknown"))
    melting = float(row["melting_point_k"]) if row["melting_point_k"] else None
    return Precursor(
        row["formula"], kind, row["cas"], row["name"], melting, sensitivity, tuple(row["hazards"].split()),
        row["annex_vi_index"],
    )  # fmt: skip


def find_precursor(formula: str) -> Precursor:
    """The packaged precursor of a formula, written in any order.

    Raises:
        UnknownNameError: With the nearest known formula.
        SynthesisError: If the formula cannot be read.

    >>> find_precursor("CO3Ba").formula
    'BaCO3'
    """
    known = load_precursors()
    asked = formula.strip().replace("·", ".")
    if asked in known:
        return known[asked]
    amounts = read_amounts(asked)
    for precursor in known.values():
        if precursor.amounts == amounts:
            return precursor
    raise unknown_name("precursor", asked, list(known))
