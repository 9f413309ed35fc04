"""Voice to voice on the rig: what VoiceLoop says of its latency, and what a recording of the loudspeaker says.

The user asks questions into the microphone of the set-up *caller*; the local transport answers with its real models.
Both times begin at the end of the user's speech: `told` where the voice detection heard it, `recorded` at the last
audible sample. Prints a table and writes `benchmarks/results/voice_loop.json`. Needs scripts/audio_rig.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from duologue import RealtimeAgent
from duologue_local import DEMO_TOOLS, LocalTransport

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "voice_loop.json"
QUESTIONS = (
    "What time is it in Tokyo?",
    "Tell me a joke.",
    "What is the capital of France?",
    "How are you today?",
    "What time is it in London?",
)
PATIENCE_S = 15.0
QUIET_S = 0.8
AUDIBLE = 100
"""-50 dBFS."""


async def converse(kit: Any, phrases: list[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Ask, wait for the answer to end, ask again; then look at the recordings."""
    # PortAudio loads with the first stream, and then the environment must name the rig.
    from duologue_audio import DuplexAudio, VoiceLoop

    agent = RealtimeAgent("You are a friendly voice assistant.", LocalTransport(), list(DEMO_TOOLS))
    audio = DuplexAudio(16_000)
    voice = VoiceLoop(agent, audio)
    loop = asyncio.get_running_loop()
    asked: list[float] = []
    async with agent, contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        speaker = await stack.enter_async_context(kit.recorded("spk", folder / "speaker"))
        user = await stack.enter_async_context(kit.recorded("mic_in", folder / "user"))
        async with asyncio.TaskGroup() as tasks:
            talking = tasks.create_task(voice.run())
            await asyncio.sleep(1.0)
            for phrase in phrases:
                asked.append(loop.time())
                await kit.say(phrase, "mic_in")
                until = loop.time() + PATIENCE_S
                while len(voice.stats.latencies) < len(asked) and loop.time() < until:  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(0.05)
                quiet_at = loop.time()
                while loop.time() < quiet_at + QUIET_S:
                    if voice.playing:
                        quiet_at = loop.time()
                    await asyncio.sleep(0.05)
            talking.cancel()
        told = voice.stats.latencies
        played, said = np.abs(speaker.samples().astype(int)), user.samples()
    rows = []
    for at, phrase, question in zip(asked, phrases, QUESTIONS, strict=True):
        onset, _ = kit.user_onset(said, phrase, (at - user.began - 0.1, at - user.began + 1.5))
        end = user.began + (onset + len(phrase)) / kit.RATE
        after = played[int((end - speaker.began) * kit.RATE) :]
        rows.append({"question": question, "recorded_ms": round(int(np.argmax(after > AUDIBLE)) * 1000 / kit.RATE, 1)})
    for row, latency in zip(rows, told, strict=False):
        row |= {"told_ms": round(latency.voice_to_voice_ms, 1), "parts": dict(latency.parts)}
    return rows, {"underruns": audio.stats.output_underruns, "restarts": audio.stats.restarts}


def main() -> int:
    sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
    rig_script: Any = importlib.import_module("audio_rig")
    with tempfile.TemporaryDirectory(prefix="duologue-rig-") as folder:
        rig = rig_script.Rig(Path(folder) / "rig")
        try:
            rig.start("caller")
            os.environ.update(rig.environment)
            kit: Any = importlib.import_module("tests.audio.conversation")
            phrases = importlib.import_module("tests.audio.reciter").user_voice(QUESTIONS)
            load = os.getloadavg()
            rows, device = asyncio.run(converse(kit, phrases))
        except rig_script.RigError as error:
            print(f"voice_loop: {error}", file=sys.stderr)
            return 0  # a machine without the rig has nothing to measure here
        finally:
            rig.stop()
    print(f"{'question':<32}{'told ms':>9}{'recorded':>10}  parts")
    for row in rows:
        parts = " + ".join(f"{name} {part:.0f}" for name, part in row.get("parts", {}).items())
        print(f"{row['question']:<32}{row.get('told_ms', 0):>9.0f}{row['recorded_ms']:>10.0f}  {parts}")
    for name in ("told_ms", "recorded_ms"):
        print(f"median {name}: {statistics.median(row[name] for row in rows if name in row):.0f}")
    print(f"load {load[0]:.1f} on {os.cpu_count()} processors, underruns {device['underruns']}")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"at": time.time(), "load": load, "device": device, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
