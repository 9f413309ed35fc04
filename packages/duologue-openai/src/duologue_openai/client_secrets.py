"""ClientSecret: a short-lived key for one device, minted by a server that has the real one."""

from __future__ import annotations

import asyncio
import http.client
import os
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from duologue.errors import ConfigurationError, ConnectFailed
from duologue.wire import Endpoint, Secrets
from duologue.wire.closing import explain_status

from duologue_openai.address import Address
from duologue_openai.plan import PROVIDER

if TYPE_CHECKING:
    import ssl as tls
    from collections.abc import Callable, Mapping

WITHIN = 15.0
"""Seconds a request may take."""

LARGEST = 1 << 20
"""Bytes an answer may have."""


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A minted key.

    Attributes:
        value: the key (`ek_...`): give it to the device, and there to `OpenAIRealtimeTransport(api_key=...)`.
        expires_at: until when a session can be opened with it, in seconds since 1970.
    """

    value: str = field(repr=False)
    expires_at: int


async def create_client_secret(
    api_key: str | None = None,
    *,
    session: Mapping[str, Any] | None = None,
    expires_after: int = 600,
    base_url: str | None = None,
    organization: str | None = None,
    project: str | None = None,
    azure: bool | None = None,
    ssl: tls.SSLContext | None = None,
) -> ClientSecret:
    """Mint an ephemeral key, so that a browser or a telephone never holds the real one.

    Args:
        api_key: the real key; default `OPENAI_API_KEY`.
        session: settings that sessions of this key have, as the protocol has them: `{"model": ...}`.
        expires_after: seconds in which a session must be opened, 10 to 7200.
        base_url: as of `OpenAIRealtimeTransport`.
        organization: sent as `OpenAI-Organization`.
        project: sent as `OpenAI-Project`.
        azure: as of `OpenAIRealtimeTransport`.
        ssl: a TLS context of your own.

    Cancellation: safe; the request may be made all the same.

    Raises:
        ConfigurationError: no key, or one that is not accepted.
        LinkError: the provider can't be reached, or refused.

    Source: the Realtime API reference, "Create client secret".
    """
    address = Address.of(base_url, None, azure)
    key = api_key or os.environ.get("OPENAI_API_KEY") or ""
    if not key and not address.local:
        raise ConfigurationError("openai needs a key: set OPENAI_API_KEY, or pass api_key=", provider=PROVIDER)
    headers = address.headers(key, organization=organization, project=project)
    Endpoint(address.socket_url("any"), headers).check()  # no key over plain HTTP to elsewhere
    body = {
        "expires_after": {"anchor": "created_at", "seconds": expires_after},
        "session": {"type": "realtime", **(session or {})},
    }
    url, hidden = address.web_url("realtime/client_secrets"), Secrets.of("", headers, (key,))
    try:
        status, text = await _in_thread(lambda: _post(url, headers, body, ssl))
    except (OSError, http.client.HTTPException) as exc:  # a TimeoutError is an OSError
        why = hidden.redact(str(exc)) or type(exc).__name__
        raise ConnectFailed(f"{address.base_url} can't be reached: {why}", provider=PROVIDER) from None
    if status in (401, 403):
        message = str(explain_status(status, hidden.redact(text), PROVIDER))
        raise ConfigurationError(message, provider=PROVIDER, code=str(status))
    if not 200 <= status < 300:
        raise explain_status(status, hidden.redact(text), PROVIDER)
    try:
        found = msgspec.json.decode(text, type=_Minted)
    except msgspec.MsgspecError:
        raise ConnectFailed(
            f"{address.base_url} answered with something else than a client secret", provider=PROVIDER
        ) from None
    return ClientSecret(found.value, found.expires_at)


class _Minted(msgspec.Struct):
    value: str
    expires_at: int


def _post(url: str, headers: Mapping[str, str], body: Any, context: tls.SSLContext | None) -> tuple[int, str]:
    request = urllib.request.Request(  # noqa: S310 - http(s) only: the address knows no other scheme
        url, msgspec.json.encode(body), {**headers, "Content-Type": "application/json"}
    )
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=WITHIN) as answer:
            return answer.status, answer.read(LARGEST).decode("utf-8", errors="replace")
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read(LARGEST).decode("utf-8", errors="replace")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the key to somewhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


async def _in_thread(work: Callable[[], tuple[int, str]]) -> tuple[int, str]:
    """Do work on a daemon thread, which never delays the end of the program."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[int, str]] = loop.create_future()

    def settle(result: tuple[int, str] | None, exc: Exception | None) -> None:
        if not done.done():
            if exc is not None:
                done.set_exception(exc)
            elif result is not None:
                done.set_result(result)

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as exc:  # task boundary: whatever happened is raised where it is awaited
            failure = exc
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="duologue client secret", daemon=True).start()
    async with asyncio.timeout(WITHIN + 1.0):
        return await done
