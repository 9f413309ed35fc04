"""Faults: what an `error` of the provider means, as errors of ours. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.errors import (
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    DuologueError,
    ProtocolError,
    RateLimited,
)

from duologue_openai.plan import PROVIDER

if TYPE_CHECKING:
    from duologue_openai.server_events import Fault

EXPIRED = "session_expired"

_LATER = frozenset({"server_error", "rate_limit_exceeded", "internal_error", EXPIRED})
_BETA = frozenset({"beta_api_shape_disabled"})


def describe(fault: Fault, request: str = "") -> tuple[str, str]:
    """The code of a fault, and a sentence about it that names the request of ours which caused it."""
    code = fault.code or fault.type or ""
    about = f" about {request}" if request else ""
    where = f" (at {fault.param})" if fault.param else ""
    return code, f"{PROVIDER} reported {code or 'an error'}{about}: {fault.message or 'no reason given'}{where}"


def problem(fault: Fault, request: str = "") -> DuologueError:
    """The error that a fault is while the session goes on."""
    code, message = describe(fault, request)
    kind = RateLimited if code == "rate_limit_exceeded" else ProtocolError
    return kind(message, provider=PROVIDER, code=code or None)


def refusal(fault: Fault, request: str = "") -> DuologueError:
    """The error that a fault is before the session stands."""
    code, message = describe(fault, request)
    if code in _BETA:
        message += "; the server takes our session for one of the beta: is something in between that adds a header?"
    if request:
        return ConfigurationError(message, provider=PROVIDER, code=code or None)
    retryable = code in _LATER or fault.type in _LATER
    kind = RateLimited if code == "rate_limit_exceeded" else ConnectFailed
    return kind(message, retryable=retryable, provider=PROVIDER, code=code or None)


def expired(fault: Fault) -> DuologueError:
    """The session came to its time limit: another connection takes over."""
    code, message = describe(fault)
    return ConnectionLost(message, retryable=True, provider=PROVIDER, code=code)
