"""Devices that vanish, freeze or are no longer the default: the conversation goes on."""

import asyncio

import numpy as np
import pytest
from duologue import AudioOutputDelta, DeviceUnavailable
from duologue.testing import assert_no_leaks, virtual_time
from duologue_audio import DeviceGone, DeviceReopened, DuplexAudio
from duologue_audio.testing import MemoryBackend

from .tones import pitch, sounding, tone


async def play_through(trouble, *, rates=(48000, 48000), seconds=3.0):
    """Play a rising tone while `trouble(backend)` happens after a second; return what came of it."""
    backend = MemoryBackend(rate=rates[0])
    async with assert_no_leaks(), DuplexAudio(backend=backend) as audio:
        events, got, frames = audio.events(), [], []

        async def read():
            async for pair in audio.pairs():
                frames.append(pair)

        reader = asyncio.create_task(read())
        audio.feed_speaker(AudioOutputDelta(tone(440, 24000, seconds).tobytes(), response_id="r"))
        await asyncio.sleep(1)
        backend.rate = rates[1]
        trouble(backend)
        for _ in range(2):
            async with asyncio.timeout(5):
                got.append(await anext(events))
        await asyncio.sleep(seconds)
        position, stats = audio.playback.position(), audio.stats
    await reader
    return backend, got, frames, position, stats


def replug_after(seconds):
    def trouble(backend):
        backend.unplug()
        asyncio.get_running_loop().call_later(seconds, backend.plug)

    return trouble


@virtual_time
async def test_a_device_that_vanishes_is_opened_anew_and_nothing_else_is_lost():
    backend, [gone, back], pairs, position, stats = await play_through(replug_after(1.0))
    assert gone == DeviceGone("simulated", "the device stopped")
    assert isinstance(back, DeviceReopened)
    assert back.gap == pytest.approx(1.0, abs=0.3)
    assert (stats.restarts, stats.mic_dropped) == (1, 0)
    # every frame of the answer was played once: 3 s of it in 3 s of sound, and all of it counts as heard
    assert np.count_nonzero(np.abs(backend.played) > 0) == pytest.approx(3 * 48000, rel=0.01)
    assert position == ("r", "", 3000)
    lost = [pair for pair in pairs if pair.lost]
    assert len(lost) == 1
    assert lost[0].lost / 48000 == pytest.approx(back.gap, abs=0.05)
    assert [pair for pair in pairs if pair.jolted] == lost  # another device has another delay
    assert pairs[-1].frame == pytest.approx(48000 * (4 + back.gap), rel=0.02)


@virtual_time
async def test_a_gap_that_no_pair_has_told_of_ends_with_the_stream():
    backend = MemoryBackend()
    audio = DuplexAudio(backend=backend)
    async with audio:
        events = audio.events()
        await asyncio.sleep(0.1)
        backend.unplug()
        assert isinstance(await anext(events), DeviceGone)
        backend.plug()
        assert isinstance(await anext(events), DeviceReopened)
    async with audio:
        first = await anext(audio.pairs())
        assert (first.frame, first.lost) == (0, 0)


@virtual_time
async def test_a_new_default_device_takes_over():
    def trouble(backend):
        backend.default = "headset"

    _, [gone, back], _, position, _ = await play_through(trouble)
    assert gone == DeviceGone("simulated", "another device is the default now")
    assert back.device == "headset"
    assert back.gap < 0.1
    assert position.heard_ms == 3000


@virtual_time
async def test_a_device_that_serves_nothing_any_more_is_replaced_within_two_seconds():
    loop = asyncio.get_running_loop()
    began = loop.time()
    _, [gone, back], _, position, _ = await play_through(lambda backend: backend.freeze(60))
    assert "nothing for 0.5 s" in gone.reason
    assert back.gap < 0.3
    assert loop.time() - began < 1 + 2 + 3
    assert position.heard_ms == 3000


@virtual_time
async def test_a_device_of_another_rate_plays_the_rest_at_the_right_pitch():
    backend, _, pairs, position, _ = await play_through(replug_after(0.3), rates=(48000, 16000))
    tail = sounding(backend.played[-16000 * 2 :, 0])
    assert pitch(tail, 16000) == pytest.approx(440, abs=2)
    assert position.heard_ms == pytest.approx(3000, abs=1)
    assert all(len(pair.near) == 960 for pair in pairs)


@virtual_time
async def test_feeding_and_stopping_are_right_while_there_is_no_device():
    backend = MemoryBackend()
    async with DuplexAudio(backend=backend) as audio:
        audio.feed_speaker(AudioOutputDelta(np.ones(48000, "<i2").tobytes(), response_id="a"))
        await asyncio.sleep(0.5)
        backend.unplug()
        await asyncio.sleep(0.1)
        assert audio.playback.position().heard_ms == 500  # the tail was with the device: it counts
        audio.feed_speaker(AudioOutputDelta(np.ones(4800, "<i2").tobytes(), response_id="a"))
        assert audio.speaker_pending_bytes() == pytest.approx(2 * (48000 + 4800 - 500 * 24), abs=4)
        assert await audio.stop_speaker() == 500
        assert audio.speaker_pending_bytes() == 0
        audio.feed_speaker(AudioOutputDelta(np.full(4800, 7, "<i2").tobytes(), response_id="b"))
        backend.plug()
        await asyncio.sleep(1)
        assert audio.playback.position() == ("b", "", 200)


@virtual_time
async def test_closing_while_there_is_no_device_ends_at_once():
    backend = MemoryBackend()
    loop = asyncio.get_running_loop()
    async with assert_no_leaks():
        async with DuplexAudio(backend=backend):
            await asyncio.sleep(0.5)
            backend.unplug()
            await asyncio.sleep(0.5)
            before = loop.time()
        assert loop.time() - before < 0.1


@virtual_time
async def test_a_device_that_is_not_there_at_the_start_is_an_error():
    backend = MemoryBackend()
    backend.unplug()
    with pytest.raises(DeviceUnavailable, match="no device"):
        async with DuplexAudio(backend=backend):
            pass
    backend.plug()
    with pytest.raises(DeviceUnavailable, match="'other'"):
        async with DuplexAudio(device="other", backend=backend):
            pass


@virtual_time
async def test_a_named_device_is_not_left_for_a_new_default():
    backend = MemoryBackend()
    async with DuplexAudio(device="simulated", backend=backend) as audio:
        backend.default = "headset"
        await asyncio.sleep(5)
        assert audio.stats.restarts == 0


async def trouble_often(latency_ms):
    backend = MemoryBackend()
    async with DuplexAudio(latency_ms=latency_ms, backend=backend) as audio:
        for _ in range(12):
            await asyncio.sleep(0.5)
            for stream in backend.streams:
                if stream.alive:
                    stream.freeze(0.05)
        await asyncio.sleep(1)
        return [round(spec.latency, 3) for spec in backend.specs], audio.stats.output_underruns


@virtual_time
async def test_a_device_that_keeps_running_dry_is_asked_for_more_latency_once():
    assert await trouble_often(None) == ([0.02, 0.06], 12)


@virtual_time
async def test_a_latency_that_was_asked_for_is_kept():
    assert await trouble_often(20) == ([0.02], 12)


@virtual_time
async def test_a_rare_underrun_changes_nothing():
    backend = MemoryBackend()
    async with DuplexAudio(backend=backend) as audio:
        for _ in range(12):
            await asyncio.sleep(5)
            backend.freeze(0.05)
        await asyncio.sleep(1)
        assert (audio.stats.output_underruns, audio.stats.restarts) == (12, 0)


@virtual_time
async def test_a_stream_that_spins_is_given_up_but_not_again_and_again():
    backend = MemoryBackend()
    async with DuplexAudio(backend=backend) as audio:
        events = audio.events()
        for _ in range(10):
            await asyncio.sleep(1)
            backend.streams[-1].strained = True
        assert (await anext(events)).reason == "the audio system spins instead of waiting"
        assert audio.stats.restarts == 4
        await asyncio.sleep(600)
        assert audio.stats.restarts == 5
