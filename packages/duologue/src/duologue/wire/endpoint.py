"""Endpoint: where a provider is reached, with what credentials and under which limits."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import urlsplit

from duologue.errors import ConfigurationError
from duologue.wire.secrets import Secrets

if TYPE_CHECKING:
    import ssl

MAX_FRAME = 16 << 20
"""Bytes a frame of the provider may have; a larger one closes the link (RFC 6455, code 1009)."""


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """How a dead link is noticed.

    Attributes:
        every: seconds between our pings.
        within: seconds without a sign of life (any frame, or a pong) after which the link is given up.
        answers: the provider answers pings in time. Where it doesn't (some take half a minute), silence alone
            proves nothing; then the link is given up once the peer's TCP has acknowledged nothing of what we sent
            for `within` seconds, on systems that can tell (Linux, macOS, Windows).
    """

    every: float = 5.0
    within: float = 15.0
    answers: bool = True


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place to connect to.

    Attributes:
        url: `wss://`, or `ws://` on this machine.
        headers: sent with the upgrade request; the place for keys.
        provider: the name in errors.
        ssl: a TLS context of your own, None for the system's trust.
        proxy: True honours the environment (`HTTPS_PROXY`, `NO_PROXY`), a URL is used, None goes direct.
        subprotocols: offered in this order.
        max_frame: bytes a frame may have.
        keep_alive: how a dead link is noticed.
        secrets: further values that must not appear in errors, logs and captures. Values of headers that carry
            credentials, passwords in URLs and query parameters that look like keys are secrets by themselves.
        plain: allow a key over `ws://` to a machine other than this one.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    provider: str = ""
    ssl: ssl.SSLContext | None = None
    proxy: str | Literal[True] | None = True
    subprotocols: tuple[str, ...] = ()
    max_frame: int = MAX_FRAME
    keep_alive: KeepAlive = KeepAlive()
    secrets: tuple[str, ...] = ()
    plain: bool = False

    def __repr__(self) -> str:
        return self.hidden().redact(f"Endpoint({self.url!r}, provider={self.provider!r}, headers={[*self.headers]})")

    def hidden(self) -> Secrets:
        """What to hide in everything that is shown."""
        proxy = self.proxy if isinstance(self.proxy, str) else ""
        return Secrets.of(self.url, self.headers, self.secrets, proxy, self.subprotocols)

    def check(self) -> None:
        """Refuse what can't be connected to.

        Raises:
            ConfigurationError: no WebSocket URL, or a key that would travel in the clear.
        """
        hidden = self.hidden()
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname, parts.port
        except ValueError as exc:
            raise ConfigurationError(f"{hidden.redact(self.url)!r} is no URL: {hidden.redact(str(exc))}") from None
        if parts.scheme not in ("ws", "wss") or not host:
            raise ConfigurationError(
                f"{hidden.redact(self.url)!r} is no WebSocket URL: it must start with wss:// (or ws:// on this machine)"
            )
        if parts.fragment:
            raise ConfigurationError(f"{hidden.redact(self.url)!r} is no WebSocket URL: nothing may follow a '#'")
        if parts.scheme == "ws":
            if self.ssl is not None:
                raise ConfigurationError(f"a TLS context was given for {hidden.redact(self.url)!r}: use wss://")
            sent = Secrets.of(self.url, self.headers, self.secrets, subprotocols=self.subprotocols)
            if sent and not self.plain and not is_loopback(host):
                raise ConfigurationError(
                    f"a key would go to {host} unencrypted: use wss:// (ws:// is for this machine only)"
                )


EndpointSource: TypeAlias = Endpoint | Callable[[], Awaitable[Endpoint]]
"""An endpoint, or what makes one before each connection (fresh credentials, another region)."""


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
