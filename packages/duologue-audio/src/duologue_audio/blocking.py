"""Blocking: calls into an audio library that may take seconds, or hang, kept off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def on_thread(
    work: Callable[[], T], *, deadline: float | None = None, undo: Callable[[T], None] | None = None
) -> T:
    """Run a call that may hang on a daemon thread of its own; `undo` its result if nobody waits for it any more.

    Raises:
        TimeoutError: it takes longer than `deadline` seconds; it goes on by itself.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: BaseException | None) -> None:
        if future.done():
            if error is None and undo is not None:
                threading.Thread(target=undo, args=(result,), name="duologue audio undo", daemon=True).start()
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as caught:  # carried to the task that waits
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=run, name="duologue audio device", daemon=True).start()
    async with asyncio.timeout(deadline):
        return await future
