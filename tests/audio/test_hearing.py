"""The measuring itself, on sounds whose truth is known."""

import numpy as np
import pytest

from .hearing import RATE, cut_of, find, user_onset

BABBLE = np.random.default_rng(5)


def voice(seconds, level=3000):
    """Noise in syllables: loud for 150 ms, silent for 50."""
    size = int(seconds * RATE)
    gate = (np.arange(size) % (RATE // 5)) < RATE * 3 // 20
    return (BABBLE.standard_normal(size) * level * gate).clip(-30000, 30000).astype(np.int16)


def scene(*, heard_s, onset_s=None, lead_s=0.5, user_s=1.0):
    """A recording in which a reply begins at `lead_s` and is cut after `heard_s`, with the user from `onset_s` on."""
    reply, user = voice(8), voice(user_s)
    recording = np.zeros(10 * RATE, np.int16)
    start, heard = int(lead_s * RATE), int(heard_s * RATE)
    recording[start : start + heard] += reply[:heard]
    if onset_s is not None:
        onset = int(onset_s * RATE)
        recording[onset : onset + len(user)] += user
    return recording, reply, user


@pytest.mark.parametrize("heard_s", [2.51, 2.6504, 2.7499])
def test_a_cut_inside_a_sound_is_found_to_a_frame(heard_s):
    recording, reply, user = scene(heard_s=heard_s, onset_s=2.7)
    onset, match = user_onset(recording, user, (2.0, 3.5))
    assert (onset, round(match)) == (int(2.7 * RATE), 1)
    cut = cut_of(recording, reply, user, onset)
    assert cut.silence_ms == pytest.approx((heard_s + 0.5 - 2.7) * 1000, abs=10)
    assert cut.off_ms(heard_s * 1000) == pytest.approx(0, abs=5)
    assert cut.match > 0.9


def test_a_cut_in_a_pause_leaves_open_how_much_was_heard():
    recording, reply, user = scene(heard_s=2.4 + 0.17, onset_s=2.7)
    cut = cut_of(recording, reply, user, int(2.7 * RATE))
    assert cut.silence_ms == pytest.approx((2.55 + 0.5 - 2.7) * 1000, abs=10)
    assert [cut.off_ms(ms) for ms in (2556, 2570, 2598)] == [0, 0, 0]
    assert cut.off_ms(2500) == pytest.approx(-50, abs=10)
    assert cut.off_ms(2650) == pytest.approx(50, abs=10)


def test_a_user_who_is_not_in_the_recording_is_not_taken_out_of_it():
    recording, reply, user = scene(heard_s=2.61)
    cut = cut_of(recording, reply, user, int(2.7 * RATE), apart=True)
    assert cut.silence_ms == pytest.approx((2.61 + 0.5 - 2.7) * 1000, abs=10)


def test_a_reply_that_goes_on_has_no_cut():
    recording, reply, user = scene(heard_s=8, onset_s=2.7)
    assert cut_of(recording, reply, user, int(2.7 * RATE)) is None


def test_a_cut_behind_all_that_was_received_is_the_end_of_it():
    recording, reply, user = scene(heard_s=8, onset_s=2.7)
    received = reply[: int(2.75 * RATE)]
    recording[int(3.25 * RATE) :] = 0
    recording[int(2.7 * RATE) : int(3.7 * RATE)] += user
    cut = cut_of(recording, received, user, int(2.7 * RATE))
    assert cut.silence_ms == pytest.approx(550, abs=10)
    assert cut.off_ms(2750) == pytest.approx(0, abs=5)


def test_a_sound_is_found_where_it_is():
    recording, _, user = scene(heard_s=4, onset_s=5.5)
    assert find(user, recording) == (int(5.5 * RATE), pytest.approx(1.0))
    assert find(voice(1), recording)[1] < 0.1
