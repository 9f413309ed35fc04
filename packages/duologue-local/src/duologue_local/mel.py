"""Mel: the log-mel spectrogram Whisper wants, in numpy."""

from __future__ import annotations

import functools
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

RATE = 16000
WINDOW = 400
HOP = 160
BANDS = 80

# The Slaney mel scale: linear up to 1 kHz (15 mel), logarithmic above.
_HZ_PER_MEL = 200 / 3
_KNEE_MEL = 15.0
_LOG_STEP = np.log(6.4) / 27


def log_mel(samples: Floats, padding: int) -> Floats:
    """Return the spectrogram (bands by frames) of `samples` followed by `padding` samples of silence."""
    padded = np.concatenate([samples, np.zeros(padding, np.float32)])
    count = len(padded) // HOP
    framed = np.pad(padded, WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(framed, WINDOW)[::HOP][:count]
    power = np.abs(np.fft.rfft(frames * _window(), axis=1).astype(np.complex64)) ** 2
    level = np.log10(np.maximum(power @ _filters().T, 1e-10)).T
    level = np.maximum(level, level.max() - 8.0)
    return np.ascontiguousarray((level + 4.0) / 4.0, dtype=np.float32)


@functools.cache
def _window() -> Floats:
    return np.hanning(WINDOW + 1)[:-1].astype(np.float32)


@functools.cache
def _filters() -> Floats:
    """Triangles of equal area, evenly spaced in mel (bands by FFT bins)."""
    bins = np.linspace(0.0, RATE / 2, WINDOW // 2 + 1)
    top = _KNEE_MEL + np.log(RATE / 2 / (_KNEE_MEL * _HZ_PER_MEL)) / _LOG_STEP
    mels = np.linspace(0.0, top, BANDS + 2)
    edges = np.where(
        mels < _KNEE_MEL, mels * _HZ_PER_MEL, _KNEE_MEL * _HZ_PER_MEL * np.exp(_LOG_STEP * (mels - _KNEE_MEL))
    )
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)
