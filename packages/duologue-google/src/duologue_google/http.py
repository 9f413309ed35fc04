"""HTTP: the few requests that go beside a session, to list models and to make tokens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from duologue.errors import ConfigurationError, ConnectFailed
from duologue.wire import Endpoint, Secrets
from duologue.wire.closing import explain_status

from duologue_google.receiver import PROVIDER
from duologue_google.threads import in_thread

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

WITHIN = 15.0
"""Seconds a request may take."""

LARGEST = 8 << 20
"""Bytes an answer may have."""


async def ask(
    url: str,
    headers: Mapping[str, str],
    *,
    body: Mapping[str, Any] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    within: float = WITHIN,
) -> Any:
    """Return the JSON that a GET, or with a body a POST, is answered with.

    Raises:
        ConfigurationError: a key would go over plain HTTP to another machine, or was not accepted.
        ConnectFailed: there was no answer, or another one than hoped for.
    """
    from http.client import HTTPException  # this and urllib load with the first request, not with the package

    hidden = Secrets.of(url, headers)
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    Endpoint(parts._replace(scheme=scheme).geturl(), headers).check()
    where = f"{parts.scheme}://{parts.netloc}"
    try:
        status, text = await in_thread(
            lambda: _fetch(url, headers, body, ssl_context, within), within=within + 1.0, name="request"
        )
    except (OSError, HTTPException) as exc:  # a TimeoutError is an OSError
        raise ConnectFailed(
            f"{where} can't be reached: {hidden.redact(str(exc)) or type(exc).__name__}", provider=PROVIDER
        ) from None
    if status in (401, 403):
        error = explain_status(status, hidden.redact(_message(text)), PROVIDER)
        raise ConfigurationError(str(error), provider=PROVIDER, code=str(status))
    if status >= 300:  # everything that is no success
        raise explain_status(status, hidden.redact(_message(text)), PROVIDER)
    try:
        return json.loads(text)
    except ValueError:
        raise ConnectFailed(f"{where} answered with something else than JSON", provider=PROVIDER) from None


def _fetch(
    url: str, headers: Mapping[str, str], body: Mapping[str, Any] | None, context: ssl.SSLContext | None, within: float
) -> tuple[int, str]:
    import urllib.error
    import urllib.request

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        """A redirect would take the key to somewhere else."""

        def redirect_request(self, *_: Any, **__: Any) -> None:
            return None

    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {**headers, "Content-Type": "application/json"})  # noqa: S310 - http(s): the endpoint's check knows no other
    opener = urllib.request.build_opener(NoRedirect, urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=within) as answer:
            return answer.status, answer.read(LARGEST).decode("utf-8", errors="replace")
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read(LARGEST).decode("utf-8", errors="replace")


def _message(text: str) -> str:
    try:
        found = json.loads(text)
        return str(found["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text[:300]
