"""Closing: what close codes, HTTP statuses and network faults mean, as errors of ours.

Close codes: RFC 6455 section 7.4.1 and the IANA registry. HTTP statuses: RFC 9110.
"""

from __future__ import annotations

import ssl

from duologue.errors import (
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    DuologueError,
    LinkError,
    RateLimited,
)
from duologue.wire.link import ABNORMAL, LinkEnd

_MEANING = {
    1000: "closed normally",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1006: "the connection broke off",
    1007: "invalid argument",
    1008: "refused by its policy",
    1009: "message too big",
    1010: "an extension is missing",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
    1015: "TLS failure",
    3000: "unauthorized",
    3003: "forbidden",
}

FATAL = frozenset({1002, 1003, 1007, 1008, 1010, 3000, 3003})
"""Close codes that say that the same again will not work. All others are worth another try."""

_RETRYABLE_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


def explain_end(end: LinkEnd, provider: str, *, accepted: bool) -> LinkError:
    """The error that a link's end is, by the general rules; a codec may know better.

    `accepted` tells whether the session stood: `ConnectionLost`, or had not been accepted: `ConnectFailed`.
    """
    kind: type[LinkError] = ConnectionLost if accepted else ConnectFailed
    meaning = _MEANING.get(end.code, "closed")
    if end.code == 1013:
        kind = RateLimited
    what = (
        f"{provider or 'the provider'} closed the link"
        if end.code != ABNORMAL
        else f"the link to {provider or 'the provider'} was lost"
    )
    why = end.reason or (str(end.cause) if end.cause is not None else "")
    message = f"{what} ({end.code}, {meaning})" + (f": {why}" if why else "")
    return kind(message, retryable=end.code not in FATAL, provider=provider or None, code=str(end.code))


def explain_status(status: int, body: str, provider: str) -> DuologueError:
    """The error that an HTTP answer other than 101 is."""
    who = provider or "the provider"
    said = f": {' '.join(body.split())[:300]}" if body.strip() else ""
    code = str(status)
    if status == 429:
        return RateLimited(f"{who} asks for patience (HTTP 429){said}", provider=provider or None, code=code)
    advice = {
        401: "; check the key",
        403: "; check the key and what it may do",
        404: "; check the address and the model's name",
    }.get(status, "")
    return ConnectFailed(
        f"{who} refused the connection (HTTP {status}){advice}{said}",
        retryable=status in _RETRYABLE_STATUS,
        provider=provider or None,
        code=code,
    )


def explain_failure(exc: Exception, address: str, provider: str) -> DuologueError:
    """The error that a failure to open a link is; `address` may be shown, `exc` is its cause."""
    who = provider or "the provider"
    if isinstance(exc, TimeoutError):
        message = f"{who} at {address} did not answer in time"
        return ConnectFailed(message, provider=provider or None, code="timeout")
    if isinstance(exc, ssl.SSLCertVerificationError):
        return ConfigurationError(
            f"the certificate of {address} is not trusted ({exc.verify_message}): "
            "pass `ssl=` a context that trusts it, or set SSL_CERT_FILE",
            provider=provider or None,
            code="certificate",
        )
    why = str(exc) or type(exc).__name__
    if isinstance(exc, ImportError):
        return ConfigurationError(f"{who} at {address} can't be reached: {why}", provider=provider or None)
    return ConnectFailed(f"{who} at {address} can't be reached: {why}", provider=provider or None, code="unreachable")
