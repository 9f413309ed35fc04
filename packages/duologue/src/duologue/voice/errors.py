"""The façade's errors, in the tree of all others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from duologue.errors import DuologueError, LinkError, SessionClosed

if TYPE_CHECKING:
    from collections.abc import Iterator


class RealtimeError(DuologueError):
    """Something went wrong in a voice session; `__cause__` is the error it was made of."""

    @property
    def message(self) -> str:
        """What happened."""
        return str(self)


class RealtimeConnectionError(RealtimeError, LinkError):
    """There is no connection: none could be made, it broke off for good, or the session is over."""


def as_realtime_error(exc: BaseException, about: str = "") -> RealtimeError:
    """The façade's error for any other."""
    if isinstance(exc, RealtimeError):
        return exc
    lost = isinstance(exc, LinkError | SessionClosed | OSError)
    message = str(exc) or type(exc).__name__
    if not isinstance(exc, DuologueError):
        message = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
    made = (RealtimeConnectionError if lost else RealtimeError)(
        f"{about}: {message}" if about else message,
        retryable=getattr(exc, "retryable", False),
        provider=getattr(exc, "provider", None),
        code=getattr(exc, "code", None),
    )
    made.__cause__ = exc
    return made


@contextmanager
def realtime_errors() -> Iterator[None]:
    """Turn every error of ours into the façade's."""
    try:
        yield
    except RealtimeError:
        raise
    except DuologueError as exc:
        raise as_realtime_error(exc) from exc
