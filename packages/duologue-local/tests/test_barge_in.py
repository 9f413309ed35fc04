"""BargeIn: its checks, and the table of the barge-in tutorial."""

from __future__ import annotations

from typing import Any

import pytest
from duologue.errors import ConfigurationError
from duologue_local import BargeIn

TUTORIAL = {
    "enable_barge_in": True,
    "frame_ms": 30,
    "threshold": 15,
    "window_size": 24,
    "lockout_seconds": 0.5,
    "grace_period_seconds": 1.0,
    "silero_min_samples_seconds": 1.0,
}


def test_the_tutorials_table_is_mapped() -> None:
    assert BargeIn.from_distiller(TUTORIAL) == BargeIn(
        enabled=True, speech_ms=450, window_ms=720, lockout_ms=500, grace_ms=1000, min_audio_ms=1000
    )


def test_what_the_table_leaves_out_has_its_defaults() -> None:
    assert BargeIn.from_distiller({}) == BargeIn(
        enabled=False, speech_ms=900, window_ms=1440, lockout_ms=1000, grace_ms=3000, min_audio_ms=1500
    )


@pytest.mark.parametrize(
    "table", [{"treshold": 15}, {"threshold": "15"}, {"enable_barge_in": 1}, {"lockout_seconds": -1}, {"threshold": 99}]
)
def test_a_wrong_table_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        BargeIn.from_distiller(table)


def test_wrong_values_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="lockout_ms"):
        BargeIn(lockout_ms=-1)
    with pytest.raises(ConfigurationError, match="window"):
        BargeIn(speech_ms=200, window_ms=100)
