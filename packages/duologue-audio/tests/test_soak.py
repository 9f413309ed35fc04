"""Ten minutes on the rig, and the same in seconds on simulated devices: `just soak`."""

import tracemalloc

import numpy as np
import pytest
from duologue import AudioOutputDelta
from duologue.testing import virtual_time
from duologue_audio import DuplexAudio
from duologue_audio.testing import MemoryBackend


async def carry(audio, seconds):
    """Speak all the time and cut every response; return how many pairs came and how many gaps were between them."""
    count = gaps = 0
    async for pair in audio.pairs():
        assert (pair.near == pair.far).all()  # sample-exact, whatever the device's clock does
        gaps += bool(pair.lost)
        count += 1
        if count % 200 == 0:
            assert audio.stop_speaker().heard_ms <= 4000
            audio.feed_speaker(AudioOutputDelta(np.arange(96000, dtype="<i2").tobytes(), response_id=str(pair.frame)))
        if count * audio.chunk_ms >= seconds * 1000:
            return count, gaps
    raise AssertionError("the microphone ended")


async def minutes(count, watch_memory):
    backend = MemoryBackend(echo_gain=1.0, echo_ms=0, drift_ppm=80)
    async with DuplexAudio(16000, backend=backend) as audio:
        await carry(audio, 10)
        backend.forget()
        if watch_memory:
            tracemalloc.start()
        for _ in range(count):
            assert await carry(audio, 60) == (3000, 0)
            backend.forget()
        if watch_memory:
            grown, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert grown < 1_000_000
        assert audio.stats.mic_dropped == audio.stats.input_overflows == audio.stats.output_underruns == 0


@virtual_time
async def test_a_minute_on_a_simulated_device_loses_nothing():
    await minutes(1, watch_memory=False)


@pytest.mark.soak
@virtual_time
async def test_ten_minutes_on_a_simulated_device_lose_nothing_and_grow_nothing():
    await minutes(10, watch_memory=True)


def delays(near, far):
    """How many frames each second's echo comes after what was played."""
    found = []
    for at in range(0, len(near) - 48000, 48000):
        window = slice(at, at + 48000)
        if np.abs(far[window]).mean() > 500:
            sides = [np.fft.rfft(side[window].astype(float), 1 << 17) for side in (near, far)]
            found.append(int(np.argmax(np.abs(np.fft.irfft(sides[0] * np.conj(sides[1])))[:24000])))
    return found


@pytest.mark.audio
@pytest.mark.parametrize("seconds", [pytest.param(10, id="10s"), pytest.param(600, id="10min", marks=pytest.mark.soak)])
async def test_near_and_far_of_one_stream_do_not_drift(start_rig, seconds):
    start_rig("talker")
    # The server slips by itself when the machine starves it, so one run of three without a slip of ours is asked for.
    for left in (2, 1, 0):
        lost, slips = await drift(seconds)
        if lost == 0 and np.median(slips) == 0 and np.count_nonzero(slips) <= seconds / 5:
            return
        assert left, f"{lost} frames lost; from second to second the delay moved by {slips} frames"


async def drift(seconds):
    """How many frames were lost, and how far the delay of the echo moved from second to second."""
    async with DuplexAudio(chunk_ms=10, latency_ms=60) as audio:
        noise = np.random.default_rng(1).integers(-6000, 6000, 48000 * 60).astype("<i2").tobytes()
        pairs = []
        async for pair in audio.pairs():
            if audio.speaker_pending_bytes() < 480000:
                audio.feed_speaker(AudioOutputDelta(noise, "audio/pcm;rate=48000"))
            pairs.append((pair.near, pair.far, pair.lost))
            if len(pairs) >= seconds * 100 + 200:
                break
    pairs = pairs[200:]
    found = delays(np.concatenate([pair[0] for pair in pairs]), np.concatenate([pair[1] for pair in pairs]))
    assert len(found) >= seconds - 2
    return sum(pair[2] for pair in pairs), np.abs(np.diff(found))
