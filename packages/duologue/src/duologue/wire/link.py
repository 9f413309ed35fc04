"""Link: one WebSocket, as the rest of the wire layer sees it, whatever library carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from duologue.wire.codec import Frame
    from duologue.wire.endpoint import Endpoint

WRITE_HIGH = 64 << 10
"""Bytes waiting in the socket at which it counts as congested: a second and a half of microphone in base64."""

WRITE_LOW = 16 << 10
"""Bytes at which it no longer does."""

ABNORMAL = 1006
"""The close code of a link that ended without a close frame (RFC 6455, 7.1.5)."""


@dataclass(frozen=True, slots=True)
class LinkEnd:
    """How a link ended.

    Attributes:
        code: the close code the peer sent, `ABNORMAL` where it sent none.
        reason: the peer's reason.
        cause: what broke it, where it is known: an OSError, a broken rule of WebSocket.
    """

    code: int = ABNORMAL
    reason: str = ""
    cause: Exception | None = None


class LinkListener(Protocol):
    """Who is told what happens on a link; every method is called on the loop and must not block."""

    def frame(self, frame: Frame) -> None:
        """One whole message. A text message that is no UTF-8 comes as `bytes`."""
        ...

    def writable(self) -> None:
        """The socket was congested and takes more again."""
        ...

    def ended(self, end: LinkEnd) -> None:
        """The link is over; called once, whoever ended it."""
        ...


class Link(Protocol):
    """One open WebSocket.

    Writing never waits: `send` puts a frame into the socket's buffer, whose size is `congested`'s business. The
    caller looks at it, holds back what may be late and awaits `drain` with what may not.
    """

    @property
    def heard(self) -> int:
        """How many frames came, pings and pongs included: a number that moves is a sign of life."""
        ...

    @property
    def congested(self) -> bool:
        """Whether the peer takes frames slower than they are sent."""
        ...

    def start(self, listener: LinkListener) -> None:
        """Tell this listener from now on; what came before is told at once."""
        ...

    def send(self, frame: Frame) -> None:
        """Write a frame; on a link that has ended nothing happens (`ended` tells)."""
        ...

    def ping(self) -> None:
        """Write a ping."""
        ...

    async def drain(self) -> None:
        """Wait until the socket is no longer congested, or the link has ended. Cancellation: safe."""
        ...

    def pause(self) -> None:
        """Read no further: the peer will feel it by TCP's own flow control."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    async def close(self, within: float) -> None:
        """Say goodbye and wait `within` seconds for the peer's answer; then cut. Cancellation: the link is cut."""
        ...

    def abort(self) -> None:
        """Cut the link at once."""
        ...


OpenLink: TypeAlias = "Callable[[Endpoint, float], Awaitable[Link]]"
"""Opens a link to an endpoint within so many seconds; raises what `duologue.wire.closing` made of the failure."""
