"""ToolRunner: runs the handlers, on the loop or on threads, and never waits for one that hangs."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duologue.blocks import AudioBlock, ImageBlock, TextBlock
from duologue.errors import LocalProtocolError, ToolError, ToolTimeout
from duologue.tasks import TaskSet

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from duologue.blocks import ContentBlock
    from duologue.tool import Tool

log = logging.getLogger(__name__)

MAX_THREADS = 64
"""Plain handlers that run at once; more wait. One past its deadline no longer counts."""

STUBBORN = 1.0
"""Seconds a cancelled handler may take before it is reported as abandoned."""

_reporter: contextvars.ContextVar[Callable[[str], None] | None] = contextvars.ContextVar("reporter", default=None)


def report_progress(content: str) -> None:
    """Pass a handler's progress to the agent that runs it; from any thread.

    Raises:
        LocalProtocolError: no agent runs this code as a handler.
    """
    reporter = _reporter.get()
    if reporter is None:
        raise LocalProtocolError("progress() is for tool handlers that an agent runs")
    reporter(content)


@dataclass(slots=True, eq=False)
class _Running:
    tool_use_id: str
    tool: Tool
    arguments: dict[str, Any]
    task: asyncio.Task[Any] | None = None
    coroutine: Any = None
    thread: threading.Thread | None = None
    dropped: bool = False
    abandoned: bool = False
    broken: bool = False


class ToolRunner:
    """Runs handlers; `done(id, content, is_error)`, `said(id, text)` and `problem(exc)` are called on the loop."""

    def __init__(
        self,
        done: Callable[[str, str | list[ContentBlock], bool], None],
        said: Callable[[str, str], None],
        problem: Callable[[Exception], None],
    ) -> None:
        self._done = done
        self._said = said
        self._problem = problem
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._tasks = TaskSet()
        self._running: dict[str, _Running] = {}
        self._stopping: set[_Running] = set()
        self._waiting: deque[_Running] = deque()
        self._threads = 0
        self.abandoned = 0
        """Handlers that did not end when they were told to."""

    def start(self, tool_use_id: str, tool: Tool, arguments: dict[str, Any]) -> None:
        """Run a handler."""
        run = self._running[tool_use_id] = _Running(tool_use_id, tool, arguments)
        if tool.is_async:
            run.task = self._tasks.start(self._on_loop(run), f"tool {tool.name}")
        elif self._threads < MAX_THREADS:
            self._on_thread(run)
        else:
            self._waiting.append(run)

    def stop(self, tool_use_id: str) -> None:
        """Cancel a handler; whatever becomes of it, its result is not reported."""
        run = self._running.pop(tool_use_id, None)
        if run is None:
            return
        run.dropped = True
        if run.task is not None:
            run.task.cancel()
            self._stopping.add(run)
            run.task.add_done_callback(lambda _: self._stopping.discard(run))
            self._loop.call_later(STUBBORN, self._check_stopped, run)
        elif run.thread is not None:
            self._abandon(run, "its thread can't be stopped")
            self._thread_over()
        elif run in self._waiting:
            self._waiting.remove(run)

    async def close(self, deadline: float) -> None:
        """Cancel all handlers and end within `deadline` seconds; one that resists is closed under its feet."""
        for tool_use_id in list(self._running):
            self.stop(tool_use_id)
        left = set(await self._tasks.stop(deadline))
        stubborn = [run for run in self._stopping if run.task in left]
        for run in stubborn:
            self._abandon(run, "it swallows cancellation")
            self._break(run)
        await self._tasks.stop(0.2)
        for run in stubborn:
            run.coroutine = None  # collected while the loop runs: later its waits would fail at once, and it would spin

    async def _on_loop(self, run: _Running) -> None:
        _reporter.set(lambda content: self._call_loop(self._report, run, content))
        try:
            run.coroutine = run.tool(**run.arguments)
            content, is_error = render(await _Breakable(run)), False
        except asyncio.CancelledError:
            content, is_error = "error: the tool was cancelled", True  # by itself, or its end is not reported
        except Exception as exc:  # task boundary: whatever a handler raises is told to the model
            content, is_error = explain(run.tool, exc), True
        self._finished(run, content, is_error)

    def _on_thread(self, run: _Running) -> None:
        context = contextvars.copy_context()
        context.run(_reporter.set, lambda content: self._call_loop(self._report, run, content))
        run.thread = threading.Thread(
            target=context.run, args=(self._in_thread, run), name=f"duologue tool {run.tool.name}", daemon=True
        )
        try:
            run.thread.start()
        except RuntimeError as exc:  # the system gives no more threads
            run.thread = None
            self._loop.call_soon(self._finished, run, explain(run.tool, exc), True)
        else:
            self._threads += 1

    def _in_thread(self, run: _Running) -> None:
        try:
            result = run.tool(**run.arguments)
            if inspect.iscoroutine(result):
                result.close()
                raise TypeError("a plain handler returned a coroutine: make it `async def`")  # noqa: TRY301 - told to the model like any failure
            content, is_error = render(result), False
        except BaseException as exc:  # task boundary: `sys.exit()` in a handler ends its call like any failure
            content, is_error = explain(run.tool, exc), True
        self._call_loop(self._thread_done, run, content, is_error)

    def _call_loop(self, function: Callable[..., None], *args: Any) -> None:
        if threading.get_ident() == self._loop_thread:
            function(*args)
            return
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            log.debug("a tool handler outlived its event loop")

    def _thread_done(self, run: _Running, content: str | list[ContentBlock], is_error: bool) -> None:
        if not run.dropped:
            self._thread_over()
        self._finished(run, content, is_error)

    def _thread_over(self) -> None:
        self._threads -= 1
        # later: who stops many calls at once is not to start one of them by stopping another
        self._loop.call_soon(self._start_waiting)

    def _start_waiting(self) -> None:
        while self._waiting and self._threads < MAX_THREADS:
            self._on_thread(self._waiting.popleft())

    def _finished(self, run: _Running, content: str | list[ContentBlock], is_error: bool) -> None:
        if self._running.get(run.tool_use_id) is run:
            del self._running[run.tool_use_id]
        if not run.dropped:
            self._done(run.tool_use_id, content, is_error)

    def _report(self, run: _Running, content: str) -> None:
        if not run.dropped:
            self._said(run.tool_use_id, content)

    def _check_stopped(self, run: _Running) -> None:
        if run in self._stopping:
            self._abandon(run, "it swallows cancellation")

    def _abandon(self, run: _Running, why: str) -> None:
        if run.abandoned:
            return
        run.abandoned = True
        self.abandoned += 1
        self._problem(ToolTimeout(f"tool {run.tool.name!r} (call {run.tool_use_id}) was abandoned: {why}"))

    def _break(self, run: _Running) -> None:
        """End a coroutine that swallows cancellation: it gets GeneratorExit where it waits, then its task ends."""
        run.broken = True
        try:
            run.coroutine.close()
        except (Exception, asyncio.CancelledError) as exc:  # task boundary: what a handler does when closed is its own
            log.debug("tool %s did not close: %s", run.tool.name, type(exc).__name__)
        if run.task is not None:
            run.task.cancel()


class _Breakable:
    """Awaits a handler's coroutine until the run is broken: then its task ends, whatever the handler does.

    A task that never ends would keep `asyncio.run` from returning.
    """

    def __init__(self, run: _Running) -> None:
        self._run = run

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._run.coroutine.__await__()
        step, value = inner.send, None
        while True:
            try:
                waits_for = step(value)
            except StopIteration as end:
                return end.value
            try:
                value = yield waits_for
                step = inner.send
            except BaseException as exc:  # handed on, also CancelledError: the handler decides what to do with it
                if self._run.broken:
                    raise
                step, value = inner.throw, exc


def render(value: Any) -> str | list[ContentBlock]:
    """Turn what a handler returned into what the model gets: text and blocks as they are, the rest as JSON.

    Raises:
        TypeError: the value is not JSON-able.
    """
    if isinstance(value, str):
        return str.__str__(value)  # an Enum of strings is its value here
    if isinstance(value, TextBlock | AudioBlock | ImageBlock):
        return [value]
    if isinstance(value, list) and value and all(isinstance(v, TextBlock | AudioBlock | ImageBlock) for v in value):
        return value
    import pydantic_core

    try:
        return pydantic_core.to_json(value).decode()
    except (pydantic_core.PydanticSerializationError, ValueError) as exc:
        raise TypeError(f"its result, a {type(value).__name__}, is not JSON-able") from exc


def explain(tool: Tool, exc: BaseException) -> str:
    """Say what went wrong, for the model; the traceback goes to the log."""
    try:
        text = str(exc)
    except Exception:  # task boundary: an exception that can't say what it is gets an answer, too
        text = ""
    if isinstance(exc, ToolError) and text:
        return f"error: {text}"
    log.warning("tool %s failed", tool.name, exc_info=exc)
    return f"error: {type(exc).__name__}: {text}" if text else f"error: {type(exc).__name__}"
