"""The command line answers at once: the heavy libraries are imported by the commands that use them."""

import json
import resource
import subprocess
import sys
from pathlib import Path

COMMAND = Path(sys.executable).with_name("matloop")
HELP_SECONDS = 0.5
HEAVY = ("dask", "distributed", "matminer", "numba", "pandas", "plotly", "pymatgen", "scipy", "sklearn", "torch")

BUILD_HELP = f"""
import contextlib, io, json, sys
from matloop.workflows.cli import main
sys.argv = ["matloop", "--help"]
text = io.StringIO()
with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
    main()
print(json.dumps({{"help": text.getvalue(), "heavy": [name for name in {HEAVY!r} if name in sys.modules]}}))
"""


def children_seconds() -> float:
    """Processor time of all finished child processes; unlike the clock, it leaves out what else the machine does."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", BUILD_HELP], capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert "screen" in answer["help"]  # the help was really built
    assert answer["heavy"] == []


def test_help_takes_less_than_half_a_second() -> None:
    best = float("inf")
    for _ in range(5):
        start = children_seconds()
        done = subprocess.run([COMMAND, "--help"], capture_output=True, text=True, check=True)
        best = min(best, children_seconds() - start)
        assert "screen" in done.stdout
    assert best < HELP_SECONDS, f"matloop --help took {best:.2f} s at best; python -X importtime tells what is imported"
