"""The virtual speaker: plays a reply in real time without a device, and knows what has been heard."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

REMEMBERED = 64  # responses whose heard length is kept: the playing one and a few before it are ever asked for


@dataclass(frozen=True, slots=True)
class Piece:
    """PCM16 that sounded from `frame` on."""

    frame: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Position:
    """What is, or was last, playing and how much of that response has been heard."""

    response_id: str
    heard_ms: int


@dataclass(slots=True)
class _Segment:
    frame: int
    pcm: bytes
    response_id: str

    @property
    def end(self) -> int:
        return self.frame + len(self.pcm) // 2


class VirtualSpeaker:
    """A playback ledger: pure, every call is told the time as a frame number that never goes back.

    A piece starts when it comes or when the one before it ends, whichever is later, as on a device whose
    latency is zero. Silence between the pieces of a response (the model was slower than the speaker) is
    not counted as heard. What waits is bounded by `limit` frames; `feed` refuses what goes beyond.
    """

    def __init__(self, rate: int, limit_s: float) -> None:
        self.rate = rate
        self._limit = int(limit_s * rate)
        self._queue: deque[_Segment] = deque()
        self._end = 0  # where the last piece ends
        self._current = ""
        self._heard: OrderedDict[str, int] = OrderedDict()  # frames of each response already collected

    @property
    def end(self) -> int:
        """The frame at which everything given so far will have sounded."""
        return self._end

    def feed(self, pcm: bytes, response_id: str, now: int) -> int | None:
        """Queue PCM16 of a response; return the frame at which it starts to sound.

        Returns None, and takes nothing, when the queue is full: the caller has to `stop`.
        """
        if not pcm:
            return max(self._end, now)
        if self._end - now > self._limit:
            return None
        segment = _Segment(max(self._end, now), pcm[: len(pcm) // 2 * 2], response_id)
        self._queue.append(segment)
        self._end = segment.end
        return segment.frame

    def playing(self, now: int) -> bool:
        """Whether anything sounds, or waits to sound, at `now`."""
        return self._end > now

    def holds(self, response_id: str) -> bool:
        """Whether anything of a response still has to sound; "" stands for any response."""
        return any(response_id in ("", segment.response_id) for segment in self._queue)

    def collect(self, now: int) -> list[Piece]:
        """Return, once each, the pieces that have sounded before `now`."""
        pieces = []
        while self._queue and self._queue[0].frame < now:
            segment = self._queue.popleft()
            sounded = segment.pcm[: 2 * (now - segment.frame)]
            if len(sounded) < len(segment.pcm):
                rest = segment.pcm[len(sounded) :]
                self._queue.appendleft(_Segment(now, rest, segment.response_id))
            pieces.append(Piece(segment.frame, sounded))
            self._count(segment.response_id, len(sounded) // 2)
        return pieces

    def position(self, now: int) -> Position:
        """Return the response playing at `now`, else the last one that sounded."""
        current = self._queue[0].response_id if self._queue else self._current
        for segment in self._queue:
            if segment.frame < now:
                current = segment.response_id
        return Position(current, self.heard_ms(current, now))

    def heard_ms(self, response_id: str, now: int) -> int:
        """Return how much of a response has sounded by `now`."""
        frames = self._heard.get(response_id, 0)
        for segment in self._queue:
            if segment.response_id == response_id and segment.frame < now:
                frames += min(segment.end, now) - segment.frame
        return frames * 1000 // self.rate

    def stop(self, now: int) -> list[Piece]:
        """Fall silent at `now`: return what has sounded and not been collected, forget the rest."""
        pieces = self.collect(now)
        self._queue.clear()
        self._end = min(self._end, now)
        return pieces

    def _count(self, response_id: str, frames: int) -> None:
        self._current = response_id
        self._heard[response_id] = self._heard.get(response_id, 0) + frames
        self._heard.move_to_end(response_id)
        while len(self._heard) > REMEMBERED:
            self._heard.popitem(last=False)
