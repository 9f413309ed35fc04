"""Closing at any moment: in bounded time, with nothing left."""

from __future__ import annotations

import asyncio
import random

import pytest
from duologue import AudioBlock, RealtimeAgent, TextBlock, tool
from duologue.testing import StandIn, VirtualClock, WireServer, assert_no_leaks
from duologue.testing.toy import ToyServerCodec, ToyTransport
from duologue.wire import LinkPolicy

CLOSE_TIMEOUT = 1.0
LONGEST = CLOSE_TIMEOUT + 2.0 + 2.0 + 0.1
"""Tools get their time, the last answers and the session two seconds each."""


@tool(on_interrupt="keep")
async def slow() -> str:
    """Take a long while."""
    await asyncio.sleep(3600)
    return "at last"


async def close_at(moment: float, seed: int) -> None:
    rng = random.Random(seed)
    model = StandIn(pace=0.08)
    loop = asyncio.get_running_loop()
    served = WireServer(ToyServerCodec, model, tls=bool(seed % 2), accept_after=lambda: rng.uniform(0, 1))
    async with assert_no_leaks(), served as server:
        transport = ToyTransport(server.url, ssl=server.ssl, policy=lambda: LinkPolicy(overlap=bool(seed % 3)))
        agent = RealtimeAgent("", transport, [slow], close_timeout=CLOSE_TIMEOUT)

        async def talk() -> None:
            await agent.connect()
            while True:
                await agent.send(TextBlock(rng.choice(["story 20", "call slow", "hello"])))
                for _ in range(rng.randint(1, 40)):
                    await agent.send(AudioBlock(rng.choice([bytes(640), b"\x10\x27" * 320])))
                    await asyncio.sleep(0.02)

        async def disturb() -> None:
            while True:
                await asyncio.sleep(rng.uniform(0.1, 0.8))
                if server.peers:
                    getattr(server.peer, rng.choice(["abort", "freeze", "stall"]))()

        tasks = [loop.create_task(talk()), loop.create_task(disturb())]
        await asyncio.sleep(moment)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        began = loop.time()
        await agent.close()
        assert loop.time() - began <= LONGEST


@pytest.mark.parametrize("seed", range(40))
def test_closing_at_any_moment_is_bounded_and_leaves_nothing(seed):
    VirtualClock().run(close_at(seed * 0.13, seed))
