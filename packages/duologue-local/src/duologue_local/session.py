"""LocalSession: the offline pipeline as a `RealtimeSession`."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from duologue.blocks import AudioBlock, ContentBlock, TextBlock
from duologue.errors import DuologueError, LinkError, SessionClosed, UnsupportedFormat
from duologue.events import (
    Event,
    Interrupted,
    Problem,
    ProviderEvent,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptDelta,
    TurnComplete,
)
from duologue.formats import parse_format
from duologue.tasks import TaskSet
from duologue.transport import Capabilities, TurnDetection
from duologue.types import Message, StopReason

from duologue_local.client import StageFailed
from duologue_local.host import request_to_json
from duologue_local.listener import Listener, Utterance
from duologue_local.memory import Memory
from duologue_local.outbox import Outbox
from duologue_local.reply import Marks, Reply, Speaker
from duologue_local.stages import INPUT_RATE, KINDS, OUTPUT_RATE, Recognition, Request, ToolSpec
from duologue_local.turns import TurnMachine, TurnSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from concurrent.futures import Future

    from duologue_local.pool import Lease

CAPABILITIES = Capabilities(
    input_rates=(INPUT_RATE,),
    output_rate=OUTPUT_RATE,
    server_vad=True,
    manual_turns=True,
    text_input=True,
    tools=True,
    truncation=True,
)
CLOSE_DEADLINE = 0.5
MARGIN = 64
"""Tokens of the context that are left for estimates that were too low."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a session is opened with."""

    system: str
    tools: tuple[ToolSpec, ...]
    voice: str
    model: str
    input_rate: int
    turn_detection: TurnDetection
    settings: TurnSettings
    history: Sequence[Message]
    max_tokens: int
    temperature: float
    seed: int
    debug_prompt: bool
    loading: tuple[tuple[str, float], ...]


class LocalSession:
    """One conversation with the local pipeline.

    A reply's `TurnComplete` comes when it has been played, by the estimate that it plays in real time
    from the moment `events()` yielded its first audio; a cut reply's comes with the cut.
    """

    capabilities = CAPABILITIES

    def __init__(self, stages: Lease, setup: Setup) -> None:
        self._stages = stages
        self._setup = setup
        self._loop = asyncio.get_running_loop()
        self._zero = self._loop.time()
        self._tasks = TaskSet()
        self._outbox = Outbox(self._clock)
        context = int(str(stages.description("llm").get("context_tokens", 0)))
        self._memory = Memory(setup.system, setup.history, context - setup.max_tokens - MARGIN)
        numbers = itertools.count(1)
        self._speaker = Speaker(
            stages,
            self._outbox,
            self._memory,
            self._clock,
            voice=setup.voice,
            debug_prompt=setup.debug_prompt,
            call_id=lambda: f"call-{next(numbers)}",
        )
        machine = None if setup.turn_detection.mode == "manual" else TurnMachine(setup.settings)
        self._listener = Listener(stages["vad"], stages["asr"], machine, self, self._clock, self._tasks)
        self._utterances: asyncio.Queue[Utterance] = asyncio.Queue()  # filled at the pace of speech
        self._hearing = 0
        self._typed = False
        self._replies = 0
        self._reply: Reply | None = None
        self._making: asyncio.Task[None] | None = None
        self._calls: dict[str, str] = {}
        self._owed: Marks | None = None
        self._closed = False
        self._outbox.put(SessionStarted(model=setup.model))
        for stage, seconds in setup.loading:
            self._outbox.put(ProviderEvent("local", "loaded", {"stage": stage, "seconds": seconds}))
        self._tasks.start(self._understand(), "understand")
        for kind in KINDS:
            stages[kind].failed.add_done_callback(partial(_when_gone, self._loop, self.failed))

    async def prepare(self) -> None:
        """Let the model read system prompt and tools before anybody waits for it.

        Raises:
            StageFailed: it can't.
            ConnectionLost: its worker is gone.
        """
        await self._stages["llm"].call("prepare", request=request_to_json(self._request()))
        self._zero = self._loop.time()

    # -- RealtimeSession ------------------------------------------------------------------------------

    async def send(self, content: ContentBlock | list[ContentBlock]) -> None:
        """Take PCM16 at 16 kHz, or text; text waits for `commit()`.

        Raises:
            SessionClosed: the session has ended.
            UnsupportedFormat: audio in another format, or an image.
        """
        for block in content if isinstance(content, list) else [content]:
            self._check_open()
            match block:
                case AudioBlock():
                    self._check_format(block)
                    await self._listener.send(block.data)
                case TextBlock(text=text):
                    if text.strip():
                        self._memory.user(text, self._listener.next_item())
                        self._typed = True
                case _:
                    raise UnsupportedFormat("the local transport takes audio and text, no images")

    async def commit(self) -> None:
        """End the user's turn and ask for a reply: to typed text, else to the audio since the last turn."""
        self._check_open()
        if self._typed:
            self._typed = False
            now = self._clock()
            self._owed = Marks(now, now, now)
            self._settle()
            self._respond()
        elif not self._listener.commit() and self._owed is not None:
            self._settle()
            self._respond()

    async def interrupt(self) -> None:
        """Stop the reply that is being made or played."""
        self._owed = None
        self._cut()

    async def truncate(self, *, item_id: str, heard_ms: int) -> None:
        """Cut the model's memory of that reply to what was heard."""
        self._memory.cut(item_id, heard_ms)

    async def clear(self) -> None:
        """Forget the audio of the unfinished turn."""
        self._check_open()
        self._listener.clear()

    async def send_tool_result(self, tool_use_id: str, name: str, content: str | list[ContentBlock]) -> None:
        """Answer a call; when all are answered and nobody speaks, the model goes on."""
        self._check_open()
        if self._calls.pop(tool_use_id, None) is None:
            self._outbox.put(Problem(DuologueError(f"no call {tool_use_id!r} of tool {name!r} waits for a result")))
            return
        blocks = [TextBlock(content)] if isinstance(content, str) else content
        self._memory.result(name, " ".join(b.text for b in blocks if isinstance(b, TextBlock)) or "done")
        self._respond()

    def events(self) -> AsyncIterator[Event]:
        """Yield what happens."""
        return self._outbox.events()

    async def close(self) -> None:
        """End the session; the workers end with the last one."""
        if not self._closed:
            self._closed = True
            self._outbox.end()
            self._listener.forget()
            await asyncio.sleep(0)
            await self._tasks.stop(CLOSE_DEADLINE)
        await self._stages.release()

    # -- Hears ----------------------------------------------------------------------------------------

    def speech_began(self, item_id: str, at: float, *, cuts: bool) -> None:
        """The user speaks."""
        self._outbox.put(SpeechStarted(item_id, at))
        if cuts:
            self._cut()

    def speech_ended(self, utterance: Utterance) -> None:
        """The user's turn is over."""
        if self._setup.turn_detection.mode != "manual":
            self._outbox.put(SpeechStopped(utterance.item_id, utterance.speech_end_at))
        self._hearing += 1
        self._utterances.put_nowait(utterance)

    def playing_ms(self) -> float | None:
        """How long the current reply sounds."""
        if self._reply is None or self._reply.over:
            return None
        since = self._outbox.playback(self._reply.response_id).since
        return math.inf if since is None else (self._clock() - since) * 1000

    def failed(self, error: DuologueError) -> None:
        """The session can't go on."""
        self._outbox.end(error)
        self._closed_by_failure()

    # -- the user's turn ------------------------------------------------------------------------------

    async def _understand(self) -> None:
        """Write down the user's turns in their order."""
        while True:
            utterance = await self._utterances.get()
            heard = Recognition("")
            try:
                heard = await utterance.recognition
            except StageFailed as exc:
                self._outbox.put(Problem(exc))
            except DuologueError as exc:
                self.failed(exc)
                return
            self._hearing -= 1
            text = "" if utterance.noise else heard.text
            self._outbox.put(
                TranscriptDelta("user", text, final=True, item_id=utterance.item_id, started_at=utterance.started_at)
            )
            if text:
                self._memory.user(text, utterance.item_id)
                marks = Marks(utterance.speech_end_at, utterance.ended_at, max(self._clock(), utterance.ended_at))
                if self._setup.turn_detection.create_response or self._setup.turn_detection.mode == "manual":
                    self._owed = marks
            self._respond(forced=bool(text))

    # -- the reply ------------------------------------------------------------------------------------

    def _respond(self, *, forced: bool = True) -> None:
        """Begin the reply that is owed, unless something has to come first; whatever that is calls again."""
        if self._closed or self._owed is None or self._listener.speaking or self._hearing:
            return
        if self._reply is not None and not self._reply.over:
            return
        if self._calls and not forced:
            return
        self._replies += 1
        reply = Reply(f"response-{self._replies}", f"reply-{self._replies}", self._owed)
        self._reply = reply
        self._making = self._tasks.start(self._converse(reply), "reply")

    async def _converse(self, reply: Reply) -> None:
        try:
            await self._speaker.make(reply, self._request())
        except StageFailed as exc:
            reply.stop = StopReason.error
            self._outbox.put(Problem(exc))
        except LinkError as exc:
            self.failed(exc)
            return
        reply.made = True
        self._calls |= {call.id: call.name for call in reply.calls}
        self._owed = reply.marks if reply.calls else None
        if reply.stop not in (StopReason.tool_use, StopReason.error):
            await self._played(reply)
        self._complete(reply)
        grace = self._setup.settings.barge_in.grace_ms
        if grace and reply.audio_ms:
            await asyncio.sleep(grace / 1000)
        self._over(reply)

    def _request(self) -> Request:
        setup = self._setup
        return Request(self._memory.messages(), setup.tools, setup.max_tokens, setup.temperature, setup.seed)

    async def _played(self, reply: Reply) -> None:
        await self._outbox.taken(reply.response_id)
        rest = self._outbox.playback(reply.response_id).until - self._clock()
        if rest > 0:
            await asyncio.sleep(rest)

    def _complete(self, reply: Reply, stop: StopReason | None = None) -> None:
        if not reply.completed:
            reply.completed = True
            self._outbox.put(TurnComplete(stop or reply.stop, reply.usage, reply.response_id))

    def _over(self, reply: Reply) -> None:
        reply.over = True
        self._making = None
        if not reply.calls:
            self._respond()

    def _settle(self) -> None:
        """Make room for a reply that was asked for: one that only plays is complete, one being made is cut."""
        reply = self._reply
        if reply is None or reply.over:
            return
        if not reply.made:
            self._cut()
            return
        self._stop_making()
        self._complete(reply)
        reply.over = True

    def _cut(self) -> None:
        """Stop the current reply, now."""
        reply = self._reply
        if reply is None or reply.over:
            return
        self._stop_making()
        playback = self._outbox.playback(reply.response_id)
        self._memory.cut(reply.item_id, playback.heard_ms(self._clock()))
        self._outbox.drop_audio(reply.response_id)
        self._outbox.put(Interrupted(reply.response_id))
        self._complete(reply, StopReason.interrupted)
        reply.over = True
        if playback.since is not None:
            self._owed = None  # some of it was heard: it is not begun again if the user only coughed

    def _stop_making(self) -> None:
        if self._making is not None:
            self._making.cancel()
            self._making = None

    # -- small things ---------------------------------------------------------------------------------

    def _clock(self) -> float:
        return self._loop.time() - self._zero

    def _check_open(self) -> None:
        if self._closed:
            raise SessionClosed("the local session has ended: connect again")

    def _check_format(self, block: AudioBlock) -> None:
        media = parse_format(block.media_type)
        rate = media.rate or self._setup.input_rate
        if media.encoding != "audio/pcm" or rate != INPUT_RATE or len(block.data) % 2:
            raise UnsupportedFormat(
                f"the local transport takes PCM16 mono at {INPUT_RATE} Hz, not {block.media_type!r} at {rate} Hz with "
                f"{len(block.data)} bytes; RealtimeAgent converts by itself"
            )

    def _closed_by_failure(self) -> None:
        self._closed = True
        self._stop_making()
        if self._reply is not None:
            self._reply.over = True


def _when_gone(
    loop: asyncio.AbstractEventLoop, tell: Callable[[DuologueError], None], failed: Future[DuologueError]
) -> None:
    """Called on the worker's thread."""
    with contextlib.suppress(RuntimeError):  # the loop is closed, and with it the session
        loop.call_soon_threadsafe(tell, failed.result())
