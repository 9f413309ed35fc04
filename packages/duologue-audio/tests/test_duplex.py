"""DuplexAudio on simulated devices and a virtual clock."""

import asyncio

import numpy as np
import pytest
from duologue import AudioBlock, AudioOutputDelta, ConfigurationError, LocalProtocolError
from duologue.testing import assert_no_leaks, virtual_time
from duologue_audio import DuplexAudio, Microphone, Speaker, TapFailed, using_backend
from duologue_audio.testing import MemoryBackend

from .tones import pitch, sounding, tone


async def take(iterator, count):
    taken = []
    async for item in iterator:
        taken.append(item)
        if len(taken) == count:
            return taken
    return taken


@pytest.mark.parametrize("device_rate", [16000, 44100, 48000])
@pytest.mark.parametrize("rate", [16000, 24000, 48000])
def test_a_tone_of_24_khz_comes_out_at_440_hz_and_is_heard_at_440_hz(device_rate, rate):
    @virtual_time
    async def run():
        backend = MemoryBackend(rate=device_rate, echo_gain=0.5)
        async with DuplexAudio(rate, backend=backend) as audio:
            audio.feed_speaker(AudioOutputDelta(tone(440, 24000, 1.5).tobytes()))
            pairs = await take(audio.pairs(), 75)
        near = np.concatenate([pair.near for pair in pairs])
        far = np.concatenate([pair.far for pair in pairs])
        played = sounding(backend.played[:, 0])
        assert pitch(played, device_rate) == pytest.approx(440, abs=1)
        assert len(played) == pytest.approx(device_rate * 1.5, rel=0.002)
        assert pitch(near, rate) == pytest.approx(440, abs=1)
        assert pitch(far, rate) == pytest.approx(440, abs=1)

    run()


@virtual_time
async def test_raw_bytes_are_at_the_feed_rate_and_blocks_at_their_own():
    backend = MemoryBackend()
    async with DuplexAudio(feed_rate=16000, backend=backend) as audio:
        audio.feed_speaker(tone(440, 16000, 1).tobytes())
        await asyncio.sleep(2)
        audio.feed_speaker(AudioBlock(tone(880, 8000, 1).tobytes(), "audio/pcm;rate=8000"))
        await asyncio.sleep(2)
    half = len(backend.played) // 2
    assert pitch(sounding(backend.played[:half, 0]), 48000) == pytest.approx(440, abs=1)
    assert pitch(sounding(backend.played[half:, 0]), 48000) == pytest.approx(880, abs=1)


@virtual_time
async def test_calls_are_right_with_and_without_await():
    backend = MemoryBackend()
    async with DuplexAudio(backend=backend) as audio:
        await audio.feed_speaker(bytes(4800))
        audio.feed_speaker(bytes(4800))
        assert audio.speaker_pending_bytes() == 9600
        await asyncio.sleep(0.1)
        stopped = audio.stop_speaker()
        assert await stopped == stopped.heard_ms == 70
        assert audio.speaker_pending_bytes() == 0
        assert await audio.stop_speaker() == 70


@virtual_time
async def test_stop_silences_the_speaker_with_the_devices_next_block():
    backend = MemoryBackend()
    async with DuplexAudio(backend=backend) as audio:
        audio.feed_speaker(AudioOutputDelta(np.full(240000, 5000, "<i2").tobytes(), response_id="r", item_id="i"))
        await asyncio.sleep(1.0)
        audio.stop_speaker()
        assert len(backend.played) == 48000
        await asyncio.sleep(1.0)
        assert not backend.played[48000:].any()
        position = audio.playback.position()
    assert position == ("r", "i", 970)  # the first block began after 10 ms, and 20 ms are in the device


@virtual_time
async def test_ten_minutes_fed_at_once_are_taken_at_once_and_can_be_cut():
    backend = MemoryBackend()
    async with DuplexAudio(backend=backend) as audio:
        loop = asyncio.get_running_loop()
        audio.feed_speaker(AudioOutputDelta(bytes(2) + np.ones(24000 * 600, "<i2").tobytes(), response_id="r"))
        assert audio.speaker_pending_bytes() == pytest.approx(24000 * 1200, abs=4)
        assert audio._line.stream.waiting() >= 24000  # half a second is with the device's ring
        await asyncio.sleep(5)
        assert (audio.stop_speaker().heard_ms, audio.speaker_pending_bytes()) == (4970, 0)
        assert loop.time() < 6


@virtual_time
async def test_stop_at_any_sample_tells_what_was_heard_to_the_millisecond():
    backend = MemoryBackend()
    async with DuplexAudio(backend=backend) as audio:
        for number in range(40):
            began = asyncio.get_running_loop().time()
            audio.feed_speaker(AudioOutputDelta(np.ones(24000, "<i2").tobytes(), response_id=str(number)))
            wait = 0.05 + number * 0.00613
            await asyncio.sleep(wait)
            heard = await audio.stop_speaker()
            elapsed = (asyncio.get_running_loop().time() - began) * 1000
            assert elapsed - 31 <= heard <= elapsed - 19.99
            assert audio.playback.position() == (str(number), "", heard)
            await asyncio.sleep(0.1)


@virtual_time
async def test_odd_pieces_make_one_sound():
    backend = MemoryBackend()
    pcm = tone(440, 24000, 1).tobytes()
    async with DuplexAudio(backend=backend) as audio:
        for at in range(0, len(pcm), 777):
            audio.feed_speaker(AudioOutputDelta(pcm[at : at + 777], response_id="r"))
        await asyncio.sleep(2)
        assert audio.playback.position().heard_ms == 1000
    played = sounding(backend.played[:, 0])
    assert np.abs(np.diff(played.astype(int))).max() < 10000 * 2 * np.pi * 440 / 48000 * 1.2  # no click anywhere


@virtual_time
async def test_the_tail_that_the_converter_holds_is_played_though_nothing_follows():
    backend = MemoryBackend()
    async with DuplexAudio(backend=backend) as audio:
        audio.feed_speaker(AudioOutputDelta(np.full(241, 3000, "<i2").tobytes(), response_id="r"))
        await asyncio.sleep(0.2)
        assert audio.speaker_pending_bytes() == 0
        assert audio.playback.position().heard_ms == 10
    assert np.count_nonzero(backend.played) == pytest.approx(482, abs=40)


@virtual_time
async def test_the_tap_gets_the_far_end_of_each_chunk_before_the_chunk_is_yielded():
    tapped = []
    backend = MemoryBackend(echo_gain=0.0)
    async with DuplexAudio(24000, playback_tap=tapped.append, queue_maxsize=3, backend=backend) as audio:
        audio.feed_speaker(AudioOutputDelta(tone(440, 24000, 5).tobytes()))
        await asyncio.sleep(1.0)  # far more chunks than the queue holds: they are dropped with their reference
        assert tapped == []
        count = 0
        async for chunk in audio.mic_chunks():
            count += 1
            assert len(tapped) == count
            assert len(tapped[-1]) == len(chunk.data) == 960
            if count == 10:
                break
    assert pitch(np.frombuffer(b"".join(tapped[3:]), "<i2"), 24000) == pytest.approx(440, abs=3)


@virtual_time
async def test_a_tap_that_raises_is_switched_off_and_reported():
    def tap(_):
        calls.append(1)
        raise ValueError("no")

    calls = []
    async with DuplexAudio(playback_tap=tap, backend=MemoryBackend()) as audio:
        events = audio.events()
        assert len(await take(audio.mic_chunks(), 5)) == 5
        assert isinstance(await anext(events), TapFailed)
    assert calls == [1]


@virtual_time
async def test_stale_chunks_are_dropped_as_pairs_oldest_first_and_counted():
    backend = MemoryBackend()
    async with DuplexAudio(queue_maxsize=5, backend=backend) as audio:
        await asyncio.sleep(1.001)
        assert audio.stats.mic_dropped == 45
        first, second = await take(audio.pairs(), 2)
        assert (first.frame, first.lost) == (45 * 960, 45 * 960)
        assert (second.frame, second.lost) == (46 * 960, 0)


@virtual_time
async def test_views_open_the_one_stream_and_the_last_exit_closes_it():
    backend = MemoryBackend()
    audio = DuplexAudio(backend=backend)
    async with assert_no_leaks():
        async with audio.mic as mic, audio.speaker as speaker:
            assert len(backend.streams) == 1
            await speaker.feed(np.ones(4800, "<i2").tobytes())
            assert speaker.pending_bytes() == 9600
            assert speaker.stop().heard_ms == 0
            [chunk] = await take(mic, 1)
            assert chunk.media_type == "audio/pcm;rate=48000"
        assert backend.streams[0].alive is False
        async with audio, audio.mic:
            pass
    assert len(backend.streams) == 2
    assert not any(stream.alive for stream in backend.streams)


@virtual_time
async def test_closing_ends_the_iterators_and_forgets_what_waits():
    audio = DuplexAudio(backend=MemoryBackend())
    async with audio:
        reader = asyncio.create_task(take(audio.mic_chunks(), 10**9))
        listener = asyncio.create_task(take(audio.events(), 1))
        audio.feed_speaker(bytes(480000))
        await asyncio.sleep(0.5)
    assert len(await reader) == 25
    assert await listener == []
    with pytest.raises(LocalProtocolError, match="async with"):
        audio.feed_speaker(b"ab")
    with pytest.raises(LocalProtocolError, match="async with"):
        audio.stop_speaker()
    with pytest.raises(LocalProtocolError, match="async with"):
        audio.pairs()
    async with audio:
        assert audio.speaker_pending_bytes() == 0


@virtual_time
async def test_a_second_reader_is_refused():
    async with DuplexAudio(backend=MemoryBackend()) as audio:
        reader = asyncio.create_task(take(audio.mic_chunks(), 5))
        await asyncio.sleep(0.001)
        with pytest.raises(LocalProtocolError, match="reader already"):
            await take(audio.pairs(), 1)
        assert len(await reader) == 5
        assert len(await take(audio.pairs(), 1)) == 1


@virtual_time
async def test_stereo_devices_are_mono_to_the_application_unless_it_asks():
    backend = MemoryBackend(input_channels=2, output_channels=2)
    async with DuplexAudio(channels=2, backend=backend) as audio:
        audio.feed_speaker(AudioOutputDelta(np.full(2400, 700, "<i2").tobytes(), "audio/pcm;rate=48000"))
        [chunk] = await take(audio.mic_chunks(), 1)
    assert len(chunk.data) == 1920
    assert (sounding(backend.played[:, 0]) == 700).all()
    assert (backend.played[:, 0] == backend.played[:, 1]).all()

    backend = MemoryBackend(input_channels=2, output_channels=2)
    async with DuplexAudio(channels=2, mono_io=False, feed_rate=48000, backend=backend) as audio:
        audio.feed_speaker(np.array([[100, -100]] * 2400, "<i2").tobytes())
        [chunk] = await take(audio.mic_chunks(), 1)
        await asyncio.sleep(0.2)
    assert chunk.media_type == "audio/pcm;rate=48000;channels=2"
    assert len(chunk.data) == 3840
    assert (sounding(backend.played[:, 0]) == 100).all()
    assert (sounding(backend.played[:, 1]) == -100).all()


@virtual_time
async def test_sound_without_a_response_begins_anew_after_a_stop_or_a_pause():
    async with DuplexAudio(backend=MemoryBackend()) as audio:
        audio.feed_speaker(bytes(24000))
        await asyncio.sleep(0.4)
        assert audio.stop_speaker().heard_ms == 370
        audio.feed_speaker(bytes(24000))
        await asyncio.sleep(0.2)
        assert audio.playback.position().heard_ms == 170
        audio.feed_speaker(bytes(4800))
        await asyncio.sleep(2)
        assert audio.playback.position().heard_ms == 600
        audio.feed_speaker(bytes(4800))
        await asyncio.sleep(1)
        assert audio.playback.position().heard_ms == 100


@virtual_time
async def test_pairs_do_not_drift_with_a_device_whose_clock_is_off():
    backend = MemoryBackend(echo_gain=1.0, echo_ms=0, drift_ppm=500)
    async with DuplexAudio(16000, chunk_ms=50, backend=backend) as audio:
        audio.feed_speaker(AudioOutputDelta(np.random.default_rng(2).bytes(2 * 16000 * 600), "audio/pcm;rate=16000"))
        frame = 0
        async for pair in audio.pairs():
            assert (pair.near == pair.far).all()
            assert pair.frame == frame
            frame += 800
            if frame >= 16000 * 20:
                break
        assert asyncio.get_running_loop().time() == pytest.approx(20 / 1.0005, abs=0.06)


@virtual_time
async def test_status_flags_are_counted():
    backend = MemoryBackend()
    async with DuplexAudio(backend=backend) as audio:
        await asyncio.sleep(0.101)
        backend.freeze(0.2)
        await asyncio.sleep(0.3)
        stats = audio.stats
    assert (stats.input_overflows, stats.output_underruns, stats.restarts, stats.blocks) == (1, 1, 0, 20)


@virtual_time
async def test_the_pair_behind_an_xrun_is_jolted():
    backend = MemoryBackend()
    async with DuplexAudio(backend=backend) as audio:
        pairs = audio.pairs()
        assert not any(pair.jolted for pair in await take(pairs, 5))
        backend.freeze(0.2)
        assert sum(pair.jolted for pair in await take(pairs, 5)) == 1


@virtual_time
async def test_audio_that_is_opened_again_begins_with_a_jolt_and_without_a_gap():
    audio = DuplexAudio(backend=MemoryBackend())  # a canceller of the application's may have learned the first stream
    for again in (False, True):
        async with audio:
            first, second = await take(audio.pairs(), 2)
        assert (first.frame, first.lost, first.jolted, second.jolted) == (0, 0, again, False)


@virtual_time
async def test_a_jolted_pair_that_is_dropped_leaves_the_jolt_to_the_next():
    backend = MemoryBackend()
    async with DuplexAudio(queue_maxsize=2, backend=backend) as audio:
        backend.freeze(0.1)
        await asyncio.sleep(1.001)
        first, second = await take(audio.pairs(), 2)
        assert (first.jolted, second.jolted) == (True, False)
        assert first.lost == first.frame


@virtual_time
async def test_a_loop_that_stands_still_loses_old_pairs_only_and_says_how_much():
    now = [0.0]
    backend = MemoryBackend(clock=lambda: now[0])
    async with DuplexAudio(backend=backend) as audio:
        now[0] = 5.0  # 500 blocks come due before anybody looks; the ring holds 200
        first = (await take(audio.pairs(), 1))[0]
        assert audio.stats.blocks == 500
        assert audio.stats.input_overflows == 300
        assert first.lost == 300 * 480
        assert audio.stats.mic_dropped == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sample_rate": 100}, "sample_rate=100"),
        ({"chunk_ms": 0}, "chunk_ms=0"),
        ({"queue_maxsize": 0}, "queue_maxsize=0"),
        ({"channels": 3}, "channels=3"),
        ({"feed_rate": -1}, "feed_rate=-1"),
        ({"device": (1, 2, 3)}, "device="),
        ({"latency_ms": 0}, "latency_ms=0"),
        ({"echo": "webrtc", "mono_io": False, "channels": 2}, "mono"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        DuplexAudio(**arguments, backend=MemoryBackend())


@virtual_time
async def test_microphone_and_speaker_alone():
    tapped = []
    backend = MemoryBackend()
    with using_backend(backend):
        microphone, speaker = Microphone(), Speaker(playback_tap=tapped.append)
    async with assert_no_leaks(), microphone as mic, speaker as spk:
        backend.room.say(tone(440, 48000, 1))
        await spk.feed(tone(880, 24000, 1).tobytes())
        blocks = await take(mic, 20)
        assert {block.media_type for block in blocks} == {"audio/pcm;rate=24000"}
        assert {len(block.data) for block in blocks} == {2400}
        assert pitch(np.frombuffer(b"".join(block.data for block in blocks), "<i2"), 24000) == pytest.approx(440, abs=1)
        assert len(tapped) >= 48
        assert {len(block) for block in tapped} == {960}
        assert pitch(np.frombuffer(b"".join(tapped), "<i2"), 24000) == pytest.approx(880, abs=1)
        assert spk.playback.position().heard_ms == pytest.approx(970, abs=10)
        assert spk.stop().heard_ms == pytest.approx(970, abs=10)
        assert spk.pending_bytes() == 0
        assert (mic.stats.mic_dropped, spk.stats.mic_dropped) == (0, 0)
