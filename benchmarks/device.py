"""How the audio device is served while the local stack speaks and listens: prints a table, writes JSON.

Runs on the rig of `scripts/audio_rig.py` (one of its own). A `DuplexAudio` at 48 kHz carries a conversation: the local
transport recites, its sound is played, and the microphone, which hears that sound, goes back into it. Measured:

- lateness of a device block: when it was served, against the grid of the earliest of the last two seconds (the sound
  server hands over several blocks at once where the latency allows, and all but one of them are late by this measure);
- the CPU time of a block: of the whole process with only the audio running, and with agent and session in it;
- xruns (the device's flags), the round trip of a burst of noise, and growth of memory.

    python benchmarks/device.py [--seconds 30] [--engine auto|mixer|callback] [--latency-ms 20] [--busy-threads 0]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from duologue import AudioBlock, AudioOutputDelta, RealtimeAgent, TextBlock
from duologue_audio import DuplexAudio
from duologue_audio.callback import CallbackStream
from duologue_audio.mixer import MixerStream
from duologue_audio.portaudio import PortAudioBackend
from duologue_local import LocalTransport

if TYPE_CHECKING:
    from types import ModuleType

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "device.json"
GRID_BLOCKS = 200
RECITE = "Tell me a long story about the sea, the ships and the mountains behind the harbour."


def watch_writer(pid: int, address: int, wrap: int, seconds: float) -> None:
    """Another process: watch the C callback's write index in its ring and print when it moved, every half ms."""
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    last, frames = None, 0
    until = time.monotonic() + seconds
    while (now := time.monotonic()) < until:
        index = int.from_bytes(os.pread(memory, 8, address), "little")
        if last is not None and index != last:
            frames += (index - last) % wrap
            print(now, frames, flush=True)
        last = index
        time.sleep(0.0005)


class Watch:
    """When each device block was served: Python's callback is timed, C's is watched from another process."""

    def __init__(self, blocks: int) -> None:
        self._times = np.zeros((blocks, 2))
        self._count = 0
        self._watched: list[tuple[subprocess.Popen[bytes], Path, Any]] = []
        self._folder = tempfile.TemporaryDirectory(prefix="duologue-watch-")
        serve, watch = CallbackStream.serve, self

        def watched(stream: CallbackStream, *arguments: Any) -> None:
            began = time.monotonic()
            serve(stream, *arguments)
            if watch._count < len(watch._times):
                watch._times[watch._count] = began, time.monotonic()
                watch._count += 1

        CallbackStream.serve = watched  # type: ignore[method-assign, assignment]

    def begin(self) -> None:
        """Forget what came so far."""
        self._count = 0

    def see(self, stream: Any, seconds: float) -> None:
        """Watch a stream, from now on in place of the one before it, for so long at most."""
        self._stop()
        if isinstance(stream, MixerStream):
            ring, ffi = stream._heard, stream._rtmixer._ffi
            address = int(ffi.cast("uintptr_t", ffi.addressof(ring._ptr[0], "writeIndex")))
            command = [sys.executable, __file__, "--watch", str(os.getpid()), str(address), str(2 * len(ring))]
            path = Path(self._folder.name) / str(len(self._watched))
            with path.open("wb") as file:
                watcher = subprocess.Popen([*command, str(seconds)], stdout=file)
            self._watched.append((watcher, path, ring))  # the ring stays where it is for as long as it is watched

    def _stop(self) -> None:
        if self._watched:
            self._watched[-1][0].terminate()
            self._watched[-1][0].wait()

    def end(self) -> tuple[list[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
        """The times of the blocks of each stream, and the cost in us where Python paid it."""
        self._stop()
        if not self._watched:
            times = self._times[: self._count]
            return [times[:, 0]], (times[:, 1] - times[:, 0]) * 1e6
        served = []
        for _, path, _ in self._watched:
            lines = [line.split() for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
            moved = np.array(lines, float).reshape(-1, 2)
            served.append(np.repeat(moved[:, 0], np.diff(moved[:, 1] // 480, prepend=0).astype(int)))
        self._folder.cleanup()
        return served, np.zeros(0)


def percentiles(values: np.ndarray[Any, Any]) -> dict[str, float]:
    """Median, p99 and p99.9; nothing where nothing was measured."""
    if not len(values):
        return {}
    return {name: round(float(np.percentile(values, q)), 3) for name, q in (("p50", 50), ("p99", 99), ("p99.9", 99.9))}


async def watch_streams(audio: DuplexAudio, watch: Watch, seconds: float) -> list[float]:
    """Show the watch every stream that serves for so long; return the resident memory in MB at every full minute."""
    began, current, memory = time.monotonic(), None, [round(resident_mb(), 1)]
    while (left := began + seconds - time.monotonic()) > 0:
        stream = audio._line.stream
        if stream is not current and stream is not None:
            watch.see(stream, left)
            current = stream
        if time.monotonic() - began >= 60 * len(memory):
            memory.append(round(resident_mb(), 1))
        await asyncio.sleep(0.05)
    return memory


def lateness_ms(began: np.ndarray[Any, Any], period: float) -> np.ndarray[Any, Any]:
    """How late each block was."""
    offsets = began - np.arange(len(began)) * period
    grid = np.array([offsets[max(0, i - GRID_BLOCKS) : i + 1].min() for i in range(len(offsets))])
    late: np.ndarray[Any, Any] = (offsets - grid) * 1000
    return late


async def round_trip_ms(audio: DuplexAudio) -> list[float]:
    """Play noise and look for it in the microphone: from the far end of a pair to its near end."""
    found = []
    noise = np.random.default_rng(3).integers(-6000, 6000, 4800).astype("<i2")
    for _ in range(3):
        near, far = [], []
        audio.feed_speaker(AudioBlock(noise.tobytes(), "audio/pcm;rate=48000"))
        async for pair in audio.pairs():
            near.append(pair.near)
            far.append(pair.far)
            if len(near) * audio.chunk_ms >= 500:
                break
        spectra = [np.fft.rfft(np.concatenate(side).astype(float), 1 << 16) for side in (near, far)]
        match = np.fft.irfft(spectra[0] * np.conj(spectra[1]))
        found.append(round(float(np.argmax(np.abs(match[:24000]))) / 48, 2))
    return found


async def cost_alone(audio: DuplexAudio) -> list[float]:
    """CPU time of the whole process per block, in us, with 24 kHz sound playing and the microphone read; five rounds.

    The rounds differ by the speed at which the machine happens to run.
    """
    found = []
    for _ in range(5):
        audio.feed_speaker(AudioOutputDelta(bytes(48000 * 4)))
        cpu, blocks = time.process_time(), audio.stats.blocks
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3):
                async for _ in audio.mic_chunks():
                    pass
        audio.stop_speaker()
        found.append((time.process_time() - cpu) * 1e6 / max(1, audio.stats.blocks - blocks))
    return found


async def converse(agent: RealtimeAgent, audio: DuplexAudio, seconds: float) -> None:
    """Let the agent recite and hear itself."""

    async def speak() -> None:
        async for event in agent.events():
            if isinstance(event, AudioOutputDelta):
                audio.feed_speaker(event)

    async def listen() -> None:
        async for block in audio.mic_chunks():
            await agent.send(block)

    async def ask() -> None:
        while True:
            await agent.send(TextBlock(RECITE))  # the echo of the speaker may interrupt it: ask again
            await asyncio.sleep(4)

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for part in (speak(), listen(), ask()):
                group.create_task(part)


def burn(stop: threading.Event) -> None:
    """Compute in Python, as an application's own thread might."""
    total = 0
    while not stop.is_set():
        total = sum(range(1000)) + total % 7


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run it."""
    watch = Watch(round(arguments.seconds * 100) + 2000)
    stop = threading.Event()
    for _ in range(arguments.busy_threads):
        threading.Thread(target=burn, args=(stop,), daemon=True).start()
    agent = RealtimeAgent("You tell stories.", LocalTransport(), input_audio_format="audio/pcm;rate=48000")
    backend = PortAudioBackend(arguments.engine)
    async with DuplexAudio(chunk_ms=10, latency_ms=arguments.latency_ms, backend=backend) as audio:
        async for pair in audio.pairs():  # the sound server settles, and no old pair is left to be looked at
            if pair.frame >= 2 * audio.sample_rate:
                break
        trips = await round_trip_ms(audio)
        alone = await cost_alone(audio)
        async with agent:
            await converse(agent, audio, 5)  # the models are loaded now
            watch.begin()
            before, cpu, memory = audio.stats, time.process_time(), resident_mb()
            began = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(watch_streams(audio, watch, arguments.seconds))
                group.create_task(converse(agent, audio, arguments.seconds))
            wall, stream = time.perf_counter() - began, audio._line.stream
            after, cpu, memory = audio.stats, time.process_time() - cpu, resident_mb() - memory
    stop.set()
    (served, cost), blocks = watch.end(), after.blocks - before.blocks
    late = [lateness_ms(times, 0.01) for times in served if len(times)]
    intervals = [np.diff(times) * 1000 for times in served]
    xruns = after.output_underruns - before.output_underruns + after.input_overflows - before.input_overflows
    return {
        "engine": type(stream).__name__,
        "seconds": round(wall, 1),
        "latency_ms": arguments.latency_ms,
        "busy_threads": arguments.busy_threads,
        "blocks": blocks,
        "round_trip_ms": trips,
        "xruns": xruns,
        "xruns_per_10_min": round(xruns * 600 / wall, 1),
        "restarts": after.restarts - before.restarts,
        "mic_dropped": after.mic_dropped - before.mic_dropped,
        "timed_blocks": sum(map(len, late)),
        "late_ms": percentiles(np.concatenate([*late, np.zeros(0)])),
        "interval_ms": percentiles(np.concatenate([*intervals, np.zeros(0)])),
        "python_callback_us": percentiles(cost),
        "device_cpu_per_block_us": [round(one) for one in sorted(alone)],
        "share_of_block": round(statistics.median(alone) / 10_000, 4),
        "cpu_per_block_with_agent_us": round(cpu / max(1, blocks) * 1e6),
        "resident_growth_mb": round(memory, 2),
        "resident_mb_by_minute": watching.result(),
    }


def resident_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def rig_script() -> ModuleType:
    """The rig, which is a script and no package."""
    spec = importlib.util.spec_from_file_location("audio_rig", HERE.parent / "scripts" / "audio_rig.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Serving the audio device under full local inference")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--latency-ms", type=float, default=None, help="fixed; by default the package chooses")
    parser.add_argument("--engine", choices=("auto", "mixer", "callback"), default="auto")
    parser.add_argument("--watch", nargs=4, type=float, metavar="NUMBER", help=argparse.SUPPRESS)
    parser.add_argument("--busy-threads", type=int, default=0, help="Python threads that compute meanwhile")
    arguments = parser.parse_args()
    if arguments.watch:
        pid, address, wrap, seconds = arguments.watch
        watch_writer(int(pid), int(address), int(wrap), seconds)
        return
    script = rig_script()
    with tempfile.TemporaryDirectory(prefix="duologue-device-") as folder:
        rig = script.Rig(Path(folder) / "rig")
        try:
            rig.start("talker")
        except script.RigError as error:
            print(f"device: not measured, {error}")
            return
        os.environ.update(rig.environment)
        try:
            result = asyncio.run(measure(arguments))
        finally:
            rig.stop()
    for name, value in result.items():
        print(f"{name:<26}{value}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
