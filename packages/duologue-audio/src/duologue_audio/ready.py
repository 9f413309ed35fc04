"""Ready: the result of a call that has already acted, right with and without `await`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


class Done:
    """What `feed` returns: awaiting it is allowed and does nothing."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        """Return at once."""
        return
        yield  # makes this a generator, which `await` asks for


class Stopped:
    """What `stop` returns: how much was heard of what it cut; awaited, that number.

    Attributes:
        heard_ms: how many ms of the response had left the speaker.
        response_id: the response that was playing, "" where it has no name.
        item_id: the item of it.
    """

    __slots__ = ("heard_ms", "item_id", "response_id")

    def __init__(self, heard_ms: int, response_id: str = "", item_id: str = "") -> None:
        self.heard_ms = heard_ms
        self.response_id = response_id
        self.item_id = item_id

    def __repr__(self) -> str:
        return f"Stopped(heard_ms={self.heard_ms}, response_id={self.response_id!r}, item_id={self.item_id!r})"

    def __await__(self) -> Generator[None, None, int]:
        """Return `heard_ms` at once."""
        return self.heard_ms
        yield  # makes this a generator, which `await` asks for
