"""Cleaner: pairs through an echo canceller, in frames of its own size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from duologue.errors import ConfigurationError

if TYPE_CHECKING:
    from duologue_audio.backend import Samples
    from duologue_audio.echo import EchoCanceller
    from duologue_audio.pairs import Pair


class Cleaner:
    """Cuts pairs into the canceller's frames and its output into chunks of `size` frames.

    Where the sizes don't divide, a chunk comes out up to one canceller frame later than its pair went in.

    Raises:
        ConfigurationError: the canceller is made for another rate.
    """

    def __init__(self, canceller: EchoCanceller, rate: int, size: int) -> None:
        if canceller.rate != rate:
            raise ConfigurationError(
                f"the echo canceller works at {canceller.rate} Hz and the audio at {rate} Hz: make it for {rate}"
            )
        self.canceller = canceller
        self._size = size
        self._near = self._far = self._clean = np.zeros(0, np.int16)

    def feed(self, pair: Pair) -> list[Samples]:
        """Clean a pair; return the chunks that are whole."""
        if pair.jolted:
            # Measured with "webrtc" (decision 0021): an echo that moves by 10 ms is often taken for the user while the
            # canceller follows it, and seldom where it begins anew.
            self.canceller.reset()
        elif pair.lost:
            self.canceller.skip(max(1, round((pair.lost + len(self._near)) / self.canceller.frame)))
        if pair.lost:
            self._near = self._far = np.zeros(0, np.int16)
        frame = self.canceller.frame
        near, far = np.concatenate((self._near, pair.near)), np.concatenate((self._far, pair.far))
        whole = len(near) - len(near) % frame
        cleaned = [self.canceller.process(near[i : i + frame], far[i : i + frame]) for i in range(0, whole, frame)]
        self._near, self._far = near[whole:], far[whole:]
        clean = np.concatenate((self._clean, *cleaned))
        end = len(clean) - len(clean) % self._size
        self._clean = clean[end:]
        return [clean[i : i + self._size] for i in range(0, end, self._size)]
