"""Channels: how requests reach a stage, in a worker process or on a thread of this one.

A channel knows no event loop: whoever receives is called on the channel's thread.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING, Any, Protocol, cast

from duologue.errors import DuologueError

from duologue_local.framing import Header, pack, read
from duologue_local.host import Cancellations, StageHost

if TYPE_CHECKING:
    from typing import BinaryIO

    from duologue_local.stages import Kind

MAX_WAITING = 1024
"""Requests waiting for a stage; more is an error, since whoever asks waits for the answers anyway."""

JOIN_S = 0.1
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Libraries that would otherwise start a thread for each core, in each worker."""

Receive = Callable[[Header, bytes], None]


class Channel(Protocol):
    """A way to one stage."""

    closed: Future[str]
    """Done when nothing of the channel is left; its result says how it ended ("" after `close`)."""

    def start(self, receive: Receive) -> None:
        """Begin; everything the stage says goes to `receive`."""
        ...

    def post(self, header: Header, payload: bytes = b"") -> None:
        """Queue a request; never waits."""
        ...

    def close(self) -> None:
        """Ask the stage to end; `closed` tells when it has."""
        ...

    def kill(self) -> None:
        """End it now, whatever it does."""
        ...

    def join(self) -> None:
        """Wait for the threads of a closed channel, which have nothing left to do."""
        ...


class ProcessChannel:
    """A stage in a worker process, over its standard input and output.

    Threading: one thread writes, one reads; both end with the process, and neither keeps the interpreter alive.
    """

    def __init__(self, kind: Kind, name: str) -> None:
        self.closed: Future[str] = Future()
        self._kind = kind
        self._name = name
        self._outgoing: queue.Queue[bytes | None] = queue.Queue(MAX_WAITING)
        self._closing = False
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process, closed with it

    @property
    def pid(self) -> int:
        """The worker's process id."""
        assert self._process is not None
        return self._process.pid

    def start(self, receive: Receive) -> None:
        """Start the worker; returns at once, loading is reported as frames."""
        self._process = subprocess.Popen(  # noqa: S603 - our own module, run by the interpreter we run on
            # -P: a script's folder must not be able to shadow the libraries of the workers
            [sys.executable, "-P", "-m", "duologue_local.worker", self._kind, self._name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **ONE_THREAD},
        )
        label = f"duologue-{self._kind}"
        writer = threading.Thread(target=self._write, name=f"{label}-out", daemon=True)
        self._reader = threading.Thread(target=self._read, args=(receive, writer), name=f"{label}-in", daemon=True)
        writer.start()
        self._reader.start()

    def post(self, header: Header, payload: bytes = b"") -> None:
        """Queue a request.

        Raises:
            DuologueError: far too many requests wait.
        """
        try:
            self._outgoing.put_nowait(pack(header, payload))
        except queue.Full:
            raise DuologueError(f"the {self._kind} worker is {MAX_WAITING} requests behind", code="overload") from None

    def close(self) -> None:
        """Close the worker's input: it ends as soon as it notices."""
        self._closing = True
        with contextlib.suppress(queue.Full):
            self._outgoing.put_nowait(None)
            return
        self.kill()

    def kill(self) -> None:
        """Kill the worker."""
        if self._process is not None:
            self._process.kill()

    def join(self) -> None:
        """Wait for the reader, which waits for the writer; both have nothing left to do."""
        if self._reader is not None:
            self._reader.join(JOIN_S)

    def _write(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        pipe = self._process.stdin
        with contextlib.suppress(OSError):  # the worker is gone: the reader tells how
            while (frame := self._outgoing.get()) is not None:
                pipe.write(frame)
                pipe.flush()
        with contextlib.suppress(OSError):
            pipe.close()

    def _read(self, receive: Receive, writer: threading.Thread) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        trouble = ""
        try:
            while (frame := read(cast("BinaryIO", self._process.stdout))) is not None:
                receive(*frame)
        except (DuologueError, OSError) as exc:
            trouble = str(exc)
            self._process.kill()
        if not self._closing and not trouble:
            trouble = "it ended by itself"
        code = self._process.wait()  # its output is closed, which it does by ending
        with contextlib.suppress(queue.Full):
            self._outgoing.put_nowait(None)
        writer.join()
        self._process.stdout.close()
        said = self._last_words()
        self._log.close()
        if trouble:
            trouble += f" (exit code {code}" + (f", last words: {said}" if said else "") + ")"
        self.closed.set_result(trouble)

    def _last_words(self) -> str:
        self._log.seek(0, 2)
        self._log.seek(max(0, self._log.tell() - 2000))
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


class ThreadChannel:
    """A stage object on a thread of this process: for stages made by the application, and for tests."""

    def __init__(self, kind: Kind, stage: Any) -> None:
        self.closed: Future[str] = Future()
        self._kind = kind
        self._stage = stage
        self._incoming: queue.Queue[tuple[Header, bytes] | None] = queue.Queue(MAX_WAITING)
        self._cancelled = Cancellations()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, receive: Receive) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, args=(receive,), name=f"duologue-{self._kind}", daemon=True)
        self._thread.start()

    def post(self, header: Header, payload: bytes = b"") -> None:
        """Queue a request; a cancellation acts at once.

        Raises:
            DuologueError: far too many requests wait.
        """
        if header["op"] == "cancel":
            self._cancelled.add(header["id"])
            return
        try:
            self._incoming.put_nowait((header, payload))
        except queue.Full:
            raise DuologueError(f"the {self._kind} stage is {MAX_WAITING} requests behind", code="overload") from None

    def close(self) -> None:
        """Let the thread end after the request it is at."""
        self._closing.set()
        with contextlib.suppress(queue.Full):
            self._incoming.put_nowait(None)

    def kill(self) -> None:
        """Give the thread up; it can't be killed, so it is left to end by itself."""
        self.close()
        self._finish()

    def join(self) -> None:
        """Wait for the thread, unless it was given up."""
        if self._thread is not None:
            self._thread.join(JOIN_S)

    def _run(self, receive: Receive) -> None:
        host = StageHost(self._kind, self._stage)
        receive({"kind": "ready", **host.description()}, b"")
        while (request := self._incoming.get()) is not None and not self._closing.is_set():
            header, payload = request
            number = header["id"]
            cancelled = self._cancelled.check(number)
            host.run(header, payload, receive, lambda asked=cancelled: asked() or self._closing.is_set())  # type: ignore[misc]
            self._cancelled.settle(number)
        self._finish()

    def _finish(self) -> None:
        with contextlib.suppress(InvalidStateError):  # given up before
            self.closed.set_result("")
