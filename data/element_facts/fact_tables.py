"""The packaged tables of facts about elements and substances: source, date, expiry, licence and sha256 of each.

A fact about supply or regulation is true for a while. So each table says as of when it holds and when it must be looked
at again; :func:`expired_tables` tells which are past that day. An expired table is still read, and every place that
shows its facts warns.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from matloop.data.errors import unknown_name
from matloop.data.label import Label
from matloop.data.packaged.materials import VerifiedFile

Region = Literal["cn", "eu", "us", "world"]
REGIONS: tuple[Region, ...] = get_args(Region)

_FOLDER = Path(__file__).parents[1] / "tables"
_LEGAL_TEXT = "legal text, free to reuse"
_US_PUBLIC_DOMAIN = "public domain (work of the United States government)"


class FactTable(NamedTuple):
    """A packaged table of facts.

    Attributes:
        name: Name, and name of the file without suffix.
        label: What it holds, in both languages.
        region: Where its facts apply.
        source: Where they were taken from.
        as_of: Day on which they held.
        expires: Day from which they have to be looked at again.
        licence: Of the facts.
        sha256: Of the file.
        unit: Unit of the values; empty for a list.
        about: Whether its lines are about elements or about substances.
    """

    name: str
    label: Label
    region: Region
    source: str
    as_of: dt.date
    expires: dt.date
    licence: str
    sha256: str
    unit: str = ""
    about: Literal["elements", "substances"] = "elements"

    @property
    def lists_elements(self) -> bool:
        """Whether it is a list of elements, and neither of quantities nor of substances."""
        return self.about == "elements" and not self.unit

    def rows(self) -> list[dict[str, str]]:
        """The lines of the file.

        Raises:
            DatasetError: If the packaged file is not the one that was released.
        """
        content = VerifiedFile(_FOLDER / f"{self.name}.csv", self.sha256).read()
        return list(csv.DictReader(content.decode("utf-8").splitlines()))

    def expired(self, on: dt.date) -> bool:
        """Whether it has to be looked at again on a day."""
        return on >= self.expires


def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


_TABLES = (
    FactTable(
        "eu_rohs", Label("substances restricted in electronics", "电子电气产品限用物质"), "eu",
        "Directive 2011/65/EU (RoHS), Annex II, as amended by Directive (EU) 2015/863",
        _day("2015-06-04"), _day("2027-06-30"), _LEGAL_TEXT,
        "3257824bd35fad59509d7d5897f227df814b9a0b7bb908a1167161548331ae7e",
    ),
    FactTable(
        "eu_reach_candidates", Label("elements with substances of very high concern", "含高关注物质的元素"), "eu",
        "Regulation (EC) No 1907/2006 (REACH), candidate list; only inclusions that two notices confirm",
        _day("2018-06-27"), _day("2027-01-31"), _LEGAL_TEXT,
        "5603d99a146e949ac3a96c9c2bd13e70bdce1c8b919535b9e313dd8770b5f86d",
    ),
    FactTable(
        "eu_toxic_groups", Label("elements whose compounds are classified as toxic", "化合物归类为有毒的元素"), "eu",
        "Regulation (EC) No 1272/2008 (CLP), Annex VI, Table 3, entries for groups of compounds",
        _day("2020-01-01"), _day("2027-06-30"), _LEGAL_TEXT,
        "df013f74608d4e71d784a7f3e301edc0393b00286144c3fcf8d3338984cf2b73",
    ),
    FactTable(
        "eu_critical_raw_materials", Label("critical raw materials of the EU", "欧盟关键原材料"), "eu",
        "Regulation (EU) 2024/1252, Annex II, 34 raw materials",
        _day("2024-05-03"), _day("2027-05-24"), _LEGAL_TEXT,
        "b9441c371ecae57628da028e40253f0646790a7b007b7b2fc7f71911b4302e29",
    ),
    FactTable(
        "eu_strategic_raw_materials", Label("strategic raw materials of the EU", "欧盟战略原材料"), "eu",
        "Regulation (EU) 2024/1252, Annex I, 17 raw materials",
        _day("2024-05-03"), _day("2027-05-24"), _LEGAL_TEXT,
        "4521e58e2f3c0d59211eb400b720e7775d900e0fa9a36127fc4f669f374bdaa5",
    ),
    FactTable(
        "us_critical_minerals", Label("critical minerals of the United States", "美国关键矿产"), "us",
        "U.S. Geological Survey, Final 2025 List of Critical Minerals, Federal Register, 7 November 2025, 60 minerals",
        _day("2025-11-07"), _day("2028-11-07"), _US_PUBLIC_DOMAIN,
        "63bf9cdfafe2e4a3c7d3afc1596a82ce63d34fb399f3a58325617e41399dab63",
    ),
    FactTable(
        "cn_export_controls", Label("export controls of China", "中国出口管制"), "cn",
        "Ministry of Commerce and General Administration of Customs of China, announcements of 2023 to November 2025",
        _day("2025-11-09"), _day("2026-11-10"), _LEGAL_TEXT,
        "f47cd12bd3e91070f07a4ee26487f36ef0dd34189675b6f2208ebdbd314c365c",
    ),
    FactTable(
        "cn_strategic_minerals", Label("strategic minerals of China", "中国战略性矿产"), "cn",
        "Ministry of Land and Resources of China, National Plan for Mineral Resources (2016-2020), approved by the "
        "State Council on 2 November 2016, 24 strategic minerals; the period of the plan is over",
        _day("2016-11-02"), _day("2021-01-01"), _LEGAL_TEXT,
        "65b40a01035dca4d4988b319bd57f5248737fde802a75363e2e0ca7e93cc58f3",
    ),
    FactTable(
        "element_prices", Label("prices of elements", "元素价格"), "world",
        "U.S. Geological Survey, Mineral Commodity Summaries 2026, doi:10.3133/mcs2026, and for Li 2025, as copied by "
        "others",
        _day("2025-12-31"), _day("2027-02-28"), _US_PUBLIC_DOMAIN,
        "bc5526debd0ca0c3c529efc5b5fe9330aa2bfec6cbd7fb8650fc534dfbb15a9b", "USD/kg",
    ),
    FactTable(
        "production_concentration", Label("concentration of production by country", "按国家计的生产集中度"), "world",
        "U.S. Geological Survey, Mineral Commodity Summaries 2026, doi:10.3133/mcs2026, as copied by others; elements "
        "that it does not tell: M. W. Gaultois et al., Chemistry of Materials 25, 2911 (2013), doi:10.1021/cm400893e",
        _day("2025-12-31"), _day("2027-02-28"), f"{_US_PUBLIC_DOMAIN}; MIT (pymatgen)",
        "b8870092671fcfea3208a2043ae6731299dc0babbf01a7b82966c8afc4b86f12", "1",
    ),
    FactTable(
        "crustal_abundance", Label("abundance in the crust", "地壳丰度"), "world",
        "W. M. Haynes (ed.), CRC Handbook of Chemistry and Physics, 95th edition (2014), as carried by mendeleev 1.3.0",
        _day("2014-06-01"), _day("2034-01-01"), "MIT (mendeleev)",
        "c4458059f7760942f0c2affcf55bce6a317e9c05250ca83aa7756d0db1a38c06", "mg/kg",
    ),
    FactTable(
        "recycling_rates", Label("end-of-life recycling rates", "报废回收率"), "world",
        "T. E. Graedel et al., Recycling Rates of Metals: A Status Report, United Nations Environment Programme (2011)",
        _day("2011-05-26"), _day("2028-01-01"), "facts of a public report",
        "c804feb96860e178b99ed2db5385d7c7fe511574db58512aa3cb6c7a3fca4697", "1",
    ),
    FactTable(
        "precursors", Label("precursors with their hazards", "前驱体及其危险性"), "eu",
        "hazards: written by hand after Regulation (EC) No 1272/2008 (CLP), Annex VI, Table 3, not verified against "
        "it; names and melting points: CRC Handbook of Chemistry and Physics, as carried by chemicals 1.5.2",
        _day("2025-12-31"), _day("2027-12-31"), f"{_LEGAL_TEXT}; MIT (chemicals)",
        "22d10018121a1b116c472a3924780200fcfa983550467b0f5f0619a3a17dac0f", about="substances",
    ),
)  # fmt: skip

TABLES: Mapping[str, FactTable] = {table.name: table for table in _TABLES}
"""Every packaged table by name."""


def fact_table(name: str) -> FactTable:
    """The packaged table of a name.

    Raises:
        UnknownNameError: With the nearest known name.

    >>> fact_table("eu_rohs").expires.isoformat()
    '2027-06-30'
    """
    if name not in TABLES:
        raise unknown_name("table of element facts", name, list(TABLES))
    return TABLES[name]


def expired_tables(on: dt.date) -> list[FactTable]:
    """The packaged tables that have to be looked at again on a day.

    >>> [table.name for table in expired_tables(dt.date(2026, 11, 10))]
    ['cn_export_controls', 'cn_strategic_minerals']
    """
    return [table for table in _TABLES if table.expired(on)]
