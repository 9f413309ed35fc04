"""VirtualClock: an event loop whose time jumps to the next timer instead of waiting for it."""

from __future__ import annotations

import asyncio
import functools
import selectors
import time
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")


class VirtualClock:
    """Time for tests: `await asyncio.sleep(3600)` returns at once, and `loop.time()` says an hour went by.

    `run()` is `asyncio.run()` on such a loop; `loop()` makes one for a test framework's loop factory.
    Time jumps only while nothing is ready. Code on threads needs real time: before each jump the loop
    waits `patience` real seconds for a thread to call in (0.0 where there are none).
    """

    def __init__(self, patience: float = 0.0) -> None:
        self.patience = patience
        self.now = 0.0

    def loop(self) -> asyncio.AbstractEventLoop:
        """A new event loop on this clock."""
        return _VirtualLoop(self)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        with asyncio.Runner(loop_factory=self.loop) as runner:
            return runner.run(main)


@overload
def virtual_time(test: Callable[P, Coroutine[Any, Any, T]], /) -> Callable[P, T]: ...
@overload
def virtual_time(*, patience: float = ...) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, T]]: ...
def virtual_time(
    test: Callable[P, Coroutine[Any, Any, T]] | None = None, /, *, patience: float = 0.0
) -> Callable[P, T] | Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, T]]:
    """Make an async test a plain one that runs on a `VirtualClock` of its own.

    Example:
        ```python
        import asyncio
        from duologue.testing import virtual_time

        @virtual_time
        async def test_an_hour_takes_no_time() -> None:
            await asyncio.sleep(3600)

        test_an_hour_takes_no_time()
        ```
    """

    def wrap(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            return VirtualClock(patience).run(function(*args, **kwargs))

        return run

    return wrap if test is None else wrap(test)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        super().__init__(_JumpingSelector(clock))

    def time(self) -> float:
        return self._clock.now


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc,valid-type,unused-ignore] # which class it is depends on the platform
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            return super().select(None)
        if self._clock.patience:
            began = time.monotonic()
            ready = super().select(min(self._clock.patience, timeout))
            if ready:
                self._clock.now += min(time.monotonic() - began, timeout)
                return ready
        self._clock.now += max(timeout, 0.0)
        return []
