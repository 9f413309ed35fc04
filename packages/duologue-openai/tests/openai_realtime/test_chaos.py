"""Conversations over a link that fails in every way; `DUOLOGUE_CHAOS=10000` runs more."""

from __future__ import annotations

import os

import pytest
from duologue.testing import VirtualClock
from duologue.testing.chaos import Chaos
from duologue.wire import LinkPolicy
from duologue_openai import OpenAIRealtimeTransport, OpenAIServerCodec

SEEDS = int(os.environ.get("DUOLOGUE_CHAOS", "60"))
AT_ONCE = 10


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_chaos_loses_nothing_and_doubles_nothing(first):
    for seed in range(first, min(first + AT_ONCE, SEEDS)):
        chaos = Chaos(
            OpenAIServerCodec,
            lambda server: OpenAIRealtimeTransport(
                "sk-test",
                base_url=server.url,
                ssl=server.ssl,
                policy=lambda: LinkPolicy(max_connection_s=40.0, lead_s=20.0, attempts=100),
            ),
            tls=seed % 5 == 0,
            resumable=False,
            tells_results=False,
        )
        VirtualClock().run(chaos.run(seed))
