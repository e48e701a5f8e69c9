"""Facts of one's own about elements: a CSV file whose rows replace packaged facts, for a region or a company."""

from __future__ import annotations

import csv
import datetime as dt
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from matloop.data.bounded_files import read_bounded
from matloop.data.element_facts.fact_tables import REGIONS, TABLES
from matloop.data.elements import ATOMIC_NUMBERS, require_elements
from matloop.data.errors import CampaignError, InputFileError, MatloopError

NEEDED_COLUMNS = ("fact", "element", "value", "date", "source")
OPTIONAL_COLUMNS = ("currency", "usd_per_currency", "region", "company")
LISTED, NOT_LISTED = "listed", "not listed"
_MOST_BYTES = 2_000_000
_MOST_ROWS = 20_000
_LONGEST_TEXT = 300


class OwnFact(NamedTuple):
    """A fact of one's own about one element.

    Attributes:
        fact: Name of the packaged table that it replaces a value of.
        element: Symbol.
        value: In the unit of that table; 1 and 0 for an element that is listed and one that is not.
        source: Where it was taken from, with its date, and with the price as it was written.
        region: Region that it is for; empty for all.
        company: Company that it is for; empty for all.
    """

    fact: str
    element: str
    value: float
    source: str
    region: str
    company: str


def own_fact_of(record: object) -> OwnFact:
    """A fact from the record of a resolved campaign, which anybody may have written.

    Raises:
        CampaignError: If the record is no fact.

    >>> own_fact_of({"fact": "eu_rohs", "element": "Zn", "value": 1.0, "source": "", "region": "", "company": ""}).value
    1.0
    """
    said: dict[str, Any] = {str(name): value for name, value in record.items()} if isinstance(record, dict) else {}
    texts = [said.get(name) for name in OwnFact._fields if name != "value"]
    sound = set(said) == set(OwnFact._fields) and all(isinstance(text, str) for text in texts)
    number = said.get("value")
    sound = sound and isinstance(number, int | float) and math.isfinite(number) and number >= 0
    if not sound or said["fact"] not in TABLES or said["element"] not in ATOMIC_NUMBERS:
        raise CampaignError("own facts of a condition that are none", ", ".join(OwnFact._fields), "name the file again")
    return OwnFact(**said)


def read_own_facts(path: str | Path) -> tuple[OwnFact, ...]:
    """Read a file of facts of one's own.

    Its columns are ``fact`` (such as ``element_prices`` or ``us_critical_minerals``), ``element``, ``value`` (a number,
    or ``listed`` and ``not listed``), ``date`` (such as 2026-10-01) and ``source``. A price in another currency than
    the dollar has ``currency`` (such as CNY) and ``usd_per_currency``, the dollars that one unit of it was worth on
    that day. ``region`` (cn, eu, us or world) and ``company`` say for whom a row holds.

    Raises:
        DamagedFileError: If it is no regular file of at most 2 MB.
        InputFileError: If there is none, or naming the first line that cannot be used, and why.
    """
    file = Path(path)
    if not file.exists():
        raise InputFileError(
            f"no file {file} of own facts", "a CSV file in UTF-8",
            "look at the path; in a campaign a relative one starts at the folder of the campaign file",
        )  # fmt: skip
    try:
        text = read_bounded(file, most_bytes=_MOST_BYTES).decode("utf-8-sig")
        reader = csv.DictReader(text.splitlines(), strict=True)
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputFileError(f"{file.name} cannot be read: {error}", "a CSV file in UTF-8") from error
    _check_header(file.name, list(reader.fieldnames or []), len(rows))
    facts: dict[tuple[str, ...], OwnFact] = {}
    for number, row in enumerate(rows, start=2):
        try:
            fact = _fact(row)
        except (ValueError, MatloopError) as error:
            told = error.got if isinstance(error, MatloopError) else str(error)
            fix = error.fix if isinstance(error, MatloopError) else ""
            raise InputFileError(
                f"line {number} of {file.name}: {told}", "such as element_prices,Co,30,2026-10-01,our offer,USD",
                fix or "mend the line or leave it out",
            ) from error  # fmt: skip
        key = (fact.fact, fact.element, fact.region, fact.company)
        if key in facts:
            raise InputFileError(f"line {number} of {file.name} tells {fact.fact} of {fact.element} a second time")
        facts[key] = fact
    return tuple(facts.values())


def _check_header(name: str, header: list[str], rows: int) -> None:
    missing = [column for column in NEEDED_COLUMNS if column not in header]
    unknown = [column for column in header if column not in (*NEEDED_COLUMNS, *OPTIONAL_COLUMNS)]
    if missing or unknown or len(set(header)) < len(header):
        got = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(map(repr, unknown)) or 'a column twice'}"
        if len(header) == 1 and ";" in header[0]:
            raise InputFileError(
                f"the cells of {name} are separated by ;", "a comma between cells", "save it with commas"
            )
        allowed = f"the columns {', '.join(NEEDED_COLUMNS)}; besides {', '.join(OPTIONAL_COLUMNS)}"
        raise InputFileError(f"the header of {name} {got}", allowed)
    if rows > _MOST_ROWS:
        raise InputFileError(f"{name} has {rows:,} rows", f"at most {_MOST_ROWS:,}")


def _fact(row: Mapping[str | None, str | None]) -> OwnFact:
    if None in row or None in row.values():
        raise ValueError("another number of cells than the header")
    cells = {str(name): str(cell).strip() for name, cell in row.items()}
    if any(len(cell) > _LONGEST_TEXT for cell in cells.values()):
        raise ValueError(f"a cell of more than {_LONGEST_TEXT} characters")
    known = [name for name, table in TABLES.items() if table.about == "elements"]
    if cells["fact"] not in known:
        raise ValueError(f"fact '{cells['fact']}' is none of {', '.join(known)}")
    require_elements([cells["element"]])
    region, day = cells.get("region", ""), _day(cells["date"])
    if region not in ("", *REGIONS):
        raise ValueError(f"region '{region}' is none of {', '.join(REGIONS)}")
    if not cells["source"]:
        raise ValueError("no source")
    value, written = _value(cells)
    source = f"{cells['source']}, {day}{written}"
    return OwnFact(cells["fact"], cells["element"], value, source, region, cells.get("company", ""))


def _value(cells: Mapping[str, str]) -> tuple[float, str]:
    """The value in the unit of the table, and the price as it was written if it had to be converted."""
    table, text, currency = TABLES[cells["fact"]], cells["value"], cells.get("currency", "")
    if not table.unit:
        if text not in (LISTED, NOT_LISTED):
            raise ValueError(f"value '{text}' is neither '{LISTED}' nor '{NOT_LISTED}'")
        return float(text == LISTED), ""
    value = _positive("value", text)
    if not table.unit.startswith("USD"):
        if currency or cells.get("usd_per_currency"):
            raise ValueError(f"{table.name} has no currency")
        if table.unit == "1" and value > 1:
            raise ValueError(f"value {text} of {table.name} is above 1")
        return value, ""
    if not currency:
        raise ValueError("a price without its currency")
    if currency == "USD":
        if cells.get("usd_per_currency", "") not in ("", "1", "1.0"):
            raise ValueError(f"one USD is worth {cells['usd_per_currency']} USD; leave usd_per_currency empty")
        return value, ""
    if not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise ValueError(f"currency '{currency}' is no code of three capital letters")
    rate = _positive("usd_per_currency", cells.get("usd_per_currency", ""))
    if not rate:
        raise ValueError(f"one {currency} is worth 0 USD")
    return value * rate, f", {value:g} {currency}/kg at {rate:g} USD for one {currency}"


def _positive(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} '{text}' is no number of at least 0, with a decimal point")
    return value


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"date '{text}' is no day such as 2026-10-01") from None
