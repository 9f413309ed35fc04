"""Delay: how long the echo takes from the far end to the microphone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORKING_RATE = 8000  # speech has what correlates below 4 kHz; an eighth of the work of 48 kHz, and more
REACH_S = 0.5
LOWEST_HZ = 250.0
HIGHEST = 0.42  # of the working rate: above it the decimation below folds
AVERAGE = 0.5  # share of the earlier cross spectra in the new one
PROMINENT = 8.0  # a peak counts at this many times the correlation's RMS
AGREE_MS = 2.0  # two estimates in a row that differ by less are one
MOVED_MS = 4.0  # a smaller change is not reported: early reflections take turns at being the strongest
AUDIBLE = 32768**2 * 10 ** (-60 / 10)  # mean square of a far end that may leave an echo, -60 dBFS
TELLING = 32768**2 * 10 ** (-45 / 10)  # of a far end whose echo would be recognised if anybody could hear it, -45 dBFS
SILENT = 32768**2 * 10 ** (-84 / 10)  # of a microphone that is muted or gated, -84 dBFS: it tells nothing


class DelayEstimator:
    """Finds the delay of the echo, up to half a second, by generalised cross-correlation with phase transform.

    The work is done every half second, not per frame; it takes some tenths of a millisecond.
    """

    def __init__(self, rate: int, frame: int) -> None:
        self._factor = max(n for n in range(1, max(1, rate // WORKING_RATE) + 1) if frame % n == 0)
        self._rate = rate / self._factor
        self._half = 1 << int(np.ceil(np.log2(REACH_S * self._rate)))
        # The far end reaches back twice as far as the near end: all lags of 0 to `_half` are then seen whole.
        self._near = np.zeros(self._half, np.float32)
        self._far = np.zeros(2 * self._half, np.float32)
        frequency = np.fft.rfftfreq(2 * self._half, 1 / self._rate)
        self._band = (frequency >= LOWEST_HZ) & (frequency <= HIGHEST * self._rate)
        self.reset()

    def reset(self) -> None:
        """Forget the delay and everything heard."""
        self._cross = np.zeros(self._half + 1, np.complex128)
        self._candidate: float | None = None
        self._ms: float | None = None
        self.skip()

    def skip(self) -> None:
        """Begin a new window: the next frame does not follow the last one. The delay stays."""
        self._filled = 0
        self._unheard = 0
        self._far[:] = 0

    @property
    def unheard_s(self) -> float:
        """So long, in windows of half a second without a gap between them, was something played and no echo heard."""
        return self._unheard * self._half / self._rate

    @property
    def ms(self) -> float | None:
        """The delay; None as long as no echo was recognised twice at one place."""
        return self._ms

    def feed(self, near: NDArray[np.int16], far: NDArray[np.int16]) -> None:
        """Take one frame of both sides."""
        heard, played = self._decimated(near), self._decimated(far)
        while len(heard):
            taken = min(len(heard), self._half - self._filled)
            self._near[self._filled : self._filled + taken] = heard[:taken]
            self._far[self._half + self._filled : self._half + self._filled + taken] = played[:taken]
            self._filled += taken
            heard, played = heard[taken:], played[taken:]
            if self._filled == self._half:
                self._estimate()
                self._far[: self._half] = self._far[self._half :]
                self._filled = 0

    def _decimated(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        exact = samples.astype(np.float32)
        return exact if self._factor == 1 else exact.reshape(-1, self._factor).mean(axis=1)

    def _estimate(self) -> None:
        # Nothing to find: silence is to cost nothing.
        before, during = np.square(self._far[: self._half]).mean(), np.square(self._far[self._half :]).mean()
        if during < AUDIBLE or np.square(self._near).mean() < SILENT:
            return
        telling = min(before, during) > TELLING
        size = 2 * self._half
        heard = np.fft.rfft(np.concatenate((np.zeros(self._half, np.float32), self._near)))
        cross = heard * np.conj(np.fft.rfft(self._far))
        phase = np.where(self._band, cross / (np.abs(cross) + 1e-12), 0)
        self._cross = AVERAGE * self._cross + (1 - AVERAGE) * phase
        correlation = np.fft.irfft(self._cross, size)
        lag = int(np.argmax(correlation[: self._half]))
        if correlation[lag] <= PROMINENT * np.sqrt(np.square(correlation).mean()):
            self._unheard += telling
            return
        self._unheard = 0
        found, earlier = lag / self._rate * 1000, self._candidate
        self._candidate = found
        if earlier is None or abs(found - earlier) > AGREE_MS:
            return
        if self._ms is None or abs(found - self._ms) > MOVED_MS:
            self._ms = found
