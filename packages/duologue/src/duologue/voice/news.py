"""News: what a session says, for its callbacks and for who iterates over it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from duologue.events import AudioOutputDelta, Event, Interrupted, TextDelta, TurnComplete
from duologue.events import TranscriptDelta as Said
from duologue.formats import parse_format
from duologue.voice.callbacks import Callbacks, Courier, takes_speaker
from duologue.voice.data import AudioChunk, TranscriptDelta

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from duologue.types import Role
    from duologue.voice.errors import RealtimeError

log = logging.getLogger("duologue.voice")

STREAM_LIMIT = 64
"""Pieces that wait for who iterates; then the session is read no further."""


class News:
    """The couriers of one session, and its stream."""

    def __init__(self, callbacks: Callbacks, failed: Callable[[str, BaseException], None]) -> None:
        self._callbacks = callbacks
        about = lambda name, exc: failed(f"on_{name}", exc)  # noqa: E731 - a name for an argument
        self._audio = Courier("audio", about)
        self._transcript = Courier("transcript", about)
        self._interrupted = Courier("interrupted", about)
        self._error = Courier("error", lambda _name, exc: log.error("on_error failed: %s", exc))
        self._texts: dict[tuple[Role, str], str] = {}
        self._stream: deque[AudioChunk | TranscriptDelta] | None = None
        self._moved = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._sounds = False

    # -- what happens ---------------------------------------------------------------------------------

    def bring(self, event: Event) -> None:
        """Bring an event to whom it concerns."""
        match event:
            case AudioOutputDelta():
                self._speech(event)
            case Said():
                self._words(event.role, event.item_id, event.delta, final=event.final)
            case TextDelta():
                self._words("assistant", event.item_id or event.response_id, event.delta, final=False)
            case Interrupted():
                self.hush()
                for function in self._callbacks.interrupted:
                    self._interrupted.put(function)
            case TurnComplete():
                for role, item in [key for key in self._texts if key[0] == "assistant"]:
                    self._words(role, item, "", final=True)
                if self._sounds:
                    self._sounds = False
                    self._put(AudioChunk(b"", 0, is_final=True))
            case _:
                pass

    def hush(self) -> None:
        """Drop speech that nobody took yet."""
        self._audio.drop()
        if self._stream is not None:
            kept = [piece for piece in self._stream if not isinstance(piece, AudioChunk)]
            self._stream.clear()
            self._stream.extend(kept)
            self._room.set()
        if self._sounds:
            self._sounds = False
            self._put(AudioChunk(b"", 0, is_final=True))

    def error(self, error: RealtimeError) -> bool:
        """Bring an error; False where nobody wants to hear of it."""
        for function in self._callbacks.error:
            self._error.put(function, error)
        return bool(self._callbacks.error)

    @property
    def full(self) -> bool:
        """Whether so much waits that no more should be taken."""
        return any(c.full for c in self._couriers) or (self._stream is not None and len(self._stream) >= STREAM_LIMIT)

    async def room(self) -> None:
        """Wait until less waits."""
        while self._stream is not None and len(self._stream) >= STREAM_LIMIT:
            self._room.clear()
            await self._room.wait()
        for courier in self._couriers:
            await courier.room()

    async def close(self) -> None:
        """Bring what waits, within a second."""
        self.end()
        await asyncio.gather(*(courier.close() for courier in self._couriers))

    # -- the stream -----------------------------------------------------------------------------------

    def stream(self) -> AsyncIterator[AudioChunk | TranscriptDelta]:
        """Everything from now on."""
        self._stream = deque()
        return self._iterate(self._stream)

    def end(self) -> None:
        """Let the stream end when what waits was taken."""
        self._ended = True
        self._moved.set()
        self._room.set()

    async def _iterate(
        self, stream: deque[AudioChunk | TranscriptDelta]
    ) -> AsyncIterator[AudioChunk | TranscriptDelta]:
        try:
            while True:
                while stream:
                    piece = stream.popleft()
                    self._room.set()
                    yield piece
                if self._ended:
                    return
                self._moved.clear()
                await self._moved.wait()
        finally:
            self._stream = None
            self._room.set()

    @property
    def _couriers(self) -> tuple[Courier, ...]:
        return (self._audio, self._transcript, self._interrupted, self._error)

    def _speech(self, event: AudioOutputDelta) -> None:
        self._sounds = True
        for function in self._callbacks.audio:
            self._audio.put(function, event.data)
        if self._stream is not None:
            self._put(AudioChunk(event.data, parse_format(event.media_type).duration_ms(len(event.data), 24000)))

    def _words(self, role: Role, item: str, delta: str, *, final: bool) -> None:
        key = (role, item)
        whole = self._texts.get(key, "") + delta
        if final:
            self._texts.pop(key, None)
        else:
            self._texts[key] = whole
        if not final and not delta:
            return  # it only says when the utterance began
        for function in self._callbacks.transcript:
            text = whole if final else delta
            if takes_speaker(function):
                self._transcript.put(function, text, final, role)
            elif role == "assistant":
                self._transcript.put(function, text, final)
        self._put(TranscriptDelta(delta, final, role))

    def _put(self, piece: AudioChunk | TranscriptDelta) -> None:
        if self._stream is not None:
            self._stream.append(piece)
            self._moved.set()
