"""Exchange: what a session sends and receives, over whatever connection there is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

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
from duologue.wire.arrivals import Arrivals
from duologue.wire.calls import WireCalls
from duologue.wire.codec import Opening
from duologue.wire.commands import ClearInput, Command, CommitTurn, SendContent, UpdateSession
from duologue.wire.keeper import Keeper
from duologue.wire.ledger import Ledger, result_as_text, results_in
from duologue.wire.microphone_buffer import MicrophoneBuffer, is_loud

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from duologue.blocks import AudioBlock
    from duologue.transport import Capabilities
    from duologue.types import Message
    from duologue.wire.capture import Capture
    from duologue.wire.codec import CodecFactory
    from duologue.wire.connection import Connection
    from duologue.wire.endpoint import EndpointSource
    from duologue.wire.link import OpenLink
    from duologue.wire.policy import LinkPolicy

OUTSTANDING_LIMIT = 200
"""Commands that may wait for a connection; then sending waits, too."""


class Exchange:
    """The tenant of a `Keeper`'s connections.

    What was sent and may not have been taken in is kept in the `Ledger` and in two microphone buffers: `recent`, sent
    since the last reply began, and `held`, not sent because there is no connection or its socket is congested.
    """

    def __init__(
        self,
        codec_factory: CodecFactory,
        endpoint: EndpointSource,
        policy: LinkPolicy,
        open_link: OpenLink,
        capture: Capture | None,
    ) -> None:
        self.keeper = Keeper(codec_factory, endpoint, policy, self, open_link, capture)
        self.arrivals = Arrivals(self.keeper.pause)
        self.history: Callable[[], Sequence[Message]] = tuple
        self.history_grows = False
        """Whether the history holds what this session says, too."""
        self.capabilities: Capabilities | None = None
        self.ended = False
        self.recent = MicrophoneBuffer(policy.gap_audio_s)
        self.held = MicrophoneBuffer(policy.gap_audio_s)
        self._capture = capture
        self._policy = policy
        self._quiet = policy.quiet
        self._ledger = Ledger()
        self._calls = WireCalls()
        self._again: list[AudioBlock] = []
        self._told: frozenset[str] = frozenset()
        self._update = UpdateSession()
        self._up = asyncio.Event()
        self._speech: AudioOutputDelta | TextDelta | TranscriptDelta | None = None
        self._handle = ""
        self._counted = False
        self._at_calls = False
        self._has_turns = True
        self._continues = True

    def finish(self, error: Exception | None) -> None:
        """The session is over."""
        if not self.ended:
            self.ended = True
            self._up.set()
            self.arrivals.end(error)

    def check_open(self) -> None:
        """Refuse what comes too late, or too early.

        Raises:
            SessionClosed: the session has ended.
            LocalProtocolError: it was never opened.
        """
        if self.ended:
            raise SessionClosed("the session has ended: connect again")
        if self.capabilities is None:
            raise LocalProtocolError("the session is not open: await open() first")

    # -- sending --------------------------------------------------------------------------------------

    def send_audio(self, block: AudioBlock) -> None:
        """Send a piece of the microphone, or hold it back; never waits."""
        connection = self.keeper.current
        if connection is None or self.held or connection.link.congested:
            self.held.keep(block)
            return
        if self._policy.state in ("leaving", "switching") and is_loud(block):
            self._quiet.voice(self.keeper.now)
        connection.send(SendContent(block))
        self.recent.keep(block)

    async def say(self, command: Command, *, instead: tuple[Command, ...] = ()) -> None:
        """Send a command that must arrive: at once (or others in its place), or on the next connection."""
        while self.keeper.current is None and len(self._ledger) >= OUTSTANDING_LIMIT:
            await self._up.wait()
            self.check_open()
        connection = self.keeper.current
        if connection is not None:
            if self.held and isinstance(command, CommitTurn):
                self._catch_up(connection, whole=True)  # the turn is not over before its audio
            self._quiet.said()
            for said in instead or (command,):
                connection.send(said)
        self._ledger.sent(command, self.keeper.now)
        if isinstance(command, CommitTurn | AnswerCall):
            self._quiet.asked(self.keeper.now)
        if connection is not None and connection.link.congested:
            await connection.link.drain()

    async def do(self, command: Command) -> None:
        """Send a command that means nothing to another connection."""
        connection = self.keeper.current
        if connection is not None:
            self._quiet.said()
            connection.send(command)
            if connection.link.congested:
                await connection.link.drain()

    async def perform(self, command: Command) -> None:
        """Send a command that must arrive and that no other connection is told again."""
        while self.keeper.current is None:
            await self._up.wait()
            self.check_open()
        await self.do(command)

    async def stop_reply(self) -> None:
        """Stop the reply; one that was asked for and has not begun is not asked for again."""
        self._quiet.stopped()
        self._ledger.unask()
        await self.do(StopReply())

    async def answer(self, answer: AnswerCall) -> None:
        """Answer a call; as text, where the connection in use knows nothing of it.

        Raises:
            LocalProtocolError: no such call waits for an answer.
        """
        connection = self.keeper.current
        known_by = self._calls.answered(answer.tool_use_id)
        self._quiet.answered(answer.tool_use_id)
        if self._at_calls:
            self._counted = False  # the model waited: what it says next answers this, in the same turn or another
        if connection is not None and known_by != connection.number:
            told = answer.tool_use_id in self._told  # the history was faster than the answer
            await self.say(answer, instead=(*(() if told else (result_as_text(answer),)), CommitTurn()))
        else:
            await self.say(answer)

    async def truncate(self, command: Truncate) -> None:
        """Truncate an item of the connection in use; items of others are in no provider's memory any more."""
        connection = self.keeper.current
        if connection is not None and connection.number == self._calls.item_connection(command.item_id):
            await self.do(command)

    async def update(self, change: UpdateSession) -> None:
        """Change the session, on later connections, too."""
        kept = self._update
        self._update = UpdateSession(
            kept.system if change.system is None else change.system,
            kept.tools if change.tools is None else change.tools,
            change.turn_detection or kept.turn_detection,
        )
        await self.do(change)

    async def clear_input(self) -> None:
        """Forget the audio of the unfinished turn, sent or not."""
        self.recent.clear()
        self.held.clear()
        await self.do(ClearInput())

    def _catch_up(self, connection: Connection, *, whole: bool = False) -> None:
        while self.held and (whole or not connection.link.congested):
            block = self.held.pop()
            self._attempt(connection, SendContent(block))
            self.recent.keep(block)

    def _attempt(self, connection: Connection, command: Command) -> None:
        """Send what waited; what the protocol can't carry after all is reported, not raised in somebody's callback."""
        try:
            connection.send(command)
        except DuologueError as exc:
            self.tell(Problem(exc))

    # -- what the connections tell --------------------------------------------------------------------

    def opening(self, *, fresh: bool) -> Opening:
        """What the next connection starts from."""
        self._ledger.settle(self.keeper.now)  # now and not later: what is outstanding is not told
        history = self.history()
        if self._again and history and history[-1].role == "user" and history[-1].item_id:
            history = history[:-1]  # its audio is sent again, so its text would say it twice
        missed = None if fresh else self._ledger.missed(history)
        if missed is None or (missed and not self._continues):
            return Opening("", history)
        return Opening(self._ledger.mark.handle, missed)

    def arrived(self, connection: Connection) -> None:
        """Use this connection: tell it what the provider has not taken in."""
        codec, opening = connection.codec, connection.opening
        self.capabilities = codec.capabilities
        self._continues = codec.continues
        self._has_turns = self._quiet.has_turns = codec.capabilities.has_turns
        self._handle = codec.handle
        mark = self._ledger.mark
        # a result that crossed the handle is sent by its call's id: that can be recognised, text could not
        known = mark.calls | mark.doubtful if opening.handle else frozenset()
        self._calls.moved(connection.number, known)
        self._told = frozenset(results_in(opening.history))
        if not opening.handle:
            self._ledger.issued("", (), self.keeper.now)  # the session it stood for has been given up
        self.arrivals.new_socket()
        self._up.set()
        if connection.number == 1:
            return
        if self._update != UpdateSession():
            self._attempt(connection, self._update)
        again, self._again = self._again, []
        for block in again:
            self._attempt(connection, SendContent(block))
            self.recent.keep(block)
        self._catch_up(connection)
        # where nobody keeps the history for us, it knows nothing of what this session said
        told = opening.history if self.history_grows else ()
        for command in self._ledger.again(told, known):
            self._attempt(connection, command)
        self._ledger.carry_over(told, known, self.keeper.now)

    def departed(self, *, planned: bool) -> None:
        """There is no connection: end what it was in the middle of."""
        self._up.clear()
        nobody_spoke = planned and self._quiet.at(self.keeper.now)
        self._again += [] if nobody_spoke else self.recent.from_first_loud()
        self.recent.clear()
        if self._quiet.replying and self._has_turns and not self.ended:
            response_id = getattr(self._speech, "response_id", "")
            self.tell(TurnComplete(StopReason.error, response_id=response_id))
        self._quiet.connection_gone()
        self._counted = self._at_calls = False

    def took(self, connection: Connection, events: list[Event], size: int) -> None:
        """Pass on the events of a frame."""
        queue = self.arrivals.queue
        for event in events:
            if type(event) is AudioOutputDelta:
                if not self._counted or self._at_calls or not self._has_turns:
                    self._reply_begins()
                self._speech = event
                if event.item_id:
                    self._calls.item(event.item_id, connection.number)
                queue.append(event)
            elif self._note(event, connection):
                queue.append(event)
                self.keeper.observe(event)
        if connection.codec.handle != self._handle:
            self._handle_issued(connection)
        self.arrivals.wake(size)

    def writable(self) -> None:
        """The socket takes more: the microphone catches up."""
        if self.keeper.current is not None:
            self._catch_up(self.keeper.current)

    def tell(self, event: Event) -> None:
        """Report an event of our own."""
        if self._capture is not None:
            self._capture.told(event)
        self.arrivals.put(event)

    def over(self, error: DuologueError | None) -> None:
        """There will be no connection any more."""
        self.finish(error)
        if self._capture is not None:
            self._capture.close()

    def _note(self, event: Event, connection: Connection) -> bool:
        """Take note of an event that is no audio; whether the application gets it."""
        match event:
            case TextDelta() | TranscriptDelta(role="assistant"):
                self._reply_begins()
                self._speech = event
            case ToolUseStart():
                self._calls.came(event.tool_use_id, connection.number)
            case ToolUseEnd():
                self._calls.came(event.tool_use_id, connection.number)
                self._reply_begins()
                self._at_calls = True
            case TurnComplete():
                if not self._counted:
                    self._ledger.answered(self.keeper.now, calls_open=bool(self._quiet.calls))
                self._counted = False
                self._ledger.ended(self.keeper.now)
            case ToolCancelled():
                self._calls.withdrawn(event.tool_use_id)
            case Problem(exception=exc):
                connection.hide_in(exc)
            case Error(exception=exc):
                connection.hide_in(exc)
                if isinstance(exc, DuologueError) and exc.retryable:
                    connection.give_up(exc)
                    return False
                self.arrivals.queue.append(event)
                self.keeper.abandon()
                return False
            case _:
                pass
        return True

    def _reply_begins(self) -> None:
        """Something of a reply came: with its first piece, the turn it answers has been taken in."""
        now = self.keeper.now
        self._quiet.output(now)
        self._at_calls = False
        if self._counted and self._has_turns:
            return
        self._counted = True
        self._ledger.answered(now, calls_open=bool(self._quiet.calls))
        self.recent.clear()

    def _handle_issued(self, connection: Connection) -> None:
        handle = self._handle = connection.codec.handle
        self._ledger.issued(handle, self._calls.known_by(connection.number), self.keeper.now)
        if handle:  # whoever keeps the history has not read what came before the handle
            self.arrivals.when_read(lambda: self._ledger.heard(handle, self.history()))
