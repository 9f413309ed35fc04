"""Level: how loud one side is."""

from __future__ import annotations

import math

import numpy as np

SILENCE_DB = -96.0


class Level:
    """The level of PCM16 in dB below full scale: rises at once, falls 20 dB a second."""

    def __init__(self) -> None:
        self.db = SILENCE_DB

    def feed(self, pcm: bytes, rate: int) -> None:
        """Take the next piece."""
        samples = np.frombuffer(pcm[: len(pcm) & ~1], "<i2").astype(np.float64)
        if not len(samples):
            return
        rms = math.sqrt(float(np.mean(samples * samples))) / 32768
        now = max(SILENCE_DB, 20 * math.log10(rms)) if rms > 0 else SILENCE_DB
        self.db = max(now, self.db - 20 * len(samples) / rate, SILENCE_DB)
