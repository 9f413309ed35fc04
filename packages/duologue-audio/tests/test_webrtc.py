"""The canceller of WebRTC: what is its own."""

from __future__ import annotations

import numpy as np
import pytest
from duologue_audio.webrtc import WebRTCCanceller

from .rooms import db, level, pcm, run, scene


@pytest.mark.parametrize(("rate", "frame"), [(16000, 160), (24000, 240), (44100, 441), (48000, 480)])
def test_a_frame_is_10_ms(rate, frame):
    assert WebRTCCanceller(rate).frame == frame


def test_noise_is_no_echo_and_stays():
    noise = pcm(level(np.random.default_rng(0).standard_normal(5 * 16000), -40))
    clean = run(WebRTCCanceller(16000), noise, np.zeros_like(noise))
    assert abs(db(noise[32000:], clean[32000:])) < 1.5


def test_a_quiet_voice_is_not_made_louder():
    heard = scene(seconds=5, echo_db=-200, user_db=-50)
    clean = run(WebRTCCanceller(16000), heard.near, np.zeros_like(heard.near))
    assert abs(db(heard.near[32000:], clean[32000:])) < 2


def test_it_follows_the_delay_when_it_jumps():
    first, then = scene(seconds=5), scene(seconds=12, delay_ms=140, seed=2)
    canceller = WebRTCCanceller(16000)
    run(canceller, first.near, first.far)
    clean = run(canceller, then.near, then.far)
    assert canceller.delay_ms == pytest.approx(140, abs=2)
    assert db(then.near[5 * 16000 :], clean[5 * 16000 :]) > 30


@pytest.mark.parametrize(("lost", "known"), [(0, True), (2, False)])
def test_a_gap_begins_a_new_search_for_the_delay(lost, known):
    heard = scene(seconds=4)
    canceller = WebRTCCanceller(16000)
    run(canceller, heard.near[:16000], heard.far[:16000])
    canceller.skip(lost)
    run(canceller, heard.near[16000:16480], heard.far[16000:16480])
    assert (canceller.delay_ms is not None) is known
