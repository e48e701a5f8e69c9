"""S21: a small file that opens to gigabytes is refused before it takes the memory of the process."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from matloop.data.bounded_files import parse_json
from matloop.data.errors import DamagedFileError

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "workflows" / "byte_bombs.py"
BOMBS = ("parquet: repeated text", "snapshot: lists", "run: ranked numbers", "xlsx: wide", "csv: header")


@pytest.mark.slow
def test_s21_bombs_take_less_than_500_megabytes() -> None:
    done = subprocess.run([sys.executable, PROGRAM, *BOMBS], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.findall(r"peak +(\d+) MB, +[0-9.]+ s: (E-[A-Z-]+):", done.stdout)
    assert [code for _, code in told] == ["E-FILE-DAMAGED"] * 3 + ["E-INPUT-FILE"] * 2


def test_s21_a_long_text_in_json_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(DamagedFileError, match="of more than 1,000,000 bytes"):
        parse_json(b'{"a": "' + b"x" * 3_000_000 + b'"}', name="a.json")
    assert parse_json(b'{"a": "' + b"x" * 900_000 + b'"}', name="a.json")["a"].startswith("x")
