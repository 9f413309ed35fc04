"""Conversations over a link that fails in every way; `DUOLOGUE_CHAOS=10000` runs more."""

from __future__ import annotations

import os
from functools import partial

import pytest
from duologue.testing import VirtualClock
from duologue.testing.chaos import Chaos
from duologue.wire import LinkPolicy
from duologue.wire.recording import Recording
from duologue.wire.replay import Replay
from duologue_distiller import DistillerServerCodec, DistillerTransport

from .kit import transport

SEEDS = int(os.environ.get("DUOLOGUE_CHAOS", "60"))
AT_ONCE = 10


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_chaos_loses_nothing_and_doubles_nothing(first, tmp_path):
    for seed in range(first, min(first + AT_ONCE, SEEDS)):
        capture = tmp_path / f"{seed}.jsonl"
        run = Chaos(
            partial(DistillerServerCodec, barge_in=seed % 3 != 0),
            lambda server, capture=capture, seed=seed: transport(
                server,
                capture=capture,
                policy=lambda: LinkPolicy(attempts=100),
                sample_rate=24000,
                whole_response=seed % 4 == 0,
            ),
            tls=seed % 5 == 0,
        )
        VirtualClock().run(run.run(seed))
        replay = Replay(capture, partial(DistillerTransport.replay_codec, Recording(capture).session))
        assert list(replay)
        assert replay.differences == []
