"""Resampling: the same whatever the pieces, exact in length, true in pitch."""

from __future__ import annotations

import numpy as np
import pytest
from duologue.errors import UnsupportedFormat
from duologue.rates import Resampler, find_resampler
from duologue_audio.resample import ArrayResampler, SoxrResampler
from hypothesis import given, settings
from hypothesis import strategies as st

ROUTES = [
    (24000, 48000),
    (48000, 24000),
    (48000, 16000),
    (16000, 48000),
    (24000, 44100),
    (44100, 16000),
    (22050, 24000),
]
NOISE = np.random.default_rng(0).integers(-20000, 20000, 12000).astype(np.int16)


def whole(route: tuple[int, int], samples: np.ndarray) -> np.ndarray:
    resampler = ArrayResampler(*route)
    return np.concatenate((resampler.process(samples), resampler.flush()))


def tone(rate: int, seconds: float = 2.0, hz: float = 440.0) -> np.ndarray:
    return (10000 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


@given(
    st.sampled_from([*ROUTES, (16000, 16000)]),
    st.integers(0, len(NOISE)),
    st.lists(st.integers(0, 3000), max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_what_comes_out_does_not_depend_on_the_pieces(route, length, pieces):
    source, resampler, at, out = NOISE[:length], ArrayResampler(*route), 0, []
    for piece in [*pieces, length]:
        out.append(resampler.process(source[at : at + piece]))
        at += piece
        assert resampler.taken == min(at, length)
        assert resampler.given == sum(map(len, out))
        assert resampler.held == pytest.approx(resampler.taken - resampler.given * route[0] / route[1])
    out.append(resampler.flush())
    assert np.array_equal(np.concatenate(out), whole(route, source))


@given(st.sampled_from(ROUTES), st.integers(0, len(NOISE)))
@settings(max_examples=60, deadline=None)
def test_a_stream_has_exactly_its_length(route, length):
    assert len(whole(route, NOISE[:length])) == int(np.floor(length * route[1] / route[0] + 0.5))


@given(st.sampled_from(ROUTES), st.lists(st.integers(0, 700), max_size=12))
@settings(max_examples=40, deadline=None)
def test_bytes_may_be_cut_within_a_sample(route, pieces):
    data, resampler, at, out = NOISE[:3000].tobytes(), SoxrResampler(*route), 0, b""
    for piece in [*pieces, len(data)]:
        out += resampler.process(data[at : at + piece])
        at += piece
    assert out + resampler.flush() == whole(route, NOISE[:3000]).tobytes()


@pytest.mark.parametrize("route", ROUTES)
def test_440_hz_stay_440_hz_at_the_same_strength(route):
    out = whole(route, tone(route[0])).astype(float)
    middle = out[len(out) // 4 : -len(out) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 8 * len(middle)))
    assert np.argmax(spectrum) * route[1] / (8 * len(middle)) == pytest.approx(440, abs=0.2)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(10000 / np.sqrt(2), rel=0.01)


@pytest.mark.parametrize("route", ROUTES)
def test_the_tone_comes_out_where_it_went_in(route):
    source = np.zeros(route[0], np.int16)
    source[route[0] // 2] = 20000
    assert np.argmax(np.abs(whole(route, source))) / route[1] == pytest.approx(0.5, abs=0.0002)


def test_what_the_lower_rate_cannot_hold_is_taken_out():
    out = whole((48000, 16000), tone(48000, hz=9000))
    assert np.abs(out[1600:-1600]).max() <= 1


@pytest.mark.parametrize("route", ROUTES)
def test_it_stays_within_15_ms_of_its_input_and_does_not_drift(route):
    resampler, block = ArrayResampler(*route), route[0] // 100
    held = []
    for _ in range(1500):
        resampler.process(np.zeros(block, np.int16))
        held.append(resampler.held / route[0] * 1000)
    assert max(held) <= 15.1
    assert max(held[100:]) - min(held[100:]) < 1


@pytest.mark.parametrize("route", ROUTES)
def test_silence_stays_silence(route):
    assert not whole(route, np.zeros(5000, np.int16)).any()


def test_samples_are_rounded_not_cut_off():
    source = np.random.default_rng(1).integers(-3, 4, 48000).astype(np.int16)
    out = whole((48000, 44100), source)
    assert np.mean(out != 0) > 0.7  # 0.80; cut off towards zero, it would be 0.61


def test_peaks_are_clipped_not_wrapped():
    square = np.where(np.arange(4800) // 24 % 2, 32767, -32768).astype(np.int16)
    out = whole((48000, 44100), square).astype(int)
    assert out.max() == 32767
    assert out.min() == -32768
    assert np.abs(np.diff(out)).max() < 65536
    middles = out[np.rint((np.arange(40, 160) * 24 + 12) * 44100 / 48000).astype(int)]
    assert np.array_equal(np.sign(middles), np.where(np.arange(40, 160) % 2, 1, -1))


@pytest.mark.parametrize("route", [(48000, 24000), (16000, 16000)])
def test_after_flush_a_new_stream_begins(route):
    resampler = ArrayResampler(*route)
    first = np.concatenate((resampler.process(NOISE), resampler.flush()))
    assert (resampler.taken, resampler.given, resampler.held) == (0, 0, 0)
    assert np.array_equal(np.concatenate((resampler.process(NOISE), resampler.flush())), first)


def test_an_odd_byte_does_not_reach_the_next_stream():
    resampler = SoxrResampler(16000, 16000)
    assert resampler.process(b"\x01\x02\x03") == b"\x01\x02"
    assert resampler.flush() == b""
    assert resampler.process(b"\x04\x05") == b"\x04\x05"


def test_the_same_rate_gives_the_same_samples_in_an_array_of_its_own():
    source = NOISE[:100].copy()
    out = ArrayResampler(48000, 48000).process(source)
    source[:] = 0
    assert np.array_equal(out, NOISE[:100])


def test_channels_stay_apart():
    stereo = np.stack((NOISE, NOISE[::-1]), axis=1)
    resampler = ArrayResampler(48000, 16000, channels=2)
    out = np.concatenate((resampler.process(stereo), resampler.flush()))
    assert np.array_equal(out[:, 0], whole((48000, 16000), NOISE))
    assert np.array_equal(out[:, 1], whole((48000, 16000), NOISE[::-1].copy()))


@pytest.mark.parametrize(
    ("samples", "channels", "message"),
    [
        (np.zeros(10, np.float32), 1, "an array of float32"),
        (b"\0\0", 1, "got bytes"),
        (np.zeros((10, 2), np.int16), 1, r"shape \(10, 2\)"),
        (np.zeros(10, np.int16), 2, r"shape \(10,\)"),
        (np.zeros((), np.int16), 1, r"shape \(\)"),
    ],
)
def test_other_arrays_are_refused(samples, channels, message):
    with pytest.raises(UnsupportedFormat, match=message):
        ArrayResampler(48000, 16000, channels).process(samples)


@pytest.mark.parametrize("rate", [0, -1, 3999, 16000.5, "16000", 1_000_000])
@pytest.mark.parametrize("made", [ArrayResampler, SoxrResampler])
def test_other_rates_are_refused(made, rate):
    for route in ((rate, 16000), (16000, rate)):
        with pytest.raises(UnsupportedFormat, match="is no rate to resample"):
            made(*route)


def test_the_core_finds_one_by_entry_point():
    resampler: Resampler = find_resampler()(24000, 48000)
    assert len(resampler.process(NOISE.tobytes()) + resampler.flush()) == 4 * len(NOISE)
