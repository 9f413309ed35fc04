"""One conversation on the rig: an agent that recites, a user who cuts in, and a recording of the loudspeaker."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import wave
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from duologue import (
    AudioOutputDelta,
    Event,
    Interrupted,
    RealtimeAgent,
    SpeechStarted,
    TextBlock,
    TranscriptDelta,
)
from duologue_audio import DeviceGone, DuplexAudio, VoiceLoop
from duologue_local import LocalTransport

from .hearing import RATE, Cut, cut_of, user_onset
from .reciter import PHRASES, Reciter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from duologue.types import WordTime
    from duologue_audio import LoopEvent
    from numpy.typing import NDArray

SINKS = {"echo": "spk", "talker": "spk", "caller": "mic_in", "leak": "mic_in"}
"""Where the user speaks in each set-up of the rig."""
PATIENCE_S = 2.5
"""A user whom nobody hears for this long is not heard."""
NOT_UNDERSTOOD_S = 6.0
"""No reply for this long: the user's words were not understood."""
SETTLED_S = 1.5
"""After this the history is final and the user's words are understood."""
BEGIN = TextBlock("Please begin.")


@dataclass(slots=True)
class Injection:
    """One attempt to cut in; times are in seconds of the recording, as the loop's clock has them."""

    phrase: str
    at: float
    response_id: str
    detected_at: float | None = None
    heard_ms: int | None = None
    kept: int | None = None
    """Words of the reply in the history."""
    understood: str = ""
    cut: Cut | None = None
    user_match: float = 0.0
    """How well the phrase fits the recording where it was found."""
    words_heard: tuple[int, int] | None = None
    """Words that ended before the cut, at least and at most, by the recording."""

    @property
    def off_ms(self) -> float | None:
        """How far `heard_ms` is from the recording."""
        return None if self.cut is None or self.heard_ms is None else self.cut.off_ms(self.heard_ms)

    @property
    def words_off(self) -> int | None:
        """How many words the history has too many, negative: too few."""
        if self.words_heard is None or self.kept is None:
            return None
        low, high = self.words_heard
        return min(self.kept - low, 0) + max(self.kept - high, 0)


@dataclass(slots=True)
class Report:
    """What came of a conversation."""

    setup: str
    echo: str
    seconds: float
    """How long the agent spoke undisturbed."""
    self_interruptions: int
    self_interruptions_at: list[float] = field(default_factory=list)
    """In seconds from the beginning."""
    trouble: list[tuple[float, str]] = field(default_factory=list)
    """What happened to the device, and when."""
    injections: list[Injection] = field(default_factory=list)
    stats: dict[str, Any] = field(default_factory=dict)

    @property
    def detected(self) -> list[Injection]:
        """The attempts that cut."""
        return [one for one in self.injections if one.detected_at is not None]

    @property
    def silence_ms(self) -> list[float]:
        """From the user's onset to silence, by the recording."""
        return [one.cut.silence_ms for one in self.detected if one.cut is not None]

    def as_json(self) -> dict[str, Any]:
        """Everything, with what is derived."""
        found = asdict(self)
        for one, injection in zip(found["injections"], self.injections, strict=True):
            one |= {"off_ms": injection.off_ms, "words_off": injection.words_off}
        if self.silence_ms:
            found["silence_ms_median"] = statistics.median(self.silence_ms)
        return found


class Witness(RealtimeAgent):
    """An agent that keeps what it received and what it was told."""

    def __init__(self, transport: LocalTransport) -> None:
        super().__init__("You recite.", transport)
        self.received: defaultdict[str, bytearray] = defaultdict(bytearray)
        self.items: dict[str, str] = {}
        self.words: defaultdict[str, list[WordTime]] = defaultdict(list)
        self.cuts: dict[str, tuple[float, int | None]] = {}
        self.began: list[float] = []
        self.said: list[str] = []
        self.changed = asyncio.Event()

    async def events(self) -> AsyncIterator[Event]:
        now = asyncio.get_running_loop().time
        async for event in super().events():
            match event:
                case AudioOutputDelta(data=data, response_id=response):
                    self.received[response] += data
                    self.items[response] = event.item_id
                case TranscriptDelta(role="assistant"):
                    self.words[event.item_id] += event.words
                case TranscriptDelta(role="user", delta=text, final=True):
                    self.said.append(text)
                case SpeechStarted():
                    self.began.append(now())
                case Interrupted(response_id=response):
                    self.cuts.setdefault(response, (now(), None))
                case _:
                    pass
            self.changed.set()
            yield event

    async def interrupt(self, *, heard_ms: int | None = None, response_id: str = "") -> None:
        await super().interrupt(heard_ms=heard_ms, response_id=response_id)
        if response_id:
            self.cuts[response_id] = (asyncio.get_running_loop().time(), heard_ms)
            self.changed.set()

    def kept(self, response_id: str) -> int:
        """Words of a reply in the history."""
        item = self.items.get(response_id, "")
        return sum(len(m.text.split()) for m in self.history if m.role == "assistant" and m.item_id == item)


async def converse(
    setup: str,
    echo: str,
    *,
    seconds: float = 0.0,
    phrases: Sequence[NDArray[np.int16]] = (),
    moments: Sequence[float] = (1.5, 4.0, 2.2, 6.5, 3.1, 1.2, 5.2, 2.7, 8.0, 3.6),
    user_gain: float = 1.0,
    rate: int = 16_000,
    latency_ms: float | None = None,
) -> Report:
    """Let the agent speak for `seconds`, then let the user cut in, once with each phrase; measure both.

    The rig must run in this set-up, and the environment name it. A phrase comes when the reply of the moment has
    sounded for as many seconds as `moments` says.
    """
    agent = Witness(LocalTransport(llm=Reciter()))
    audio = DuplexAudio(rate, echo=None if echo == "off" else echo, latency_ms=latency_ms)
    voice = VoiceLoop(agent, audio, cancel_echo=echo != "off")
    async with agent, contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        speaker = await stack.enter_async_context(recorded("spk", folder / "speaker"))
        user = await stack.enter_async_context(recorded(SINKS[setup], folder / "user"))
        loop = asyncio.get_running_loop()
        trouble: list[tuple[float, str]] = []

        async def watch(notices: AsyncIterator[LoopEvent]) -> None:
            async for event in notices:
                if isinstance(event, DeviceGone):
                    trouble.append((loop.time(), event.reason))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch(voice.events()))
            talking = tasks.create_task(voice.run())
            try:
                stage = _Stage(agent, audio, voice, speaker, SINKS[setup], user_gain)
                await agent.send(BEGIN)
                await stage.reply()
                began, before = loop.time(), len(agent.began)
                while loop.time() < began + seconds:
                    await stage.reply()
                    await asyncio.sleep(0.1)
                own = [round(at - began, 2) for at in agent.began[before:]]
                report = Report(setup, echo, round(loop.time() - began, 1), len(own), own)
                for number, phrase in enumerate(phrases):
                    report.injections.append(await stage.cut_in(number, phrase, moments[number % len(moments)]))
            finally:
                talking.cancel()
        report.trouble = [(round(at - began, 2), reason) for at, reason in trouble]
        report.stats = {"cuts": voice.stats.cuts, "chunks_sent": voice.stats.chunks_sent, **asdict(audio.stats)}
        _judge(report, agent, speaker, user, phrases)
    return report


@dataclass(slots=True)
class Recording:
    sink: str
    path: Path
    began: float = 0.0

    def samples(self) -> NDArray[np.int16]:
        data = self.path.read_bytes()
        return np.frombuffer(data[: len(data) // 2 * 2], "<i2")


@contextlib.asynccontextmanager
async def recorded(sink: str, path: Path) -> AsyncIterator[Recording]:
    """Record what a sink plays."""
    options = ["--raw", "--format=s16le", f"--rate={RATE}", "--channels=1", "--latency-msec=20"]
    with path.open("wb") as file:
        parec = await asyncio.create_subprocess_exec("parec", f"--device={sink}.monitor", *options, stdout=file)
        try:
            async with asyncio.timeout(10):
                while not path.stat().st_size:
                    await asyncio.sleep(0.005)
            seconds = path.stat().st_size / 2 / RATE
            yield Recording(sink, path, asyncio.get_running_loop().time() - seconds)
        finally:
            parec.terminate()
            await parec.wait()


@dataclass(frozen=True, slots=True)
class _Stage:
    """Where agent and user meet."""

    agent: Witness
    audio: DuplexAudio
    voice: VoiceLoop
    speaker: Recording
    sink: str
    gain: float

    async def reply(self, other_than: str = "") -> str:
        """Wait until a reply sounds; ask for one where none comes. Return its name."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        while True:
            response = self.audio.playback.position().response_id
            if response not in ("", other_than) and self.voice.playing:
                return response
            if loop.time() - asked > NOT_UNDERSTOOD_S:
                await self.agent.send(BEGIN)
                asked = loop.time()
            await asyncio.sleep(0.02)

    async def cut_in(self, number: int, sound: NDArray[np.int16], wanted_s: float) -> Injection:
        """Let the user speak into a reply that has sounded for `wanted_s`."""
        loop = asyncio.get_running_loop()
        last = next(reversed(self.agent.cuts), "")
        while True:
            response = await self.reply(last)
            if self.audio.playback.position().heard_ms >= wanted_s * 1000:
                break
            await asyncio.sleep(0.02)
        said = len(self.agent.said)
        injection = Injection(PHRASES[number % len(PHRASES)], loop.time() - self.speaker.began, response)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(say((sound * self.gain).astype(np.int16), self.sink))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S + len(sound) / RATE):
                    while self.agent.cuts.get(response, (0.0, None))[1] is None:
                        self.agent.changed.clear()
                        await self.agent.changed.wait()
        at, injection.heard_ms = self.agent.cuts.get(response, (None, None))
        injection.detected_at = None if at is None else at - self.speaker.began
        await asyncio.sleep(SETTLED_S)
        injection.kept = self.agent.kept(response)
        injection.understood = " ".join(self.agent.said[said:])
        return injection


async def say(sound: NDArray[np.int16], sink: str) -> None:
    """Play a sound into a sink."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        with wave.open(file.name, "wb") as out:
            out.setparams((1, 2, RATE, len(sound), "NONE", ""))
            out.writeframes(sound.astype("<i2").tobytes())
        paplay = await asyncio.create_subprocess_exec("paplay", f"--device={sink}", file.name)
        await paplay.wait()


def _judge(
    report: Report, agent: Witness, speaker: Recording, user: Recording, phrases: Sequence[NDArray[np.int16]]
) -> None:
    """Compare what we were told with the recordings."""
    import soxr

    played, said = speaker.samples(), user.samples()
    late = user.began - speaker.began
    for injection, phrase in zip(report.injections, phrases, strict=True):
        if injection.detected_at is None:
            continue
        received = np.frombuffer(bytes(agent.received[injection.response_id]), "<i2")
        reply = soxr.resample(received.astype(np.float64), 24_000, RATE)
        apart = user.sink != speaker.sink
        if apart:
            around = injection.at - late
            onset, injection.user_match = user_onset(said, phrase, (around - 0.2, around + 1.5))
            onset += int(late * RATE)
        else:
            onset, injection.user_match = user_onset(played, phrase, (injection.at - 0.2, injection.at + 1.5))
        cut = injection.cut = cut_of(played, reply, phrase, onset, apart=apart)
        if cut is not None:
            words = agent.words[agent.items[injection.response_id]]
            low, high = (sum(word.end_ms <= ms for word in words) for ms in (cut.heard_from_ms, cut.heard_to_ms))
            injection.words_heard = low, high
