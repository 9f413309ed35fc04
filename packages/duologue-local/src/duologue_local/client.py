"""Client: asks a stage from any event loop, and notices when it is dead or hangs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeAlias

from duologue.errors import ConfigurationError, ConnectFailed, ConnectionLost, DuologueError

from duologue_local.framing import Header

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from duologue_local.channel import Channel
    from duologue_local.stages import Kind

Answer: TypeAlias = tuple[Header, bytes]

LABELS: dict[Kind, str] = {
    "vad": "voice activity detection",
    "asr": "speech recognition",
    "llm": "language model",
    "tts": "speech synthesis",
}
CLOSE_DEADLINE = 1.0


class StageFailed(DuologueError):
    """A stage could not carry out one request; the next may work."""


class StageClient:
    """One running stage, shared by sessions.

    Args:
        kind: what it does.
        channel: the way to it.
        patience: seconds it may be silent while something is asked of it; then it is taken to hang and killed.

    Threading: any thread and any event loop may ask; answers come back to the loop that asked.
    """

    def __init__(self, kind: Kind, channel: Channel, patience: float) -> None:
        self.kind = kind
        self.channel = channel
        self.patience = patience
        self.ready: Future[Header] = Future()
        self.failed: Future[DuologueError] = Future()
        """Done when the stage is gone without having been closed."""
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._watchers: set[Callable[[DuologueError], None]] = set()
        self._waiting: dict[int, Callable[[Header, bytes], None]] = {}
        self._heard = time.monotonic()
        self._closing = False

    def start(self) -> None:
        """Begin to load; `ready` tells when it can be asked."""
        self.channel.closed.add_done_callback(self._ended)
        self.channel.start(self._receive)

    async def call(self, op: str, payload: bytes = b"", **arguments: Any) -> tuple[Header, bytes]:
        """Ask for one answer.

        Cancellation: the stage drops the request, or its result.

        Raises:
            StageFailed: this request failed.
            ConnectionLost: the stage is gone or hangs.
        """
        async with contextlib.aclosing(self.stream(op, payload, **arguments)) as answers:
            async for header, body in answers:
                if header["kind"] == "done":
                    return header, body
        raise ConnectionLost(f"the {LABELS[self.kind]} worker gave no answer", provider="local")

    async def stream(
        self, op: str, payload: bytes = b"", **arguments: Any
    ) -> AsyncGenerator[tuple[Header, bytes], None]:
        """Ask for items; the last one has the kind "done".

        Closing the generator makes the stage stop. What waits here is bounded by the stage's own limits
        (the tokens of one answer).

        Raises:
            StageFailed: this request failed.
            ConnectionLost: the stage is gone or hangs.
        """
        loop = asyncio.get_running_loop()
        answers: asyncio.Queue[tuple[Header, bytes]] = asyncio.Queue()  # bounded by the tokens of one answer

        def deliver(header: Header, body: bytes) -> None:
            with contextlib.suppress(RuntimeError):  # the loop that asked is closed: nobody wants the answer
                loop.call_soon_threadsafe(answers.put_nowait, (header, body))

        number = self._post(op, payload, arguments, deliver)
        finished = False
        try:
            while not finished:
                header, body = await self._next(answers)
                if header["kind"] == "lost":
                    finished = True
                    raise self._lost()
                if header["kind"] == "error":
                    finished = True
                    raise StageFailed(
                        f"the {LABELS[self.kind]} failed: {header['message']}", provider="local", code=header["error"]
                    )
                finished = header["kind"] == "done"
                yield header, body
        finally:
            if not finished:
                self._cancel(number)

    def watch(self, loop: asyncio.AbstractEventLoop, tell: Callable[[DuologueError], None]) -> Callable[[], None]:
        """Call `tell` in `loop` when the stage is gone without having been closed; return how to stop that."""

        def gone(error: DuologueError) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and with it whoever watches
                loop.call_soon_threadsafe(tell, error)

        with self._lock:
            self._watchers.add(gone)
        if self.failed.done():
            gone(self.failed.result())
        return lambda: self._watchers.discard(gone)

    def close(self) -> Future[str]:
        """Let the stage end; the future tells when nothing is left of it."""
        self._closing = True
        self.channel.close()
        return self.channel.closed

    async def closed(self) -> None:
        """Wait for the end of a closed stage; kill it when it takes too long."""
        gone = asyncio.wrap_future(self.channel.closed)
        done, _ = await asyncio.wait({gone}, timeout=CLOSE_DEADLINE)
        if not done:
            self.channel.kill()
            await asyncio.wait({gone}, timeout=CLOSE_DEADLINE)
        self.channel.join()

    # -- the channel's side ---------------------------------------------------------------------------

    def _receive(self, header: Header, body: bytes) -> None:
        self._heard = time.monotonic()
        kind = header["kind"]
        if kind == "ready":
            self.ready.set_result(header)
            return
        if kind == "failed":
            made = ConfigurationError if header["error"] == "ConfigurationError" else ConnectFailed
            self.ready.set_exception(made(header["message"], provider="local", code=header.get("code")))
            return
        with self._lock:
            final = kind != "item"
            deliver = self._waiting.pop(header["id"], None) if final else self._waiting.get(header["id"])
        if deliver is not None:
            deliver(header, body)

    def _ended(self, closed: Future[str]) -> None:
        how = closed.result()
        if how and not self._closing:
            error = ConnectionLost(f"the {LABELS[self.kind]} worker is gone: {how}", provider="local", retryable=True)
            self._fail(error)
        if not self.ready.done():
            self.ready.set_exception(
                ConnectFailed(
                    f"the {LABELS[self.kind]} worker did not start: {how or 'it was closed'}", provider="local"
                )
            )
        with self._lock:
            waiting, self._waiting = list(self._waiting.values()), {}
        for deliver in waiting:
            deliver({"kind": "lost"}, b"")

    def _fail(self, error: DuologueError) -> None:
        with self._lock:
            if self.failed.done():
                return
            self.failed.set_result(error)
            watchers = list(self._watchers)
        for gone in watchers:
            gone(error)

    def _lost(self) -> DuologueError:
        if self.failed.done():
            return self.failed.result()
        return ConnectionLost(f"the {LABELS[self.kind]} worker was closed", provider="local")

    # -- asking ---------------------------------------------------------------------------------------

    def _post(
        self, op: str, payload: bytes, arguments: dict[str, Any], deliver: Callable[[Header, bytes], None]
    ) -> int:
        if self.failed.done() or self.channel.closed.done():
            raise self._lost()
        number = next(self._numbers)
        with self._lock:
            if not self._waiting:
                self._heard = time.monotonic()  # it was idle: its time to answer begins now
            self._waiting[number] = deliver
        try:
            self.channel.post({"op": op, "id": number, **arguments}, payload)
        except DuologueError:
            with self._lock:
                self._waiting.pop(number, None)
            raise
        return number

    def _cancel(self, number: int) -> None:
        with self._lock:
            asked = self._waiting.pop(number, None)
        if asked is not None and not self.channel.closed.done():
            with contextlib.suppress(DuologueError):  # overloaded: the result will be dropped here
                self.channel.post({"op": "cancel", "id": number})

    async def _next(self, answers: asyncio.Queue[Answer]) -> Answer:
        """Wait for the next answer as long as the stage shows signs of life, also by answering others."""
        while True:
            silent = time.monotonic() - self._heard
            try:
                async with asyncio.timeout(max(0.05, self.patience - silent)):
                    return await answers.get()
            except TimeoutError:
                if time.monotonic() - self._heard >= self.patience:
                    self._hang()

    def _hang(self) -> None:
        self._fail(
            ConnectionLost(
                f"the {LABELS[self.kind]} worker did not answer for {self.patience:g} s and was stopped",
                provider="local",
                retryable=True,
            )
        )
        self.channel.kill()
        raise self._lost()
