"""RealtimeAgent: a conversation with a model, its tools and its interruptions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from duologue.engine import Engine
from duologue.errors import ConfigurationError, LocalProtocolError
from duologue.formats import parse_format
from duologue.tasks import TaskSet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from types import TracebackType

    from duologue.blocks import ContentBlock
    from duologue.events import Event
    from duologue.tool import Tool
    from duologue.transport import RealtimeSession, RealtimeTransport, TurnDetection
    from duologue.types import Message


class RealtimeAgent:
    """A full-duplex conversation over any `RealtimeTransport`.

    Tools run in the background, interruptions act at once, and everything that happens comes out of one
    stream of events. The agent reads the session by itself: tools run and interruptions act while the
    application is slow, up to 64 MiB of waiting events (22 minutes of speech); then it reads no further
    until the application catches up.

    Args:
        system: the system prompt.
        transport: how to reach the model.
        tools: what the model may call; copied, and looked up again at each call.
        voice: the voice's name, as the transport knows it.
        input_audio_format: what a bare `audio/pcm` block of yours is.
        output_audio_format: what the speech you get is.
        raise_on_error: raise the exception of an `Error` event from `events()`; else yield the event.
        turn_detection: who ends the user's turn; None is the transport's default.
        history: what was said before this session.
        options: further options of the transport.
        close_timeout: seconds that running tools get to finish in `close()`.

    Raises:
        ConfigurationError: two tools have the same name.
        UnsupportedFormat: a format is no audio type.

    Example:
        ```python
        import asyncio
        from duologue import RealtimeAgent, TextBlock, TranscriptDelta, TurnComplete
        from duologue.testing import ScriptedTransport

        async def main() -> None:
            transport = ScriptedTransport.saying("Hello there.")
            async with RealtimeAgent("You are brief.", transport) as agent:
                await agent.send(TextBlock("Hi!"))
                async for event in agent.events():
                    match event:
                        case TranscriptDelta(role="assistant", delta=text):
                            print(text)
                        case TurnComplete():
                            break

        asyncio.run(main())
        ```
    """

    def __init__(
        self,
        system: str,
        transport: RealtimeTransport,
        tools: Sequence[Tool] = (),
        voice: str | None = None,
        input_audio_format: str = "audio/pcm;rate=16000",
        output_audio_format: str = "audio/pcm;rate=24000",
        raise_on_error: bool = True,
        *,
        turn_detection: TurnDetection | None = None,
        history: Sequence[Message] = (),
        options: Mapping[str, Any] | None = None,
        close_timeout: float = 5.0,
    ) -> None:
        parse_format(input_audio_format)
        parse_format(output_audio_format)
        self.system = system
        self.transport = transport
        self.tools: list[Tool] = list(tools)
        self.voice = voice
        self.input_audio_format = input_audio_format
        self.output_audio_format = output_audio_format
        self.raise_on_error = raise_on_error
        self.turn_detection = turn_detection
        self.options = options
        self.close_timeout = close_timeout
        self._check_tools()
        self._before = tuple(history)
        self._engine: Engine | None = None
        self._connecting = False
        self._closing: asyncio.Task[None] | None = None
        self._tasks = TaskSet()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        # an error or Ctrl-C is on its way out: don't let it wait for tools
        await self._close(self.close_timeout if kind is None else 0.0)

    async def connect(self) -> None:
        """Open the session; returns once the backend has accepted it.

        After `close()` the agent can connect again; the history goes along.

        Cancellation: safe, nothing stays open.

        Raises:
            LocalProtocolError: it is connected already.
            ConfigurationError: a tool's signature can't be described, or the transport's configuration is wrong.
            LinkError: the backend can't be reached.
        """
        if self._connecting or (self._engine is not None and self._closing is None):
            raise LocalProtocolError("the agent is connected already: close() it first")
        if self._closing is not None:
            await asyncio.shield(self._closing)
        self._check_tools()
        for tool in self.tools:
            tool.input_schema  # noqa: B018 - a signature that can't be described shows here, not at the first call
        history = self.history
        wanted: dict[str, Any] = {}
        if self.turn_detection is not None:
            wanted["turn_detection"] = self.turn_detection
        if history:
            wanted["history"] = history
        if self.options is not None:
            wanted["options"] = self.options
        self._connecting = True
        try:
            session = await self.transport.connect(
                system=self.system,
                tools=list(self.tools),
                voice=self.voice,
                input_audio_format=self.input_audio_format,
                output_audio_format=self.output_audio_format,
                **wanted,
            )
            self._engine = Engine(
                session,
                self._tools_by_name,
                input_format=self.input_audio_format,
                output_format=self.output_audio_format,
                turn_detection=self.turn_detection,
                history=history,
            )
            self._closing = None
        finally:
            self._connecting = False

    async def close(self) -> None:
        """End the session; `events()` ends too.

        Idempotent, and safe before `connect()`. Running tools may finish and send their results within
        `close_timeout`, then they are cancelled. Bounded by that and a few seconds, whatever the backend does.

        Cancellation: closing goes on in the background.
        """
        await self._close(self.close_timeout)

    async def send(self, content: ContentBlock | list[ContentBlock], *, respond: bool | None = None) -> None:
        """Send the user's audio, text or images.

        `respond` asks for a reply (True) or not (False); None means that text does and audio and images
        don't. Audio at another rate than the session takes is converted.

        Cancellation: safe; the content may or may not have been sent.

        Raises:
            LocalProtocolError: not connected.
            SessionClosed: the session has ended.
            UnsupportedFormat: audio the session doesn't take and we can't convert.
        """
        await self._connected().send(content, respond)

    async def commit(self) -> None:
        """End the manual turn and ask for a reply; the first audio after it starts the next turn.

        Raises:
            LocalProtocolError: not connected.
            SessionClosed: the session has ended.
        """
        await self._connected().commit()

    async def interrupt(self, *, heard_ms: int | None = None, response_id: str = "") -> None:
        """Stop the reply that is playing; `heard_ms` says how much of it was heard.

        Undelivered audio is dropped, half-written calls are forgotten, running tools follow their
        `on_interrupt`, the history is cut at the last word heard. Where the backend has cut or finished the
        reply itself, nothing is sent that could hit the user's new utterance. Without `heard_ms` it is
        estimated as if what you took from `events()` were played at once. `response_id` says which reply
        plays, where several are queued in the player.

        Safe to call at any time, on every `SpeechStarted` too; a second call for one reply does nothing,
        and so does one with nothing playing and no tool running.

        Cancellation: safe; the cut is made before the first await.

        Raises:
            LocalProtocolError: not connected.
        """
        await self._connected().interrupt(heard_ms, response_id)

    async def send_tool_result(
        self, tool_use_id: str, content: str | list[ContentBlock], *, is_error: bool = False
    ) -> None:
        """Answer a call of a tool without handler.

        A call that was cancelled meanwhile (there was a `ToolCancelled`) needs no answer: nothing happens.

        Raises:
            LocalProtocolError: not connected, or there never was such a call.
            SessionClosed: the session has ended.
        """
        self._connected().answer(tool_use_id, content, is_error)

    def events(self) -> AsyncIterator[Event]:
        """Yield everything that happens until the session ends.

        One consumer at a time; leaving early does not stop the agent, and a later call goes on where the
        first left off. Ends normally after `close()` or the backend's clean end.

        Raises:
            LocalProtocolError: not connected, or there is a consumer already.
            Exception: what an `Error` event holds, unchanged, when `raise_on_error` is set.
        """
        return self._connected().events(raise_on_error=self.raise_on_error)

    @property
    def history(self) -> tuple[Message, ...]:
        """The transcript so far, in the order of speaking; replies that were cut end at the last word heard."""
        return self._before if self._engine is None else self._engine.conversation.history

    @property
    def session(self) -> RealtimeSession:
        """The session underneath.

        Raises:
            LocalProtocolError: not connected.
        """
        return self._connected().session

    def _connected(self) -> Engine:
        if self._engine is None:
            raise LocalProtocolError("the agent is not connected: use `async with`, or await connect() first")
        return self._engine

    def _tools_by_name(self) -> Mapping[str, Tool]:
        return {tool.name: tool for tool in self.tools}

    def _check_tools(self) -> None:
        names = [tool.name for tool in self.tools]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigurationError(f"two tools are called {twice[0]!r}: the model could not tell them apart")

    async def _close(self, patience: float) -> None:
        if self._engine is None:
            return
        if self._closing is None:
            self._closing = self._tasks.start(self._engine.close(patience), "closing")
        await asyncio.shield(self._closing)
