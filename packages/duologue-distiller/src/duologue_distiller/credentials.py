"""Credentials: keys, and tokens that are fetched and expire."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from duologue.errors import ConfigurationError, ConnectFailed
from duologue.wire.closing import explain_status

from duologue_distiller.http import HTTP, Answer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

EARLY = 60.0
"""Seconds before its end at which a token is replaced."""

UNKNOWN = 300.0
"""Seconds for which a token is used that does not say how long it lives."""


@runtime_checkable
class Credentials(Protocol):
    """What gives a bearer token whenever one is needed."""

    def token(self) -> str:
        """A token that is good now; may block."""
        ...

    async def atoken(self) -> str:
        """The same without blocking."""
        ...


class TokenProvider:
    """OAuth client credentials: fetches a token with them, keeps it in memory, and replaces it before it expires.

    Args:
        token_url: where tokens are given out.
        client_id: who asks.
        client_secret: the proof; hidden in all messages.
        scope: what the token is for.
        ssl: a TLS context of your own.
        clock: the time in seconds since 1970.

    Raises (by `token` and `atoken`):
        ConfigurationError: the secret would travel in the clear.
        ConnectFailed: no token was given.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        scope: str | None = None,
        *,
        ssl: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        self._form = form if scope is None else {**form, "scope": scope}
        self._http = HTTP(ssl)
        self._url = token_url
        self._clock = clock
        self._token = ""
        self._good_until = 0.0

    def __repr__(self) -> str:
        return f"TokenProvider(client_id={self._form['client_id']!r})"

    def token(self) -> str:
        """A token that is good now; blocks while one is fetched."""
        if not self._fresh():
            self._keep(self._http.post(self._url, {}, form=self._form, secrets=(self._form["client_secret"],)))
        return self._token

    async def atoken(self) -> str:
        """A token that is good now."""
        if not self._fresh():
            secrets = (self._form["client_secret"],)
            self._keep(await self._http.apost(self._url, {}, form=self._form, secrets=secrets))
        return self._token

    def _fresh(self) -> bool:
        return bool(self._token) and self._clock() < self._good_until - EARLY

    def _keep(self, answer: Answer) -> None:
        if answer.status >= 300:
            raise explain_status(answer.status, answer.text, "distiller (its token)")
        found = answer.json()
        token = found.get("access_token") if isinstance(found, dict) else None
        if not isinstance(token, str) or not token:
            raise ConnectFailed("the token URL answered without an access_token", retryable=False, provider="distiller")
        assert isinstance(found, dict)
        self._token, self._good_until = token, self._ends(token, found.get("expires_in"))

    def _ends(self, token: str, expires_in: Any) -> float:
        try:
            return self._clock() + float(expires_in)
        except (TypeError, ValueError):
            pass
        try:
            payload = token.split(".")[1]
            return float(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])
        except (IndexError, KeyError, TypeError, ValueError):
            return self._clock() + UNKNOWN + EARLY


class ApiKey:
    """A key that is always the same; "" for a server on this machine that wants none."""

    def __init__(self, key: str) -> None:
        if not key.isascii() or any(c.isspace() for c in key):
            raise ConfigurationError("the API key holds characters that no header can carry: was it copied whole?")
        self._key = key

    def __repr__(self) -> str:
        return "ApiKey([hidden])"

    def token(self) -> str:
        """The key."""
        return self._key

    async def atoken(self) -> str:
        """The key."""
        return self._key
