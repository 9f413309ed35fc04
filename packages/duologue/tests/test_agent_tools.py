"""Tools as the agent runs them, with real tasks and real threads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import Any

import pytest
from duologue import (
    AudioOutputDelta,
    ImageBlock,
    Problem,
    RealtimeAgent,
    SpeechStarted,
    TextBlock,
    Tool,
    ToolCancelled,
    ToolError,
    ToolInputDelta,
    ToolProgress,
    ToolResult,
    ToolStarted,
    ToolUseEnd,
    ToolUseStart,
    progress,
    tool,
)
from duologue.testing import (
    CallAnswered,
    End,
    Expect,
    ReplyStopped,
    ScriptedTransport,
    Wait,
    assert_no_leaks,
    speech,
    virtual_time,
)


def call(tool_use_id: str, name: str, arguments: str = "{}") -> list[Any]:
    """A whole call."""
    return [ToolUseStart(0, tool_use_id, name), ToolInputDelta(0, tool_use_id, arguments), ToolUseEnd(0, tool_use_id)]


async def drain(agent: RealtimeAgent) -> list[Any]:
    """Everything until the session ends."""
    return [event async for event in agent.events()]


async def converse(script: list[Any], *tools: Tool) -> tuple[list[Any], list[CallAnswered]]:
    """Play a script to its end; return the events and the answers."""
    transport = ScriptedTransport([*script, End()])
    async with RealtimeAgent("", transport, list(tools)) as agent:
        seen = await drain(agent)
    return seen, [r for r in transport.sent if isinstance(r, CallAnswered)]


@pytest.mark.parametrize("first", ["a", "b"])
def test_two_tools_in_parallel_finish_in_either_order(first: str) -> None:
    @virtual_time
    async def main() -> list[CallAnswered]:
        async def work(name: str) -> str:
            await asyncio.sleep(1 if name == first else 2)
            return name

        script = [*call("a", "work", '{"name": "a"}'), *call("b", "work", '{"name": "b"}')]
        _, answers = await converse([*script, Expect(CallAnswered), Expect(CallAnswered)], Tool("work", work))
        return answers

    second = "b" if first == "a" else "a"
    assert main() == [CallAnswered(first, "work", first), CallAnswered(second, "work", second)]


@virtual_time
async def test_what_a_handler_returns_reaches_the_model() -> None:
    image = ImageBlock(b"png", "image/png")
    values: dict[str, Any] = {
        "text": "plain",
        "json": {"a": [1, None]},
        "block": image,
        "blocks": [TextBlock("see"), image],
    }

    async def give(what: str) -> Any:
        return values[what]

    script = [e for what in values for e in call(what, "give", f'{{"what": "{what}"}}')]
    _, answers = await converse([*script, *[Expect(CallAnswered)] * 4], Tool("give", give))
    assert {a.tool_use_id: a.content for a in answers} == {
        "text": "plain",
        "json": '{"a":[1,null]}',
        "block": [image],
        "blocks": [TextBlock("see"), image],
    }


@virtual_time
async def test_a_raising_handler_is_told_to_the_model_and_the_session_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(how: str) -> str:
        raise ToolError("ask again tomorrow") if how == "polite" else KeyError(how)

    script = [*call("a", "fail", '{"how": "polite"}'), *call("b", "fail", '{"how": "odd"}')]
    seen, answers = await converse(
        [*script, *[Expect(CallAnswered)] * 2, *speech("Sorry.", ms=100)], Tool("fail", fail)
    )
    assert {a.content for a in answers} == {"error: ask again tomorrow", "error: KeyError: 'odd'"}
    assert [e.is_error for e in seen if isinstance(e, ToolResult)] == [True, True]
    assert any(isinstance(e, AudioOutputDelta) for e in seen)


@virtual_time
async def test_audio_flows_while_a_tool_sleeps() -> None:
    async def sleep() -> str:
        await asyncio.sleep(20)
        return "slept"

    loop = asyncio.get_running_loop()
    times: dict[str, float] = {}
    script = [*call("a", "sleep"), *speech("Meanwhile.", ms=500), Expect(CallAnswered, within=30), End()]
    async with RealtimeAgent("", ScriptedTransport(script), [Tool("sleep", sleep)]) as agent:
        async for event in agent.events():
            times.setdefault(type(event).__name__, loop.time())
    assert times["AudioOutputDelta"] < 1
    assert times["ToolResult"] == pytest.approx(20)


async def test_audio_flows_while_a_tool_blocks_its_thread() -> None:
    release = threading.Event()

    def block() -> str:
        assert release.wait(10)
        return "released"

    script = [*call("a", "block"), *speech("Meanwhile.", ms=200), Expect(CallAnswered), End()]
    async with assert_no_leaks(), RealtimeAgent("", ScriptedTransport(script), [Tool("block", block)]) as agent:
        seen = []
        async for event in agent.events():
            seen.append(type(event).__name__)
            if isinstance(event, AudioOutputDelta):
                release.set()
    assert seen.index("AudioOutputDelta") < seen.index("ToolResult")


@virtual_time
async def test_tools_run_and_are_answered_with_no_consumer_at_all() -> None:
    async def look() -> str:
        return "seen"

    transport = ScriptedTransport([*call("a", "look"), Expect(CallAnswered), Wait(1)])
    async with RealtimeAgent("", transport, [Tool("look", look)]):
        await asyncio.sleep(0.5)
        assert transport.sent == [CallAnswered("a", "look", "seen")]


@virtual_time
async def test_progress_reaches_the_application() -> None:
    @tool
    async def work() -> str:
        """Work."""
        await progress("half way")
        return "done"

    seen, _ = await converse([*call("a", "work"), Expect(CallAnswered)], work)
    kinds = [type(e) for e in seen if isinstance(e, ToolStarted | ToolProgress | ToolResult)]
    assert kinds == [ToolStarted, ToolProgress, ToolResult]


@virtual_time
async def test_a_slow_tool_is_stopped_at_its_limit_and_the_model_is_told() -> None:
    async def slow() -> None:
        await asyncio.sleep(3600)

    seen, answers = await converse([*call("a", "slow"), Expect(CallAnswered)], Tool("slow", slow, timeout=2))
    assert answers == [CallAnswered("a", "slow", "error: slow was stopped at its time limit of 2 s")]
    assert [e.elapsed for e in seen if isinstance(e, ToolResult)] == [2.0]


@virtual_time
async def test_a_handler_that_swallows_cancellation_delays_nothing_and_is_reported() -> None:
    async def stubborn() -> str:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

    loop = asyncio.get_running_loop()
    async with assert_no_leaks():
        script = [*call("a", "stubborn"), Expect(CallAnswered), *speech("On we go.", ms=100), Wait(5), End()]
        transport = ScriptedTransport(script)
        async with RealtimeAgent("", transport, [Tool("stubborn", stubborn, timeout=1)]) as agent:
            seen = await drain(agent)
            began = loop.time()
        assert loop.time() - began < 5
    assert [r.tool_use_id for r in transport.sent if isinstance(r, CallAnswered)] == ["a"]
    assert any("stubborn" in str(e.exception) for e in seen if isinstance(e, Problem))


@virtual_time(patience=0.02)
async def test_a_thread_that_never_returns_is_abandoned_named_and_counted() -> None:
    release = threading.Event()

    def stuck() -> None:
        release.wait()

    script = [*call("a", "stuck"), Expect(CallAnswered), *speech("On we go.", ms=100), End()]
    try:
        async with RealtimeAgent("", ScriptedTransport(script), [Tool("stuck", stuck, timeout=1)]) as agent:
            seen = await drain(agent)
            assert agent._engine._runner.abandoned == 1  # type: ignore[union-attr]
    finally:
        release.set()
    assert any("stuck" in str(e.exception) for e in seen if isinstance(e, Problem))
    assert any(isinstance(e, AudioOutputDelta) for e in seen)


@virtual_time
async def test_an_interruption_cancels_a_tool_and_the_model_learns_it_once() -> None:
    ended = asyncio.Event()

    async def slow() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    transport = ScriptedTransport([*call("a", "slow"), Wait(1), SpeechStarted(), Expect(CallAnswered), End()])
    async with RealtimeAgent("", transport, [Tool("slow", slow)]) as agent:
        seen = []
        async for event in agent.events():
            seen.append(event)
            if isinstance(event, SpeechStarted):
                await agent.interrupt()
                await agent.interrupt()
        await ended.wait()
    assert [r for r in transport.sent if isinstance(r, CallAnswered)] == [
        CallAnswered("a", "slow", "error: cancelled (interrupted)")
    ]
    assert [e for e in seen if isinstance(e, ToolCancelled)] == [ToolCancelled("a", "slow", "interrupted")]


@virtual_time
async def test_interruptions_act_with_no_consumer_at_all() -> None:
    transport = ScriptedTransport([*speech("A long story.", ms=5000, complete=False)])
    async with RealtimeAgent("", transport) as agent:
        await asyncio.sleep(1)
        await agent.interrupt()
        assert transport.sent == [ReplyStopped()]


@virtual_time
async def test_the_application_answers_a_tool_without_handler() -> None:
    transport = ScriptedTransport([*call("a", "ask", '{"q": 1}'), Expect(CallAnswered), End()])
    async with RealtimeAgent("", transport, [Tool("ask", None)]) as agent:
        async for event in agent.events():
            if isinstance(event, ToolStarted):
                assert event.input == {"q": 1}
                await agent.send_tool_result(event.tool_use_id, "42")
    assert transport.sent == [CallAnswered("a", "ask", "42")]


@virtual_time
async def test_an_answer_that_cannot_be_delivered_is_logged_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def look() -> str:
        return "seen"

    class Deaf(ScriptedTransport):
        async def connect(self, **kwargs: Any) -> Any:
            session = await super().connect(**kwargs)

            async def refuse(*args: Any) -> None:
                raise OSError("the peer hung up")

            session.send_tool_result = refuse  # type: ignore[method-assign]
            return session

    transport = Deaf([*call("a", "look"), Wait(1), *speech("On.", ms=100), End()])
    async with RealtimeAgent("", transport, [Tool("look", look)]) as agent:
        seen = await drain(agent)
    assert any(isinstance(e, AudioOutputDelta) for e in seen)
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "call a of tool look" in record.getMessage()


@virtual_time
async def test_a_tool_added_later_is_found_at_dispatch() -> None:
    async def look() -> str:
        return "seen"

    transport = ScriptedTransport([Wait(1), *call("a", "look"), Expect(CallAnswered), End()])
    given: list[Tool] = []
    async with RealtimeAgent("", transport, given) as agent:
        given.append(Tool("other", look))
        agent.tools.append(Tool("look", look))
        await drain(agent)
    assert transport.sent == [CallAnswered("a", "look", "seen")]
    assert [t.name for t in agent.tools] == ["look"]
