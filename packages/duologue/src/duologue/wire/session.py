"""WireSession: a `RealtimeSession` for every provider that speaks over a WebSocket."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from duologue.blocks import AudioBlock, TextBlock
from duologue.effects import AnswerCall, StopReply, Truncate
from duologue.errors import DuologueError, LocalProtocolError, SessionClosed
from duologue.events import (
    AudioOutputDelta,
    Error,
    Event,
    Problem,
    TextDelta,
    ToolCancelled,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.types import StopReason
from duologue.wire.calls import WireCalls
from duologue.wire.capture import Capture
from duologue.wire.codec import Opening
from duologue.wire.commands import ClearInput, Command, CommitTurn, NotePlayback, SendContent, UpdateSession
from duologue.wire.keeper import Keeper
from duologue.wire.ledger import Ledger, result_as_text
from duologue.wire.links import open_link
from duologue.wire.microphone_buffer import MicrophoneBuffer, is_loud
from duologue.wire.policy import LinkPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from duologue.blocks import ContentBlock
    from duologue.tool import Tool
    from duologue.transport import Capabilities, TurnDetection
    from duologue.types import Message
    from duologue.wire.codec import CodecFactory
    from duologue.wire.connection import Connection
    from duologue.wire.endpoint import EndpointSource
    from duologue.wire.link import OpenLink

log = logging.getLogger(__name__)

UNREAD_HIGH = 4 << 20
"""Bytes of frames whose events nobody took: then the socket is read no further."""

CLOSE_WITHIN = 1.8
"""Seconds that `close()` may take on a dead or full link."""

OUTSTANDING_LIMIT = 200
"""Commands that may wait for a connection; then sending waits, too."""


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

    Attributes:
        microphone_dropped: audio blocks that were dropped because a gap was too long or the socket too slow.
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
        self._policy = policy or LinkPolicy()
        self._capture = Capture(capture, describe or {}) if capture is not None else None
        self._keeper = Keeper(codec_factory, endpoint, self._policy, self, link, self._capture)
        self._quiet = self._policy.quiet
        self._history: Callable[[], Sequence[Message]] = lambda: history
        self._ledger = Ledger()
        self._calls = WireCalls()
        self._recent = MicrophoneBuffer(self._policy.gap_audio_s)
        self._held = MicrophoneBuffer(self._policy.gap_audio_s)
        self._resend: list[AudioBlock] = []
        self._update = UpdateSession()
        self._events: deque[Event] = deque()
        self._unread = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._reading = False
        self._up = asyncio.Event()
        self._speech: AudioOutputDelta | TextDelta | TranscriptDelta | None = None
        self._handle = ""
        self._over = False
        self._error: Exception | None = None
        self._closing: asyncio.Future[None] | None = None
        self._has_turns = True
        self._continues = True
        self._on_purpose = False
        self._last_capabilities: Capabilities | None = None

    async def open(self) -> None:
        """Connect; returns once the provider has accepted the session.

        Cancellation: safe, nothing stays open.

        Raises:
            ConfigurationError: the endpoint is wrong.
            LinkError: the provider can't be reached, refused the session, or did not accept it in time.
        """
        try:
            await self._keeper.open()
        except BaseException:
            self._over = True
            if self._capture is not None:
                self._capture.close()
            raise

    # -- RealtimeSession ------------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """What the session can do, as the codec says."""
        connection = self._keeper.current
        if connection is not None:
            self._last_capabilities = connection.codec.capabilities
        if self._last_capabilities is None:
            raise LocalProtocolError("the session is not open: await open() first")
        return self._last_capabilities

    @property
    def microphone_dropped(self) -> int:
        """Audio blocks that were dropped because a gap was too long or the socket too slow."""
        return self._held.dropped

    async def send(self, content: ContentBlock | list[ContentBlock]) -> None:
        """Add content to the user's side.

        Audio never waits: what a gap or a slow socket has no room for is dropped, oldest first. Everything else
        waits while the socket is congested, or too much waits for a connection, and is never dropped.

        Cancellation: safe; content that was taken is sent.

        Raises:
            SessionClosed: the session has ended.
            UnsupportedFormat: the protocol can't carry it.
        """
        if type(content) is AudioBlock:
            if self._over:
                self._check_open()
            self._send_audio(content)
            return
        for block in content if isinstance(content, list) else [content]:
            self._check_open()
            if isinstance(block, AudioBlock):
                self._send_audio(block)
            else:
                await self._say(SendContent(block))

    async def commit(self) -> None:
        """End the user's turn and ask for a reply."""
        self._check_open()
        self._quiet.asked(self._keeper.now)
        await self._say(CommitTurn())

    async def interrupt(self) -> None:
        """Stop the reply that is being made; one that was asked for and not begun is not asked for again."""
        self._check_open()
        self._quiet.stopped()
        self._ledger.unask()
        await self._do(StopReply())

    async def send_tool_result(self, tool_use_id: str, name: str, content: str | list[ContentBlock]) -> None:
        """Answer a call.

        A call id belongs to the connection it came on. Where another connection has taken over that knows nothing
        of the call, its result goes in as text of the user's side.

        Raises:
            LocalProtocolError: there is no such call, or it was answered or withdrawn.
            SessionClosed: the session has ended.
        """
        self._check_open()
        answer = AnswerCall(tool_use_id, name, content)
        connection = self._keeper.current
        on = self._calls.answered(tool_use_id)
        self._quiet.answered(tool_use_id)
        if connection is not None and on != connection.number:
            await self._say(SendContent(TextBlock(result_as_text(answer))))
            await self.commit()
        else:
            self._quiet.asked(self._keeper.now)
            await self._say(answer)

    def events(self) -> AsyncIterator[Event]:
        """Yield what happens until the session ends.

        Raises:
            LocalProtocolError: it is being read already.
            DuologueError: how the session ended, if it did not end by `close()` or the provider's clean end.
        """
        if self._reading:
            raise LocalProtocolError("events() has been called already: a session is read once")
        self._reading = True
        return self._read()

    async def close(self) -> None:
        """End the session within two seconds, whatever the link does; idempotent."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_future()
            self._finish(None)
            try:
                await self._keeper.close(CLOSE_WITHIN)
            finally:
                self._closing.set_result(None)
                if self._capture is not None:
                    self._capture.close()
        else:
            await asyncio.shield(self._closing)

    # -- optional abilities ---------------------------------------------------------------------------

    async def truncate(self, *, item_id: str, heard_ms: int) -> None:
        """Forget what follows `heard_ms` of that item; an item of another connection has been forgotten already."""
        self._check_open()
        connection = self._keeper.current
        if connection is not None and connection.number == self._calls.item_connection(item_id):
            await self._do(Truncate(item_id, heard_ms))

    async def playback_started(self) -> None:
        """Tell that a reply begins to leave the speaker."""
        await self._do(NotePlayback(started=True))

    async def playback_stopped(self) -> None:
        """Tell that a reply was played to its end."""
        await self._do(NotePlayback(started=False))

    async def update(
        self,
        *,
        system: str | None = None,
        tools: list[Tool] | None = None,
        turn_detection: TurnDetection | None = None,
    ) -> None:
        """Change what is given; it holds for later connections, too."""
        self._check_open()
        change = UpdateSession(system, None if tools is None else tuple(tools), turn_detection)
        self._update = UpdateSession(
            self._update.system if system is None else system,
            self._update.tools if change.tools is None else change.tools,
            turn_detection or self._update.turn_detection,
        )
        await self._do(change)

    async def clear(self) -> None:
        """Forget the audio of the unfinished turn, sent or not."""
        self._check_open()
        self._recent.clear()
        self._held.clear()
        await self._do(ClearInput())

    def replay_from(self, history: Callable[[], Sequence[Message]]) -> None:
        """Take what was said from here when a connection has to be told; the agent's history knows what was heard."""
        self._history = history

    # -- sending --------------------------------------------------------------------------------------

    def _send_audio(self, block: AudioBlock) -> None:
        connection = self._keeper.current
        if connection is None or self._held or connection.link.congested:
            self._held.keep(block)
            return
        if self._policy.state == "leaving" and is_loud(block):
            self._quiet.voice(self._keeper.now)
        connection.send(SendContent(block))
        self._recent.keep(block)

    async def _say(self, command: Command) -> None:
        """Send a command that must arrive: at once, or on the next connection."""
        while self._keeper.current is None and len(self._ledger) >= OUTSTANDING_LIMIT:
            await self._up.wait()
            self._check_open()
        connection = self._keeper.current
        if connection is not None:
            if self._held and isinstance(command, CommitTurn):
                self._flush_microphone(connection, whole=True)  # the turn is not over before its audio
            connection.send(command)
        self._ledger.sent(command, self._keeper.now)
        if connection is not None and connection.link.congested:
            await connection.link.drain()

    async def _do(self, command: Command) -> None:
        """Send a command that means nothing to another connection."""
        self._check_open()
        connection = self._keeper.current
        if connection is not None:
            connection.send(command)
            if connection.link.congested:
                await connection.link.drain()

    def _flush_microphone(self, connection: Connection, *, whole: bool = False) -> None:
        while self._held and (whole or not connection.link.congested):
            block = self._held.pop()
            self._attempt(connection, SendContent(block))
            self._recent.keep(block)

    def _attempt(self, connection: Connection, command: Command) -> None:
        """Send what waited; what the protocol can't carry after all is reported, not raised in somebody's callback."""
        try:
            connection.send(command)
        except DuologueError as exc:
            self.tell(Problem(exc))

    def _check_open(self) -> None:
        if self._over:
            raise SessionClosed("the session has ended: connect again")
        if self._last_capabilities is None:
            raise LocalProtocolError("the session is not open: await open() first")

    # -- Tenant: what the connections tell ------------------------------------------------------------

    def opening(self, *, fresh: bool) -> Opening:
        """What the next connection starts from."""
        history = self._history()
        planned = self._on_purpose or self._policy.state == "switching"  # then nobody spoke
        self._resend = [] if planned else self._recent.from_first_loud()
        if self._resend and history and history[-1].role == "user" and history[-1].item_id:
            history = history[:-1]  # its audio is sent again, so its text would say it twice
        mark = self._ledger.mark
        if mark.handle and not fresh:
            missed = self._ledger.missed(history)
            if not missed or self._continues:
                return Opening(mark.handle, missed)
        return Opening("", history)

    def arrived(self, connection: Connection) -> None:
        """Use this connection: tell it what the provider has not taken in."""
        codec, opening = connection.codec, connection.opening
        self._last_capabilities = codec.capabilities
        self._continues = codec.continues
        self._has_turns = self._quiet.has_turns = codec.capabilities.has_turns
        self._handle = codec.handle
        known = self._ledger.mark.calls if opening.handle else frozenset()
        self._calls.moved(connection.number, known)
        self._on_purpose = False
        self._up.set()
        if connection.number == 1:
            return
        if self._update != UpdateSession():
            self._attempt(connection, self._update)
        resend, self._resend = self._resend, []
        self._recent.clear()
        for block in resend:
            self._attempt(connection, SendContent(block))
            self._recent.keep(block)
        self._flush_microphone(connection)
        commands = self._ledger.again(opening.history, known)
        for command in commands:
            self._attempt(connection, command)
        self._ledger.replace(commands, self._keeper.now)

    def departed(self, *, planned: bool) -> None:
        """There is no connection: end what it was in the middle of."""
        self._up.clear()
        self._paused = False
        self._on_purpose = planned
        if planned:
            self._recent.clear()
        if self._quiet.replying and self._has_turns and not self._over:
            response_id = getattr(self._speech, "response_id", "")
            self.tell(TurnComplete(StopReason.error, response_id=response_id))
        self._quiet.connection_gone()

    def took(self, connection: Connection, events: list[Event], size: int) -> None:
        """Queue the events of a frame."""
        queue = self._events
        quiet = self._quiet
        for event in events:
            if type(event) is AudioOutputDelta:
                if not quiet.replying or not self._has_turns:
                    self._reply_begins()
                self._speech = event
                if event.item_id:
                    self._calls.item(event.item_id, connection.number)
                queue.append(event)
            elif self._notes(event, connection):
                queue.append(event)
                self._keeper.observe(event)
        if connection.codec.handle != self._handle:
            self._handle_issued(connection)
        self._unread += size
        if self._unread > UNREAD_HIGH and not self._paused:
            self._paused = True
            self._keeper.pause(True)
        if self._waiter is not None:
            self._wake()

    def writable(self) -> None:
        """The socket takes more: the microphone catches up."""
        connection = self._keeper.current
        if connection is not None:
            self._flush_microphone(connection)

    def tell(self, event: Event) -> None:
        """Report an event of our own."""
        self._events.append(event)
        self._wake()

    def over(self, error: DuologueError | None) -> None:
        """There will be no connection any more."""
        self._finish(error)
        if self._capture is not None:
            self._capture.close()

    # -- receiving ------------------------------------------------------------------------------------

    def _notes(self, event: Event, connection: Connection) -> bool:
        """Take note of an event that is no audio; whether the application gets it."""
        match event:
            case TextDelta() | TranscriptDelta(role="assistant"):
                self._reply_begins()
                self._speech = event
            case ToolUseStart() | ToolUseEnd():
                self._calls.came(event.tool_use_id, connection.number)
                if isinstance(event, ToolUseEnd):
                    self._ledger.answered()
            case ToolCancelled():
                self._calls.withdrawn(event.tool_use_id)
            case Error(exception=exc):
                if isinstance(exc, DuologueError) and exc.retryable:
                    connection.give_up(exc)
                    return False
                self._events.append(event)
                connection.retire()
                connection.link.abort()
                self._keeper.current = None
                self._policy.close()
                self.over(None)
                return False
            case _:
                pass
        return True

    def _reply_begins(self) -> None:
        """Something of a reply came: the turn it answers has been taken in."""
        self._quiet.output(self._keeper.now)
        if len(self._ledger):
            self._ledger.answered()
        if self._recent:
            self._recent.clear()

    def _handle_issued(self, connection: Connection) -> None:
        self._handle = connection.codec.handle
        history = self._history() if self._handle else ()
        self._ledger.issued(self._handle, self._calls.known_by(connection.number), history, self._keeper.now)

    async def _read(self) -> AsyncIterator[Event]:
        queue = self._events
        while True:
            while queue:
                yield queue.popleft()
            self._unread = 0
            if self._paused:
                self._paused = False
                self._keeper.pause(False)
            if self._over:
                if self._error is not None:
                    raise self._error
                return
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def _finish(self, error: Exception | None) -> None:
        if not self._over:
            self._over, self._error = True, error
            self._up.set()
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
