import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.errors import UnitError
from matloop.data.properties.durations import read_duration, write_duration


@pytest.mark.parametrize(
    "text",
    ["", "5", "5 m", "m", "0s", "05m", "-5m", "+5m", "5M", "5min", "1.5h", "1h30m", "5m\n", " 5m", "1_0s", "1e3s", "٥m",
     "inf", "9999999s", "5d", "5ms"],
)  # fmt: skip
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UnitError, match=r"E-UNIT: a duration of .*write it as 90s, 5m or 1h"):
        read_duration(text)


@given(st.integers(1, 999_999))
def test_a_duration_reads_back(seconds: int) -> None:
    assert read_duration(write_duration(seconds)) == seconds


@given(st.text(alphabet="0123456789smh ", max_size=8))
def test_text_is_a_duration_of_whole_seconds_or_refused(text: str) -> None:
    try:
        seconds = read_duration(text)
    except UnitError:
        return
    assert seconds == int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]] > 0
