"""Inbox: events on their way to the application, bounded by bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from duologue.errors import LocalProtocolError
from duologue.events import AudioOutputDelta, Error, Event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from duologue.replies import Reply

EVENT_BYTES = 256
"""What an event counts besides its audio."""


class Inbox:
    """A queue with one consumer.

    Policy: nothing is dropped but the audio of cut replies (counted in `audio_dropped`). The producer never
    waits in `put`; at `limit` bytes it is to await `room()` before it reads on, so the backlog stays bounded
    by the limit and one message.
    """

    def __init__(self, limit: int, delivered: Callable[[AudioOutputDelta, Reply], None]) -> None:
        self._limit = limit
        self._delivered = delivered
        self._items: deque[tuple[Event, Reply | None]] = deque()
        self._bytes = 0
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._taken = False
        self.audio_dropped = 0
        """Pieces of speech that were dropped because their reply was cut."""

    @property
    def waiting_bytes(self) -> int:
        """What waits for the application."""
        return self._bytes

    @property
    def full(self) -> bool:
        """Whether the producer should wait."""
        return self._bytes >= self._limit

    def put(self, event: Event, reply: Reply | None = None) -> None:
        """Add an event; audio comes with its reply."""
        if self._ended:
            return
        self._items.append((event, reply))
        self._bytes += _size(event)
        if self._bytes >= self._limit:
            self._has_room.clear()
        self._wake()

    def drop_audio(self, response_ids: frozenset[str]) -> None:
        """Drop the audio of cut replies."""
        kept: deque[tuple[Event, Reply | None]] = deque()
        for event, reply in self._items:
            if reply is not None and reply.id in response_ids:
                self.audio_dropped += 1
                self._bytes -= _size(event)
            else:
                kept.append((event, reply))
        self._items = kept
        if not self.full:
            self._has_room.set()

    async def room(self) -> None:
        """Wait until the application has caught up."""
        await self._has_room.wait()

    def end(self) -> None:
        """No more events come; what waits is still delivered."""
        self._ended = True
        self._has_room.set()
        self._wake()

    async def events(self, *, raise_on_error: bool) -> AsyncGenerator[Event, None]:
        """Yield events in order until the end.

        Raises:
            LocalProtocolError: another consumer is at it.
        """
        if self._taken:
            raise LocalProtocolError("events() has a consumer already: there can be one at a time")
        self._taken = True
        try:
            while True:
                while not self._items:
                    if self._ended:
                        return
                    self._waiter = asyncio.get_running_loop().create_future()
                    try:
                        await self._waiter
                    finally:
                        self._waiter = None
                event, reply = self._items.popleft()
                self._bytes -= _size(event)
                if not self._has_room.is_set() and not self.full:
                    self._has_room.set()
                if reply is not None and isinstance(event, AudioOutputDelta):
                    self._delivered(event, reply)
                if raise_on_error and isinstance(event, Error):
                    raise event.exception
                yield event
        finally:
            self._taken = False

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _size(event: Event) -> int:
    return EVENT_BYTES + (len(event.data) if isinstance(event, AudioOutputDelta) else 0)
