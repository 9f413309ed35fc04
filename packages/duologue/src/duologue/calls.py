"""Calls: every tool call the model made, its policy, and its one answer."""

from __future__ import annotations

import copy
import json
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from duologue.effects import (
    AddText,
    AnswerCall,
    ClearTimer,
    Deliver,
    Effect,
    SetTimer,
    StartTool,
    StopTool,
    TimerKey,
)
from duologue.errors import ConfigurationError, InvalidArguments, LocalProtocolError, RemoteProtocolError
from duologue.events import Problem, ToolCancelled, ToolProgress, ToolResult, ToolStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from duologue.blocks import ContentBlock, ToolUseBlock
    from duologue.tool import Tool

REMEMBERED = 1024
"""Ended calls that are remembered, so that a call which is sent twice is answered once."""

IDLE_DEADLINE = 10.0
"""Seconds after which a `when_idle` result is sent whoever speaks: the provider must not wait for ever."""


@dataclass(slots=True)
class Call:
    """One call that has no end yet.

    Attributes:
        owed: the provider waits for an answer.
        stale: its connection is gone: the answer goes in as text.
        held: a result that waits until nobody speaks.
    """

    block: ToolUseBlock
    tool: Tool
    state: Literal["queued", "running", "held"]
    arguments: dict[str, Any] = field(default_factory=dict)
    began: float = 0.0
    owed: bool = True
    stale: bool = False
    held: str | list[ContentBlock] = ""


class Calls:
    """The open calls; every method returns the effects of what happened.

    `lookup` finds a tool by name at the moment of the call; `record(id, text, is_error)` keeps the answer
    in the history.
    """

    def __init__(
        self, lookup: Callable[[], Mapping[str, Tool]], record: Callable[[str, str, bool], None], *, schedules: bool
    ) -> None:
        self._lookup = lookup
        self._record = record
        self._schedules = schedules
        self._open: dict[str, Call] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._queues: dict[str, deque[Call]] = {}

    @property
    def busy(self) -> bool:
        """Whether any call has no end yet."""
        return bool(self._open)

    def seen(self, tool_use_id: str) -> bool:
        """Whether this call is known, open or ended."""
        return tool_use_id in self._open or tool_use_id in self._ended

    def begin(self, block: ToolUseBlock, now: float) -> list[Effect]:
        """A call is complete."""
        if self.seen(block.id):
            return [Deliver(Problem(RemoteProtocolError(f"the call {block.id!r} of {block.name} came twice")))]
        tool = self._lookup().get(block.name)
        if tool is None:
            return self.refuse(block.id, block.name, f"Unknown tool: {block.name}")
        try:
            arguments = tool.arguments.check(copy.deepcopy(block.input))  # the handler may change what it gets
        except (InvalidArguments, ConfigurationError) as exc:
            return self.refuse(block.id, block.name, f"error: {exc}")
        call = self._open[block.id] = Call(block, tool, "queued", arguments)
        if tool.concurrency is not None and self._running(tool.name) >= tool.concurrency:
            self._queues.setdefault(tool.name, deque()).append(call)
            return []
        return self._run(call, now)

    def refuse(self, tool_use_id: str, name: str, message: str) -> list[Effect]:
        """Answer a call with an error without running it."""
        self._end(tool_use_id)
        self._record(tool_use_id, message, True)
        return [Deliver(ToolResult(tool_use_id, name, True, message)), AnswerCall(tool_use_id, name, message)]

    def decline(self, block: ToolUseBlock, reason: str) -> list[Effect]:
        """Answer a call that came too late to be wanted: it is not run."""
        if self.seen(block.id):
            return []
        self._end(block.id)
        return [Deliver(ToolCancelled(block.id, block.name, reason)), *self._excuse(block.id, block.name, reason)]

    def finish(
        self, tool_use_id: str, content: str | list[ContentBlock], is_error: bool, now: float, idle: bool
    ) -> list[Effect]:
        """A call came to its result.

        Raises:
            LocalProtocolError: there was never such a call.
        """
        call = self._open.get(tool_use_id)
        if call is None or call.state != "running":
            if self.seen(tool_use_id):
                return []  # it was cancelled meanwhile, which was reported
            raise LocalProtocolError(f"there is no call {tool_use_id!r} to answer")
        name = call.block.name
        elapsed = now - call.began
        effects: list[Effect] = [
            ClearTimer(("tool", tool_use_id)),
            Deliver(ToolResult(tool_use_id, name, is_error, content, elapsed)),
        ]
        if call.owed:
            self._record(tool_use_id, _as_text(content), is_error)
            if call.tool.delivery == "when_idle" and not idle and not self._schedules:
                call.state, call.held = "held", content
                effects.append(SetTimer(("held", tool_use_id), now + IDLE_DEADLINE))
            else:
                effects += self._answer(call, content)
        if call.state != "held":
            self._end(tool_use_id)
        return effects + self._next(name, now)

    def report(self, tool_use_id: str, content: str) -> list[Effect]:
        """A running handler told how far it is."""
        call = self._open.get(tool_use_id)
        return [] if call is None else [Deliver(ToolProgress(tool_use_id, call.block.name, content))]

    def interrupt(self, now: float) -> list[Effect]:
        """The application cut the reply: each call follows its tool's policy."""
        effects: list[Effect] = []
        waiting = [call for call in self._open.values() if call.state != "held" and call.owed]
        for call in waiting:
            if call.tool.on_interrupt == "cancel":
                effects += self._cancel(call, "interrupted")
            elif call.tool.on_interrupt == "detach":
                call.owed = False
                text = f"{call.block.name} goes on in the background; its result will not be reported"
                self._record(call.block.id, text, False)
                effects += self._answer(call, text)
        for name in dict.fromkeys(call.block.name for call in waiting):
            effects += self._next(name, now)
        return effects

    def withdrawn(self, tool_use_id: str, now: float) -> list[Effect]:
        """The provider cancelled a call: stop it and don't answer."""
        call = self._open.get(tool_use_id)
        if call is None:
            self._end(tool_use_id)
            return []
        call.owed = False
        stopped = [e for e in self._cancel(call, "") if not isinstance(e, Deliver)]  # the provider's event is the news
        return stopped + self._next(call.block.name, now)

    def timer(self, key: TimerKey, now: float) -> list[Effect]:
        """A deadline passed."""
        kind, tool_use_id = key
        call = self._open.get(tool_use_id)
        if call is None:
            return []
        if kind == "held":
            return self._release(call)
        limit = call.tool.timeout
        message = f"error: {call.block.name} was stopped at its time limit of {limit:g} s"
        effects: list[Effect] = [
            StopTool(tool_use_id),
            Deliver(ToolResult(tool_use_id, call.block.name, True, message, now - call.began)),
        ]
        if call.owed:
            self._record(tool_use_id, message, True)
            effects += self._answer(call, message)
        self._end(tool_use_id)
        return effects + self._next(call.block.name, now)

    def idle(self) -> list[Effect]:
        """Nobody speaks: send what waited for that."""
        return [e for call in list(self._open.values()) if call.state == "held" for e in self._release(call)]

    def lost(self) -> None:
        """The connection was replaced by one that knows nothing of the open calls."""
        for call in self._open.values():
            call.stale = True

    def session_over(self) -> list[Effect]:
        """The provider is gone: say so of each open call. Handlers may finish what they began."""
        return [Deliver(ToolCancelled(c.block.id, c.block.name, "the session ended")) for c in self._open.values()]

    def give_up(self, reason: str) -> list[Effect]:
        """Cancel every call that is still open, and answer for it."""
        for queue in self._queues.values():
            queue.clear()
        effects: list[Effect] = []
        for call in list(self._open.values()):
            effects += self._release(call) if call.state == "held" else self._cancel(call, reason)
        return effects

    def _run(self, call: Call, now: float) -> list[Effect]:
        call.state, call.began = "running", now
        block, tool = call.block, call.tool
        effects: list[Effect] = [Deliver(ToolStarted(block.id, block.name, block.input))]
        if tool.timeout is not None:
            effects.append(SetTimer(("tool", block.id), now + tool.timeout))
        if tool.handler is not None:
            effects.append(StartTool(block.id, tool, call.arguments))
        return effects

    def _running(self, name: str) -> int:
        return sum(1 for c in self._open.values() if c.block.name == name and c.state == "running")

    def _next(self, name: str, now: float) -> list[Effect]:
        """Start calls that waited for a place."""
        effects: list[Effect] = []
        queue = self._queues.get(name)
        while queue and self._running(name) < (queue[0].tool.concurrency or 1):
            effects += self._run(queue.popleft(), now)
        return effects

    def _cancel(self, call: Call, reason: str) -> list[Effect]:
        block = call.block
        queue = self._queues.get(block.name)
        if queue is not None and call in queue:
            queue.remove(call)
        effects: list[Effect] = []
        if call.state == "running":
            effects += [ClearTimer(("tool", block.id)), StopTool(block.id)]
        effects.append(Deliver(ToolCancelled(block.id, block.name, reason)))
        if call.owed:
            effects += self._excuse(block.id, block.name, reason, call)
        self._end(block.id)
        return effects

    def _excuse(self, tool_use_id: str, name: str, reason: str, call: Call | None = None) -> list[Effect]:
        message = f"error: cancelled ({reason})"
        self._record(tool_use_id, message, True)
        return [AnswerCall(tool_use_id, name, message)] if call is None else self._answer(call, message)

    def _release(self, call: Call) -> list[Effect]:
        self._end(call.block.id)
        return [ClearTimer(("held", call.block.id)), *self._answer(call, call.held)]

    def _answer(self, call: Call, content: str | list[ContentBlock]) -> list[Effect]:
        call.owed = False
        if call.stale:
            text = result_in_words(call.block.name, call.block.input, _as_text(content))
            return [AddText(text, respond=call.tool.delivery != "silent")]
        return [AnswerCall(call.block.id, call.block.name, content)]

    def _end(self, tool_use_id: str) -> None:
        self._open.pop(tool_use_id, None)
        self._ended[tool_use_id] = None
        while len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)


def result_in_words(name: str, arguments: Mapping[str, Any], result: str) -> str:
    """The result of a call that the provider no longer knows of, as text of the user's side."""
    return f"Result of {name}({json.dumps(dict(arguments))}): {result}"


def _as_text(content: str | list[ContentBlock]) -> str:
    if isinstance(content, str):
        return content
    return " ".join(getattr(block, "text", None) or f"[{getattr(block, 'media_type', '')}]" for block in content)
