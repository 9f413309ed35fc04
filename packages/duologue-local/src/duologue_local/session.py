"""LocalSession: the offline pipeline as a `RealtimeSession`."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duologue.blocks import AudioBlock, ContentBlock, TextBlock
from duologue.errors import DuologueError, SessionClosed, UnsupportedFormat
from duologue.events import (
    Event,
    Problem,
    ProviderEvent,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptDelta,
)
from duologue.formats import parse_format
from duologue.tasks import TaskSet
from duologue.transport import Capabilities

from duologue_local.client import StageFailed
from duologue_local.floor import Floor, Rules
from duologue_local.host import request_to_json
from duologue_local.listener import Listener, Utterance
from duologue_local.memory import Memory
from duologue_local.outbox import Outbox
from duologue_local.reply import Marks, Speaker
from duologue_local.stages import INPUT_RATE, KINDS, OUTPUT_RATE, Recognition, Request, ToolSpec
from duologue_local.turns import TurnMachine, TurnSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from duologue.transport import TurnDetection
    from duologue.types import Message

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
        speaker = Speaker(
            stages,
            self._outbox,
            self._memory,
            self._clock,
            voice=setup.voice,
            debug_prompt=setup.debug_prompt,
            call_id=lambda: f"call-{next(numbers)}",
        )
        rules = Rules(
            request=self._request,
            user_busy=self._user_busy,
            failed=self.failed,
            rest=self._rest,
            grace_ms=setup.settings.barge_in.grace_ms,
        )
        self._floor = Floor(self._outbox, self._memory, speaker, self._tasks, self._clock, rules)
        self._manual = setup.turn_detection.mode == "manual"
        machine = None if self._manual else TurnMachine(setup.settings)
        self._listener = Listener(stages["vad"], stages["asr"], machine, self, self._clock, self._tasks)
        self._utterances: asyncio.Queue[Utterance] = asyncio.Queue()  # filled at the pace of speech
        self._not_understood = 0
        self._typed = False
        self._closed = False
        self._outbox.put(SessionStarted(model=setup.model))
        for stage, seconds in setup.loading:
            self._outbox.put(ProviderEvent("local", "loaded", {"stage": stage, "seconds": seconds}))
        self._tasks.start(self._understand(), "understand")
        self._unwatch = [stages[kind].watch(self._loop, self.failed) for kind in KINDS]

    async def prepare(self) -> None:
        """Let the model read system prompt and tools before anybody waits for it; the session's time begins then.

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
            self._floor.heard(Marks(now, now, now), answer=True)
            self._floor.asked()
        elif not self._listener.commit():
            self._floor.asked()

    async def interrupt(self) -> None:
        """Stop the reply that is being made or played."""
        self._floor.interrupt()

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
        if not self._floor.answered(tool_use_id):
            self._outbox.put(Problem(DuologueError(f"no call {tool_use_id!r} of tool {name!r} waits for a result")))
            return
        blocks = [TextBlock(content)] if isinstance(content, str) else content
        self._memory.result(name, " ".join(b.text for b in blocks if isinstance(b, TextBlock)) or "done")
        self._floor.respond(despite_calls=False)

    def events(self) -> AsyncIterator[Event]:
        """Yield what happens."""
        return self._outbox.events()

    async def close(self) -> None:
        """End the session; the workers end with the last one."""
        if not self._closed:
            self._closed = True
            self._outbox.end()
            self._floor.close()
            await self._listener.close()
        for unwatch in self._unwatch:
            unwatch()
        await self._tasks.stop(CLOSE_DEADLINE)
        await self._stages.release()

    # -- Hears ----------------------------------------------------------------------------------------

    def speech_began(self, item_id: str, at: float, *, cuts: bool) -> None:
        """The user speaks."""
        self._outbox.put(SpeechStarted(item_id, at))
        if cuts:
            self._floor.cut()

    def speech_ended(self, utterance: Utterance) -> None:
        """The user's turn is over."""
        if not self._manual:
            self._outbox.put(SpeechStopped(utterance.item_id, utterance.speech_end_at))
        self._not_understood += 1
        self._utterances.put_nowait(utterance)

    def playing_ms(self) -> float | None:
        """How long the current reply sounds."""
        return self._floor.playing_ms()

    def lost(self, seconds: float) -> None:
        """A manual turn was too long."""
        error = UnsupportedFormat(f"the turn was too long: its first {seconds:.1f} s were dropped; commit() more often")
        self._outbox.put(Problem(error))

    def failed(self, error: DuologueError) -> None:
        """The session can't go on."""
        self._outbox.end(error)
        self._closed = True
        self._floor.close()

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
            self._not_understood -= 1
            text = "" if utterance.noise else heard.text
            self._outbox.put(
                TranscriptDelta("user", text, final=True, item_id=utterance.item_id, started_at=utterance.started_at)
            )
            if text:
                self._memory.user(text, utterance.item_id)
                marks = Marks(utterance.speech_end_at, utterance.ended_at, max(self._clock(), utterance.ended_at))
                self._floor.heard(marks, answer=self._setup.turn_detection.create_response or self._manual)
            self._floor.respond(despite_calls=bool(text))

    def _rest(self) -> None:
        """After a reply was written: make room in the memory, and let the model read it while nobody waits."""
        self._memory.tidy()
        if not self._closed:
            self._tasks.start(self._read_again(), "read again")

    async def _read_again(self) -> None:
        with contextlib.suppress(DuologueError):  # the next reply will meet the same trouble, and tell it
            await self._stages["llm"].call("prepare", request=request_to_json(self._request()))

    def _user_busy(self) -> bool:
        return self._listener.speaking or self._not_understood > 0

    def _request(self) -> Request:
        setup = self._setup
        return Request(self._memory.messages(), setup.tools, setup.max_tokens, setup.temperature, setup.seed)

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
