"""Calls: how providers write tool calls, as the three events of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.events import Event, ToolCancelled, ToolInputDelta, ToolUseEnd, ToolUseStart

from .fields import Malformed, Node, need

if TYPE_CHECKING:
    from collections.abc import Iterator


def whole_call(index: int, call_id: str, name: str, arguments: str) -> Iterator[Event]:
    """Say a call that came in one piece."""
    yield ToolUseStart(index, call_id, name)
    yield ToolInputDelta(index, call_id, arguments)
    yield ToolUseEnd(index, call_id)


class ItemCalls:
    """Function calls as OpenAI's items write them; fragments may name the item only."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, str, str]] = {}

    def added(self, index: int, item: Node) -> Iterator[Event]:
        """An item of type function_call began."""
        call_id, name = need(item, "call_id", str), need(item, "name", str)
        self._open[need(item, "id", str)] = (index, call_id, "")
        yield ToolUseStart(index, call_id, name)

    def fragment(self, frame: Node) -> Iterator[Event]:
        """A piece of the arguments arrived."""
        item_id, delta = need(frame, "item_id", str), need(frame, "delta", str)
        if item_id not in self._open:
            raise Malformed(f"arguments for the unknown call item {item_id!r}")
        index, call_id, sent = self._open[item_id]
        self._open[item_id] = (index, call_id, sent + delta)
        yield ToolInputDelta(index, call_id, delta)

    def done(self, index: int, item: Node) -> Iterator[Event]:
        """The item ended. The end of its arguments is no proof that they are whole; the item's status is."""
        if need(item, "id", str) not in self._open:
            yield from self.added(index, item)
        index, call_id, sent = self._open.pop(need(item, "id", str))
        if need(item, "status", str, "completed") != "completed":
            yield ToolCancelled(call_id, need(item, "name", str, ""), "the response ended within the call")
            return
        whole = need(item, "arguments", str, "")
        if whole.startswith(sent) and whole != sent:
            yield ToolInputDelta(index, call_id, whole[len(sent) :])
        yield ToolUseEnd(index, call_id)
