import datetime as dt
import hashlib
from pathlib import Path

import pytest

from matloop.data.element_facts.element_lists import element_list
from matloop.data.element_facts.fact_tables import REGIONS, TABLES, FactTable, expired_tables
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.errors import DatasetError, UnknownNameError

FOLDER = Path(__file__).parents[3] / "data" / "tables"


def names_in(table: str) -> set[str]:
    return {entry.name for entry in element_list(table).entries}


@pytest.mark.parametrize("name", TABLES)
def test_every_table_states_source_dates_licence_and_sha256(name: str) -> None:
    table = TABLES[name]
    assert table.source
    assert table.licence
    assert table.as_of < table.expires
    assert table.region in REGIONS
    assert hashlib.sha256((FOLDER / f"{name}.csv").read_bytes()).hexdigest() == table.sha256


def test_no_file_is_without_a_table() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(TABLES)


# The acts state these numbers in their titles or preambles.
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("eu_critical_raw_materials", 34),
        ("eu_strategic_raw_materials", 17),
        ("us_critical_minerals", 60),
        ("cn_strategic_minerals", 24),
    ],
)
def test_lists_have_as_many_entries_as_their_act(name: str, count: int) -> None:
    assert len(names_in(name)) == count


def test_every_strategic_raw_material_of_the_eu_is_critical() -> None:
    # Article 4(1) of Regulation (EU) 2024/1252: critical are the strategic raw materials and others.
    assert not set(element_list("eu_strategic_raw_materials").symbols) - set(
        element_list("eu_critical_raw_materials").symbols
    )


def test_restricted_substances_and_their_limits() -> None:
    rohs = element_list("eu_rohs")
    assert {entry.element: entry.limit for entry in rohs.entries} == {"Cr": 1e-3, "Cd": 1e-4, "Hg": 1e-3, "Pb": 1e-3}
    assert not rohs.every_form[ATOMIC_NUMBERS["Cr"]]  # of oxidation state six only
    assert rohs.every_form[ATOMIC_NUMBERS["Pb"]]


def test_suspended_controls_still_count_and_say_until_when() -> None:
    controls = element_list("cn_export_controls")
    (holmium,) = controls.entries_of("Ho")
    assert holmium.suspended_until == dt.date(2026, 11, 10)
    assert "suspended until 2026-11-10" in str(holmium)
    assert controls.listed[ATOMIC_NUMBERS["Ho"]]
    assert [entry.suspended_until for entry in controls.entries_of("W")] == [None]


def test_suspensions_begin_before_they_end() -> None:
    entries = [entry for name in TABLES if name.startswith("cn_") for entry in element_list(name).entries]
    for entry in entries:
        assert (entry.suspended_from is None) == (entry.suspended_until is None)
        if entry.suspended_from and entry.suspended_until:
            assert entry.suspended_from < entry.suspended_until


def test_a_table_expires_on_its_day() -> None:
    day = TABLES["us_critical_minerals"].expires
    assert TABLES["us_critical_minerals"] in expired_tables(day)
    assert TABLES["us_critical_minerals"] not in expired_tables(day - dt.timedelta(days=1))


def test_an_unknown_table_is_told_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'eu_rohs'"):
        element_list("eu_rhos")


def test_another_file_in_place_of_the_released_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    changed: FactTable = TABLES["eu_rohs"]._replace(sha256="0" * 64)
    with pytest.raises(DatasetError):
        changed.rows()
