"""Strain: an audio thread that spins instead of waiting.

PortAudio waits for the ALSA plugins of PulseAudio and PipeWire by polling. While it waits for one direction and the
other is ready, the poll returns at once, again and again: measured, a whole core, where 10 ms of a second are normal.
That happens where the speaker is served in larger pieces than the microphone, and was seen to begin with an underrun.
A stream opened anew is rid of the latter.
"""

from __future__ import annotations

import time
from pathlib import Path

TASKS = Path("/proc/self/task")  # Linux, where ALSA is; elsewhere nothing is ever strained
LOOK_S = 1.0
SHARE = 0.25  # of a core
LOOKS = 2  # in a row: the start of a stream is busy


def threads() -> set[str]:
    """The ids of this process's threads, as far as the system tells."""
    try:
        return {entry.name for entry in TASKS.iterdir()}
    except OSError:
        return set()


class StrainGauge:
    """Measures the processor time of the threads that a stream has brought along, once a second."""

    def __init__(self, of: set[str]) -> None:
        self._threads = of
        self._at = time.monotonic()
        self._used = self._usage()
        self._high = 0

    @property
    def strained(self) -> bool:
        """Whether they used too much in each of the last seconds."""
        now = time.monotonic()
        if self._threads and now - self._at >= LOOK_S:
            used = self._usage()
            share = (used - self._used) / (now - self._at)
            self._high = self._high + 1 if share > SHARE else 0
            self._at, self._used = now, used
        return self._high >= LOOKS

    def _usage(self) -> float:
        total = 0
        for thread in self._threads:
            try:
                total += int((TASKS / thread / "schedstat").read_text().split()[0])
            except (OSError, ValueError, IndexError):
                continue  # it has ended, or the kernel does not tell
        return total * 1e-9
