"""Echo cancellation end to end, on the rig: what the loudspeaker plays is taken out of the microphone."""

import asyncio
import os
import re
from pathlib import Path

import numpy as np
import pytest
from duologue import AudioOutputDelta, MissingExtra
from duologue_audio import DuplexAudio, make_echo_canceller

from .conversation import say

pytestmark = pytest.mark.audio

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "echo-cancellation.md"
OPENED_S = 3.0
"""Until then PortAudio may be opened anew, since it spins, and the canceller would begin anew, too."""
SPEAKS_S = 10.0
SETTLED_S = 6.0
"""From here on the canceller knows the room: speex takes a few seconds."""
QUIETER_DB = 10
"""What is left of the agent is at least so much quieter: far less than in a quiet room, since the rig may stutter."""
KEPT_DB = 6
"""The user loses no more than this."""


def babble(seconds, rate, seed):
    """Noise in syllables, four a second, of frequencies that every rate here can hold."""
    syllables = np.maximum(0, np.sin(2 * np.pi * 4 * np.arange(round(seconds * rate)) / rate))
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(len(syllables)))
    spectrum[np.fft.rfftfreq(len(syllables), 1 / rate) > 6000] = 0
    noise = np.fft.irfft(spectrum, len(syllables))
    return (noise / np.std(noise) * syllables * 4000).clip(-30000, 30000).astype("<i2")


AGENT = babble(SPEAKS_S + 0.5, 24000, seed=1)
USER = babble(1.5, 48000, seed=2)


def energy_db(sound, rate):
    """How much sound there is in all, in dB, whatever the rate."""
    return 10 * np.log10(np.sum(np.square(sound.astype(float))) / rate + 1e-9)


def require(echo):
    """Skip where the canceller is not installed; CI must have it."""
    try:
        make_echo_canceller(echo, 16000)
    except MissingExtra as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


async def talk(audio, clean):
    """Let the agent speak and, once it is silent, the user; return what is left of both, behind `clean`."""
    chunks, seconds = audio.mic_chunks(), 0.0

    async def listen(until):
        nonlocal seconds
        heard = bytearray()
        while seconds < until:
            heard.extend(clean((await anext(chunks)).data))
            seconds += audio.chunk_ms / 1000
        return np.frombuffer(bytes(heard), "<i2")

    await listen(OPENED_S)
    audio.feed_speaker(AudioOutputDelta(AGENT.tobytes(), response_id="r"))
    await listen(OPENED_S + SETTLED_S)
    agent = await listen(OPENED_S + SPEAKS_S)
    await listen(OPENED_S + SPEAKS_S + 1.0)
    speaking = asyncio.create_task(say(USER, "spk"))
    user = await listen(OPENED_S + SPEAKS_S + 4.0)
    await speaking
    return agent, user


def judge(agent, user, rate):
    said = AGENT[round(SETTLED_S * 24000) : round(SPEAKS_S * 24000)]
    assert energy_db(said, 24000) - energy_db(agent, rate) > QUIETER_DB
    assert abs(energy_db(user, rate) - energy_db(USER, 48000)) < KEPT_DB


@pytest.mark.parametrize(("echo", "rate"), [("speex", 16000), ("speex", 48000), ("webrtc", 16000)])
async def test_a_duplex_that_names_a_canceller_hears_the_user_and_not_the_agent(start_rig, echo, rate):
    require(echo)
    start_rig("talker")
    async with DuplexAudio(rate, echo=echo, latency_ms=60) as audio:
        judge(*await talk(audio, bytes), rate)


async def test_the_canceller_of_the_how_to_works_with_speex(start_rig):
    (code,) = (part for part in re.findall(r"```python\n(.*?)```", HOW_TO.read_text(), re.S) if "class OwnC" in part)
    require("speex")
    names = {}
    exec(code, names)
    own = names["OwnCanceller"](48000)
    assert type(own.canceller).__name__ == "SpeexCanceller"
    start_rig("talker")
    async with DuplexAudio(48000, playback_tap=own.playback_tap, latency_ms=60) as audio:
        judge(*await talk(audio, own.clean), 48000)
    assert own.canceller.delay_ms is not None
