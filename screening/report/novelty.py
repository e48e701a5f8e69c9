"""What is new about a shortlisted candidate, as its card tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from matloop.data.properties.columns import Column
from matloop.data.training.known_materials import OwnList, holders_in_words
from matloop.screening.language.text import Words, formula_markup, listed

_LABELS = {
    "known": Words("known crystal", "已知晶体"),
    "new structure": Words("new structure of a known composition", "已知成分的新结构"),
    "new composition": Words("new composition", "新成分"),
    "known composition": Words("known composition", "已知成分"),
}
_NEIGHBOURS = 3


class NoveltyWords(NamedTuple):
    """How a candidate stands to what is known.

    Attributes:
        label: Whether its crystal or its composition is known.
        lists: Which lists know its composition, or that none does; None where the run did not ask.
        equal: Known crystals equal to it, as text; None where there are none.
        same_composition: Known crystals of its composition, likewise.
        nearest: Known crystals nearest in structure, with their distances.
    """

    label: Words
    lists: Words | None
    equal: Words | None
    same_composition: Words | None
    nearest: Words | None


def novelty_words(
    reports: Mapping[str, Mapping[str, Any]], candidate_id: str, *, own_list: OwnList | None = None
) -> NoveltyWords | None:
    """A candidate's novelty in words, None where the run did not look at it.

    Args:
        reports: Content of ``novelty.json`` by candidate id.
        candidate_id: The candidate.
        own_list: List of known formulas of one's own that the run asked too.
    """
    report = reports.get(candidate_id)
    if report is None:
        return None
    label = str(report["novelty"])
    nearest = [
        Markup("{} ({}) {}").format(formula_markup(str(formula)), str(name), f"{distance:.3f}")
        for name, formula, _, distance in report["nearest_structures"][:_NEIGHBOURS]
    ]
    return NoveltyWords(
        _LABELS.get(label, Words(label, label)),
        Words(*holders_in_words(report[Column.KNOWN_TO], own_list)) if Column.KNOWN_TO in report else None,
        _named(report["equal"], report["equal_count"]),
        _named(report["same_composition"], report["same_composition_count"]),
        listed(nearest) if nearest else None,
    )


def _named(names: list[str], count: int) -> Words | None:
    """Names, and that there are more where there are.

    >>> print(_named(["mp-1", "mp-2"], 5).zh)
    mp-1、mp-2 等 5 个
    """
    if not names:
        return None
    english, chinese = listed(names)
    return Words(f"{english}, ... ({count})", f"{chinese} 等 {count} 个") if count > len(names) else listed(names)
