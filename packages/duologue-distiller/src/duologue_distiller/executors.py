"""Executors: a project's custom agents, run here. Each request is answered, whatever happens."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from duologue.tool import Tool
from duologue.toolrun import ToolRunner

if TYPE_CHECKING:
    from duologue.blocks import ContentBlock

log = logging.getLogger(__name__)

ENVIRONMENT = "env_variable"
"""The argument whose changes go back to the service as memory."""

CLOSED = "error: the client closed the session before this was done"

NAMED = frozenset({inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY})


class Executors:
    """The functions of `executor_dict`, called as the service asks for them.

    A function gets the arguments it has parameters for, and `request_id` if it wants that. Async functions run on
    the loop, others on threads that never delay the end of the program.

    Args:
        functions: by the name of the agent; an agent with several functions may have them in a list or a dict.
        answer: called with the call's id, the text of its result, and what the service is to remember.
        timeout: seconds a call may run.

    Raises:
        TypeError: something in it can't be called.
    """

    def __init__(
        self,
        functions: Mapping[str, Any],
        answer: Callable[[str, str, dict[str, Any] | None], None],
        timeout: float = 600.0,
    ) -> None:
        self._functions = dict(functions)
        for name, entry in self._functions.items():
            if not all(callable(f) for _, f in _callables(entry)):
                raise TypeError(f"executor_dict[{name!r}] is a {type(entry).__name__}, not a function")
        self._answer = answer
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._runner = ToolRunner(self._done, lambda *_: None, lambda exc: log.warning("%s", exc))
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._environments: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        self._closing = False

    def run(self, call_id: str, name: str, arguments: Mapping[str, Any], request_id: str) -> None:
        """Run what has that name, and answer with what it returns."""
        if self._closing:
            self._answer(call_id, CLOSED, None)
            return
        function = self._find(name)
        if function is None:
            self._answer(call_id, f"Unknown tool: {name}", None)
            return
        given = _accepted(function, {**arguments, "request_id": request_id})
        environment = given.get(ENVIRONMENT)
        if isinstance(environment, dict):
            self._environments[call_id] = (copy.deepcopy(environment), environment)
        self._timers[call_id] = self._loop.call_later(self._timeout, self._late, call_id, name)
        self._runner.start(call_id, _tool(name, function), given)

    async def close(self, deadline: float) -> None:
        """Cancel what runs, and answer for it; what is asked for from now on is answered the same."""
        self._closing = True
        for call_id in list(self._timers):
            self._runner.stop(call_id)
            self._over(call_id, CLOSED)
        await self._runner.close(deadline)

    def _find(self, name: str) -> Callable[..., Any] | None:
        entry: Any = self._functions.get(name)
        if callable(entry):
            alone: Callable[..., Any] = entry
            return alone
        for found in self._functions.values():
            for called, function in _callables(found):
                if called == name:
                    one: Callable[..., Any] = function
                    return one
        return None

    def _late(self, call_id: str, name: str) -> None:
        self._runner.stop(call_id)
        self._over(call_id, f"error: {name} took longer than {self._timeout:g} s")

    def _done(self, call_id: str, content: str | list[ContentBlock], is_error: bool) -> None:
        self._over(call_id, content if isinstance(content, str) else str(content))

    def _over(self, call_id: str, content: str) -> None:
        timer = self._timers.pop(call_id, None)
        if timer is not None:
            timer.cancel()
        before, after = self._environments.pop(call_id, ({}, {}))
        changes = {key: value for key, value in after.items() if key not in before or before[key] != value}
        self._answer(call_id, content, {ENVIRONMENT: changes} if changes else None)


def _callables(entry: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(entry, Mapping):
        return list(entry.items())
    if isinstance(entry, list | tuple | set):
        return [(getattr(function, "__name__", ""), function) for function in entry]
    return [(getattr(entry, "__name__", ""), entry)]


def _accepted(function: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return arguments
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        return arguments
    names = {p.name for p in parameters if p.kind in NAMED}
    return {name: value for name, value in arguments.items() if name in names}


def _tool(name: str, function: Callable[..., Any]) -> Tool:
    async def on_loop(**arguments: Any) -> str:
        return _as_text(await function(**arguments))

    def on_thread(**arguments: Any) -> str:
        return _as_text(function(**arguments))

    is_async = Tool(name, function, "An executor.").is_async
    return Tool(name, on_loop if is_async else on_thread, "An executor.", timeout=None)


def _as_text(result: Any) -> str:
    if isinstance(result, str):
        return result
    try:
        return json.dumps(result, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(result)
