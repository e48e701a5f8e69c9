"""The routes of the Materials Project that mp-api calls, over packaged crystals."""

from collections.abc import Callable
from typing import Any

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from tests.data.providers.scripted_server import Answer, Question, ScriptedServer

KEY = "0123456789abcdefghijKLMNOPQRSTUV"
SHIFT = 0.01  # eV/atom; the summary's energies are of another thermo type than the one asked for


def documents(batch: CandidateBatch) -> list[dict[str, Any]]:
    """Summaries in the order of their ids, with what the other routes need under names of our own."""
    columns = {name: batch.table[name].to_pylist() for name in batch.table.column_names}
    found = []
    for row, name in enumerate(columns["material_id"]):
        structure = batch.structure(row).as_dict()
        hull, gap = columns["energy_above_hull_dft"][row], columns["band_gap_dft"][row]
        found.append(
            {
                "material_id": str(name),
                "formula_pretty": columns["formula"][row],
                "structure": structure,
                "nsites": len(structure["sites"]),
                "elements": {site["species"][0]["element"] for site in structure["sites"]},
                "band_gap": gap,
                "bulk_modulus": _vrh(columns["bulk_modulus_vrh_dft"][row]),
                "shear_modulus": _vrh(columns["shear_modulus_vrh_dft"][row]),
                "n": columns["refractive_index_dft"][row],
                "e_ij_max": columns["piezoelectric_modulus_dft"][row],
                "origins": [{"name": "electronic_structure", "task_id": f"mp-9{row}"}],
                "energy_above_hull": None if hull is None else hull + SHIFT,
                "hull": hull,
                "formation_energy_per_atom": columns["formation_energy_per_atom_dft"][row],
                "run_types": {f"mp-9{row}": "r2SCAN" if row % 5 == 4 else "GGA+U"},
            }
        )
    return sorted(found, key=lambda document: document["material_id"])


def _vrh(value: float | None) -> dict[str, float] | None:
    return None if value is None else {"voigt": value + 1, "reuss": value - 1, "vrh": value}


class MaterialsProjectServer(ScriptedServer):
    """Answers as the service does; ``trouble`` may answer in its place."""

    def __init__(self, found: list[dict[str, Any]]) -> None:
        super().__init__(self._answer)
        self.documents, self.version = found, "2025.09.25"
        self.trouble: Callable[[Question], Answer | None] = lambda question: None

    def pages(self) -> list[str]:
        """Pages of materials asked for so far."""
        return [q.parameters["_page"] for q in self.asked if q.path == "/materials/summary/"]

    def _answer(self, question: Question) -> Answer:
        if answer := self.trouble(question):
            return answer
        if question.path == "/heartbeat":
            return Answer({"db_version": self.version, "version": "0.86.4", "access_controlled_batch_ids": []})
        if question.headers.get("x-api-key") != KEY:
            return Answer({"detail": f"unknown key {question.headers.get('x-api-key')}"}, 403)
        route = question.path.strip("/").removeprefix("materials/")
        parameters = question.parameters
        found = [document for document in self.documents if _fits(route, document, parameters)]
        size, page = int(parameters["_limit"]), int(parameters.get("_page", 1))
        shown = found[size * (page - 1) : size * page]
        fields = parameters["_fields"].split(",")
        thermo = {"thermo_type": parameters.get("thermo_types")} if route == "thermo" else {}
        data = [_fields(document | thermo, fields, route) for document in shown]
        return Answer({"data": data, "meta": {"total_doc": len(found)}})


def _fields(document: dict[str, Any], fields: list[str], route: str) -> dict[str, Any]:
    if route == "thermo":
        document = document | {"energy_above_hull": document["hull"]}
    return {name: document[name] for name in fields}


def _fits(route: str, document: dict[str, Any], parameters: dict[str, str]) -> bool:
    if route == "thermo":
        document = document | {"energy_above_hull": document["hull"]}
        if document["hull"] is None:
            return False
    if "material_ids" in parameters and document["material_id"] not in parameters["material_ids"].split(","):
        return False
    if not set(filter(None, parameters.get("elements", "").split(","))) <= document["elements"]:
        return False
    if "chemsys" in parameters and "-".join(sorted(document["elements"])) not in parameters["chemsys"].split(","):
        return False
    for name in ("band_gap", "nsites", "energy_above_hull"):
        low, high = (float(parameters.get(f"{name}_{end}", sign * np.inf)) for end, sign in (("min", -1), ("max", 1)))
        bounded = np.isfinite(low) or np.isfinite(high)
        if bounded and (document[name] is None or not low <= document[name] <= high):
            return False
    return True
