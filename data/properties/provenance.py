"""The origin of values: computed or measured, and with which functional or in which laboratory."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, Self

from matloop.data.errors import ProvenanceError
from matloop.data.properties.columns import Suffix

_SUFFIXES: dict[str, Suffix] = {"dft": "dft", "exp": "exp"}
"""Method -> suffix of the columns with its values; the only place where the two are tied."""


Method = Literal["dft", "exp", "unknown"]


class Provenance(NamedTuple):
    """The origin of values, written ``dft``, ``dft:pbe``, ``exp``, ``exp:LAB`` or ``unknown``.

    Attributes:
        method: Computed with density functional theory, measured, or unknown.
        source: Functional or laboratory; empty if it is not given.
    """

    method: Method
    source: str = ""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a provenance from a text.

        Raises:
            ProvenanceError: If it is written in another way.

        >>> Provenance.read("dft:r2scan")
        Provenance(method='dft', source='r2scan')
        """
        if text == "unknown":
            return cls("unknown")
        written = re.fullmatch(r"(dft|exp)(?::(\w[\w.+-]{0,39}))?", text)
        if written is None:
            raise ProvenanceError(
                f"provenance {text[:80]!r}",
                "dft, dft:FUNCTIONAL, exp, exp:LAB, unknown",
                "write it such as dft:pbe or exp:lab-a",
            )
        return cls("dft" if written[1] == "dft" else "exp", written[2] or "")

    def __str__(self) -> str:
        return f"{self.method}:{self.source}" if self.source else self.method

    @property
    def suffix(self) -> Suffix:
        """Suffix of the columns that hold such values.

        Raises:
            ProvenanceError: If it is unknown, because no column is named after that.
        """
        if self.method not in _SUFFIXES:
            raise ProvenanceError("values of unknown provenance in a column", "dft or exp", "say where they come from")
        return _SUFFIXES[self.method]

    def covers(self, other: Provenance) -> bool:
        """Whether values of another provenance satisfy this one: ``dft`` takes any functional.

        >>> Provenance.read("dft").covers(Provenance.read("dft:pbe"))
        True
        >>> Provenance.read("dft:pbe").covers(Provenance.read("dft"))
        False
        """
        return self.method == other.method and self.source in ("", other.source)


def laboratory_provenance(laboratory: str) -> str:
    """Provenance of the values of a laboratory, by the name that it goes by; ``exp`` without a name.

    >>> laboratory_provenance("Lab A (Jülich)"), laboratory_provenance("")
    ('exp:Lab-A-Jülich', 'exp')
    """
    name = re.sub(r"[^\w.+-]+", "-", laboratory).strip("-.+")[:40]
    return str(Provenance("exp", name))
