"""Rings between the audio thread and the event loop: preallocated, one producer, one consumer, no lock.

Each counter is written by one side only and read by the other as a whole, so neither side ever waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duologue_audio.backend import Captured, PlayedBlock, Samples

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PlayRing:
    """Frames on their way to the speaker. The loop writes and clears, the audio thread takes."""

    def __init__(self, capacity: int, channels: int) -> None:
        self.capacity = capacity
        self._frames = np.zeros((capacity, channels), np.int16)
        self.written = 0  # the loop's
        self.taken = 0  # the audio thread's
        self._dropped_to = 0  # the loop's: frames before it are not to be played

    @property
    def waiting(self) -> int:
        """Frames still to be played."""
        return self.written - max(self.taken, self._dropped_to)

    @property
    def room(self) -> int:
        """Frames that can be written; after `clear` the audio thread has to come by before there is more."""
        return self.capacity - (self.written - self.taken)

    def write(self, samples: Samples) -> int:
        """Queue as many frames as there is room for; return how many."""
        count = min(len(samples), self.room)
        at = self.written % self.capacity
        head = min(count, self.capacity - at)
        self._frames[at : at + head] = samples[:head]
        self._frames[: count - head] = samples[head:count]
        self.written += count
        return count

    def clear(self) -> None:
        """Drop everything that waits; nothing of it is played from the next `take` on."""
        self._dropped_to = self.written

    def take(self, out: Samples) -> tuple[int, int]:
        """Fill a device block, with zeros where nothing waits; return the first frame's number and how many."""
        first = max(self.taken, self._dropped_to)
        count = min(len(out), self.written - first)
        at = first % self.capacity
        head = min(count, self.capacity - at)
        out[:head] = self._frames[at : at + head]
        out[head:count] = self._frames[: count - head]
        out[count:] = 0
        self.taken = first + count
        return first, count

    def rest(self) -> Samples:
        """What waits, as an array of its own; only once the audio thread is gone."""
        out = np.zeros((self.waiting, self._frames.shape[1]), np.int16)
        first = max(self.taken, self._dropped_to)
        index = np.arange(first, self.written) % self.capacity
        out[:] = self._frames[index]
        return out


class PairRing:
    """Device blocks on their way to the loop, each with what was played during it.

    Full, the audio thread goes on writing over the oldest blocks: it must not wait, and old microphone audio is worth
    less than new. The loop notices, and counts, what it lost.
    """

    def __init__(self, capacity: int, block: int, input_channels: int, output_channels: int) -> None:
        self.capacity = capacity
        self.block = block
        self._near = np.zeros((capacity, block, input_channels), np.int16)
        self._far = np.zeros((capacity, block, output_channels), np.int16)
        self._at = np.zeros(capacity, np.float64)
        self._first = np.zeros(capacity, np.int64)
        self._count = np.zeros(capacity, np.int64)
        self.pushed = 0  # the audio thread's
        self._read = 0  # the loop's

    def push(self, near: Samples, far: Samples, at: float, first: int, frames: int) -> None:
        """Add a block: the audio thread's half."""
        slot = self.pushed % self.capacity
        self._near[slot] = near
        self._far[slot] = far
        self._at[slot] = at
        self._first[slot] = first
        self._count[slot] = frames
        self.pushed += 1

    def read(self) -> Captured:
        """Return every block not yet read, oldest first: the loop's half."""
        begin, end = max(self._read, self._oldest()), self.pushed
        index = np.arange(begin, end) % self.capacity
        near, far, at, first, count = self._copy(index)
        torn = min(max(0, self._oldest() - begin), end - begin)  # written over while we copied
        lost = (begin + torn - self._read) * self.block
        self._read = end
        blocks = [PlayedBlock(*row) for row in zip(at.tolist(), first.tolist(), count.tolist(), strict=True)]
        frames = (end - begin - torn) * self.block
        return Captured(
            near[torn:].reshape(frames, near.shape[2]), far[torn:].reshape(frames, far.shape[2]), blocks[torn:], lost
        )

    def _oldest(self) -> int:
        """The oldest block that is whole: the one before it may be being written over right now."""
        return max(0, self.pushed - self.capacity + 1)

    def _copy(self, index: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        return self._near[index], self._far[index], self._at[index], self._first[index], self._count[index]
