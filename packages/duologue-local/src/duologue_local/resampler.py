"""Resampler: streaming conversion of PCM16 between rates, by soxr."""

from __future__ import annotations


class SoxrResampler:
    """Converts a stream of PCM16 mono from one rate to another.

    Pieces may have any length, an odd byte is kept for the next piece; output lags the input by the
    filter's delay until `flush`.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        import soxr  # heavy (numpy): loaded by the first conversion, not with the package

        self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="int16", quality="HQ")
        self._odd = b""

    def process(self, pcm: bytes) -> bytes:
        """Convert the next piece; the result may be empty."""
        return self._convert(pcm, last=False)

    def flush(self) -> bytes:
        """Return what is still in the filter; the stream ends with it."""
        return self._convert(b"", last=True)

    def _convert(self, pcm: bytes, *, last: bool) -> bytes:
        import numpy as np

        data = self._odd + pcm
        whole = len(data) - len(data) % 2
        self._odd = data[whole:]
        out: bytes = self._stream.resample_chunk(np.frombuffer(data[:whole], dtype="<i2"), last=last).tobytes()
        return out


def resample(pcm: bytes, from_rate: int, to_rate: int) -> bytes:
    """Convert one complete piece of PCM16 mono."""
    import numpy as np
    import soxr

    out: bytes = soxr.resample(np.frombuffer(pcm, dtype="<i2"), from_rate, to_rate, quality="HQ").tobytes()
    return out
