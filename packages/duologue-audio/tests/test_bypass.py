"""A canceller that steps aside: in rooms with an echo never, with headphones soon, and back in time."""

import numpy as np
import pytest
from duologue import UnsupportedFormat
from duologue_audio.bypass import Bypass
from duologue_audio.webrtc import WebRTCCanceller

from .rooms import db, kept, likeness, pcm, run, scene

RATE = 16000
HEADPHONES = {"echo_db": -200.0, "user_db": -26.0}


def bypass(rate=RATE):
    return Bypass(WebRTCCanceller(rate))


def watched(canceller, near, far):
    """What comes out, and at which frames the canceller stood aside."""
    size, clean, aside = canceller.frame, [], []
    for at in range(0, len(near) - size + 1, size):
        clean.append(canceller.process(near[at : at + size], far[at : at + size]))
        aside.append(canceller.aside)
    return np.concatenate(clean), np.array(aside)


@pytest.mark.parametrize(
    "room",
    [
        {},
        {"delay_ms": 300},
        {"delay_ms": 450},
        {"rt60": 0.6},
        {"drive": 3.0},
        {"echo_db": -60.0, "noise_db": -50.0},
        {"echo_db": -75.0},
        {"user_db": -14.0},
        {"delay_ms": 120, "drive": 2.0, "noise_db": -51.0, "user_db": -32.0},
    ],
    ids=str,
)
def test_where_there_is_an_echo_it_is_the_canceller(room):
    heard = scene(seconds=12, **room)
    clean, aside = watched(bypass(), heard.near, heard.far)
    assert not aside.any()
    assert (clean == run(WebRTCCanceller(RATE), heard.near, heard.far)).all()


@pytest.mark.parametrize("seed", range(1, 9))
def test_with_headphones_the_user_is_whole_after_two_seconds(seed):
    heard = scene(seconds=8, seed=seed, **HEADPHONES)
    clean = run(bypass(), heard.near, heard.far)
    voice, left = heard.user[2 * RATE :], clean[2 * RATE :]
    plain = run(WebRTCCanceller(RATE), heard.near, heard.far)[2 * RATE :]
    assert kept(voice, left, RATE) > -2.5
    assert kept(voice, left, RATE) > kept(voice, plain, RATE) + 1
    assert likeness(voice, left, RATE) > 0.9


def test_the_noise_of_a_silent_user_is_enough():
    heard = scene(seconds=4, echo_db=-200, user_db=-26, user_from=2, noise_db=-65)
    clean, aside = watched(bypass(), heard.near, heard.far)
    assert aside[200:].all()
    late = round(WebRTCCanceller(RATE).latency_ms * RATE / 1000)
    assert (clean[2 * RATE + late :] == heard.near[2 * RATE : -late]).all()


@pytest.mark.parametrize("microphone", ["muted", "agent silent"])
def test_what_tells_nothing_changes_nothing(microphone):
    heard = scene(seconds=6, echo_db=-200, user_db=-26)
    near, far = heard.near, heard.far
    if microphone == "muted":
        near = np.zeros_like(near)
    else:
        far = np.zeros_like(far)
    assert not watched(bypass(), near, far)[1].any()


def test_when_an_echo_appears_the_canceller_is_back_within_half_a_second():
    quiet, room = scene(seconds=5, echo_db=-200, noise_db=-65), scene(seconds=5, seed=2)
    near, far = (np.concatenate(sides) for sides in ((quiet.near, room.near), (quiet.far, room.far)))
    clean, aside = watched(bypass(), near, far)
    assert aside[300:500].all()
    assert np.argmin(aside[500:]) <= 60
    assert not aside[560:].any()
    assert db(near[7 * RATE :], clean[7 * RATE :]) > 30


def test_once_there_was_an_echo_it_takes_longer_to_step_aside():
    room, quiet = scene(seconds=4), scene(seconds=8, echo_db=-200, noise_db=-65, seed=2)
    near, far = (np.concatenate(sides) for sides in ((room.near, quiet.near), (room.far, quiet.far)))
    _, aside = watched(bypass(), near, far)
    assert not aside[: 400 + 350].any()
    assert aside[400 + 600 :].all()  # the average forgets the echo within a second


@pytest.mark.parametrize("begin_anew", ["reset", "skip"])
def test_a_stream_that_broke_off_begins_anew(begin_anew):
    heard = scene(seconds=4, **HEADPHONES)
    canceller = bypass()
    run(canceller, heard.near, heard.far)
    assert canceller.aside
    canceller.reset() if begin_anew == "reset" else canceller.skip(3)
    canceller.process(heard.near[:160], heard.far[:160])
    assert not canceller.aside


def test_there_is_no_click_and_no_jump_in_time():
    rate = 48000
    heard = scene(rate, 4, **HEADPHONES)
    tone = pcm(3000 * np.sin(2 * np.pi * 300 * np.arange(len(heard.far)) / rate))
    clean, aside = watched(bypass(rate), tone, heard.far)
    at = int(np.argmax(aside)) * 480
    before, around = (np.abs(np.diff(clean[span].astype(int))).max() for span in (slice(at), slice(at, at + 960)))
    steepest = 3000 * 2 * np.pi * 300 / rate
    assert 0 < at < len(clean) - 960
    assert around <= steepest * 1.1
    assert before <= steepest * 1.5


def test_it_tells_what_its_canceller_tells():
    heard, canceller = scene(seconds=5), bypass()
    run(canceller, heard.near, heard.far)
    inner = canceller.canceller
    assert (canceller.rate, canceller.frame, canceller.latency_ms) == (inner.rate, inner.frame, inner.latency_ms)
    assert (canceller.delay_ms, canceller.erle_db) == (inner.delay_ms, inner.erle_db)
    assert canceller.delay_ms == pytest.approx(40, abs=1)
    with pytest.raises(UnsupportedFormat):
        canceller.process(heard.near[:7], heard.far[:7])
