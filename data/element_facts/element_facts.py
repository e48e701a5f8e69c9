"""All that is known about elements for a region: packaged facts, replaced by those of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.element_facts.element_lists import element_list
from matloop.data.element_facts.element_quantities import ElementQuantity, element_quantity
from matloop.data.element_facts.fact_tables import REGIONS, Region
from matloop.data.element_facts.own_facts import OwnFact, read_own_facts
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.errors import CampaignError


@dataclass(frozen=True)
class ElementFacts:
    """Facts about elements for a region and a company.

    Attributes:
        region: Whose facts count.
        company: Whose own facts count; empty for those that name no company.
        own: Facts of one's own.

    >>> facts = ElementFacts(region="eu")
    >>> facts.quantity("element_prices").table.unit
    'USD/kg'
    """

    region: Region = "world"
    company: str = ""
    own: tuple[OwnFact, ...] = ()

    @classmethod
    def read(cls, path: str | Path | None, *, region: str = "world", company: str = "") -> Self:
        """Packaged facts, and those in a file of one's own.

        Args:
            path: File of own facts; None for none.
            region: ``cn``, ``eu``, ``us`` or ``world``.
            company: A company named in the file.

        Raises:
            CampaignError: For another region, or a company that the file does not name.
            InputFileError: If the file cannot be used.
        """
        chosen = next((name for name in REGIONS if name == region), None)
        if chosen is None:
            raise CampaignError(f"region '{region}'", ", ".join(REGIONS), "choose one of the regions")
        own = () if path is None else read_own_facts(path)
        if company and company not in {fact.company for fact in own}:
            raise CampaignError(f"no fact of company '{company}'", "a company that the file of own facts names")
        return cls(chosen, company, own)

    def quantity(self, name: str) -> ElementQuantity:
        """A quantity of the elements.

        Raises:
            UnknownNameError: For a name that no table has.
        """
        counting = self._counting(name)
        return element_quantity(name).with_values({fact.element: (fact.value, fact.source) for fact in counting})

    def listed(self, name: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which elements a list names in every form, and which in some forms only; both of shape (119,).

        Raises:
            UnknownNameError: For a name that no table has.
        """
        packaged = element_list(name)
        every, some = packaged.every_form.copy(), packaged.listed & ~packaged.every_form
        for fact in self._counting(name):
            number = ATOMIC_NUMBERS[fact.element]
            every[number], some[number] = fact.value > 0, False
        return every, some

    def tolerated(self, name: str) -> NDArray[np.float64]:
        """Mass fraction of each element that a list tolerates, shape (119,); 0 where it states none."""
        limits = np.zeros(len(SYMBOLS))
        for entry in element_list(name).entries:
            if entry.element and np.isfinite(entry.limit):
                limits[ATOMIC_NUMBERS[entry.element]] = entry.limit
        return limits

    def _counting(self, name: str) -> list[OwnFact]:
        """Own facts that count here, those that say most exactly for whom they hold last."""
        fitting = [
            fact
            for fact in self.own
            if fact.fact == name and fact.region in ("", self.region) and fact.company in ("", self.company)
        ]
        return sorted(fitting, key=lambda fact: (bool(fact.company), bool(fact.region)))
