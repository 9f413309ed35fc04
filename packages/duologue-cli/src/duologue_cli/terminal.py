"""The terminal while a program paints on it: kept clean meanwhile, and given back as it was."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections import Counter
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 1_000_000  # of what libraries write meanwhile; then it begins anew
SHOWN_BYTES = 4_000
# Leave the alternate screen, show the cursor, end mouse, focus and paste reports and the keyboard protocol.
AS_IT_WAS = "\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[<u\x1b[0m"


def is_usable() -> bool:
    """Whether somebody sits at a terminal that can be painted on."""
    return all(s.isatty() for s in (sys.stdin, sys.stdout, sys.stderr)) and os.environ.get("TERM") != "dumb"


class Terminal:
    """Takes the terminal for a painter, by `with`; C libraries that write to standard error don't reach it.

    What they write is kept (the newest megabyte) and shown when the terminal is given back, as far as it fits into
    a few lines.
    """

    def __init__(self) -> None:
        self.painted = False
        """A painter has changed it and not yet put it right."""
        self._modes: list[object] | None = None
        self._screen: TextIO | None = None
        self._kept: int | None = None

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Take it, and give it back whatever happens."""
        self._modes = _modes()
        screen = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
        before, vars(sys)["__stderr__"] = sys.__stderr__, screen  # where Textual paints
        with screen, tempfile.TemporaryFile() as kept:
            self._screen, self._kept = screen, kept.fileno()
            os.dup2(kept.fileno(), 2)
            try:
                yield
            finally:
                sys.stderr.flush()
                self.give_back()
                os.dup2(screen.fileno(), 2)
                vars(sys)["__stderr__"] = before
                self._screen = self._kept = None
                _show_end(kept.fileno())

    def limit(self) -> None:
        """Forget what libraries wrote when it is too much; call it now and then."""
        if self._kept is not None and os.fstat(self._kept).st_size > MOST_BYTES:
            os.ftruncate(self._kept, 0)
            os.lseek(self._kept, 0, os.SEEK_SET)  # whoever writes shares this position

    def give_back(self) -> None:
        """Undo what a painter did to it, unless it has done so itself. Fit for a signal handler."""
        if self._screen is None:
            return
        if self.painted:
            with contextlib.suppress(OSError, ValueError):
                os.write(self._screen.fileno(), AS_IT_WAS.encode())
            self.painted = False
        _set_modes(self._modes)


def _show_end(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    os.lseek(descriptor, max(0, size - SHOWN_BYTES), os.SEEK_SET)
    lines = os.read(descriptor, SHOWN_BYTES).decode(errors="replace").strip().splitlines()
    if lines:
        print("Meanwhile standard error said:", file=sys.stderr)
    for line, times in Counter(lines).items():  # ALSA says the same for each underrun
        print(line if times == 1 else f"{line} ({times} times)", file=sys.stderr)


def _modes() -> list[object] | None:
    if sys.platform == "win32":
        return None
    import termios

    with contextlib.suppress(termios.error, OSError):
        modes: list[object] = termios.tcgetattr(0)
        return modes
    return None


def _set_modes(modes: list[object] | None) -> None:
    if sys.platform == "win32" or modes is None:
        return
    import termios

    with contextlib.suppress(termios.error, OSError):
        termios.tcsetattr(0, termios.TCSANOW, modes)  # type: ignore[arg-type] # what tcgetattr gave
