"""WireSession: a `RealtimeSession` for every provider that speaks over a WebSocket."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from duologue.blocks import AudioBlock
from duologue.effects import AnswerCall, Truncate
from duologue.errors import LocalProtocolError
from duologue.wire.capture import Capture
from duologue.wire.commands import CommitTurn, NotePlayback, SendContent, UpdateSession
from duologue.wire.exchange import Exchange
from duologue.wire.links import open_link
from duologue.wire.policy import LinkPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from duologue.blocks import ContentBlock
    from duologue.events import Event
    from duologue.tool import Tool
    from duologue.transport import Capabilities, TurnDetection
    from duologue.types import Message
    from duologue.wire.codec import CodecFactory
    from duologue.wire.commands import ProviderCommand
    from duologue.wire.endpoint import EndpointSource
    from duologue.wire.link import OpenLink

CLOSE_WITHIN = 1.7
"""Seconds that `close()` may take on a dead or full link."""


CAPTURE_WITHIN = 0.2
"""Seconds that `close()` waits for the file of a capture to be whole; the disk may take longer."""


class WireSession:
    """A session that outlives its connections.

    Frames are decoded where they are parsed, and their events wait in one queue for `events()`; no task and no
    second queue touches a message. What the application sends is encoded and written in its own call. While there
    is no connection, content, turns and answers wait for the next one and the microphone is kept, bounded by
    `LinkPolicy.gap_audio_s`, the oldest dropped first. A congested socket holds the microphone back in the same way,
    and makes everything else wait.

    Args:
        codec_factory: makes the codec of each connection.
        endpoint: where to connect, or what tells it before each connection.
        policy: when to connect again; one for each session.
        history: what was said before this session.
        capture: a file that records the session (`duologue.wire.capture`).
        describe: what the capture notes of the session's setup, JSON-able and without secrets.
        link: how to open a link; default the fastest that is installed.

    Raises:
        ConfigurationError: the capture can't be written.
    """

    def __init__(
        self,
        codec_factory: CodecFactory,
        endpoint: EndpointSource,
        policy: LinkPolicy | None = None,
        *,
        history: Sequence[Message] = (),
        capture: str | Path | None = None,
        describe: Mapping[str, Any] | None = None,
        link: OpenLink = open_link,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._captured = asyncio.Event()
        self._capture = (
            Capture(capture, describe or {}, self._loop.time, self._capture_is_whole) if capture is not None else None
        )
        self._exchange = Exchange(codec_factory, endpoint, policy or LinkPolicy(), link, self._capture)
        self._exchange.history = lambda: history
        self._closed: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Connect; returns once the provider has accepted the session.

        Cancellation: safe, nothing stays open.

        Raises:
            ConfigurationError: the endpoint is wrong.
            LinkError: the provider can't be reached, refused the session, or did not accept it in time.
        """
        try:
            await self._exchange.keeper.open()
        except BaseException:
            self._exchange.over(None)
            raise

    # -- RealtimeSession ------------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """What the session can do, as the codec says.

        Raises:
            LocalProtocolError: it was never opened.
        """
        if self._exchange.capabilities is None:
            raise LocalProtocolError("the session is not open: await open() first")
        return self._exchange.capabilities

    @property
    def microphone_dropped(self) -> int:
        """Audio blocks that were dropped because a gap was too long or the socket too slow."""
        return self._exchange.held.dropped

    async def send(self, content: ContentBlock | list[ContentBlock]) -> None:
        """Add content to the user's side.

        Audio never waits: what a gap or a slow socket has no room for is dropped, oldest first. Everything else
        waits while the socket is congested, or too much waits for a connection, and is never dropped.

        Cancellation: safe; content that was taken is sent.

        Raises:
            SessionClosed: the session has ended.
            UnsupportedFormat: the protocol can't carry it.
        """
        exchange = self._exchange
        if type(content) is AudioBlock:  # the fast path
            exchange.check_open()
            exchange.send_audio(content)
            return
        for block in content if isinstance(content, list) else (content,):
            exchange.check_open()
            if isinstance(block, AudioBlock):
                exchange.send_audio(block)
            else:
                await exchange.say(SendContent(block))

    async def commit(self) -> None:
        """End the user's turn and ask for a reply.

        Raises:
            SessionClosed: the session has ended.
        """
        self._exchange.check_open()
        await self._exchange.say(CommitTurn())

    async def interrupt(self) -> None:
        """Stop the reply that is being made; one that was asked for and not begun is not asked for again.

        Raises:
            SessionClosed: the session has ended.
        """
        self._exchange.check_open()
        await self._exchange.stop_reply()

    async def send_tool_result(self, tool_use_id: str, name: str, content: str | list[ContentBlock]) -> None:
        """Answer a call.

        A call id belongs to the connection it came on. Where another connection has taken over that knows nothing
        of the call, its result goes in as text of the user's side.

        Raises:
            LocalProtocolError: there is no such call, or it was answered or withdrawn.
            SessionClosed: the session has ended.
        """
        self._exchange.check_open()
        await self._exchange.answer(AnswerCall(tool_use_id, name, content))

    def events(self) -> AsyncIterator[Event]:
        """Yield what happens until the session ends.

        Raises:
            LocalProtocolError: it is being read already.
            DuologueError: how the session ended, if it did not end by `close()` or the provider's clean end.
        """
        return self._exchange.arrivals.read()

    def hand_to(self, take: Callable[[Event], bool]) -> None:
        """Call `take` with each event that arrives while `events()` is awaited; what it refuses, `events()` yields."""
        self._exchange.arrivals.hand_to(take)

    async def close(self) -> None:
        """End the session within two seconds, whatever the link does; idempotent.

        Cancellation: the link is cut.
        """
        if self._closed is not None:
            await asyncio.shield(self._closed)
            return
        self._closed = asyncio.get_running_loop().create_future()
        self._exchange.finish(None)
        try:
            await self._exchange.keeper.close(CLOSE_WITHIN)
            self._exchange.over(None)
            if self._capture is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(CAPTURE_WITHIN):
                        await self._captured.wait()
        finally:
            self._exchange.over(None)
            self._closed.set_result(None)

    def _capture_is_whole(self) -> None:
        with suppress(RuntimeError):  # the loop may be gone
            self._loop.call_soon_threadsafe(self._captured.set)

    # -- optional abilities ---------------------------------------------------------------------------

    async def truncate(self, *, item_id: str, heard_ms: int) -> None:
        """Forget what follows `heard_ms` of that item; one of an earlier connection has been forgotten already."""
        self._exchange.check_open()
        await self._exchange.truncate(Truncate(item_id, heard_ms))

    async def playback_started(self) -> None:
        """Tell that a reply begins to leave the speaker."""
        self._exchange.check_open()
        await self._exchange.do(NotePlayback(started=True))

    async def playback_stopped(self) -> None:
        """Tell that a reply was played to its end."""
        self._exchange.check_open()
        await self._exchange.do(NotePlayback(started=False))

    async def update(
        self,
        *,
        system: str | None = None,
        tools: list[Tool] | None = None,
        turn_detection: TurnDetection | None = None,
    ) -> None:
        """Change what is given; it holds for later connections, too."""
        self._exchange.check_open()
        await self._exchange.update(UpdateSession(system, None if tools is None else tuple(tools), turn_detection))

    async def clear(self) -> None:
        """Forget the audio of the unfinished turn, sent or not."""
        self._exchange.check_open()
        await self._exchange.clear_input()

    async def perform(self, command: ProviderCommand) -> None:
        """Ask for something that only this provider knows; it means nothing to a later connection.

        Waits while there is no connection.

        Raises:
            SessionClosed: the session has ended.
        """
        self._exchange.check_open()
        await self._exchange.perform(command)

    def replay_from(self, history: Callable[[], Sequence[Message]]) -> None:
        """Ask here for what was said when a connection has to be told: the agent's history knows what was heard."""
        self._exchange.history = history
        self._exchange.history_grows = True
