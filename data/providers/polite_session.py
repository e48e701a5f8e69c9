"""Send requests to one database on the network, with retries and limits.

After a busy answer (429, 502, 503, 504), a dropped connection or incomplete JSON, the session waits and repeats the
request, a limited number of times. It honours ``Retry-After`` (RFC 9110, section 10.2.3). Everything else is an error.
"""

from __future__ import annotations

import email.utils
import json
import random
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import requests

from matloop.data.deep_parsing import parsing_deeply
from matloop.data.errors import ProviderError, ProviderKeyError

LARGEST_ANSWER = 100_000_000
"""Largest size of an unpacked answer in bytes; a page of a thousand crystals has a few million."""

_BUSY = frozenset({429, 502, 503, 504})
_MOST_REDIRECTS = 5
_LONGEST_ANSWER = 600.0  # s; without a limit a server that sends single bytes could hold up the fetch for ever
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Patience:
    """How long to wait for a busy server.

    Attributes:
        attempts: Number of attempts before the session gives up.
        first_wait: Seconds before the second attempt; doubled before each further attempt.
        longest_wait: Longest wait in seconds; if a server asks for more, the session gives up.
        timeout: Seconds to connect, and between two bytes of an answer.
    """

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 120.0
    timeout: tuple[float, float] = (10.0, 60.0)

    def wait(self, attempt: int) -> float:
        """Seconds to wait after a failed attempt (counted from 1), randomised to spread many clients."""
        return min(self.first_wait * 2.0 ** (attempt - 1), self.longest_wait) * random.uniform(0.75, 1.0)


class PoliteSession(requests.Session):
    """A session with one host.

    Args:
        base_url: Address of the database. Requests, redirects and links to another host are refused.
        patience: How long to wait for a busy server.
        key: Secret that is sent in headers; it is removed from every message.
        how_to_get_key: Text for users whose key is refused.
        notify: Called with a short text that says why the fetch waits.

    Raises:
        ProviderError: If the address is not that of a web server, holds a password, or would send a key unencrypted.
    """

    def __init__(
        self,
        base_url: str,
        *,
        patience: Patience,
        key: str = "",
        how_to_get_key: str = "",
        notify: Callable[[str], None] = lambda text: None,
    ) -> None:
        super().__init__()
        self._base = _checked_address(base_url, bool(key))
        self._patience, self._key, self._how_to_get_key = patience, key, how_to_get_key
        self.notify = notify
        self.last_meta: dict[str, Any] = {}
        """Member ``meta`` of the latest JSON answer."""

    def __getstate__(self) -> Any:
        raise TypeError("a session may hold a key and is not to be written anywhere")

    def own_url(self, url: str) -> str:
        """Check a link from the server and return the address to follow.

        Servers behind a proxy often write ``http`` where they mean ``https``; then ``https`` is used.

        Raises:
            ProviderError: If the link leads to another host.
        """
        parts, base = _split(url), self._base
        if parts.scheme == "http" and base.scheme == "https" and parts.port in (None, 80):
            parts = parts._replace(scheme="https", netloc=parts.hostname or "")
        upgrade = parts.scheme == "https" and base.scheme == "http" and _port(parts) == 443 and _port(base) == 80
        same = parts.hostname == base.hostname and not parts.username and not parts.password
        if not same or ((parts.scheme, _port(parts)) != (base.scheme, _port(base)) and not upgrade):
            raise ProviderError(
                f"a link from {base.hostname} to {self.readable(urlunsplit(parts), 100)}",
                f"links within {base.scheme}://{base.netloc}",
                "ask the provider, or use the address the link leads to as the base URL",
            )
        return urlunsplit(parts)

    def readable(self, text: str, limit: int = 300) -> str:
        """Return text of a server on one line, without the key and without control characters of terminals."""
        if self._key:
            text = text.replace(self._key, "(key)")
        return plain_line(text, limit)

    def read_json(self, url: str) -> dict[str, Any]:
        """Request the JSON object at an address of the host.

        Raises:
            ProviderError: If the server does not give one.
        """
        answer = self.get(self.own_url(url), headers={"Accept": "application/json, application/vnd.api+json"})
        data = strict_json(answer.content)
        if not isinstance(data, dict):
            raise ProviderError(f"{self._base.hostname} answered with JSON that is no object", "a JSON object")
        return data

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        """Send a request, and repeat it as often as the patience allows. All requests of the session pass through here.

        Raises:
            ProviderError: If the server refuses, or is still busy after the last attempt.
            ProviderKeyError: If the server asks for a key.
        """
        settings.update(timeout=self._patience.timeout, stream=True, allow_redirects=False)
        for attempt in range(1, self._patience.attempts + 1):
            asked_to_wait = None
            try:
                answer = self._follow(request, settings)
                trouble = "" if answer.status_code not in _BUSY else f"answered {answer.status_code}"
                asked_to_wait = _retry_after(answer.headers.get("Retry-After", "")) if trouble else None
                if not trouble:
                    self._refuse(answer)
                    return self._with_json(answer)
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                trouble = f"did not answer ({type(error).__name__})"
            except requests.exceptions.ContentDecodingError:
                trouble = "sent an answer that cannot be unpacked"
            except ValueError as error:
                trouble = f"sent JSON that cannot be read ({self.readable(str(error), 100)})"
            if attempt < self._patience.attempts:
                self._wait(trouble, attempt, asked_to_wait)
        raise ProviderError(
            f"{self._base.hostname} {trouble}, {self._patience.attempts} times in a row",
            fix="try again later; what was fetched is kept, and the same command goes on from there",
        )

    def _wait(self, trouble: str, attempt: int, asked_to_wait: float | None) -> None:
        seconds = self._patience.wait(attempt) if asked_to_wait is None else asked_to_wait
        if seconds > self._patience.longest_wait:
            raise ProviderError(
                f"{self._base.hostname} {trouble} and asks to wait {seconds:.0f} s",
                fix="run the same command again after that time; what was fetched is kept",
            )
        self.notify(f"{self._base.hostname} {trouble}; waiting {seconds:.3g} s")
        time.sleep(seconds)

    def _follow(self, request: requests.PreparedRequest, settings: dict[str, Any]) -> requests.Response:
        """Make one attempt: follow redirects within the host, and read the whole body up to the limit."""
        for _ in range(_MOST_REDIRECTS + 1):
            request.url = self.own_url(str(request.url))
            answer = super().send(request, **settings)
            try:
                _read_body(answer)
            finally:
                answer.close()
            if not answer.is_redirect:
                return answer
            request = request.copy()
            request.url = urljoin(str(answer.url), answer.headers["Location"])
        raise ProviderError(f"{self._base.hostname} redirects without end", fix="check the base URL")

    def _refuse(self, answer: requests.Response) -> None:
        if answer.status_code in (401, 403):
            raise ProviderKeyError(
                f"{self._base.hostname} refuses access ({answer.status_code}): {self._explanation(answer)}",
                fix=self._how_to_get_key or "this address is not open to everybody; ask the provider",
            )
        if answer.status_code != 200:
            raise ProviderError(
                f"{self._base.hostname} answered {answer.status_code}: {self._explanation(answer)}",
                fix="check the query and the base URL" if answer.status_code < 500 else "try again later",
            )

    def _explanation(self, answer: requests.Response) -> str:
        """Return the explanation of an error in the form of JSON:API, of FastAPI, or as text."""
        try:
            data = strict_json(answer.content)
        except ValueError:
            data = None
        said: Any = None
        if isinstance(data, dict):
            errors = data.get("errors")
            if isinstance(errors, list):
                known = [error for error in errors[:3] if isinstance(error, dict)]
                said = "; ".join(str(error.get("detail") or error.get("title") or "") for error in known)
            said = said or data.get("detail") or data.get("message")
        return self.readable(str(said or answer.content.decode("utf-8", "replace") or answer.reason))

    def _with_json(self, answer: requests.Response) -> requests.Response:
        """An answer whose JSON, if it is to be JSON, is whole.

        Raises:
            ValueError: If it is not.
        """
        if "json" in answer.headers.get("Content-Type", ""):
            answer.encoding = "utf-8"  # as RFC 8259 requires; guessing the encoding takes seconds a page
            data = strict_json(answer.content)
            meta = data.get("meta") if isinstance(data, dict) else None
            self.last_meta = meta if isinstance(meta, dict) else {}
        return answer


def plain_line(text: str, limit: int = 300) -> str:
    r"""Return foreign text on one line; characters that control terminals or the writing direction are replaced.

    >>> plain_line("bad\x1b[31m filter\n at 3")
    'bad?[31m filter at 3'
    """
    spaced = " ".join(text[: 4 * limit].encode("utf-8", "replace").decode("utf-8").split())
    plain = "".join("?" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in spaced)
    return plain if len(plain) <= limit else plain[: limit - 3] + "..."


def strict_json(content: bytes) -> Any:
    """Read JSON as RFC 8259 defines it: UTF-8, no NaN or Infinity, and a limited depth.

    Raises:
        ValueError: If the content breaks these rules.
    """

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    try:
        with parsing_deeply():
            return json.loads(content.decode("utf-8"), parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _read_body(answer: requests.Response) -> None:
    """Read the whole body, so that a connection that drops half way is noticed here.

    Raises:
        ProviderError: If the body exceeds the limit of size or time.
    """
    deadline = time.monotonic() + _LONGEST_ANSWER
    content = bytearray()
    for chunk in answer.iter_content(65536):
        content += chunk
        if len(content) > LARGEST_ANSWER or time.monotonic() > deadline:
            host = urlsplit(str(answer.url)).hostname
            raise ProviderError(
                f"an answer of {host} that is too large or too slow",
                f"{LARGEST_ANSWER:,} bytes within {_LONGEST_ANSWER:.0f} s",
                "ask for fewer entries per page",
            )
    answer._content = bytes(content)


def _retry_after(text: str) -> float | None:
    """Read a ``Retry-After`` header, which holds seconds or a date, and return seconds."""
    if text.strip().isdecimal() and len(text) < 10:
        return float(text)
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


def _checked_address(url: str, with_key: bool) -> SplitResult:
    parts = _split(url)
    if parts.username or parts.password:
        raise ProviderError("a base URL with a name or password in it", "an address alone, such as https://host/path")
    if parts.scheme == "http" and with_key and parts.hostname not in _LOOPBACK:
        raise ProviderError(f"http://{plain_line(parts.netloc, 100)} would get the key unencrypted", "https")
    return parts


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # read here, because an invalid port raises an error only when it is read
    except ValueError as error:
        raise ProviderError(f"the address {plain_line(url, 100)}: {error}", "an http or https address") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ProviderError(
            f"the address {plain_line(url, 100)}", "an http or https address, such as https://host/optimade"
        )
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS[parts.scheme]
