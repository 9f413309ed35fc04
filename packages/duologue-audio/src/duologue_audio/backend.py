"""Backend: the small interface between our audio and whatever moves the samples."""
# ruff: noqa: TC003 - the annotations of public types can be evaluated at run time

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

DeviceName: TypeAlias = int | str | None
Samples: TypeAlias = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Device:
    """One device as the audio system names it.

    Attributes:
        index: its number, which may change when devices come and go; its name does not.
        name: its name.
        host: the audio system it belongs to, such as "ALSA" or "Core Audio".
        inputs: microphone channels it has, 0 for none.
        outputs: loudspeaker channels it has, 0 for none.
        rate: the rate it runs at natively, in Hz.
        default_input: it is the microphone used where none is named.
        default_output: it is the speaker used where none is named.
    """

    index: int
    name: str
    host: str = ""
    inputs: int = 0
    outputs: int = 0
    rate: int = 48000
    default_input: bool = False
    default_output: bool = False


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What is asked of a backend.

    Attributes:
        input: the microphone, None for the default.
        output: the speaker, None for the default.
        capture: whether a microphone is wanted.
        play: whether a speaker is wanted.
        channels: channels wanted in each direction; the stream says which it got.
        latency: seconds asked of the device in each direction.
    """

    input: DeviceName = None
    output: DeviceName = None
    capture: bool = True
    play: bool = True
    channels: int = 1
    latency: float = 0.02


class PlayedBlock(NamedTuple):
    """What one device block took from the queue.

    `frames` queued frames beginning with number `first` leave the speaker from the time `at` on; what the block had
    beyond them was silence.
    """

    at: float
    first: int
    frames: int


class Captured(NamedTuple):
    """Everything captured and played since the last call, pair by pair.

    near[i] was captured while far[i] was handed to the speaker. `lost` frames of both are missing just before.
    """

    near: Samples
    far: Samples
    blocks: Sequence[PlayedBlock]
    lost: int


class DeviceStream(Protocol):
    """An open device. All methods are called from one thread, the event loop's, and none waits but `close`."""

    @property
    def rate(self) -> int:
        """The device's rate in Hz."""
        ...

    @property
    def block(self) -> int:
        """Frames of a device block."""
        ...

    @property
    def input_channels(self) -> int:
        """Columns of `Captured.near`, 0 without a microphone."""
        ...

    @property
    def output_channels(self) -> int:
        """Columns of `Captured.far` and of what `write` takes, 0 without a speaker."""
        ...

    @property
    def device(self) -> str:
        """Its name, for people."""
        ...

    @property
    def latency(self) -> float:
        """Seconds from handing a frame over to its leaving the speaker, as the device states it."""
        ...

    @property
    def alive(self) -> bool:
        """False once the device has stopped serving us."""
        ...

    @property
    def strained(self) -> bool:
        """Whether the audio system burns processor time that a stream opened anew would probably not."""
        ...

    @property
    def served(self) -> int:
        """Device blocks so far."""
        ...

    @property
    def overflows(self) -> int:
        """Blocks at which the device or a ring had lost microphone audio."""
        ...

    @property
    def underruns(self) -> int:
        """Blocks at which the device had run out of audio."""
        ...

    def now(self) -> float:
        """The time on the clock of `PlayedBlock.at`."""
        ...

    def room(self) -> int:
        """How many frames `write` would take."""
        ...

    def write(self, samples: Samples) -> int:
        """Queue frames behind those already queued; return how many were taken. They are numbered from 0 on."""
        ...

    def waiting(self) -> int:
        """How many queued frames the device has not taken yet."""
        ...

    def clear(self) -> None:
        """Drop every queued frame the device has not taken, from its next block on. Numbers go on counting."""
        ...

    def read(self) -> Captured:
        """Return what came since the last call; empty arrays where nothing did."""
        ...

    def unplayed(self) -> Samples:
        """What was queued and never taken, for the stream that follows this one; only after `close`."""
        ...

    async def close(self) -> None:
        """Stop the device and let go of it; it has a second, then it is abandoned. Idempotent."""
        ...


class Backend(Protocol):
    """Something that has devices."""

    def devices(self) -> list[Device]:
        """Everything it has.

        Raises:
            DeviceUnavailable: there is no audio system; the message says what to install.
        """
        ...

    async def defaults(self) -> object:
        """Something that changes when the default devices change; None where that can't be seen."""
        ...

    async def open(self, spec: StreamSpec) -> DeviceStream:
        """Open devices at their own rate, also ones that were plugged in a moment ago.

        Raises:
            DeviceUnavailable: there is no such device, or it can't be opened.
        """
        ...


_chosen: ContextVar[Backend | None] = ContextVar("duologue_audio_backend", default=None)


@contextmanager
def using_backend(backend: Backend) -> Iterator[None]:
    """Let everything that is made inside use another backend than PortAudio: a test's, or your own."""
    token = _chosen.set(backend)
    try:
        yield
    finally:
        _chosen.reset(token)


def current_backend() -> Backend:
    """The backend of `using_backend`, else PortAudio's."""
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    from duologue_audio.portaudio import PortAudioBackend  # only this backend needs sounddevice

    return PortAudioBackend()
