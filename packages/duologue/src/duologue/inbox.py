"""Inbox: events on their way to the application, bounded by bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Self

from duologue.errors import LocalProtocolError
from duologue.events import AudioOutputDelta, Error, Event, ProviderEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from duologue.replies import Reply

EVENT_BYTES = 256
"""What an event counts besides its audio and text."""


class Inbox:
    """A queue with one consumer.

    Policy: nothing is dropped but the audio of cut replies (counted in `audio_dropped`). The producer never
    waits in `put`; at `limit` bytes it is to await `room()` before it reads on, so the backlog stays bounded
    by the limit and one message.
    """

    def __init__(self, limit: int, delivered: Callable[[Event, Reply | None], None]) -> None:
        self._limit = limit
        self._delivered = delivered
        self._items: deque[tuple[Event, Reply | None, int]] = deque()
        self._bytes = 0
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._consumer: int | None = None
        self._consumers = 0
        self.audio_dropped = 0
        """Pieces of speech that were dropped because their reply was cut."""

    @property
    def waiting_bytes(self) -> int:
        """What waits for the application."""
        return self._bytes

    @property
    def full(self) -> bool:
        """Whether the producer should wait; never once no more events come."""
        return self._bytes >= self._limit and not self._ended

    def put(self, event: Event, reply: Reply | None = None) -> None:
        """Add an event; audio comes with its reply."""
        if self._ended:
            return
        size = EVENT_BYTES + len(event.data) if type(event) is AudioOutputDelta else _size(event)
        self._items.append((event, reply, size))
        self._bytes += size
        if self._bytes >= self._limit:
            self._has_room.clear()
        if self._waiter is not None:
            self._wake()

    def drop_audio(self, response_ids: frozenset[str]) -> None:
        """Drop the audio of cut replies."""
        kept: deque[tuple[Event, Reply | None, int]] = deque()
        for item in self._items:
            _, reply, size = item
            if reply is not None and reply.id in response_ids:
                self.audio_dropped += 1
                self._bytes -= size
            else:
                kept.append(item)
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

    def events(self, *, raise_on_error: bool) -> AsyncIterator[Event]:
        """Iterate over the events in order until the end.

        The iterator raises `LocalProtocolError` while another consumer is at it. A consumer is one from its
        first event until it ends, is cancelled or is let go of, so a loop may be left and another begun.
        """
        self._consumers += 1
        return _Consumer(self, self._consumers, raise_on_error=raise_on_error)

    def take(self, consumer: int) -> Event | None:
        """The next event, None when there is none.

        Raises:
            LocalProtocolError: another consumer is at it.
        """
        if self._consumer != consumer:
            if self._consumer is not None:
                raise LocalProtocolError("events() has a consumer already: there can be one at a time")
            self._consumer = consumer
        if not self._items:
            return None
        event, reply, size = self._items.popleft()
        crowded = self._bytes >= self._limit
        self._bytes -= size
        if crowded and not self.full:
            self._has_room.set()
        self._delivered(event, reply)
        return event

    async def arrival(self) -> bool:
        """Wait for an event; False when no more come.

        Cancellation: safe, nothing is lost.

        Raises:
            LocalProtocolError: another consumer is at it.
        """
        if self._waiter is not None:
            raise LocalProtocolError("events() has a consumer already: there can be one at a time")
        if self._ended:
            return False
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        return True

    def release(self, consumer: int) -> None:
        """This consumer takes no more."""
        if self._consumer == consumer:
            self._consumer = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Consumer:
    """What `events()` returns: a class and no generator, as a generator that a loop leaves ends some time later."""

    def __init__(self, inbox: Inbox, number: int, *, raise_on_error: bool) -> None:
        self._inbox = inbox
        self._number = number
        self._raise_on_error = raise_on_error
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._over:
            raise StopAsyncIteration
        inbox = self._inbox
        while (event := inbox.take(self._number)) is None:
            try:
                if not await inbox.arrival():
                    await self.aclose()
                    raise StopAsyncIteration
            except asyncio.CancelledError:
                inbox.release(self._number)  # its task ends, but its traceback may keep this alive
                raise
        if self._raise_on_error and isinstance(event, Error):
            await self.aclose()
            raise event.exception
        return event

    async def aclose(self) -> None:
        """Make place for another consumer."""
        self._over = True
        self._inbox.release(self._number)

    def __del__(self) -> None:
        self._inbox.release(self._number)


def _size(event: Event) -> int:
    if isinstance(event, ProviderEvent):
        return EVENT_BYTES + len(str(event.data))
    fields = (getattr(event, name) for name in type(event).__slots__)
    return EVENT_BYTES + sum(len(value) for value in fields if isinstance(value, str | bytes))
