"""assert_no_leaks: that nothing is left after closing."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def assert_no_leaks(*, within: float = 1.0) -> AsyncIterator[None]:
    """Check that the body leaves no task and no thread that it started; they get `within` seconds to end.

    Tasks get them on the loop's clock, threads in real time, also where the loop's is virtual.

    Raises:
        AssertionError: something is left; it is named.
    """
    tasks = asyncio.all_tasks()
    threads = set(threading.enumerate())
    yield
    loop = asyncio.get_running_loop()
    until = loop.time() + within
    while True:
        tasks_left = [t for t in asyncio.all_tasks() - tasks if not t.done()]
        if not tasks_left or loop.time() >= until:
            break
        await asyncio.sleep(0.01)
    until = time.monotonic() + within
    for thread in set(threading.enumerate()) - threads:
        while thread.is_alive() and time.monotonic() < until:
            thread.join(0.001)
            await asyncio.sleep(0)  # it may want the loop for its last step
    left = [*tasks_left, *(t for t in threading.enumerate() if t not in threads and t.is_alive())]
    assert not left, f"left behind: {left}"
