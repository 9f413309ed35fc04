"""CancelOnKeypress: the space bar as an `asyncio.Event`."""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

from duologue.errors import LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

log = logging.getLogger(__name__)

SPACE = " "

LOOK_S = 0.05
"""How often Windows is asked for a key."""


class CancelOnKeypress:
    """Sets an event whenever the space bar is pressed: `async with CancelOnKeypress() as cancel_event`.

    Other keys are swallowed meanwhile. Without a terminal the event is never set, which is logged once. The terminal is
    restored when the context is left, however that happens, and at the latest when the program ends.

    One context may span many turns: clear the event, and the next press sets it again.

    Threading: enter and leave it on the event loop's thread.
    """

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self._stop: Callable[[], None] | None = None

    async def __aenter__(self) -> asyncio.Event:
        """Listen for the key.

        Raises:
            LocalProtocolError: it listens already.
        """
        if self._stop is not None:
            raise LocalProtocolError("this CancelOnKeypress is in use: make one for each place")
        self._stop = _listen_windows(self.event) if sys.platform == "win32" else _listen_posix(self.event)
        return self.event

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()


def _deaf() -> Callable[[], None]:
    log.warning("there is no terminal to read keys from: the space bar cancels nothing")
    return lambda: None


def _terminal() -> int | None:
    """The descriptor of standard input, where that is a terminal."""
    try:
        descriptor = sys.stdin.fileno()
        return descriptor if sys.stdin.isatty() else None
    except (AttributeError, OSError, ValueError):
        return None


def _listen_posix(event: asyncio.Event) -> Callable[[], None]:
    import os
    import termios
    import tty

    descriptor = _terminal()
    if descriptor is None:
        return _deaf()
    loop = asyncio.get_running_loop()
    try:
        before = termios.tcgetattr(descriptor)
    except termios.error:
        return _deaf()

    def restore() -> None:
        try:
            # TCSANOW: draining would wait for a terminal whose output is stopped.
            termios.tcsetattr(descriptor, termios.TCSANOW, before)
        except (termios.error, OSError):
            log.debug("the terminal is gone")

    def stop() -> None:
        loop.remove_reader(descriptor)
        restore()
        atexit.unregister(restore)

    def read() -> None:
        try:
            keys = os.read(descriptor, 256)  # not through sys.stdin, whose buffer would hide keys
        except OSError:
            keys = b""
        if not keys:
            loop.remove_reader(descriptor)  # the terminal is gone
        elif SPACE.encode() in keys:
            event.set()

    atexit.register(restore)
    try:
        tty.setcbreak(descriptor, termios.TCSANOW)
        loop.add_reader(descriptor, read)
    except BaseException:
        restore()
        atexit.unregister(restore)
        raise
    return stop


def _listen_windows(event: asyncio.Event) -> Callable[[], None]:
    if _terminal() is None:
        return _deaf()
    import importlib

    msvcrt: Any = importlib.import_module("msvcrt")
    loop = asyncio.get_running_loop()
    stopped = threading.Event()

    def watch() -> None:
        while not stopped.wait(LOOK_S):
            while msvcrt.kbhit():
                if msvcrt.getwch() == SPACE and not stopped.is_set():
                    try:
                        loop.call_soon_threadsafe(event.set)
                    except RuntimeError:
                        return  # the loop has ended

    threading.Thread(target=watch, name="duologue keys", daemon=True).start()
    return stopped.set
