"""A terminal that can be looked at: tmux, with a program in it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import uuid
from pathlib import Path

PATIENCE_S = 60.0


class Tmux:
    """Runs one command in a shell on a terminal of its own.

    The shell notes the terminal's modes before and after it, and its exit code; the command and all it starts carry a
    token in their environment, so that what is left of them can be found.
    """

    def __init__(self, folder: Path, command: str, *, width: int = 100, height: int = 30) -> None:
        self._socket = str(folder / "tmux")
        self._folder = folder
        self.token = uuid.uuid4().hex
        script = folder / "run.sh"
        script.write_text(
            f"trap : INT  # Ctrl-C is for the command alone\nunset COLUMNS LINES\n"
            f"stty -g >{folder}/before\nTERMINAL_TEST={self.token} {command}\necho $? >{folder}/code\n"
            f"stty -g >{folder}/after\ntouch {folder}/over\nexec sleep 1000\n"
        )
        self._tmux(
            *("-f", os.devnull, "new-session", "-d", "-x", str(width), "-y", str(height), f"sh {script}"),
            *(";", "set", "-g", "default-terminal", "tmux-256color"),
        )

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: `m`, `Space`, `Enter`, `C-c`."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text."""
        self._tmux("send-keys", "-l", text)

    def text(self) -> str:
        """What stands on the screen, and after the end the lines that have left it at the top."""
        return self._tmux("capture-pane", "-p", "-S", "-300" if self.over else "0")

    def picture(self) -> str:
        """The same with its colours, as escape sequences."""
        return self._tmux("capture-pane", "-p", "-e", "-N")

    @property
    def over(self) -> bool:
        """Whether the command has ended."""
        return (self._folder / "over").exists()

    async def wait_for(self, *texts: str, within: float = PATIENCE_S) -> str:
        """Wait until one of the texts is on the screen; return it all."""
        try:
            async with asyncio.timeout(within):
                while not any(text in (seen := self.text()) for text in texts):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"none of {texts} on the screen:\n{self.text()}") from None
        return seen

    async def end(self, within: float = 15.0) -> int:
        """Wait for the end; return the exit code."""
        async with asyncio.timeout(within):
            while not self.over:
                await asyncio.sleep(0.05)
        return int((self._folder / "code").read_text())

    @property
    def is_as_before(self) -> bool:
        """Whether the terminal's modes are those of before, and the normal screen and the cursor are there."""
        shown = self._tmux("display", "-p", "#{alternate_on} #{cursor_flag}").strip()
        return shown == "0 1" and (self._folder / "before").read_text() == (self._folder / "after").read_text()

    def left_running(self) -> list[str]:
        """The command lines of what the command has started and not ended."""
        left = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if f"TERMINAL_TEST={self.token}".encode() in (process / "environ").read_bytes():
                    left.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue  # it has just ended, or is somebody else's
        return [line for line in left if line]

    def close(self) -> None:
        """End it all."""
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, check=False)

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, *arguments], capture_output=True, text=True, check=False, timeout=10
        )
        assert done.returncode == 0, f"tmux {arguments[0]}: {done.stderr}"
        return done.stdout
