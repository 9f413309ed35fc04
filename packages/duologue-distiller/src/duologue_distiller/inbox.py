"""Inbox: messages that wait for whoever reads them, and how their stream ends."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, TypeAlias

Message: TypeAlias = dict[str, Any]

LIMIT = 1024
"""Messages that may wait; then the connection is read no further until somebody reads."""


class Inbox:
    """A bounded queue whose last entry is an end, which may be an error."""

    def __init__(self) -> None:
        self._queue: deque[Message | Exception] = deque()
        self._ended = False
        self._error: Exception | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def put(self, entry: Message | Exception) -> None:
        """Add a message, or an error that is raised once; wait for room."""
        await self._room.wait()
        self._queue.append(entry)
        if len(self._queue) >= LIMIT:
            self._room.clear()
        self._news.set()

    def end(self, error: Exception | None) -> None:
        """No more will come; what waits is read, then `error` is raised, each time anew."""
        if not self._ended:
            self._ended, self._error = True, error
            self._room.set()
            self._news.set()

    async def get(self) -> Message | None:
        """Take the oldest message; None at the end.

        Cancellation: safe, nothing is lost.

        Raises:
            Exception: the error that is next in line, or the one at the end.
        """
        while not self._queue:
            if self._ended:
                if self._error is not None:
                    raise self._error
                return None
            self._news.clear()
            await self._news.wait()
        entry = self._queue.popleft()
        if len(self._queue) < LIMIT // 2:
            self._room.set()
        if isinstance(entry, Exception):
            raise entry
        return entry
