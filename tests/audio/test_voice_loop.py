"""Acceptance of the voice loop on the rig, in short; `scripts/soak.py` is the same for minutes."""

import statistics

import pytest

from .conversation import converse
from .reciter import user_voice

pytestmark = [pytest.mark.audio, pytest.mark.models]

SPEAKS_S = {"webrtc": 30, "speex": 5}
CUTS = 3
USER_GAIN = 0.7
HEARD_MS = 60
LATENCIES_MS = (None, 100)
"""What is asked of the device: as by default, and where the machine is too busy for that, more."""
SILENT_MS = 450
"""From the user's onset to silence, in the median."""


@pytest.mark.parametrize("echo", ["webrtc", "speex"])
async def test_the_agent_does_not_interrupt_itself_and_the_user_who_cuts_in_is_heard(start_rig, echo):
    for latency_ms in LATENCIES_MS:
        start_rig("talker")
        report = await converse(
            *("talker", echo),
            seconds=SPEAKS_S[echo],
            phrases=user_voice()[:CUTS],
            user_gain=USER_GAIN,
            latency_ms=latency_ms,
        )
        dry = report.stats["output_underruns"] + report.stats["input_overflows"] + report.stats["restarts"]
        if not dry:
            break
    else:
        # With every gap the echo moves and the canceller begins anew, which may let some of it through and notices
        # users later (decision 0021): what is asserted here holds for a device that is served.
        pytest.skip(f"this machine is too busy to measure on: at {latency_ms} ms the device stumbled {dry} times")
    if echo == "webrtc":  # speex is known to leave enough of the agent
        assert report.self_interruptions == 0, report
    assert len(report.detected) == CUTS
    assert statistics.median(report.silence_ms) <= SILENT_MS
    for injection in report.injections:
        assert injection.cut is not None, injection
        # What the device has taken already is not counted, and sounds: with more latency that is more.
        assert -HEARD_MS - max(0, (latency_ms or 0) - 20) <= injection.off_ms <= HEARD_MS, injection
        assert abs(injection.words_off) <= 1, injection
