"""MemoryBackend: devices without hardware, on any clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
from duologue.errors import DeviceUnavailable

from duologue_audio.backend import Captured, Device, DeviceName, Samples, StreamSpec
from duologue_audio.callback import CallbackStream
from duologue_audio.pairs import mono
from duologue_audio.testing.room import Room

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class MemoryBackend:
    """One simulated sound card, with things that go wrong on demand.

    It runs on `clock`, the event loop's time by default: on a `duologue.testing.VirtualClock` hours pass at once.
    Blocks are served when somebody looks, as many as are due. What the speaker gave out is in `played`.

    Attributes:
        rate: the device's rate in Hz.
        block_ms: length of a device block.
        latency_ms: from handing a block over to its leaving the speaker.
        drift_ppm: how much faster than the clock the device runs.
        room: what the microphone hears; `room.say` speaks.
        streams: every stream opened so far, the newest last.
        specs: what was asked for each of them.
        default: name of the default device; assign another, and the streams that follow it are opened anew.
    """

    def __init__(
        self,
        *,
        rate: int = 48000,
        block_ms: float = 10,
        latency_ms: float = 20,
        drift_ppm: float = 0.0,
        echo_gain: float = 0.0,
        echo_ms: float = 30.0,
        response: NDArray[np.float64] | None = None,
        input_channels: int = 1,
        output_channels: int = 1,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.rate = rate
        self.block_ms = block_ms
        self.latency_ms = latency_ms
        self.drift_ppm = drift_ppm
        self.room = Room(rate, echo_gain=echo_gain, echo_ms=echo_ms, response=response)
        self.streams: list[MemoryStream] = []
        self.specs: list[StreamSpec] = []
        self.default = "simulated"
        self.plugged = True
        self._input_channels = input_channels
        self._output_channels = output_channels
        self._clock = clock
        self._played: list[Samples] = []
        self._air = np.zeros(0, np.int16)  # played, and not yet met by a microphone: at most a second

    @property
    def played(self) -> Samples:
        """Everything the speaker gave out, silence included, one column a channel."""
        if not self._played:
            return np.zeros((0, self._output_channels), np.int16)
        self._played = [np.concatenate(self._played)]
        return self._played[0]

    def forget(self) -> None:
        """Empty `played`: it grows as long as anything plays."""
        self._played.clear()

    def now(self) -> float:
        """The time on its clock."""
        return asyncio.get_running_loop().time() if self._clock is None else self._clock()

    def unplug(self) -> None:
        """Take the device away: streams fail, and opening fails until `plug`."""
        self.plugged = False
        for stream in self.streams:
            stream.fail()

    def plug(self) -> None:
        """Bring the device back."""
        self.plugged = True

    def freeze(self, seconds: float) -> None:
        """Let the device serve nothing for a while; then it goes on with an overflow and an underrun."""
        for stream in self.streams:
            stream.freeze(seconds)

    def devices(self) -> list[Device]:
        """The one device, where it is plugged in."""
        device = Device(0, self.default, "memory", self._input_channels, self._output_channels, self.rate, True, True)
        return [device] if self.plugged else []

    async def defaults(self) -> object:
        """The default device's name."""
        return self.default

    async def open(self, spec: StreamSpec) -> MemoryStream:
        """Open it.

        Raises:
            DeviceUnavailable: it is unplugged, or another name was asked for.
        """
        for wanted in [*([spec.input] if spec.capture else []), *([spec.output] if spec.play else [])]:
            self._check(wanted)
        self.specs.append(spec)
        stream = MemoryStream(
            self,
            self._input_channels if spec.capture else 0,
            self._output_channels if spec.play else 0,
        )
        self.streams.append(stream)
        return stream

    def _check(self, wanted: DeviceName) -> None:
        if not self.plugged or wanted not in (None, 0, self.default):
            raise DeviceUnavailable(f"there is no device {wanted!r}" if wanted is not None else "there is no device")

    def meet(self, out: Samples, input_channels: int) -> Samples:
        """Play a block into the room; return what the microphone hears meanwhile."""
        size = len(out)
        if out.shape[1]:
            self._played.append(out)
            self._air = np.concatenate((self._air, mono(out, size)))[-self.rate :]
        if not input_channels:
            return np.zeros((size, 0), np.int16)
        sound, self._air = self._air[:size], self._air[size:]
        heard = self.room.hear(np.pad(sound, (0, size - len(sound))))
        return np.repeat(heard[:, None], input_channels, axis=1)


class MemoryStream(CallbackStream):
    """A stream of a `MemoryBackend`."""

    def __init__(self, backend: MemoryBackend, input_channels: int, output_channels: int) -> None:
        super().__init__(backend.rate, round(backend.rate * backend.block_ms / 1000), input_channels, output_channels)
        self.alive = True
        self.strained = False
        self.device = backend.default
        self.latency = backend.latency_ms / 1000
        self._backend = backend
        self._period = self.block / (self.rate * (1 + backend.drift_ppm * 1e-6))
        self._opened = backend.now()
        self._due = 1  # number of the next block; it is complete at its number times the period
        self._troubled = False

    def now(self) -> float:
        """The backend's time."""
        return self._backend.now()

    def freeze(self, seconds: float) -> None:
        """Serve nothing for a while."""
        self._advance()
        self._opened += seconds
        self._troubled = True

    def fail(self) -> None:
        """Stop, as a device does that was pulled out."""
        self._advance()
        self.alive = False

    def read(self) -> Captured:
        """Serve what is due and return it."""
        self._advance()
        return super().read()

    def clear(self) -> None:
        """Drop what waits, after serving what is due: the past can't be changed."""
        self._advance()
        super().clear()

    def write(self, samples: Samples) -> int:
        """Queue frames, after serving what is due."""
        self._advance()
        return super().write(samples)

    async def close(self) -> None:
        """Stop."""
        self.alive = False

    def _advance(self) -> None:
        # A hair early: time that was added up from ticks misses the exact moment by rounding.
        while self.alive and self.now() >= self._opened + self._due * self._period - 1e-9:
            start = self._opened + self._due * self._period
            out = np.zeros((self.block, self.output_channels), np.int16)
            first, frames = self._play.take(out)
            heard = self._backend.meet(out, self.input_channels)
            self.overflows += self._troubled
            self.underruns += self._troubled
            self._pairs.push(heard, out, start + self.latency, first, frames)
            self._troubled = False
            self._due += 1
