"""ResponseStream: the messages of one response, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class ResponseStream:
    """What `get_responses()` returns: an async iterator of dicts that ends with `response.done`.

    It is no generator: one that a loop was broken out of lives on until the loop's next round, or longer.

    Attributes:
        over: nothing more will come.
    """

    def __init__(self, take: Callable[[], Awaitable[dict[str, Any] | None]]) -> None:
        self._take = take
        self.over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        message = None if self.over else await self._take()
        if message is None:
            self.over = True
            raise StopAsyncIteration
        self.over = message["type"] == "response.done"
        return message

    async def aclose(self) -> None:
        """End it."""
        self.over = True
