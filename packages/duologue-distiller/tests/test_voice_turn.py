"""listen_and_respond and send_text_and_respond on a simulated sound card."""

import asyncio
import builtins
import sys

import numpy as np
import pytest
from duologue import AudioBlock, ConnectionLost, DeviceUnavailable, MissingExtra
from duologue.events import (
    AgentChanged,
    AudioOutputDelta,
    Interrupted,
    SpeechStarted,
    TranscriptDelta,
    TurnComplete,
)
from duologue.testing import Peer, virtual_time
from duologue.types import StopReason
from duologue.wire import CommitTurn, NotePlayback, SendContent, StopReply
from duologue_audio.testing import MemoryBackend, using_backend
from duologue_distiller import DistillerServerCodec

from .test_connection import Opened, push_to_talk

END, CUT = TurnComplete(StopReason.end_turn), TurnComplete(StopReason.interrupted)
LOUD = np.full(48000, 9000, np.int16)


def said(delta):
    return TranscriptDelta("assistant", delta)


def sound(seconds, rate=16000, value=8000):
    return AudioOutputDelta(np.full(round(rate * seconds), value, "<i2").tobytes(), f"audio/pcm;rate={rate}")


def heard(backend, value=8000):
    """Seconds for which the loudspeaker gave that value."""
    played = backend.played[:, 0].astype(int)
    return float((np.abs(played - value) < 200).sum()) / backend.rate


async def until_loud(peer):
    while True:
        command = await peer.expect(SendContent)
        if isinstance(command.block, AudioBlock) and np.frombuffer(command.block.data, "<i2").max() > 4000:
            return command.block


# -- typed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [16000, 24000])
def test_a_typed_question_is_played_and_printed(rate, capsys):
    """`sample_rate` is what the speech is played at; playback is told, once at each end."""
    notes = []

    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(TranscriptDelta("user", "What I said", True), AgentChanged("Planner"))
        await peer.send(said("Hello "), sound(0.5, rate), said("you."), sound(0.5, rate), END)
        notes.append(await peer.expect(NotePlayback))
        notes.append(await peer.expect(NotePlayback))

    @virtual_time
    async def run():
        backend = MemoryBackend()
        with using_backend(backend):
            async with Opened(brain) as opened:
                await opened.vc.send_text_and_respond(text="Hi", sample_rate=rate)
                assert abs(heard(backend) - 1.0) < 0.05
                await asyncio.sleep(0.1)

    run()
    assert notes == [NotePlayback(True), NotePlayback(False)]
    assert capsys.readouterr().out == "You: What I said\nPlanner: Hello you.\n"


@virtual_time
async def test_the_default_rate_is_16000():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(sound(1.0), END)

    backend = MemoryBackend()
    with using_backend(backend):
        async with Opened(brain) as opened:
            await opened.vc.send_text_and_respond("Hi")
    assert abs(heard(backend) - 1.0) < 0.05


@virtual_time
async def test_audio_that_ends_with_each_agent_is_played_whole():
    """A server that says `response.audio.done` for each agent makes its own client stop early and spin."""

    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(said("a"), sound(0.3))
        await peer.frame('{"type":"response.audio.done"}')
        await peer.send(AgentChanged("B"), said("b"), sound(0.3), END)

    backend = MemoryBackend()
    with using_backend(backend):
        async with Opened(brain) as opened, asyncio.timeout(10):
            await opened.vc.send_text_and_respond("Hi")
    assert abs(heard(backend) - 0.6) < 0.05


@virtual_time
async def test_an_interruption_stops_playback_and_is_not_followed_by_a_notice():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(sound(5.0))
        assert (await peer.expect(NotePlayback)).started
        await asyncio.sleep(1.0)
        await peer.send(SpeechStarted(), Interrupted(), CUT)
        await asyncio.sleep(2.0)
        assert not any(isinstance(c, NotePlayback) for c in peer.commands)

    backend = MemoryBackend()
    with using_backend(backend):
        async with Opened(brain) as opened:
            await opened.vc.send_text_and_respond("Hi")
            await asyncio.sleep(3.0)
    assert 0.5 < heard(backend) < 1.3


@virtual_time
async def test_cancelling_skips_one_agent_and_clears_the_event_for_the_next():
    cancel = asyncio.Event()

    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(AgentChanged("A"), said("a"), sound(5.0, value=5000))
        await peer.expect(StopReply)
        await peer.send(said("still a"), sound(1.0, value=5000))  # what was under way, and its text
        assert cancel.is_set()
        await peer.send(AgentChanged("B"), said("b"), sound(5.0, value=9000))
        await peer.expect(StopReply)
        await peer.send(AgentChanged("C"), said("c"), sound(0.5, value=12000), END)

    backend = MemoryBackend()

    async def press():
        await asyncio.sleep(1.0)
        cancel.set()
        await asyncio.sleep(1.0)
        assert not cancel.is_set()
        cancel.set()

    with using_backend(backend):
        async with Opened(brain) as opened, asyncio.TaskGroup() as group:
            group.create_task(press())
            await opened.vc.send_text_and_respond("Hi", cancel_event=cancel)
    assert not cancel.is_set()
    assert 0.5 < heard(backend, 5000) < 1.2
    assert 0.5 < heard(backend, 9000) < 1.2
    assert abs(heard(backend, 12000) - 0.5) < 0.05


@virtual_time
async def test_cancelling_the_last_agent_ends_the_response():
    cancel = asyncio.Event()

    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(AgentChanged("A"), said("a"), sound(60.0))
        await peer.expect(StopReply)
        await peer.send(CUT)

    with using_backend(MemoryBackend()):
        async with Opened(brain) as opened:
            asyncio.get_running_loop().call_later(1.0, cancel.set)
            async with asyncio.timeout(5):
                await opened.vc.send_text_and_respond("Hi", cancel_event=cancel)
    assert not cancel.is_set()


@virtual_time
async def test_cancelling_what_only_plays_on_stops_it_and_sends_nothing():
    cancel = asyncio.Event()
    commands = []

    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(sound(60.0), END)
        while True:
            commands.append(await peer.next())

    with using_backend(MemoryBackend()):
        async with Opened(brain) as opened:
            asyncio.get_running_loop().call_later(1.0, cancel.set)
            async with asyncio.timeout(5):
                await opened.vc.send_text_and_respond("Hi", cancel_event=cancel)
    assert not any(isinstance(c, StopReply) for c in commands)


@virtual_time
async def test_the_loop_is_free_while_something_plays():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(sound(10.0))
        await peer.frame('{"type":"PING"}')
        await peer.send(END)

    gaps, over = [], asyncio.Event()

    async def tick():
        loop = asyncio.get_running_loop()
        while not over.is_set():
            before = loop.time()
            await asyncio.sleep(0.01)
            gaps.append(loop.time() - before)

    with using_backend(MemoryBackend()):
        async with Opened(brain) as opened, asyncio.TaskGroup() as group:
            group.create_task(tick())
            await opened.vc.send_text_and_respond("Hi")
            over.set()
    assert max(gaps) < 0.1


@virtual_time
async def test_a_session_that_ends_ends_the_turn():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(sound(1.0))
        await peer.close(1008, "enough")

    with using_backend(MemoryBackend()):
        async with Opened(brain) as opened:
            with pytest.raises(ConnectionLost, match="enough"):
                await opened.vc.send_text_and_respond("Hi")


# -- spoken ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [16000, 24000])
def test_push_to_talk_closes_the_microphone_when_the_response_begins(rate):
    blocks, late = [], []

    async def brain(peer: Peer):
        blocks.append(await until_loud(peer))
        await peer.send(TranscriptDelta("user", "hello", True), said("Hi."), sound(1.0, rate))
        await asyncio.sleep(0.1)
        peer.commands.clear()
        await asyncio.sleep(0.5)
        late.extend(c for c in peer.commands if isinstance(c, SendContent))
        await peer.send(END)

    @virtual_time
    async def run():
        backend = MemoryBackend()
        backend.room.say(LOUD)
        with using_backend(backend):
            async with Opened(brain, push_to_talk) as opened:
                await opened.vc.listen_and_respond(sample_rate=rate)
        assert abs(heard(backend) - 1.0) < 0.05

    run()
    assert len(blocks[0].data) == rate * 2 * 40 // 1000
    assert late == []


@virtual_time
async def test_barge_in_listens_on_and_answers_the_interruption():
    async def brain(peer: Peer):
        await until_loud(peer)
        await peer.send(said("A long story"), sound(20.0, value=5000))
        peer.commands.clear()
        await peer.expect(SendContent)  # it still listens
        await peer.send(Interrupted(), CUT, said("Yes?"), sound(0.5, value=9000), END)

    backend = MemoryBackend()
    backend.room.say(LOUD)
    with using_backend(backend):
        async with Opened(brain) as opened, asyncio.timeout(10):
            await opened.vc.listen_and_respond()
    assert heard(backend, 5000) < 1.0
    assert abs(heard(backend, 9000) - 0.5) < 0.1


@virtual_time
async def test_barge_in_cuts_what_still_plays_when_all_of_it_was_sent():
    notes = []

    async def brain(peer: Peer):
        await until_loud(peer)
        await peer.send(said("A long story"), sound(20.0, value=5000), END)
        notes.append(await peer.expect(NotePlayback))
        await asyncio.sleep(1.0)
        await peer.send(Interrupted(), CUT)
        await asyncio.sleep(0.5)
        await peer.send(said("Yes?"), sound(0.5, value=9000), END)
        notes.extend([await peer.expect(NotePlayback), await peer.expect(NotePlayback)])

    backend = MemoryBackend()
    backend.room.say(LOUD)
    with using_backend(backend):
        async with Opened(brain) as opened, asyncio.timeout(10):
            await opened.vc.listen_and_respond()
            assert opened.vc.on_interrupted is None
    assert 0.5 < heard(backend, 5000) < 1.5
    assert abs(heard(backend, 9000) - 0.5) < 0.1
    assert notes == [NotePlayback(True), NotePlayback(True), NotePlayback(False)]


@pytest.mark.parametrize("ends", [True, False])
@virtual_time
async def test_a_late_interruption_of_a_typed_answer_is_not_taken_for_the_next_answer(ends):
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(sound(20.0, value=5000), END)
        await peer.expect(NotePlayback)
        await asyncio.sleep(1.0)
        await peer.frame('{"type":"response.interrupted"}')
        if ends:
            await peer.frame('{"type":"response.done"}')
        await peer.expect(CommitTurn)
        await peer.send(sound(0.5, value=9000), END)

    backend = MemoryBackend()
    with using_backend(backend):
        async with Opened(brain) as opened, asyncio.timeout(10):
            await opened.vc.send_text_and_respond("Hi")
            await opened.vc.send_text_and_respond("And?")
    assert 0.5 < heard(backend, 5000) < 1.5
    assert abs(heard(backend, 9000) - 0.5) < 0.1


@virtual_time
async def test_a_microphone_that_is_lost_or_missing_ends_the_turn():
    async def brain(peer: Peer):
        await asyncio.sleep(100)

    backend = MemoryBackend()
    backend.unplug()
    for codec in (push_to_talk, DistillerServerCodec):
        with using_backend(backend):
            async with Opened(brain, codec) as opened, asyncio.timeout(10):
                with pytest.raises(DeviceUnavailable):
                    await opened.vc.listen_and_respond()


def test_without_the_audio_package_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "duologue_audio":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    async def brain(peer: Peer):
        await asyncio.sleep(100)

    @virtual_time
    async def run():
        async with Opened(brain) as opened:
            monkeypatch.delitem(sys.modules, "duologue_audio", raising=False)
            monkeypatch.setattr(builtins, "__import__", missing)
            with pytest.raises(MissingExtra, match=r"duologue-distiller\[audio\]"):
                await opened.vc.send_text_and_respond("Hi")
            monkeypatch.undo()

    run()
