"""The engine's dealings with sessions that misbehave, and what else only shows with a session underneath."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from duologue import (
    AudioBlock,
    AudioOutputDelta,
    Capabilities,
    ConnectionLost,
    Interrupted,
    Problem,
    RealtimeAgent,
    Reconnected,
    SessionClosed,
    SpeechStarted,
    SpeechStopped,
    StopReason,
    TextBlock,
    Tool,
    ToolCancelled,
    ToolInputDelta,
    ToolResult,
    ToolStarted,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
    TurnDetection,
    UnsupportedFormat,
)
from duologue.realtime import RealtimeAgent as SameAgent
from duologue.testing import (
    CallAnswered,
    Committed,
    ContentSent,
    End,
    Expect,
    ReplyStopped,
    ScriptedTransport,
    Wait,
    assert_no_leaks,
    speech,
    virtual_time,
)

CALL = [ToolUseStart(0, "a", "work"), ToolUseEnd(0, "a")]


def raising(transport: ScriptedTransport, method: str, exc: Exception) -> ScriptedTransport:
    """Make a method of the transport's sessions raise."""
    connect = transport.connect

    async def connect_and_break(**kwargs: Any) -> Any:
        session = await connect(**kwargs)

        async def fail(*_: Any, **__: Any) -> None:
            raise exc

        setattr(session, method, fail)
        return session

    transport.connect = connect_and_break  # type: ignore[method-assign]
    return transport


async def finish(agent: RealtimeAgent) -> list[Any]:
    """Everything until the session ends."""
    return [event async for event in agent.events()]


@pytest.mark.parametrize("delivery", ["now", "silent"])
def test_the_result_of_a_call_from_a_lost_connection_goes_in_as_text(delivery: Any) -> None:
    @virtual_time
    async def main() -> None:
        async def work() -> str:
            await asyncio.sleep(1)
            return "done"

        script = [*CALL, Reconnected(resumed=False, gap=0.5), Expect(ContentSent), Wait(1), End()]
        transport = ScriptedTransport(script)
        async with RealtimeAgent("", transport, [Tool("work", work, delivery=delivery)]) as agent:
            await finish(agent)
        text = ContentSent(TextBlock("Result of work({}): done"))
        assert transport.sent == ([text, Committed()] if delivery == "now" else [text])

    main()


@virtual_time
async def test_text_that_cannot_be_delivered_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> str:
        return "done"

    transport = ScriptedTransport([*CALL, Reconnected(resumed=False, gap=0.5), Wait(1), End()])
    async with RealtimeAgent("", raising(transport, "send", OSError("no")), [Tool("work", work)]) as agent:
        seen = await finish(agent)
    assert any(isinstance(e, Problem) for e in seen)
    assert "the answer to text could not be delivered: no" in caplog.text


@virtual_time
async def test_a_session_that_fails_to_close_is_left_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    async with assert_no_leaks(), RealtimeAgent("", raising(ScriptedTransport(), "close", OSError("stuck"))):
        pass
    assert "closing the session failed: stuck" in caplog.text


@virtual_time
async def test_a_session_that_fails_to_stop_a_reply_is_a_problem_and_the_cut_stands() -> None:
    transport = raising(ScriptedTransport([*speech("x", ms=1000, complete=False)]), "interrupt", OSError("no"))
    async with RealtimeAgent("", transport) as agent:
        await asyncio.sleep(0.1)
        await agent.interrupt()
    seen = await finish(agent)
    assert [type(e) for e in seen[-2:]] == [Interrupted, Problem]


@virtual_time
async def test_a_session_that_ends_during_an_interruption_is_no_problem() -> None:
    transport = raising(ScriptedTransport([*speech("x", ms=1000, complete=False)]), "interrupt", SessionClosed("gone"))
    async with RealtimeAgent("", transport) as agent:
        await asyncio.sleep(0.1)
        await agent.interrupt()
    assert not [e for e in await finish(agent) if isinstance(e, Problem)]


@virtual_time
async def test_a_session_too_slow_to_stop_a_reply_is_a_problem() -> None:
    transport = ScriptedTransport([*speech("x", ms=1000, complete=False)], hang=["interrupt"])
    async with RealtimeAgent("", transport) as agent:
        await asyncio.sleep(0.1)
        await agent.interrupt()
    assert [str(e.exception) for e in await finish(agent) if isinstance(e, Problem)] == [
        "the session did not take StopReply() within 5 s"
    ]


@virtual_time
async def test_a_tool_may_finish_after_the_session_died_and_the_loss_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> str:
        await asyncio.sleep(1)
        return "done"

    async with RealtimeAgent("", ScriptedTransport([*CALL, ConnectionLost("gone")]), [Tool("work", work)]) as agent:
        seen = []

        async def consume() -> None:
            async for event in agent.events():
                seen.append(event)

        with pytest.raises(ConnectionLost):
            await consume()
        assert seen[-1] == ToolCancelled("a", "work", "the session ended")
        agent.session._closed.set()  # type: ignore[attr-defined]
        await asyncio.sleep(2)
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR] == [
        "the answer to call a of tool work could not be delivered: the scripted session has ended"
    ]


@virtual_time
async def test_an_error_while_closing_is_not_reported() -> None:
    class Sour(ScriptedTransport):
        async def connect(self, **kwargs: Any) -> Any:
            session = await super().connect(**kwargs)
            events = session.events

            async def spoil() -> Any:
                async for event in events():
                    yield event
                raise OSError("closed under my feet")

            session.events = spoil  # type: ignore[method-assign]
            return session

    async with RealtimeAgent("", Sour()) as agent:
        pass
    assert await finish(agent) == []


@virtual_time
async def test_a_when_idle_result_waits_for_the_end_of_what_plays() -> None:
    async def work() -> str:
        await asyncio.sleep(0.1)
        return "done"

    loop = asyncio.get_running_loop()
    transport = ScriptedTransport([*speech("Wait.", ms=3000), *CALL, Expect(CallAnswered), End()])
    tool = Tool("work", work, delivery="when_idle")
    async with RealtimeAgent("", transport, [tool], turn_detection=TurnDetection(create_response=False)) as agent:
        seen = await finish(agent)
        assert loop.time() == pytest.approx(3.0)
    assert any(isinstance(e, ToolResult) for e in seen)


@virtual_time
async def test_speech_that_cannot_be_converted_is_a_problem_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: ())
    script = [AudioOutputDelta(bytes(960), "audio/pcm;rate=48000"), Wait(1), End()]
    async with RealtimeAgent("", ScriptedTransport(script)) as agent:
        with pytest.raises(UnsupportedFormat, match="pip install duologue-audio"):
            await agent.send(AudioBlock(bytes(960), "audio/pcm;rate=48000"))
        (problem,) = await finish(agent)
    assert isinstance(problem.exception, UnsupportedFormat)


@virtual_time
async def test_audio_a_resampler_holds_back_is_not_sent_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hoarder:
        def __init__(self, from_rate: int, to_rate: int) -> None: ...

        def process(self, pcm: bytes) -> bytes:
            return b""

        def flush(self) -> bytes:
            return b""

    monkeypatch.setattr("duologue.rates.find_resampler", lambda: Hoarder)
    pieces = [AudioOutputDelta(bytes(960), "audio/pcm;rate=48000"), TurnComplete(StopReason.end_turn)]
    transport = ScriptedTransport([Expect(Committed), *pieces, End()])
    async with RealtimeAgent("", transport) as agent:
        await agent.send(AudioBlock(bytes(960), "audio/pcm;rate=48000"), respond=True)
        assert [type(e) for e in await finish(agent)] == [TurnComplete]
    assert transport.sent == [Committed()]


@virtual_time
async def test_what_the_resampler_holds_back_goes_out_before_the_end_of_the_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Late:
        def __init__(self, from_rate: int, to_rate: int) -> None: ...

        def process(self, pcm: bytes) -> bytes:
            return b""

        def flush(self) -> bytes:
            return b"late"

    monkeypatch.setattr("duologue.rates.find_resampler", lambda: Late)
    transport = ScriptedTransport()
    async with RealtimeAgent("", transport) as agent:
        await agent.send(AudioBlock(bytes(960), "audio/pcm;rate=48000"))
        await agent.commit()
    assert transport.sent == [ContentSent(AudioBlock(b"late", "audio/pcm;rate=16000")), Committed()]


@virtual_time
async def test_a_clean_end_with_an_open_call_says_what_became_of_it(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        await asyncio.sleep(60)

    async with RealtimeAgent("", ScriptedTransport([*CALL, Wait(1), End()]), [Tool("work", work)]) as agent:
        assert (await finish(agent))[-1] == ToolCancelled("a", "work", "the session ended")
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR], "nobody waits for an answer any more"


@virtual_time
async def test_a_handler_cannot_change_what_the_application_sees() -> None:
    async def greedy(**items: Any) -> None:
        items["basket"].clear()

    script = [ToolUseStart(0, "a", "greedy"), ToolInputDelta(0, "a", '{"basket": ["egg"]}'), ToolUseEnd(0, "a")]
    transport = ScriptedTransport([*script, Expect(CallAnswered), End()])
    async with RealtimeAgent("", transport, [Tool("greedy", greedy)]) as agent:
        (started,) = [e for e in await finish(agent) if isinstance(e, ToolStarted)]
    assert started.input == {"basket": ["egg"]}


@virtual_time
async def test_the_users_words_may_come_before_the_notice_that_they_spoke() -> None:
    script = [
        TranscriptDelta("user", "Hi", item_id="u1"),
        Wait(1),
        SpeechStarted("u1", at=0.5),
        SpeechStopped("u1"),
        End(),
    ]
    async with RealtimeAgent("", ScriptedTransport(script)) as agent:
        await finish(agent)
    assert [(m.text, m.started_at) for m in agent.history] == [("Hi", 0.5)]


@virtual_time
async def test_hundreds_of_replies_and_calls_do_not_pile_up() -> None:
    async def work() -> str:
        return "done"

    script: list[Any] = []
    for n in range(1500):
        script += [ToolUseStart(0, f"c{n}", "work"), ToolUseEnd(0, f"c{n}"), Wait(0.01)]
        script += [AudioOutputDelta(bytes(480), response_id=f"r{n}", item_id=f"i{n}")]
        script += [TurnComplete(StopReason.end_turn, response_id=f"r{n}")]
    transport = ScriptedTransport([*script, End()])
    async with RealtimeAgent("", transport, [Tool("work", work)]) as agent:
        await finish(agent)
        conversation = agent._engine.conversation  # type: ignore[union-attr]
        assert len(conversation._replies._by_id) == len(conversation._replies._by_item) == 256
        assert len(conversation._calls._ended) == 1024
    assert len(transport.sent) == 1500


@virtual_time
async def test_what_the_provider_has_cut_while_nothing_was_asked_stays_cut() -> None:
    script = [*speech("x", ms=3000, complete=False), Wait(1), SpeechStarted(), Interrupted(), Wait(1), End()]
    transport = ScriptedTransport(script, capabilities=Capabilities(truncation=False))
    async with RealtimeAgent("", transport) as agent:
        async for event in agent.events():
            if isinstance(event, Interrupted):
                await agent.interrupt()
    assert ReplyStopped() not in transport.sent


def test_the_agent_is_where_users_of_other_toolkits_look_for_it() -> None:
    assert SameAgent is RealtimeAgent
