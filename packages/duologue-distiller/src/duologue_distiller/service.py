"""Service: a Distiller server and what we are there: its address, our key, our account."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from duologue.errors import ConfigurationError, ConnectFailed
from duologue.wire import Endpoint, KeepAlive
from duologue.wire.closing import explain_status
from duologue.wire.endpoint import is_loopback

from duologue_distiller.codec import PROVIDER
from duologue_distiller.credentials import ApiKey, Credentials
from duologue_distiller.http import HTTP

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from duologue_distiller.http import Answer
    from duologue_distiller.place import Place

BASE_URL = "https://api.airefinery.accenture.com"
LEGACY_BASE_URL = "https://legacy-api.airefinery.accenture.com"

SDK_VERSION = "1.33.2"
"""The version of the official client whose protocol this is; the service asks for one."""

VALIDATE = "/authentication/validate"


class Service:
    """Where requests and sessions go, and with what credentials.

    Args:
        api_key: a key or what gives tokens; default `API_KEY`. A server on this machine may do without.
        base_url: http(s):// or ws(s)://; default `AIR_BASE_URL`, then the service of AI Refinery
            (`USE_LEGACY_API_URL=1`: its older address).
        account: the account the key belongs to; asked for, where it is not given.
        ssl: a TLS context of your own.
        headers: sent with every request and with the session's.

    Raises:
        ConfigurationError: the address is wrong.
    """

    def __init__(
        self,
        api_key: str | Credentials | None = None,
        base_url: str | None = None,
        *,
        account: str = "",
        ssl: ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        legacy = os.environ.get("USE_LEGACY_API_URL", "").lower() in ("1", "true")
        default = os.environ.get("AIR_BASE_URL") or (LEGACY_BASE_URL if legacy else BASE_URL)
        self.base_url = _http_url(base_url or default)
        parts = urlsplit(self.base_url)
        self._local = is_loopback(parts.hostname or "")
        self._account = account
        self._ssl = ssl
        self._headers = dict(headers or {})
        self._http = HTTP(ssl if parts.scheme == "https" else None)
        self._credentials = self._given(api_key)

    def __repr__(self) -> str:
        return f"Service({self.base_url!r})"

    @property
    def credentials(self) -> Credentials:
        """What gives tokens.

        Raises:
            ConfigurationError: there is no key.
        """
        if self._credentials is None:
            raise ConfigurationError(
                "the distiller needs a key: set API_KEY, or pass api_key= (a key or a TokenProvider)", provider=PROVIDER
            )
        return self._credentials

    async def account(self) -> str:
        """The account the key belongs to.

        Raises:
            ConfigurationError: there is no key.
            ConnectFailed: the server can't be reached or refuses the key.
        """
        if not self._account:
            headers = self._named("", await self.credentials.atoken(), own=False)
            self._account = _account(await self._http.apost(self.base_url + VALIDATE, headers, within=15.0))
        return self._account

    async def apost(self, path: str, body: Any, *, within: float = 30.0) -> Answer:
        """Post to the service."""
        headers = self._named(await self.account(), await self.credentials.atoken())
        return await self._http.apost(self.base_url + path, headers, body=body, within=within)

    def post(self, path: str, body: Any, *, within: float = 30.0) -> Answer:
        """Post to the service and block."""
        if not self._account:
            headers = self._named("", self.credentials.token(), own=False)
            self._account = _account(self._http.post(self.base_url + VALIDATE, headers, within=15.0))
        headers = self._named(self._account, self.credentials.token())
        return self._http.post(self.base_url + path, headers, body=body, within=within)

    async def endpoint(self, place: Place, keep_alive: KeepAlive) -> Endpoint:
        """Where the session of a place is, with a token that is good now."""
        token = await self.credentials.atoken()
        parts = urlsplit(self.base_url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        return Endpoint(
            parts._replace(scheme=scheme, path=parts.path + place.path).geturl(),
            self._named(place.account, token),
            PROVIDER,
            self._ssl if scheme == "wss" else None,
            keep_alive=keep_alive,
            secrets=(token,) if token else (),
        )

    def _named(self, account: str, token: str, *, own: bool = True) -> dict[str, str]:
        headers = {"sdk_version": SDK_VERSION, "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if own:
            headers |= self._headers
        if account:
            headers["airefinery_account"] = account
        return headers

    def _given(self, api_key: str | Credentials | None) -> Credentials | None:
        if api_key is not None and not isinstance(api_key, str):
            return api_key
        key = (api_key or os.environ.get("API_KEY") or "").strip()
        return ApiKey(key) if key or self._local else None


def _http_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    url = {"ws": "http", "wss": "https"}.get(scheme, scheme) + separator + rest
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise ConfigurationError(f"base_url={url!r} is no URL: {exc}", provider=PROVIDER) from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or parts.username:
        raise ConfigurationError(
            f"base_url must be like https://host or https://host:port/path, without query and password: "
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}",
            provider=PROVIDER,
        )
    return url.rstrip("/")


def _account(answer: Answer) -> str:
    if not 200 <= answer.status < 300:
        raise explain_status(answer.status, answer.text, PROVIDER)
    found = answer.json()
    account = found.get("organization_id") if isinstance(found, dict) else None
    if not account:
        raise ConnectFailed(
            "distiller did not say which account the key belongs to; pass account=", retryable=False, provider=PROVIDER
        )
    return str(account)
