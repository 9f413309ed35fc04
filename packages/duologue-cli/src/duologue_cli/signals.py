"""Ctrl-C and SIGTERM: the first ends the conversation in order, the second ends the process at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stop_on_signals(
    loop: asyncio.AbstractEventLoop, stop: Callable[[int], None], leaving: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Call `stop(signal number)` on the loop at the first signal; leave at the second, whatever hangs.

    `leaving` is called just before that, wherever the program is.

    Plain handlers rather than the loop's own: they run even while something blocks the loop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    seen: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        if len(seen) > 1:
            leaving()
            os._exit(128 + number)
        loop.call_soon_threadsafe(stop, number)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
