"""CallbackStream: a device that calls us for every block, as the stream the rest of the package knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duologue_audio.ring import PairRing, PlayRing

if TYPE_CHECKING:
    from duologue_audio.backend import Captured, Samples

RING_SECONDS = 2.0  # a loop that stands still this long is heard by nobody


class CallbackStream:
    """The two rings and what the audio thread does with them.

    Threading: `serve` is the audio thread's, everything else the loop's. `serve` takes no lock, logs nothing and
    allocates nothing that stays.
    """

    def __init__(self, rate: int, block: int, input_channels: int, output_channels: int) -> None:
        self.rate = rate
        self.block = block
        self.input_channels = input_channels
        self.output_channels = output_channels
        self.overflows = 0
        self.underruns = 0
        frames = int(rate * RING_SECONDS)
        self._play = PlayRing(frames, output_channels)
        self._pairs = PairRing(frames // block + 1, block, input_channels, output_channels)
        self._no_near = np.zeros((block, 0), np.int16)
        self._no_far = np.zeros((block, 0), np.int16)

    @property
    def served(self) -> int:
        """Device blocks so far."""
        return self._pairs.pushed

    def serve(self, near: Samples | None, out: Samples | None, at: float, overflow: bool, underrun: bool) -> None:
        """Take what was captured and give what is to be played; its first frame leaves the speaker at `at`."""
        first, count = (0, 0) if out is None else self._play.take(out)
        if overflow:
            self.overflows += 1
        if underrun:
            self.underruns += 1
        self._pairs.push(
            self._no_near if near is None else near, self._no_far if out is None else out, at, first, count
        )

    def room(self) -> int:
        """How many frames `write` would take."""
        return self._play.room

    def waiting(self) -> int:
        """How many queued frames the device has not taken yet."""
        return self._play.waiting

    def write(self, samples: Samples) -> int:
        """Queue frames; return how many were taken."""
        return self._play.write(samples)

    def clear(self) -> None:
        """Drop what the device has not taken."""
        self._play.clear()

    def read(self) -> Captured:
        """Return what came since the last call."""
        captured = self._pairs.read()
        if captured.lost:
            self.overflows += captured.lost // self.block
        return captured

    def unplayed(self) -> Samples:
        """What was queued and never taken."""
        return self._play.rest()
