"""WireCalls: which connection knows which call, and which item. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from duologue.errors import LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable

REMEMBERED = 1024
"""Calls and items that are kept; a provider that leaves more unanswered has given them up."""


class WireCalls:
    """The calls that wait for an answer and the items that were spoken, by the number of their connection."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, int] = OrderedDict()
        self._items: OrderedDict[str, int] = OrderedDict()

    def came(self, tool_use_id: str, connection: int) -> None:
        """A call, or a piece of it, came on a connection."""
        if tool_use_id not in self._calls:
            self._calls[tool_use_id] = connection
            _bound(self._calls)

    def withdrawn(self, tool_use_id: str) -> None:
        """The provider wants no answer any more."""
        self._calls.pop(tool_use_id, None)

    def answered(self, tool_use_id: str) -> int:
        """A call gets its answer; return the number of the connection that knows it, 0 for none that still stands.

        Raises:
            LocalProtocolError: no such call waits for an answer.
        """
        try:
            return self._calls.pop(tool_use_id)
        except KeyError:
            raise LocalProtocolError(
                f"no call {tool_use_id!r} waits for an answer: it never came, was answered, or was withdrawn"
            ) from None

    def known_by(self, connection: int) -> set[str]:
        """The calls that a connection waits for."""
        return {tool_use_id for tool_use_id, number in self._calls.items() if number == connection}

    def moved(self, connection: int, known: Iterable[str]) -> None:
        """Another connection has taken over, which knows these calls and no others."""
        kept = set(known)
        for tool_use_id in self._calls:
            self._calls[tool_use_id] = connection if tool_use_id in kept else 0

    def item(self, item_id: str, connection: int) -> None:
        """An item is being spoken on a connection."""
        if self._items.get(item_id) != connection:
            self._items[item_id] = connection
            _bound(self._items)

    def item_connection(self, item_id: str) -> int:
        """The connection an item belongs to, 0 where that is not known."""
        return self._items.get(item_id, 0)


def _bound(kept: OrderedDict[str, int]) -> None:
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)
