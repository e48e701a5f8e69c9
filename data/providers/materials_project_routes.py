"""Requests to the routes of the Materials Project, with mp-api (extra ``mp``) over one patient session."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import requests

from matloop.data.errors import ProviderError, ProviderKeyError
from matloop.data.installation import install_command
from matloop.data.providers.polite_session import Patience, PoliteSession

KEY_VARIABLE = "MP_API_KEY"
HOW_TO_GET_KEY = (
    f"copy your key from https://next-gen.materialsproject.org/api and set it with: export {KEY_VARIABLE}=YOUR_KEY"
)
ENERGIES = ("energy_above_hull", "formation_energy_per_atom")
"""Columns that differ between thermo types."""

SUMMARY_FIELDS = [
    "material_id", "formula_pretty", "structure", "origins", "band_gap", "bulk_modulus", "shear_modulus", "n",
    "e_ij_max",
]  # fmt: skip
"""Fields that are requested from ``materials/summary``."""


class _FieldsAtOnce:
    """Avoids that mp-api builds its list of fields again for each field of each request: that takes a second a page."""

    document_model: Any

    @cached_property
    def available_fields(self) -> list[str]:
        """Fields that a route offers."""
        return list(self.document_model.model_fields)


class MaterialsProjectRoutes:
    """The clients of mp-api for three routes, over one patient session. Only this object holds the key."""

    def __init__(self, endpoint: str, patience: Patience, notify: Any) -> None:
        key = os.environ.get(KEY_VARIABLE, "").strip()
        if not re.fullmatch(r"[A-Za-z0-9]{32}", key):
            got = f"{KEY_VARIABLE} is not set" if not key else f"{KEY_VARIABLE} holds {len(key)} characters"
            raise ProviderKeyError(got, "a key of 32 letters and digits", HOW_TO_GET_KEY)
        self._session = PoliteSession(
            endpoint, patience=patience, key=key, how_to_get_key=HOW_TO_GET_KEY, notify=notify
        )
        self._endpoint = endpoint
        self.version = self.ask_version()  # the clients request it too, but without retries and without a time limit
        try:
            from mp_api.client.routes.materials.materials import MaterialsRester
            from mp_api.client.routes.materials.summary import SummaryRester
            from mp_api.client.routes.materials.thermo import ThermoRester
        except ImportError as error:
            raise ProviderError(f"mp-api is not installed ({error})", fix=install_command("matloop[mp]")) from error
        settings: dict[str, Any] = {
            "api_key": key,
            "endpoint": endpoint,
            "session": self._session,
            "use_document_model": False,
            "mute_progress_bars": True,
        }
        self._summary, self._thermo, self._core = (
            self._careful(lambda client=client: type(client.__name__, (_FieldsAtOnce, client), {})(**settings))
            for client in (SummaryRester, ThermoRester, MaterialsRester)
        )

    def ask_version(self) -> str:
        """Request the present version of the database."""
        return str(self._session.read_json(self._endpoint + "heartbeat").get("db_version") or "not stated")

    def materials(self, criteria: Mapping[str, Any], page: int, *, size: int) -> tuple[list[dict[str, Any]], int]:
        """Request one page of materials in the order of their ids, and the total number."""
        found = self._ask(
            self._summary,
            **criteria,
            deprecated=False,
            fields=SUMMARY_FIELDS,
            chunk_size=size,
            _page=page,
            _sort_fields="material_id",
        )
        total = self._session.last_meta.get("total_doc")
        if not isinstance(total, int):
            raise ProviderError("the Materials Project does not say how many materials there are", "meta.total_doc")
        return found, total

    def energies(self, ids: list[str], thermo_type: str, windows: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Request the energies of one thermo type, by material id.

        Raises:
            ProviderError: If an answer has another thermo type.
        """
        if not ids:
            return {}
        fields = ["material_id", "thermo_type", *ENERGIES]
        found = self._ask(
            self._thermo, material_ids=ids, thermo_types=[thermo_type], fields=fields, chunk_size=1000, **windows
        )
        for document in found:
            if str(document.get("thermo_type")).casefold() != thermo_type.casefold():
                got = self._session.readable(str(document.get("thermo_type")), 60)
                raise ProviderError(f"the Materials Project sent energies of thermo type {got}", thermo_type)
        return {str(document.get("material_id")): document for document in found}

    def run_types(self, ids: list[str]) -> dict[str, dict[str, str]]:
        """Request the functional of each calculation, by material id and task id."""
        if not ids:
            return {}
        fields = ["material_id", "run_types"]
        found = self._ask(self._core, material_ids=ids, fields=fields, chunk_size=1000, deprecated=False)
        return {str(d.get("material_id")): d["run_types"] for d in found if isinstance(d.get("run_types"), dict)}

    def _ask(self, client: Any, **criteria: Any) -> list[dict[str, Any]]:
        """Request one page of one route.

        Raises:
            ProviderError: If mp-api refuses the query or the answer has no list of documents.
        """
        found = self._careful(lambda: client.search(num_chunks=1, all_fields=False, **criteria))
        if not isinstance(found, list) or not all(isinstance(document, dict) for document in found):
            raise ProviderError("the Materials Project answered with something other than a list of documents")
        return found

    def _careful(self, action: Any) -> Any:
        """Call a client. Its errors may quote an answer, so they are reported without the key."""
        from mp_api.client.core.exceptions import MPRestError

        try:
            return action()
        except (MPRestError, requests.RequestException, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = self._session.readable(str(error))
        raise ProviderError(f"the Materials Project did not answer as it should: {reason}", fix="check the query")
