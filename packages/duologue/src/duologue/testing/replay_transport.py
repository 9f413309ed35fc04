"""ReplayTransport: a captured session as a backend, to run an application against."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from duologue.effects import AnswerCall, StopReply
from duologue.errors import SessionClosed
from duologue.transport import Capabilities
from duologue.wire.commands import Command, CommitTurn, SendContent
from duologue.wire.replay import Replay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from duologue.blocks import ContentBlock
    from duologue.events import Event
    from duologue.tool import Tool
    from duologue.transport import TurnDetection
    from duologue.types import Message
    from duologue.wire.codec import CodecFactory


class ReplayTransport:
    """Plays the provider's side of a capture, at its own times on the loop's clock.

    On a `VirtualClock` that takes no time. What the agent does is recorded in the session's `sent` and changes
    nothing.

    Args:
        path: the capture.
        codec: makes the codecs; default what the transport that made the capture says.

    Raises:
        ConfigurationError: the file is no capture, or nobody knows its codec.
    """

    def __init__(self, path: str | Path, codec: CodecFactory | None = None) -> None:
        self._path, self._codec = path, codec
        Replay(path, codec)  # what is wrong with the file shows here
        self.sessions: list[ReplaySession] = []

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
    ) -> ReplaySession:
        """Begin the replay."""
        self.sessions.append(ReplaySession(Replay(self._path, self._codec)))
        return self.sessions[-1]


class ReplaySession:
    """The session of a `ReplayTransport`; it ends where the capture does.

    Attributes:
        sent: what the agent asked for.
        differences: frames that this version of the codec sends otherwise; known at the end.
    """

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._closed = asyncio.Event()
        first = next((step for step in replay), None)
        self._zero = first.t if first is not None else 0.0
        self.sent: list[Command] = []

    @property
    def capabilities(self) -> Capabilities:
        """Those of the codec."""
        return self._replay.capabilities or Capabilities()

    @property
    def differences(self) -> list[str]:
        """Frames that this version of the codec sends otherwise."""
        return self._replay.differences

    async def send(self, content: ContentBlock | list[ContentBlock]) -> None:
        """Record it."""
        for block in content if isinstance(content, list) else [content]:
            self._record(SendContent(block))

    async def commit(self) -> None:
        """Record it."""
        self._record(CommitTurn())

    async def interrupt(self) -> None:
        """Record it."""
        self._record(StopReply())

    async def send_tool_result(self, tool_use_id: str, name: str, content: str | list[ContentBlock]) -> None:
        """Record it."""
        self._record(AnswerCall(tool_use_id, name, content))

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events at their times."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._replay.differences.clear()
        for step in self._replay:
            if isinstance(step.what, Command):
                continue
            wait = began + step.t - self._zero - loop.time()
            if wait > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._closed.wait()
            if self._closed.is_set():
                return
            yield step.what

    async def close(self) -> None:
        """End it."""
        self._closed.set()

    def _record(self, command: Command) -> None:
        if self._closed.is_set():
            raise SessionClosed("the replay has ended")
        self.sent.append(command)
