"""TaskSet: tasks with an owner that cancels and awaits them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


class TaskSet:
    """The tasks of one owner, the only place where Duologue creates tasks.

    An `asyncio.TaskGroup` must be entered and left by one task and cancels it on a failure; a session is
    opened in one task and may be closed in another, so it keeps its tasks here. Tasks handle their own
    errors: one that fails regardless is reported by asyncio when it is dropped.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run a coroutine as a task of this owner."""
        task = asyncio.get_running_loop().create_task(coroutine, name=f"duologue {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self, deadline: float) -> list[asyncio.Task[Any]]:
        """Cancel all tasks, again and again, and wait for them for `deadline` seconds; return those left."""
        loop = asyncio.get_running_loop()
        until = loop.time() + deadline
        pause = deadline / 8
        current = asyncio.current_task()
        while left := [t for t in self._tasks if t is not current]:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=min(pause, max(0.0, until - loop.time())))
            if loop.time() >= until:
                break
        return [t for t in left if not t.done()]
