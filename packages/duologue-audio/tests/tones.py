"""Sounds for tests, and what they turn out to be."""

import numpy as np


def tone(hz: float, rate: int, seconds: float, amplitude: float = 10000) -> np.ndarray:
    return np.rint(amplitude * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)).astype(np.int16)


def pitch(samples: np.ndarray, rate: int) -> float:
    """The loudest frequency, to about 1 Hz in a second of sound."""
    windowed = samples.astype(float) * np.hanning(len(samples))
    spectrum = np.abs(np.fft.rfft(windowed, 8 * len(samples)))
    return float(np.argmax(spectrum) * rate / (8 * len(samples)))


def sounding(samples: np.ndarray) -> np.ndarray:
    """The part from the first to the last sample that is not silent."""
    loud = np.flatnonzero(samples)
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]
