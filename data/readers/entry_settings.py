"""With what settings an entry of pymatgen says that its energy was computed: functional, +U and pseudopotentials."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from matloop.data.elements import ATOMIC_NUMBERS

_LONGEST = 60  # characters of a name
_PLUS_U = re.compile(r"[+_ ]?U$", re.IGNORECASE)
_SYMBOL = re.compile(r"[A-Z][a-z]?(?=$|[_.\d])")


def read_settings(entry: Mapping[str, Any]) -> str:
    """Return the settings that an entry states, as JSON with sorted keys; empty if it states none.

    Args:
        entry: A ``ComputedStructureEntry`` as plain data, whose ``parameters`` may hold ``run_type``, ``hubbards`` and
            ``potcar_symbols`` or ``potcar_spec``.

    Returns:
        ``functional`` without its +U, ``u`` with the values in eV by element (elements without +U are left out), and
        ``pseudopotentials`` by element.

    >>> read_settings({"parameters": {"run_type": "GGA+U", "hubbards": {"Fe": 5.3, "O": 0}}})
    '{"functional": "GGA", "u": {"Fe": 5.3}}'
    """
    parameters = entry.get("parameters")
    if not isinstance(parameters, Mapping):
        return ""
    found: dict[str, Any] = {}
    run_type, hubbards = parameters.get("run_type"), parameters.get("hubbards")
    if isinstance(run_type, str) and run_type.strip():
        found["functional"] = _PLUS_U.sub("", run_type.strip()[:_LONGEST]).upper()
    if isinstance(hubbards, Mapping):
        found["u"] = {word: float(value) for word, value in hubbards.items() if _is_u(word, value)}
    elif "functional" in found and not _PLUS_U.search(str(run_type)):
        found["u"] = {}
    if pseudopotentials := _pseudopotentials(parameters):
        found["pseudopotentials"] = pseudopotentials
    return json.dumps(found, sort_keys=True) if found else ""


def _is_u(word: Any, value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return word in ATOMIC_NUMBERS and is_number and 0 < abs(value) < 1e3


def _pseudopotentials(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the name of the pseudopotential of each element, without the date of its file."""
    written = parameters.get("potcar_symbols") or parameters.get("potcar_spec")
    found: dict[str, str] = {}
    for each in written if isinstance(written, list) else []:
        title = each.get("titel") if isinstance(each, Mapping) else each
        words = title[:_LONGEST].split() if isinstance(title, str) else []
        for place, word in enumerate(words):
            symbol = _SYMBOL.match(word)
            if symbol and symbol[0] in ATOMIC_NUMBERS and word not in ("PBE", "PAW", "LDA"):
                found[symbol[0]] = " ".join(words[: place + 1]).replace("PAW_", "").removeprefix("PAW ")
                break
    return found
