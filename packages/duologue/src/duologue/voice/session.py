"""VoiceSession: one session of the façade: an agent, and the news of it brought to callbacks and to `run()`."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from duologue.agent import RealtimeAgent
from duologue.blocks import AudioBlock, TextBlock
from duologue.errors import ConfigurationError, DuologueError, ToolError
from duologue.events import Problem, SpeechStarted, ToolCancelled, ToolResult, ToolStarted
from duologue.tasks import TaskSet
from duologue.tool import Tool
from duologue.voice.answers import Answers
from duologue.voice.config import RealtimeConfig, VADMode
from duologue.voice.errors import RealtimeConnectionError, as_realtime_error, realtime_errors
from duologue.voice.idle import Idle
from duologue.voice.news import News
from duologue.voice.offers import as_tools, offered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from types import TracebackType

    from duologue.blocks import ContentBlock
    from duologue.events import Event
    from duologue.transport import RealtimeTransport, TurnDetection
    from duologue.voice.callbacks import Callbacks
    from duologue.voice.data import AudioChunk, TranscriptDelta

log = logging.getLogger("duologue.voice")


class _Agent(RealtimeAgent):
    """An agent whose application answers calls of any name, as long as it wants to see every call."""

    sees_all: list[Any] = []  # noqa: RUF012 - set on each instance

    def _tools_by_name(self) -> Mapping[str, Tool]:
        known = dict(super()._tools_by_name())
        return _AnyTool(known) if self.sees_all else known


class _AnyTool(dict[str, Tool]):
    """Tools by name; one that nobody knows is made up, so that its call gets to `on_tool_call`."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name) or Tool(name, None, schema={"type": "object"})


class VoiceSession:
    """A conversation that is open; `RealtimeVoice.connect()` and `RealtimeProvider.connect()` make it.

    Everything that is said by both sides goes to the callbacks while it is open; nothing has to be read.
    """

    def __init__(
        self,
        transport: RealtimeTransport,
        config: RealtimeConfig,
        callbacks: Callbacks,
        *,
        voice: str | None,
        detection: TurnDetection,
        options: Mapping[str, Any] | None,
        input_rate: int,
        output_rate: int,
    ) -> None:
        self._tools = {tool.name: tool for tool in as_tools(config.tools)}
        if len(self._tools) != len(config.tools):
            raise ConfigurationError("two tools have the same name: the model could not tell them apart")
        self._manual = config.vad_mode is VADMode.MANUAL
        self._silence_ms = (detection.silence_ms or config.vad_silence_duration_ms) + 700
        self._rate = input_rate
        self._agent = _Agent(
            config.instructions,
            transport,
            [offered(tool) for tool in self._tools.values()],
            voice,
            f"audio/pcm;rate={input_rate}",
            f"audio/pcm;rate={output_rate}",
            turn_detection=detection,
            options=options or None,
        )
        self._agent.sees_all = callbacks.tool_call
        self._callbacks = callbacks
        self._tasks = TaskSet()
        self._moved = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._closed = False

    async def open(self) -> Self:
        """Connect.

        Raises:
            RealtimeConnectionError: the provider can't be reached, or refused.
            RealtimeError: a setting that it refused.
        """
        with realtime_errors():
            await self._agent.connect()
        self._news = News(self._callbacks, self._tell)
        self._answers = Answers(
            self._tools, self._callbacks.tool_call, self._answer, self._failed, lambda exc: self._tell("", exc)
        )
        capabilities = self._agent.session.capabilities
        silent = {tool.name for tool in self._tools.values() if tool.delivery == "silent"}
        self._idle = Idle(capabilities, answers=not self._manual, silent=silent)
        self._reading = self._tasks.start(self._read(), "voice session")
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def agent(self) -> RealtimeAgent:
        """The agent underneath, for everything the façade has no word for."""
        return self._agent

    @property
    def is_active(self) -> bool:
        """Whether anything can be sent."""
        return not self._closed and self._reading is not None and not self._reading.done() and self._failure is None

    async def send_audio(self, audio: bytes | AudioBlock) -> None:
        """Send a piece of the user's speech: PCM16 mono at the configured rate, or a block with its own.

        Any length will do; 20 to 100 ms are best.

        Raises:
            RealtimeConnectionError: the session is over.
            RealtimeError: it is no PCM16, or no resampler is installed.
        """
        self._check()
        block = audio if isinstance(audio, AudioBlock) else AudioBlock(bytes(audio), f"audio/pcm;rate={self._rate}")
        with realtime_errors():
            await self._agent.send(block)
        self._idle.heard(self._now)

    async def send_text(self, text: str) -> None:
        """Say something in writing, and ask for a reply.

        Raises:
            RealtimeConnectionError: the session is over.
        """
        self._check()
        self._idle.asked(self._now)
        with realtime_errors():
            await self._agent.send(TextBlock(text))

    async def commit_audio(self) -> None:
        """End the user's turn (`VADMode.MANUAL`) and ask for a reply.

        Raises:
            RealtimeConnectionError: the session is over.
        """
        self._check()
        self._idle.asked(self._now)
        with realtime_errors():
            await self._agent.commit()

    async def interrupt(self) -> None:
        """Stop the assistant; its audio that nobody took yet is dropped, and `on_interrupted` is called.

        Raises:
            RealtimeConnectionError: the session is over.
        """
        self._check()
        self._news.hush()
        with realtime_errors():
            await self._agent.interrupt()

    async def close(self) -> None:
        """End the session within a few seconds; idempotent. Callbacks get a second for what still waits.

        Cancellation: the session is closed all the same.
        """
        if self._closed or self._reading is None:
            self._closed = True
            return
        self._closed = True
        try:
            await self._agent.close()
        finally:
            await self._answers.close()
            await self._tasks.stop(1.0)
            await self._news.close()
            self._moved.set()

    async def wait_until_idle(self, *, settle: float = 0.3, within: float = 60.0) -> None:
        """Wait until nothing is to be expected: no reply is made or owed, no tool runs, nobody speaks.

        `settle` is how many quiet seconds prove it; for speech, whose end the provider has to notice, take a second
        or two.

        Raises:
            TimeoutError: it took longer than `within` seconds.
        """
        async with asyncio.timeout(within):
            while self.is_active:
                left = self._idle.left(self._now, settle)
                if left == 0.0:
                    return
                self._moved.clear()
                with suppress(TimeoutError):  # so long a quiet was to be proved
                    async with asyncio.timeout(left):
                        await self._moved.wait()

    # -- for run() ------------------------------------------------------------------------------------

    def stream(self) -> AsyncIterator[AudioChunk | TranscriptDelta]:
        """Everything both sides say from now on, until the session ends; who takes slowly holds the session up."""
        return self._news.stream()

    def end_stream(self) -> None:
        """Let the stream end when what waits was taken."""
        self._news.end()

    async def finish_speech(self) -> None:
        """The user's audio is over: end the turn, or let silence end it."""
        if self._manual:
            await self.commit_audio()
            return
        step = self._rate // 10
        for _ in range(self._silence_ms // 100 + 1):
            await self.send_audio(bytes(2 * step))

    @property
    def failure(self) -> BaseException | None:
        """How the session ended, if it ended badly."""
        return self._failure

    # -- the agent's side -----------------------------------------------------------------------------

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _read(self) -> None:
        try:
            async for event in self._agent.events():
                self._take(event)
                self._idle.note(event, self._now)
                self._moved.set()
                if self._news.full:
                    await self._news.room()
        except Exception as exc:  # task boundary: how a session ends is told to on_error and to who sends
            self._failure = exc
            self._tell("", exc)
        finally:
            self._news.end()
            self._moved.set()

    def _take(self, event: Event) -> None:
        match event:
            case ToolStarted():
                self._answers.start(event)
            case ToolCancelled():
                self._answers.stop(event.tool_use_id)
            case ToolResult():
                if self._answers.stop(event.tool_use_id) and event.is_error:  # past its time limit
                    self._failed(f"tool {event.name}", str(event.content).removeprefix("error: "))
            case SpeechStarted() if not self._manual:
                # also what plays though the provider has finished it is cut
                self._tasks.start(self._agent.interrupt(), "interrupting")
            case Problem():
                self._tell("", event.exception)
            case _:
                self._news.bring(event)

    def _answer(self, tool_use_id: str, content: str | list[ContentBlock], is_error: bool) -> None:
        self._tasks.start(self._send_answer(tool_use_id, content, is_error), "answering")

    async def _send_answer(self, tool_use_id: str, content: str | list[ContentBlock], is_error: bool) -> None:
        try:
            await self._agent.send_tool_result(tool_use_id, content, is_error=is_error)
        except DuologueError as exc:
            self._tell("", exc)

    def _failed(self, about: str, text: str) -> None:
        self._tell(about, ToolError(text))

    def _tell(self, about: str, exc: BaseException) -> None:
        """Bring an error to `on_error`; without one it is logged."""
        error = as_realtime_error(exc, about)
        if not self._news.error(error):
            log.warning("%s", error)

    def _check(self) -> None:
        if self._failure is not None:
            raise RealtimeConnectionError(f"the session has ended: {self._failure}") from self._failure
        if not self.is_active:
            raise RealtimeConnectionError("the session is closed: connect again")
