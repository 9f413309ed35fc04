"""A parrot: it says your words back, a whistle a word. A whole transport, found by its entry point."""

from __future__ import annotations

import asyncio
import math
import struct
from typing import TYPE_CHECKING, Any

import duologue
from duologue import AudioOutputDelta, Capabilities, StopReason, TextBlock, TranscriptDelta, TurnComplete

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from duologue import ContentBlock, Event


def whistle(word: str) -> bytes:
    """A fifth of a second of PCM16 at 24 kHz; longer words are higher."""
    pitch = 2 * math.pi * (600 + 40 * len(word)) / 24000
    return struct.pack("<4800h", *(int(5000 * math.sin(pitch * n)) for n in range(4800)))


class ParrotSession:
    """One conversation with the parrot."""

    capabilities = Capabilities(server_vad=False, manual_turns=True, tools=False)

    def __init__(self) -> None:
        self._words: list[str] = []
        self._turns: asyncio.Queue[list[str] | None] = asyncio.Queue(maxsize=16)  # full: commit() waits
        self._stopped = self._closed = False

    async def send(self, content: ContentBlock | list[ContentBlock]) -> None:
        self._check_open()
        for block in content if isinstance(content, list) else [content]:
            if not isinstance(block, TextBlock):
                raise duologue.UnsupportedFormat("the parrot only takes text: send a TextBlock")
            self._words += block.text.split()

    async def commit(self) -> None:
        self._check_open()
        words, self._words = self._words, []
        await self._turns.put(words)

    async def interrupt(self) -> None:
        self._stopped = True

    async def send_tool_result(self, tool_use_id: str, name: str, content: str | list[ContentBlock]) -> None:
        raise duologue.LocalProtocolError(f"the parrot made no call {tool_use_id!r}")

    async def events(self) -> AsyncIterator[Event]:
        yield duologue.SessionStarted(model="parrot")
        while (words := await self._turns.get()) is not None and not self._closed:
            self._stopped = False
            for word in words:
                yield TranscriptDelta("assistant", f"{word} ")
                yield AudioOutputDelta(whistle(word))
                await asyncio.sleep(0)  # a breath, in which the application may cut in
                if self._stopped:
                    break
            yield TurnComplete(StopReason.interrupted if self._stopped else StopReason.end_turn)

    async def close(self) -> None:
        self._closed = self._stopped = True
        if self._turns.empty():
            self._turns.put_nowait(None)  # wakes events(); otherwise it wakes by a turn and sees that it is over

    def _check_open(self) -> None:
        if self._closed:
            raise duologue.SessionClosed("the parrot has flown")


class ParrotTransport:
    """Takes no options; needs no key."""

    async def connect(self, **_: Any) -> ParrotSession:
        return ParrotSession()
