"""Outbox: the events of a session on their way to the reader, and what the reader has heard of each reply."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duologue.errors import DuologueError, LocalProtocolError
from duologue.events import AudioOutputDelta, Error, Event

from duologue_local.stages import OUTPUT_RATE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

MAX_AUDIO = 30 * OUTPUT_RATE * 2
"""Bytes of speech (30 s) that may wait for the reader; then the synthesis waits."""
MAX_EVENTS = 10_000
"""Other events that may wait; a session that nobody reads ends with an error."""


@dataclass(slots=True)
class Playback:
    """A reply's audio, as if it were played from the moment the reader took it."""

    taken_ms: float = 0.0
    until: float = 0.0
    since: float | None = None

    def take(self, ms: float, now: float) -> None:
        """The reader took `ms` more."""
        if self.since is None:
            self.since = now
        self.taken_ms += ms
        self.until = max(self.until, now) + ms / 1000

    def stop(self, now: float) -> None:
        """Nothing more of it is heard."""
        self.taken_ms = self.heard_ms(now)
        self.until = min(self.until, now)

    def heard_ms(self, now: float) -> float:
        """How much of it was heard by now."""
        return max(0.0, self.taken_ms - max(0.0, self.until - now) * 1000)


class Outbox:
    """A queue of events; audio in it is bounded, and can be dropped by response."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._events: deque[Event] = deque()
        self._audio = 0
        self._moved = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._reading = False
        self._playing: tuple[str, Playback] = ("", Playback())

    def put(self, event: Event) -> None:
        """Queue an event that is not audio."""
        if self._ended:
            return
        if len(self._events) >= MAX_EVENTS:
            self._events.clear()
            self._audio = 0
            self.end(DuologueError(f"{MAX_EVENTS} events wait and nobody reads events(): the session was ended"))
            return
        self._events.append(event)
        self._moved.set()

    async def put_audio(self, event: AudioOutputDelta) -> None:
        """Queue audio; waits while much of it waits."""
        while self._audio >= MAX_AUDIO and not self._ended:
            self._room.clear()
            await self._room.wait()
        if not self._ended:
            self._audio += len(event.data)
            self.put(event)

    def drop_audio(self, response_id: str) -> None:
        """Cut a response: its audio that was not read yet is forgotten, and what plays of it stops now."""
        if self._playing[0] == response_id:
            self._playing[1].stop(self._clock())
        kept = (e for e in self._events if not (isinstance(e, AudioOutputDelta) and e.response_id == response_id))
        self._events = deque(kept)
        self._audio = sum(len(e.data) for e in self._events if isinstance(e, AudioOutputDelta))
        self._room.set()

    def playback(self, response_id: str) -> Playback:
        """How the audio of a response plays."""
        return self._playing[1] if self._playing[0] == response_id else Playback()

    async def taken(self, response_id: str) -> None:
        """Wait until the reader has taken all audio of a response."""
        while any(isinstance(e, AudioOutputDelta) and e.response_id == response_id for e in self._events):
            self._room.clear()
            await self._room.wait()

    def end(self, error: Exception | None = None) -> None:
        """No more events come; `error` is the last thing the reader gets."""
        if self._ended:
            return
        if error is not None:
            self._events.append(Error(error))
        self._ended = True
        self._moved.set()
        self._room.set()

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield the events.

        Raises:
            LocalProtocolError: somebody else reads already.
            Exception: what the session ended with.
        """
        if self._reading:
            raise LocalProtocolError("events() of this session is being read already: it has one reader")
        self._reading = True
        try:
            while True:
                while not self._events:
                    if self._ended:
                        return
                    self._moved.clear()
                    await self._moved.wait()
                event = self._events.popleft()
                if isinstance(event, Error):
                    raise event.exception
                if isinstance(event, AudioOutputDelta):
                    self._take(event)
                yield event
        finally:
            self._reading = False

    def _take(self, event: AudioOutputDelta) -> None:
        self._audio -= len(event.data)
        if self._playing[0] != event.response_id:
            # a reply that follows another begins to sound when that one is over
            self._playing = (event.response_id, Playback(until=self._playing[1].until))
        self._playing[1].take(len(event.data) / (OUTPUT_RATE * 2 / 1000), self._clock())
        self._room.set()
