"""The chat: plays the user's turns into an agent in real time and plays its replies back.

Three tasks share one object and one loop: the microphone sends a block every 20 ms, the listener takes
the agent's events, the director decides whose turn it is. Each waits for nobody else, so a session that
takes no audio stops neither events nor deadlines.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from duologue.blocks import AudioBlock, TextBlock
from duologue.errors import ConnectionLost, DuologueError, SessionClosed
from duologue.events import AudioOutputDelta, Error, Interrupted, Problem, SpeechStarted
from duologue.transport import Capabilities

from duologue_cli.floor import SILENCE_S, Floor, Verdict
from duologue_cli.microphone import BLOCK_MS, VirtualMicrophone
from duologue_cli.recording import Timeline
from duologue_cli.speaker import VirtualSpeaker
from duologue_cli.summary import Measures

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duologue.agent import RealtimeAgent
    from duologue.events import Event
    from duologue.types import Message

    from duologue_cli.outputs import Output
    from duologue_cli.recording import WavWriter
    from duologue_cli.speaker import Piece
    from duologue_cli.turns import Turn, TurnSource

RATE = 24_000  # of the agent's audio and of the recording
AHEAD_S = 900.0  # speech waiting to be played; a reply that runs further ahead is cut
LATE_S = 1.0  # a microphone later than this (the machine slept) drops the silence it missed
STALLED_S = 20.0  # a session that takes no input for this long has failed
CLOSING_S = 2.0  # the last interruption may take this long


@dataclass(slots=True)
class Outcome:
    """How a conversation went."""

    begun: int = 0
    answered: int = 0
    failure: Exception | None = None
    stopped_by: int | None = None
    """The number of the signal that ended it."""


class Chat:
    """One conversation between the given turns and a connected agent.

    Args:
        agent: connected, delivering PCM16 at 24 kHz; closing it is the caller's affair.
        output: where everything is shown.
        recording: takes what was said and heard, the user left and the agent right.
        voice: the session gets audio all the time, silence included; False for a conversation by typing.
        barge_in_s: the next turn begins this long after a reply began to sound, not after its end.
        silence_s: a turn that nobody answers is given up after this long.
        began_at: when the session was opened, in the loop's time: the zero of all times shown; None is now.
    """

    def __init__(
        self,
        agent: RealtimeAgent,
        output: Output,
        *,
        recording: WavWriter | None = None,
        voice: bool = True,
        barge_in_s: float | None = None,
        silence_s: float = SILENCE_S,
        began_at: float | None = None,
    ) -> None:
        capabilities = getattr(agent.session, "capabilities", None) or Capabilities()
        self._agent = agent
        self._output = output
        self._recording = recording
        self._voice = voice
        self._barge_in = barge_in_s
        self._microphone = VirtualMicrophone(capabilities.input_rates[0], RATE)
        self._speaker = VirtualSpeaker(RATE, AHEAD_S)
        self._timeline = Timeline()
        self._floor = Floor(has_turns=capabilities.has_turns, silence_s=silence_s)
        self._phase: Literal["idle", "speaking", "waiting"] = "idle"
        self._asked_at = 0.0
        self._typed = False
        self._sounding = ""  # the response whose beginning was measured last
        self._cut_item = ""  # the cut reply that was shown last
        self._next: Turn | None = None
        self._over = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._origin = self._loop.time() if began_at is None else began_at
        self.measures = Measures()
        self.outcome = Outcome()

    def stop(self, signal_number: int | None = None) -> None:
        """End the conversation: `run` returns soon."""
        self.outcome.stopped_by = signal_number
        self._over.set()

    async def run(self, turns: TurnSource) -> Outcome:
        """Hold the conversation; never raises what the session or the agent raised, see `Outcome.failure`."""
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(self._listen(), name="duologue-chat-listen")]
            if self._voice:
                others.append(tasks.create_task(self._capture(), name="duologue-chat-microphone"))
            try:
                await self._direct(turns)
                await self._fall_silent()
            finally:
                for task in others:
                    task.cancel()
        self._record(self._now(), final=True)
        return self.outcome

    # -- the microphone ---------------------------------------------------------------------------------

    async def _capture(self) -> None:
        media_type = f"audio/pcm;rate={self._microphone.rate}"
        number = int(self._now() * 1000 / BLOCK_MS)
        self._microphone.skip(number)  # it is switched on now, however long the session has been open
        while True:
            wait = (number + 1) * BLOCK_MS / 1000 - self._now()
            if wait < -LATE_S:
                missed = int(-wait * 1000 / BLOCK_MS)
                self._microphone.skip(missed)
            await asyncio.sleep(max(0.0, wait))
            block = self._microphone.next_block()
            number = block.number + 1
            self._timeline.place(Timeline.LEFT, block.number * BLOCK_MS * RATE // 1000, block.recorded)
            if not await self._deliver(AudioBlock(block.pcm, media_type)):
                return

    async def _deliver(self, content: AudioBlock | TextBlock) -> bool:
        try:
            async with asyncio.timeout(STALLED_S):
                await self._agent.send(content)
        except TimeoutError:
            self._fail(ConnectionLost(f"the session took no input for {STALLED_S:.0f} s"))
        except SessionClosed:
            pass  # the listener says why it ended
        except DuologueError as exc:
            self._fail(exc)
        else:
            return True
        return False

    # -- the agent's events -----------------------------------------------------------------------------

    async def _listen(self) -> None:
        events = aiter(self._agent.events())
        while True:
            try:
                event = await anext(events)
            except StopAsyncIteration:
                self._fail(ConnectionLost("the session ended before the conversation did"))
                return
            except Exception as exc:  # a task boundary: a provider's own errors come unchanged
                self._output.event(Error(exc), self._now())
                self._fail(exc)
                return
            await self._take(event)

    async def _take(self, event: Event) -> None:
        now = self._now()
        match event:
            case AudioOutputDelta():
                await self._play(event, now)
            case SpeechStarted():
                await self._cut(now)
            case Interrupted(response_id=response) if self._speaker.holds(response):
                await self._cut(now)
            case _:
                pass
        self._floor.feed(event, now)
        self.measures.feed(event, now)
        self._output.event(event, now, self._cut_reply() if isinstance(event, Interrupted) else None)

    async def _play(self, event: AudioOutputDelta, now: float) -> None:
        frame = self._frame(now)
        start = self._speaker.feed(event.data, event.response_id, frame)
        if start is None:
            self._output.event(
                Problem(DuologueError(f"a reply ran {AHEAD_S:.0f} s ahead of the speaker and was cut")), now
            )
            await self._cut(now)
            return
        sounds = max(now, start / RATE)
        self._floor.sounds(event.response_id, sounds)
        if event.response_id != self._sounding:
            self._sounding = event.response_id
            latency = self.measures.begins_to_sound(event.response_id, now, sounds, typed=self._typed)
            if latency is not None:
                self._output.latency(latency)

    async def _cut(self, now: float) -> None:
        frame = self._frame(now)
        playing, position = self._speaker.playing(frame), self._speaker.position(frame)
        self._place(self._speaker.stop(frame))
        if playing:
            await self._agent.interrupt(heard_ms=position.heard_ms, response_id=position.response_id)
        else:
            await self._agent.interrupt()

    def _cut_reply(self) -> Message | None:
        """What the history keeps of the reply cut last, None where none of its words was heard."""
        last = next((m for m in reversed(self._agent.history) if m.role == "assistant"), None)
        if last is None or last.heard or last.item_id == self._cut_item:
            return None
        self._cut_item = last.item_id
        return last

    # -- whose turn it is -------------------------------------------------------------------------------

    async def _direct(self, turns: TurnSource) -> None:
        while not self._over.is_set():
            now = self._now()
            self._record(now)
            await self._advance(turns, now)
            if self._phase == "idle" and turns.ended and self._next is None:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BLOCK_MS / 1000):
                    await self._over.wait()

    async def _advance(self, turns: TurnSource, now: float) -> None:
        if self._phase == "speaking" and not self._microphone.busy:
            self._wait_for_reply(now)
        if self._phase == "waiting":
            self._settle(turns, now)
        if self._phase == "idle" and self._ready(turns) and self._next is not None:
            turn, self._next = self._next, None
            await self._begin(turn, now)

    def _ready(self, turns: TurnSource) -> bool:
        self._next = self._next or turns.poll()
        return self._next is not None

    def _settle(self, turns: TurnSource, now: float) -> None:
        verdict = self._floor.verdict(now, self._speaker.end / RATE)
        audible = self._floor.audible_at
        cut_in = self._barge_in is not None and audible is not None and now >= audible + self._barge_in
        if verdict is Verdict.unanswered:
            message = f"turn {self.outcome.begun} was not answered in {now - self._asked_at:.0f} s"
            self._output.event(Problem(DuologueError(message, code="unanswered")), now)
            self._phase = "idle"
        elif verdict is Verdict.answered or (cut_in and self._ready(turns)):
            self.outcome.answered += 1
            self._phase = "idle"

    async def _begin(self, turn: Turn, now: float) -> None:
        self.outcome.begun += 1
        self._floor.begin(now)
        self._typed = turn.typed
        if turn.sound is not None:
            self._microphone.speak(turn.sound)
            self._phase = "speaking"
            return
        if self._speaker.playing(self._frame(now)):
            await self._cut(now)
        self._output.typed(turn.text)
        await self._deliver(TextBlock(turn.text))
        self._wait_for_reply(self._now())

    def _wait_for_reply(self, now: float) -> None:
        self._floor.end(now)
        self._asked_at = now
        self._phase = "waiting"

    async def _fall_silent(self) -> None:
        """Cut what plays or is being made, so that the history holds what was heard and no more."""
        now = self._now()
        if self.outcome.stopped_by is not None or self._speaker.playing(self._frame(now)):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSING_S):
                    await self._cut(now)

    # -- small things -----------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._loop.time() - self._origin

    def _frame(self, now: float) -> int:
        return int(now * RATE)

    def _fail(self, exc: Exception) -> None:
        if not self._over.is_set():
            self.outcome.failure = exc
            self._over.set()

    def _place(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            self._timeline.place(Timeline.RIGHT, piece.frame, piece.pcm)

    def _record(self, now: float, *, final: bool = False) -> None:
        self._place(self._speaker.collect(self._frame(now)))
        stereo = self._timeline.take(self._frame(now if final else now - 2 * LATE_S))
        if self._recording is None:
            return
        try:
            self._recording.write(stereo)
        except OSError as exc:
            self._recording = None
            self._fail(DuologueError(f"the recording can't be written any more ({exc.strerror or exc})"))
