"""Playback: which response the speaker is at and how much of it has been heard."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duologue_audio.backend import PlayedBlock

REMEMBERED = 64  # responses; the playing one and a few before it are ever asked for


class Utterance(NamedTuple):
    """What a frame belongs to; `turn` tells utterances without a name apart."""

    response_id: str
    item_id: str = ""
    turn: int = 0


class Position(NamedTuple):
    """What is, or was last, heard; `heard_ms` counts from the start of the response."""

    response_id: str
    item_id: str
    heard_ms: int


@dataclass(slots=True)
class _Segment:
    start: int
    end: int
    rate: int
    utterance: Utterance


class SegmentTable:
    """The ledger of the speaker: pure, told the time.

    Queued frames are numbered without end; each run of them belongs to an utterance, and the device's blocks say which
    numbers left the speaker when. Silence of an underrun has no numbers and so is never counted as heard.
    """

    def __init__(self) -> None:
        self._segments: deque[_Segment] = deque()
        self._blocks: deque[PlayedBlock] = deque()
        self._rate = 48000
        self._edge = 0  # every frame before it was heard or will never be
        self._last = Utterance("")
        self._heard: OrderedDict[tuple[str, int], float] = OrderedDict()  # ms of segments that are over
        self._received: OrderedDict[tuple[str, int], float] = OrderedDict()

    @property
    def end(self) -> int:
        """The number the next queued frame gets."""
        return self._segments[-1].end if self._segments else self._edge

    def received(self, utterance: Utterance, ms: float) -> None:
        """Count what came in for an utterance, before any conversion: no more than this can be heard."""
        key = _key(utterance)
        self._received[key] = self._received.get(key, 0.0) + ms
        _forget(self._received)
        if not self._segments:  # everything before it has been heard: whoever asks now means this one
            self._last = utterance

    def add(self, frames: int, rate: int, utterance: Utterance) -> None:
        """Say what the next `frames` queued frames are."""
        self._rate = rate
        last = self._segments[-1] if self._segments else None
        if last is not None and last.utterance == utterance and last.rate == rate:
            last.end += frames
        elif frames:
            self._segments.append(_Segment(self.end, self.end + frames, rate, utterance))

    def played(self, blocks: Iterable[PlayedBlock]) -> None:
        """Take the device's word for what leaves the speaker when."""
        self._blocks.extend(block for block in blocks if block.frames)

    def position(self, now: float) -> Position:
        """Return the response at the speaker, or next to come there, else the last; and how much was heard by `now`."""
        self._advance(now)
        utterance = self._segments[0].utterance if self._segments else self._last
        return Position(utterance.response_id, utterance.item_id, self._heard_ms(utterance))

    def cut(self, now: float) -> Position:
        """Forget everything that has not been heard by `now`, also what the device has already taken."""
        position = self.position(now)
        current = self._segments[0].utterance if self._segments else self._last
        end = self.end
        for segment in self._segments:
            segment.end = max(segment.start, min(segment.end, self._edge))
            self._retire(segment)
        self._segments.clear()
        self._edge = end
        self._last = current  # it was cut, though none of it may have been heard
        return position

    def requeue(self, frames: int) -> list[tuple[int, Utterance]]:
        """Take back the last `frames` queued frames, which no device took: (frames, utterance), in order.

        What a lost device had taken counts as heard, so that the positions of what follows stay right.
        """
        keep = max(self._edge, self.end - frames)
        back = []
        for segment in self._segments:
            begin = max(segment.start, keep)
            if segment.end > begin:
                back.append((segment.end - begin, segment.utterance))
            segment.end = max(segment.start, min(segment.end, keep))
            self._retire(segment)
        self._segments.clear()
        self._blocks.clear()
        self._edge = keep
        return back

    def restart(self) -> None:
        """Count queued frames from 0 again: another device stream; only after `requeue`."""
        self._edge = 0

    def _advance(self, now: float) -> None:
        while self._blocks and self._blocks[0].at <= now:
            block = self._blocks[0]
            gone = min(block.frames, int((now - block.at) * self._rate + 1e-6))
            self._edge = max(self._edge, min(block.first + gone, self.end))
            if gone < block.frames:
                break
            self._blocks.popleft()
        while self._segments and self._segments[0].end <= self._edge:
            self._retire(self._segments.popleft())

    def _retire(self, segment: _Segment) -> None:
        if segment.end > segment.start:
            key = _key(segment.utterance)
            self._heard[key] = self._heard.get(key, 0.0) + (segment.end - segment.start) * 1000 / segment.rate
            self._heard.move_to_end(key)
            self._last = segment.utterance
            _forget(self._heard)

    def _heard_ms(self, utterance: Utterance) -> int:
        key = _key(utterance)
        heard = self._heard.get(key, 0.0)
        for segment in self._segments:
            if segment.start >= self._edge:
                break
            if _key(segment.utterance) == key:
                heard += (min(segment.end, self._edge) - segment.start) * 1000 / segment.rate
        # The resampler rounds the end of a response up to a whole frame.
        return int(min(heard, self._received.get(key, heard)) + 1e-6)


def _key(utterance: Utterance) -> tuple[str, int]:
    return utterance.response_id, utterance.turn


def _forget(table: OrderedDict[tuple[str, int], float]) -> None:
    while len(table) > REMEMBERED:
        table.popitem(last=False)
