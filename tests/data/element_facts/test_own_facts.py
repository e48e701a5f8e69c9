from pathlib import Path

import numpy as np
import pytest

from matloop.data.element_facts.composition_scores import price_per_kilogram
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.element_facts.own_facts import read_own_facts
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.errors import CampaignError, DamagedFileError, InputFileError
from tests.strategies import batch_of

HEADER = "fact,element,value,date,source,currency,usd_per_currency,region,company\n"
COBALT, NICKEL = ATOMIC_NUMBERS["Co"], ATOMIC_NUMBERS["Ni"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "own.csv"


def written(path: Path, *lines: str) -> Path:
    path.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_a_price_in_yuan_is_converted_by_the_rate_that_stands_beside_it(path: Path) -> None:
    facts = ElementFacts.read(written(path, "element_prices,Co,300,2026-10-01,报价单,CNY,0.14,,"))
    prices = facts.quantity("element_prices")
    assert prices.values[COBALT] == pytest.approx(42)
    assert prices.sources[COBALT] == "报价单, 2026-10-01, 300 CNY/kg at 0.14 USD for one CNY"
    (value,) = price_per_kilogram(batch_of("Co3O4").compositions, facts).values
    assert value == pytest.approx(42 * 3 * 58.933 / 240.795, rel=1e-4)


def test_rows_for_a_company_and_a_region_come_before_those_for_all(path: Path) -> None:
    file = written(
        path,
        "element_prices,Ni,18,2026-10-01,a,USD,,,ACME",
        "element_prices,Ni,15,2026-10-01,b,USD,,,",
        "element_prices,Ni,16,2026-10-01,c,USD,,eu,",
    )

    def price(**whose: str) -> float:
        return float(ElementFacts.read(file, **whose).quantity("element_prices").values[NICKEL])

    assert price() == 15
    assert price(region="eu") == 16
    assert price(region="eu", company="ACME") == 18
    with pytest.raises(CampaignError, match="no fact of company 'OTHER'"):
        price(company="OTHER")


def test_own_lists_replace_packaged_ones(path: Path) -> None:
    file = written(
        path,
        "us_critical_minerals,Cd,listed,2026-10-01,own,,,,",
        "us_critical_minerals,Cu,not listed,2026-10-01,own,,,,",
    )
    every, some = ElementFacts.read(file).listed("us_critical_minerals")
    assert every[ATOMIC_NUMBERS["Cd"]]
    assert not (every | some)[ATOMIC_NUMBERS["Cu"]]
    assert every[ATOMIC_NUMBERS["Ga"]]


def test_packaged_facts_are_left_as_they_are(path: Path) -> None:
    ElementFacts.read(written(path, "element_prices,Cu,1,2026-10-01,own,USD,,,")).quantity("element_prices")
    assert ElementFacts().quantity("element_prices").values[ATOMIC_NUMBERS["Cu"]] > 9


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("element_prices,Xx,1,2026-10-01,s,USD,,,", "unknown element 'Xx'"),
        ("prices,Co,1,2026-10-01,s,USD,,,", "fact 'prices' is none of"),
        ("element_prices,Co,-1,2026-10-01,s,USD,,,", "'-1' is no number of at least 0"),
        ("element_prices,Co,nan,2026-10-01,s,USD,,,", "'nan' is no number"),
        ("element_prices,Co,1,1 October,s,USD,,,", "date '1 October' is no day such as 2026-10-01"),
        ('element_prices,Co,"3,5",2026-10-01,s,USD,,,', "'3,5' is no number of at least 0, with a decimal point"),
        ("element_prices,Co,1,2026-10-01,s,USD,7,,", "leave usd_per_currency empty"),
        ("element_prices,Co,1,2026-10-01,s,CNY,0,,", "one CNY is worth 0 USD"),
        ("element_prices,co,1,2026-10-01,s,USD,,,", "did you mean 'Co'"),
        ("element_prices,Co,1,2026-10-01,,USD,,,", "no source"),
        ("element_prices,Co,1,2026-10-01,s,,,,", "a price without its currency"),
        ("element_prices,Co,1,2026-10-01,s,CNY,,,", "usd_per_currency"),
        ("element_prices,Co,1,2026-10-01,s,yuan,1,,", "no code of three capital letters"),
        ("element_prices,Co,1,2026-10-01,s,USD,,mars,", "region 'mars'"),
        ("recycling_rates,Co,60,2026-10-01,s,,,,", "above 1"),
        ("eu_rohs,Co,yes,2026-10-01,s,,,,", "neither 'listed' nor"),
        ("element_prices,Co,1", "another number of cells"),
        (f"element_prices,Co,1,2026-10-01,{'s' * 400},USD,,,", "more than 300 characters"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(path: Path, line: str, told: str) -> None:
    with pytest.raises(InputFileError, match=r"line 3 of own\.csv") as raised:
        read_own_facts(written(path, "element_prices,Ni,1,2026-10-01,s,USD,,,", line))
    assert told in str(raised.value)


def test_a_fact_that_stands_twice_is_refused(path: Path) -> None:
    line = "element_prices,Ni,1,2026-10-01,s,USD,,,"
    with pytest.raises(InputFileError, match="a second time"):
        read_own_facts(written(path, line, line))


def test_another_header_or_no_file_is_refused(path: Path) -> None:
    path.write_text("fact,element,value\n", encoding="utf-8")
    with pytest.raises(InputFileError, match="lacks date, source"):
        read_own_facts(path)
    path.write_text(HEADER.replace("company", "firm"), encoding="utf-8")
    with pytest.raises(InputFileError, match="'firm'"):
        read_own_facts(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputFileError, match="cannot be read"):
        read_own_facts(path)
    path.write_text(HEADER.replace(",", ";"), encoding="utf-8")
    with pytest.raises(InputFileError, match=r"separated by ;.*commas"):
        read_own_facts(path)
    with pytest.raises(InputFileError, match=r"no file .*missing\.csv.*look at the path"):
        read_own_facts(path.with_name("missing.csv"))
    with pytest.raises(DamagedFileError):
        read_own_facts(path.parent)


def test_no_own_facts_change_nothing() -> None:
    packaged = ElementFacts().quantity("recycling_rates").values
    assert np.isfinite(packaged).sum() == 60
