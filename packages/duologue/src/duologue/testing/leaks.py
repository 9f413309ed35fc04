"""assert_no_leaks: that nothing is left after closing."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def assert_no_leaks(*, within: float = 1.0) -> AsyncIterator[None]:
    """Check that the body leaves no task and no thread that it started; they get `within` seconds to end.

    Raises:
        AssertionError: something is left; it is named.
    """
    tasks = asyncio.all_tasks()
    threads = set(threading.enumerate())
    yield
    loop = asyncio.get_running_loop()
    until = loop.time() + within
    while True:
        left: list[object] = [t for t in asyncio.all_tasks() - tasks if not t.done()]
        left += [t for t in threading.enumerate() if t not in threads and t.is_alive()]
        if not left or loop.time() >= until:
            break
        await asyncio.sleep(0.01)
    assert not left, f"left behind: {left}"
