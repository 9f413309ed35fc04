"""Two hundred conversations over a link that fails in every way; `DUOLOGUE_CHAOS=10000` runs more."""

from __future__ import annotations

import os
from functools import partial

import pytest
from duologue.testing import VirtualClock
from duologue.testing.chaos import Chaos
from duologue.testing.toy import ToyServerCodec, ToyTransport
from duologue.wire import LinkPolicy
from duologue.wire.recording import Recording
from duologue.wire.replay import Replay

SEEDS = int(os.environ.get("DUOLOGUE_CHAOS", "200"))
AT_ONCE = 10


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_chaos_loses_nothing_and_doubles_nothing(first, tmp_path):
    for seed in range(first, min(first + AT_ONCE, SEEDS)):
        capture = tmp_path / f"{seed}.jsonl"
        chaos = Chaos(
            ToyServerCodec,
            lambda server, capture=capture, seed=seed: ToyTransport(
                server.url,
                ssl=server.ssl,
                capture=capture,
                policy=lambda: LinkPolicy(attempts=100, overlap=seed % 2 == 0),
            ),
            tls=seed % 5 == 0,
        )
        VirtualClock().run(chaos.run(seed))
        replay = Replay(capture, partial(ToyTransport.replay_codec, Recording(capture).session))
        assert list(replay)
        assert replay.differences == []
