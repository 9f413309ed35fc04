"""Bypass: a canceller that steps aside where there is no echo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duologue_audio.canceller import FramedCanceller

NEVER_HEARD_S = 1.0  # so much playback without an echo, and there is none
HEARD_BEFORE_S = 4.0  # the same where one was recognised before: it may only be covered by noise for a while


class Bypass:
    """An `EchoCanceller` that lets the microphone through untouched while nothing of the loudspeaker is in it.

    With headphones a canceller has nothing to learn from and takes the user for echo. So it works along and is not
    listened to once something was played for a second and no echo was recognised; with the first that is, it is
    listened to again, at most half a second later. Both ways the sound fades within a frame and keeps its time.
    Whatever breaks the stream off, as a change of devices does, begins anew.

    Threading: one thread at a time.

    Attributes:
        canceller: what works along.
        aside: whether the microphone passes untouched.
    """

    def __init__(self, canceller: FramedCanceller) -> None:
        self.canceller = canceller
        self.rate = canceller.rate
        self.frame = canceller.frame
        self.latency_ms = canceller.latency_ms
        self.aside = False
        self._rise = np.arange(1, self.frame + 1, dtype=np.float32) / self.frame
        self._forget()

    def _forget(self) -> None:
        self._late = np.zeros(round(self.latency_ms * self.rate / 1000), np.int16)

    @property
    def delay_ms(self) -> float | None:
        """How long the echo takes; None until there was one."""
        return self.canceller.delay_ms

    @property
    def erle_db(self) -> float:
        """How much echo the canceller removed in about the last second of playback, listened to or not."""
        return self.canceller.erle_db

    def process(self, near: NDArray[np.int16], far: NDArray[np.int16]) -> NDArray[np.int16]:
        """Clean one frame, or let it through.

        Raises:
            UnsupportedFormat: no int16, or not `frame` samples.
        """
        clean = self.canceller.process(near, far)
        self._late = np.concatenate((self._late, near))
        untouched, self._late = self._late[: self.frame].copy(), self._late[self.frame :]
        was, self.aside = self.aside, self._needless
        if was != self.aside:
            before, after = (clean, untouched) if self.aside else (untouched, clean)
            mixed = before + (after.astype(np.float32) - before) * self._rise
            return np.rint(mixed).astype(np.int16)
        return untouched if self.aside else clean

    @property
    def _needless(self) -> bool:
        """Whether enough was played without an echo."""
        enough = NEVER_HEARD_S if self.canceller.delay_ms is None else HEARD_BEFORE_S
        return self.canceller.unheard_s >= enough

    def skip(self, frames: int) -> None:
        """Take note that frames were lost on both sides.

        Raises:
            ConfigurationError: a negative number.
        """
        self.canceller.skip(frames)

    def reset(self) -> None:
        """Forget the room."""
        self.canceller.reset()
        self.aside = False
        self._forget()
