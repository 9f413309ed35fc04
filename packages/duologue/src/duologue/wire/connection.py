"""Connection: one link and the codec that speaks on it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from duologue.errors import ConnectFailed, DuologueError, RemoteProtocolError
from duologue.events import Error, Problem, SessionStarted
from duologue.wire.closing import explain_end

if TYPE_CHECKING:
    from duologue.events import Event
    from duologue.wire.capture import Capture
    from duologue.wire.codec import Codec, Frame, Opening
    from duologue.wire.commands import Command
    from duologue.wire.link import Link, LinkEnd
    from duologue.wire.secrets import Secrets

log = logging.getLogger(__name__)


class ConnectionOwner(Protocol):
    """Who a connection reports to."""

    def accepted(self, connection: Connection) -> None:
        """The provider took the session."""
        ...

    def took(self, connection: Connection, events: list[Event], size: int) -> None:
        """A frame of `size` bytes or characters was these events."""
        ...

    def writable(self, connection: Connection) -> None:
        """The socket takes more again."""
        ...

    def lost(self, connection: Connection, error: DuologueError | None) -> None:
        """An accepted connection ended; None means that the provider ended it cleanly."""
        ...


class Connection:
    """One connection of a session, from its opening frames to its end.

    Attributes:
        number: counts the connections of a session from 1.
        codec: what is spoken.
        opening: what it started from.
        link: the socket.
        standing: resolved when the provider accepts, failed when it refuses.
        retired: nothing that still comes from it counts (the fence around an old connection).
        fenced: frames that came behind the fence.
    """

    def __init__(
        self,
        number: int,
        codec: Codec,
        opening: Opening,
        link: Link,
        owner: ConnectionOwner,
        hidden: Secrets,
        capture: Capture | None,
    ) -> None:
        self.number = number
        self.codec = codec
        self.opening = opening
        self.link = link
        self.standing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.retired = False
        self.fenced = 0
        self._owner = owner
        self._hidden = hidden
        self._capture = capture
        self._accepted = False

    def start(self) -> None:
        """Send what the protocol opens with, and listen."""
        if self._capture is not None:
            self._capture.opened(self.number, self.opening)
        self._write(self.codec.opening())
        self.link.start(self)

    def send(self, command: Command) -> None:
        """Say a command.

        Raises:
            UnsupportedFormat: the protocol can't carry it.
        """
        frames = self.codec.encode(command)
        if self._capture is not None:
            self._capture.asked(self.number, command)
        if frames:
            self._write(frames)

    def say_goodbye(self) -> None:
        """Send what the protocol closes with."""
        self._write(self.codec.closing())

    def retire(self) -> None:
        """Put the fence up."""
        self.retired = True

    def hide_in(self, exc: Exception) -> None:
        """Hide our secrets in what the provider said: some repeat the key they refuse."""
        exc.args = tuple(self._hidden.redact(arg) if isinstance(arg, str) else arg for arg in exc.args)

    # -- what the link tells --------------------------------------------------------------------------

    def frame(self, frame: Frame) -> None:
        """A message came."""
        if self.retired:
            self.fenced += 1
            return
        codec = self.codec
        if self._capture is not None:
            self._capture.received(self.number, frame)
        try:
            events = codec.decode(frame)
        except Exception as exc:  # task boundary: a codec's own fault costs this frame, not the session
            log.warning("the codec of %s failed on a frame", codec.provider, exc_info=exc)
            events = [Problem(RemoteProtocolError(f"a frame of {codec.provider} could not be read: {exc!r}"))]
        if codec.outgoing:
            frames, codec.outgoing = codec.outgoing, []
            self._write(frames)
        if self._accepted:
            self._owner.took(self, events, len(frame))
        else:
            self._before_acceptance(events, len(frame))

    def writable(self) -> None:
        """The socket takes more again."""
        if not self.retired:
            self._owner.writable(self)

    def ended(self, end: LinkEnd) -> None:
        """The link is over."""
        if self._capture is not None:
            self._capture.closed(self.number, end)
        if self.retired:
            return
        self.retired = True
        error = self.codec.explain_close(end.code, end.reason)
        if error is None and end.code == 1000 and self._accepted:
            self._owner.lost(self, None)
            return
        error = error or explain_end(end, self.codec.provider, accepted=self._accepted)
        self._fail(error)

    def give_up(self, error: DuologueError) -> None:
        """Cut the link for a reason of ours."""
        if not self.retired:
            self.retired = True
            self.link.abort()
            self._fail(error)

    def _fail(self, error: DuologueError) -> None:
        self.hide_in(error)
        if self._accepted:
            self._owner.lost(self, error)
        elif not self.standing.done():
            self.standing.set_exception(error)
            self.standing.exception()  # whoever waits gets it; nobody may wait any more, which is no news

    def _before_acceptance(self, events: list[Event], size: int) -> None:
        for number, event in enumerate(events):
            if isinstance(event, Error):
                cause = event.exception
                error = cause if isinstance(cause, DuologueError) else ConnectFailed(str(cause), retryable=False)
                self.give_up(error)
                return
            if isinstance(event, SessionStarted):
                self._accepted = True
                self._owner.accepted(self)
                if not self.standing.done():
                    self.standing.set_result(None)
                first = self.number == 1
                rest = events if first else events[:number] + events[number + 1 :]
                if not self.retired:
                    self._owner.took(self, rest, size)
                return
        for event in events:
            log.debug("before it accepted the session, %s sent %s", self.codec.provider, event)

    def _write(self, frames: list[Frame]) -> None:
        link, capture = self.link, self._capture
        for frame in frames:
            if capture is not None:
                capture.sent(self.number, frame)
            link.send(frame)
