"""DistillerConnection: what `client.realtime_distiller(...)` opens: the documented calls on one session."""

from __future__ import annotations

import asyncio
import logging
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from duologue.assembler import ToolCallAssembler
from duologue.blocks import AudioBlock, TextBlock
from duologue.errors import (
    ConnectionLost,
    InvalidArguments,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    SessionClosed,
)
from duologue.events import Event, Problem, ProviderEvent, Reconnecting
from duologue.tasks import TaskSet
from duologue.wire import ProviderCommand

from duologue_distiller.agent_calls import AgentCalls
from duologue_distiller.executors import Executors
from duologue_distiller.inbox import Inbox
from duologue_distiller.raw_codec import RAW, RawCodec
from duologue_distiller.response_stream import ResponseStream
from duologue_distiller.session import DistillerSession

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from duologue.wire import Endpoint, KeepAlive, LinkPolicy
    from duologue.wire.link import OpenLink

    from duologue_distiller.place import Place
    from duologue_distiller.service import Service

log = logging.getLogger(__name__)

CLOSE_WITHIN = 1.0


class DistillerConnection:
    """One user's session with a project; enter it as an async context manager.

    Messages that nobody reads wait, a thousand of them at most; then the server is read no further. Custom agents
    run whether somebody reads or not.

    Use the methods from one event loop. All that send raise `SessionClosed` once the session has ended.
    """

    def __init__(
        self,
        service: Service,
        place: Place,
        executor_dict: Mapping[str, Callable[..., Any]],
        *,
        keep_alive: KeepAlive,
        policy: Callable[[], LinkPolicy],
        link: OpenLink,
        executor_timeout: float,
    ) -> None:
        self.place = place
        self._service = service
        self._functions = executor_dict
        self._keep_alive = keep_alive
        self._policy = policy
        self._link = link
        self._executor_timeout = executor_timeout
        self._session: DistillerSession | None = None
        self._executors: Executors | None = None
        self._assembler = ToolCallAssembler()
        self._tasks = TaskSet()
        self._answered: DistillerSession | None = None  # as `_session`, and while that is being closed
        self._pump: asyncio.Task[None] | None = None
        self._answers: set[asyncio.Task[None]] = set()
        self._inbox = Inbox()
        self.on_interrupted: Callable[[], None] | None = None
        """Called when `response.interrupted` comes, before it is read: also while the end of a response plays."""
        self._reader: weakref.ref[ResponseStream] | None = None
        self._waiting = False
        self._in_response = False
        self._skips = False
        self._awaiting = False

    async def __aenter__(self) -> Self:
        """Connect; returns once the session was created.

        Raises:
            ConfigurationError: there is no key.
            LinkError: the service can't be reached or refused.
            LocalProtocolError: it is open already.
        """
        if self._session is not None:
            raise LocalProtocolError("this connection is open already: call client.realtime_distiller(...) again")
        self._executors = Executors(self._functions, self._answer, self._executor_timeout)
        place = replace(self.place, account=await self._service.account())

        async def endpoint() -> Endpoint:
            return await self._service.endpoint(place, self._keep_alive)

        session = DistillerSession(place, endpoint, self._policy(), codec=RawCodec, link=self._link)
        await session.open()
        self._answered = session
        self._session, self._inbox, self._in_response = session, Inbox(), False
        self._skips = self._awaiting = False
        self._pump = self._tasks.start(self._read(session), "distiller messages")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the session within a few seconds; idempotent. Custom agents that still run are cancelled and answered."""
        session, self._session = self._session, None
        if session is None:
            return
        try:
            if self._executors is not None:
                await self._executors.close(CLOSE_WITHIN)
            if self._answers:
                await asyncio.wait(self._answers, timeout=CLOSE_WITHIN)  # a dead link takes none
        finally:
            self._answered = None
            await session.close()
            self._inbox.end(None)
            await self._tasks.stop(CLOSE_WITHIN)

    # -- what the server can and does -----------------------------------------------------------------

    @property
    def barge_in(self) -> bool:
        """Whether the server listens while a response is made; if not, audio sent then is dropped and counted."""
        codec = self._open().codec
        return codec is not None and codec.listens_always

    @property
    def response_active(self) -> bool:
        """Whether a response is being made."""
        codec = self._open().codec
        return codec is not None and codec.responses.active

    @property
    def input_dropped(self) -> int:
        """Audio chunks that were dropped because the server takes none during a response."""
        return self._open().input_dropped

    # -- sending --------------------------------------------------------------------------------------

    async def send_audio_chunk(self, audio_bytes: bytes) -> None:
        """Send the next piece of the user's audio: PCM16 mono at 16 kHz, of any length.

        Raises:
            ValueError: it is empty.
        """
        if not audio_bytes:
            raise ValueError("audio_bytes is empty")
        await self._open().send(AudioBlock(bytes(audio_bytes), "audio/pcm;rate=16000"))

    async def send_text_query(self, text: str) -> None:
        """Send a typed question.

        What is left unread of a response that somebody began to read is not read any more.

        Raises:
            ValueError: the text is blank.
        """
        check_text(text)
        session = self._open()
        self.skip_rest()
        await session.send(TextBlock(text))
        await session.commit()
        self._awaiting = True

    async def commit_audio(self) -> None:
        """Have what was sent heard now, without waiting for silence."""
        await self._open().commit()

    async def clear_audio_buffer(self) -> None:
        """Forget audio that was sent and not committed."""
        await self._open().clear()

    async def send_update(self) -> None:
        """Announce a recording that is committed regularly."""
        await self._open().perform(ProviderCommand("session.update"))

    async def cancel_response(self) -> None:
        """Stop the speech of the agent that speaks; the next agent goes on. Sends nothing while no response is made."""
        if self.response_active:
            await self._open().interrupt()

    async def notify_playback_started(self) -> None:
        """Tell that speech begins to leave the loudspeaker."""
        await self._open().playback_started()

    async def notify_playback_stopped(self) -> None:
        """Tell that speech was played to its end; not after `response.interrupted`."""
        await self._open().playback_stopped()

    # -- reading --------------------------------------------------------------------------------------

    def get_responses(self) -> ResponseStream:
        """Iterate over the server's messages as they are, to the end of the next response (`response.done`).

        Cancellation: safe, no message is lost. A loop may be left and another one goes on; one waits at a time.

        Raises (while it is iterated over):
            ProtocolError: the server reports an error; another call goes on.
            ConnectionLost: the response broke off; where the session could be connected again, it goes on.
            LinkError: the session is over.
            LocalProtocolError: another loop waits already.
            SessionClosed: the session is not open.
        """
        stream = ResponseStream(self._next)
        self._reader = weakref.ref(stream)
        return stream

    async def _next(self) -> dict[str, Any] | None:
        self._open()
        if self._waiting:
            raise LocalProtocolError("get_responses() is being read already: one loop at a time")
        self._waiting = True
        try:
            while (message := await self._inbox.get()) is not None:
                kind = message["type"]
                if not self._skipped(kind):
                    break
        finally:
            self._waiting = False
        if message is None:
            if (self._in_response or self._awaiting) and self._session is not None:
                raise ConnectionLost("the server closed the session before its response was complete", retryable=True)
            return None
        if kind in ("response.created", "response.done"):
            self._awaiting = False
            self._in_response = kind == "response.created"
        return message

    def skip_rest(self) -> None:
        """Pass over what is left of a response that was read in part, unless it is being read now."""
        self._skips = self._skips or (self._in_response and not self._being_read())

    def _being_read(self) -> bool:
        reader = self._reader() if self._reader is not None else None
        return reader is not None and not reader.over

    def _skipped(self, kind: str) -> bool:
        if not self._skips:
            return False
        if kind in ("response.created", "response.done"):
            self._skips = self._in_response = False
            return kind == "response.done"
        return kind.startswith("response.") and not kind.startswith("response.audio_transcript.")

    # -- wrappers -------------------------------------------------------------------------------------

    async def listen_and_respond(self, sample_rate: int = 16000, cancel_event: asyncio.Event | None = None) -> None:
        """Send what the microphone hears, play and print the response.

        In push-to-talk mode the microphone is closed when the response begins. In barge-in mode it stays open, its
        echo is cancelled, and a response that the user interrupts is followed by the next one.

        Args:
            sample_rate: Hz of microphone and loudspeaker: the `sample_rate` of the project's `speech_config`.
            cancel_event: set it to skip the agent that speaks; it is cleared when the next one begins.

        Raises:
            MissingExtra: `duologue-distiller[audio]` is not installed.
            AudioError: the devices can't be opened, or are lost.
        """
        from duologue_distiller.voice_turn import VoiceTurn

        await VoiceTurn(self, sample_rate, cancel_event).listen()

    async def send_text_and_respond(
        self, text: str, sample_rate: int = 16000, cancel_event: asyncio.Event | None = None
    ) -> None:
        """Send a typed question, play and print the response.

        Args:
            text: the question.
            sample_rate: Hz of the loudspeaker: the `sample_rate` of the project's `speech_config`.
            cancel_event: set it to skip the agent that speaks; it is cleared when the next one begins.

        Raises:
            ValueError: the text is blank.
            MissingExtra: `duologue-distiller[audio]` is not installed.
            AudioError: the loudspeaker can't be opened, or is lost.
        """
        from duologue_distiller.voice_turn import VoiceTurn

        check_text(text)
        await VoiceTurn(self, sample_rate, cancel_event).ask(text)

    # -- what comes -----------------------------------------------------------------------------------

    async def _read(self, session: DistillerSession) -> None:
        began = False
        try:
            async for event in session.events():
                match event:
                    case ProviderEvent(kind=kind, data=dict() as message) if kind == RAW:
                        type_ = message["type"]
                        starts = type_ in ("response.created", "response.interrupted")
                        began = starts or (began and type_ != "response.done")
                        if type_ == "response.interrupted" and self.on_interrupted is not None:
                            self.on_interrupted()
                        await self._inbox.put(message)
                    case Problem(exception=exc) if isinstance(exc, RemoteProtocolError):
                        log.warning("%s", exc)
                    case Problem(exception=exc) if isinstance(exc, ProtocolError):
                        began = False
                        await self._inbox.put(exc)
                    case Problem(exception=exc):
                        log.warning("%s", exc)
                    case Reconnecting(reason=reason) if began:
                        began = False
                        await self._inbox.put(ConnectionLost(f"the response broke off: {reason}", provider="distiller"))
                    case _:
                        self._call(event, session)
        except Exception as exc:  # task boundary: whoever reads the messages is told
            self._inbox.end(exc)
        else:
            self._inbox.end(None)

    def _call(self, event: Event, session: DistillerSession) -> None:
        try:
            blocks = self._assembler.feed(event)
        except InvalidArguments as exc:
            self._answer(exc.tool_use_id, f"error: {exc}", None)
            return
        for block in blocks:
            if self._executors is not None:
                request_id = session.calls.request_id(block.id)
                self._executors.run(block.id, block.name, block.input, request_id)

    def _answer(self, call_id: str, content: str, memory_updates: dict[str, Any] | None) -> None:
        session = self._answered
        if session is None:
            return
        task = self._tasks.start(self._send_answer(session, call_id, content, memory_updates), "distiller answer")
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _send_answer(
        self, session: DistillerSession, call_id: str, content: str, memory_updates: dict[str, Any] | None
    ) -> None:
        if memory_updates:
            session.calls.memory_updates[call_id] = memory_updates
        try:
            await session.send_tool_result(call_id, AgentCalls.EXECUTOR, content)
        except (LocalProtocolError, SessionClosed) as exc:
            log.error("the answer to the call %s of a custom agent could not be sent: %s", call_id, exc)  # noqa: TRY400 - says all

    def _open(self) -> DistillerSession:
        if self._session is None:
            raise SessionClosed("the session is not open: use `async with client.realtime_distiller(...) as vc`")
        return self._session


def check_text(text: str) -> None:
    """Refuse blank text.

    Raises:
        ValueError: it is blank.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError("text is empty: there is nothing to ask")
