"""The page "Realtime Distiller API", line by line: signatures, defaults, and its examples with our names imported."""

import asyncio
import inspect

import numpy as np
import pytest
from duologue.events import AgentChanged, AudioOutputDelta, Interrupted, SessionStarted, TranscriptDelta, TurnComplete
from duologue.testing import Peer, StandIn, virtual_time
from duologue.types import StopReason
from duologue.wire import CommitTurn, NotePlayback, ProviderCommand, SendContent, StopReply
from duologue_audio.testing import MemoryBackend, using_backend
from duologue_distiller import AsyncAIRefinery, DistillerClient, DistillerConnection, DistillerServerCodec
from duologue_distiller import distiller as package
from duologue_distiller.distiller.utils import realtime_helper

from .front import served, served_in_thread

END, CUT = TurnComplete(StopReason.end_turn), TurnComplete(StopReason.interrupted)
SOUND = AudioOutputDelta(np.full(1600, 8000, "<i2").tobytes(), "audio/pcm;rate=16000")
CLIENT = DistillerClient("key-of-a-test")


def said(delta):
    return TranscriptDelta("assistant", delta)


# -- parameters and defaults -------------------------------------------------------------------------------

NO = inspect.Parameter.empty
SIGNATURES = [
    (CLIENT.realtime_distiller.create_project, {"config_path": None, "project": ""}, False),
    (CLIENT.realtime_distiller.download_project, {"project": NO, "project_version": None}, False),
    (CLIENT.realtime_distiller, {"project": NO, "uuid": NO, "executor_dict": None, "project_version": None}, False),
    (DistillerConnection.send_audio_chunk, {"audio_bytes": NO}, True),
    (DistillerConnection.send_text_query, {"text": NO}, True),
    (DistillerConnection.get_responses, {}, False),
    (DistillerConnection.cancel_response, {}, True),
    (DistillerConnection.listen_and_respond, {"sample_rate": 16000, "cancel_event": None}, True),
    (DistillerConnection.send_text_and_respond, {"text": NO, "sample_rate": 16000, "cancel_event": None}, True),
    (DistillerConnection.notify_playback_started, {}, True),
    (DistillerConnection.notify_playback_stopped, {}, True),
    (DistillerConnection.commit_audio, {}, True),
    (DistillerConnection.clear_audio_buffer, {}, True),
]


@pytest.mark.parametrize(("function", "parameters", "awaited"), SIGNATURES)
def test_a_signature_is_the_documents(function, parameters, awaited):
    found = inspect.signature(function).parameters.values()
    positional = {p.name: p.default for p in found if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"}
    assert positional == parameters
    assert inspect.iscoroutinefunction(function) is awaited


def test_names_are_where_they_were():
    assert AsyncAIRefinery is DistillerClient
    assert package.utils.realtime_helper is realtime_helper
    assert realtime_helper.CancelOnKeypress


# -- the events --------------------------------------------------------------------------------------------

ROWS = [
    (SessionStarted(), {"type": "session.created", "capabilities": {"vad_enabled": True}}),
    (TranscriptDelta("user", "Hi"), {"type": "response.audio_transcript.delta", "delta": "Hi"}),
    (TranscriptDelta("user", "Hi", True), {"type": "response.audio_transcript.done", "text": "Hi"}),
    (said("Hi"), {"type": "response.created"}),
    (said("Hi"), {"type": "response.text.delta", "content": "Hi", "role": "assistant"}),
    (AudioOutputDelta(b"\1\2\3"), {"type": "response.audio.delta", "audio": "AQID"}),
    (Interrupted(), {"type": "response.interrupted"}),
    *((END, {"type": f"response.{kind}"}) for kind in ("audio.done", "text.done", "done")),
]


@pytest.mark.parametrize(("event", "message"), ROWS)
def test_a_row_of_the_events_is_yielded_as_it_stands(event, message):
    @virtual_time
    async def run():
        async def brain(peer: Peer):
            await peer.expect(CommitTurn)
            await peer.send(*([] if isinstance(event, SessionStarted) else [event]), END)

        async with served(brain) as front:
            client = AsyncAIRefinery(base_url=front.url)
            async with client.realtime_distiller(project="example", uuid="test") as vc:
                await vc.send_text_query("go")
                assert message in [response async for response in vc.get_responses()]

    run()


SENT = [
    ("response.cancel", lambda vc: vc.cancel_response(), StopReply()),
    ("playback.started", lambda vc: vc.notify_playback_started(), NotePlayback(True)),
    ("playback.stopped", lambda vc: vc.notify_playback_stopped(), NotePlayback(False)),
    ("session.update", lambda vc: vc.send_update(), ProviderCommand("session.update")),
]


@pytest.mark.parametrize(("kind", "call", "command"), SENT, ids=[row[0] for row in SENT])
def test_a_row_that_the_client_sends(kind, call, command):
    frames = []

    class Raw(DistillerServerCodec):
        def decode(self, frame):
            frames.append(frame)
            return super().decode(frame)

    @virtual_time
    async def run():
        async def brain(peer: Peer):
            await peer.send(said("a"))
            assert await peer.next() == command
            await peer.send(END)

        async with served(brain, Raw) as front:
            client = AsyncAIRefinery(base_url=front.url)
            async with client.realtime_distiller(project="example", uuid="test") as vc:
                async for response in vc.get_responses():
                    if response["type"] == "response.created":
                        await call(vc)

    run()
    assert frames == [f'{{"type":"{kind}"}}']


# -- the examples ------------------------------------------------------------------------------------------


def test_creating_and_downloading(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example.yaml").write_text("utility_agents: []\nn: 1\n")
    with served_in_thread(StandIn()) as front:
        monkeypatch.setenv("AIR_BASE_URL", front.url)
        client = AsyncAIRefinery(api_key="key-of-a-test")
        assert client.realtime_distiller.create_project(config_path="example.yaml", project="example") is True
        assert client.realtime_distiller.create_project(config_path="example.yaml", project="example") is True
        project_config = client.realtime_distiller.download_project(project="example", project_version="1")
        assert project_config == {"utility_agents": [], "n": 1}


def example(brain, body):
    """Run the body of an `async with` of the page."""

    @virtual_time
    async def run():
        with using_backend(MemoryBackend()) as _:
            async with served(brain) as front:
                client = AsyncAIRefinery(api_key="key-of-a-test", base_url=front.url)
                async with client.realtime_distiller(project="example", uuid="test") as vc, asyncio.timeout(120):
                    await body(vc)

    run()


async def story(peer: Peer):
    """Tells a story by two agents to each question, written or spoken; a stop skips one of them."""
    while True:
        await peer.expect(SendContent, within=60)
        peer.commands.clear()
        for agent in ("Teller", "Critic"):
            await peer.send(AgentChanged(agent))
            for _ in range(20):
                await peer.send(said("word "), SOUND)
                await asyncio.sleep(0.02)
                if any(isinstance(command, StopReply) for command in peer.commands):
                    break
            peer.commands.clear()
        await peer.send(END)


def test_connecting():
    async def body(vc):
        pass

    example(story, body)


def test_streaming_audio():
    async def body(vc):
        async def audio():
            for _ in range(5):
                yield bytes(640)

        async for audio_chunk in audio():
            await vc.send_audio_chunk(audio_chunk)

    example(story, body)


def test_a_query_and_its_responses(capsys):
    async def body(vc):
        text = "example query"
        await vc.send_text_query(text)
        async for response in vc.get_responses():
            print(response)  # noqa: T201

    example(story, body)
    assert "{'type': 'response.done'}" in capsys.readouterr().out


def test_cancelling_an_answer():
    counts = []

    async def body(vc):
        await vc.send_text_query("Tell me about the solar system")
        should_cancel, pieces = True, 0
        async for response in vc.get_responses():
            if response.get("type") == "response.audio.delta":
                pieces += 1
                if should_cancel:
                    await vc.cancel_response()
        counts.append(pieces)

    example(story, body)
    assert 2 <= counts[0] < 40


@pytest.mark.parametrize("spoken", [True, False])
@pytest.mark.parametrize("cancels", [True, False])
def test_the_wrappers(spoken, cancels, capsys):
    async def respond(vc, **options):
        if spoken:
            await vc.listen_and_respond(sample_rate=16000, **options)
        else:
            await vc.send_text_and_respond(text="example query", sample_rate=16000, **options)

    async def body(vc):
        if not cancels:
            await respond(vc)
            return
        async with realtime_helper.CancelOnKeypress() as cancel_event:
            asyncio.get_running_loop().call_later(0.2, cancel_event.set)  # the space bar
            await respond(vc, cancel_event=cancel_event)
            assert not cancel_event.is_set()

    example(story, body)
    printed = capsys.readouterr().out
    assert printed.startswith("Teller: word")
    assert "\nCritic: word word" in printed
    assert printed.count("word") == 40 or cancels
    assert printed.count("word") < 40 or not cancels


def test_playback_notices():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(SOUND, SOUND, END)
        assert (await peer.expect(NotePlayback)).started
        assert not (await peer.expect(NotePlayback)).started
        assert not any(isinstance(command, NotePlayback) for command in peer.commands)

    async def body(vc):
        await vc.send_text_query("go")
        playback_started = False
        async for response in vc.get_responses():
            if response.get("type") == "response.audio.delta":
                if not playback_started:
                    await vc.notify_playback_started()
                    playback_started = True
            elif response.get("type") == "response.audio.done":
                await vc.notify_playback_stopped()

    example(brain, body)


def test_handling_an_interruption():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(SOUND, SOUND, Interrupted(), CUT)

    async def body(vc):
        await vc.send_text_query("go")
        playback_started = False
        audio_chunks = []
        async for response in vc.get_responses():
            kind = response.get("type")
            if kind == "response.audio.delta":
                audio_chunks.append(response.get("audio"))
                if not playback_started:
                    playback_started = True
                    await vc.notify_playback_started()
            elif kind == "response.interrupted":
                assert len(audio_chunks) == 2
                audio_chunks.clear()
                playback_started = False
            elif kind == "response.done":
                assert not playback_started
                break

    example(brain, body)
