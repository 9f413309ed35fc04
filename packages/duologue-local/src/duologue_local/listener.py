"""Listener: the user's audio on its way in: voice activity, turns, recognition."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from duologue.errors import DuologueError

from duologue_local.buffer import FrameBuffer, whole_frames
from duologue_local.stages import FRAME_BYTES, FRAME_MS, Recognition
from duologue_local.turns import Began, Decision, Ended, Paused, Resumed, TurnMachine

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.tasks import TaskSet

    from duologue_local.client import StageClient

MAX_BEHIND = 64
"""Frames (2 s) that may wait for the voice activity detection; then `send` waits."""
FORGET_S = 0.2
MAX_MANUAL = int(300_000 / FRAME_MS)
"""Frames (5 min) of one manual turn; then the oldest are dropped, counted and reported with the turn."""

_streams = itertools.count(1)


@dataclass(slots=True)
class Utterance:
    """One turn of the user; times are seconds on the session clock."""

    item_id: str
    started_at: float
    speech_end_at: float
    ended_at: float
    recognition: asyncio.Task[Recognition]
    noise: bool = False


class Hears(Protocol):
    """Whoever is told what the user does."""

    def speech_began(self, item_id: str, at: float, *, cuts: bool) -> None:
        """The user speaks."""
        ...

    def speech_ended(self, utterance: Utterance) -> None:
        """The user's turn is over; its recognition is under way or done."""
        ...

    def playing_ms(self) -> float | None:
        """How long the current reply sounds, 0.0 while it is being made, None without one."""
        ...

    def lost(self, seconds: float) -> None:
        """So much of the user's turn was dropped."""
        ...

    def failed(self, error: DuologueError) -> None:
        """Listening has come to its end."""
        ...


class Listener:
    """Takes the session's audio.

    Args:
        machine: decides about turns; None in manual mode, where `commit` does.
        clock: seconds on the session clock.
    """

    def __init__(
        self,
        vad: StageClient,
        asr: StageClient,
        machine: TurnMachine | None,
        hears: Hears,
        clock: Callable[[], float],
        tasks: TaskSet,
    ) -> None:
        self._vad = vad
        self._asr = asr
        self._machine = machine
        self._hears = hears
        self._clock = clock
        self._tasks = tasks
        self._stream = next(_streams)
        self.buffer = FrameBuffer(MAX_MANUAL)
        self._rest = b""
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._moved = asyncio.Event()
        self._ended = False
        self._item = ""
        self._items = 0
        self._started_at = 0.0
        self._guess: tuple[int, int, asyncio.Task[Recognition]] | None = None
        if machine is not None:
            tasks.start(self._watch(), "listener")

    @property
    def speaking(self) -> bool:
        """Whether the user is in the middle of a turn."""
        return self._machine is not None and self._machine.speaking

    async def send(self, pcm: bytes) -> None:
        """Take audio; waits while the detection is far behind, and no longer when the session ends."""
        frames, self._rest = whole_frames(self._rest + pcm)
        at = self._clock()
        for frame in frames:
            if self._machine is None:
                self.buffer.add(frame, at)
            else:
                self._waiting.append((frame, at))
        if self._machine is not None and frames:
            self._moved.set()
            while len(self._waiting) > MAX_BEHIND and not self._ended:
                self._moved.clear()
                await self._moved.wait()

    def commit(self) -> bool:
        """End the turn now; False where there is none."""
        if self._machine is not None:
            decisions = self._machine.end()
            for decision in decisions:
                self._act(decision)
            return bool(decisions)
        if self._rest:
            self.buffer.add(self._rest.ljust(FRAME_BYTES, b"\0"), self._clock())
            self._rest = b""
        first, last = self.buffer.end - len(self.buffer), self.buffer.end
        if first == last:
            return False
        self._item = self._next_item()
        self._started_at = self.buffer.time(first) - FRAME_MS / 1000
        utterance = self._utterance(first, last, last, noise=False)
        self.buffer.forget(last)
        if self.buffer.dropped:
            self._hears.lost(self.buffer.dropped * FRAME_MS / 1000)
            self.buffer.dropped = 0
        self._hears.speech_ended(utterance)
        return True

    def clear(self) -> None:
        """Forget the unfinished turn."""
        self._drop_guess()
        self._rest = b""
        if self._machine is not None:
            self._machine.clear()
        else:
            self.buffer.forget(self.buffer.end)

    async def close(self) -> None:
        """The session ends: the detection may forget this stream."""
        self._end()
        if self._machine is not None:
            with contextlib.suppress(DuologueError, TimeoutError):  # it is gone, and with it what it knew
                async with asyncio.timeout(FORGET_S):
                    await self._vad.call("forget", stream=self._stream)

    def next_item(self) -> str:
        """An id for something the user said in another way."""
        return self._next_item()

    # -- frames to decisions --------------------------------------------------------------------------

    async def _watch(self) -> None:
        assert self._machine is not None
        try:
            while True:
                while not self._waiting:
                    self._moved.clear()
                    await self._moved.wait()
                batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
                self._moved.set()
                answer, _ = await self._vad.call("process", b"".join(frame for frame, _ in batch), stream=self._stream)
                for (frame, at), probability in zip(batch, answer["probabilities"], strict=True):
                    self.buffer.add(frame, at)
                    for decision in self._machine.step(probability, self._hears.playing_ms()):
                        self._act(decision)
                self.buffer.forget(self._machine.keep)
        except DuologueError as exc:
            self._end()
            self._hears.failed(exc)

    def _end(self) -> None:
        self._ended = True
        self._moved.set()

    def _act(self, decision: Decision) -> None:
        match decision:
            case Began():
                self._item = self._next_item()
                self._started_at = max(0.0, self.buffer.time(decision.onset) - FRAME_MS / 1000)
                self._hears.speech_began(self._item, self._started_at, cuts=decision.cuts)
            case Paused():
                self._drop_guess()
                self._guess = (decision.first, decision.last, self._recognise(decision.first, decision.last))
            case Resumed():
                self._drop_guess()
            case Ended():
                self._hears.speech_ended(
                    self._utterance(decision.first, decision.last, decision.speech_end, noise=decision.noise)
                )

    def _utterance(self, first: int, last: int, speech_end: int, *, noise: bool) -> Utterance:
        recognition: asyncio.Task[Recognition]
        if self._guess is not None and self._guess[:2] == (first, last):
            recognition = self._guess[2]
            self._guess = None
        else:
            self._drop_guess()
            recognition = self._recognise(first, last)
        end = self.buffer.time(speech_end - 1)
        return Utterance(self._item, self._started_at, end, self._clock(), recognition, noise)

    # -- recognition ----------------------------------------------------------------------------------

    def _recognise(self, first: int, last: int) -> asyncio.Task[Recognition]:
        return self._tasks.start(self._transcribe(self.buffer.pcm(first, last)), "recognition")

    async def _transcribe(self, pcm: bytes) -> Recognition:
        answer, _ = await self._asr.call("transcribe", pcm)
        return Recognition(answer["text"], answer["no_speech"], answer["score"])

    def _drop_guess(self) -> None:
        if self._guess is not None:
            self._guess[2].cancel()
            self._guess = None

    def _next_item(self) -> str:
        self._items += 1
        return f"user-{self._items}"
