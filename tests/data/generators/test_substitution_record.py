import pytest

from matloop.data.generators.substitution_record import SubstitutionRecord, read_record


def test_a_record_is_read_back_as_it_was_written() -> None:
    record = SubstitutionRecord("Sr2TaGaO6", "mp-12427", (("Ga3+", "Al3+"), ("Sr2+", "Ba2+"), ("Cl-", "F-")))
    assert read_record(str(record)) == record


@pytest.mark.parametrize("origin", [None, "", "NaCl (mp-1)", "a.cif", "NaCl (mp-1), Na+ to", "(mp-1), Na+ to K+"])
def test_other_origins_are_no_records(origin: str | None) -> None:
    assert read_record(origin) is None
