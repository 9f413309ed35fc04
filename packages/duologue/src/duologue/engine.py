"""Engine: one connected session of an agent; drives the Conversation and carries out its effects."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from duologue.blocks import AudioBlock, TextBlock
from duologue.conversation import Conversation
from duologue.effects import (
    AddText,
    AnswerCall,
    AskReply,
    ClearTimer,
    Command,
    Deliver,
    DropAudio,
    Effect,
    GiveUpTools,
    Interrupt,
    SayText,
    SessionOver,
    SetTimer,
    StartTool,
    StopReply,
    StopTool,
    TimerFired,
    TimerKey,
    ToolFinished,
    ToolReported,
    Truncate,
)
from duologue.errors import DuologueError, SessionClosed
from duologue.events import AudioOutputDelta, Error, Event, Problem, TurnComplete
from duologue.inbox import Inbox
from duologue.rates import InputConverter, OutputConverter
from duologue.tasks import TaskSet
from duologue.toolrun import ToolRunner
from duologue.transport import Capabilities, HandsEvents, ReplaysHistory, TruncatesPlayback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from duologue.blocks import ContentBlock
    from duologue.replies import Reply
    from duologue.tool import Tool
    from duologue.transport import RealtimeSession, TurnDetection
    from duologue.types import Message

log = logging.getLogger(__name__)

MAX_WAITING_BYTES = 64 << 20
"""Events waiting for the application: 22 minutes of speech at 24 kHz. Then the session is read no further."""

MAX_OUTBOX = 4096
"""Answers waiting for a session that takes none. Then the session is read no further."""

CONTROL_DEADLINE = 5.0
"""Seconds the session may take to stop a reply or to truncate it."""

CLOSE_DEADLINE = 2.0
"""Seconds each step of closing may take: the last answers, the session, the handlers."""


class Engine:
    """Everything that lives from `connect()` to `close()`.

    Three tasks at most: the reader (session to inbox; it also applies interruptions, so these don't wait
    for the application), the writer (answers to the session, in order) and one for each running async
    handler. What the application sends goes to the session directly in the caller's task.
    """

    def __init__(
        self,
        session: RealtimeSession,
        tools: Callable[[], Mapping[str, Tool]],
        *,
        input_format: str,
        output_format: str,
        turn_detection: TurnDetection | None,
        history: Sequence[Message],
    ) -> None:
        self.session = session
        self._loop = asyncio.get_running_loop()
        self._zero = self._loop.time()
        capabilities = getattr(session, "capabilities", None) or Capabilities()
        self.conversation = Conversation(
            tools, capabilities=capabilities, turn_detection=turn_detection, history=history
        )
        if isinstance(session, ReplaysHistory):
            session.replay_from(lambda: self.conversation.history)
        if isinstance(session, HandsEvents):
            session.hand_to(self._take)
        self.inbox = Inbox(MAX_WAITING_BYTES, self._delivered)
        self._input = InputConverter(input_format, capabilities.input_rates)
        self._output = OutputConverter(output_format, capabilities.output_rate)
        self._runner = ToolRunner(self._tool_done, self._tool_said, self._problem)
        self._outbox: deque[AnswerCall | AddText] = deque()
        self._outbox_moved = asyncio.Event()
        self._timers: dict[TimerKey, asyncio.TimerHandle] = {}
        self._tasks = TaskSet()
        self._speaking: Reply | None = None
        self._closing = False
        self._ended = False
        self._quiet = asyncio.Event()
        self._reader = self._tasks.start(self._read(), "reader")
        self._writer = self._tasks.start(self._write(), "writer")

    # -- the application's side -----------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The session clock: seconds since `connect()`."""
        return self._loop.time() - self._zero

    def events(self, *, raise_on_error: bool) -> AsyncIterator[Event]:
        """What the application sees."""
        return self.inbox.events(raise_on_error=raise_on_error)

    async def send(self, content: ContentBlock | list[ContentBlock], respond: bool | None) -> None:
        """Send content of the user's side; ask for a reply where that is wanted."""
        self._check_open()
        if type(content) is AudioBlock and not respond:  # the fast path
            audio = self._input.convert(content)
            if audio is not None:
                await self.session.send(audio)
            return
        blocks = content if isinstance(content, list) else [content]
        ready = [b for b in map(self._converted, blocks) if b is not None]
        at = self.now
        if ready:
            await self.session.send(ready if isinstance(content, list) else ready[0])
        for block in blocks:
            if isinstance(block, TextBlock):
                self._perform(self.conversation.apply(SayText(block.text), at))
        if respond or (respond is None and any(isinstance(b, TextBlock) for b in blocks)):
            await self.commit()

    async def commit(self) -> None:
        """End the user's turn."""
        self._check_open()
        rest = self._input.rest()
        if rest is not None:
            await self.session.send(rest)
        self._apply(AskReply())
        await self.session.commit()

    async def interrupt(self, heard_ms: int | None, response_id: str) -> None:
        """Cut what plays: at once for the application, then at the session."""
        if self._ended or self._closing:
            return
        effects = self.conversation.apply(Interrupt(heard_ms, response_id), self.now)
        remote = [e for e in effects if isinstance(e, StopReply | Truncate)]
        self._perform([e for e in effects if not isinstance(e, StopReply | Truncate)])
        for effect in remote:
            await self._control(effect)

    def answer(self, tool_use_id: str, content: str | list[ContentBlock], is_error: bool) -> None:
        """The application answers a call."""
        self._check_open()
        self._apply(ToolFinished(tool_use_id, content, is_error))

    async def close(self, patience: float) -> None:
        """End everything within `patience` seconds for the running tools and a few deadlines more."""
        if patience > 0 and not self._ended and self.conversation.busy:
            try:
                async with asyncio.timeout(patience):
                    await self._quiet_calls()
            except TimeoutError:
                log.info("tools still ran at the close timeout and were cancelled")
        self._closing = True
        self._apply(GiveUpTools("closing"))
        await self._runner.close(CLOSE_DEADLINE)
        try:
            async with asyncio.timeout(CLOSE_DEADLINE):
                await self._outbox_empty()
        except TimeoutError:
            log.error("the session took no more answers: %d were not delivered", len(self._outbox))  # noqa: TRY400 - a stalled peer is no traceback
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        try:
            async with asyncio.timeout(CLOSE_DEADLINE):
                await self.session.close()
        except TimeoutError:
            log.warning("the session did not close within %g s and was left", CLOSE_DEADLINE)
        except Exception as exc:  # task boundary: closing goes on whatever a session does
            log.warning("closing the session failed: %s", exc)
        await self._tasks.stop(CLOSE_DEADLINE)
        self.inbox.end()

    # -- the session's side ---------------------------------------------------------------------------

    async def _read(self) -> None:
        stream = self.session.events()
        try:
            async for event in stream:
                while not self._take(event):
                    await self._room()
        except Exception as exc:  # task boundary: how a session ends badly is told to the application
            if not self._closing:
                self._apply(SessionOver())
                self.inbox.put(Error(exc))
        else:
            if not self._closing:
                self._apply(SessionOver())
        finally:
            self._ended = True
            self._quiet.set()
            self._outbox_moved.set()
            self.inbox.end()
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()

    def _take(self, event: Event) -> bool:
        """Take an event of the session, in the reader or where it arrives; False where that must wait for room."""
        if self.inbox.full or len(self._outbox) > MAX_OUTBOX:
            return False
        if type(event) is not AudioOutputDelta:
            self._apply(event)
            return True
        try:
            taken = self.conversation.audio(event, self._loop.time() - self._zero)
            if taken is None:
                self.inbox.audio_dropped += 1
                return True
            event, self._speaking = taken
            if event.media_type != self._output.passes:
                event = self._output.convert(event)
        except DuologueError as exc:
            self._problem(exc)
            return True
        if event.data:
            self.inbox.put(event, self._speaking)
        return True

    async def _room(self) -> None:
        if self.inbox.full:
            await self.inbox.room()
        else:
            await self._outbox_change()

    async def _write(self) -> None:
        while True:
            while not self._outbox:
                await self._outbox_change()
            effect = self._outbox[0]
            try:
                if isinstance(effect, AnswerCall):
                    await self.session.send_tool_result(effect.tool_use_id, effect.name, effect.content)
                else:
                    await self.session.send(TextBlock(effect.text))
                    if effect.respond:
                        await self.session.commit()
            except Exception as exc:  # task boundary: an answer that can't be delivered never ends the session
                what = f"call {effect.tool_use_id} of tool {effect.name}" if isinstance(effect, AnswerCall) else "text"
                log.error("the answer to %s could not be delivered: %s", what, exc)  # noqa: TRY400 - no traceback: what the peer did is the news
                self._problem(exc)
            finally:
                self._outbox.popleft()
                self._outbox_moved.set()

    # -- effects --------------------------------------------------------------------------------------

    def _apply(self, what: Event | Command, now: float | None = None) -> None:
        self._perform(self.conversation.apply(what, self.now if now is None else now))
        if not self.conversation.busy:
            self._quiet.set()

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Deliver(event=event):
                    if isinstance(event, TurnComplete):
                        self._flush_output(event.response_id)
                    self.inbox.put(event)
                case DropAudio():
                    self.inbox.drop_audio(effect.response_ids)
                case StartTool():
                    self._runner.start(effect.tool_use_id, effect.tool, effect.arguments)
                case StopTool():
                    self._runner.stop(effect.tool_use_id)
                case AnswerCall() | AddText():
                    if not (self._ended and self._closing):  # then nobody waits for it
                        self._outbox.append(effect)
                        self._outbox_moved.set()
                case StopReply() | Truncate():
                    pass  # interrupt() carries these out, in its caller's task
                case SetTimer():
                    self._set_timer(effect)
                case ClearTimer():
                    timer = self._timers.pop(effect.key, None)
                    if timer is not None:
                        timer.cancel()

    def _set_timer(self, effect: SetTimer) -> None:
        old = self._timers.pop(effect.key, None)
        if old is not None:
            old.cancel()
        self._timers[effect.key] = self._loop.call_at(effect.at + self._zero, self._fire, effect)

    def _fire(self, timer: SetTimer) -> None:
        self._timers.pop(timer.key, None)
        # a loop may fire a timer a rounding error early: whoever set it must not find that it is not yet time
        self._apply(TimerFired(timer.key), max(self.now, timer.at))

    async def _control(self, effect: StopReply | Truncate) -> None:
        try:
            async with asyncio.timeout(CONTROL_DEADLINE):
                if isinstance(effect, StopReply):
                    await self.session.interrupt()
                elif isinstance(self.session, TruncatesPlayback):
                    await self.session.truncate(item_id=effect.item_id, heard_ms=effect.heard_ms)
        except SessionClosed:
            log.debug("the session ended before it could be told of an interruption")
        except TimeoutError:
            self._problem(TimeoutError(f"the session did not take {effect} within {CONTROL_DEADLINE:g} s"))
        except Exception as exc:  # task boundary: the cut has been made here, the session's trouble is reported
            self._problem(exc)

    def _delivered(self, event: Event, reply: Reply | None) -> None:
        if reply is not None and type(event) is AudioOutputDelta:
            self.conversation.delivered(event, reply, self._loop.time() - self._zero)
        else:
            self.conversation.taken(event)

    def _converted(self, block: ContentBlock) -> ContentBlock | None:
        return self._input.convert(block) if isinstance(block, AudioBlock) else block

    def _flush_output(self, response_id: str) -> None:
        """Bring out what the resampler held back, before the end of the turn is told."""
        rest = self._output.rest(response_id)
        if rest is not None and self._speaking is not None and not self._speaking.cut:
            self.inbox.put(rest, self._speaking)

    def _tool_done(self, tool_use_id: str, content: str | list[ContentBlock], is_error: bool) -> None:
        self._apply(ToolFinished(tool_use_id, content, is_error))

    def _tool_said(self, tool_use_id: str, content: str) -> None:
        self._apply(ToolReported(tool_use_id, content))

    def _problem(self, exc: Exception) -> None:
        self.inbox.put(Problem(exc))

    def _check_open(self) -> None:
        if self._ended or self._closing:
            raise SessionClosed("the session has ended: connect again")

    async def _quiet_calls(self) -> None:
        while (self.conversation.busy or self._outbox) and not self._ended:
            self._quiet.clear()
            self._outbox_moved.clear()
            if self.conversation.busy:
                await self._quiet.wait()
            else:
                await self._outbox_moved.wait()

    async def _outbox_empty(self) -> None:
        while self._outbox and not self._writer.done():
            await self._outbox_change()

    async def _outbox_change(self) -> None:
        self._outbox_moved.clear()
        await self._outbox_moved.wait()
