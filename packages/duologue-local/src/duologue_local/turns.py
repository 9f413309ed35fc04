"""Turns: decides from speech probabilities when the user's turn begins, pauses and ends. Pure: no clock, no IO.

Time is counted in frames of 32 ms since the beginning of the session.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from duologue_local.barge_in import BargeIn
from duologue_local.stages import FRAME_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnSettings:
    """What makes a turn.

    Attributes:
        threshold: probability from which a frame is speech.
        release: probability under which speech that began is silence again (hysteresis).
        speech_ms: so much speech within `window_ms` begins a turn when nothing plays.
        window_ms: see `speech_ms`.
        prefix_ms: audio kept from before the first frame of speech.
        end_silence_ms: silence that ends the turn.
        speculate_ms: silence after which it is worth to prepare for the end.
        min_speech_ms: a turn with less speech than this is a noise.
        max_turn_ms: a turn is ended here, whatever happens.
        interrupts: speech cuts a reply that plays.
        barge_in: what it takes while a reply plays.
    """

    threshold: float = 0.5
    release: float = 0.35
    speech_ms: float = 96
    window_ms: float = 160
    prefix_ms: float = 320
    end_silence_ms: float = 320
    speculate_ms: float = 160
    min_speech_ms: float = 128
    max_turn_ms: float = 60_000
    interrupts: bool = True
    barge_in: BargeIn = field(default_factory=BargeIn)


@dataclass(frozen=True, slots=True)
class Began:
    """The user speaks since frame `onset`; audio from `first` belongs to it; `cuts` says whether a reply is cut."""

    first: int
    onset: int
    cuts: bool


@dataclass(frozen=True, slots=True)
class Paused:
    """It may be over: `first` to `last` (not included) is the audio of the turn."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """It was not over."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The turn is over. `speech_end` is the frame after the last one of speech; `last` that of the audio to use."""

    first: int
    last: int
    speech_end: int
    reason: Literal["silence", "limit", "asked"]
    noise: bool


Decision: TypeAlias = Began | Paused | Resumed | Ended


class TurnMachine:
    """Takes one probability per frame; says what it means."""

    def __init__(self, settings: TurnSettings) -> None:
        self.settings = settings
        barge_in = settings.barge_in
        self._need, self._window = frames(settings.speech_ms), frames(settings.window_ms)
        self._barge_need, self._barge_window = frames(barge_in.speech_ms), frames(barge_in.window_ms)
        self._recent: deque[bool] = deque(maxlen=max(self._window, self._barge_window, 1))
        self._prefix = frames(settings.prefix_ms)
        self._silence = max(1, frames(settings.end_silence_ms))
        self._pause = frames(settings.speculate_ms)
        self._longest = max(1, frames(settings.max_turn_ms))
        self.now = 0
        """Frames taken so far."""
        self.speaking = False
        self._first = self._speech_end = self._active = 0
        self._earliest = 0
        self._paused = False

    @property
    def keep(self) -> int:
        """The oldest frame that may still become part of a turn."""
        if self.speaking:
            return self._first
        return max(self._earliest, self.now - self._prefix - (self._recent.maxlen or 1))

    def step(self, probability: float, playing_ms: float | None = None) -> list[Decision]:
        """Take the next frame; `playing_ms` is how long a reply sounds already, None when none does."""
        self.now += 1
        if self.speaking:
            return self._during(probability)
        active = probability >= self.settings.threshold
        self._recent.append(active)
        return self._onset(playing_ms) if active else []

    def end(self) -> list[Decision]:
        """End the turn now, because the application says so."""
        return [self._over(self.now, "asked")] if self.speaking else []

    def clear(self) -> None:
        """Forget the unfinished turn."""
        self.speaking = self._paused = False
        self._earliest = self.now
        self._recent.clear()

    def _onset(self, playing_ms: float | None) -> list[Decision]:
        barge_in = self.settings.barge_in
        if self.now * FRAME_MS < barge_in.min_audio_ms:
            return []
        cuts = playing_ms is not None and self.settings.interrupts and barge_in.enabled
        if cuts and playing_ms is not None and playing_ms < barge_in.lockout_ms:
            return []
        need, window = (self._barge_need, self._barge_window) if cuts else (self._need, self._window)
        heard = list(self._recent)[-max(1, window) :]
        if sum(heard) < need:
            return []
        onset = self.now - len(heard) + heard.index(True)
        self.speaking = True
        self._paused = False
        self._first = max(self._earliest, onset - self._prefix)
        self._speech_end = self.now
        self._active = sum(heard)
        self._recent.clear()
        return [Began(self._first, onset, cuts), *self._limit()]

    def _during(self, probability: float) -> list[Decision]:
        if probability >= (self.settings.threshold if self._paused else self.settings.release):
            self._speech_end = self.now
            self._active += 1
            if self._paused:
                self._paused = False
                return [Resumed(), *self._limit()]
            return self._limit()
        silent = self.now - self._speech_end
        if silent >= self._silence:
            return [self._over(self._speech_end + min(silent, self._pause or silent), "silence")]
        if silent >= self._pause > 0 and not self._paused:
            self._paused = True
            return [Paused(self._first, self.now), *self._limit()]
        return self._limit()

    def _limit(self) -> list[Decision]:
        return [self._over(self.now, "limit")] if self.now - self._first >= self._longest else []

    def _over(self, last: int, reason: Literal["silence", "limit", "asked"]) -> Ended:
        noise = self._active * FRAME_MS < self.settings.min_speech_ms
        self.speaking = self._paused = False
        self._earliest = last
        self._recent.clear()
        return Ended(self._first, last, self._speech_end, reason, noise)


def frames(ms: float) -> int:
    """How many frames it takes to span `ms`."""
    return math.ceil(ms / FRAME_MS - 1e-9)
