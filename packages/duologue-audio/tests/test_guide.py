"""The guide to realtime audio: its examples run with our names for its packages, and its tables hold.

The guide's transport is a cloud's; a scripted one takes its place, and simulated devices that of the sound card.
"""

import asyncio
import inspect
import sys
import types

import numpy as np
import pytest
from duologue import AudioOutputDelta, RealtimeAgent, SessionClosed, SpeechStarted, StopReason, Tool, TurnComplete
from duologue.testing import ContentSent, End, ReplyStopped, ScriptedTransport, Wait, assert_no_leaks, virtual_time
from duologue_audio import DuplexAudio, Microphone, Speaker, using_backend
from duologue_audio.testing import MemoryBackend

from .tones import pitch, sounding, tone

REQUIRED = inspect.Parameter.empty
TABLES = {
    Microphone: {"sample_rate": 24000, "chunk_ms": 50, "device": None, "queue_maxsize": 100},
    Speaker: {"sample_rate": 24000, "device": None, "playback_tap": None},
    DuplexAudio: {
        "sample_rate": 48000,
        "chunk_ms": 20,
        "device": None,
        "mono_io": True,
        "queue_maxsize": 100,
        "playback_tap": None,
    },
    RealtimeAgent: {
        "system": REQUIRED,
        "transport": REQUIRED,
        "tools": (),
        "voice": None,
        "input_audio_format": "audio/pcm;rate=16000",
        "output_audio_format": "audio/pcm;rate=24000",
        "raise_on_error": True,
    },
}


@pytest.mark.parametrize(
    ("owner", "name", "default"),
    [
        pytest.param(owner, name, default, id=f"{owner.__name__}-{name}")
        for owner, table in TABLES.items()
        for name, default in table.items()
    ],
)
def test_every_parameter_of_the_tables_has_its_default(owner, name, default):
    found = inspect.signature(owner).parameters[name].default
    assert found == default
    assert type(found) is type(default)


@pytest.mark.parametrize("owner", TABLES)
def test_the_parameters_come_in_the_order_of_the_tables(owner):
    positional = [name for name, p in inspect.signature(owner).parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional[: len(TABLES[owner])] == list(TABLES[owner])


MINIMAL = """
import asyncio
from duologue_audio import Microphone, Speaker
from duologue_google.realtime import GeminiLiveTransport
from duologue.realtime import RealtimeAgent
from duologue.events import AudioOutputDelta, TurnComplete


async def main() -> None:
    transport = GeminiLiveTransport()

    async with (
        RealtimeAgent(system="You are a helpful assistant.", transport=transport) as agent,
        Microphone() as mic,
        Speaker() as spk,
    ):
        async def send_mic() -> None:
            async for chunk in mic:
                await agent.send(chunk)

        async def play_output() -> None:
            async for ev in agent.events():
                if isinstance(ev, AudioOutputDelta):
                    await spk.feed(ev.data)

        await asyncio.gather(send_mic(), play_output())
"""
MICROPHONE = """
from duologue_audio import Microphone


async def main(agent) -> None:
    async with Microphone(sample_rate=24000, chunk_ms=50) as mic:
        async for chunk in mic:
            # chunk is an AudioBlock with PCM16 bytes
            await agent.send(chunk)
"""
SPEAKER = """
from duologue_audio import Speaker
from duologue.events import AudioOutputDelta


async def main(agent) -> None:
    async with Speaker(sample_rate=24000) as spk:
        async for ev in agent.events():
            if isinstance(ev, AudioOutputDelta):
                await spk.feed(ev.data)
        await drained(spk)
"""
DUPLEX = """
import asyncio
from duologue_audio import DuplexAudio
from duologue.events import AudioOutputDelta


async def main(agent) -> None:
    async with DuplexAudio(sample_rate=48000, chunk_ms=20) as duplex:
        async def consume_mic() -> None:
            async for chunk in duplex.mic_chunks():
                await agent.send(chunk)

        async def play_output() -> None:
            async for ev in agent.events():
                if isinstance(ev, AudioOutputDelta):
                    await duplex.feed_speaker(ev.data)

        await asyncio.gather(consume_mic(), play_output())
"""
VIEWS = DUPLEX.replace("duplex.mic_chunks()", "duplex.mic").replace("duplex.feed_speaker", "duplex.speaker.feed")
INTERRUPTIONS = """
from duologue_audio import Speaker
from duologue.events import AudioOutputDelta, SpeechStarted


async def main(agent) -> None:
    async with Speaker() as spk:
        async for ev in agent.events():
            match ev:
                case SpeechStarted():
                    spk.stop()                 # clear speaker buffer
                    await agent.interrupt()    # cancel tools, stop generation
                case AudioOutputDelta(data=pcm):
                    spk.feed(pcm)
"""


async def drained(speaker):
    while speaker.pending_bytes():
        await asyncio.sleep(0.01)


def defined(code):
    """The `main` of an example."""
    names = {"drained": drained}
    exec(code, names)
    return names["main"]


def spoken(seconds=1.0):
    """A transport that says a tone of 440 Hz in pieces, waits until it can have been heard, and ends."""
    pcm = tone(440, 24000, seconds).tobytes()
    pieces = [AudioOutputDelta(pcm[at : at + 1900], response_id="r") for at in range(0, len(pcm), 1900)]
    return ScriptedTransport([*pieces, TurnComplete(StopReason.end_turn, response_id="r"), Wait(seconds + 0.5), End()])


def heard(backend):
    sound = sounding(backend.played[:, 0])
    return round(pitch(sound, backend.rate)), round(len(sound) / backend.rate, 2)


def sent(transport):
    """Media type and length in ms of the chunks that reached the session."""
    contents = [record.content for record in transport.sent if isinstance(record, ContentSent)]
    return {(c.media_type, len(c.data) // 32) for c in contents}


@virtual_time
async def test_the_minimal_example_listens_and_speaks(monkeypatch):
    transport, backend = spoken(), MemoryBackend()
    google = types.ModuleType("duologue_google.realtime")
    google.GeminiLiveTransport = lambda: transport
    monkeypatch.setitem(sys.modules, "duologue_google", types.ModuleType("duologue_google"))
    monkeypatch.setitem(sys.modules, "duologue_google.realtime", google)
    async with assert_no_leaks():
        with using_backend(backend), pytest.raises(SessionClosed):  # the microphone is sent until the session is over
            await defined(MINIMAL)()
    assert heard(backend) == (440, 1.0)
    assert {media_type for media_type, _ in sent(transport)} == {"audio/pcm;rate=16000"}


@pytest.mark.parametrize("code", [DUPLEX, VIEWS], ids=["duplex", "views"])
def test_the_duplex_example_listens_and_speaks(code):
    @virtual_time
    async def run():
        transport, backend = spoken(), MemoryBackend(echo_gain=0.5)
        async with RealtimeAgent("", transport) as agent:
            with using_backend(backend), pytest.raises(SessionClosed):
                await defined(code)(agent)
        assert heard(backend) == (440, 1.0)
        mono = np.frombuffer(b"".join(r.content.data for r in transport.sent if isinstance(r, ContentSent)), "<i2")
        assert pitch(sounding(mono), 16000) == pytest.approx(440, abs=1)

    run()


@virtual_time
async def test_the_microphone_example_sends_chunks():
    transport = spoken()
    async with RealtimeAgent("", transport, input_audio_format="audio/pcm;rate=24000") as agent:
        reader = asyncio.create_task(read(agent))
        with using_backend(MemoryBackend()), pytest.raises(SessionClosed):
            await defined(MICROPHONE)(agent)
        await reader
    assert len([r for r in transport.sent if isinstance(r, ContentSent)]) >= 25


@virtual_time
async def test_the_speaker_example_plays():
    backend = MemoryBackend()
    async with RealtimeAgent("", spoken()) as agent:
        with using_backend(backend):
            await defined(SPEAKER)(agent)
    assert heard(backend) == (440, 1.0)


@virtual_time
async def test_the_example_of_an_interruption_silences_the_speaker_at_once():
    pcm = tone(440, 24000, 3).tobytes()
    reply = AudioOutputDelta(pcm, response_id="r")
    transport = ScriptedTransport([reply, Wait(1.0), SpeechStarted(), Wait(1.0), End()])
    backend = MemoryBackend()
    async with RealtimeAgent("", transport) as agent:
        with using_backend(backend):
            await defined(INTERRUPTIONS)(agent)
    assert heard(backend) == (440, pytest.approx(1.0, abs=0.02))
    assert any(isinstance(record, ReplyStopped) for record in transport.sent)


def test_the_agent_of_the_guide_is_made():
    agent = RealtimeAgent(
        system="You are a helpful assistant.",
        transport=spoken(),
        tools=[Tool(name="my_tool", handler=lambda: "done")],
        voice="Aoede",
        input_audio_format="audio/pcm;rate=16000",
        output_audio_format="audio/pcm;rate=24000",
    )
    assert agent.voice == "Aoede"


async def read(agent):
    async for _ in agent.events():
        pass
