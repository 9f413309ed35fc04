"""The delay estimator: what it finds, and when it holds its tongue."""

from __future__ import annotations

import numpy as np
import pytest
from duologue_audio.delay import DelayEstimator

from .rooms import scene


def feed(estimator: DelayEstimator, near: np.ndarray, far: np.ndarray, size: int) -> None:
    for at in range(0, len(near) - size + 1, size):
        estimator.feed(near[at : at + size], far[at : at + size])


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 32000, 44100, 48000])
@pytest.mark.parametrize("frame_ms", [10, 20])
def test_the_delay_is_found_at_every_rate(rate, frame_ms):
    heard = scene(rate, 3, delay_ms=250)
    estimator = DelayEstimator(rate, rate * frame_ms // 1000)
    feed(estimator, heard.near, heard.far, rate * frame_ms // 1000)
    assert estimator.ms == pytest.approx(250, abs=1)


def test_it_is_found_under_a_user_as_loud_as_the_echo():
    heard = scene(seconds=6, delay_ms=120, user_db=-26)
    estimator = DelayEstimator(16000, 160)
    feed(estimator, heard.near, heard.far, 160)
    assert estimator.ms == pytest.approx(120, abs=1)


@pytest.mark.parametrize("seed", [6, 8])
def test_a_window_that_shows_little_does_not_hide_the_one_before(seed):
    heard = scene(seconds=10, delay_ms=120, user_db=-14, seed=seed)
    estimator = DelayEstimator(16000, 160)
    feed(estimator, heard.near[:17600], heard.far[:17600], 160)
    assert estimator.ms == pytest.approx(120, abs=1)


def test_a_user_without_echo_has_no_delay():
    heard = scene(seconds=10, echo_db=-200, user_db=-26)
    estimator = DelayEstimator(16000, 160)
    feed(estimator, heard.near, heard.far, 160)
    assert estimator.ms is None


def test_one_sighting_is_not_believed():
    heard = scene(seconds=1)
    estimator = DelayEstimator(8000, 80)
    near, far = heard.near[::2], heard.far[::2]
    feed(estimator, near[:4160], far[:4160], 80)
    assert estimator.ms is None
    feed(estimator, *(np.concatenate((x[4160:], x))[:4160] for x in (near, far)), 80)
    assert estimator.ms == pytest.approx(40, abs=1)


def test_a_gap_begins_a_new_window_and_keeps_the_delay():
    heard = scene(seconds=4)
    near, far = heard.near, heard.far
    whole, cut = DelayEstimator(16000, 160), DelayEstimator(16000, 160)
    feed(whole, near[: 16000 + 480], far[: 16000 + 480], 160)
    feed(cut, near[:16000], far[:16000], 160)
    cut.skip()
    feed(cut, near[16000 : 16000 + 480], far[16000 : 16000 + 480], 160)
    assert (whole.ms is None, cut.ms is None) == (False, True)
    whole.skip()
    assert whole.ms == pytest.approx(40, abs=1)


def test_what_was_played_before_a_gap_is_not_taken_for_an_echo_after_it():
    chance, estimator = np.random.default_rng(0), DelayEstimator(8000, 64)
    noise = [chance.integers(-3000, 3000, 4096).astype(np.int16) for _ in range(3)]
    for _ in range(3):
        feed(estimator, noise[1], noise[0], 64)
        estimator.skip()
        feed(estimator, np.roll(noise[0], 1000), noise[2], 64)  # would fit what came before the gap
        estimator.skip()
    assert estimator.ms is None


def test_silence_costs_no_transform(monkeypatch):
    estimator = DelayEstimator(16000, 160)
    monkeypatch.setattr(np.fft, "rfft", None)
    feed(estimator, np.zeros(16000, np.int16), np.zeros(16000, np.int16), 160)


def test_a_new_delay_replaces_the_old_one():
    first, then = scene(seconds=3), scene(seconds=6, delay_ms=140, seed=2)
    estimator = DelayEstimator(16000, 160)
    feed(estimator, first.near, first.far, 160)
    feed(estimator, then.near, then.far, 160)
    assert estimator.ms == pytest.approx(140, abs=1)


def test_silence_after_playback_changes_nothing():
    heard = scene(seconds=3)
    estimator = DelayEstimator(16000, 160)
    feed(estimator, heard.near, heard.far, 160)
    noise = np.random.default_rng(0).integers(-3, 4, 5 * 16000).astype(np.int16)
    feed(estimator, noise, np.zeros_like(noise), 160)
    assert estimator.ms == pytest.approx(40, abs=1)
