"""Line: one open stream to the devices, kept going; what Microphone, Speaker and DuplexAudio are made of."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from duologue.errors import DuologueError, LocalProtocolError
from duologue.tasks import TaskSet

from duologue_audio.backend import StreamSpec, current_backend
from duologue_audio.inlet import Inlet
from duologue_audio.notices import DeviceGone, DeviceReopened, NoticeBoard, TapFailed
from duologue_audio.outbox import Outbox, Ready
from duologue_audio.pairs import Pairer
from duologue_audio.playback import Position, SegmentTable
from duologue_audio.ready import Done, Stopped
from duologue_audio.sound import sound_of
from duologue_audio.stats import AudioStats

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue_audio.backend import Backend, Captured, DeviceStream, Samples
    from duologue_audio.sound import Playable

TICK_S = 0.01  # a device block; half as often costs half as much as looking twice a block
SILENT_S = 0.5  # a device that serves nothing for so long is gone
START_S = 5.0  # at first it has longer: a PulseAudio sink that slept has been seen to stand still for 2 s
LOOK_S = 1.0  # between two looks at the default devices
RETRY_S = 0.25
EASINGS = 4  # as often is a stream given up because it spins,
EASINGS_S = 600.0  # in this time; where that does not help, it stays
UNEASY = 4  # so many underruns,
UNEASY_S = 10.0  # within this time: ask for more latency, where it is ours to choose
PATIENT_S = 0.06  # measured (decision 0020): none at this latency where 20 ms had dozens in 20 s
FILLED_S = 0.6  # with as much before the device nothing is added: large pieces cost less than many
STARVING_S = 0.05  # with less than this before the device,
LATE_S = 0.1  # and nothing fed for this long: bring out what the converter holds back
PAUSE_S = 1.0  # sound without a response that comes after so much silence is a new utterance
CLOSE_S = 5.0


@dataclass(slots=True)
class _Past:
    """The counters of streams that are closed."""

    blocks: int = 0
    overflows: int = 0
    underruns: int = 0
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class LineOptions:
    """What a line is told when it is made; the classes of the interface say what each means."""

    spec: StreamSpec
    sample_rate: int
    chunk: int
    feed_rate: int
    wide: int = 1
    queue_maxsize: int = 100
    tap: Callable[[bytes], None] | None = None
    adaptive: bool = False
    backend: Backend | None = None


class Line:
    """Opens the stream on first entry, closes it on last exit, and in between moves samples every 5 ms.

    A device that is lost or no longer the default is replaced; what it had not played is played by the next one.
    Everything here runs on the event loop; only the stream's own rings reach the audio thread.
    """

    def __init__(self, options: LineOptions) -> None:
        self.options = options
        self.board = NoticeBoard()
        self.inlet = Inlet(
            options.queue_maxsize,
            options.tap,
            lambda error: self.board.post(TapFailed(error)),
            direct=not options.spec.capture,
        )
        self.table = SegmentTable()
        self._spec = options.spec
        self._backend = options.backend if options.backend is not None else current_backend()
        self._stream: DeviceStream | None = None
        self._outbox = Outbox(options.feed_rate)
        self._pairer = Pairer(48000, options.sample_rate, options.chunk)
        self._entered = 0
        self._lock = asyncio.Lock()
        self._tasks = TaskSet()
        self._past = _Past()
        self._turn = 0
        self._quiet_since: float | None = None
        self._eased: deque[float] = deque(maxlen=EASINGS)
        self._fed = 0.0  # when something was last fed
        self._default_moved = False
        self._xruns = 0  # of the open stream, as far as its pairs know of them

    # --- opening and closing

    async def enter(self) -> None:
        """Open the stream unless it is open.

        Raises:
            DeviceUnavailable: it can't be opened.
        """
        async with self._lock:
            if self._entered == 0:
                stream = await self._backend.open(self._spec)
                self.inlet.begin()
                self._pairer.frame = self._pairer.lost = 0
                self._adopt(stream)
                self._tasks.start(self._keep_going(stream), "audio line")
                if self._follows_default:
                    self._tasks.start(self._watch_defaults(), "audio defaults")
            self._entered += 1

    async def leave(self) -> None:
        """Close the stream if nobody else is in it. It takes a few seconds at most, whatever the device does."""
        async with self._lock:
            self._entered -= 1
            if self._entered:
                return
            await self._tasks.stop(CLOSE_S)
            stream, self._stream = self._stream, None
            if stream is not None:
                self._collect(stream)
                self.table.cut(stream.now())
                self.table.restart()
                self._count(stream)
                await stream.close()
            self._outbox.clear()
            self.inlet.end()
            self.board.end()

    @property
    def stream(self) -> DeviceStream | None:
        """The open device, None while there is none."""
        return self._stream

    @property
    def stats(self) -> AudioStats:
        """The counters so far."""
        past, stream = self._past, self._stream
        blocks, overflows, underruns = (stream.served, stream.overflows, stream.underruns) if stream else (0, 0, 0)
        return AudioStats(
            past.blocks + blocks,
            past.overflows + overflows,
            past.underruns + underruns,
            self.inlet.dropped,
            past.restarts,
        )

    # --- the speaker

    def feed(self, item: Playable) -> Done:
        """Queue sound.

        Raises:
            LocalProtocolError: the line is not open.
            UnsupportedFormat: no PCM16.
            AudioError: 15 minutes wait already.
        """
        self._check_open()
        sound = sound_of(item, self.options.feed_rate, self.options.wide, self._turn)
        if not sound.utterance.response_id and self._paused():
            self._turn += 1
            sound = sound._replace(utterance=sound.utterance._replace(turn=self._turn))
        ms = self._outbox.put(sound)
        if ms:
            self._quiet_since = None
            self._fed = self._stream.now() if self._stream is not None else 0.0
            self.table.received(sound.utterance, ms)
        self._top_up()
        return Done()

    def stop(self) -> Stopped:
        """Drop everything that has not left the speaker.

        Raises:
            LocalProtocolError: the line is not open.
        """
        self._check_open()
        self._outbox.clear()
        self._turn += 1
        if self._stream is None:  # between two devices: nothing has sounded since the last look
            position = self.table.cut(float("-inf"))
        else:
            self._stream.clear()
            self._collect(self._stream)
            position = self.table.cut(self._stream.now())
        return Stopped(position.heard_ms, position.response_id, position.item_id)

    def pending_bytes(self) -> int:
        """PCM16 bytes at the feed rate that the device has not taken yet."""
        seconds = self._outbox.seconds
        if self._stream is not None:
            seconds += self._stream.waiting() / self._stream.rate
        return round(seconds * self.options.feed_rate) * 2 * self.options.wide

    def position(self) -> Position:
        """What is, or was last, at the speaker."""
        if self._stream is None:
            return self.table.position(float("-inf"))
        self._collect(self._stream)
        return self.table.position(self._stream.now())

    @property
    def _follows_default(self) -> bool:
        spec = self.options.spec
        return (spec.capture and spec.input is None) or (spec.play and spec.output is None)

    def _check_open(self) -> None:
        if not self._entered:
            raise LocalProtocolError("the audio is not open: use it inside `async with`")

    def _paused(self) -> bool:
        """Whether the speaker has had nothing to say for a while."""
        stream = self._stream
        return stream is not None and self._quiet_since is not None and stream.now() - self._quiet_since >= PAUSE_S

    def _top_up(self) -> None:
        stream = self._stream
        if stream is None or not stream.output_channels:
            return
        while (room := stream.room()) > 0:
            ready = self._outbox.take(room)
            if ready is None:
                return
            taken = stream.write(_columns(ready.samples, stream.output_channels))
            self.table.add(taken, stream.rate, ready.utterance)

    # --- the pump

    async def _keep_going(self, stream: DeviceStream) -> None:
        current = stream
        try:
            while True:
                reason = await self._serve(current)
                current = await self._replace(current, reason)
        except Exception as error:  # the end of a task: whoever reads the microphone must not wait for ever
            self.inlet.end(error)
            raise

    async def _serve(self, stream: DeviceStream) -> str:
        """Move samples until the device is gone; return why it is."""
        served, since = stream.served, stream.now()
        self._default_moved = False
        underruns: deque[float] = deque(maxlen=UNEASY)
        counted = stream.underruns
        while True:
            await asyncio.sleep(TICK_S)
            now = stream.now()
            self._collect(stream)
            waiting = stream.waiting()
            if now - self._fed >= LATE_S and waiting < STARVING_S * stream.rate:
                self._outbox.finish()
            if waiting < FILLED_S * stream.rate:
                self._top_up()
            if (count := stream.served) != served:
                served, since = count, now
            if not stream.alive:
                return "the device stopped"
            patience = SILENT_S if served * stream.block > SILENT_S * stream.rate else START_S
            if now - since > patience:
                return f"the device has served nothing for {patience} s"
            if stream.output_channels and not stream.waiting() and not self._outbox.seconds:
                self._quiet_since = now if self._quiet_since is None else self._quiet_since
            if stream.underruns > counted:
                counted = stream.underruns
                underruns.append(now)
                if self._is_uneasy(underruns):
                    self._spec = replace(self._spec, latency=PATIENT_S)
                    return f"it ran dry {UNEASY} times in {UNEASY_S:g} s: more latency is asked of it"
            if stream.strained and (len(self._eased) < EASINGS or now - self._eased[0] > EASINGS_S):
                self._eased.append(now)
                return "the audio system spins instead of waiting"
            if self._default_moved:
                return "another device is the default now"

    def _is_uneasy(self, underruns: deque[float]) -> bool:
        often = len(underruns) == UNEASY and underruns[-1] - underruns[0] <= UNEASY_S
        return often and self.options.adaptive and self._spec.latency < PATIENT_S

    async def _watch_defaults(self) -> None:
        defaults = await self._backend.defaults()
        while True:
            await asyncio.sleep(LOOK_S)
            found = await self._backend.defaults()
            if found != defaults and found is not None:
                self._default_moved = self._default_moved or defaults is not None
                defaults = found

    async def _replace(self, lost: DeviceStream, reason: str) -> DeviceStream:
        """Close a device that is gone, open another and carry over what was not played."""
        began = lost.now()
        self._stream = None
        self._collect(lost)
        self.board.post(DeviceGone(lost.device, reason))
        self._count(lost)
        await lost.close()
        self._collect(lost)
        rest = lost.unplayed()
        back = []
        for frames, utterance in self.table.requeue(len(rest)):
            back.append(Ready(rest[:frames], utterance))
            rest = rest[frames:]
        self._outbox.move(back, lost.rate)
        while True:
            with contextlib.suppress(DuologueError):  # not there yet: it is tried again until the line is closed
                stream = await self._backend.open(self._spec)
                break
            await asyncio.sleep(RETRY_S)
        gap = max(0.0, stream.now() - began)
        self._past.restarts += 1
        self._pairer.lose(round(gap * lost.rate))
        self.table.restart()
        self._adopt(stream)
        self._top_up()
        self.board.post(DeviceReopened(stream.device, gap))
        return stream

    def _adopt(self, stream: DeviceStream) -> None:
        self._stream = stream
        self._outbox.rate = stream.rate
        frame, lost = self._pairer.frame, self._pairer.lost
        wide = self.options.wide > 1
        self._pairer = Pairer(
            stream.rate,
            self.options.sample_rate,
            self.options.chunk,
            wide=wide,
            frame=frame,
            lost=lost,
            jolted=self._past.blocks > 0,  # another stream had pairs before: a canceller may know its delay
        )
        self._xruns = stream.underruns + stream.overflows

    def _collect(self, stream: DeviceStream) -> None:
        captured: Captured = stream.read()
        self.table.played(captured.blocks)
        xruns = stream.underruns + stream.overflows
        if xruns != self._xruns:
            self._xruns, self._pairer.jolted = xruns, True
        for pair in self._pairer.feed(captured):
            self.inlet.put(pair)

    def _count(self, stream: DeviceStream) -> None:
        self._past.blocks += stream.served
        self._past.overflows += stream.overflows
        self._past.underruns += stream.underruns


def _columns(samples: Samples, channels: int) -> Samples:
    """Samples with as many channels as the device has."""
    if samples.shape[1] == channels:
        return samples
    if samples.shape[1] > 1:
        mixed: Samples = np.rint(samples.mean(axis=1)).astype(np.int16)
        samples = mixed[:, None]
    return np.repeat(samples, channels, axis=1)
