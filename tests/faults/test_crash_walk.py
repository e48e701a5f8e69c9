"""A small run is killed at calls that change files, of every kind, in driver and worker, and goes on to the same bytes.

``benchmarks/workflows/crash_walk.py`` walks all of them.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

WALK = Path(__file__).parents[2] / "benchmarks" / "workflows" / "crash_walk.py"
POINTS = 15


def test_r14_r30_killed_at_file_calls_a_run_goes_on_to_the_same_bytes() -> None:
    """R14, R30: kills before, in and after calls of intake, training, scoring, relaxation and the end."""
    done = subprocess.run(
        [sys.executable, str(WALK), "--points", str(POINTS)], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.findall(r"(\d+) walked; killed (\d+); resumed to the same bytes (\d+); differing (\d+)", done.stdout)
    assert len(told) == 2, done.stdout
    for walked, killed, same, differing in told:
        assert int(walked) >= POINTS
        assert (walked, walked, "0") == (killed, same, differing)
