"""PortAudio: the real devices. The only module that imports sounddevice."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from duologue.errors import DeviceUnavailable

from duologue_audio.backend import Device, DeviceName, StreamSpec
from duologue_audio.callback import CallbackStream
from duologue_audio.defaults import current_defaults

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue_audio.backend import DeviceStream

T = TypeVar("T")

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


class PortAudioBackend:
    """The devices of this machine, each at its own rate in blocks of 10 ms."""

    def devices(self) -> list[Device]:
        """List them.

        Raises:
            DeviceUnavailable: PortAudio is missing.
        """
        sd = load()
        with _ONE_AT_A_TIME:
            if not _open_streams:
                _rescan(sd)
            return _list(sd)

    async def defaults(self) -> object:
        """What the default devices are, as far as the system tells without being disturbed."""
        return await _on_thread(current_defaults)

    async def open(self, spec: StreamSpec, *, rescan: bool = False) -> DeviceStream:
        """Open a stream on a thread of its own: a device may take seconds.

        Raises:
            DeviceUnavailable: PortAudio or the device is missing, or the device can't be opened.
        """
        return await _on_thread(lambda: _open(spec, rescan), undo=lambda stream: stream.shut())


def _rescan(sd: Any) -> None:
    """Look for devices anew; ends every open stream, so only where there is none."""
    sd._terminate()
    sd._initialize()


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


def _open(spec: StreamSpec, rescan: bool) -> PortAudioStream:
    global _open_streams
    sd = load()
    with _ONE_AT_A_TIME:
        if rescan and not _open_streams:
            _rescan(sd)
        devices = _list(sd)
        source = _find(devices, spec.input, "input") if spec.capture else None
        sink = _find(devices, spec.output, "output") if spec.play else None
        stream = PortAudioStream(sd, spec, source, sink)
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


class PortAudioStream(CallbackStream):
    """A stream that PortAudio calls back on its own thread."""

    def __init__(self, sd: Any, spec: StreamSpec, source: Device | None, sink: Device | None) -> None:
        main = sink or source
        assert main is not None
        rate = _native_rate(sd, spec, source, sink)
        super().__init__(
            rate,
            rate * BLOCK_MS // 1000,
            0 if source is None else min(spec.channels, source.inputs),
            0 if sink is None else min(spec.channels, sink.outputs),
        )
        self.device = " / ".join(dict.fromkeys(d.name for d in (source, sink) if d is not None))
        self._closed = False
        common = {"samplerate": rate, "blocksize": self.block, "dtype": "int16", "latency": spec.latency}
        common |= {"finished_callback": self._ended, "dither_off": True}
        self._finished = False
        try:
            if source is None:
                self._stream = sd.RawOutputStream(
                    device=main.index, channels=self.output_channels, callback=self._play_only, **common
                )
            elif sink is None:
                self._stream = sd.RawInputStream(
                    device=main.index, channels=self.input_channels, callback=self._record_only, **common
                )
            else:
                self._stream = sd.RawStream(
                    device=(source.index, sink.index),
                    channels=(self.input_channels, self.output_channels),
                    callback=self._both,
                    **common,
                )
            latency = self._stream.latency
            self.latency = float(latency[1] if isinstance(latency, tuple) else latency)
            self._stream.start()
        except sd.PortAudioError as error:
            with contextlib.suppress(sd.PortAudioError, AttributeError):
                self._stream.close()
            raise DeviceUnavailable(f"the device {self.device!r} can't be opened at {rate} Hz: {error}") from error

    @property
    def alive(self) -> bool:
        """Whether PortAudio still serves it."""
        return not self._finished and not self._closed

    def now(self) -> float:
        """Monotonic time."""
        return time.monotonic()

    async def close(self) -> None:
        """Abort the stream; a device that does not let go within a second is left to its thread."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(TimeoutError):
            await _on_thread(self.shut, deadline=CLOSE_S)

    def shut(self) -> None:
        """Abort and close, however long it takes."""
        global _open_streams
        self._closed = True
        with _ONE_AT_A_TIME:
            self._stream.close(ignore_errors=True)
            _open_streams -= 1

    def _ended(self) -> None:
        self._finished = True

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


async def _on_thread(
    work: Callable[[], T], *, deadline: float | None = None, undo: Callable[[T], None] | None = None
) -> T:
    """Run a call that may hang on a daemon thread of its own; `undo` its result if nobody waits for it any more.

    Raises:
        TimeoutError: it takes longer than `deadline` seconds; it goes on by itself.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: BaseException | None) -> None:
        if future.done():
            if error is None and undo is not None:
                threading.Thread(target=undo, args=(result,), name="duologue audio undo", daemon=True).start()
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as caught:  # carried to the task that waits
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=run, name="duologue audio device", daemon=True).start()
    async with asyncio.timeout(deadline):
        return await future
