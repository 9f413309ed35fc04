"""A microphone that is taken away in the middle of a conversation, on the rig."""

import asyncio

import numpy as np
import pytest
from duologue import RealtimeAgent
from duologue.testing import ContentSent, End, ScriptedTransport, Wait, assert_no_leaks, speech
from duologue_audio import DeviceGone, DeviceReopened, DuplexAudio, VoiceLoop
from duologue_audio.blocking import on_thread

from .conversation import RATE, say

pytestmark = [pytest.mark.audio, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

REPLY_MS = 6000
REOPENED_S = 2.0


async def until(true):
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


async def test_both_sides_go_on_and_hear_of_it(start_rig):
    rig = start_rig("caller")
    loop = asyncio.get_running_loop()
    transport = ScriptedTransport([*speech("A long story.", ms=REPLY_MS, response_id="r"), Wait(10), End()])
    played = []
    audio = DuplexAudio(16000, latency_ms=60, playback_tap=played.append)
    voice = VoiceLoop(RealtimeAgent("", transport), audio, cancel_echo=False)
    seen = []

    async def watch(events):
        async for event in events:
            if isinstance(event, DeviceGone | DeviceReopened):
                seen.append((loop.time(), event))

    def loudest():
        contents = [record.content for record in transport.sent[-50:] if isinstance(record, ContentSent)]
        return max(np.abs(np.frombuffer(content.data, "<i2").astype(int)).max() for content in contents)

    async with assert_no_leaks(within=5):
        watching, talking = asyncio.create_task(watch(voice.events())), asyncio.create_task(voice.run())
        await until(lambda: audio.playback.position().heard_ms > 1000)
        rig.kill_source()
        gone_at = loop.time()
        await until(lambda: len(seen) == 2)
        (_, gone), (back_at, back) = seen
        assert isinstance(gone, DeviceGone)
        assert isinstance(back, DeviceReopened)
        assert back_at - gone_at < REOPENED_S
        await on_thread(rig.revive_source)
        await until(lambda: len(seen) == 4)  # it is the default again
        await until(lambda: loudest() < 1000)
        speaking = asyncio.create_task(say(np.full(RATE, 9000, np.int16), "mic_in"))
        await until(lambda: loudest() > 8000)  # the user is heard as before
        await speaking
        await until(lambda: audio.playback.position().heard_ms == REPLY_MS)
        await talking
        await watching
    loud = np.abs(np.frombuffer(b"".join(played), "<i2").astype(int)).reshape(-1, 160).max(axis=1) > 500
    assert np.count_nonzero(loud) * 10 == pytest.approx(REPLY_MS, abs=80)  # each device was given its part, once
