"""Servers of OPTIMADE on this machine: the reference one in a process of its own, and one that says what it is told."""

import contextlib
import json
import math
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matloop.data.candidates.batch import CandidateBatch

SERVICE = Path(__file__).with_name("optimade_service.py")


def entries_of(batch: CandidateBatch) -> list[dict[str, Any]]:
    """Crystals as OPTIMADE entries, written after the standard and not after our reader."""
    return [_entry(str(name), batch, row) for row, name in enumerate(batch.table["material_id"].to_pylist())]


def _entry(name: str, batch: CandidateBatch, row: int) -> dict[str, Any]:
    structure = batch.structure(row)
    elements = sorted({site.specie.symbol for site in structure})
    symbols = [site.specie.symbol for site in structure]
    divisor = math.gcd(*(symbols.count(symbol) for symbol in elements))
    amounts = {symbol: symbols.count(symbol) // divisor for symbol in elements}
    attributes = {
        "chemical_formula_reduced": "".join(s + ("" if amounts[s] == 1 else str(amounts[s])) for s in elements),
        "elements": elements,
        "nelements": len(elements),
        "elements_ratios": [symbols.count(symbol) / len(symbols) for symbol in elements],
        "nsites": len(symbols),
        "dimension_types": [1, 1, 1],
        "nperiodic_dimensions": 3,
        "lattice_vectors": structure.lattice.matrix.tolist(),
        "cartesian_site_positions": structure.cart_coords.tolist(),
        "species": [{"name": symbol, "chemical_symbols": [symbol], "concentration": [1.0]} for symbol in elements],
        "species_at_sites": symbols,
        "structure_features": [],
        "last_modified": "2024-01-01T00:00:00Z",
    }
    return {"id": name, "type": "structures", "attributes": attributes}


def write_entries(path: Path, entries: list[dict[str, Any]]) -> None:
    header = {"x-optimade": {"meta": {"api_version": "1.2.0"}}}
    path.write_text("\n".join(map(json.dumps, [header, *entries])) + "\n", "utf-8")


class ReferenceServer:
    """The reference server at a port that stays the same when it is started again."""

    def __init__(self, entries: Path, folder: Path) -> None:
        self.entries, self.log = entries, folder / "requests.log"
        self._port_holder = socket.socket()
        self._port_holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port_holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._port_holder.bind(("127.0.0.1", 0))  # never listens: connections reach the server or nobody
        self.port = self._port_holder.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self, *, pages: int = 0) -> Iterator[None]:
        """The server, for as long as the block lasts or until it has served so many pages."""
        arguments = [sys.executable, str(SERVICE), str(self.entries), str(self.port), str(self.log), str(pages)]
        output = self.log.with_suffix(".out")
        with output.open("ab") as file:
            process = subprocess.Popen(
                arguments, cwd=self.log.parent, stdout=file, stderr=file, env={**os.environ, "PYTHONWARNINGS": "ignore"}
            )
        try:
            self._wait_for(process, output)
            yield
        finally:
            process.terminate()
            process.wait(20)

    def requests(self) -> list[str]:
        """Query of each page asked for so far."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def close(self) -> None:
        self._port_holder.close()

    def _wait_for(self, process: "subprocess.Popen[bytes]", output: Path) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/versions", timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"the server did not start: {output.read_text()[-2000:]}")
