"""Canceller: what those that wrap a library have in common: checks, meters, books."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from duologue.errors import ConfigurationError, UnsupportedFormat

from duologue_audio.delay import DelayEstimator

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATES = (8000, 16000, 24000, 32000, 44100, 48000)

AUDIBLE = 32768**2 * 10 ** (-55 / 10)  # mean square of a far end that counts as active: -55 dBFS
HANGOVER_S = 0.3  # the room and the delay let the echo go on after the far end
SMOOTHING_S = 1.0
QUANTUM = 1 / 12  # mean square of the rounding to int16: nothing can be measured below


class ErleMeter:
    """Measures echo return loss enhancement: power in over power out, in dB, while the far end is active.

    Powers are smoothed before they are divided, so that loud echo counts and pauses within it don't.
    """

    def __init__(self, frame_s: float) -> None:
        self._keep = math.exp(-frame_s / SMOOTHING_S)
        self._hangover = math.ceil(HANGOVER_S / frame_s)
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._active_for = 0
        self._before = self._after = 0.0

    def feed(self, near: NDArray[np.int16], far: NDArray[np.int16], clean: NDArray[np.int16]) -> None:
        """Count one frame: what was captured, what was played, what is left."""
        if mean_square(far) > AUDIBLE:
            self._active_for = self._hangover
        elif self._active_for == 0:
            return
        else:
            self._active_for -= 1
        self._before = self._keep * self._before + (1 - self._keep) * mean_square(near)
        self._after = self._keep * self._after + (1 - self._keep) * mean_square(clean)

    @property
    def db(self) -> float:
        """The figure now; 0 before anything was played."""
        return 10 * math.log10(max(self._before, QUANTUM) / max(self._after, QUANTUM))


def mean_square(samples: NDArray[np.int16]) -> float:
    """Power of a frame, full scale being 32768 squared."""
    exact = samples.astype(np.float32)
    return float(np.dot(exact, exact)) / len(samples)


class FramedCanceller(ABC):
    """An `EchoCanceller` around a library's state; subclasses only move samples.

    Threading: one thread at a time.
    """

    def __init__(self, name: str, rate: int, *, frame_ms: int, latency_ms: float) -> None:
        if rate not in RATES:
            known = ", ".join(map(str, RATES))
            raise ConfigurationError(f"the echo canceller {name!r} does not run at {rate!r} Hz: use one of {known}")
        self.rate = rate
        self.frame = rate * frame_ms // 1000
        self.latency_ms = latency_ms
        self._name = name
        self._delay = DelayEstimator(rate, self.frame)
        self._erle = ErleMeter(self.frame / rate)

    @property
    def delay_ms(self) -> float | None:
        """How long the echo takes; None until it was found."""
        return self._delay.ms

    @property
    def unheard_s(self) -> float:
        """So long, without a break, was something played whose echo was not recognised in the microphone."""
        return self._delay.unheard_s

    @property
    def erle_db(self) -> float:
        """How much echo was removed in about the last second of playback."""
        return self._erle.db

    def process(self, near: NDArray[np.int16], far: NDArray[np.int16]) -> NDArray[np.int16]:
        """Clean one frame; the two arguments are left as they are.

        Raises:
            UnsupportedFormat: no int16, or not `frame` samples.
        """
        near, far = self._checked("near", near), self._checked("far", far)
        clean = self._cancel(near, far)
        self._delay.feed(near, far)
        self._erle.feed(near, far, clean)
        return clean

    def skip(self, frames: int) -> None:
        """Take note that frames were lost on both sides; what was learned of the room stays.

        Raises:
            ConfigurationError: a negative number.
        """
        if frames < 0:
            raise ConfigurationError(f"{frames} frames can't be skipped: the number of lost frames is 0 or more")
        if frames:
            self._delay.skip()

    def reset(self) -> None:
        """Forget the room and the meters."""
        self._forget()
        self._delay.reset()
        self._erle.reset()

    @abstractmethod
    def _cancel(self, near: NDArray[np.int16], far: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return the cleaned frame in an array of its own."""

    @abstractmethod
    def _forget(self) -> None:
        """Bring the library's state back to its beginning."""

    def _checked(self, side: str, samples: Any) -> NDArray[np.int16]:
        if not isinstance(samples, np.ndarray) or samples.dtype != np.int16:
            found = f"an array of {samples.dtype}" if isinstance(samples, np.ndarray) else type(samples).__name__
            raise UnsupportedFormat(
                f"the {side} end of the echo canceller {self._name!r} got {found}: give a numpy array of int16"
            )
        if samples.shape != (self.frame,):
            raise UnsupportedFormat(
                f"the {side} end of the echo canceller {self._name!r} got the shape {samples.shape}: "
                f"a frame has {self.frame} samples, mono ({self.frame * 1000 // self.rate} ms at {self.rate} Hz)"
            )
        return np.ascontiguousarray(samples)
