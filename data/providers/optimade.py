"""Fetch structures of any provider that offers OPTIMADE (version 1, https://doi.org/10.1039/D4DD00039K).

Answers are read as plain JSON by the reader of structure files. Links are followed only on the host of the provider.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from matloop.data.candidates.identity import text_id
from matloop.data.errors import ProviderError, unknown_name
from matloop.data.providers.polite_session import Patience, PoliteSession, plain_line
from matloop.data.providers.snapshot_writer import Database, Page, entry_row, refused_row
from matloop.data.readers.disorder import POLICIES

RESPONSE_FIELDS = (
    "chemical_formula_reduced", "lattice_vectors", "cartesian_site_positions", "species", "species_at_sites",
    "dimension_types", "nperiodic_dimensions", "structure_features",
)  # fmt: skip
"""Fields that are requested of an entry, besides its id."""

PAGE_SIZE = 100
MOST_ENTRIES = 10_000  # of one page, whatever was asked for
_LONGEST_FILTER = 4000  # characters; many servers refuse addresses of more than 8 kB


class Optimade:
    """Structures of one filter, page by page. No request is sent before :meth:`connect`.

    Args:
        base_url: Address of the provider, with or without ``/v1``.
        filter: Filter in the OPTIMADE language, such as ``elements HAS ALL "Ti","O" AND nelements=2``.
        disorder: How to treat shared or partly filled sites.
        page_size: Number of entries in one request; the provider may send fewer.
        patience: How long to wait for a busy server.

    Raises:
        ProviderError: If the filter is too long or the address is not valid.
        UnknownNameError: For an unknown way to treat disorder.
    """

    def __init__(
        self,
        base_url: str,
        filter: str = "",
        *,
        disorder: str = "reject",
        page_size: int = PAGE_SIZE,
        patience: Patience | None = None,
    ) -> None:
        if len(filter) > _LONGEST_FILTER:
            raise ProviderError(f"a filter of {len(filter):,} characters", f"at most {_LONGEST_FILTER:,}")
        if disorder not in POLICIES:
            raise unknown_name("way to treat disorder", disorder, POLICIES)
        self.base_url, self.filter, self.disorder = base_url.rstrip("/"), filter.strip(), disorder
        self._page_size, self._patience = page_size, patience or Patience()
        self._session = PoliteSession(self.base_url, patience=self._patience)
        self._versioned = ""
        self._prefix = ""

    @property
    def query(self) -> dict[str, Any]:
        """The query as plain data."""
        fixed = {"provider": "optimade", "base_url": self.base_url, "fields": list(RESPONSE_FIELDS)}
        return {**fixed, "filter": self.filter, "disorder": self.disorder}

    @property
    def properties(self) -> dict[str, dict[str, str]]:
        """No columns, because the standard defines no properties, and those of a provider have no known meaning."""
        return {}

    def connect(self, notify: Any) -> None:
        """Find the address that serves version 1.

        Raises:
            ProviderError: If there is none.
        """
        self._session.notify = notify
        if not self._versioned:
            self._versioned = self._negotiate()

    def describe(self) -> Database:
        """Describe the database in its present state."""
        self.connect(self._session.notify)
        answer = self._session.read_json(self._versioned + "/info")
        data = answer.get("data")
        attributes = data.get("attributes") if isinstance(data, dict) else None
        if not isinstance(attributes, dict) or not str(attributes.get("api_version", "")).lstrip("v").startswith("1."):
            raise ProviderError(f"{self._versioned}/info does not describe an OPTIMADE service", "OPTIMADE version 1")
        meta = _object(answer.get("meta"))
        provider = _object(meta.get("provider"))
        self._prefix = _identifier(provider.get("prefix"))
        return Database(
            provider=plain_line(str(provider.get("name") or urlsplit(self.base_url).hostname), 120),
            base_url=self._versioned,
            version=_version(meta),
            licence=_licence(attributes),
        )

    def pages(self, next_page: str) -> Iterator[Page]:
        """Yield the pages from the address ``next_page`` (empty for the first) on.

        Raises:
            ProviderError: If the server refuses, stays busy, links to another host or in a circle, or stops half way.
        """
        if not self._prefix:
            self.describe()
        url, visited = next_page or self._first_page(), set[str]()
        while True:
            try:
                answer = self._session.read_json(url)
            except ProviderError as error:
                smaller = None if next_page or visited else _smaller_page(error.got, self._page_size)
                if smaller is None:
                    raise
                self._page_size = smaller
                url = self._first_page()
                continue
            visited.add(url)
            meta, entries = _object(answer.get("meta")), self._entries(answer)
            following = self._link(answer, url)
            if following is None and meta.get("more_data_available") is True:
                raise ProviderError(
                    f"{self.base_url} has more entries but no link to them",
                    "a link to the next page",
                    "tell the provider",
                )
            if following in visited:
                raise ProviderError(f"the pages of {self.base_url} lead in a circle", "", "tell the provider")
            rows = [self._row(entry) for entry in entries]
            yield Page(rows, following, _version(meta), _count(meta.get("data_returned")))
            if following is None:
                return
            self._pause(meta)
            url = following

    def _negotiate(self) -> str:
        """Find the base URL with its version, from the address itself or from ``/versions``."""
        if found := re.search(r"/v([0-9]+)(\.[0-9]+){0,2}$", self.base_url):
            if found[1] != "1":
                raise ProviderError(f"OPTIMADE version {found[1]}", "version 1", "use the address that ends in /v1")
            return self.base_url
        try:
            answer = self._session.get(self._session.own_url(self.base_url + "/versions"))
        except ProviderError as error:
            if " answered 404" not in error.got:
                raise
            return self.base_url + "/v1"  # some providers do not offer the list
        lines = answer.content.decode("utf-8", "replace").split()
        if "1" not in lines[1:]:
            served = plain_line(", ".join(lines[1:]), 60) or "nothing that can be read"
            raise ProviderError(f"{self.base_url} serves the versions: {served}", "version 1", "check the base URL")
        return self.base_url + "/v1"

    def _first_page(self) -> str:
        wanted = {"response_fields": ",".join(RESPONSE_FIELDS), "page_limit": str(self._page_size)}
        if self.filter:
            wanted["filter"] = self.filter
        parts = urlsplit(self._versioned + "/structures")
        return urlunsplit(parts._replace(query=urlencode(wanted)))

    def _entries(self, answer: Mapping[str, Any]) -> list[Any]:
        entries = answer.get("data")
        if not isinstance(entries, list):
            raise ProviderError(f"{self.base_url} sent a page without a list of entries", "OPTIMADE version 1")
        if len(entries) > MOST_ENTRIES:
            raise ProviderError(
                f"{self.base_url} sent a page of {len(entries):,} entries where {self._page_size} were asked for",
                f"{MOST_ENTRIES:,} entries", "narrow the filter, or tell the provider",
            )  # fmt: skip
        return entries

    def _link(self, answer: Mapping[str, Any], url: str) -> str | None:
        """Return the address of the next page, which must be on the same host."""
        link = _object(answer.get("links")).get("next")
        href = link.get("href") if isinstance(link, dict) else link
        if href is None or href == "":
            return None
        if not isinstance(href, str):
            raise ProviderError(f"{self.base_url} sent a link that is no address", "a text or an object with href")
        return self._completed(self._session.own_url(urljoin(url, href)))

    def _completed(self, url: str) -> str:
        """Put the fields and the filter back into a link that lost them."""
        parts = urlsplit(url)
        members = parse_qsl(parts.query, keep_blank_values=True)
        given = dict(members)
        if not set(RESPONSE_FIELDS) <= set(given.get("response_fields", "").split(",")):
            members = [(name, value) for name, value in members if name != "response_fields"]
            members.append(("response_fields", ",".join(RESPONSE_FIELDS)))
        if self.filter and "filter" not in given:
            members.append(("filter", self.filter))
        return urlunsplit(parts._replace(query=urlencode(members)))

    def _pause(self, meta: Mapping[str, Any]) -> None:
        """Wait as long between two requests as the provider asks for."""
        delay = meta.get("request_delay")
        if isinstance(delay, int | float) and delay > 0:
            time.sleep(min(float(delay), self._patience.longest_wait))

    def _row(self, entry: Any) -> dict[str, Any]:
        found = _object(entry)
        attributes = _object(found.get("attributes"))
        name = found.get("id")
        if not isinstance(name, str | int) or not attributes:
            shown = f"{self._prefix}/? {text_id(json.dumps(entry))}"
            return refused_row(shown, "E-FILE-FORMAT", "an entry without an id or attributes")
        entry_id = f"{self._prefix}/{name}"
        formula = str(attributes.get("chemical_formula_reduced") or "")
        structure = {key: attributes.get(key) for key in RESPONSE_FIELDS}
        return entry_row(entry_id, structure, formula=formula, disorder=self.disorder, properties={})


def _smaller_page(refusal: str, size: int) -> int | None:
    """Return the next page size to try after a refusal, or None if it was not for the size of the page.

    >>> _smaller_page("host answered 400: page_limit must be <= 20", 100)
    20
    >>> _smaller_page("host answered 400: no such filter", 100) is None
    True
    """
    status, _, reason = refusal.partition(": ")
    is_refused = re.search(r"\b4[0-9][0-9]\b", status) and re.search(r"page.?(?:limit|size)", reason, re.IGNORECASE)
    if not is_refused or size <= 1:
        return None
    allowed = [int(word) for word in re.findall(r"[0-9]{1,6}", reason) if 0 < int(word) < size]
    return max(allowed, default=size // 2)


def _count(value: Any) -> int | None:
    """Number of entries that the provider announces; some write it as text."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _identifier(value: Any) -> str:
    return value if isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9_]{0,30}", value) else "optimade"


def _version(meta: Mapping[str, Any]) -> str:
    """Version of the data if the provider states it, otherwise that of its software."""
    database, software = _object(meta.get("database")), _object(meta.get("implementation"))
    if database.get("version"):
        return plain_line(str(database["version"]), 60)
    return plain_line(f"not stated; software {software.get('name') or ''} {software.get('version') or ''}", 120).strip()


def _licence(attributes: Mapping[str, Any]) -> str:
    """Licence as SPDX names or as the address of its text."""
    named = attributes.get("available_licenses")
    link = attributes.get("license")
    address = link.get("href") if isinstance(link, dict) else link
    words = [str(word) for word in named] if isinstance(named, list) else []
    return plain_line(", ".join([*words, *([str(address)] if address else [])]), 300)
