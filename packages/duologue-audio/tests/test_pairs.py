"""Pairs: near[i] belongs to far[i], through any conversion and around every gap."""

import numpy as np
import pytest
from duologue_audio.backend import Captured
from duologue_audio.pairs import Pairer, mono
from hypothesis import given
from hypothesis import strategies as st


def captured(near, far=None, lost=0):
    near = np.asarray(near, np.int16)
    far = near if far is None else np.asarray(far, np.int16)
    return Captured(*(side if side.ndim == 2 else side[:, None] for side in (near, far)), (), lost)


@given(st.lists(st.integers(0, 700), max_size=12), st.sampled_from([16000, 24000, 44100, 48000]), st.integers(100, 500))
def test_both_sides_stay_sample_exact_whatever_the_blocks_and_the_rate(sizes, rate, chunk):
    pairer = Pairer(48000, rate, chunk)
    noise = np.random.default_rng(1).integers(-9000, 9000, sum(sizes)).astype(np.int16)
    at, frame = 0, 0
    for size in sizes:
        for pair in pairer.feed(captured(noise[at : at + size])):
            assert len(pair.near) == len(pair.far) == chunk
            assert (pair.near == pair.far).all()
            assert (pair.frame, pair.lost) == (frame, 0)
            frame += chunk
        at += size
    assert pairer.frame == frame


def test_a_gap_is_counted_with_the_chunk_it_breaks():
    pairer = Pairer(48000, 48000, 100)
    assert len(pairer.feed(captured(np.ones(250)))) == 2
    [pair] = pairer.feed(captured(np.full(100, 2), lost=30))
    assert (pair.frame, pair.lost) == (280, 80)
    assert pair.near.tolist() == [2] * 100
    [after] = pairer.feed(captured(np.ones(100)))
    assert (after.frame, after.lost) == (380, 0)


def test_a_jolt_is_told_once_by_the_next_pair():
    pairer = Pairer(48000, 48000, 100)
    pairer.feed(captured(np.ones(150)))
    pairer.jolted = True
    assert [pair.jolted for pair in pairer.feed(captured(np.ones(250)))] == [True, False, False]


def test_a_gap_keeps_the_time_at_another_rate():
    pairer = Pairer(48000, 16000, 160)
    pairs = pairer.feed(captured(np.zeros(48000)))
    pairs += pairer.feed(captured(np.zeros(48000), lost=48000))
    assert pairs[-1].frame + 160 == pytest.approx(48000, abs=400)
    assert sum(pair.lost for pair in pairs) == pytest.approx(16000, abs=400)


def test_without_a_speaker_the_far_end_is_silence():
    [pair] = Pairer(48000, 48000, 4).feed(captured([5, 6, 7, 8], np.zeros((4, 0))))
    assert pair.far.tolist() == [0, 0, 0, 0]
    assert pair.near.tolist() == [5, 6, 7, 8]


def test_stereo_is_mixed_for_the_canceller_and_kept_where_wanted():
    stereo = [[100, 200], [300, 100]]
    [pair] = Pairer(48000, 48000, 2, wide=True).feed(captured(stereo))
    assert pair.near.tolist() == pair.far.tolist() == [150, 200]
    assert pair.wide.tolist() == stereo
    [narrow] = Pairer(48000, 48000, 2).feed(captured(stereo))
    assert narrow.wide.tolist() == [[150], [200]]
    assert mono(np.array([[32767, 32767]], np.int16), 1).tolist() == [32767]
