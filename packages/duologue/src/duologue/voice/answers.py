"""Answers: the model's calls, asked of `on_tool_call` first and of the tool itself then."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from duologue.errors import DuologueError
from duologue.tool import Tool
from duologue.toolrun import ToolRunner
from duologue.voice.callbacks import is_async
from duologue.voice.data import ToolCallRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from duologue.blocks import ContentBlock
    from duologue.events import ToolStarted

CLOSE_WITHIN = 1.0
"""Seconds a handler may take to end when the session closes."""


class _Asking:
    """A call on its way through the callbacks, and to its tool at last."""

    def __init__(self, request: ToolCallRequest, callbacks: Sequence[Callable[..., Any]]) -> None:
        self.request = request
        self.callbacks = list(callbacks)
        self.answered = False

    def next(self) -> Tool | None:
        """The next callback as something that can be run."""
        if not self.callbacks:
            return None
        callback, request = self.callbacks.pop(0), self.request

        async def on_loop() -> Any:
            answer = await callback(request)
            self.answered = answer is not None
            return answer

        def on_thread() -> Any:
            answer = callback(request)
            self.answered = answer is not None
            return answer

        return Tool(request.function_name, on_loop if is_async(callback) else on_thread)


class Answers:
    """Runs what answers calls; `answer(id, content, is_error)` and `failed(about, text)` are called on the loop."""

    def __init__(
        self,
        tools: Mapping[str, Tool],
        callbacks: Sequence[Callable[..., Any]],
        answer: Callable[[str, str | list[ContentBlock], bool], None],
        failed: Callable[[str, str], None],
        problem: Callable[[Exception], None],
    ) -> None:
        self._tools = tools
        self._callbacks = callbacks
        self._answer = answer
        self._failed = failed
        self._open: dict[str, _Asking] = {}
        self._runner = ToolRunner(self._done, lambda _id, _text: None, problem)

    def start(self, event: ToolStarted) -> None:
        """The model calls."""
        request = ToolCallRequest(event.tool_use_id, event.name, copy.deepcopy(event.input))
        self._open[event.tool_use_id] = _Asking(request, self._callbacks)
        self._go_on(event.tool_use_id)

    def stop(self, tool_use_id: str) -> bool:
        """The call needs no answer any more; whether it was still on its way to one."""
        if self._open.pop(tool_use_id, None) is None:
            return False
        self._runner.stop(tool_use_id)
        return True

    async def close(self) -> None:
        """End what runs."""
        self._open.clear()
        await self._runner.close(CLOSE_WITHIN)

    def _go_on(self, tool_use_id: str) -> None:
        asking = self._open[tool_use_id]
        step = asking.next()
        if step is not None:
            self._runner.start(tool_use_id, step, {})
            return
        asking.answered = True
        name = asking.request.function_name
        tool = self._tools.get(name)
        if tool is None:
            self._finish(tool_use_id, f"Unknown tool: {name}", True)
        elif tool.handler is None:
            self._finish(tool_use_id, f"error: nothing answers calls of {name}: register on_tool_call", True)
        else:
            try:
                arguments = tool.arguments.check(copy.deepcopy(asking.request.arguments))
            except DuologueError as exc:
                self._finish(tool_use_id, f"error: {exc}", True)
            else:
                self._runner.start(tool_use_id, tool, arguments)

    def _done(self, tool_use_id: str, content: str | list[ContentBlock], is_error: bool) -> None:
        asking = self._open.get(tool_use_id)
        if asking is None:
            return
        if asking.answered or is_error:
            self._finish(tool_use_id, content, is_error)
        else:
            self._go_on(tool_use_id)

    def _finish(self, tool_use_id: str, content: str | list[ContentBlock], is_error: bool) -> None:
        asking = self._open.pop(tool_use_id)
        if is_error:
            self._failed(f"tool {asking.request.function_name}", str(content).removeprefix("error: "))
        self._answer(tool_use_id, content, is_error)
