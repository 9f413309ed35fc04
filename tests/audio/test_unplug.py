"""A microphone that is taken away in the middle of a conversation, on the rig."""

import asyncio

import numpy as np
import pytest
from duologue import RealtimeAgent
from duologue.testing import ContentSent, End, ScriptedTransport, Wait, assert_no_leaks, speech
from duologue_audio import DeviceGone, DeviceReopened, DuplexAudio, VoiceLoop

from .conversation import RATE, recorded, say

pytestmark = [pytest.mark.audio, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

REPLY_MS = 6000
REOPENED_S = 2.0
IN_THE_DEVICE_MS = 300
"""What a device that dies had taken and not played; with PulseAudio's own buffer."""


async def until(true):
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


async def test_both_sides_go_on_and_hear_of_it(start_rig, tmp_path):
    rig = start_rig("caller")
    loop = asyncio.get_running_loop()
    transport = ScriptedTransport([*speech("A long story.", ms=REPLY_MS, response_id="r"), Wait(10), End()])
    audio = DuplexAudio(16000, latency_ms=60)
    voice = VoiceLoop(RealtimeAgent("", transport), audio, cancel_echo=False)
    seen = []

    async def watch(events):
        async for event in events:
            if isinstance(event, DeviceGone | DeviceReopened):
                seen.append((loop.time(), event))

    def loudest():
        contents = [record.content for record in transport.sent[-50:] if isinstance(record, ContentSent)]
        return max(np.abs(np.frombuffer(content.data, "<i2").astype(int)).max() for content in contents)

    async with assert_no_leaks(within=5), recorded("spk", tmp_path / "spk") as recording:
        watching, talking = asyncio.create_task(watch(voice.events())), asyncio.create_task(voice.run())
        await until(lambda: audio.playback.position().heard_ms > 1000)
        seen.clear()  # PortAudio may have been opened anew at the start
        rig.kill_source()
        rig.revive_source()
        gone_at = loop.time()
        await until(lambda: len(seen) == 2)
        (_, gone), (back_at, back) = seen
        assert isinstance(gone, DeviceGone)
        assert isinstance(back, DeviceReopened)
        assert back_at - gone_at < REOPENED_S
        assert loudest() < 1000
        speaking = asyncio.create_task(say(np.full(RATE, 9000, np.int16), "mic_in"))
        await until(lambda: loudest() > 8000)  # the user is heard as before
        await speaking
        await until(lambda: audio.playback.position().heard_ms == REPLY_MS)
        await talking
        await watching
    frames = np.abs(recording.samples().astype(int)[: len(recording.samples()) // 480 * 480].reshape(-1, 480))
    assert REPLY_MS - IN_THE_DEVICE_MS <= np.count_nonzero(frames.max(axis=1) > 500) * 10 <= REPLY_MS + 30
