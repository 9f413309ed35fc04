"""How well the local turn-taking's defaults do on synthesised speech: prints tables, writes JSON.

Run: `uv run python benchmarks/local_turns.py [OUTPUT.json]`. Speech is the local voice's, so the numbers are optimistic
for people; noise is made by numpy. Onset and end are against the audible bounds of each clip.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
from duologue_local.piper import PiperTTS
from duologue_local.resampler import resample
from duologue_local.silero import SileroVAD
from duologue_local.stages import FRAME_BYTES, FRAME_MS
from duologue_local.turns import Began, Ended, TurnMachine, TurnSettings
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Clip = tuple[Floats, float, float]

SENTENCES = (
    "What time is it in Tokyo?",
    "Stop.",
    "Yes.",
    "No.",
    "Wait a moment, please.",
    "Hold on.",
    "Set a timer for five minutes.",
    "I would like to know, if that is possible, who wrote this book.",
    "Hm, let me think. What is the capital of France?",
    "Tell me a story about a small boat.",
    "Okay.",
    "Thank you very much.",
)
RATE = 16000
LEAD_S, TAIL_S = 1, 2
AUDIBLE = 0.01


def noise(kind: str, count: int) -> Floats:
    """Noise of unit level."""
    rng = np.random.default_rng(7)
    time = np.arange(count) / RATE
    if kind == "white":
        made = rng.normal(size=count)
    elif kind == "pink":
        spectrum = np.fft.rfft(rng.normal(size=count))
        made = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)), count)
    elif kind == "hum":
        made = np.sin(2 * np.pi * 100 * time) + 0.5 * np.sin(2 * np.pi * 200 * time)
    elif kind == "clicks":
        made = np.zeros(count)
        for at in rng.integers(0, count - 400, count // 4000):
            made[at : at + 400] += rng.normal(size=400) * np.exp(-np.arange(400) / 60) * 5
    else:
        gates = [(np.sin(2 * np.pi * (0.5 + n * 0.13) * time) > 0) for n in range(5)]
        tones = zip((220, 277, 330, 440, 554), gates, strict=True)
        made = np.sum([np.sin(2 * np.pi * f * time) * gate for f, gate in tones], axis=0)
    return np.asarray(made / made.std(), dtype=np.float64)


def probabilities(vad: SileroVAD, samples: Floats) -> list[float]:
    """What the detection says of each frame."""
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    stream = vad.stream()
    return [stream.process(pcm[at : at + FRAME_BYTES]) for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)]


def clips(tts: PiperTTS) -> list[Clip]:
    """Each sentence with the ms of its first and last audible sample."""
    found = []
    for text in SENTENCES:
        speech = tts.synthesize(text, "joe")
        samples = np.frombuffer(resample(speech.pcm, speech.rate, RATE), "<i2") / 32768
        loud = np.flatnonzero(np.abs(samples) > AUDIBLE)
        found.append((samples, loud[0] * 1000 / RATE, loud[-1] * 1000 / RATE))
    return found


def measure(
    vad: SileroVAD, speech: list[tuple[Floats, float, float]], settings: TurnSettings, **how: Any
) -> dict[str, Any]:
    """Run the turn machine over all clips."""
    missed = split = 0
    onsets: list[float] = []
    ends: list[float] = []
    for samples, first, last in speech:
        loud = samples * how.get("gain", 1.0)
        padded = np.concatenate([np.zeros(LEAD_S * RATE), loud, np.zeros(TAIL_S * RATE)])
        if "kind" in how:
            level = np.sqrt(np.square(loud[np.abs(samples) > AUDIBLE]).mean()) * 10 ** (-how["snr"] / 20)
            padded = padded + noise(how["kind"], len(padded)) * level
        machine = TurnMachine(settings)
        began: list[float] = []
        ended: list[float] = []
        for number, probability in enumerate(probabilities(vad, padded), 1):
            for decision in machine.step(probability):
                if isinstance(decision, Began):
                    began.append(number * FRAME_MS - LEAD_S * 1000 - first)
                if isinstance(decision, Ended):
                    ended.append(decision.speech_end * FRAME_MS - LEAD_S * 1000 - last)
        missed += not began
        split += max(0, len(began) - 1)
        onsets += began[:1]
        ends += ended[-1:]
    return {
        "missed": missed,
        "split": split,
        "onset_ms": round(statistics.median(onsets)) if onsets else None,
        "end_ms": round(statistics.median(ends)) if ends else None,
    }


def main() -> None:
    """Measure and report."""
    vad, speech = SileroVAD(), clips(PiperTTS())
    rows: dict[str, dict[str, Any]] = {}
    for ms, window in ((64, 96), (96, 160), (160, 224), (450, 720)):
        rows[f"{ms} of {window} ms begin"] = measure(vad, speech, TurnSettings(speech_ms=ms, window_ms=window))
    for threshold in (0.3, 0.5, 0.7):
        settings = TurnSettings(threshold=threshold, release=threshold - 0.15)
        rows[f"threshold {threshold}"] = measure(vad, speech, settings)
    for ms in (160, 256, 320, 480):
        rows[f"{ms} ms of silence end"] = measure(vad, speech, TurnSettings(end_silence_ms=ms))
    for gain in (0.1, 0.03, 0.01):
        rows[f"gain {gain}"] = measure(vad, speech, TurnSettings(), gain=gain)
    kinds = ("white", "pink", "hum", "clicks", "music")
    for kind in kinds:
        for snr in (15, 5):
            rows[f"{kind} noise, {snr} dB"] = measure(vad, speech, TurnSettings(), kind=kind, snr=snr)
    for name, row in rows.items():
        print(f"{name:28} {row}")
    false_starts: dict[str, int] = {}
    for kind in kinds:
        machine = TurnMachine(TurnSettings())
        heard = [p for level in (0.01, 0.1) for p in probabilities(vad, noise(kind, 60 * RATE) * level)]
        false_starts[kind] = sum(isinstance(d, Began) for p in heard for d in machine.step(p))
    print("false starts in two minutes:", false_starts)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps({"rows": rows, "false_starts": false_starts}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
