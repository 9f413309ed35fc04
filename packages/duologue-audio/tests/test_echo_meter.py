"""The meter of echo return loss enhancement."""

from __future__ import annotations

import numpy as np
import pytest
from duologue_audio.canceller import ErleMeter

LOUD = np.full(160, 3000, np.int16)
SILENT = np.zeros(160, np.int16)


def fed(*frames: tuple[np.ndarray, np.ndarray, np.ndarray], times: int = 1000) -> float:
    meter = ErleMeter(0.01)
    for _ in range(times):
        for frame in frames:
            meter.feed(*frame)
    return meter.db


def test_it_is_the_ratio_of_powers():
    assert fed((LOUD, LOUD, LOUD // 100)) == pytest.approx(40, abs=0.01)


def test_nothing_heard_is_nothing_removed():
    assert fed((SILENT, SILENT, SILENT)) == 0


def test_a_far_end_below_hearing_does_not_count():
    assert fed((LOUD, SILENT + 40, LOUD // 100)) == 0


def test_pauses_within_the_echo_count_little():
    assert fed((LOUD, LOUD, LOUD // 100), (SILENT + 3, LOUD, SILENT + 3)) == pytest.approx(40, abs=0.5)


def test_all_echo_removed_is_limited_by_rounding():
    assert fed((LOUD, LOUD, SILENT)) == pytest.approx(10 * np.log10(3000**2 * 12), abs=0.01)


def test_the_echo_that_comes_after_the_far_end_still_counts():
    meter = ErleMeter(0.01)
    meter.feed(SILENT, LOUD, SILENT)
    for frame in range(30):
        meter.feed(LOUD, SILENT, LOUD if frame < 15 else LOUD // 10)
    counted = meter.db
    assert counted == pytest.approx(3, abs=0.3)
    for _ in range(1000):
        meter.feed(LOUD, SILENT, LOUD)  # a user, long after
    assert meter.db == counted


def test_it_forgets_within_seconds():
    meter = ErleMeter(0.01)
    for _ in range(500):
        meter.feed(LOUD, LOUD, LOUD)
    for _ in range(600):
        meter.feed(LOUD, LOUD, LOUD // 10)
    assert meter.db == pytest.approx(20, abs=1.5)
    meter.reset()
    assert meter.db == 0
