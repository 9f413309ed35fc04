"""Reconnection, end to end over real sockets on virtual time: what is kept, what is said again, what is given up."""

from __future__ import annotations

import asyncio

import pytest
from duologue import (
    AudioBlock,
    CallRecord,
    ConnectFailed,
    Error,
    GoingAway,
    Interrupted,
    Message,
    Problem,
    ProtocolError,
    RealtimeAgent,
    Reconnected,
    Reconnecting,
    SessionClosed,
    SpeechStarted,
    TextBlock,
    Tool,
    ToolResult,
    TranscriptDelta,
    TurnComplete,
    tool,
)
from duologue.events import SessionStarted, ToolUseEnd, ToolUseStart
from duologue.testing import Peer, Refusal, StandIn, WireServer, virtual_time
from duologue.testing.toy import ToyServerCodec, ToyTransport
from duologue.wire import KeepAlive, LinkPolicy

from .scenes import BLOCK, reconnections, scene, turns


def final(text: str):
    return lambda e: isinstance(e, TranscriptDelta) and e.role == "assistant" and text in e.delta


async def ask(talk, text: str, count: int) -> None:
    await talk.agent.send(TextBlock(text))
    await talk.until(TurnComplete, count=count)


# -- losses ------------------------------------------------------------------------------------------------


@virtual_time
async def test_a_link_lost_between_turns_is_made_anew_and_the_session_taken_up_again():
    async with scene() as talk:
        await ask(talk, "my name is Ada", 1)
        await asyncio.sleep(1)
        talk.server.peer.abort()
        await talk.until(Reconnected)
        await ask(talk, "and now", 2)
        assert [type(e) for e in reconnections(talk)] == [Reconnecting, Reconnected]
        assert talk.of(Reconnected)[0].resumed
        assert talk.texts() == ["my name is Ada", "and now"]
        assert talk.server.peer.setup.history == ()


@virtual_time
async def test_without_a_handle_the_history_is_replayed():
    async with scene(StandIn(resumable=False)) as talk:
        await ask(talk, "my name is Ada", 1)
        talk.server.peer.abort()
        await talk.until(Reconnected)
        await ask(talk, "and now", 2)
        assert not talk.of(Reconnected)[0].resumed
        assert talk.model.memory.said[:3] == [
            ("user", "my name is Ada"),
            ("assistant", "my name is Ada"),
            ("user", "and now"),
        ]


@virtual_time
async def test_a_reply_that_breaks_off_ends_with_an_error_and_stays_in_the_history():
    async with scene(StandIn(pace=0.08)) as talk:
        await talk.agent.send(TextBlock("story 50"))
        await talk.until(final("word9"))
        talk.server.peer.abort()
        await talk.until(Reconnected)
        assert turns(talk) == ["error"]
        names = talk.names
        assert names.index("TurnComplete") < names.index("Reconnecting") < names.index("Reconnected")
        await ask(talk, "go on", 2)
        said = talk.model.memory.said
        assert said[0] == ("user", "story 50")
        assert said[1][0] == "assistant"
        assert "word9" in said[1][1]
        assert said[2] == ("user", "go on")
        assert len(set(talk.pieces)) == len(talk.pieces)


@virtual_time
async def test_a_question_that_was_not_answered_yet_is_asked_again_once():
    async def brain(peer: Peer) -> None:
        if peer.number == 1:
            await peer.expect(object, lambda c: type(c).__name__ == "CommitTurn")
            peer.abort()
        else:
            await model(peer)

    model = StandIn()
    async with WireServer(ToyServerCodec, brain) as server, RealtimeAgent("", ToyTransport(server.url)) as agent:
        await agent.send(TextBlock("are you there"))
        async for event in agent.events():
            if isinstance(event, TurnComplete):
                break
        assert model.memory.said == [("user", "are you there"), ("assistant", "are you there")]


@virtual_time
async def test_what_is_said_in_the_gap_arrives_once_and_in_order():
    async with scene(server={"accept_after": lambda: 1.0}) as talk:
        await ask(talk, "one", 1)
        await asyncio.sleep(1)
        talk.server.peer.abort()
        await talk.until(Reconnecting)
        await talk.agent.send(TextBlock("two"), respond=False)
        await talk.agent.send(TextBlock("three"))
        await talk.until(TurnComplete, count=2)
        assert talk.texts() == ["one", "two", "three"]
        assert talk.texts("assistant") == ["one", "three"]


@virtual_time
async def test_the_microphone_is_kept_through_the_gap():
    async with scene(server={"accept_after": lambda: 1.5}) as talk:
        await ask(talk, "one", 1)
        talk.server.peer.abort()
        await talk.until(Reconnecting)
        said = await talk.speak(1.0)
        await talk.until(TurnComplete, count=2)
        assert talk.heard == said
        assert talk.agent.session.microphone_dropped == 0


@virtual_time
async def test_a_gap_too_long_for_the_microphone_drops_the_oldest_and_counts():
    policy = lambda: LinkPolicy(gap_audio_s=0.5, chance=lambda: 0.0)  # noqa: E731
    async with scene(server={"accept_after": lambda: 3.0}, policy=policy) as talk:
        await ask(talk, "one", 1)
        talk.server.peer.abort()
        await talk.until(Reconnecting)
        said = await talk.speak(1.0, silence=0.2)
        await talk.until(Reconnected)
        assert talk.agent.session.microphone_dropped == 35
        await talk.speak(0, silence=0.3)
        await talk.until(TurnComplete, count=2)
        assert talk.heard == said[-15 * 2 * BLOCK :]


@virtual_time
async def test_an_utterance_that_a_loss_breaks_is_heard_whole_by_the_next_connection():
    async with scene(server={"accept_after": lambda: 0.5}) as talk:
        await ask(talk, "one", 1)
        speaking = asyncio.create_task(talk.speak(2.0))
        await talk.until(SpeechStarted)
        await asyncio.sleep(0.7)
        talk.server.peer.abort()
        said = await speaking
        await talk.until(TurnComplete, count=2)
        assert talk.heard == said


@virtual_time
async def test_an_utterance_that_was_answered_is_not_heard_again():
    async with scene() as talk:
        await talk.speak(0.5)
        await talk.until(TurnComplete)
        talk.server.peer.abort()
        await talk.until(Reconnected)
        await talk.speak(0, silence=1.0)
        assert talk.model.memory.heard == talk.model.memories[0].heard
        assert len(talk.of(SpeechStarted)) == 1


@virtual_time
async def test_without_an_agent_a_text_is_sent_again_though_the_history_before_has_its_like():
    model = StandIn(resumable=False)
    async with WireServer(ToyServerCodec, model) as server:
        transport = ToyTransport(server.url, policy=lambda: LinkPolicy(chance=lambda: 0.0))
        session = await transport.connect(system="", tools=[], history=[Message("user", "yes")])
        await session.send(TextBlock("yes"))
        server.peer.abort()
        async for event in session.events():
            if isinstance(event, Reconnected):
                break
        await asyncio.sleep(1)
        assert model.memory.said == [("user", "yes"), ("user", "yes")]
        await session.close()


# -- tools -------------------------------------------------------------------------------------------------


def slow_tool(release: asyncio.Event):
    @tool(on_interrupt="keep")
    async def slow() -> str:
        """Take a while."""
        await release.wait()
        return "42"

    return slow


@virtual_time
async def test_the_result_of_a_call_from_a_lost_connection_goes_in_as_text():
    release = asyncio.Event()
    async with scene(tools=[slow_tool(release)]) as talk:
        await talk.agent.send(TextBlock("call slow"))
        await talk.until(ToolUseEnd)
        talk.server.peer.abort()
        await talk.until(Reconnected)
        release.set()
        await talk.until(ToolResult)
        await talk.until(final("Result"))
        assert talk.model.answers == []
        told = [text for text in talk.texts() if "Result of slow" in text]
        assert len(told) == 1
        assert "42" in told[0]


@virtual_time
async def test_a_result_that_comes_in_the_gap_is_told_once():
    release = asyncio.Event()
    async with scene(tools=[slow_tool(release)], server={"accept_after": lambda: 1.0}) as talk:
        await talk.agent.send(TextBlock("call slow"))
        await talk.until(ToolUseEnd)
        talk.server.peer.abort()
        await talk.until(Reconnecting)
        release.set()
        await talk.until(Reconnected)
        await talk.until(TurnComplete, count=2)
        assert talk.model.answers == []
        told = [text for _, text in talk.model.memory.said if "42" in text]
        assert told, talk.model.memory.said


@virtual_time
async def test_a_call_that_the_resumed_session_knows_is_answered_as_a_call():
    """The handle was issued while the call was open."""
    release = asyncio.Event()
    model = StandIn(withdraws=False)

    async def brain(peer: Peer) -> None:
        if peer.number == 1:
            talking = asyncio.ensure_future(model(peer))
            await asyncio.sleep(0.5)
            await peer.offer(model.snapshot(model.memory))
            await talking
        else:
            await model(peer)

    async with WireServer(ToyServerCodec, brain) as server:
        transport = ToyTransport(server.url)
        async with RealtimeAgent("", transport, [slow_tool(release)]) as agent:
            await agent.send(TextBlock("call slow"))
            seen = []
            async for event in agent.events():
                seen.append(event)
                if isinstance(event, ToolUseEnd):
                    asyncio.get_running_loop().call_later(1.0, server.peer.abort)
                if isinstance(event, Reconnected):
                    assert event.resumed
                    release.set()
                if isinstance(event, TranscriptDelta) and "result" in event.delta:
                    break
            assert [number for number, _ in model.answers] == [2]


@virtual_time
async def test_a_result_that_the_history_told_is_not_told_again():
    """The agent keeps a result before it sends it, and in between another connection may have been opened."""
    async with scene(StandIn(resumable=False), tools=[Tool("work", None)]) as talk:
        session = talk.agent.session
        await talk.server.peer.send(ToolUseStart(0, "early", "work"), ToolUseEnd(0, "early"))
        await talk.until(ToolUseEnd)
        told = Message("assistant", "", calls=(CallRecord("early", "work", {}, "done"),))
        session.replay_from(lambda: [told])
        talk.server.peer.abort()
        await talk.until(Reconnected)
        await session.send_tool_result("early", "work", "done")
        await talk.until(TurnComplete)
        assert next(text for _, text in talk.model.memory.said if "done" in text) == "[called work({}): done]"
        assert talk.texts() == []


# -- planned switches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("overlap", [True, False])
def test_a_notice_is_followed_at_a_silent_moment(overlap):
    @virtual_time
    async def run():
        policy = lambda: LinkPolicy(overlap=overlap, chance=lambda: 0.0)  # noqa: E731
        async with scene(StandIn(pace=0.08), policy=policy, server={"accept_after": lambda: 0.8}) as talk:
            await talk.agent.send(TextBlock("story 40"))
            await talk.until(final("word3"))
            await talk.server.peers[0].send(GoingAway(30))
            await talk.until(Reconnected)
            assert turns(talk) == ["end_turn"]
            assert talk.names.index("TurnComplete") < talk.names.index("Reconnecting")
            assert len(talk.pieces) == 80
            assert talk.of(Reconnected)[0].resumed
            assert talk.of(Reconnected)[0].gap == (0.0 if overlap else pytest.approx(0.8, abs=0.05))
            await ask(talk, "still there", 2)
            assert talk.texts("assistant")[-1] == "still there"

    run()


@virtual_time
async def test_a_user_who_speaks_is_not_cut_off_by_a_switch():
    policy = lambda: LinkPolicy(overlap=False, chance=lambda: 0.0)  # noqa: E731
    async with scene(policy=policy, server={"accept_after": lambda: 0.8}) as talk:
        await ask(talk, "one", 1)
        speaking = asyncio.create_task(talk.speak(3.0))
        await talk.until(SpeechStarted)
        await talk.server.peers[0].send(GoingAway(30))
        said = await speaking
        await talk.until(TurnComplete, count=2)
        assert len(talk.server.peers) == 1
        await talk.until(Reconnected)
        assert talk.heard == said


@virtual_time
async def test_a_user_who_speaks_during_the_switch_is_heard_whole():
    policy = lambda: LinkPolicy(overlap=False, chance=lambda: 0.0)  # noqa: E731
    async with scene(policy=policy, server={"accept_after": lambda: 1.2}) as talk:
        await ask(talk, "one", 1)
        await talk.server.peers[0].send(GoingAway(30))
        await talk.until(Reconnecting)
        said = await talk.speak(2.0)
        await talk.until(TurnComplete, count=2)
        assert talk.heard == said


@virtual_time
async def test_the_deadline_of_a_notice_is_kept_though_a_reply_goes_on():
    policy = lambda: LinkPolicy(overlap=False, chance=lambda: 0.0)  # noqa: E731
    async with scene(StandIn(pace=0.1), policy=policy) as talk:
        await talk.agent.send(TextBlock("story 500"))
        await talk.until(final("word3"))
        await talk.server.peers[0].send(GoingAway(5))
        at = asyncio.get_running_loop().time()
        await talk.until(Reconnecting)
        assert asyncio.get_running_loop().time() - at == pytest.approx(4.0, abs=0.3)
        await talk.until(Reconnected)
        assert turns(talk) == ["error"]


@virtual_time
async def test_a_known_limit_is_left_before_it_comes():
    policy = lambda: LinkPolicy(max_connection_s=600, lead_s=60, chance=lambda: 0.0)  # noqa: E731
    async with scene(policy=policy) as talk:
        await talk.until(Reconnected, within=700)
        assert 540 <= asyncio.get_running_loop().time() <= 542
        await talk.until(Reconnected, count=2, within=700)


# -- refusals ----------------------------------------------------------------------------------------------


@virtual_time
async def test_a_handle_that_is_refused_is_followed_by_a_fresh_session_with_the_history():
    model = StandIn()
    async with scene(model, server={"accept": False}) as talk:
        await ask(talk, "my name is Ada", 1)
        model._snapshots.clear()
        talk.server.peer.abort()
        await talk.until(Reconnected)
        assert not talk.of(Reconnected)[0].resumed
        assert len(talk.server.peers) == 3
        await ask(talk, "and now", 2)
        assert talk.texts() == ["my name is Ada", "and now"]


@virtual_time
async def test_a_fatal_refusal_is_not_retried():
    async with scene() as talk:
        await ask(talk, "one", 1)
        talk.server.refuse = Refusal(401, "bad key")
        talk.server.peer.abort()
        error = await talk.end()
        assert isinstance(error, ConnectFailed)
        assert not error.retryable
        assert "401" in str(error)
        assert len(talk.of(Reconnecting)) == 1
        with pytest.raises(SessionClosed):
            await talk.agent.send(TextBlock("hello"))


@virtual_time
async def test_attempts_are_limited_and_grow_apart():
    policy = lambda: LinkPolicy(attempts=5, first_delay=0.5, max_delay=2.0, chance=lambda: 0.0)  # noqa: E731
    async with scene(policy=policy) as talk:
        await asyncio.sleep(10)
        talk.server.refuse = Refusal(503, "tired")
        at = asyncio.get_running_loop().time()
        talk.server.peer.abort()
        error = await talk.end()
        assert isinstance(error, ConnectFailed)
        assert "5 attempts" in str(error)
        assert [e.attempt for e in talk.of(Reconnecting)] == [1, 2, 3, 4, 5]
        assert asyncio.get_running_loop().time() - at == pytest.approx(0 + 0.5 + 1 + 2 + 2, abs=0.1)


@virtual_time
async def test_a_clean_end_by_the_provider_ends_the_stream_without_an_error():
    async with scene() as talk:
        await ask(talk, "one", 1)
        await talk.server.peer.close(1000, "bye")
        assert await talk.end() is None
        assert talk.of(Error) == []
        assert reconnections(talk) == []


# -- half-open and dead ------------------------------------------------------------------------------------


@virtual_time
async def test_a_half_open_link_is_noticed_within_fifteen_seconds():
    async with scene() as talk:
        await ask(talk, "one", 1)
        talk.server.peer.freeze()
        at = asyncio.get_running_loop().time()
        await talk.until(Reconnecting)
        assert 5 < asyncio.get_running_loop().time() - at <= 15
        assert "no sign of life" in talk.of(Reconnecting)[0].reason
        await talk.until(Reconnected)


@virtual_time
async def test_a_provider_that_answers_no_pings_is_not_given_up():
    async with scene(keep_alive=KeepAlive(answers=False)) as talk:
        talk.server.peer.freeze()
        await asyncio.sleep(120)
        assert reconnections(talk) == []


@pytest.mark.parametrize("fault", ["freeze", "stall", "abort", "nothing"])
def test_closing_takes_no_longer_than_two_seconds(fault):
    @virtual_time
    async def run():
        async with scene() as talk:
            await ask(talk, "one", 1)
            if fault != "nothing":
                getattr(talk.server.peer, fault)()
            if fault == "stall":
                for _ in range(200):
                    await talk.agent.session.send(AudioBlock(bytes(32000), "audio/pcm;rate=16000"))
            at = asyncio.get_running_loop().time()
            await talk.agent.session.close()
            assert asyncio.get_running_loop().time() - at <= 2.0

    run()


@virtual_time
async def test_closing_while_dialling_leaves_nothing():
    async with scene(server={"accept_after": lambda: 5.0}) as talk:
        talk.server.peer.abort()
        await talk.until(Reconnecting)
        await asyncio.sleep(0.5)
        at = asyncio.get_running_loop().time()
        await talk.agent.close()
        assert asyncio.get_running_loop().time() - at <= 2.0


# -- opening -----------------------------------------------------------------------------------------------


@virtual_time
async def test_silence_instead_of_an_acceptance_ends_at_the_deadline():
    async def brain(peer: Peer) -> None:
        await asyncio.sleep(60)

    async with WireServer(ToyServerCodec, brain, accept=False) as server:
        agent = RealtimeAgent("", ToyTransport(server.url, api_key="sk-very-secret"))
        with pytest.raises(ConnectFailed, match="did not accept the session within 10 s") as caught:
            await agent.connect()
        assert asyncio.get_running_loop().time() == pytest.approx(10, abs=0.1)
        assert "secret" not in str(caught.value)


@virtual_time
async def test_a_refusal_raises_at_once_with_the_reason_and_without_the_key():
    async def brain(peer: Peer) -> None:
        await peer.send(Error(ConnectFailed("the key sk-very-secret is unknown", code="bad_key")))

    async with WireServer(ToyServerCodec, brain, accept=False) as server:
        agent = RealtimeAgent("", ToyTransport(server.url, api_key="sk-very-secret"))
        with pytest.raises(ConnectFailed, match="is unknown") as caught:
            await agent.connect()
        assert "sk-very" not in str(caught.value)
        assert asyncio.get_running_loop().time() < 1


@virtual_time
async def test_a_close_before_the_acceptance_raises_its_reason():
    async def brain(peer: Peer) -> None:
        await peer.close(1008, "model not found")

    async with WireServer(ToyServerCodec, brain, accept=False) as server:
        with pytest.raises(ConnectFailed, match="model not found") as caught:
            await RealtimeAgent("", ToyTransport(server.url)).connect()
        assert not caught.value.retryable
        assert caught.value.code == "1008"


@virtual_time
async def test_a_key_that_the_provider_repeats_is_hidden():
    async with scene(api_key="sk-very-secret") as talk:
        await talk.server.peer.send(Problem(ProtocolError("no such thing for sk-very-secret")))
        problem = await talk.until(Problem)
        assert str(problem.exception) == "no such thing for [hidden]"


@virtual_time
async def test_a_handle_is_not_tried_again_once_its_session_was_given_up():
    model = StandIn()
    async with scene(model, server={"accept": False}) as talk:
        await ask(talk, "one", 1)
        model._snapshots.clear()
        talk.server.peer.abort()
        await talk.until(Reconnected)
        talk.server.peer.abort()
        await talk.until(Reconnected, count=2)
        assert [peer.setup.resume for peer in talk.server.peers] == ["", "handle-2", "", ""]


# -- nothing in a frame ends a session ---------------------------------------------------------------------


@virtual_time
async def test_no_frame_ends_the_session():
    async with scene() as talk:
        bad: list[str | bytes] = [
            *("", "{", "[]", "null", "7", '"text"', "{}", b"", b"\xff\xfe", "[" * 5000, "x" * 100_000),
            *('{"type":null}', '{"type":"audio"}', '{"type":"audio","delta":5}', '{"type":"audio","delta":"***"}'),
            *(
                '{"type":"done","reason":"weird"}',
                '{"type":"new_thing","x":[1]}',
                '{"type":"call","call":"x","index":"y"}',
            ),
        ]
        for frame in bad:
            await talk.server.peer.frame(frame)
        await ask(talk, "still there", 2)
        assert len(talk.of(Problem)) == 16
        assert reconnections(talk) == []
        assert talk.of(SessionStarted)


@virtual_time
async def test_bytes_that_are_no_frame_cost_the_connection_and_not_the_session():
    async with scene() as talk:
        await ask(talk, "one", 1)
        talk.server.peer.raw(b"\xff" * 64)
        await talk.until(Reconnected)
        await ask(talk, "two", 2)


# -- interruptions -----------------------------------------------------------------------------------------


@virtual_time
async def test_an_interruption_in_the_gap_takes_the_question_back():
    async with scene(server={"accept_after": lambda: 1.0}) as talk:
        await ask(talk, "one", 1)
        await asyncio.sleep(1)  # it has been played
        talk.server.peer.abort()
        await talk.until(Reconnecting)
        await talk.agent.send(TextBlock("never mind"))
        await talk.agent.interrupt()
        await talk.until(Reconnected)
        await asyncio.sleep(5)
        assert talk.texts() == ["one", "never mind"]
        assert talk.texts("assistant") == ["one"]


@virtual_time
async def test_a_reply_that_was_cut_stays_cut_over_a_loss():
    async with scene(StandIn(pace=0.08)) as talk:
        await talk.agent.send(TextBlock("story 50"))
        await talk.until(final("word9"))
        await talk.agent.interrupt(heard_ms=300)
        talk.server.peer.abort()
        await talk.until(Reconnected)
        assert len(talk.of(Interrupted)) == 1
        await ask(talk, "next", len(turns(talk)) + 1)
        assert len(talk.of(Interrupted)) == 1
