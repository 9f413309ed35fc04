"""The PortAudio backend on a real sound server: PulseAudio with null sinks (`scripts/audio_rig.py`)."""

import asyncio
import subprocess
import sys

import numpy as np
import pytest
from duologue import AudioBlock, AudioOutputDelta, DeviceUnavailable
from duologue.testing import assert_no_leaks
from duologue_audio import DeviceGone, DeviceReopened, DuplexAudio, Microphone, Speaker, list_devices
from duologue_audio.blocking import on_thread
from duologue_audio.portaudio import PortAudioBackend

from .tones import pitch, sounding, tone

pytestmark = [pytest.mark.audio, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]


@pytest.fixture(params=["mixer", "callback"])
def backend(request):
    if request.param == "mixer":
        pytest.importorskip("rtmixer", reason="rtmixer has no wheel for this platform")
    return PortAudioBackend(request.param)


async def listen(audio, seconds):
    pairs = []
    async for pair in audio.pairs():
        pairs.append(pair)
        if len(pairs) * audio.chunk_ms >= seconds * 1000:
            return pairs


def side(pairs, name):
    return np.concatenate([getattr(pair, name) for pair in pairs])


async def test_the_microphone_hears_the_speaker_after_a_short_and_steady_delay(start_rig, backend):
    start_rig("talker")
    noise = np.random.default_rng(1).integers(-6000, 6000, 9600).astype("<i2")
    async with assert_no_leaks(within=5), DuplexAudio(chunk_ms=10, backend=backend) as audio:
        await listen(audio, 1.0)  # the server settles
        audio.feed_speaker(AudioBlock(noise.tobytes(), "audio/pcm;rate=48000"))
        pairs = await listen(audio, 1.0)
        assert audio.playback.position().heard_ms == 200
        assert audio.stats.blocks >= 190
    near, far = side(pairs, "near").astype(float), side(pairs, "far").astype(float)
    assert np.abs(sounding(far)).max() > 5000
    match = np.fft.irfft(np.fft.rfft(near, 1 << 18) * np.conj(np.fft.rfft(far, 1 << 18)))
    assert 5 <= np.argmax(np.abs(match)) / 48 <= 100


async def test_a_tone_keeps_its_pitch_from_24_khz_through_the_server_to_16_khz(start_rig, backend):
    start_rig("talker")
    async with DuplexAudio(16000, backend=backend) as audio:
        await listen(audio, 0.5)
        audio.feed_speaker(AudioOutputDelta(tone(440, 24000, 2).tobytes(), response_id="r"))
        await listen(audio, 0.5)
        pairs = await listen(audio, 1.0)
        stopped = await audio.stop_speaker()
        assert 1300 <= stopped <= 1600
        await asyncio.sleep(0.3)
        assert audio.playback.position().heard_ms == stopped
    assert pitch(side(pairs, "near"), 16000) == pytest.approx(440, abs=2)
    assert pitch(side(pairs, "far"), 16000) == pytest.approx(440, abs=2)


async def test_microphone_and_speaker_alone(start_rig):
    start_rig("echo")
    async with Microphone() as microphone, Speaker() as speaker:
        speaker.feed(tone(440, 24000, 4).tobytes())
        blocks = []
        async for block in microphone:
            blocks.append(block.data)
            if len(blocks) == 60:
                break
        assert speaker.playback.position().heard_ms > 500
    heard = np.frombuffer(b"".join(blocks), "<i2")
    assert pitch(heard[-24000:], 24000) == pytest.approx(440, abs=2)


async def test_a_source_that_is_killed_is_reopened_within_two_seconds(start_rig, backend):
    rig = start_rig("caller")
    async with assert_no_leaks(within=5), DuplexAudio(latency_ms=60, backend=backend) as audio:
        await listen(audio, 1.0)
        audio.feed_speaker(AudioOutputDelta(tone(440, 24000, 9).tobytes(), response_id="r"))
        await listen(audio, 0.5)
        events, before = audio.events(), audio.stats.restarts
        rig.kill_source()
        for restarts in (1, 2):  # with another source, and with the old one, which is the default again
            async with asyncio.timeout(8):
                gone = await anext(events)
                back = await anext(events)
            assert isinstance(gone, DeviceGone)
            assert isinstance(back, DeviceReopened)
            assert back.gap < 1.5  # noticing takes half a second before that, or one
            assert audio.stats.restarts == before + restarts
            if restarts == 1:
                await on_thread(rig.revive_source)
        heard = audio.playback.position().heard_ms
        async with asyncio.timeout(5):
            while audio.playback.position().heard_ms < heard + 500:
                pairs = await listen(audio, 0.2)
    assert np.abs(side(pairs, "far")).max() > 5000


async def test_every_block_is_paired_with_what_was_played_in_it_however_often_the_speaker_is_cut(start_rig, backend):
    start_rig("talker")
    random = np.random.default_rng(5)
    async with DuplexAudio(chunk_ms=10, latency_ms=60, backend=backend) as audio:
        await listen(audio, 1.0)
        near, far, delays = [], [], []
        for number in range(20):
            stopped = audio.stop_speaker()
            assert stopped.heard_ms <= 600
            sound = random.integers(-6000, 6000, random.integers(2000, 28800)).astype("<i2").tobytes()
            audio.feed_speaker(AudioOutputDelta(sound, "audio/pcm;rate=48000", str(number)))
            pairs = await listen(audio, 0.3)
            assert audio.playback.position().response_id == str(number)
            near, far = near[-10:] + pairs, far[-10:] + pairs
            sides = [np.fft.rfft(side(near, "near").astype(float), 1 << 16), np.fft.rfft(side(far, "far"), 1 << 16)]
            delays.append(int(np.argmax(np.abs(np.fft.irfft(sides[0] * np.conj(sides[1])))[:9600])))
    slips = np.abs(np.diff(delays))
    assert np.median(slips) == 0
    assert np.count_nonzero(slips > 100) <= 3  # the server slips, too, when the machine starves it


async def test_devices_are_listed(start_rig):
    start_rig("caller")
    devices = list_devices()
    assert {device.name for device in devices} >= {"default", "pulse"}
    assert [device.name for device in devices if device.default_input] == ["default"]
    async with DuplexAudio(device=("pulse", "default")) as audio:
        assert len(await listen(audio, 0.1)) == 5


async def test_a_device_that_does_not_exist_is_named_with_those_that_do(start_rig):
    start_rig("caller")
    with pytest.raises(DeviceUnavailable, match=r"'nowhere'.*'pulse'"):
        async with Microphone(device="nowhere"):
            pass


def test_without_portaudio_the_error_says_what_to_install():
    code = (
        "import ctypes.util, sys\n"
        "ctypes.util.find_library = lambda name: None\n"
        "from duologue_audio import list_devices\n"
        "from duologue import DeviceUnavailable\n"
        "try:\n    list_devices()\nexcept DeviceUnavailable as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "PortAudio" in done.stdout
    assert "install" in done.stdout


def test_the_rig_leaves_nothing(start_rig, rig_script, tmp_path):
    rig = start_rig("leak")
    assert rig.setup == "leak"
    pid = rig.pid
    assert pid
    assert "spk.monitor" in rig.pactl("list", "short", "sources")
    rig.stop()
    assert rig.pid is None
    assert not rig.folder.exists()
    assert not rig_script._is_pulseaudio(pid)
