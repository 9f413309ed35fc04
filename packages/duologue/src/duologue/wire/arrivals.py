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

    A reader that waits need not be woken for each event: `hand_to` gives it a way to take them where they arrive.

    Attributes:
        queue: the events that wait; whoever appends calls `wake` after.
    """

    def __init__(self, pause: Callable[[bool], None]) -> None:
        self.queue: deque[Event | _Marker] = deque()
        self._pause = pause
        self._unread = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._take: Callable[[Event], bool] | None = None
        self._handing = False
        self._reading = False
        self._ended = False
        self._error: Exception | None = None

    def put(self, event: Event) -> None:
        """Add an event of our own."""
        self.queue.append(event)
        self.wake(0)

    def wake(self, size: int) -> None:
        """Events of a frame of that size were added."""
        waiter = self._waiter
        if self._take is not None and waiter is not None and not waiter.done() and self._handed_over():
            return
        self._unread += size
        if self._unread > UNREAD_HIGH and not self._paused:
            self._paused = True
            self._pause(True)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def hand_to(self, take: Callable[[Event], bool]) -> None:
        """Call this with each event that comes while the reader waits; what it refuses (False), the reader gets."""
        self._take = take

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

    def _handed_over(self) -> bool:
        """Hand over what waits; whether the reader may sleep on."""
        if self._handing:
            return True  # whoever takes an event has caused another: it is the next one
        queue, take = self.queue, cast("Callable[[Event], bool]", self._take)
        self._handing = True
        try:
            while queue:
                event = queue[0]
                if type(event) is _Marker:
                    event.act()
                elif not take(cast("Event", event)):
                    return False
                queue.popleft()
        except Exception as exc:  # task boundary: a fault of the taker is the reader's, not the socket's
            queue.popleft()
            self._ended, self._error = True, exc
        finally:
            self._handing = False
        return not self._ended

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
