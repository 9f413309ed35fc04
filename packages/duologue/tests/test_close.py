"""Closing, cancelling and Ctrl-C: everything ends, soon, and leaves nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from duologue import (
    RealtimeAgent,
    TextBlock,
    Tool,
    ToolCancelled,
    ToolInputDelta,
    ToolResult,
    ToolUseEnd,
    ToolUseStart,
)
from duologue.testing import (
    CallAnswered,
    Expect,
    ReplyStopped,
    ScriptedTransport,
    assert_no_leaks,
    speech,
    virtual_time,
)

CALL = [ToolUseStart(0, "a", "work"), ToolInputDelta(0, "a", "{}"), ToolUseEnd(0, "a")]


async def sleeper() -> str:
    """Work for three seconds."""
    await asyncio.sleep(3)
    return "done"


@virtual_time
async def test_close_ends_the_events_and_leaves_nothing() -> None:
    async with assert_no_leaks():
        agent = RealtimeAgent("", ScriptedTransport(list(speech("Hi.", ms=100))))
        await agent.connect()

        async def consume() -> list[Any]:
            return [e async for e in agent.events()]

        consumer = asyncio.create_task(consume())
        await asyncio.sleep(1)
        await agent.close()
        await agent.close()
        assert await consumer


@virtual_time
async def test_closing_from_several_tasks_at_once_is_fine() -> None:
    agent = RealtimeAgent("", ScriptedTransport())
    await agent.connect()
    await asyncio.gather(agent.close(), agent.close(), agent.close())


@virtual_time
async def test_a_running_tool_may_finish_and_be_answered() -> None:
    transport = ScriptedTransport([*CALL])
    async with RealtimeAgent("", transport, [Tool("work", sleeper)], close_timeout=5) as agent:
        await asyncio.sleep(1)
    assert transport.sent == [CallAnswered("a", "work", "done")]
    assert [e async for e in agent.events() if isinstance(e, ToolResult)]


@virtual_time
async def test_past_the_close_timeout_it_is_cancelled_and_answered() -> None:
    transport = ScriptedTransport([*CALL])
    agent = RealtimeAgent("", transport, [Tool("work", sleeper)], close_timeout=1)
    loop = asyncio.get_running_loop()
    async with assert_no_leaks():
        await agent.connect()
        await asyncio.sleep(1)
        began = loop.time()
        await agent.close()
        assert loop.time() - began < 2
    assert transport.sent == [CallAnswered("a", "work", "error: cancelled (closing)")]
    assert [e async for e in agent.events() if isinstance(e, ToolCancelled)]


@virtual_time
async def test_an_error_in_the_body_does_not_wait_for_tools() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def fail() -> None:
        async with RealtimeAgent("", ScriptedTransport([*CALL]), [Tool("work", sleeper)]):
            await asyncio.sleep(0.1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert loop.time() - began < 1


@pytest.mark.parametrize("method", ["close", "send_tool_result", "interrupt", "commit", "send"])
def test_a_session_that_never_answers_costs_a_few_seconds_at_most(method: Any) -> None:
    @virtual_time
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport = ScriptedTransport([*speech("Hi.", ms=500, complete=False), *CALL], hang=[method])
        async with assert_no_leaks():
            agent = RealtimeAgent("", transport, [Tool("work", sleeper)], close_timeout=1)
            await agent.connect()
            await asyncio.sleep(0.1)
            began = loop.time()
            await agent.interrupt()
            assert loop.time() - began <= 5
            if method in ("commit", "send"):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1):
                        await agent.send(TextBlock("x"))
            began = loop.time()
            await agent.close()
            assert loop.time() - began <= 8
        if method == "interrupt":
            assert ReplyStopped() in transport.sent

    main()


@virtual_time
async def test_cancelling_close_does_not_undo_it() -> None:
    transport = ScriptedTransport([*CALL])
    agent = RealtimeAgent("", transport, [Tool("work", sleeper)])
    async with assert_no_leaks():
        await agent.connect()
        await asyncio.sleep(0.1)
        closing = asyncio.create_task(agent.close())
        await asyncio.sleep(0.1)
        closing.cancel()
        await asyncio.wait([closing])
        await agent.close()
    assert transport.session.closed
    assert transport.sent == [CallAnswered("a", "work", "done")]


@virtual_time
async def test_a_consumer_that_is_cancelled_loses_no_event() -> None:
    async with RealtimeAgent("", ScriptedTransport([Expect(object), *speech("Hi.", ms=100)])) as agent:
        consumer = asyncio.create_task(anext(agent.events()))  # type: ignore[arg-type]
        await asyncio.sleep(1)
        consumer.cancel()
        await asyncio.wait([consumer])
        await agent.commit()
        first = await anext(agent.events())
        assert type(first).__name__ == "TranscriptDelta"


@virtual_time
async def test_cancelling_an_interruption_does_not_undo_the_cut() -> None:
    transport = ScriptedTransport([*speech("Hi.", ms=5000, complete=False)], hang=["interrupt"])
    async with RealtimeAgent("", transport, close_timeout=0.1) as agent:
        await asyncio.sleep(0.1)
        cut = asyncio.create_task(agent.interrupt())
        await asyncio.sleep(0)
        cut.cancel()
        await asyncio.wait([cut])
        assert agent._engine.inbox.audio_dropped == 50  # type: ignore[union-attr]


@virtual_time
async def test_cancelling_connect_leaves_nothing() -> None:
    class Slow(ScriptedTransport):
        async def connect(self, **kwargs: Any) -> Any:
            await asyncio.sleep(3600)

    async with assert_no_leaks():
        connecting = asyncio.create_task(RealtimeAgent("", Slow()).connect())
        await asyncio.sleep(1)
        connecting.cancel()
        await asyncio.wait([connecting])


def test_ctrl_c_exits_though_a_plain_handler_never_returns() -> None:
    program = textwrap.dedent("""
        import asyncio, threading
        from duologue import RealtimeAgent, Tool, ToolStarted, ToolUseEnd, ToolUseStart
        from duologue.testing import ScriptedTransport

        def stuck() -> None:
            print("stuck", flush=True)
            threading.Event().wait()

        async def main() -> None:
            script = [ToolUseStart(0, "a", "stuck"), ToolUseEnd(0, "a")]
            async with RealtimeAgent("", ScriptedTransport(script), [Tool("stuck", stuck, timeout=None)]) as agent:
                async for _ in agent.events():
                    pass

        asyncio.run(main())
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"stuck"
        os.kill(process.pid, signal.SIGINT)
        try:
            process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode != 0
