"""Whole sessions, agent to server, over real sockets on virtual time."""

import asyncio
import contextlib
import json

import pytest
from duologue import (
    AudioBlock,
    AudioOutputDelta,
    ConfigurationError,
    ConnectFailed,
    Interrupted,
    Message,
    Problem,
    ProviderEvent,
    RealtimeAgent,
    Reconnected,
    Reconnecting,
    SpeechStarted,
    SpeechStopped,
    StopReason,
    TextBlock,
    ToolResult,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
    TurnDetection,
    tool,
)
from duologue.testing import Peer, Refusal, StandIn, WireServer, assert_no_leaks, virtual_time
from duologue.wire import (
    AddMessage,
    AnswerCall,
    CommitTurn,
    LinkPolicy,
    SendContent,
    StopReply,
    Truncate,
    UpdateSession,
)
from duologue_openai import OpenAIRealtimeTransport, OpenAIServerCodec, OpenAISession

PIECE = b"\1\0" * 960


class Talk:
    """An agent and what it saw."""

    def __init__(self, agent, server):
        self.agent, self.server = agent, server
        self.seen = []
        self.moved = asyncio.Event()

    async def read(self):
        async for event in self.agent.events():
            self.seen.append(event)
            self.moved.set()

    async def until(self, wanted, count=1):
        test = wanted if not isinstance(wanted, type) else lambda e: isinstance(e, wanted)
        async with asyncio.timeout(60):
            while True:
                found = [e for e in self.seen if test(e)]
                if len(found) >= count:
                    return found[count - 1]
                self.moved.clear()
                await self.moved.wait()

    def of(self, kind):
        return [e for e in self.seen if isinstance(e, kind)]


@contextlib.asynccontextmanager
async def talk(brain, *, tools=(), agent=None, **transport):
    async with assert_no_leaks(), WireServer(OpenAIServerCodec, brain) as server:
        reached = OpenAIRealtimeTransport("sk-secret-key", base_url=server.url, **transport)
        async with RealtimeAgent("Be brief.", reached, list(tools), **(agent or {})) as made:
            scene = Talk(made, server)
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(scene.read())
                try:
                    yield scene
                finally:
                    await made.close()
                    await reading


def model(**settings):
    return StandIn(resumable=False, tells_results=False, **settings)


@tool
async def clock(city: str) -> str:
    """Tell the time."""
    return f"noon in {city}"


# -- tools -------------------------------------------------------------------------------------------------


@virtual_time
async def test_parallel_calls_are_answered_each_and_asked_about_once():
    stand_in = model()
    async with talk(stand_in, tools=[clock]) as scene:
        await scene.agent.send(TextBlock('call clock {"city": "Oslo"}\ncall clock {"city": "Rome"}'))
        await scene.until(TurnComplete, 2)
        assert [e.is_error for e in scene.of(ToolResult)] == [False, False]
        assert len(stand_in.answers) == 2
        assert [e.stop_reason for e in scene.of(TurnComplete)] == [StopReason.tool_use, StopReason.end_turn]
        assert scene.of(Problem) == []


# -- interruption ------------------------------------------------------------------------------------------


@virtual_time
async def test_an_interruption_cancels_and_truncates_to_what_was_heard():
    async def brain(peer: Peer) -> None:
        await peer.expect(CommitTurn)
        for _ in range(10):
            await peer.send(AudioOutputDelta(PIECE, response_id="r1", item_id="i1"))
        await peer.expect(StopReply)
        await peer.send(TurnComplete(StopReason.interrupted, response_id="r1"))
        cuts.append(await peer.expect(Truncate))

    cuts: list[Truncate] = []
    async with talk(brain) as scene:
        await scene.agent.send(TextBlock("go"))
        await scene.until(AudioOutputDelta, 10)
        await scene.agent.interrupt(heard_ms=250)
        await scene.until(lambda e: isinstance(e, ProviderEvent) and e.kind == "conversation.item.truncated")
        assert cuts == [Truncate("i1", 250)]
        assert [e.heard_ms for e in scene.of(Interrupted)] == [250]
        assert scene.of(Problem) == []


@virtual_time
async def test_in_the_playback_tail_nothing_is_cancelled_and_the_tail_is_cut():
    """The reply is done while the speaker still plays; the user speaks."""

    async def brain(peer: Peer) -> None:
        await peer.expect(CommitTurn)
        for _ in range(10):
            await peer.send(AudioOutputDelta(PIECE, response_id="r1", item_id="i1"))
        await peer.send(TurnComplete(StopReason.end_turn, response_id="r1"), SpeechStarted())
        told.append(await peer.expect(Truncate))
        told.extend(c for c in peer.commands if isinstance(c, StopReply))

    told: list[object] = []
    async with talk(brain) as scene:
        await scene.agent.send(TextBlock("go"))
        await scene.until(SpeechStarted)
        await scene.agent.interrupt(heard_ms=100)
        await scene.until(lambda e: isinstance(e, ProviderEvent) and e.kind == "conversation.item.truncated")
        assert told == [Truncate("i1", 100)]
        assert scene.of(Problem) == []


@virtual_time
async def test_before_anything_was_heard_a_cut_says_zero_and_nothing_more_than_was_received():
    async def brain(peer: Peer) -> None:
        await peer.expect(CommitTurn)
        await peer.send(AudioOutputDelta(PIECE, response_id="r1", item_id="i1"))
        cuts.append(await peer.expect(Truncate))
        await peer.send(TurnComplete(StopReason.interrupted, response_id="r1"))

    cuts: list[Truncate] = []
    async with talk(brain) as scene:
        await scene.agent.send(TextBlock("go"))
        await scene.until(AudioOutputDelta)
        await scene.agent.interrupt(heard_ms=0)
        await scene.until(TurnComplete)
        assert cuts == [Truncate("i1", 0)]


@virtual_time
async def test_a_cut_before_the_reply_began_cancels_it_when_it_begins():
    async def brain(peer: Peer) -> None:
        await peer.expect(CommitTurn)
        await peer.expect(StopReply)
        await peer.send(TurnComplete(StopReason.interrupted, response_id="r1"))
        await peer.expect(CommitTurn)
        await peer.send(AudioOutputDelta(PIECE, response_id="r2", item_id="i2"))
        await peer.send(TurnComplete(StopReason.end_turn, response_id="r2"))

    async with talk(brain) as scene:
        await scene.agent.send(TextBlock("go"))
        await scene.agent.interrupt()
        await scene.until(TurnComplete)
        await scene.agent.send(TextBlock("again"))
        await scene.until(lambda e: isinstance(e, TurnComplete) and e.stop_reason is StopReason.end_turn)
        assert scene.of(Problem) == []


@virtual_time
async def test_a_request_that_crosses_the_servers_own_reply_is_not_lost():
    """The server answers speech by itself at the very moment the user types."""

    async def brain(peer: Peer) -> None:
        await peer.send(SpeechStarted(), SpeechStopped())
        await peer.expect(SendContent)
        await peer.send(AudioOutputDelta(PIECE, response_id="own", item_id="i1"))
        await asyncio.sleep(1)
        await peer.send(TurnComplete(StopReason.end_turn, response_id="own"))
        await peer.expect(CommitTurn)
        await peer.send(AudioOutputDelta(PIECE, response_id="asked", item_id="i2"))
        await peer.send(TurnComplete(StopReason.end_turn, response_id="asked"))

    async with talk(brain) as scene:
        await scene.agent.send(TextBlock("and this"))
        await scene.until(TurnComplete, 2)
        assert scene.of(Problem) == []


# -- transcripts and history -------------------------------------------------------------------------------


@virtual_time
async def test_what_the_user_said_stands_before_the_reply_though_its_text_comes_after():
    async def brain(peer: Peer) -> None:
        await peer.expect(UpdateSession)
        await peer.send(
            SpeechStarted("u1"),
            SpeechStopped("u1"),
            TranscriptDelta("assistant", "Hello.", item_id="i1", response_id="r1"),
            AudioOutputDelta(PIECE, response_id="r1", item_id="i1"),
            TurnComplete(StopReason.end_turn, response_id="r1"),
            TranscriptDelta("user", "Good ", item_id="u1"),
            TranscriptDelta("user", "morning.", final=True, item_id="u1"),
        )

    async with talk(brain) as scene:
        heard = await scene.until(lambda e: isinstance(e, TranscriptDelta) and e.role == "user" and e.final)
        assert heard.item_id
        assert heard.started_at is not None
        assert [(m.role, m.text) for m in scene.agent.history] == [("user", "Good morning."), ("assistant", "Hello.")]


@virtual_time
async def test_in_manual_mode_too():
    async def brain(peer: Peer) -> None:
        await peer.expect(CommitTurn)
        await peer.send(
            TranscriptDelta("assistant", "Hello.", item_id="i1", response_id="r1"),
            TurnComplete(StopReason.end_turn, response_id="r1"),
            TranscriptDelta("user", "Good morning.", final=True),
        )

    async with talk(brain, agent={"turn_detection": TurnDetection("manual")}) as scene:
        await scene.agent.send(AudioBlock(bytes(9600), "audio/pcm;rate=24000"))
        await scene.agent.commit()
        await scene.until(lambda e: isinstance(e, TranscriptDelta) and e.role == "user" and e.final)
        assert [m.role for m in scene.agent.history] == ["user", "assistant"]


# -- the hour ----------------------------------------------------------------------------------------------


@virtual_time
async def test_before_the_hour_is_over_another_connection_takes_up_the_items():
    stand_in = model()
    async with talk(stand_in) as scene:
        await scene.agent.send(TextBlock("my name is Ada"))
        await scene.until(TurnComplete)
        await asyncio.sleep(3560)
        back = await scene.until(Reconnected)
        assert not back.resumed
        await scene.agent.send(TextBlock("and now"))
        await scene.until(TurnComplete, 2)
        assert [who for who, _ in stand_in.memory.said] == ["update", "user", "assistant", "user", "assistant"]
        assert stand_in.memory.said[1] == ("user", "my name is Ada")
        assert len(scene.of(Reconnecting)) == 1


@virtual_time
async def test_an_expired_session_is_made_anew():
    from duologue.events import Error

    async def brain(peer: Peer) -> None:
        if peer.number == 1:
            await peer.expect(CommitTurn)
            message = "Your session hit the maximum duration of 60 minutes."
            await peer.send(Error(ConnectFailed(message, code="session_expired")))
            await peer.close(1001, message)
        else:
            await model()(peer)

    async with talk(brain) as scene:
        await scene.agent.send(TextBlock("are you there"))
        await scene.until(TurnComplete)
        assert len(scene.of(Reconnected)) == 1
        assert "60 minutes" in scene.of(Reconnecting)[0].reason


@virtual_time
async def test_a_history_is_told_with_its_calls():
    told = []

    async def brain(peer: Peer) -> None:
        told.append(await peer.expect(SendContent))
        told.append(await peer.expect(AddMessage))

    history = [Message("user", "hi"), Message("assistant", "hello")]
    async with talk(brain, agent={"history": history}) as scene:
        while len(told) < 2:
            await asyncio.sleep(0.01)
        assert told[1].message.text == "hello"
        assert scene.of(Problem) == []


# -- settings, keys, refusals ------------------------------------------------------------------------------


@virtual_time
async def test_settings_arrive_and_can_be_changed():
    stand_in = model()
    async with talk(
        stand_in, agent={"voice": "cedar", "options": {"speed": 1.1}}, noise_reduction="near_field"
    ) as scene:
        session = scene.agent.session
        fields = scene.server.peer.codec._session.fields
        assert fields["audio"]["output"]["voice"] == "cedar"
        assert fields["audio"]["output"]["speed"] == 1.1
        assert fields["audio"]["input"]["noise_reduction"] == {"type": "near_field"}
        assert fields["instructions"] == "Be brief."
        await session.update(
            system="Be long.", tools=[clock], turn_detection=TurnDetection("semantic", interrupt=False)
        )
        await scene.until(lambda e: isinstance(e, ProviderEvent) and e.kind == "session.updated", 2)
        assert fields["instructions"] == "Be long."
        assert fields["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"
        assert fields["tools"][0]["name"] == "clock"


@virtual_time
async def test_a_rejected_update_is_a_problem_and_the_session_goes_on():
    stand_in = model()
    async with talk(stand_in) as scene:
        await scene.agent.send(TextBlock("hi"))
        await scene.until(TurnComplete)
        session = scene.agent.session
        assert isinstance(session, OpenAISession)
        await session.send_event("session.update", {"session": {"type": "realtime", "model": "another"}})
        problem = await scene.until(Problem)
        assert "session.update" in str(problem.exception)
        await scene.agent.send(TextBlock("hi"))
        await scene.until(TurnComplete, 2)
        with pytest.raises(ConfigurationError, match="ask_aside"):
            await session.send_event("response.create")


@virtual_time
async def test_a_reply_aside_comes_with_its_metadata():
    from duologue import TextDelta
    from duologue.wire import ProviderCommand

    async def brain(peer: Peer) -> None:
        aside = await peer.expect(ProviderCommand, lambda c: c.kind == "response.create")
        response_id = aside.data["response_id"]
        assert aside.data["response"]["instructions"] == "One word."
        await peer.send(TextDelta(0, "yes", response_id), TurnComplete(StopReason.end_turn, response_id=response_id))

    async with talk(brain) as scene:
        mark = await scene.agent.session.ask_aside("One word.", metadata={"topic": "mood"}, input=[])
        done = await scene.until(lambda e: isinstance(e, ProviderEvent) and e.kind == "response.done")
        assert done.data["response"]["metadata"] == {"topic": "mood", "duologue": mark}
        assert scene.agent.history == ()
        assert scene.of(TurnComplete) == []


@virtual_time
async def test_what_is_asked_in_a_gap_goes_to_the_next_connection():
    from duologue.wire import ProviderCommand

    asked = []

    async def brain(peer: Peer) -> None:
        if peer.number == 1:
            await peer.expect(UpdateSession)
            await peer.expect(SendContent)
            peer.abort()
        else:
            asked.append(await peer.expect(ProviderCommand, lambda c: c.kind == "response.create"))

    async with talk(brain) as scene:
        await scene.agent.send(TextBlock("hi"), respond=False)
        await scene.until(Reconnecting)
        await scene.agent.session.ask_aside("Sum up.")
        await scene.until(Reconnected)
        async with asyncio.timeout(10):
            while not asked:
                await asyncio.sleep(0.01)


@virtual_time
async def test_remote_tools_are_approved_and_items_deleted():
    async with talk(model()) as scene:
        session = scene.agent.session
        await session.approve("m1", False, reason="no")
        await session.send_event("conversation.item.delete", {"item_id": "nothing"})
        problem = await scene.until(Problem)
        assert "our conversation.item.delete" in str(problem.exception)
        with pytest.raises(ConfigurationError):
            await session.send_event("nonsense")


@virtual_time
async def test_settings_that_are_refused_fail_the_connection():
    async with WireServer(OpenAIServerCodec, model()) as server:
        transport = OpenAIRealtimeTransport("sk-secret-key", base_url=server.url, extra={"temperature": 0.8})
        with pytest.raises(ConfigurationError, match=r"temperature") as caught:
            await transport.connect(system="", tools=[])
        assert caught.value.code == "unknown_parameter"


@virtual_time
async def test_a_refused_key_is_told_without_it():
    body = '{"error": {"message": "Incorrect API key provided: sk-secret-key"}}'
    async with WireServer(OpenAIServerCodec, model(), refuse=Refusal(401, body)) as server:
        with pytest.raises(ConnectFailed, match="check the key") as caught:
            await OpenAIRealtimeTransport("sk-secret-key", base_url=server.url).connect(system="", tools=[])
        assert "sk-secret-key" not in str(caught.value)


@virtual_time
async def test_a_fresh_key_is_asked_for_before_each_connection():
    keys = iter(["ek_one", "ek_two"])

    async def mint() -> str:
        return next(keys)

    async with assert_no_leaks(), WireServer(OpenAIServerCodec, model()) as server:
        transport = OpenAIRealtimeTransport(mint, base_url=server.url, policy=lambda: LinkPolicy(chance=lambda: 0.0))
        async with RealtimeAgent("", transport) as agent:
            server.peer.abort()
            async for event in agent.events():
                if isinstance(event, Reconnected):
                    break
        assert [peer.headers["Authorization"] for peer in server.peers] == ["Bearer ek_one", "Bearer ek_two"]


@virtual_time
async def test_telephone_audio_end_to_end():
    async def brain(peer: Peer) -> None:
        block = await peer.expect(SendContent)
        await peer.send(AudioOutputDelta(block.block.data, "audio/pcmu", "r1", "i1"))

    formats = {"input_audio_format": "audio/pcmu", "output_audio_format": "audio/pcmu"}
    async with talk(brain, agent=formats) as scene:
        await scene.agent.send(AudioBlock(b"\xff\x7f\x00", "audio/pcmu"))
        spoken = await scene.until(AudioOutputDelta)
        assert (spoken.data, spoken.media_type) == (b"\xff\x7f\x00", "audio/pcmu")


@virtual_time
async def test_unknown_events_and_garbage_do_not_end_the_session():
    async def brain(peer: Peer) -> None:
        await peer.expect(UpdateSession)
        for frame in ("{", b"\xff", json.dumps({"type": "brand.new", "x": 1}), '{"type":"response.done"}'):
            await peer.frame(frame)
        await model()(peer)

    async with talk(brain) as scene:
        await scene.agent.send(TextBlock("hi"))
        await scene.until(TurnComplete)
        assert len(scene.of(Problem)) == 3
        assert [e.kind for e in scene.of(ProviderEvent)].count("brand.new") == 1


@virtual_time
async def test_a_call_answered_while_the_user_speaks_is_left_to_the_servers_answer():
    async def brain(peer: Peer) -> None:
        await peer.expect(CommitTurn)
        await peer.send(
            ToolUseStart(0, "c1", "slow"), ToolUseEnd(0, "c1"), TurnComplete(StopReason.tool_use, response_id="r1")
        )
        await peer.send(SpeechStarted())
        release.set()
        await peer.expect(AnswerCall)
        await asyncio.sleep(1)
        assert not [c for c in peer.commands if isinstance(c, CommitTurn)]
        await peer.send(SpeechStopped(), AudioOutputDelta(PIECE, response_id="r2", item_id="i2"))
        await peer.send(TurnComplete(StopReason.end_turn, response_id="r2"))
        await asyncio.sleep(1)
        assert not [c for c in peer.commands if isinstance(c, CommitTurn)]

    release = asyncio.Event()

    @tool(on_interrupt="keep")
    async def slow() -> str:
        """Take a while."""
        await release.wait()
        return "done"

    async with talk(brain, tools=[slow]) as scene:
        await scene.agent.send(TextBlock("go"))
        await scene.until(TurnComplete, 2)
        await asyncio.sleep(2)


@virtual_time
async def test_a_capture_can_be_replayed_and_holds_no_key(tmp_path):
    file = tmp_path / "talk.jsonl"
    async with talk(model(), capture=file) as scene:
        await scene.agent.send(TextBlock("hi"))
        await scene.until(TurnComplete)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert "sk-secret-key" not in file.read_text()
    from duologue.wire import Opening

    codec = OpenAIRealtimeTransport.replay_codec(lines[0]["session"], Opening())
    events = [e for line in lines if "in" in line for e in codec.decode(line["in"])]
    assert any(isinstance(e, AudioOutputDelta) for e in events)
