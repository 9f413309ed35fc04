"""Threads: blocking calls off the loop, on daemon threads that never delay the end of the program."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def in_thread(call: Callable[[], T], *, within: float, name: str) -> T:
    """Return what `call` returns, run on a thread of its own.

    Cancellation: safe; the thread is left to end by itself, and what it comes to is dropped.

    Raises:
        TimeoutError: it took longer than `within` seconds.
        Exception: what `call` raised.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(tell: Callable[[], None]) -> None:
        if not done.done():
            tell()

    def run() -> None:
        try:
            tell = functools.partial(done.set_result, call())
        except Exception as exc:  # task boundary: raised where it is awaited
            tell = functools.partial(done.set_exception, exc)
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
            loop.call_soon_threadsafe(settle, tell)

    threading.Thread(target=run, name=f"duologue {name}", daemon=True).start()
    async with asyncio.timeout(within):
        return await done
