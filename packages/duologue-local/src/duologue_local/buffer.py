"""FrameBuffer: the recent audio of a session, by frame number."""

from __future__ import annotations

from collections import deque

from duologue_local.stages import FRAME_BYTES


class FrameBuffer:
    """Frames with the time each arrived; the oldest are forgotten when told, or beyond `limit` frames.

    Attributes:
        dropped: frames lost because of the limit.
    """

    def __init__(self, limit: int) -> None:
        self.dropped = 0
        self._limit = limit
        self._frames: deque[tuple[bytes, float]] = deque()
        self._base = 0

    @property
    def end(self) -> int:
        """The number of the next frame."""
        return self._base + len(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: bytes, at: float) -> None:
        """Append a frame that ended at time `at`."""
        self._frames.append((frame, at))
        if len(self._frames) > self._limit:
            self._frames.popleft()
            self._base += 1
            self.dropped += 1

    def forget(self, before: int) -> None:
        """Drop the frames before this one."""
        while self._frames and self._base < before:
            self._frames.popleft()
            self._base += 1

    def pcm(self, first: int, last: int) -> bytes:
        """Return the audio from frame `first` up to `last` (not included), as far as it is still there."""
        start = max(0, first - self._base)
        return b"".join(self._frames[i][0] for i in range(start, max(start, min(last, self.end) - self._base)))

    def time(self, number: int) -> float:
        """When this frame had arrived; the nearest known one where it is gone."""
        if not self._frames:
            return 0.0
        return self._frames[min(max(0, number - self._base), len(self._frames) - 1)][1]


def whole_frames(data: bytes) -> tuple[list[bytes], bytes]:
    """Cut audio into frames; also return what is left."""
    count = len(data) // FRAME_BYTES
    return [data[i * FRAME_BYTES : (i + 1) * FRAME_BYTES] for i in range(count)], data[count * FRAME_BYTES :]
