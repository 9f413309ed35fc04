from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import enum
import functools
import gc
import json
import logging
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pydantic
import pytest
from duologue import (
    AudioBlock,
    ImageBlock,
    LocalProtocolError,
    TextBlock,
    Tool,
    ToolError,
    ToolRejected,
    ToolTimeout,
    progress,
)
from duologue.blocks import ContentBlock
from duologue.testing import assert_no_leaks, virtual_time
from duologue.toolrun import MAX_THREADS, STUBBORN, ToolRunner, explain, render, report_progress

Answer = tuple[str, str | list[ContentBlock], bool]


class Bench:
    """A runner and what it said; every call of it has to come on the loop's thread."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.answers: list[Answer] = []
        self.said: list[tuple[str, str]] = []
        self.problems: list[Exception] = []
        self._moved = asyncio.Event()
        self.runner = ToolRunner(self._done, self._said, self._problem)

    def _done(self, tool_use_id: str, content: str | list[ContentBlock], is_error: bool) -> None:
        self._note()
        self.answers.append((tool_use_id, content, is_error))

    def _said(self, tool_use_id: str, text: str) -> None:
        self._note()
        self.said.append((tool_use_id, text))

    def _problem(self, exc: Exception) -> None:
        self._note()
        self.problems.append(exc)

    def _note(self) -> None:
        assert threading.get_ident() == self.thread
        self._moved.set()

    def start(self, handler: Callable[..., Any], tool_use_id: str = "c1", /, **arguments: Any) -> None:
        self.runner.start(tool_use_id, Tool("t", handler), arguments)

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not met():
                self._moved.clear()
                await self._moved.wait()

    async def answer(self, handler: Callable[..., Any], /, **arguments: Any) -> Answer:
        """Run it to its end."""
        before = len(self.answers)
        self.start(handler, "c1", **arguments)
        await self.until(lambda: len(self.answers) > before)
        return self.answers[-1]


@contextlib.asynccontextmanager
async def a_bench() -> AsyncIterator[Bench]:
    bench = Bench()
    async with assert_no_leaks(within=5.0):
        yield bench
        await bench.runner.close(2.0)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Holds threads until the test is over at the latest."""
    gate = threading.Event()
    yield gate
    gate.set()


async def forever() -> None:
    await asyncio.Event().wait()


# -- handlers of every kind -----------------------------------------------------------------------------


class Handlers:
    async def on_loop(self, x: int) -> str:
        return f"{x} on {threading.current_thread() is threading.main_thread()}"

    def on_thread(self, x: int) -> str:
        return f"{x} on {threading.current_thread() is threading.main_thread()}"

    async def __call__(self, x: int) -> str:
        return await self.on_loop(x)


@pytest.mark.parametrize(
    ("handler", "on_main"),
    [
        (Handlers().on_loop, True),
        (Handlers(), True),
        (functools.partial(Handlers().on_loop), True),
        (Handlers().on_thread, False),
        (functools.partial(Handlers().on_thread), False),
        (lambda x: Handlers().on_thread(x), False),
    ],
)
async def test_async_handlers_run_on_the_loop_and_plain_ones_on_a_thread(
    handler: Callable[..., Any], on_main: bool
) -> None:
    async with a_bench() as bench:
        assert await bench.answer(handler, x=3) == ("c1", f"3 on {on_main}", False)


async def test_a_parameter_may_be_called_like_ours() -> None:
    def handler(self: int, run: int, content: int) -> list[int]:
        return [self, run, content]

    async with a_bench() as bench:
        assert await bench.answer(handler, self=1, run=2, content=3) == ("c1", "[1,2,3]", False)


async def test_a_plain_handler_that_returns_a_coroutine_is_told_how_to_be_written() -> None:
    async def inner() -> str:
        raise AssertionError("it must not run")

    def plain() -> Any:
        return inner()

    async with a_bench() as bench:
        for handler in (plain, lambda: inner()):
            _, content, is_error = await bench.answer(handler)
            assert is_error
            assert content == "error: TypeError: a plain handler returned a coroutine: make it `async def`"


# -- results --------------------------------------------------------------------------------------------


class Weather(pydantic.BaseModel):
    city: str
    degrees: float


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Colour(str, enum.Enum):  # noqa: UP042 - the mixed-in kind is the one that prints otherwise
    red = "r"


BLOCKS: list[Any] = [TextBlock("a"), AudioBlock(b"\0\0"), ImageBlock(b"\xff")]
RESULTS: list[tuple[Any, Any]] = [
    ("text", "text"),
    ("", ""),
    (Colour.red, "r"),
    (None, "null"),
    (True, "true"),
    (3.5, "3.5"),
    ({"a": [1, "é"]}, '{"a":[1,"é"]}'),
    ([], "[]"),
    (Weather(city="Oslo", degrees=3), '{"city":"Oslo","degrees":3.0}'),
    ([Weather(city="Oslo", degrees=3)], '[{"city":"Oslo","degrees":3.0}]'),
    (Point(1, 2), '{"x":1,"y":2}'),
    (BLOCKS[0], BLOCKS[:1]),
    (BLOCKS[2], BLOCKS[2:]),
    (BLOCKS, BLOCKS),
]


@pytest.mark.parametrize(("value", "content"), RESULTS)
async def test_what_a_handler_returns_becomes_text_json_or_blocks(value: Any, content: Any) -> None:
    async def on_loop() -> Any:
        return value

    async with a_bench() as bench:
        assert await bench.answer(on_loop) == ("c1", content, False)
        assert await bench.answer(lambda: value) == ("c1", content, False)


def test_text_is_text_and_nothing_derived_from_it() -> None:
    assert type(render(Colour.red)) is str
    assert json.loads(str(render({"a": Colour.red}))) == {"a": "r"}


def circle() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


NOT_JSON = [object(), {"a": object()}, {1, object()}, b"\xff", circle(), [TextBlock("a"), object()], forever]


@pytest.mark.parametrize("value", NOT_JSON, ids=lambda value: type(value).__name__)
async def test_what_is_no_json_is_an_error_for_the_model(value: Any) -> None:
    with pytest.raises(TypeError, match="is not JSON-able"):
        render(value)

    async def on_loop() -> Any:
        return value

    async with a_bench() as bench:
        for handler in (on_loop, lambda: value):
            _, content, is_error = await bench.answer(handler)
            assert is_error
            assert content == f"error: TypeError: its result, a {type(value).__name__}, is not JSON-able"


# -- failures -------------------------------------------------------------------------------------------


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


FAILURES: list[tuple[BaseException, str]] = [
    (ValueError("no such city"), "error: ValueError: no such city"),
    (ValueError(), "error: ValueError"),
    (ToolError("ask for a city"), "error: ask for a city"),
    (ToolRejected("not allowed"), "error: not allowed"),
    (ToolError(), "error: ToolError"),
    (ExceptionGroup("two", [ValueError("a"), KeyError("b")]), "error: ExceptionGroup: two (2 sub-exceptions)"),
    (Mute(), "error: Mute"),
]


@pytest.mark.parametrize(("raised", "message"), FAILURES)
async def test_what_a_handler_raises_is_told_to_the_model(raised: BaseException, message: str) -> None:
    async def on_loop() -> None:
        raise raised

    def on_thread() -> None:
        raise raised

    async with a_bench() as bench:
        assert await bench.answer(on_loop) == ("c1", message, True)
        assert await bench.answer(on_thread) == ("c1", message, True)


@pytest.mark.parametrize("raised", [SystemExit(2), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_a_thread_that_wants_to_end_the_program_ends_its_call(raised: BaseException) -> None:
    """`sys.exit()` in a plain handler: the model gets its answer, the place is free again."""

    def leave() -> None:
        raise raised

    async with a_bench() as bench:
        _, content, is_error = await bench.answer(leave)
        assert is_error
        assert str(content).startswith(f"error: {type(raised).__name__}")
        assert bench.runner._threads == 0


def test_unexpected_failures_are_logged_with_their_traceback_and_messages_to_the_model_are_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tool = Tool("look", None)
    with caplog.at_level(logging.DEBUG):
        assert explain(tool, ToolError("ask again")) == "error: ask again"
        assert caplog.records == []
        explain(tool, ValueError("boom"))
    (record,) = caplog.records
    assert record.getMessage() == "tool look failed"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


@virtual_time
async def test_a_handler_that_cancels_itself_is_answered() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    async with a_bench() as bench:
        assert await bench.answer(cancelled) == ("c1", "error: the tool was cancelled", True)


async def test_wrong_arguments_are_a_failure_like_any() -> None:
    async def on_loop(x: int) -> None: ...

    async with a_bench() as bench:
        for handler in (on_loop, lambda x: None):
            _, content, is_error = await bench.answer(handler, y=1)
            assert is_error
            assert str(content).startswith("error: TypeError: ")


# -- progress -------------------------------------------------------------------------------------------


async def test_progress_comes_in_order_and_before_the_result() -> None:
    async def on_loop() -> str:
        await progress("one")
        progress("two")
        return "done"

    def on_thread() -> str:
        progress("one")
        progress("two")
        return "done"

    async with a_bench() as bench:
        for handler in (on_loop, on_thread):
            bench.said.clear()
            await bench.answer(handler)
            assert bench.said == [("c1", "one"), ("c1", "two")]


async def test_progress_comes_from_whatever_a_handler_starts() -> None:
    async def helper() -> None:
        await progress("from a task")

    def work() -> None:
        progress("from a thread")

    async def on_loop() -> None:
        await asyncio.create_task(helper())
        await asyncio.to_thread(work)

    bench = Bench()
    await bench.answer(on_loop)
    assert bench.said == [("c1", "from a task"), ("c1", "from a thread")]


@virtual_time
async def test_progress_says_whose_it_is() -> None:
    async def handler(text: str) -> None:
        await asyncio.sleep(1)
        await progress(text)

    async with a_bench() as bench:
        bench.start(handler, "a", text="of a")
        bench.start(handler, "b", text="of b")
        await bench.until(lambda: len(bench.answers) == 2)
        assert sorted(bench.said) == [("a", "of a"), ("b", "of b")]


async def test_progress_of_a_stopped_handler_is_not_reported(gate: threading.Event) -> None:
    asked = threading.Event()

    def on_thread() -> str:
        asked.set()
        gate.wait()
        progress("too late")
        return "too late"

    async def on_loop() -> None:
        try:
            await forever()
        finally:
            progress("too late")

    async with a_bench() as bench:
        bench.start(on_thread, "a")
        bench.start(on_loop, "b")
        await asyncio.to_thread(asked.wait)
        bench.runner.stop("a")
        bench.runner.stop("b")
        gate.set()
        await asyncio.get_running_loop().shutdown_default_executor()
        for thread in [t for t in threading.enumerate() if t.name == "duologue tool t"]:
            thread.join()
        await asyncio.sleep(0)
        assert bench.said == []
        assert bench.answers == []


def test_progress_without_an_agent_is_an_error() -> None:
    with pytest.raises(LocalProtocolError, match="tool handlers that an agent runs"):
        report_progress("half way")


# -- stopping -------------------------------------------------------------------------------------------


@virtual_time
async def test_a_stopped_handler_is_cancelled_and_its_end_is_not_reported() -> None:
    ended: list[str] = []

    async def handler() -> str:
        try:
            await forever()
        finally:
            ended.append("cleaned up")
        return "never"

    async with a_bench() as bench:
        bench.start(handler)
        await asyncio.sleep(1)
        bench.runner.stop("c1")
        bench.runner.stop("c1")
        bench.runner.stop("unknown")
        await asyncio.sleep(STUBBORN * 2)
        assert ended == ["cleaned up"]
        assert (bench.answers, bench.problems, bench.runner.abandoned) == ([], [], 0)


@virtual_time
async def test_a_handler_may_be_stopped_before_it_began() -> None:
    async with a_bench() as bench:
        bench.start(forever)
        bench.runner.stop("c1")
        await asyncio.sleep(STUBBORN * 2)
        assert (bench.answers, bench.problems) == ([], [])


@pytest.mark.parametrize("outcome", ["returns", "raises"])
@virtual_time
async def test_a_handler_that_swallows_its_cancellation_is_not_reported(outcome: str) -> None:
    async def handler() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await forever()
        if outcome == "raises":
            raise ValueError("unwanted")
        return "unwanted"

    async with a_bench() as bench:
        bench.start(handler)
        await asyncio.sleep(0)
        bench.runner.stop("c1")
        await asyncio.sleep(STUBBORN * 2)
        assert (bench.answers, bench.problems, bench.runner.abandoned) == ([], [], 0)


@virtual_time
async def test_a_handler_that_swallows_cancellation_for_ever_is_abandoned_once_and_broken_at_the_close() -> None:
    ended: list[str] = []

    async def handler() -> None:
        try:
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.1)
        finally:
            ended.append("cleaned up")

    async with a_bench() as bench:
        bench.start(handler)
        await asyncio.sleep(1)
        bench.runner.stop("c1")
        await asyncio.sleep(STUBBORN / 2)
        assert bench.problems == []
        await asyncio.sleep(STUBBORN)
        (problem,) = bench.problems
        assert isinstance(problem, ToolTimeout)
        assert str(problem) == "tool 't' (call c1) was abandoned: it swallows cancellation"
        began = asyncio.get_running_loop().time()
        await bench.runner.close(2.0)
        assert asyncio.get_running_loop().time() - began < 2.5
        assert ended == ["cleaned up"]
        await asyncio.sleep(STUBBORN * 2)
        assert (len(bench.problems), bench.runner.abandoned) == (1, 1), "one handler, one report"


@virtual_time
async def test_a_handler_that_is_only_stubborn_at_the_close_is_reported_too() -> None:
    async def handler() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.1)

    async with a_bench() as bench:
        bench.start(handler)
        await asyncio.sleep(1)
        await bench.runner.close(0.5)
        await asyncio.sleep(STUBBORN * 2)
        assert (len(bench.problems), bench.runner.abandoned) == (1, 1)


@virtual_time
async def test_a_handler_that_ends_late_after_all_is_forgotten() -> None:
    async def handler() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await forever()
        await asyncio.sleep(STUBBORN * 3)
        return "late"

    async with a_bench() as bench:
        bench.start(handler)
        await asyncio.sleep(0)
        bench.runner.stop("c1")
        await asyncio.sleep(STUBBORN * 5)
        assert (len(bench.problems), bench.answers) == (1, [])
        assert bench.runner._stopping == set()


@pytest.mark.filterwarnings("ignore:Exception ignored in.*coroutine:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("last_words", ["wait", "raise", "cancel"])
@virtual_time
async def test_a_handler_that_resists_being_closed_ends_all_the_same(last_words: str) -> None:
    """A bare `except:` around a wait in a loop catches GeneratorExit as well: its task ends without it."""

    async def handler() -> None:
        while True:
            try:
                await asyncio.sleep(0.1)
            except GeneratorExit:
                if last_words == "raise":
                    raise ValueError from None
                if last_words == "cancel":
                    raise asyncio.CancelledError from None
            except BaseException:
                pass

    async with a_bench() as bench:
        bench.start(handler)
        await asyncio.sleep(1)
        run = bench.runner._running["c1"]
        async with asyncio.timeout(3.0):
            await bench.runner.close(2.0)
        assert run.task is not None
        assert run.task.done()
        assert bench.runner.abandoned == 1
        gc.collect()


def test_a_program_ends_although_a_handler_catches_everything() -> None:
    """`asyncio.run` waits for every task: none may be left."""
    code = """
import asyncio
from duologue import RealtimeAgent, Tool, ToolInputDelta, ToolUseEnd, ToolUseStart, ToolStarted
from duologue.testing import ScriptedTransport
async def stubborn():
    while True:
        try:
            await asyncio.sleep(0.01)
        except:
            pass
async def main():
    script = [ToolUseStart(0, "c", "t"), ToolUseEnd(0, "c")]
    agent = RealtimeAgent("", ScriptedTransport(script), [Tool("t", stubborn)], close_timeout=0.1)
    async with agent:
        async for event in agent.events():
            if isinstance(event, ToolStarted):
                break
asyncio.run(main())
print("over")
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, timeout=30, check=False)
    assert done.stdout.strip() == b"over"


# -- threads --------------------------------------------------------------------------------------------


async def test_a_thread_that_is_stopped_is_abandoned_named_and_counted(gate: threading.Event) -> None:
    bench = Bench()
    bench.start(gate.wait)
    bench.runner.stop("c1")
    (problem,) = bench.problems
    assert isinstance(problem, ToolTimeout)
    assert str(problem) == "tool 't' (call c1) was abandoned: its thread can't be stopped"
    assert bench.runner.abandoned == 1
    assert all(t.daemon for t in threading.enumerate() if t.name == "duologue tool t"), "it must not delay exit"
    await asyncio.wait_for(bench.runner.close(2.0), 1)
    gate.set()


async def test_no_more_than_the_limit_run_at_once_and_the_rest_wait_in_order(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("duologue.toolrun.MAX_THREADS", 2)
    lock = threading.Lock()
    running, most, order = 0, 0, []

    def handler(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            order.append(number)
        gate.wait()
        with lock:
            running -= 1
        return number

    async with a_bench() as bench:
        for number in range(6):
            bench.start(handler, f"c{number}", number=number)
        assert bench.runner._threads == 2
        gate.set()
        await bench.until(lambda: len(bench.answers) == 6)
        assert most == 2
        assert order[2:] == [2, 3, 4, 5]
        assert sorted(bench.answers) == [(f"c{n}", str(n), False) for n in range(6)]


def test_the_limit_is_generous() -> None:
    assert MAX_THREADS == 64


async def test_abandoned_threads_use_up_no_places(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duologue.toolrun.MAX_THREADS", 2)
    async with a_bench() as bench:
        for number in range(6):
            bench.start(gate.wait, f"stuck{number}")
            bench.runner.stop(f"stuck{number}")
        assert await bench.answer(lambda: "free") == ("c1", "free", False)
        assert bench.runner.abandoned == 6
        gate.set()
        for thread in [t for t in threading.enumerate() if t.name == "duologue tool t"]:
            thread.join()
        await asyncio.sleep(0)
        assert bench.runner._threads == 0, "those that come back late were counted off already"
        assert len(bench.answers) == 1


async def test_abandoning_a_thread_makes_place_for_one_that_waits(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("duologue.toolrun.MAX_THREADS", 1)
    async with a_bench() as bench:
        bench.start(gate.wait, "stuck")
        bench.start(lambda: "free", "waiting")
        bench.runner.stop("stuck")
        await bench.until(lambda: bench.answers == [("waiting", "free", False)])
        gate.set()


async def test_stopping_many_calls_starts_none_of_them(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that one stop makes must not go to a call that is stopped next."""
    monkeypatch.setattr("duologue.toolrun.MAX_THREADS", 1)
    ran: list[int] = []
    async with a_bench() as bench:
        bench.start(gate.wait, "stuck")
        for number in range(3):
            bench.start(lambda number=number: ran.append(number), f"c{number}")
        for tool_use_id in ("stuck", "c0", "c1", "c2"):
            bench.runner.stop(tool_use_id)
        assert bench.runner.abandoned == 1
        assert await bench.answer(lambda: "next") == ("c1", "next", False)
        assert ran == []
        gate.set()


async def test_closing_starts_no_call_that_waits(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duologue.toolrun.MAX_THREADS", 1)
    ran: list[int] = []
    bench = Bench()
    bench.start(gate.wait, "stuck")
    bench.start(lambda: ran.append(1), "waiting")
    await bench.runner.close(1.0)
    await asyncio.sleep(0)
    assert ran == []
    assert bench.answers == []
    gate.set()


async def test_a_system_without_threads_left_is_an_error_for_the_model(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with a_bench() as bench:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            bench.start(gate.wait, "a")
            bench.start(gate.wait, "b")
            bench.runner.stop("b")
            await bench.until(lambda: len(bench.answers) == 1)
        await asyncio.sleep(0)
        assert bench.answers == [("a", "error: RuntimeError: can't start new thread", True)]
        assert await bench.answer(lambda: "works again") == ("c1", "works again", False)
        assert bench.problems == []


def test_a_thread_may_outlive_its_loop(gate: threading.Event, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        Bench().start(gate.wait)

    with caplog.at_level(logging.DEBUG, logger="duologue.toolrun"):
        asyncio.run(main())
        (thread,) = (t for t in threading.enumerate() if t.name == "duologue tool t")
        gate.set()
        thread.join()
    assert "a tool handler outlived its event loop" in caplog.text


async def test_the_loop_stays_free_while_threads_work(gate: threading.Event) -> None:
    async with a_bench() as bench:
        bench.start(gate.wait, "slow")
        assert await bench.answer(lambda: "quick") == ("c1", "quick", False)
        assert len(bench.answers) == 1
        gate.set()
        await bench.until(lambda: len(bench.answers) == 2)


async def test_variables_of_the_context_are_seen_by_handlers() -> None:
    import contextvars

    user: contextvars.ContextVar[str] = contextvars.ContextVar("user")
    user.set("ada")

    async def on_loop() -> str:
        return user.get()

    async with a_bench() as bench:
        assert await bench.answer(on_loop) == ("c1", "ada", False)
        assert await bench.answer(user.get) == ("c1", "ada", False)


# -- awaiting through the breakable ---------------------------------------------------------------------


@virtual_time
async def test_a_handler_awaits_caught_exceptions_and_timeouts_as_usual() -> None:
    async def failing() -> None:
        await asyncio.sleep(1)
        raise KeyError("k")

    async def handler() -> list[str]:
        seen = []
        try:
            await asyncio.wait_for(forever(), 2)
        except TimeoutError:
            seen.append("timeout")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(failing())
                group.create_task(forever())
        except* KeyError:
            seen.append("group")
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(1, future.set_result, "future")
        return [*seen, await future]

    async with a_bench() as bench:
        assert await bench.answer(handler) == ("c1", '["timeout","group","future"]', False)
