"""Observers: one stream of events for several listeners, none of which can hold it up."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

T = TypeVar("T")

WAITING = 1000


class Observers(Generic[T]):
    """Each listener gets everything from its `listen()` on; one that falls `WAITING` behind loses the oldest.

    Attributes:
        dropped: events that listeners lost.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._listeners: list[_Listener[T]] = []

    def post(self, event: T) -> None:
        """Hand an event to all."""
        for listener in self._listeners:
            self.dropped += len(listener.waiting) == WAITING
            listener.waiting.append(event)
            listener.wake.set()

    def listen(self) -> AsyncIterator[T]:
        """Iterate over what is posted from this call on, until `end()`."""
        listener: _Listener[T] = _Listener()
        self._listeners.append(listener)
        return self._read(listener)

    def end(self) -> None:
        """No more comes; listeners still get what waits."""
        for listener in self._listeners:
            listener.ended = True
            listener.wake.set()
        self._listeners.clear()

    async def _read(self, listener: _Listener[T]) -> AsyncIterator[T]:
        try:
            while True:
                while listener.waiting:
                    yield listener.waiting.popleft()
                if listener.ended:
                    return
                listener.wake.clear()
                await listener.wake.wait()
        finally:
            if listener in self._listeners:
                self._listeners.remove(listener)


class _Listener(Generic[T]):
    def __init__(self) -> None:
        self.waiting: deque[T] = deque(maxlen=WAITING)
        self.wake = asyncio.Event()
        self.ended = False
