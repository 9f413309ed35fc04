"""Typed turns: each line of standard input is one."""

from __future__ import annotations

import codecs
import contextlib
import os
import queue
import threading

WAITING = 100  # lines read ahead; then the writer of the pipe waits
LONGEST = 65_536  # characters of a line; what follows is the next one


class LineReader:
    """Reads lines on a daemon thread, so that neither the loop nor leaving ever waits for the keyboard.

    Threading: the thread only puts into a bounded queue. It reads the descriptor itself, because a thread
    that hangs in `sys.stdin` holds a lock that the interpreter wants at exit.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._lines: queue.Queue[str | None] = queue.Queue(WAITING)
        self._ended = False
        threading.Thread(target=self._read, name="duologue-stdin", daemon=True).start()

    @property
    def ended(self) -> bool:
        """Whether there will be no more lines."""
        return self._ended

    def poll(self) -> str | None:
        """Return the next line that isn't blank, or None when there is none now."""
        while not self._ended:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                return None
            if line is None:
                self._ended = True
            elif line.strip():
                return line.strip()
        return None

    def _read(self) -> None:
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        pending = ""
        with contextlib.suppress(OSError):  # standard input is closed: that is its end
            while chunk := os.read(self._descriptor, 65_536):
                *lines, pending = (pending + decode(chunk)).split("\n")
                while len(pending) > LONGEST:
                    lines.append(pending[:LONGEST])
                    pending = pending[LONGEST:]
                for line in lines:
                    self._lines.put(line)
        self._lines.put(pending + decode(b"", True))
        self._lines.put(None)
