"""Address: where a server that speaks OpenAI Realtime is reached, and with what credentials."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from duologue.errors import ConfigurationError
from duologue.wire import Secrets
from duologue.wire.endpoint import is_loopback

from duologue_openai.plan import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "https://api.openai.com/v1"

_SOCKET = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_WEB = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


@dataclass(frozen=True, slots=True)
class Address:
    """A server.

    Attributes:
        base_url: as the official client has it: with `/v1`, without `/realtime`; http(s) or ws(s).
        query: further parameters of the address.
        azure: keys go into the header `api-key`.
    """

    base_url: str
    query: Mapping[str, str] = field(default_factory=dict)
    azure: bool = False

    @classmethod
    def of(cls, base_url: str | None, query: Mapping[str, str] | None, azure: bool | None) -> Address:
        """Read what was given; `OPENAI_BASE_URL` stands in for an address that was not.

        Raises:
            ConfigurationError: it is no address.
        """
        given = base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT
        hidden = Secrets.of(given, {})
        try:
            parts = urlsplit(given)
            host = parts.hostname
        except ValueError as exc:
            raise ConfigurationError(f"{hidden.redact(given)!r} is no URL: {exc}", provider=PROVIDER) from None
        if parts.scheme not in _SOCKET or not host:
            raise ConfigurationError(
                f"{hidden.redact(given)!r} is no base_url: it must look like {DEFAULT}", provider=PROVIDER
            )
        found = {**dict(parse_qsl(parts.query)), **(query or {})}
        path = parts.path.rstrip("/").removesuffix("/realtime") or "/v1"
        at_azure = host.endswith((".openai.azure.com", ".cognitiveservices.azure.com"))
        plain = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
        return cls(plain, found, at_azure if azure is None else azure)

    @property
    def local(self) -> bool:
        """Whether it is this machine, where a server may want no key."""
        return is_loopback(urlsplit(self.base_url).hostname or "")

    def socket_url(self, model: str) -> str:
        """The address of a session."""
        named = {} if {"deployment", "call_id", "intent"} & set(self.query) else {"model": model}
        return self._url(_SOCKET, "realtime", {**named, **self.query})

    def web_url(self, path: str) -> str:
        """The address of a request over HTTP."""
        return self._url(_WEB, path, self.query)

    def headers(self, key: str, *, organization: str | None = None, project: str | None = None) -> dict[str, str]:
        """What goes with the request."""
        headers = {"api-key": key} if self.azure and not key.startswith("ey") else {"Authorization": f"Bearer {key}"}
        if not key:
            headers = {}
        if organization:
            headers["OpenAI-Organization"] = organization
        if project:
            headers["OpenAI-Project"] = project
        return headers

    def _url(self, schemes: Mapping[str, str], path: str, query: Mapping[str, str]) -> str:
        parts = urlsplit(self.base_url)
        return urlunsplit((schemes[parts.scheme], parts.netloc, f"{parts.path}/{path}", urlencode(query), ""))
