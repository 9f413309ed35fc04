"""Conversations over a link that fails in every way; `DUOLOGUE_CHAOS=10000` runs more."""

from __future__ import annotations

import os

import pytest
from duologue.testing import VirtualClock
from duologue.testing.chaos import Chaos
from duologue.wire import KeepAlive, LinkPolicy
from duologue.wire.replay import Replay
from duologue_google import GeminiServerCodec
from google_kit import MODEL_25, MODEL_38, developer, vertex

SEEDS = int(os.environ.get("DUOLOGUE_CHAOS", "100"))
AT_ONCE = 10


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_chaos_loses_nothing_and_doubles_nothing_and_can_be_replayed(first, tmp_path):
    for seed in range(first, min(first + AT_ONCE, SEEDS)):
        reach, capture = vertex if seed % 3 == 0 else developer, tmp_path / f"{seed}.jsonl"
        options = {
            "model": MODEL_25 if seed % 2 == 0 else MODEL_38,
            "capture": capture,
            "policy": lambda: LinkPolicy(attempts=100),
            "keep_alive": KeepAlive(),
        }
        chaos = Chaos(
            GeminiServerCodec,
            lambda server, reach=reach, options=options: reach(server, **options),
            tls=seed % 5 == 0,
        )
        VirtualClock().run(chaos.run(seed))
        replay = Replay(capture)
        assert list(replay)
        assert replay.differences == []
