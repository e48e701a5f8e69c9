"""Reasons why candidates end: a stable code, the value, the limit, and the source of the decision.

Nothing branches on words; they are made from the code when something is shown
(:mod:`matloop.screening.language.reasons`). Two kinds of codes exist: ``E-`` for what could not be read, computed or
judged (:data:`matloop.data.errors.ROW_CODES`), and ``R-`` for what was decided.
"""

from __future__ import annotations

from dataclasses import dataclass

REPEATED = "R-INTAKE-REPEATED"
"""The candidate came before."""
OUTSIDE_DOMAIN = "R-SURROGATE-DOMAIN"
"""Lies outside what a surrogate has learned; the source names the property."""
NOT_RANKABLE = "R-RANKING-NO-SCORE"
"""Has no finite score to be ranked by."""
UNKNOWN_OBJECTIVE = "R-RANKING-UNKNOWN-OBJECTIVE"
"""Passed every stage, and an objective of the ranking is not known of it; the value names the objective."""
BELOW_CUT = "R-RANKING-BELOW-CUT"
"""Others rank before it; the value is its score, the limit the number that go on."""
EQUAL_CRYSTAL = "R-RANKING-EQUAL-CRYSTAL"
"""Is the same crystal as a candidate that ranks before it; the source is the id of that one."""
EXPLODED = "R-POTENTIAL-EXPLODED"
"""Flew apart when it was relaxed; the source names the potential."""
POLYMORPH = "R-STABILITY-POLYMORPH"
"""Other crystals of its composition have lower energies by the potential; the value is how far it lies above the
lowest in eV/atom, the limit how many crystals of a composition go on, the source the id of the lowest."""
EXPECTED_MISSES = "R-SHORTLIST-EXPECTED-MISSES"
"""Down to here too many candidates would be misses; the value is the share expected, the limit the one allowed."""
NO_EVIDENCE = "R-SHORTLIST-NO-EVIDENCE"
"""The known materials support no share of misses down to here; the limit is the share allowed."""
NOT_CHOSEN = "R-SHORTLIST-NOT-CHOSEN"
"""Was ranked and others were chosen; the value is its rank, the limit the size of the shortlist."""
CHOSEN = "R-SHORTLIST-CHOSEN"
"""Is on the shortlist; the value is its place, the limit the size of the shortlist."""

DECISION_CODES = frozenset(
    {
        REPEATED, OUTSIDE_DOMAIN, NOT_RANKABLE, UNKNOWN_OBJECTIVE,
        BELOW_CUT, EQUAL_CRYSTAL, EXPLODED, POLYMORPH, EXPECTED_MISSES, NO_EVIDENCE, NOT_CHOSEN, CHOSEN,
    }
)  # fmt: skip
"""Every code of a decision but those of filters: each filter has codes of its own, with their words."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a candidate ended.

    Attributes:
        code: Stable code, ``E-...`` or ``R-...``.
        value: The value of the candidate: a number as measured (which does not tell counts apart), or a text such as a
            symbol.
        limit: The limit of the value.
        source: The source of the decision: a filter, a surrogate's property, a potential, another candidate.

    >>> Reason("R-FILTER-EXCLUDED-ELEMENT", "Tl", source="exclude_elements").value
    'Tl'
    """

    code: str
    value: str | float = ""
    limit: str | float = ""
    source: str = ""


def text_of(value: str | float) -> str:
    """Write a value or limit in the form of the fates.

    >>> text_of("Tl"), text_of(0.25), text_of(5000)
    ('Tl', '0.25', '5000')
    """
    return f"{value:.6g}" if isinstance(value, float) else str(value)
