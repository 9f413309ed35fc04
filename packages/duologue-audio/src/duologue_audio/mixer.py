"""MixerStream: a duplex device served by rtmixer's C callback, so that nothing in Python can make it late.

The audio thread runs no Python: it moves samples between the device and two kinds of rings, and never waits for the
interpreter's lock. What Python needs to know, which queued frame went out in which device block, follows from counts:

- A `RECORD` action takes every block from the block it began with.
- A `PLAY` action takes a whole block of frames from its ring in every device block, from the one it began with, until
  the ring runs dry; then it is over, and the next frames need another.
- Each of them is chained behind a `FETCH_AND_RESET_STATS` action, which the callback carries out in the same block and
  which tells how many blocks there have been: that is the block it began with, exactly.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duologue_audio.backend import Captured, PlayedBlock

if TYPE_CHECKING:
    from duologue_audio.backend import Samples

RINGS = 3  # one plays while others that were cleared are let go
FETCH_S = 0.05  # how often the device's flags are asked for: an echo that has moved is heard within 0.2 s
PHASE_BLOCKS = 200
SANE_S = 2.0


@dataclass(slots=True)
class _Run:
    """One PLAY action: from queued frame `number` and device block `first` on."""

    action: Any
    fetch: Any
    number: int
    earliest: int
    first: int | None = None
    over: bool = False


@dataclass(slots=True)
class _Session:
    """The frames between two `clear`s, in a ring of their own."""

    ring: Any
    start: int
    written: int = 0
    run: _Run | None = None


class _Newest:
    """The newest frames of a stream, by number."""

    def __init__(self, size: int, channels: int) -> None:
        self._size = size
        self._frames = np.zeros((size, channels), np.int16)

    def put(self, number: int, samples: Samples) -> None:
        """Keep frames; the first of them has this number."""
        at = number % self._size
        head = min(len(samples), self._size - at)
        self._frames[at : at + head] = samples[:head]
        self._frames[: len(samples) - head] = samples[head:]

    def get(self, number: int, count: int) -> Samples:
        """Return frames that were kept: a view where they lie together."""
        at = number % self._size
        rest = at + count - self._size
        if rest <= 0:
            return self._frames[at : at + count]
        return np.concatenate((self._frames[at:], self._frames[:rest]))


class MixerStream:
    """The stream; what opens the device is handed in, so that this module imports neither rtmixer nor sounddevice.

    Threading: everything here is the event loop's.
    """

    def __init__(self, rtmixer: Any, mixer: Any, rate: int, block: int, channels: tuple[int, int]) -> None:
        self.rate = rate
        self.block = block
        self.input_channels, self.output_channels = channels
        self.overflows = 0
        self.underruns = 0
        self.latency = float(mixer.latency[1])
        self._rtmixer = rtmixer
        self._mixer = mixer
        size = 1 << (rate - 1).bit_length()  # the rings want a power of two: one to two seconds
        self._free = [rtmixer.RingBuffer(4 * self.output_channels, size) for _ in range(RINGS)]
        self._session: _Session | None = _Session(self._free.pop(), 0)
        self._letting_go: list[_Session] = []
        self._runs: deque[_Run] = deque()
        self._sent = _Newest(4 * size, self.output_channels)
        self._written = 0
        self._heard = rtmixer.RingBuffer(4 * self.input_channels, 2 * size)
        self._record: Any = None
        self._record_fetch: Any = None
        self._record_first: int | None = None
        self._recorded_before = 0  # blocks of recordings that are over
        self._next = 0  # device block that `read` returns next
        self._fetches: deque[Any] = deque()
        self._total = 0  # device blocks up to the last fetch
        self._asked = time.monotonic()
        self._offsets: deque[float] = deque(maxlen=PHASE_BLOCKS)
        self._ahead = self.latency

    def begin(self) -> None:
        """Start recording, before the device is started: block 0 is its first."""
        self._record_fetch, self._record = self._chained(self._rtmixer.RECORD_RINGBUFFER, self._heard)

    @property
    def served(self) -> int:
        """Device blocks recorded so far."""
        return self._recorded_before + int(self._record.done_frames) // self.block

    def now(self) -> float:
        """Monotonic time."""
        return time.monotonic()

    def room(self) -> int:
        """How many frames `write` would take."""
        self._settle()
        return 0 if self._session is None else int(self._session.ring.write_available)

    def waiting(self) -> int:
        """How many queued frames the device has not taken yet."""
        return 0 if self._session is None else int(self._session.ring.read_available)

    def write(self, samples: Samples) -> int:
        """Queue frames; return how many were taken."""
        count = min(len(samples), self.room())
        if not count or self._session is None:
            return 0
        part = samples[:count]
        self._sent.put(self._written, part)
        # PortAudio multiplies by 32767 and cuts the fraction off: a quarter more brings every sample out as it went in.
        exact = (part + np.sign(part) * np.float32(0.25)) * np.float32(1 / 32767)
        self._session.ring.write(exact.astype(np.float32).tobytes(), count)
        self._session.written += count
        self._written += count
        self._play()
        return count

    def clear(self) -> None:
        """Drop what the device has not taken, from its next block on."""
        self._settle()
        session = self._session
        if session is None or not session.written:
            return
        if session.run is not None:
            self._mixer.cancel(session.run.action)
        self._letting_go.append(session)
        self._session = None
        self._settle()

    def read(self) -> Captured:
        """Return what came since the last call, as far as it is certain what was played during it."""
        self._settle()
        end = self._certain()
        lost = 0 if self._record_first is None else max(0, self._record_first - self._next)
        if self._record_first is None or end <= self._next + lost:
            return self._nothing()
        count = min(end - self._next - lost, int(self._heard.read_available) // self.block)
        near = np.frombuffer(self._heard.read(count * self.block), np.float32)
        near = near.reshape(count * self.block, self.input_channels)
        far = np.zeros((count * self.block, self.output_channels), np.int16)
        blocks = []
        begin = self._next + lost
        self._note_time(begin + count)
        origin = self._origin()
        for block in range(self._next, begin + count):
            number, frames = self._taken_in(block)
            leaves = origin + (block + 1) * self.block / self.rate + self._ahead
            blocks.append(PlayedBlock(leaves, number, frames))
            if frames and block >= begin:
                at = (block - begin) * self.block
                far[at : at + frames] = self._sent.get(number, frames)
        self._next = begin + count
        self._forget()
        self.overflows += lost
        whole = near * np.float32(32768)
        np.rint(whole, out=whole)
        np.maximum(np.minimum(whole, 32767, out=whole), -32768, out=whole)
        return Captured(whole.astype(np.int16), far, blocks, lost * self.block)

    def unplayed(self) -> Samples:
        """What was queued and never taken; once the device is closed."""
        count = self.waiting()
        return self._sent.get(self._written - count, count).copy()

    # --- actions

    def _chained(self, kind: int, ring: Any) -> tuple[Any, Any]:
        """Enqueue a fetch and an action that the callback takes up in the same block."""
        ffi = self._rtmixer._ffi
        channels = ring.elementsize // 4
        action = ffi.new(
            "struct action*",
            {
                "type": kind,
                "actual_time": -1.0,  # at once, that is with the block that takes it up
                "requested_time": 0.0,
                "ringbuffer": ring._ptr,
                "total_frames": self._rtmixer.ULONG_MAX,
                "channels": channels,
                "mapping": tuple(range(1, channels + 1)),
            },
        )
        fetch = ffi.new(
            "struct action*",
            {"type": self._rtmixer.FETCH_AND_RESET_STATS, "actual_time": -1.0, "requested_time": 0.0, "next": action},
        )
        self._mixer._actions[action] = ring
        self._mixer._enqueue(fetch)
        self._fetches.append(fetch)
        return fetch, action

    def _play(self) -> None:
        """Let the callback take from the session's ring, unless it does."""
        session = self._session
        if session is None or session.run is not None or not session.ring.read_available:
            return
        number = self._written - int(session.ring.read_available)
        earliest = self.served
        fetch, action = self._chained(self._rtmixer.PLAY_RINGBUFFER, session.ring)
        session.run = _Run(action, fetch, number, earliest)
        self._runs.append(session.run)

    def _settle(self) -> None:
        """Take note of everything the callback has finished."""
        pending = self._mixer.actions
        while self._fetches and self._fetches[0] not in pending:
            fetch = self._fetches.popleft()
            self._total += int(fetch.stats.blocks)
            self.overflows += int(fetch.stats.input_overflows)
            self.underruns += int(fetch.stats.output_underflows)
            if fetch == self._record_fetch:
                self._record_first = self._total - 1
            for run in self._runs:
                if run.fetch == fetch:
                    run.first = self._total - 1
                    self._calibrate(run)
        for run in self._runs:
            run.over = run.over or (run.action not in pending and run.first is not None)
        if self._session is not None and self._session.run is not None and self._session.run.over:
            self._session.run = None
            self._play()
        for session in [s for s in self._letting_go if s.run is None or s.run.over]:
            session.ring.flush()
            self._free.append(session.ring)
            self._letting_go.remove(session)
        if self._session is None and self._free:
            self._session = _Session(self._free.pop(), self._written)
        if self._record is not None and self._record not in pending and self._record_first is not None:
            self._record_anew()
        if time.monotonic() - self._asked > FETCH_S and not self._fetches:
            self._asked = time.monotonic()
            self._fetches.append(self._mixer.fetch_and_reset_stats())

    def _record_anew(self) -> None:
        """The loop stood still until the ring was full, which ended the recording: what it holds is old by now."""
        self._recorded_before += int(self._record.done_frames) // self.block
        self._heard.flush()
        self._record_first = None
        self._offsets.clear()
        self.begin()

    # --- which frames went out in which block

    def _certain(self) -> int:
        """The device block from which on we can't tell yet what was played."""
        if self._record_first is None:
            return self._next
        end = self._record_first + int(self._record.done_frames) // self.block
        for run in self._runs:
            if run.first is None:
                end = min(end, run.earliest)
            elif not run.over:
                end = min(end, run.first + int(run.action.done_frames) // self.block)
        return end

    def _taken_in(self, block: int) -> tuple[int, int]:
        """The first queued frame of a device block and how many."""
        for run in self._runs:
            if run.first is None or block < run.first:
                continue
            before = (block - run.first) * self.block
            frames = min(self.block, int(run.action.done_frames) - before)
            if frames > 0:
                return run.number + before, frames
        return 0, 0

    def _forget(self) -> None:
        while self._runs and self._runs[0].over and self._runs[0].first is not None:
            run = self._runs[0]
            assert run.first is not None
            if run.first * self.block + int(run.action.done_frames) > self._next * self.block:
                return
            self._runs.popleft()

    def _nothing(self) -> Captured:
        return Captured(
            np.zeros((0, self.input_channels), np.int16), np.zeros((0, self.output_channels), np.int16), (), 0
        )

    # --- time

    def _note_time(self, blocks: int) -> None:
        """Remember how early a block can be seen: its callback is no later than we look."""
        self._offsets.append(time.monotonic() - blocks * self.block / self.rate)

    def _origin(self) -> float:
        """When block 0 was called, at the latest."""
        return min(self._offsets)

    def _calibrate(self, run: _Run) -> None:
        """Learn how far ahead of the speaker the callback is, from PortAudio's word on an action's first block."""
        if run.first is None or not self._offsets:
            return
        to_monotonic = time.monotonic() - float(self._mixer.time)
        called = self._origin() + (run.first + 1) * self.block / self.rate
        ahead = float(run.action.actual_time) + to_monotonic - called
        if 0 < ahead < SANE_S:
            self._ahead = ahead
