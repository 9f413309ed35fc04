"""What echo cancellation and resampling cost: microseconds for each 10 ms of audio.

Runs every canceller that works here over a simulated echo at 16, 24 and 48 kHz, in frames as it wants them, and the
resampler in blocks of 10 ms over the routes between device and provider. Time of the thread's own CPU, interleaved
rounds, medians; "worst" is the 99th percentile of single calls by the wall clock, so it tells of the machine too.
Prints a table and writes `benchmarks/results/echo.json`.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from duologue.errors import ConfigurationError
from duologue_audio.delay import DelayEstimator
from duologue_audio.echo import make_echo_canceller
from duologue_audio.resample import ArrayResampler

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

RATES = (16000, 24000, 48000)
ROUTES = ((48000, 16000), (48000, 24000), (24000, 48000), (44100, 16000))
SECONDS = 4
ROUNDS = 5


def echo(rate: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Noise in syllables from a loudspeaker, and what a microphone 40 ms away hears of it."""
    time_s = np.arange(rate * SECONDS) / rate
    syllables = np.maximum(0, np.sin(2 * np.pi * 4 * time_s))
    far = np.random.default_rng(0).standard_normal(len(time_s)) * syllables * 2500
    near = np.roll(far, rate * 40 // 1000) * 0.5 + np.random.default_rng(1).standard_normal(len(time_s)) * 5
    return near.astype(np.int16), far.astype(np.int16)


def timed(step: Callable[[int], object], size: int, rate: int) -> tuple[float, float]:
    """Return the mean and the 99th percentile of a step over the whole signal, in µs for each 10 ms."""
    walls, began = [], time.thread_time()
    for at in range(0, rate * SECONDS - size + 1, size):
        called = time.perf_counter()
        step(at)
        walls.append(time.perf_counter() - called)
    blocks = len(walls) * size * 100 / rate
    return (time.thread_time() - began) / blocks * 1e6, float(np.percentile(walls, 99)) / (size * 100 / rate) * 1e6


def cases() -> dict[str, Callable[[], tuple[float, float]]]:
    """What is measured, by name; each call begins with fresh cancellers."""
    found: dict[str, Callable[[], tuple[float, float]]] = {}
    for rate in RATES:
        near, far = echo(rate)
        for name in ("webrtc", "speex"):

            def cancel(
                name: str = name, rate: int = rate, near: NDArray[np.int16] = near, far: NDArray[np.int16] = far
            ) -> tuple[float, float]:
                canceller = make_echo_canceller(name, rate)
                size = canceller.frame
                return timed(lambda at: canceller.process(near[at : at + size], far[at : at + size]), size, rate)

            try:
                make_echo_canceller(name, rate)
            except ConfigurationError as error:
                print(f"left out: {error}")
            else:
                found[f"{name} at {rate // 1000} kHz"] = cancel

        def find(rate: int = rate, near: NDArray[np.int16] = near, far: NDArray[np.int16] = far) -> tuple[float, float]:
            size = rate // 100
            estimator = DelayEstimator(rate, size)
            return timed(lambda at: estimator.feed(near[at : at + size], far[at : at + size]), size, rate)

        found[f"of it the delay at {rate // 1000} kHz"] = find
    for route in ROUTES:

        def resample(route: tuple[int, int] = route) -> tuple[float, float]:
            near, _ = echo(route[0])
            size, resampler = route[0] // 100, ArrayResampler(*route)
            return timed(lambda at: resampler.process(near[at : at + size]), size, route[0])

        found[f"resampling {route[0]} to {route[1]}"] = resample
    return found


def main() -> None:
    """Measure, print and write."""
    measured: dict[str, list[tuple[float, float]]] = {}
    found = cases()
    for _ in range(ROUNDS):
        for name, measure in found.items():
            measured.setdefault(name, []).append(measure())
    table = {
        name: {
            "us_per_10_ms": round(statistics.median(mean for mean, _ in rounds), 1),
            "p99_us_per_10_ms": round(statistics.median(worst for _, worst in rounds), 1),
        }
        for name, rounds in measured.items()
    }
    print(f"{'µs for each 10 ms of audio':<32}{'mean':>9}{'worst':>9}")
    for name, row in table.items():
        print(f"{name:<32}{row['us_per_10_ms']:>9}{row['p99_us_per_10_ms']:>9}")
    results = Path(__file__).with_name("results")
    results.mkdir(exist_ok=True)
    (results / "echo.json").write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
