"""ScriptedTransport: a backend that follows a script, for testing agents without a model."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from duologue.errors import SessionClosed
from duologue.events import AudioOutputDelta, Event, TranscriptDelta, TurnComplete
from duologue.testing.records import (
    CallAnswered,
    Committed,
    ContentSent,
    PlaybackNoticed,
    Record,
    ReplyStopped,
    Truncated,
)
from duologue.transport import Capabilities, TurnDetection
from duologue.types import Message, StopReason

if TYPE_CHECKING:
    from duologue.blocks import ContentBlock
    from duologue.tool import Tool


@dataclass(frozen=True, slots=True)
class Wait:
    """Let time pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Expect:
    """Wait until the agent does something: a record, or one of a type for which `where` holds.

    Records count once and in any order: an expectation takes the first that fits and that none took
    before. After `within` seconds the script fails.
    """

    what: Record | type[Any]
    where: Callable[[Any], bool] = lambda _: True
    within: float = 10.0

    def fits(self, record: Record) -> bool:
        """Whether this is what was expected."""
        if isinstance(self.what, type):
            return isinstance(record, self.what) and self.where(record)
        return record == self.what and self.where(record)


@dataclass(frozen=True, slots=True)
class End:
    """The backend ends the session cleanly. Without it the session stays open until it is closed."""


Step: TypeAlias = Event | Wait | Expect | End | Exception
Script: TypeAlias = Iterable[Step]


@dataclass
class ScriptedTransport:
    """Plays a script to the agent and records what the agent does.

    Args:
        script: events to report, `Wait`, `Expect`, `End`, or an exception the session dies of. Give a
            function to get a fresh script for each connection.
        capabilities: what the session claims to be able to do.
        refuse: an exception to raise from `connect()`.
        hang: the session's methods that never return ("send", "commit", "interrupt", "send_tool_result",
            "close"): a dead peer.

    Attributes:
        sessions: one for each connection made, oldest first.
        connected_with: the arguments of each `connect()`.
    """

    script: Script | Callable[[], Script] = ()
    capabilities: Capabilities = field(default_factory=Capabilities)
    refuse: Exception | None = None
    hang: Sequence[Literal["send", "commit", "interrupt", "send_tool_result", "close"]] = ()
    sessions: list[ScriptedSession] = field(default_factory=list, init=False)
    connected_with: list[dict[str, Any]] = field(default_factory=list, init=False)

    @classmethod
    def saying(cls, text: str, **kwargs: Any) -> Self:
        """A backend that answers the first committed turn with this text and a tone as its speech."""
        return cls(script=lambda: [Expect(Committed), *speech(text)], **kwargs)

    @property
    def session(self) -> ScriptedSession:
        """The newest session."""
        return self.sessions[-1]

    @property
    def sent(self) -> list[Record]:
        """What the newest session was asked to do."""
        return self.session.sent

    async def connect(
        self,
        *,
        system: str,
        tools: list[Tool],
        voice: str | None = None,
        input_audio_format: str = "audio/pcm;rate=16000",
        output_audio_format: str = "audio/pcm;rate=24000",
        turn_detection: TurnDetection | None = None,
        history: Sequence[Message] = (),
        options: Mapping[str, Any] | None = None,
    ) -> ScriptedSession:
        """Open a session that plays the script."""
        self.connected_with.append(
            {
                "system": system,
                "tools": tools,
                "voice": voice,
                "input_audio_format": input_audio_format,
                "output_audio_format": output_audio_format,
                "turn_detection": turn_detection,
                "history": tuple(history),
                "options": options,
            }
        )
        if self.refuse is not None:
            raise self.refuse
        script = self.script() if callable(self.script) else self.script
        self.sessions.append(ScriptedSession(script, self.capabilities, frozenset(self.hang)))
        return self.sessions[-1]


class ScriptedSession:
    """The session of a `ScriptedTransport`."""

    def __init__(self, script: Script, capabilities: Capabilities, hang: frozenset[str]) -> None:
        self._script = script
        self._capabilities = capabilities
        self._hang = hang
        self._unclaimed: list[Record] = []
        self._moved = asyncio.Event()
        self._closed = asyncio.Event()
        self.sent: list[Record] = []
        """What the session was asked to do, in order."""

    @property
    def capabilities(self) -> Capabilities:
        """What the script's author claims."""
        return self._capabilities

    @property
    def closed(self) -> bool:
        """Whether `close()` was called."""
        return self._closed.is_set()

    async def send(self, content: ContentBlock | list[ContentBlock]) -> None:
        """Record content."""
        await self._record("send", ContentSent(content))

    async def commit(self) -> None:
        """Record the end of a turn."""
        await self._record("commit", Committed())

    async def interrupt(self) -> None:
        """Record that the reply was stopped."""
        await self._record("interrupt", ReplyStopped())

    async def send_tool_result(self, tool_use_id: str, name: str, content: str | list[ContentBlock]) -> None:
        """Record an answer."""
        await self._record("send_tool_result", CallAnswered(tool_use_id, name, content))

    async def truncate(self, *, item_id: str, heard_ms: int) -> None:
        """Record a truncation."""
        await self._record("truncate", Truncated(item_id, heard_ms))

    async def playback_started(self) -> None:
        """Record the notice."""
        await self._record("playback", PlaybackNoticed(started=True))

    async def playback_stopped(self) -> None:
        """Record the notice."""
        await self._record("playback", PlaybackNoticed(started=False))

    async def events(self) -> AsyncIterator[Event]:
        """Play the script."""
        for step in self._script:
            if self._closed.is_set():
                return
            if isinstance(step, Exception):
                self._closed.set()
                raise step
            if isinstance(step, End):
                self._closed.set()
                return
            if isinstance(step, Wait):
                if await self._closed_within(step.seconds):
                    return
            elif isinstance(step, Expect):
                if await self._closed_before(step):
                    return
            else:
                yield step
        await self._closed.wait()

    async def close(self) -> None:
        """End the session."""
        self._closed.set()
        self._moved.set()
        if "close" in self._hang:
            await asyncio.Event().wait()

    async def _record(self, method: str, record: Record) -> None:
        if self._closed.is_set():
            raise SessionClosed("the scripted session has ended")
        self.sent.append(record)
        self._unclaimed.append(record)
        self._moved.set()
        if method in self._hang:
            await asyncio.Event().wait()

    async def _closed_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            return False
        return True

    async def _closed_before(self, expected: Expect) -> bool:
        try:
            async with asyncio.timeout(expected.within):
                while not self._closed.is_set():
                    found = next((r for r in self._unclaimed if expected.fits(r)), None)
                    if found is not None:
                        self._unclaimed.remove(found)
                        return False
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise AssertionError(f"the agent never did {expected.what}; it did {self.sent}") from None
        return True


def tone(ms: float, *, rate: int = 24000, hz: float = 440.0) -> bytes:
    """A quiet sine as PCM16: audio that can be told from silence."""
    frames = int(rate * ms / 1000)
    return struct.pack(f"<{frames}h", *(int(6000 * math.sin(2 * math.pi * hz * n / rate)) for n in range(frames)))


def speech(
    text: str, *, ms: float | None = None, response_id: str = "", item_id: str = "", complete: bool = True
) -> Iterator[Event]:
    """The events of a spoken reply: its transcript, a tone of `ms` (default 60 a character), its end."""
    yield TranscriptDelta("assistant", text, item_id=item_id)
    left = 60.0 * len(text) if ms is None else ms
    while left > 0:
        yield AudioOutputDelta(tone(min(left, 100)), response_id=response_id, item_id=item_id)
        left -= 100
    yield TranscriptDelta("assistant", "", final=True, item_id=item_id)
    if complete:
        yield TurnComplete(StopReason.end_turn, response_id=response_id)
