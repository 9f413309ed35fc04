"""Inlet: the microphone's queue on the loop's side, pairs with their echo reference."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from duologue.errors import LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from duologue_audio.pairs import Pair


class Inlet:
    """Holds up to `maxsize` pairs; full, it drops the oldest, whole, and the next one says how much is missing.

    The tap is given the far end of a pair just before the pair is handed out, so that a canceller fed by it and by
    the microphone sees the same pairs. `direct`: there is no microphone, the tap is given everything as it comes.

    Attributes:
        dropped: pairs dropped since it was made.
    """

    def __init__(
        self,
        maxsize: int,
        tap: Callable[[bytes], None] | None,
        on_tap_failure: Callable[[Exception], None],
        *,
        direct: bool = False,
    ) -> None:
        self.dropped = 0
        self._maxsize = maxsize
        self._tap = tap
        self._on_tap_failure = on_tap_failure
        self._direct = direct
        self._pairs: deque[Pair] = deque()
        self._open = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def begin(self) -> None:
        """Open: what was left from before is dropped."""
        self._pairs.clear()
        self._open, self._error = True, None

    def put(self, pair: Pair) -> None:
        """Queue a pair, or hand it to the tap."""
        if self._direct:
            self._hand_to_tap(pair)
            return
        if len(self._pairs) >= self._maxsize:
            gone = self._pairs.popleft()
            self.dropped += 1
            if self._pairs:
                self._pairs[0] = _after(gone, self._pairs[0])
            else:
                pair = _after(gone, pair)
        self._pairs.append(pair)
        self._wake()

    def end(self, error: Exception | None = None) -> None:
        """Close: whoever reads gets what is queued, then the end, or the error."""
        self._open, self._error = False, error
        self._wake()

    def pairs(self) -> AsyncIterator[Pair]:
        """Iterate over the pairs; one reader at a time.

        Raises:
            LocalProtocolError: it is not open.
        """
        if not self._open:
            raise LocalProtocolError("the microphone is not open: iterate inside `async with`")
        return _Reader(self)

    async def next(self) -> Pair:
        """The next pair.

        Raises:
            StopAsyncIteration: it is closed.
            LocalProtocolError: somebody else is waiting for the next pair.
        """
        if self._waiter is not None:
            raise LocalProtocolError("the microphone has a reader already: its chunks go to one place only")
        while not self._pairs:
            if self._error is not None:
                raise self._error
            if not self._open:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        pair = self._pairs.popleft()
        self._hand_to_tap(pair)
        return pair

    def _hand_to_tap(self, pair: Pair) -> None:
        if self._tap is None:
            return
        try:
            self._tap(pair.far.astype("<i2", copy=False).tobytes())
        except Exception as error:  # the user's own code: it is switched off, the audio goes on
            self._tap = None
            self._on_tap_failure(error)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _after(gone: Pair, pair: Pair) -> Pair:
    """The pair that follows one that was dropped: it says what is missing."""
    return replace(pair, lost=pair.lost + gone.lost + len(gone.near), jolted=pair.jolted or gone.jolted)


class _Reader:
    def __init__(self, inlet: Inlet) -> None:
        self._inlet = inlet

    def __aiter__(self) -> AsyncIterator[Pair]:
        return self

    async def __anext__(self) -> Pair:
        return await self._inlet.next()
