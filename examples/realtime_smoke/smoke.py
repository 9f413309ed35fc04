"""Send a text, hear the answer: local models, your loudspeaker, no key."""

from __future__ import annotations

import asyncio
import sys

from duologue import AudioOutputDelta, RealtimeAgent, TextBlock, TranscriptDelta, TurnComplete
from duologue_audio import Speaker
from duologue_local import LocalTransport


async def main(text: str) -> None:
    agent = RealtimeAgent("You are a friendly voice assistant. Answer in one short sentence.", LocalTransport())
    async with agent, Speaker() as speaker:
        await agent.send(TextBlock(text))
        received_ms = 0.0
        async for event in agent.events():
            match event:
                case TranscriptDelta(role="assistant", delta=words):
                    print(words, end="", flush=True)
                case AudioOutputDelta(data=pcm):
                    speaker.feed(event)
                    received_ms += len(pcm) / 48  # PCM16 at 24 kHz
                case TurnComplete():
                    break
        while (heard_ms := speaker.playback.position().heard_ms) < int(received_ms):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.02)
        print(f"\n{heard_ms} ms heard")


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "What is the capital of France?"))
