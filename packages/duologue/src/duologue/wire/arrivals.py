"""Arrivals: events on their way from the sockets to whoever reads the session."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from duologue.errors import LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from duologue.events import Event

UNREAD_HIGH = 4 << 20
"""Bytes of frames whose events nobody took: then the socket is read no further."""


@dataclass(frozen=True, slots=True)
class _Marker:
    """A place in the queue."""

    act: Callable[[], None]


class Arrivals:
    """One queue with one reader. Nothing is dropped: beyond `UNREAD_HIGH` the socket is paused until all is read.

    Attributes:
        queue: the events that wait; whoever appends calls `wake` after.
    """

    def __init__(self, pause: Callable[[bool], None]) -> None:
        self.queue: deque[Event | _Marker] = deque()
        self._pause = pause
        self._unread = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._reading = False
        self._ended = False
        self._error: Exception | None = None

    def put(self, event: Event) -> None:
        """Add an event of our own."""
        self.queue.append(event)
        self.wake(0)

    def wake(self, size: int) -> None:
        """Events of a frame of that size were added."""
        self._unread += size
        if self._unread > UNREAD_HIGH and not self._paused:
            self._paused = True
            self._pause(True)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def when_read(self, act: Callable[[], None]) -> None:
        """Call this once everything that is queued now has been read."""
        self.queue.append(_Marker(act))
        self.wake(0)

    def new_socket(self) -> None:
        """Another socket is read from now on, and none is paused."""
        self._paused = False

    def end(self, error: Exception | None) -> None:
        """No more will come; what waits is still read, then `error` is raised."""
        if not self._ended:
            self._ended, self._error = True, error
            self.wake(0)

    def read(self) -> AsyncIterator[Event]:
        """Yield the events until the end.

        Raises:
            LocalProtocolError: somebody reads already.
        """
        if self._reading:
            raise LocalProtocolError("events() has been called already: a session is read once")
        self._reading = True
        return self._read()

    async def _read(self) -> AsyncIterator[Event]:
        queue = self.queue
        while True:
            while queue:
                event = queue.popleft()
                if type(event) is _Marker:
                    event.act()
                else:
                    yield cast("Event", event)
            self._unread = 0
            if self._paused:
                self._paused = False
                self._pause(False)
            if self._ended:
                if self._error is not None:
                    raise self._error
                return
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
