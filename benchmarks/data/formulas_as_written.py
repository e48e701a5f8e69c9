"""How formulas as people write them are read: right, refused or taken for another compound, beside pymatgen.

Every text of ``tests/data/candidates/formulas_as_written.tsv`` has its meaning beside it: a plain formula, or the code
under which it is refused since it has no reading or two. A text that is read although it should be refused counts as
another compound.

``python benchmarks/data/formulas_as_written.py``
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from pymatgen.core import Composition

from matloop.data.candidates.formula import parse_formulas
from matloop.data.elements import SYMBOLS
from matloop.data.packaged.transport import load_transport
from matloop.workflows.bench.hardware import describe

TABLE = Path(__file__).parents[2] / "tests" / "data" / "candidates" / "formulas_as_written.tsv"
Amounts = Mapping[str, float]


def read_by_matloop(text: str) -> Amounts | None:
    """Amount of each element; None where the text is refused."""
    compositions, codes = parse_formulas([text])
    symbols = [SYMBOLS[z] for z in compositions.elements]
    return None if codes[0] else dict(zip(symbols, compositions.amounts.tolist(), strict=True))


def read_by_pymatgen(text: str) -> Amounts | None:
    """Amount of each element as pymatgen's Composition reads it; None where it raises an error."""
    try:
        return Composition(text).get_el_amt_dict() or None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


def outcome(read: Amounts | None, meaning: str) -> str:
    """Return ``right``, ``refused``, ``refused although readable`` or ``another compound``."""
    if read is None:
        return "refused, as it should be" if meaning.startswith("E-") else "refused although readable"
    if meaning.startswith("E-"):
        return "another compound"
    found, meant = Composition(read).fractional_composition, Composition(meaning).fractional_composition
    return "right" if found.almost_equals(meant, rtol=0, atol=1e-6) else "another compound"


def main() -> None:
    """Print the counts of both readers, and the speed."""
    warnings.simplefilter("ignore")
    lines = [line.split("\t") for line in TABLE.read_text("utf-8").splitlines() if not line.startswith("#")]
    print(describe("pymatgen"))
    readers: dict[str, Callable[[str], Amounts | None]] = {"matloop": read_by_matloop, "pymatgen": read_by_pymatgen}
    for name, reader in readers.items():
        counts = Counter(outcome(reader(text), text if meaning == "=" else meaning) for text, meaning in lines)
        print(f"{name:<9} {len(lines)} texts: " + ", ".join(f"{count} {what}" for what, count in counts.most_common()))
    formulas = [*load_transport().column("formula").to_pylist(), *load_transport().column("formula").to_pylist()]
    parse_formulas(formulas)
    start = time.process_time()
    parse_formulas(formulas)
    print(f"plain formulas: {len(formulas) / (time.process_time() - start):,.0f} a second on one core")


if __name__ == "__main__":
    main()
