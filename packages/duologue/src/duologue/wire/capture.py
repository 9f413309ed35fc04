r"""Capture: a session on file, frame by frame, for looking at it and for replaying it.

JSON lines. The first says what made the file; each later one has `t` (seconds since the first) and `n` (the
connection, from 1):

    {"capture": 1, "duologue": "0.1.0", "python": "3.12.1", "system": "Linux", "packages": {...}, "session": {...}}
    {"t": 0.01, "n": 1, "open": {"handle": "", "history": [...]}}
    {"t": 0.01, "n": 1, "out": "{\"setup\": ...}"}        a text frame we sent; "out64" a binary one, in base64
    {"t": 0.25, "n": 1, "in": "{\"setupComplete\": ...}"}  a frame that came; "in64" likewise
    {"t": 1.02, "n": 1, "ask": {"kind": "CommitTurn"}}      what the application asked for (before its frames)
    {"t": 9.80, "n": 0, "tell": {"kind": "Reconnecting", ...}}   an event of the session's own
    {"t": 9.81, "n": 1, "end": {"code": 1011, "reason": "..."}}
    {"t": 9.90, "lost": 3}                                  so many lines were dropped: the disk was too slow

Keys are hidden in all of it (`duologue.wire.secrets`). What was said is not: treat the file as you treat the talk.
"""

from __future__ import annotations

import atexit
import base64
import json
import logging
import platform
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duologue.errors import ConfigurationError
from duologue.wire.secrets import Secrets
from duologue.wire.spelling import spell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from duologue.events import Event
    from duologue.wire.codec import Frame, Opening
    from duologue.wire.commands import Command
    from duologue.wire.link import LinkEnd

log = logging.getLogger(__name__)

VERSION = 1
"""Of the file's format; a reader refuses a later one."""

WAITING_BYTES = 32 << 20
"""What may wait for the disk; further lines are dropped, and counted in the file."""

CLOSE_WITHIN = 2.0
"""Seconds that the disk has for the rest at the end."""


class Capture:
    """Writes on a thread of its own, so that a slow disk delays nothing; that thread calls `whole` at its end.

    Raises:
        ConfigurationError: the file can't be written.
    """

    def __init__(
        self,
        path: str | Path,
        session: Mapping[str, Any],
        clock: Callable[[], float] = time.monotonic,
        whole: Callable[[], None] = lambda: None,
    ) -> None:
        try:
            # A lone surrogate is no UTF-8, but its escape is JSON.
            self._file = Path(path).open("w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 - closed by the thread that writes it
        except OSError as exc:
            raise ConfigurationError(f"the capture {str(path)!r} can't be written: {exc.strerror}") from None
        self._clock = clock
        self._whole = whole
        self._zero = clock()
        self._hidden = Secrets()
        self._lines: deque[dict[str, Any]] = deque()
        self._taken = 0  # bytes; counted by the loop alone
        self._written = 0  # and by the thread alone
        self._lost = 0
        self._closed = False
        self.dropped = 0
        """Lines that were dropped because the disk was too slow."""
        self._moved = threading.Event()
        self._lines.append({"capture": VERSION, **_made_by(), "session": dict(session)})
        self._thread = threading.Thread(target=self._write, name="duologue capture", daemon=True)
        self._thread.start()
        atexit.register(self._at_exit)

    def hide(self, secrets: Secrets) -> None:
        """Hide these values from now on."""
        self._hidden = self._hidden | secrets

    def opened(self, number: int, opening: Opening) -> None:
        """A connection was opened."""
        self._put({"n": number, "open": {"handle": opening.handle, "history": [spell(m) for m in opening.history]}})

    def asked(self, number: int, command: Command) -> None:
        """The application asked for something."""
        self._put({"n": number, "ask": spell(command)})

    def sent(self, number: int, frame: Frame) -> None:
        """A frame was sent."""
        self._frame(number, "out", frame)

    def received(self, number: int, frame: Frame) -> None:
        """A frame came."""
        self._frame(number, "in", frame)

    def told(self, event: Event) -> None:
        """The session reported an event of its own, that no frame brought."""
        self._put({"n": 0, "tell": spell(event)})

    def closed(self, number: int, end: LinkEnd) -> None:
        """A connection ended."""
        self._put({"n": number, "end": {"code": end.code, "reason": end.reason}})

    def close(self) -> None:
        """Write what waits and close the file; idempotent. Waits for nothing: the thread ends by itself."""
        if not self._closed:
            self._note_lost()
            self._closed = True
            self._moved.set()

    def wait(self) -> None:
        """Wait until the file is whole, two seconds at the most; not for the event loop."""
        self._thread.join(CLOSE_WITHIN)

    def _at_exit(self) -> None:
        """Let the disk have its last lines: the interpreter stops daemon threads wherever they are."""
        self.close()
        self.wait()

    def _frame(self, number: int, name: str, frame: Frame) -> None:
        if isinstance(frame, str):
            self._put({"n": number, name: frame}, len(frame))
        else:
            self._put({"n": number, f"{name}64": frame}, len(frame))

    def _put(self, line: dict[str, Any], size: int = 256) -> None:
        if self._closed:
            return
        if self._taken - self._written + size > WAITING_BYTES:
            self._lost += 1
            self.dropped += 1
            return
        self._note_lost()
        self._taken += size
        self._lines.append({"t": self._t(), **line, "_": size})
        self._moved.set()

    def _note_lost(self) -> None:
        if self._lost:
            self._lines.append({"t": self._t(), "lost": self._lost})
            self._lost = 0

    def _t(self) -> float:
        return round(self._clock() - self._zero, 6)

    def _write(self) -> None:
        try:
            with self._file as file:
                while True:
                    self._moved.wait()
                    self._moved.clear()
                    closed = self._closed
                    while self._lines:
                        line = self._lines.popleft()
                        self._written += line.pop("_", 0)
                        file.write(self._text(line))
                    file.flush()  # what is on file survives a crash of ours
                    if closed:
                        return
        except OSError as exc:
            self._closed = True
            self._lines.clear()
            log.error("the capture %s could not be written on: %s", self._file.name, exc)  # noqa: TRY400 - a full disk is no traceback
        finally:
            atexit.unregister(self._at_exit)
            self._whole()

    def _text(self, line: dict[str, Any]) -> str:
        for name in ("in64", "out64"):
            if name in line:
                line[name] = base64.b64encode(hide_bytes(line[name], self._hidden)).decode()
        return json.dumps(hide(line, self._hidden), ensure_ascii=False, default=repr) + "\n"


def hide_bytes(data: bytes, hidden: Secrets) -> bytes:
    """Return bytes with the secrets hidden, as far as they stand there in UTF-8."""
    if not hidden:
        return data
    text = data.decode("utf-8", errors="surrogateescape")
    return hidden.redact(text).encode("utf-8", errors="surrogateescape")


def hide(value: Any, hidden: Secrets) -> Any:
    """Return a JSON value, as `spell` makes them, with the secrets hidden in all of its strings and bytes."""
    if isinstance(value, str):
        return hidden.redact(value)
    if isinstance(value, dict):
        if value.keys() == {"base64"}:
            return {"base64": base64.b64encode(hide_bytes(base64.b64decode(value["base64"]), hidden)).decode()}
        return {hidden.redact(key): hide(entry, hidden) for key, entry in value.items()}
    if isinstance(value, list):
        return [hide(entry, hidden) for entry in value]
    return value


def _made_by() -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    packages = {}
    for name in ("duologue", "websockets", "msgspec", "picows"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "duologue": packages.pop("duologue", ""),
        "python": platform.python_version(),
        "system": platform.system(),
        "packages": packages,
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
