"""Worker: the process that runs one stage. Started as `python -m duologue_local.worker KIND NAME`.

Frames come in by standard input and go out by what was standard output; whatever native libraries print
goes to standard error. The process ends when its input closes, so none is left when the library's
process is killed.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from importlib.metadata import entry_points
from typing import BinaryIO

from duologue.errors import ConfigurationError, DuologueError

from duologue_local.framing import Header, pack, read
from duologue_local.host import Cancellations, StageHost
from duologue_local.stages import KINDS, Kind

WATCH_PARENT_S = 2.0


class Worker:
    """One stage behind a pipe.

    Threading: the main thread runs the stage, one reads requests (so that a cancellation is seen while
    the stage works), one watches that the parent lives: a pipe that a forked sibling still holds doesn't close.
    """

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._requests: queue.SimpleQueue[tuple[Header, bytes]] = queue.SimpleQueue()  # bounded by the asking side
        self._cancelled = Cancellations()

    def run(self, kind: Kind, name: str) -> None:
        """Load the stage and serve requests until the input closes."""
        threading.Thread(target=self._read, name="read", daemon=True).start()
        if sys.platform != "win32":
            threading.Thread(target=_watch_parent, args=(os.getppid(),), name="watch", daemon=True).start()
        started = time.monotonic()
        try:
            host = StageHost(kind, load_stage(kind, name))
        except Exception as exc:  # a task boundary: whatever keeps a stage from loading is told to the library
            fit = isinstance(exc, DuologueError)
            message = str(exc) if fit else f"the {kind} stage {name!r} could not be loaded: {type(exc).__name__}: {exc}"
            error = "ConfigurationError" if isinstance(exc, ConfigurationError) else type(exc).__name__
            self._send({"kind": "failed", "error": error, "message": message, "code": getattr(exc, "code", None)}, b"")
            return
        seconds = round(time.monotonic() - started, 3)
        self._send({"kind": "ready", "seconds": seconds, **host.description()}, b"")
        while True:
            header, payload = self._requests.get()
            number = header["id"]
            host.run(header, payload, self._send, self._cancelled.check(number))
            self._cancelled.settle(number)

    def _read(self) -> None:
        try:
            while (frame := read(self._source)) is not None:
                header, payload = frame
                if header["op"] == "cancel":
                    self._cancelled.add(header["id"])
                else:
                    self._requests.put((header, payload))
        finally:
            os._exit(0)  # at once: native code of the stage may still run, and nothing here is worth saving

    def _send(self, header: Header, payload: bytes) -> None:
        try:
            self._sink.write(pack(header, payload))
            self._sink.flush()
        except OSError:
            os._exit(0)  # nobody listens any more


def load_stage(kind: Kind, name: str) -> object:
    """Make the stage of this name.

    Raises:
        ConfigurationError: no installed package offers it, or what it needs is missing.
    """
    for found in entry_points(group=f"duologue.{kind}"):
        if found.name == name:
            stage: object = found.load()()
            return stage
    raise ConfigurationError(unknown_stage(kind, name))


def unknown_stage(kind: Kind, name: str) -> str:
    """Say that there is no such stage, and which there are."""
    known = ", ".join(sorted({found.name for found in entry_points(group=f"duologue.{kind}")})) or "none"
    return f"there is no {kind} stage {name!r}; installed: {known}"


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_PARENT_S)
    os._exit(0)


def main() -> None:
    """Run the worker named on the command line."""
    kind, name = sys.argv[1:3]
    if kind not in KINDS:
        raise SystemExit(f"{kind!r} is no kind of stage")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program; it closes our input when it is done
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between the frames
    Worker(source, sink).run(kind, name)


if __name__ == "__main__":
    main()
