"""Callbacks: the functions an application registered, and the couriers that bring them their news."""

from __future__ import annotations

import asyncio
import inspect
import logging
import queue
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from duologue.tasks import TaskSet
from duologue.tool import innermost

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

log = logging.getLogger("duologue.voice")

MAX_WAITING = 4096
"""News of one kind that wait for their callback; then the session is read no further."""

GOODBYE = 1.0
"""Seconds the callbacks get at the end for what still waits."""


class Callbacks:
    """What the application wants to hear; shared by all sessions of a voice."""

    def __init__(self) -> None:
        self.audio: list[Callable[..., Any]] = []
        self.transcript: list[Callable[..., Any]] = []
        self.tool_call: list[Callable[..., Any]] = []
        self.error: list[Callable[..., Any]] = []
        self.interrupted: list[Callable[..., Any]] = []


class RegistersCallbacks:
    """The registrations, each a decorator and a plain call. A function that is registered twice is called once.

    An `async` function runs on the loop, a plain one on a thread, so that it may block. News of one kind come in
    order, one after another; a slow callback delays only its own kind.
    """

    def __init__(self) -> None:
        self.callbacks = Callbacks()

    def on_audio(self, function: F) -> F:
        """Call `function(audio: bytes)` with each piece of the assistant's speech, PCM16 mono."""
        return _register(self.callbacks.audio, function)

    def on_transcript(self, function: F) -> F:
        """Call `function(text: str, is_final: bool)` with what the assistant says: pieces, and at last all of it.

        A function with a third parameter gets both sides, and who spoke: "assistant" or "user".
        """
        return _register(self.callbacks.transcript, function)

    def on_tool_call(self, function: F) -> F:
        """Call `function(request: ToolCallRequest)` with every call.

        What it returns answers the call. With None the tool itself does, if it has a function.
        """
        return _register(self.callbacks.tool_call, function)

    def on_error(self, function: F) -> F:
        """Call `function(error: RealtimeError)` with what goes wrong, in the session, in tools and in callbacks."""
        return _register(self.callbacks.error, function)

    def on_interrupted(self, function: F) -> F:
        """Call `function()` when the assistant's speech was cut: stop playing it."""
        return _register(self.callbacks.interrupted, function)


class Courier:
    """Brings news of one kind to their callbacks, in order.

    Attributes:
        full: so much waits that no more should be taken.
    """

    def __init__(self, name: str, failed: Callable[[str, BaseException], None]) -> None:
        self._name = name
        self._failed = failed
        self._waiting: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._moved = asyncio.Event()
        self._tasks = TaskSet()
        self._thread: _CallThread | None = None
        self._busy = False
        self._closed = False
        self._room = asyncio.Event()

    def put(self, function: Callable[..., Any], *news: Any) -> None:
        """Add news; after the end nobody hears of them."""
        if self._closed:
            return
        self._waiting.append((function, news))
        self._moved.set()
        if not self._tasks:
            self._tasks.start(self._run(), f"callbacks {self._name}")

    def drop(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._room.set()

    @property
    def full(self) -> bool:
        """Whether so much waits that no more should be taken."""
        return len(self._waiting) >= MAX_WAITING

    async def room(self) -> None:
        """Wait until less waits."""
        while self.full:
            self._room.clear()
            await self._room.wait()

    async def close(self) -> None:
        """Bring what waits, for a second at most; a callback that hangs is left behind."""
        self._closed = True
        try:
            async with asyncio.timeout(GOODBYE):
                while self._waiting or self._busy:
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            left = len(self._waiting) + self._busy
            log.warning("callbacks of on_%s were too slow at the end: %d news were given up", self._name, left)
        await self._tasks.stop(GOODBYE)
        if self._thread is not None:
            self._thread.end()

    async def _run(self) -> None:
        while True:
            while self._waiting:
                function, news = self._waiting.popleft()
                self._busy = True
                try:
                    await self._call(function, news)
                except Exception as exc:  # task boundary: a callback's failure is told and ends nothing
                    self._failed(self._name, exc)
                finally:
                    self._busy = False
                    self._room.set()
            self._moved.clear()
            await self._moved.wait()

    async def _call(self, function: Callable[..., Any], news: tuple[Any, ...]) -> None:
        if is_async(function):
            await function(*news)
            return
        if self._thread is None:
            self._thread = _CallThread(self._name)
        made = await self._thread.call(function, news)
        if inspect.isawaitable(made):
            await made


class _CallThread:
    """A daemon thread on which plain callbacks of one kind run, one after another."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        # bounded by its only user, who waits for each call
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=f"duologue on_{name}", daemon=True).start()

    async def call(self, function: Callable[..., Any], news: tuple[Any, ...]) -> Any:
        done: asyncio.Future[Any] = self._loop.create_future()
        self._calls.put((function, news, done))
        return await done

    def end(self) -> None:
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            function, news, done = call
            result, failure = None, None
            try:
                result = function(*news)
            except BaseException as exc:  # task boundary: raised where it is awaited; `sys.exit()` is a failure too
                failure = exc if isinstance(exc, Exception) else RuntimeError(f"{type(exc).__name__} in a callback")
            try:
                self._loop.call_soon_threadsafe(_settle, done, result, failure)
            except RuntimeError:
                return  # the loop is gone


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a function runs on the loop."""
    inner = innermost(function)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(type(inner).__call__)


def takes_speaker(function: Callable[..., Any]) -> bool:
    """Whether a transcript callback has a place for who spoke."""
    try:
        inspect.signature(function).bind("", True, "assistant")
    except TypeError:
        return False
    except ValueError:
        return False  # a builtin without signature
    return True


def _settle(done: asyncio.Future[Any], result: Any, failure: Exception | None) -> None:
    if done.done():
        return
    if failure is not None:
        done.set_exception(failure)
    else:
        done.set_result(result)


def _register(functions: list[Callable[..., Any]], function: F) -> F:
    if function not in functions:
        functions.append(function)
    return function
