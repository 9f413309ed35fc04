"""Conversations over a link that fails in every way; `DUOLOGUE_CHAOS=10000` runs more."""

from __future__ import annotations

import os

import pytest
from duologue.testing import VirtualClock
from duologue.testing.chaos import Chaos
from duologue.wire import LinkPolicy
from duologue.wire.replay import Replay
from duologue_openai import OpenAIRealtimeTransport, OpenAIServerCodec

SEEDS = int(os.environ.get("DUOLOGUE_CHAOS", "60"))
AT_ONCE = 10


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_chaos_loses_nothing_and_doubles_nothing_and_can_be_replayed(first, tmp_path):
    for seed in range(first, min(first + AT_ONCE, SEEDS)):
        capture = tmp_path / f"{seed}.jsonl"
        chaos = Chaos(
            OpenAIServerCodec,
            lambda server, capture=capture: OpenAIRealtimeTransport(
                "sk-test",
                capture=capture,
                base_url=server.url,
                ssl=server.ssl,
                policy=lambda: LinkPolicy(max_connection_s=40.0, lead_s=20.0, attempts=100),
            ),
            tls=seed % 5 == 0,
            resumable=False,
            tells_results=False,
        )
        VirtualClock().run(chaos.run(seed))
        replay = Replay(capture)
        assert list(replay)
        assert replay.differences == []
