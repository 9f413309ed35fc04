"""From the end of the user's speech to the first audio of the answer, with the models: prints a table, writes JSON.

Run: `uv run python benchmarks/local_latency.py [OUTPUT.json]`. Speech goes in at the pace of a microphone; "total"
begins at the last frame the detection took for speech, some 80 ms after the last audible sample, and ends with the
first audio event, so a player's buffer comes on top.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from pathlib import Path

from duologue import AudioBlock
from duologue.agent import RealtimeAgent
from duologue.events import AudioOutputDelta, Interrupted, ProviderEvent, SpeechStarted, TranscriptDelta, TurnComplete
from duologue.tasks import TaskSet
from duologue.types import StopReason
from duologue_local import DEMO_TOOLS, LocalTransport
from duologue_local.resampler import resample

RATE, BLOCK_MS = 16000, 20
PARTS = ("end_of_turn", "asr", "llm_first", "tts_first")
QUESTIONS = (
    "What is the capital of France?",
    "What time is it in Tokyo?",
    "Who was Albert Einstein?",
    "Set a timer for five minutes.",
    "Tell me something about cats.",
    "Why is the sky blue?",
    "What time is it in New York?",
    "What can you do for me?",
)
SYSTEM = "You are a helpful voice assistant. Answer in one or two short sentences."


class Microphone:
    """Sends silence, and speech when there is some, in real time."""

    def __init__(self, agent: RealtimeAgent) -> None:
        self._agent = agent
        self._waiting = b""

    def say(self, pcm: bytes) -> None:
        """Speak after what is being spoken."""
        self._waiting += pcm

    async def run(self) -> None:
        """Send a block every 20 ms."""
        size = RATE * 2 * BLOCK_MS // 1000
        due = time.monotonic()
        while True:
            block, self._waiting = self._waiting[:size].ljust(size, b"\0"), self._waiting[size:]
            await self._agent.send(AudioBlock(block))
            due += BLOCK_MS / 1000
            await asyncio.sleep(max(0.0, due - time.monotonic()))


async def measure() -> dict[str, object]:
    """Ask all questions, then interrupt an answer."""
    began = time.monotonic()
    agent = RealtimeAgent(SYSTEM, LocalTransport(), list(DEMO_TOOLS))
    async with agent:
        connected = time.monotonic() - began
        tts = agent.session._stages["tts"]  # type: ignore[attr-defined]
        spoken = {}
        for text in (*QUESTIONS, "Tell me a long story about the sea.", "Stop, please."):
            _, pcm = await tts.call("synthesize", text=text, voice="joe")
            spoken[text] = resample(pcm, 24000, RATE)
        microphone = Microphone(agent)
        tasks = TaskSet()
        tasks.start(microphone.run(), "microphone")
        rows: list[dict[str, float]] = []
        events = agent.events()
        for question in QUESTIONS:
            microphone.say(spoken[question])
            row: dict[str, float] = {}
            async for event in events:
                if isinstance(event, ProviderEvent) and event.kind == "latency":
                    row = {part: event.data[part] for part in PARTS}
                if isinstance(event, TranscriptDelta) and event.role == "user":
                    print(f"  heard {event.delta!r}")
                if isinstance(event, TurnComplete) and event.stop_reason is not StopReason.tool_use:
                    break
            rows.append({**row, "total": round(sum(row.values()), 1)})
            print(f"{question:36}", rows[-1], f"load {os.getloadavg()[0]:.1f}")
        microphone.say(spoken["Tell me a long story about the sea."])
        cut_ms = 0.0
        asked = False
        spoke = started = 0.0

        def stop() -> None:
            nonlocal spoke
            spoke = time.monotonic()
            microphone.say(spoken["Stop, please."])

        async for event in events:
            now = time.monotonic()
            if isinstance(event, AudioOutputDelta) and not asked:
                asked = True
                asyncio.get_running_loop().call_later(1.5, stop)
            if isinstance(event, SpeechStarted) and spoke:
                started = now
            if isinstance(event, Interrupted):
                cut_ms = (now - spoke) * 1000
                print(f"cut {cut_ms:.0f} ms after speech began, {(now - started) * 1000:.1f} ms after it was detected")
                break
        await tasks.stop(1.0)
    medians = {part: statistics.median(row[part] for row in rows) for part in (*PARTS, "total")}
    print(f"connect {connected:.1f} s; median {medians}")
    return {"connect_s": round(connected, 2), "rows": rows, "median": medians, "cut_ms": round(cut_ms)}


def main() -> None:
    """Measure and report."""
    report = asyncio.run(measure())
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
