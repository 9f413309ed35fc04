"""PortAudio: the real devices. The only module that imports sounddevice."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from duologue.errors import DeviceUnavailable

from duologue_audio.backend import Device, DeviceName, StreamSpec
from duologue_audio.blocking import on_thread
from duologue_audio.callback import CallbackStream
from duologue_audio.defaults import current_defaults
from duologue_audio.mixer import MixerStream
from duologue_audio.strain import StrainGauge, threads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from duologue_audio.backend import DeviceStream


BLOCK_MS = 10
CLOSE_S = 1.0
ALSA_RATE = 48000
SANE_S = 2.0  # a device whose audio leaves the speaker later than this has a clock we don't believe
_ONE_AT_A_TIME = threading.Lock()  # PortAudio's calls are not safe on two threads; streams run without it
_open_streams = 0


def load() -> Any:
    """Return the module sounddevice.

    Raises:
        DeviceUnavailable: PortAudio's library is missing.
    """
    try:
        import sounddevice  # type: ignore[import-untyped]  # loads PortAudio's library, which need not be there
    except OSError as error:
        how = {
            "linux": "`apt-get install libportaudio2`, or your system's package of PortAudio",
            "darwin": "`brew install portaudio`",
        }.get(sys.platform, "`pip install --force-reinstall sounddevice`, whose wheel brings it")
        raise DeviceUnavailable(f"PortAudio, which reaches the sound card, is not installed: {how}") from error
    return sounddevice


def load_mixer() -> ModuleType | None:
    """Return the module rtmixer, None where it is not installed: it has no wheel for every platform."""
    try:
        import rtmixer  # type: ignore[import-untyped]  # not everywhere
    except ImportError:
        return None
    module: ModuleType = rtmixer
    return module


class PortAudioBackend:
    """The devices of this machine, each at its own rate in blocks of 10 ms.

    Attributes:
        engine: who serves a duplex device: "mixer" is rtmixer's C callback, "callback" Python's; "auto" takes the first
            that is installed. A device for one direction only is always served by Python.
    """

    def __init__(self, engine: Literal["auto", "mixer", "callback"] = "auto") -> None:
        self.engine = engine

    def devices(self) -> list[Device]:
        """List them.

        Raises:
            DeviceUnavailable: PortAudio is missing.
        """
        with _ONE_AT_A_TIME:
            return _list(_up_to_date())

    async def defaults(self) -> object:
        """What the default devices are, as far as the system tells without being disturbed."""
        return await on_thread(current_defaults)

    async def open(self, spec: StreamSpec) -> DeviceStream:
        """Open a stream on a thread of its own: a device may take seconds.

        Raises:
            DeviceUnavailable: PortAudio or the device is missing, or the device can't be opened.
        """
        return await on_thread(lambda: _open(spec, self.engine), undo=lambda stream: stream.shut())


def _up_to_date() -> Any:
    """Return sounddevice, knowing today's devices: PortAudio looks for them only as it starts.

    Starting it anew ends every open stream, so it happens only while there is none.

    Raises:
        DeviceUnavailable: PortAudio is missing.
    """
    known = "sounddevice" in sys.modules
    sd = load()
    if known and not _open_streams:
        sd._terminate()
        sd._initialize()
    return sd


def _list(sd: Any) -> list[Device]:
    default_in, default_out = sd.default.device
    hosts = sd.query_hostapis()
    if default_in < 0 and default_out < 0 and hosts:
        default_in, default_out = hosts[0]["default_input_device"], hosts[0]["default_output_device"]
    return [
        Device(
            index=found["index"],
            name=found["name"],
            host=hosts[found["hostapi"]]["name"],
            inputs=found["max_input_channels"],
            outputs=found["max_output_channels"],
            rate=round(found["default_samplerate"]) or 48000,
            default_input=found["index"] == default_in,
            default_output=found["index"] == default_out,
        )
        for found in sd.query_devices()
    ]


def _find(devices: list[Device], wanted: DeviceName, kind: str) -> Device:
    """The device of an index, of a name or part of one, or the default of its kind.

    Raises:
        DeviceUnavailable: there is none.
    """
    able = [d for d in devices if (d.inputs if kind == "input" else d.outputs)]
    if not able:
        raise DeviceUnavailable(
            f"there is no {kind} device: plug one in, or start the sound server (PulseAudio or PipeWire); "
            "`duologue devices` lists what there is"
        )
    if wanted is None:
        named = [d for d in able if (d.default_input if kind == "input" else d.default_output)]
        return (named or able)[0]
    if isinstance(wanted, int):
        found = [d for d in able if d.index == wanted]
    else:
        found = [d for d in able if d.name == wanted] or [d for d in able if wanted.lower() in d.name.lower()]
    if not found:
        names = ", ".join(f"{d.index} {d.name!r}" for d in able)
        raise DeviceUnavailable(f"there is no {kind} device {wanted!r}; there are: {names}")
    return found[0]


def _open(spec: StreamSpec, engine: str) -> PortAudioStream | PortAudioMixer:
    global _open_streams
    with _ONE_AT_A_TIME:
        sd = _up_to_date()
        devices = _list(sd)
        source = _find(devices, spec.input, "input") if spec.capture else None
        sink = _find(devices, spec.output, "output") if spec.play else None
        mixer = load_mixer() if source is not None and sink is not None and engine != "callback" else None
        if engine == "mixer" and mixer is None:
            raise DeviceUnavailable("the engine 'mixer' needs both directions and the package: `pip install rtmixer`")
        rate = _native_rate(sd, spec, source, sink)
        stream: PortAudioStream | PortAudioMixer
        if mixer is not None and source is not None and sink is not None:
            stream = PortAudioMixer(sd, mixer, spec, rate, source, sink)
        else:
            stream = PortAudioStream(sd, spec, rate, source, sink)
        _open_streams += 1
        return stream


def _native_rate(sd: Any, spec: StreamSpec, source: Device | None, sink: Device | None) -> int:
    """The rate both directions run at natively.

    ALSA's plugins to PulseAudio and PipeWire say 44100 whatever the server does, which is 48000 nearly everywhere; at
    another rate than the server's their streams break off.
    """
    main = sink or source
    assert main is not None
    candidates = [main.rate] if source is None or sink is None else [main.rate, source.rate]
    if main.host == "ALSA":
        candidates.insert(0, ALSA_RATE)
    for rate in candidates:
        with contextlib.suppress(sd.PortAudioError):
            if source is not None:
                channels = min(spec.channels, source.inputs)
                sd.check_input_settings(device=source.index, channels=channels, dtype="int16", samplerate=rate)
            if sink is not None:
                channels = min(spec.channels, sink.outputs)
                sd.check_output_settings(device=sink.index, channels=channels, dtype="int16", samplerate=rate)
            return rate
    return main.rate


class _Opened:
    """What both kinds of stream do with PortAudio's."""

    device = ""

    def __init__(self) -> None:
        self._closed = self._finished = False
        self._stream: Any = None
        self._gauge = StrainGauge(set())

    @property
    def alive(self) -> bool:
        """Whether PortAudio still serves it."""
        return not self._finished and not self._closed

    @property
    def strained(self) -> bool:
        """Whether PortAudio's thread spins."""
        return self._gauge.strained

    def _start(self) -> None:
        before = threads()
        self._stream.start()
        self._gauge = StrainGauge(threads() - before)

    async def close(self) -> None:
        """Abort the stream; a device that does not let go within a second is left to its thread."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(TimeoutError):
            await on_thread(self.shut, deadline=CLOSE_S)

    def shut(self) -> None:
        """Abort and close, however long it takes."""
        global _open_streams
        self._closed = True
        with _ONE_AT_A_TIME:
            self._stream.close(ignore_errors=True)
            _open_streams -= 1

    def _ended(self) -> None:
        self._finished = True

    def _common(self, spec: StreamSpec, rate: int, block: int, *devices: Device | None) -> dict[str, Any]:
        """Name the stream; return the arguments all of PortAudio's share."""
        self.device = " / ".join(dict.fromkeys(device.name for device in devices if device is not None))
        return {
            "samplerate": rate,
            "blocksize": block,
            "latency": spec.latency,
            "finished_callback": self._ended,
            "dither_off": True,
        }

    @contextlib.contextmanager
    def _explained(self, sd: Any, rate: int) -> Iterator[None]:
        try:
            yield
        except sd.PortAudioError as error:
            if self._stream is not None:
                self._stream.close(ignore_errors=True)
            raise DeviceUnavailable(f"the device {self.device!r} can't be opened at {rate} Hz: {error}") from error


class PortAudioStream(_Opened, CallbackStream):
    """A stream for which PortAudio calls Python, on a thread of its own."""

    def __init__(self, sd: Any, spec: StreamSpec, rate: int, source: Device | None, sink: Device | None) -> None:
        inputs = 0 if source is None else min(spec.channels, source.inputs)
        outputs = 0 if sink is None else min(spec.channels, sink.outputs)
        _Opened.__init__(self)
        CallbackStream.__init__(self, rate, rate * BLOCK_MS // 1000, inputs, outputs)
        common = self._common(spec, rate, self.block, source, sink) | {"dtype": "int16"}
        with self._explained(sd, rate):
            if source is None and sink is not None:
                self._stream = sd.RawOutputStream(
                    device=sink.index, channels=outputs, callback=self._play_only, **common
                )
            elif sink is None and source is not None:
                self._stream = sd.RawInputStream(
                    device=source.index, channels=inputs, callback=self._record_only, **common
                )
            elif source is not None and sink is not None:
                self._stream = sd.RawStream(
                    device=(source.index, sink.index), channels=(inputs, outputs), callback=self._both, **common
                )
            latency = self._stream.latency
            self.latency = float(latency[1] if isinstance(latency, tuple) else latency)
            self._start()

    def now(self) -> float:
        """Monotonic time."""
        return time.monotonic()

    def _both(self, heard: Any, out: Any, frames: int, times: Any, status: Any) -> None:
        near = np.frombuffer(heard, np.int16).reshape(frames, self.input_channels)
        far = np.frombuffer(out, np.int16).reshape(frames, self.output_channels)
        self.serve(near, far, self._leaves(times), status.input_overflow, status.output_underflow)

    def _play_only(self, out: Any, frames: int, times: Any, status: Any) -> None:
        far = np.frombuffer(out, np.int16).reshape(frames, self.output_channels)
        self.serve(None, far, self._leaves(times), False, status.output_underflow)

    def _record_only(self, heard: Any, frames: int, times: Any, status: Any) -> None:
        near = np.frombuffer(heard, np.int16).reshape(frames, self.input_channels)
        self.serve(near, None, time.monotonic(), status.input_overflow, False)

    def _leaves(self, times: Any) -> float:
        """When this block's first frame leaves the speaker: by the device's own clock where that makes sense."""
        ahead = times.outputBufferDacTime - times.currentTime
        return time.monotonic() + (ahead if 0 < ahead < SANE_S else self.latency)


class PortAudioMixer(_Opened, MixerStream):
    """A duplex stream for which PortAudio calls C."""

    def __init__(self, sd: Any, rtmixer: Any, spec: StreamSpec, rate: int, source: Device, sink: Device) -> None:
        channels = min(spec.channels, source.inputs), min(spec.channels, sink.outputs)
        block = rate * BLOCK_MS // 1000
        _Opened.__init__(self)
        with self._explained(sd, rate):
            self._stream = rtmixer.MixerAndRecorder(
                device=(source.index, sink.index), channels=channels, **self._common(spec, rate, block, source, sink)
            )
            MixerStream.__init__(self, rtmixer, self._stream, rate, block, channels)
            self.begin()
            self._start()
