"""HTTP: the few requests beside a session, in both colours; httpx is loaded with the first of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from duologue.errors import ConnectFailed, DuologueError
from duologue.wire import Endpoint, Secrets
from duologue.wire.closing import explain_failure

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

WITHIN = 30.0
"""Seconds each step of a request may take."""

CONNECT_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    text: str

    def json(self) -> Any:
        """The body as JSON, None where it is none."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class HTTP:
    """Posts, with time-outs and without redirects, which would take a key elsewhere.

    Raises (by `post` and `apost`):
        ConfigurationError: a secret would go over plain HTTP to another machine; the certificate is not trusted.
        ConnectFailed: there was no answer.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._verify: Any = True if context is None else context

    def post(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        body: Any = None,
        form: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        within: float = WITHIN,
    ) -> Answer:
        """Post JSON, a form or nothing, and block until the answer is there."""
        import httpx

        hidden = _check(url, headers, secrets)
        try:
            with httpx.Client(verify=self._verify, timeout=_limits(within)) as client:
                response = client.post(url, **_content(headers, body, form))
                return _read(response, hidden)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
            raise _explain(exc, url, hidden) from None

    async def apost(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        body: Any = None,
        form: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        within: float = WITHIN,
    ) -> Answer:
        """The same without blocking."""
        import httpx

        hidden = _check(url, headers, secrets)
        try:
            async with httpx.AsyncClient(verify=self._verify, timeout=_limits(within)) as client:
                response = await client.post(url, **_content(headers, body, form))
                return _read(response, hidden)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
            raise _explain(exc, url, hidden) from None


def _read(response: Any, hidden: Secrets) -> Answer:
    text = str(response.text)  # a refusal may hold what it refuses
    return Answer(response.status_code, text if response.status_code < 300 else hidden.redact(text))


def _limits(within: float) -> Any:
    import httpx

    return httpx.Timeout(within, connect=min(within, CONNECT_WITHIN))


def _content(headers: Mapping[str, str], body: Any, form: Mapping[str, str] | None) -> dict[str, Any]:
    sent: dict[str, Any] = {"headers": {"User-Agent": "duologue-distiller", **headers}}
    if form is not None:
        sent["data"] = dict(form)
    elif body is not None:
        sent["content"] = json.dumps(body)
    return sent


def _check(url: str, headers: Mapping[str, str], secrets: tuple[str, ...]) -> Secrets:
    """Apply the rules of sockets: no secret in the clear but on this machine."""
    scheme, colon, rest = url.partition(":")
    socket_url = {"http": "ws", "https": "wss"}.get(scheme, scheme) + colon + rest
    endpoint = Endpoint(socket_url, headers, secrets=secrets)
    endpoint.check()
    return endpoint.hidden()


def _explain(exc: Exception, url: str, hidden: Secrets) -> DuologueError:
    import httpx

    cause: BaseException | None = exc
    while cause is not None and not isinstance(cause, OSError):  # httpx wraps what tells a bad certificate from others
        cause = cause.__cause__ or cause.__context__
    found: Exception = cause if isinstance(cause, OSError) else exc
    if isinstance(exc, httpx.TimeoutException):
        found = TimeoutError()
    failure = explain_failure(found, urlsplit(url).netloc.rpartition("@")[2], "distiller")
    if isinstance(failure, ConnectFailed):
        failure.retryable = True
    failure.args = (hidden.redact(str(failure)),)
    return failure
