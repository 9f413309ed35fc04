"""Pairs through a canceller: cut to its frames, gaps told, chunks of the right size."""

import ctypes.util

import numpy as np
import pytest
from duologue import AudioOutputDelta, ConfigurationError
from duologue.testing import virtual_time
from duologue_audio import Cleaner, DuplexAudio, Pair
from duologue_audio.testing import MemoryBackend
from hypothesis import given
from hypothesis import strategies as st


class Subtract:
    """Takes the far end away and writes down what it was told."""

    rate, latency_ms, delay_ms, erle_db = 16000, 0.0, None, 0.0

    def __init__(self, frame=160):
        self.frame = frame
        self.skipped = []
        self.resets = 0

    def process(self, near, far):
        assert len(near) == len(far) == self.frame
        return near - far

    def skip(self, frames):
        self.skipped.append(frames)

    def reset(self):
        self.resets += 1


def pair(near, far, frame=0, lost=0, jolted=False):
    near, far = np.asarray(near, np.int16), np.asarray(far, np.int16)
    return Pair(near, far, frame, lost, near[:, None], jolted)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 12))
def test_every_sample_comes_out_once_in_order_whatever_the_sizes(frame, size, count):
    cleaner = Cleaner(Subtract(frame), 16000, size)
    near = np.arange(size * count).astype(np.int16)
    chunks = []
    for at in range(0, len(near), size):
        chunks += cleaner.feed(pair(near[at : at + size], np.full(size, 1), at))
    assert all(len(chunk) == size for chunk in chunks)
    clean = np.concatenate(chunks) if chunks else near[:0]
    assert clean.tolist() == (near[: len(clean)] - 1).tolist()
    assert len(near) - len(clean) < frame + size


def test_a_gap_is_told_in_the_cancellers_frames():
    canceller = Subtract(160)
    cleaner = Cleaner(canceller, 16000, 200)
    cleaner.feed(pair([0] * 200, [0] * 200))
    cleaner.feed(pair([0] * 200, [0] * 200, 1000, lost=800))
    assert canceller.skipped == [5]  # 800 frames, and the 40 that were too few for the canceller


def test_after_a_jolt_the_canceller_begins_anew_with_whole_frames():
    canceller = Subtract(160)
    cleaner = Cleaner(canceller, 16000, 160)
    cleaner.feed(pair([1] * 100, [0] * 100))
    [clean] = cleaner.feed(pair([2] * 160, [0] * 160, 1000, lost=800, jolted=True))
    assert (canceller.resets, canceller.skipped) == (1, [])
    assert clean.tolist() == [2] * 160
    cleaner.feed(pair([3] * 160, [0] * 160))
    assert canceller.resets == 1


def test_a_jolt_without_a_gap_costs_no_sample():
    canceller = Subtract(160)
    cleaner = Cleaner(canceller, 16000, 160)
    assert cleaner.feed(pair([1] * 100, [0] * 100)) == []
    [clean] = cleaner.feed(pair([2] * 100, [0] * 100, 100, jolted=True))
    assert canceller.resets == 1
    assert clean.tolist() == [1] * 100 + [2] * 60


def test_a_canceller_of_another_rate_is_refused():
    with pytest.raises(ConfigurationError, match=r"16000 Hz .* 48000 Hz"):
        Cleaner(Subtract(), 48000, 960)


speexdsp = pytest.mark.skipif(not ctypes.util.find_library("speexdsp"), reason="libspeexdsp is not installed")


@pytest.mark.parametrize(
    ("echo", "gain"), [("webrtc", 12), pytest.param("speex", 10, marks=[pytest.mark.audio, speexdsp])]
)
def test_the_microphones_chunks_are_cleaned_of_what_the_speaker_plays(echo, gain):
    @virtual_time
    async def level(canceller):
        backend = MemoryBackend(echo_gain=0.3, echo_ms=25)
        async with DuplexAudio(16000, echo=canceller, backend=backend) as audio:
            noise = np.random.default_rng(4).normal(0, 3000, 16000 * 10).astype("<i2").tobytes()
            audio.feed_speaker(AudioOutputDelta(noise, "audio/pcm;rate=16000"))
            heard = []
            async for chunk in audio.mic_chunks():
                assert len(chunk.data) == 640
                heard.append(np.frombuffer(chunk.data, "<i2"))
                if len(heard) == 400:
                    return 20 * np.log10(np.sqrt(np.mean(np.concatenate(heard[250:]).astype(float) ** 2)) + 1)

    assert level(None) - level(echo) > gain
