"""The transport under an agent: agents of a response, cuts, playback notices, tools, faults, reconnection."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager

import numpy as np
import pytest
from duologue import ConfigurationError, ConnectFailed, ConnectionLost, RealtimeAgent, TextBlock, get_transport, tool
from duologue.blocks import AudioBlock
from duologue.errors import LocalProtocolError, SessionClosed
from duologue.events import (
    AgentChanged,
    AudioOutputDelta,
    Interrupted,
    Problem,
    Reconnected,
    SpeechStarted,
    ToolResult,
    ToolStarted,
    TranscriptDelta,
    TurnComplete,
)
from duologue.testing import Peer, Refusal, StandIn, WireServer, assert_no_leaks, virtual_time
from duologue.transport import TurnDetection
from duologue.types import Message, StopReason
from duologue.wire import AnswerCall, CommitTurn, NotePlayback, SendContent, StopReply
from duologue_audio import DuplexAudio, VoiceLoop
from duologue_audio.testing import MemoryBackend
from duologue_distiller import DistillerServerCodec, DistillerTransport

from .front import served_in_thread
from .kit import transport

END, CUT = TurnComplete(StopReason.end_turn), TurnComplete(StopReason.interrupted)
SOUND = AudioOutputDelta(b"\1\2" * 1600, "audio/pcm;rate=16000")


def said(delta):
    return TranscriptDelta("assistant", delta)


def push_to_talk():
    return DistillerServerCodec(barge_in=False)


@asynccontextmanager
async def talking(brain, codec=DistillerServerCodec, tools=(), agent=None, **options):
    async with assert_no_leaks(), WireServer(codec, brain) as server:
        made = RealtimeAgent(
            "", transport(server, **options), list(tools), output_audio_format="audio/pcm;rate=16000", **(agent or {})
        )
        async with made:
            yield made, server


async def until(agent, kind, seen=None):
    seen = [] if seen is None else seen
    async with asyncio.timeout(60):
        async for event in agent.events():
            seen.append(event)
            if isinstance(event, kind):
                return seen
    raise AssertionError(f"{kind} did not come: {seen}")


@virtual_time
async def test_agents_transcripts_audio_and_the_end_are_events():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(TranscriptDelta("user", "Hi"), TranscriptDelta("user", "", True))
        await peer.send(AgentChanged("A"), said("a"), SOUND, AgentChanged("B"), said("b"), SOUND, END)

    async with talking(brain) as (agent, _):
        await agent.send(TextBlock("Hi"))
        seen = await until(agent, TurnComplete)
        assert [e.role for e in seen if isinstance(e, AgentChanged)] == ["A", "B"]
        assert sum(len(e.data) for e in seen if isinstance(e, AudioOutputDelta)) == 6400
        assert [m.text for m in agent.history if m.role == "assistant"]
        assert seen[-1].stop_reason is StopReason.end_turn


@virtual_time
async def test_an_interruption_skips_one_agent_and_the_next_is_heard():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(AgentChanged("A"), said("a"), SOUND)
        await peer.expect(StopReply)
        await peer.send(SOUND, AgentChanged("B"), said("b"), SOUND, END)

    async with talking(brain) as (agent, _):
        await agent.send(TextBlock("Hi"))
        await until(agent, AudioOutputDelta)
        await agent.interrupt()
        seen = await until(agent, TurnComplete)
        assert sum(isinstance(e, Interrupted) for e in seen) == 1
        assert not any(isinstance(e, AudioOutputDelta) for e in seen)
        seen = await until(agent, TurnComplete)
        assert [type(e) for e in seen if isinstance(e, AgentChanged | AudioOutputDelta)] == [
            AgentChanged,
            AudioOutputDelta,
        ]


@virtual_time
async def test_a_barge_in_is_speech_a_cut_and_the_end():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(said("a"), SOUND, Interrupted(), CUT)

    async with talking(brain) as (agent, _):
        await agent.send(TextBlock("Hi"))
        seen = await until(agent, TurnComplete)
        kinds = [type(e) for e in seen]
        assert kinds.index(SpeechStarted) < kinds.index(Interrupted) < kinds.index(TurnComplete)
        assert seen[-1].stop_reason is StopReason.interrupted


@virtual_time
async def test_push_to_talk_is_the_servers_choice_and_drops_are_counted():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(said("a"))
        await asyncio.sleep(1)
        await peer.send(END)

    for codec, dropped in ((push_to_talk, 3), (DistillerServerCodec, 0)):
        async with talking(brain, codec) as (agent, _):
            await agent.send(TextBlock("Hi"))
            await until(agent, TranscriptDelta)
            for _ in range(3):
                await agent.send(AudioBlock(bytes(640)))
            await until(agent, TurnComplete)
            assert agent.session.input_dropped == dropped


@virtual_time
async def test_a_voice_loop_tells_when_it_plays():
    notes = []

    async def brain(peer: Peer):
        await peer.expect(SendContent)
        await peer.send(said("a"), *[SOUND] * 5, END)
        notes.extend([await peer.expect(NotePlayback), await peer.expect(NotePlayback)])
        await peer.send(said("b"), *[SOUND] * 50)
        notes.append(await peer.expect(NotePlayback))
        await peer.send(Interrupted(), CUT)
        await asyncio.sleep(5)
        assert not any(isinstance(c, NotePlayback) for c in peer.commands)
        await peer.close(1000)

    backend = MemoryBackend()
    backend.room.say(np.full(4800, 9000, np.int16))
    async with assert_no_leaks(), WireServer(DistillerServerCodec, brain) as server:
        agent = RealtimeAgent("", transport(server))
        async with asyncio.timeout(60):
            await VoiceLoop(agent, DuplexAudio(16000, backend=backend), cancel_echo=False).run()
    assert notes == [NotePlayback(True), NotePlayback(False), NotePlayback(True)]


@virtual_time
async def test_every_wait_is_answered():
    @tool(timeout=5)
    async def Weather(city: str) -> str:
        """Tell the weather."""
        if city == "Atlantis":
            raise ValueError("no such city")
        if city == "Limbo":
            await asyncio.sleep(1000)
        return f"sunny in {city}"

    answers = {}

    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        requests = [("Weather", "Rome"), ("Weather", "Atlantis"), ("Weather", "Limbo"), ("Stocks", "X"), (None, "X")]
        for number, (role, city) in enumerate(requests):
            wait = {"role": role, "status": "wait", "request_id": str(number), "kwargs": {"city": city}}
            await peer.frame(json.dumps(wait))
        await peer.frame('{"status":"wait","role":"Weather","request_id":"bad","kwargs":{"town":1}}')
        for _ in range(6):
            answer = await peer.expect(AnswerCall)
            answers[answer.tool_use_id] = answer.content
        await peer.send(said("done"), END)

    async with talking(brain, tools=[Weather]) as (agent, _):
        await agent.send(TextBlock("Hi"))
        seen = await until(agent, TurnComplete)
    assert answers["0"] == "sunny in Rome"
    assert "no such city" in answers["1"]
    assert "error" in answers["2"]
    assert answers["3"] == "Unknown tool: Stocks"
    assert answers["4"] == "Unknown tool: "
    assert answers["bad"].startswith("error")
    assert len([e for e in seen if isinstance(e, ToolResult)]) >= 4


@virtual_time
async def test_faults_of_a_frame_are_problems_and_the_session_goes_on():
    async def brain(peer: Peer):
        for frame in ("[]", '{"type":"response.text.delta","content":7}', '{"type":"error","error":"busy"}'):
            await peer.frame(frame)
        await peer.expect(CommitTurn)
        await peer.send(said("a"), END)

    async with talking(brain) as (agent, _):
        await agent.send(TextBlock("Hi"))
        seen = await until(agent, TurnComplete)
        assert sum(isinstance(e, Problem) for e in seen) == 3


@virtual_time
async def test_a_close_in_mid_response_ends_it_and_the_next_question_goes_over_another_connection():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(said("a"))
        await (peer.close(1011, "restart") if peer.number == 1 else peer.send(END))

    async with talking(brain) as (agent, server):
        await agent.send(TextBlock("one"))
        seen = await until(agent, Reconnected)
        assert [e.stop_reason for e in seen if isinstance(e, TurnComplete)] == [StopReason.error]
        await agent.send(TextBlock("two"))
        assert (await until(agent, TurnComplete))[-1].stop_reason is StopReason.end_turn
        assert len(server.peers) == 2


@virtual_time
async def test_another_place_that_takes_the_user_over_is_not_fought():
    async def brain(peer: Peer):
        await peer.close(1011, "User is already connected")

    async with talking(brain) as (agent, server):
        with pytest.raises(ConnectFailed, match="another uuid"):
            await until(agent, TurnComplete)
        assert len(server.peers) == 1


@virtual_time
async def test_a_silent_server_is_given_up():
    async def brain(peer: Peer):
        peer.freeze()
        await asyncio.sleep(1000)

    async with talking(brain) as (agent, server):
        server.refuse = Refusal(503, "busy")
        async with asyncio.timeout(300):
            with pytest.raises((ConnectFailed, ConnectionLost)):
                await until(agent, TurnComplete)


BEFORE = [Message("user", "My name is Ada."), Message("assistant", "Hello Ada.")]
TOLD = [("user", "My name is Ada."), ("assistant", "Hello Ada.")]


@virtual_time
async def test_what_was_said_before_goes_in_front_of_the_first_typed_turn():
    model = StandIn()
    async with talking(model, agent={"history": BEFORE}) as (agent, _):
        await asyncio.sleep(1)
        assert model.memory.said == []  # nothing that could be said would not ask for a reply
        for text in ("one", "two"):
            await agent.send(TextBlock(text))
            await until(agent, TurnComplete)
        assert model.memory.said == [
            *TOLD,
            ("user", "one"),
            ("assistant", "one"),
            ("user", "two"),
            ("assistant", "two"),
        ]


@virtual_time
async def test_another_connection_is_told_the_conversation():
    model = StandIn()
    async with talking(model, agent={"history": BEFORE}) as (agent, server):
        await agent.send(TextBlock("one"))
        await until(agent, TurnComplete)
        server.peer.abort()
        await until(agent, Reconnected)
        assert model.memory.said == []
        await agent.send(TextBlock("two"))
        await until(agent, TurnComplete)
        assert len(model.memories) == 2
        assert model.memory.said[:4] == [*TOLD, ("user", "one"), ("assistant", "one")]
        assert model.memory.said[4:] == [("user", "two"), ("assistant", "two")]


@virtual_time
async def test_a_question_that_lost_its_link_is_asked_once_more_after_what_was_said_before():
    model = StandIn(pace=0.5)

    async def brain(peer: Peer):
        if peer.number == 1:
            await peer.expect(CommitTurn)
            peer.abort()
        else:
            await model(peer)

    async with talking(brain, agent={"history": BEFORE}) as (agent, _):
        await agent.send(TextBlock("story 2"))
        await until(agent, TurnComplete)
        assert model.memory.said == [*TOLD, ("user", "story 2"), ("assistant", "word0 word1")]


@virtual_time
async def test_the_result_of_a_lost_call_is_told_and_answered():
    began = asyncio.Event()

    @tool
    async def Weather() -> str:
        """Tell the weather."""
        began.set()
        await asyncio.sleep(5)
        return "sunny"

    model = StandIn()
    async with talking(model, tools=[Weather]) as (agent, server):
        await agent.send(TextBlock("call Weather"))
        await until(agent, ToolStarted)
        await began.wait()
        server.peer.abort()
        await until(agent, ToolResult)
        await until(agent, TurnComplete)
        (told,) = [text for who, text in model.memory.said if "sunny" in text and who == "user"]
        assert told == "Result of Weather({}): sunny"
        assert model.answers == []


@pytest.mark.parametrize("detection", [TurnDetection(mode="manual"), None])
@virtual_time
async def test_a_turn_of_audio_that_we_end_goes_as_audio_and_history_waits_for_a_typed_one(detection):
    model = StandIn()
    ours = {"history": BEFORE, "turn_detection": detection}
    async with talking(model, agent=ours) as (agent, _):
        await agent.send(AudioBlock(b"\x10\x27" * 320), respond=True)
        await until(agent, TurnComplete)
        assert model.memory.said[0][0] == "assistant"
        await agent.send(TextBlock("two"))
        await until(agent, TurnComplete)
        assert model.memory.said[1:4] == [*TOLD, ("user", "two")]


@virtual_time
async def test_a_service_that_remembers_is_told_nothing_twice(caplog):
    model = StandIn()
    async with talking(model, agent={"history": BEFORE}, tell_history=False) as (agent, server):
        for text in ("one", "two"):
            await agent.send(TextBlock("by the way"), respond=False)
            await asyncio.sleep(1)
            await agent.send(TextBlock(text))
            await until(agent, TurnComplete)
            server.peer.abort()
            await until(agent, Reconnected)
        assert [memory.said[:1] for memory in model.memories] == [
            [("user", "by the way\n\none")],
            [("user", "by the way\n\ntwo")],
            [],
        ]
    assert "2 messages of history were not told" in caplog.text


@pytest.mark.parametrize("tells", [True, False])
@virtual_time
async def test_text_without_a_question_waits_for_the_next_and_is_bounded(tells):
    model = StandIn()
    async with talking(model, tell_history=tells) as (agent, _):
        await agent.send(TextBlock("by the way"), respond=False)
        await asyncio.sleep(1)
        assert model.memory.said == []
        await agent.send(TextBlock("question"))
        await until(agent, TurnComplete)
        asked = [("user", "by the way"), ("user", "question")] if tells else [("user", "by the way\n\nquestion")]
        assert model.memory.said[:-1] == asked
        with pytest.raises(LocalProtocolError, match="commit"):
            await agent.session.send(TextBlock("x" * (1 << 20) + "x"))
    with pytest.raises(SessionClosed):
        await agent.session.send(TextBlock("x"))


@virtual_time
async def test_closing_answers_a_custom_agent_that_runs():
    answers, began = [], asyncio.Event()

    @tool
    async def Weather() -> str:
        """Tell the weather."""
        began.set()
        await asyncio.sleep(1000)
        return "sunny"

    async def brain(peer: Peer):
        await peer.frame('{"status":"wait","role":"Weather","request_id":"1"}')
        answers.append(await peer.expect(AnswerCall))

    async with talking(brain, tools=[Weather]) as (agent, _):
        await until(agent, ToolStarted)
        await began.wait()
        await agent.close()
    assert [(a.tool_use_id, a.name) for a in answers] == [("1", "Weather")]


@virtual_time
async def test_there_are_no_options():
    async with WireServer(DistillerServerCodec, StandIn()) as server:
        with pytest.raises(ConfigurationError, match="temperature"):
            await transport(server).connect(system="", tools=[], options={"temperature": 1})


def test_it_is_found_by_its_name():
    assert isinstance(get_transport("distiller", project="p", base_url="ws://127.0.0.1:9"), DistillerTransport)


@pytest.mark.parametrize("flags", [("--json", "--text"), ("--json",)])
def test_the_command_holds_a_conversation(flags, tmp_path):
    """`duologue chat` against a server with accounts and sockets; its capture replays."""
    with served_in_thread(StandIn()) as front:
        environment = {**os.environ, "AIR_PROJECT": "example", "API_KEY": "key-of-a-test"}
        capture = tmp_path / "talk.jsonl"
        command = [sys.executable, "-m", "duologue_cli", "chat", "--transport", "distiller", "--base-url", front.url]
        command += [*flags, "--say", "good morning", "--say", "good night", "--record", str(capture)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout.splitlines()[-1])
        first, second = (said.strip() for said in summary["assistant"])
        if "--text" in flags:
            assert (first, second) == ("good morning", "good night")
        else:  # spoken, by the silence at its end
            assert first.startswith("I heard")
            assert second.startswith("I heard")
        assert front.sockets[0][0].startswith("/distiller/realtime/org/example/duologue-")
        assert "key-of-a-test" not in capture.read_text() + done.stderr
        replay = [sys.executable, "-m", "duologue_cli", "replay", str(capture)]
        replayed = subprocess.run(replay, capture_output=True, text=True, timeout=60, check=False)
        assert replayed.returncode == 0, replayed.stderr
