"""Where the values of a property come from: computed or measured, and with which functional or in which laboratory."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, Self

from matloop.data.errors import ProvenanceError
from matloop.data.properties.columns import Suffix

_SUFFIXES: dict[str, Suffix] = {"dft": "dft", "exp": "exp"}
"""Method -> suffix of the columns with its values; the only place where the two are tied."""


class Provenance(NamedTuple):
    """Where values come from. It is written ``dft``, ``dft:pbe``, ``exp`` or ``exp:LAB``.

    Attributes:
        method: Computed with density functional theory, or measured.
        source: Functional or laboratory; empty where it is not said.
    """

    method: Literal["dft", "exp"]
    source: str = ""

    @classmethod
    def read(cls, text: str) -> Self:
        """The provenance that a text names.

        Raises:
            ProvenanceError: If it is written in another way.

        >>> Provenance.read("dft:r2scan")
        Provenance(method='dft', source='r2scan')
        """
        written = re.fullmatch(r"(dft|exp)(?::(\w[\w.+-]{0,39}))?", text)
        if written is None:
            raise ProvenanceError(
                f"provenance {text[:80]!r}",
                "dft, dft:FUNCTIONAL, exp, exp:LAB",
                "write it such as dft:pbe or exp:lab-a",
            )
        return cls("dft" if written[1] == "dft" else "exp", written[2] or "")

    def __str__(self) -> str:
        return f"{self.method}:{self.source}" if self.source else self.method

    @property
    def suffix(self) -> Suffix:
        """Suffix of the columns that hold such values."""
        return _SUFFIXES[self.method]

    def covers(self, other: Provenance) -> bool:
        """Whether values of another provenance are what this one asks for: ``dft`` takes any functional.

        >>> Provenance.read("dft").covers(Provenance.read("dft:pbe"))
        True
        >>> Provenance.read("dft:pbe").covers(Provenance.read("dft"))
        False
        """
        return self.method == other.method and self.source in ("", other.source)
