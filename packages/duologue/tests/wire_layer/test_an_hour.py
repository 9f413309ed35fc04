"""An hour of conversation over connections that live ten minutes, on virtual time and real sockets."""

from __future__ import annotations

import asyncio
import os
import random

import pytest
from duologue import Reconnected, Reconnecting, TextBlock, TranscriptDelta, TurnComplete
from duologue.testing import StandIn, VirtualClock
from duologue.wire import LinkPolicy

from .scenes import scene, turns

HOUR = 3600.0


class Handshakes:
    """How long each acceptance takes, and took."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.drawn: list[float] = []

    def __call__(self) -> float:
        self.drawn.append(self._rng.uniform(0.3, 1.5))
        return self.drawn[-1]


async def converse(overlap: bool, resumable: bool, seed: int) -> None:
    rng = random.Random(seed)
    handshakes = Handshakes(rng)
    model = StandIn(pace=0.08, life=600.0, notice=50.0, resumable=resumable)
    policy = lambda: LinkPolicy(overlap=overlap, chance=lambda: 0.0)  # noqa: E731
    loop = asyncio.get_running_loop()
    async with scene(model, policy=policy, server={"accept_after": handshakes}) as talk:
        typed: list[str] = []
        said = b""
        spoke_in_the_gap = 0
        while loop.time() < HOUR:
            switching = asyncio.ensure_future(
                talk.until(Reconnecting, count=len(talk.of(Reconnecting)) + 1, within=HOUR)
            )
            await asyncio.wait([switching], timeout=rng.uniform(1.0, 12.0))
            in_the_gap = switching.done()
            switching.cancel()
            answers = len(turns(talk)) + 1
            if in_the_gap or rng.random() < 0.5:
                spoke_in_the_gap += in_the_gap
                said += await talk.speak(rng.uniform(0.4, 5.0))
            else:
                typed.append(f"turn {len(typed)} at {loop.time():.0f}")
                await talk.agent.send(TextBlock(typed[-1]))
            await talk.until(TurnComplete, count=answers)

        assert len(talk.server.peers) >= 6
        assert spoke_in_the_gap >= 3
        # context: every turn, once; every sample, once
        assert [text for text in talk.texts() if text.startswith("turn")] == typed
        heard = b"".join(model.memory.heard if resumable else (u for m in model.memories for u in m.heard))
        assert heard.replace(b"\0\0", b"") == said
        # output: every reply complete, every piece once and in order
        assert set(turns(talk)) == {"end_turn"}
        words = sum(1 for e in talk.of(TranscriptDelta) if e.role == "assistant" and e.delta)
        assert len(talk.pieces) == 2 * words
        assert talk.pieces == list(range(talk.pieces[0], talk.pieces[0] + len(talk.pieces)))
        # the wait: no longer than the handshake
        assert len(talk.of(Reconnected)) >= 5
        assert all(event.resumed is resumable for event in talk.of(Reconnected))
        if overlap:
            assert all(event.gap == 0.0 for event in talk.of(Reconnected))
        else:
            for event, handshake in zip(talk.of(Reconnected), handshakes.drawn[1:], strict=True):
                assert event.gap <= handshake + 0.1


@pytest.mark.parametrize("seed", range(int(os.environ.get("DUOLOGUE_HOURS", "1"))))
@pytest.mark.parametrize("resumable", [True, False], ids=["resumed", "replayed"])
@pytest.mark.parametrize("overlap", [True, False], ids=["overlap", "alone"])
def test_an_hour_crosses_every_limit_and_loses_nothing(overlap, resumable, seed):
    VirtualClock().run(converse(overlap, resumable, seed))
