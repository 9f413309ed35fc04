"""VoiceLoop: an agent between a microphone and a speaker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from duologue.blocks import AudioBlock
from duologue.errors import AudioError, ConfigurationError, LocalProtocolError, SessionClosed
from duologue.events import AudioOutputDelta, Event, Interrupted, Problem, SpeechStarted, TurnComplete
from duologue.tasks import TaskSet
from duologue.transport import Capabilities, HearsPlayback
from duologue.types import StopReason

from duologue_audio.duplex import DuplexAudio
from duologue_audio.ends import DuplexEnds, SplitEnds
from duologue_audio.latency import Latency, LatencyMeter
from duologue_audio.level import Level
from duologue_audio.local_barge_in import LocalBargeIn
from duologue_audio.notices import AudioNotice
from duologue_audio.observers import Observers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from duologue.agent import RealtimeAgent

    from duologue_audio.microphone import Microphone
    from duologue_audio.speaker import Speaker
    from duologue_audio.stats import AudioStats

log = logging.getLogger(__name__)

LOOK_S = 0.01
"""How often the playback position is looked at while something plays."""
TAIL_MS = 30
"""Less than this of a reply left to hear is no reason to call it cut: rates don't divide evenly."""
WHOLE = 1 << 30
"""Heard to the end, whatever its length."""
STOP_DEADLINE = 2.0

LoopEvent: TypeAlias = Event | AudioNotice


@dataclass(frozen=True, slots=True)
class LoopStats:
    """How a voice loop is doing.

    Attributes:
        microphone_db: level of what is sent, in dB below full scale.
        speaker_db: level of what is played; with a `Speaker` of its own, of what was last queued for it.
        chunks_sent: microphone chunks that went to the agent.
        chunks_silenced: chunks sent as silence or held back: muted, half duplex, or the key was not pressed.
        cuts: replies that were cut.
        events_dropped: events that observers were too slow to take.
        latencies: of the newest thousand replies.
        audio: the devices' counters.
    """

    microphone_db: float
    speaker_db: float
    chunks_sent: int
    chunks_silenced: int
    cuts: int
    events_dropped: int
    latencies: tuple[Latency, ...]
    audio: AudioStats


class VoiceLoop:
    """Pumps the microphone to the agent and the agent's speech to the speaker, and cuts where the user cuts in.

    Args:
        agent: connected, or it is connected by `run()` and closed after it.
        audio: a `DuplexAudio`, whose echo is cancelled by the best canceller installed here unless it names another,
            as long as there is one to hear; or a (`Microphone`, `Speaker`) pair, with a warning: their clocks drift.
        local_barge_in: cut a reply as soon as a voice is noticed on this side, on the cleaned microphone. For
            providers whose own detection is slow or absent.
        push_to_talk: the microphone is heard only between `talk(True)` and `talk(False)`.
        half_duplex: the microphone is silent while the agent speaks: for loudspeakers without cancellation.
        cancel_echo: False leaves a `DuplexAudio(echo=None)` uncancelled: for headphones.

    Raises:
        ConfigurationError: push_to_talk and half_duplex together.

    Example:
        ```python
        from duologue import RealtimeAgent
        from duologue_audio import DuplexAudio, VoiceLoop

        async def main(agent: RealtimeAgent) -> None:
            await VoiceLoop(agent, DuplexAudio()).run()
        ```
    """

    def __init__(
        self,
        agent: RealtimeAgent,
        audio: DuplexAudio | tuple[Microphone, Speaker],
        *,
        local_barge_in: bool = False,
        push_to_talk: bool = False,
        half_duplex: bool = False,
        cancel_echo: bool = True,
    ) -> None:
        if push_to_talk and half_duplex:
            raise ConfigurationError("push_to_talk and half_duplex exclude each other: with a key nothing is overheard")
        self.agent = agent
        self.audio = audio
        self.muted = False
        cancels = cancel_echo and not half_duplex and not push_to_talk
        self._ends = DuplexEnds(audio, cancel_echo=cancels) if isinstance(audio, DuplexAudio) else SplitEnds(*audio)
        self._local_barge_in = local_barge_in
        self._push_to_talk = push_to_talk
        self._half_duplex = half_duplex
        self._pressed = False
        self._manual = agent.turn_detection is not None and agent.turn_detection.mode == "manual"
        self._tasks = TaskSet()
        self._observers: Observers[LoopEvent] = Observers()
        self._meter = LatencyMeter()
        self._microphone, self._speaker = Level(), Level()
        self._sent = self._silenced = self._cuts = 0
        self._fed: dict[str, float] = {}
        self._complete: set[str] = set()
        self._noticed = ""
        self._running = False

    async def run(self) -> None:
        """Talk until the session ends or this is cancelled; then everything it opened is closed.

        Raises:
            LocalProtocolError: it runs already.
            DeviceUnavailable: the devices can't be opened.
            Exception: what the session ended with.
        """
        if self._running:
            raise LocalProtocolError("this VoiceLoop runs already")
        self._running = True
        try:
            async with contextlib.AsyncExitStack() as stack:
                try:
                    _ = self.agent.session
                except LocalProtocolError:
                    await stack.enter_async_context(self.agent)
                await self._ends.open(stack)
                stack.push_async_callback(self._stop)
                await self._until_over()
        finally:
            self._running = False
            self._observers.end()

    def events(self) -> AsyncIterator[LoopEvent]:
        """Observe what happens from this call on: the agent's events without the audio, and the devices' notices.

        Several may observe. Each may fall 1,000 events behind; then the oldest are dropped and counted.
        """
        return self._observers.listen()

    async def interrupt(self) -> None:
        """Cut the agent short, as if the user had spoken."""
        await self._cut()

    async def talk(self, pressed: bool) -> None:
        """Press or release the key of push-to-talk; pressing it cuts the agent short, releasing it ends the turn."""
        if pressed and not self._pressed:
            await self._cut()
        released = self._pressed and not pressed
        self._pressed = pressed
        if released and self._manual:
            await self.agent.commit()

    @property
    def playing(self) -> bool:
        """Whether the agent can be heard."""
        position = self._ends.position()
        return self._ends.pending_bytes() > 0 or self._left_ms(position.response_id, position.heard_ms) > TAIL_MS

    @property
    def stats(self) -> LoopStats:
        """Levels, counters and latencies."""
        return LoopStats(
            self._microphone.db,
            (self._ends.played or self._speaker).db,
            self._sent,
            self._silenced,
            self._cuts,
            self._observers.dropped,
            tuple(self._meter.done),
            self._ends.stats,
        )

    # -- tasks ----------------------------------------------------------------------------------------

    async def _until_over(self) -> None:
        """Run until the session ends; the first failure ends the rest."""
        ways: list[tuple[str, Coroutine[None, None, None]]] = [
            ("listen", self._listen()),
            ("play", self._play()),
            ("watch", self._watch()),
        ]
        ways += [("notices", self._pass_on(notices)) for notices in self._ends.notices()]
        tasks = [self._tasks.start(way, name) for name, way in ways]
        play = tasks[1]
        while not play.done():
            done, _ = await asyncio.wait([t for t in tasks if not t.done()], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        play.result()

    async def _stop(self) -> None:
        await self._tasks.stop(STOP_DEADLINE)

    async def _listen(self) -> None:
        barge_in = LocalBargeIn(self._ends.rate) if self._local_barge_in else None
        media_type = f"audio/pcm;rate={self._ends.rate}"
        try:
            async for pcm in self._ends.chunks():
                open_ = self._open()
                if barge_in is not None and barge_in.feed(pcm) and open_ and self.playing:
                    await self._cut()
                self._microphone.feed(pcm if open_ else bytes(len(pcm)), self._ends.rate)
                if open_:
                    self._sent += 1
                else:
                    self._silenced += 1
                    if self._manual:
                        continue
                    pcm = bytes(len(pcm))
                await self.agent.send(AudioBlock(pcm, media_type))
        except SessionClosed:
            return  # _play tells how it ended

    def _open(self) -> bool:
        if self.muted or (self._push_to_talk and not self._pressed):
            return False
        return not (self._half_duplex and self.playing)

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        async for event in self.agent.events():
            self._meter.see(event, loop.time())
            match event:
                case AudioOutputDelta():
                    self._feed(event)
                    continue
                case Interrupted():
                    await self._cut()
                case SpeechStarted() if self._session_cuts():
                    await self._cut()
                case TurnComplete(response_id=response_id) if event.stop_reason is not StopReason.interrupted:
                    self._complete.add(response_id)  # of what was cut nobody hears the end
                case _:
                    pass
            self._observers.post(event)
        await self._finish_playing()

    def _feed(self, event: AudioOutputDelta) -> None:
        rate = int(event.media_type.partition("rate=")[2] or 24000)
        try:
            self._ends.feed(event)
        except AudioError as exc:
            self._observers.post(Problem(exc))
            return
        self._fed[event.response_id] = self._fed.get(event.response_id, 0.0) + len(event.data) / 2 / rate * 1000
        while len(self._fed) > 64:
            del self._fed[next(iter(self._fed))]
        self._speaker.feed(event.data, rate)

    async def _finish_playing(self) -> None:
        """The session is over: let what was said be heard, unless it was cut."""
        while self.playing:  # noqa: ASYNC110 - the device tells nobody when it is done
            await asyncio.sleep(LOOK_S)

    async def _watch(self) -> None:
        """Look when a reply's first frame leaves the speaker, and when its last has."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_S)
            response_id, _, heard_ms = self._ends.position()
            if response_id and heard_ms > 0 and response_id != self._noticed and response_id in self._fed:
                self._noticed = response_id
                self._meter.sounded(response_id, loop.time() - heard_ms / 1000)
                await self._notice(started=True)
            elif response_id == self._noticed and response_id in self._complete and not self.playing:
                self._complete.discard(response_id)
                await self._notice(started=False)

    async def _pass_on(self, notices: AsyncIterator[AudioNotice]) -> None:
        async for notice in notices:
            self._observers.post(notice)

    # -- cutting --------------------------------------------------------------------------------------

    async def _cut(self) -> None:
        playing = self.playing
        stopped = self._ends.stop()
        self._complete.discard(stopped.response_id)
        self._fed.clear()
        if playing:
            self._cuts += 1
            await self.agent.interrupt(heard_ms=stopped.heard_ms, response_id=stopped.response_id)
        else:
            await self.agent.interrupt(heard_ms=WHOLE)

    def _left_ms(self, response_id: str, heard_ms: int) -> float:
        return self._fed.get(response_id, 0.0) - heard_ms

    def _session_cuts(self) -> bool:
        detection = self.agent.turn_detection
        capabilities = getattr(self.agent.session, "capabilities", None) or Capabilities()
        return capabilities.server_vad and (detection is None or (detection.interrupt and detection.mode != "manual"))

    async def _notice(self, *, started: bool) -> None:
        session = self.agent.session
        capabilities = getattr(session, "capabilities", None) or Capabilities()
        if not capabilities.playback_notices or not isinstance(session, HearsPlayback):
            return
        try:
            await (session.playback_started() if started else session.playback_stopped())
        except SessionClosed:
            return
