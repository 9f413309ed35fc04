"""`duologue chat` on a terminal: a pseudo-terminal, a simulated device, a scripted backend."""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from duologue_cli import terminal as terminal_module
from duologue_cli.terminal import MOST_BYTES, is_usable

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")

PATIENCE_S = 30.0
ON, OFF = b"\x1b[?1049h", b"\x1b[?1049l"
COMMAND = """
import sys
from duologue_audio import using_backend
from duologue_audio.testing import MemoryBackend
from duologue_cli.command import main
backend = MemoryBackend()
if "gone" in sys.argv:
    sys.argv.remove("gone")
    backend.unplug()
using = using_backend(backend)
using.__enter__()
main()
"""


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, *arguments, code=COMMAND):
        import fcntl
        import struct
        import termios

        self._termios = termios
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env={**os.environ, "TERM": "xterm-256color"},
            start_new_session=True,
        )

    def read(self):
        """Take what the program has written, waiting a moment for it."""
        if select.select([self.master], [], [], 0.05)[0]:
            with contextlib.suppress(OSError):
                self.seen += os.read(self.master, 65536)

    def wait_for(self, text):
        """Read until `text` has been written."""
        until = time.monotonic() + PATIENCE_S
        while text.encode() not in self.seen:
            assert time.monotonic() < until, f"no {text!r} in {self.plain()!r}"
            assert self.process.poll() is None, f"it ended: {self.plain()!r}"
            self.read()

    def press(self, keys):
        os.write(self.master, keys.encode())

    def end(self):
        """Wait for the end; return the exit code."""
        until = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < until, f"it does not end: {self.plain()!r}"
            self.read()
        while select.select([self.master], [], [], 0.2)[0]:
            before = len(self.seen)
            self.read()
            if len(self.seen) == before:
                break
        print(self.plain())  # pytest shows it where a test fails
        return self.process.returncode

    def plain(self):
        return re.sub(rb"\x1b\[[0-9;?<>=]*[a-zA-Z]", b"", self.seen).decode(errors="replace")

    @property
    def is_as_before(self):
        """Whether its modes are, and the normal screen and the cursor are there."""
        whole = self._termios.tcgetattr(self.slave) == self.before
        return whole and self.seen.rfind(OFF) > self.seen.rfind(ON) and b"\x1b[?25h" in self.seen[self.seen.rfind(ON) :]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(doubles):
    opened = []

    def open_(*arguments, **how):
        opened.append(Terminal(*arguments, **how))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def test_a_conversation_is_painted_and_printed_when_it_is_over(terminal):
    chat = terminal("chat", "--transport", "greeting")
    assert chat.end() == 0
    assert chat.is_as_before
    painted, printed = chat.seen.split(OFF)[0], chat.plain().split("1049l")[-1]
    assert b"Hello." in painted
    assert "agent  Hello." in printed
    assert "0 user turns, 1 answer" in printed


def test_keys_reach_the_conversation_and_q_quits(terminal):
    chat = terminal("chat", "--transport", "endless")
    chat.wait_for("listening")
    chat.press("m")
    chat.wait_for("muted")
    chat.press("mp")
    chat.wait_for("push to talk")
    chat.press(" ")
    chat.wait_for("on air")
    chat.press("q")
    assert chat.end() == 0
    assert chat.is_as_before


def test_what_is_typed_is_answered(terminal):
    chat = terminal("chat", "--transport", "typed")
    chat.wait_for("listening")
    chat.press("t")
    chat.wait_for("Enter sends")
    chat.press("Who are you?\r")
    chat.wait_for("Answer 1.")
    chat.press("q")
    assert chat.end() == 0
    assert "you    Who are you?" in chat.plain()


@pytest.mark.parametrize("how", ["ctrl-c", "sigterm"])
def test_the_terminal_is_given_back_when_it_is_ended_from_outside(terminal, how):
    chat = terminal("chat", "--transport", "endless")
    chat.wait_for("listening")
    if how == "ctrl-c":
        chat.press("\x03")
    else:
        chat.process.send_signal(signal.SIGTERM)
    assert chat.end() == (130 if how == "ctrl-c" else 143)
    assert chat.is_as_before


def test_ctrl_c_while_connecting_gives_the_terminal_back(terminal):
    chat = terminal("chat", "--transport", "slow")
    chat.wait_for("Connecting")
    chat.press("\x03")
    assert chat.end() == 130
    assert chat.is_as_before


@pytest.mark.parametrize("how", ["ctrl-c", "sigterm"])
def test_a_backend_that_hangs_while_closing_is_left_at_once_by_the_second(terminal, how):
    chat = terminal("chat", "--transport", "stubborn")
    chat.wait_for("listening")
    chat.press("\x03")
    while b"closing" not in chat.seen and chat.process.poll() is None:
        chat.read()
        chat.process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
    assert chat.end() == 143
    assert chat.is_as_before


def test_a_device_that_is_not_there_is_one_line_and_the_terminal_is_as_before(terminal):
    chat = terminal("chat", "--transport", "endless", "gone")
    assert chat.end() == 2
    assert chat.is_as_before
    assert "duologue: " in chat.plain().splitlines()[-1]


def test_a_session_that_dies_is_one_line_after_the_talk(terminal):
    chat = terminal("chat", "--transport", "leaving")
    assert chat.end() == 1
    assert chat.is_as_before
    assert "the provider asks for patience" in chat.plain().splitlines()[-1]


def test_lines_are_printed_where_nobody_wants_a_screen(terminal):
    chat = terminal("chat", "--transport", "greeting", "--no-tui")
    assert chat.end() == 0
    assert ON not in chat.seen
    assert "agent  Hello." in chat.plain()


def test_what_libraries_write_to_standard_error_comes_after_the_screen(terminal):
    noisy = "import os, signal\nsignal.signal(signal.SIGUSR1, lambda *_: os.write(2, b'ALSA says\\n' * 3))\n" + COMMAND
    chat = terminal("chat", "--transport", "endless", code=noisy)
    chat.wait_for("listening")
    chat.process.send_signal(signal.SIGUSR1)
    chat.press("q")
    assert chat.end() == 0
    assert b"ALSA says (3 times)" in chat.seen.split(OFF)[-1]
    assert b"ALSA says" not in chat.seen.split(OFF)[0]


def test_what_libraries_write_is_kept_to_a_bound(capfd):
    taken = terminal_module.Terminal()
    with taken.taken():
        os.write(2, b"early\n" * (MOST_BYTES // 6 + 1))
        taken.limit()
        os.write(2, b"late\n")
    assert capfd.readouterr().err == "Meanwhile standard error said:\nlate\n"


def test_what_is_within_the_bound_stays(capfd):
    taken = terminal_module.Terminal()
    with taken.taken():
        os.write(2, b"early\n")
        taken.limit()
    assert "early" in capfd.readouterr().err


@pytest.mark.parametrize(("name", "usable"), [("xterm", True), ("dumb", False)])
def test_a_terminal_that_cannot_be_painted_on_is_not_used(monkeypatch, name, usable):
    class Tty:
        def isatty(self):
            return True

    for stream in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(terminal_module.sys, stream, Tty())
    monkeypatch.setenv("TERM", name)
    assert is_usable() is usable
    monkeypatch.setattr(terminal_module.sys.stdout, "isatty", lambda: False)
    assert not is_usable()
