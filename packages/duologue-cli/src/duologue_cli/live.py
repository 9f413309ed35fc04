"""The live chat: a voice loop on real devices, shown and recorded like any other conversation."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from duologue.agent import RealtimeAgent
from duologue.blocks import AudioBlock, TextBlock
from duologue.errors import ConfigurationError, DuologueError, SessionClosed
from duologue.events import Error, Interrupted
from duologue.transport import Capabilities
from duologue_audio import DeviceGone, DeviceReopened, DuplexAudio, VoiceLoop, make_echo_canceller

from duologue_cli.chat import CLOSING_S, RATE, Outcome
from duologue_cli.controls import Status
from duologue_cli.live_recording import LiveRecording, OverheardAudio
from duologue_cli.summary import PARTS, Latency, Measures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    import duologue_audio
    from duologue.blocks import ContentBlock
    from duologue.events import Event
    from duologue.types import Message

    from duologue_cli.advice import Advice
    from duologue_cli.outputs import Output
    from duologue_cli.recording import WavWriter

OFF = "off"
GREETING = "Speak; Ctrl-C ends the conversation."
PROBE_RATE = 16_000
WATCH_S = 0.2
SHOWING_S = 0.5  # until the last cut has come out of the agent, to be shown
WAITING = 16  # commands of keys; whoever presses faster than the session takes them loses the newest, counted


class OverheardAgent(RealtimeAgent):
    """An agent whose traffic somebody watches: `on_event` once an event was acted on, `on_audio` before it is sent."""

    on_event: Callable[[Event], None] | None = None
    on_audio: Callable[[AudioBlock], None] | None = None

    async def send(self, content: ContentBlock | list[ContentBlock], *, respond: bool | None = None) -> None:
        """Send, as the agent does."""
        if self.on_audio is not None and isinstance(content, AudioBlock):
            self.on_audio(content)
        await super().send(content, respond=respond)

    async def events(self) -> AsyncIterator[Event]:
        """Yield the agent's events."""
        async for event in super().events():
            yield event
            if self.on_event is not None:
                self.on_event(event)


def device_of(names: Sequence[str]) -> int | str | tuple[int | str, int | str] | None:
    """Return what `DuplexAudio` calls these devices.

    Raises:
        ConfigurationError: there are more than two.
    """
    chosen: list[int | str] = [int(name) if name.isdecimal() else name for name in names]
    if len(chosen) > 2:
        raise ConfigurationError("--device names one device for both directions, or first microphone and then speaker")
    if len(chosen) == 2:
        return chosen[0], chosen[1]
    return chosen[0] if chosen else None


def check_canceller(name: str | None) -> None:
    """Check that a canceller can be had.

    Raises:
        ConfigurationError: it can't; the message says what there is, or what to install.
    """
    if name not in (None, OFF):
        make_echo_canceller(name, PROBE_RATE)


async def try_devices(names: Sequence[str]) -> None:
    """Open the devices and close them again: what is wrong with them shows before anything else takes its time.

    Raises:
        DeviceUnavailable: PortAudio is missing, there is no such device, or it can't be opened.
    """
    async with DuplexAudio(device=device_of(names)):
        pass


class LiveChat:
    """One conversation between a connected agent and whoever is at the microphone.

    Args:
        agent: connected, delivering PCM16 at 24 kHz; closing it is the caller's affair.
        output: where everything is shown.
        recording: takes what was said and played, the user left and the agent right.
        devices: as `--device` names them.
        canceller: as `--aec` names it.
        advice: what is said when the devices' counters rise.
        greeting: the first line, None for none.
    """

    def __init__(
        self,
        agent: OverheardAgent,
        output: Output,
        *,
        recording: WavWriter | None = None,
        devices: Sequence[str] = (),
        canceller: str | None = None,
        advice: Advice | None = None,
        greeting: str | None = GREETING,
    ) -> None:
        capabilities = getattr(agent.session, "capabilities", None) or Capabilities()
        rate = capabilities.input_rates[0]
        self._agent = agent
        self._output = output
        self._advice = advice
        self._greeting = greeting
        self._loop = asyncio.get_running_loop()
        self._origin = self._loop.time()
        self._audio = OverheardAudio(rate, device=device_of(devices), echo=None if canceller == OFF else canceller)
        self._tape: LiveRecording | None = None
        if recording is not None:
            self._tape = LiveRecording(recording, rate, RATE, self._fail, self._now)
            self._audio.on_pair = self._tape.paired
        self._voice = VoiceLoop(agent, self._audio, cancel_echo=canceller != OFF)
        self._commands: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue(WAITING)
        self._commands_dropped = 0
        self._muted = self._push_to_talk = self._talking = False
        self._quit = False
        self._measured = ""  # the response whose latency was shown last
        self._cut_item = ""  # the cut reply that was shown last
        self._over = asyncio.Event()
        self._cut_shown = asyncio.Event()
        self.measures = Measures()
        self.outcome = Outcome()

    def stop(self, signal_number: int | None = None) -> None:
        """End the conversation: `run` returns soon."""
        if not self._over.is_set():
            self.outcome.stopped_by = signal_number
            self._quit = True
            self._over.set()

    async def run(self) -> Outcome:
        """Hold the conversation; what the session or the agent raises is in `Outcome.failure`.

        Raises:
            DeviceUnavailable: the devices can't be opened.
        """
        self._agent.on_event = self._take
        self._agent.on_audio = self._sent
        async with self._audio:
            if self._greeting is not None:
                self._output.notice(self._greeting)
            async with asyncio.TaskGroup() as tasks:
                notices = tasks.create_task(self._tell(self._audio.events()), name="duologue-chat-notices")
                talking = tasks.create_task(self._talk(), name="duologue-chat-voice-loop")
                obeying = tasks.create_task(self._obey(), name="duologue-chat-keys")
                watching = tasks.create_task(self._watch(), name="duologue-chat-watch")
                try:
                    await self._over.wait()
                    await self._fall_silent()
                finally:
                    for task in (talking, notices, obeying, watching):
                        task.cancel()
        if self._tape is not None:
            self._tape.finish()
        self._show_latencies()
        return self.outcome

    # -- what keys do: see Controls -------------------------------------------------------------------------

    def status(self) -> Status:
        """How it stands."""
        stats = self._voice.stats
        counters = {
            "microphone chunks dropped": stats.audio.mic_dropped,
            "microphone overflows": stats.audio.input_overflows,
            "speaker underruns": stats.audio.output_underruns,
            "device restarts": stats.audio.restarts,
            "keys dropped": self._commands_dropped,
        }
        return Status(
            now=self._now(),
            playing=self._voice.playing,
            microphone_db=stats.microphone_db,
            speaker_db=stats.speaker_db,
            muted=self._muted,
            push_to_talk=self._push_to_talk,
            talking=self._talking,
            counters={name: number for name, number in counters.items() if number},
        )

    def mute(self, muted: bool) -> None:
        """Send silence instead of the microphone, or the microphone again."""
        self._muted = muted
        self._open_microphone()

    def push_to_talk(self, wanted: bool) -> None:
        """Hear the microphone only between `talk(True)` and `talk(False)`, or all the time again."""
        self._push_to_talk, self._talking = wanted, False
        self._open_microphone()

    def talk(self, pressed: bool) -> None:
        """Begin to speak, which cuts the agent short, or end it; turns push-to-talk on."""
        self._push_to_talk, self._talking = True, pressed
        self._open_microphone()
        if pressed:
            self.interrupt()

    def interrupt(self) -> None:
        """Cut the agent short."""
        self._command(self._voice.interrupt)

    def type(self, text: str) -> None:
        """Say something in writing, which cuts the agent short."""

        async def typed() -> None:
            if self._voice.playing:
                await self._voice.interrupt()
            self._output.typed(text, self._now())
            await self._agent.send(TextBlock(text))

        self._command(typed)

    def _open_microphone(self) -> None:
        self._voice.muted = self._muted or (self._push_to_talk and not self._talking)

    async def _watch(self) -> None:
        """Show what no event tells: a reply begins to sound, a counter rises."""
        while True:
            await asyncio.sleep(WATCH_S)
            self._show_latencies()
            for advice in self._advice.during(self._voice.stats.audio) if self._advice is not None else ():
                self._output.notice(advice)

    def _command(self, command: Callable[[], Awaitable[None]]) -> None:
        try:
            self._commands.put_nowait(command)
        except asyncio.QueueFull:
            self._commands_dropped += 1

    async def _obey(self) -> None:
        while True:
            command = await self._commands.get()
            try:
                await command()
            except SessionClosed:
                return  # the voice loop says why it ended
            except Exception as exc:  # a task boundary: what a session does not take is no reason to end it
                self._output.notice(str(exc) or type(exc).__name__)

    # -- the conversation -----------------------------------------------------------------------------------

    async def _talk(self) -> None:
        try:
            await self._voice.run()
        except Exception as exc:  # a task boundary: a provider's own errors come unchanged
            self._output.event(Error(exc), self._now())
            self._fail(exc)
        else:
            self._output.notice("The session has ended.")
            self._over.set()

    async def _tell(self, notices: AsyncIterator[duologue_audio.AudioNotice]) -> None:
        async for notice in notices:
            self._output.event(notice, self._now())
            match notice:
                case DeviceGone(device=name, reason=reason):
                    self._output.notice(f"{name} is gone ({reason}); it is being opened anew.")
                case DeviceReopened(device=name, gap=gap):
                    self._output.notice(f"Audio goes on with {name}, after {gap:.1f} s.")
                case _:
                    pass

    def _take(self, event: Event) -> None:
        now = self._now()
        self.measures.feed(event, now)
        self._show_latencies()
        self._output.event(event, now, self._cut_reply() if isinstance(event, Interrupted) else None)
        if isinstance(event, Interrupted):
            self._cut_shown.set()

    def _sent(self, block: AudioBlock) -> None:
        if self._tape is not None:
            self._tape.captured(block.data)

    def _cut_reply(self) -> Message | None:
        """What the history keeps of the reply cut last, None where none of its words was heard."""
        last = next((m for m in reversed(self._agent.history) if m.role == "assistant"), None)
        if last is None or last.heard or last.item_id == self._cut_item:
            return None
        self._cut_item = last.item_id
        return last

    def _show_latencies(self) -> None:
        found = self._voice.stats.latencies
        if found and found[-1].response_id != self._measured:
            self._measured = found[-1].response_id
            latency = _shown(found[-1])
            self.measures.latencies.append(latency)
            self._output.latency(latency)

    async def _fall_silent(self) -> None:
        """Cut what plays, so that the history holds what was heard and no more, and show that it was cut."""
        if self._quit and self._voice.playing:
            self._cut_shown.clear()
            with contextlib.suppress(TimeoutError, DuologueError):
                async with asyncio.timeout(CLOSING_S):
                    await self._voice.interrupt()
                async with asyncio.timeout(SHOWING_S):
                    await self._cut_shown.wait()

    def _now(self) -> float:
        return self._loop.time() - self._origin

    def _fail(self, exc: Exception) -> None:
        if not self._over.is_set():
            self.outcome.failure = exc
            self._over.set()


def _shown(latency: duologue_audio.Latency) -> Latency:
    known = {name: round(part, 1) for name, part in latency.parts.items()}
    parts: dict[str, float | None] = {name: known.get(name) for name in PARTS}
    return Latency(round(sum(known.values()), 1), {**parts, "output": known["output"]})
