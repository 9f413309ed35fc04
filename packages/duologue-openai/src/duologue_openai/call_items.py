"""CallItems: function calls as items write them, as the three events of a call. Pure.

Fragments of several calls interleave, and may name only their item. That the arguments ended is no proof that they
are whole; the status of the finished item is.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duologue.errors import RemoteProtocolError
from duologue.events import Event, ToolCancelled, ToolInputDelta, ToolUseEnd, ToolUseStart

if TYPE_CHECKING:
    from duologue_openai.items import Item

REMEMBERED = 256
"""Unfinished calls that are kept."""


@dataclass(slots=True)
class _Call:
    index: int
    call_id: str
    name: str
    response_id: str
    sent: str = ""


class CallItems:
    """The unfinished calls of one connection, by item."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, _Call] = OrderedDict()

    def added(self, index: int, item: Item, response_id: str) -> list[Event]:
        """An item of the kind function_call began.

        Raises:
            RemoteProtocolError: it does not say which call it is.
        """
        if not (item.id and item.call_id and item.name):
            raise RemoteProtocolError(
                "openai sent a call without id, call_id or name: it was skipped", provider="openai"
            )
        if item.id in self._open:
            return []
        self._open[item.id] = _Call(index, item.call_id, item.name, response_id)
        if len(self._open) > REMEMBERED:
            self._open.popitem(last=False)
        return [ToolUseStart(index, item.call_id, item.name)]

    def fragment(self, item_id: str, delta: str) -> list[Event]:
        """A piece of the arguments came.

        Raises:
            RemoteProtocolError: of no call that is known.
        """
        call = self._open.get(item_id)
        if call is None:
            raise RemoteProtocolError(
                f"openai sent arguments for the unknown call item {item_id!r}: they were skipped", provider="openai"
            )
        call.sent += delta
        return [ToolInputDelta(call.index, call.call_id, delta)]

    def done(self, index: int, item: Item, response_id: str) -> list[Event]:
        """The item ended.

        Raises:
            RemoteProtocolError: it does not say which call it is.
        """
        events = self.added(index, item, response_id)
        call = self._open.pop(item.id or "")
        if (item.status or "completed") != "completed":
            return [*events, _given_up(call)]
        whole = item.arguments or ""
        if whole.startswith(call.sent) and whole != call.sent:
            events.append(ToolInputDelta(call.index, call.call_id, whole[len(call.sent) :]))
        return [*events, ToolUseEnd(call.index, call.call_id)]

    def reply_over(self, response_id: str) -> list[Event]:
        """A reply ended: a call of it that is not whole will never be."""
        left = [item_id for item_id, call in self._open.items() if call.response_id == response_id]
        return [_given_up(self._open.pop(item_id)) for item_id in left]


def _given_up(call: _Call) -> ToolCancelled:
    return ToolCancelled(call.call_id, call.name, "the response ended within the call")
