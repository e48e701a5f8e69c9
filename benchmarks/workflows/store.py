"""The store of surrogates: the default campaign on an empty store, with what that left there, and without a store.

Each run is a whole command in a fresh process. All three share the energies of reference phases and nothing else.

``python benchmarks/workflows/store.py``
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from matloop.screening.runs.run_view import RunView
from matloop.workflows.bench.hardware import describe
from matloop.workflows.running.results import SHORTLIST

RUNS = (("without", ("--no-store",)), ("empty store", ()), ("with the store", ()))
TRAINED = "surrogates trained"


def run(name: str, options: tuple[str, ...], *, place: Path) -> dict[str, str]:
    """Run the default campaign, print what it took, and return the sha256 of its results by path."""
    output = place / name.replace(" ", "-")
    command = [sys.executable, "-m", "matloop.workflows.cli", "screen", "optical_window", "--output", str(output)]
    environment = {**os.environ, "MATLOOP_CACHE": str(place / "cache"), "MATLOOP_STORE_LIMIT": "2GB"}
    start = time.perf_counter()
    subprocess.run([*command, "--workers", "2", *options], env=environment, stdout=subprocess.DEVNULL, check=True)
    seconds = time.perf_counter() - start
    view = RunView(output)
    laps = view.summary.seconds
    print(f"{name:15}{seconds:8.1f} s wall, of that {laps[TRAINED]:6.1f} s training", flush=True)
    models = {path: sha256 for line in view.manifest.of_kind("model") for path, sha256 in line["files"].items()}
    results = view.manifest.results(SHORTLIST)
    return models | (dict(results["files"]) if results else {})


def main() -> None:
    """Run the campaign three times and compare every file of models and shortlist."""
    print(describe("scikit-learn"))
    with tempfile.TemporaryDirectory() as folder:
        found = [run(name, options, place=Path(folder)) for name, options in RUNS]
    same = found[0] == found[1] == found[2]
    print(f"models, ranked candidates and shortlist of all three are {'equal' if same else 'NOT equal'} byte for byte")


if __name__ == "__main__":
    main()
