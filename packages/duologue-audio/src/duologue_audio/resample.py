"""Resample: streaming conversion between rates, by soxr; a few milliseconds behind its input, and always the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duologue.errors import UnsupportedFormat

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOWEST, HIGHEST = 4000, 384_000


class ArrayResampler:
    """Converts a stream of int16 samples from one rate to another.

    What comes out does not depend on how the stream is cut into pieces, silence stays silence, and a whole
    stream of n frames becomes n · to_rate / from_rate frames, rounded half up.

    Attributes:
        taken: frames of the source so far in this stream.
        given: frames of the result so far in this stream.

    Raises:
        UnsupportedFormat: a rate that is no audio rate.
    """

    def __init__(self, from_rate: int, to_rate: int, channels: int = 1) -> None:
        for rate in (from_rate, to_rate):
            if not isinstance(rate, int) or not LOWEST <= rate <= HIGHEST:
                raise UnsupportedFormat(f"{rate!r} Hz is no rate to resample: give {LOWEST} to {HIGHEST} Hz, whole")
        self.from_rate = from_rate
        self.to_rate = to_rate
        self.channels = channels
        self._begin()

    def _begin(self) -> None:
        self.taken = self.given = 0
        self._stream: Any = None
        if self.from_rate != self.to_rate:
            import soxr  # with numpy, heavy: loaded by the first conversion

            # float32: the int16 engine dithers, so silence would hiss and the pieces' lengths would be audible.
            # vr: the engine for a fixed ratio works in large blocks and falls up to 40 ms behind, by turns; this one
            # stays 5 to 15 ms behind.
            self._stream = soxr.ResampleStream(
                self.from_rate, self.to_rate, self.channels, dtype="float32", quality="HQ", vr=True
            )

    @property
    def held(self) -> float:
        """Frames of the source, fractions included, that are not yet in the result."""
        return self.taken - self.given * self.from_rate / self.to_rate

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Convert the next piece, of any length, into an array of its own; the result may be empty.

        Raises:
            UnsupportedFormat: no int16, or another number of channels.
        """
        self._check(samples)
        self.taken += len(samples)
        return self._counted(self._convert(samples, last=False))

    def flush(self) -> NDArray[np.int16]:
        """Return what is still held back; the next piece begins a new stream."""
        import numpy as np

        missing = (2 * self.taken * self.to_rate + self.from_rate) // (2 * self.from_rate) - self.given
        # The engine rounds down; a few frames of silence after the end bring out its last frame.
        shape = (self.from_rate // self.to_rate + 2, self.channels)
        silence = np.zeros(shape if self.channels > 1 else shape[0], np.int16)
        rest = np.concatenate((self._convert(silence, last=False), self._convert(silence[:0], last=True)))
        self._begin()
        return rest[:missing]

    def _check(self, samples: NDArray[np.int16]) -> None:
        import numpy as np

        if not isinstance(samples, np.ndarray) or samples.dtype != np.int16:
            found = f"an array of {samples.dtype}" if isinstance(samples, np.ndarray) else type(samples).__name__
            raise UnsupportedFormat(f"the resampler got {found}: give a numpy array of int16")
        if samples.ndim == 0 or samples.shape[1:] != (() if self.channels == 1 else (self.channels,)):
            right = "(frames,)" if self.channels == 1 else f"(frames, {self.channels})"
            raise UnsupportedFormat(f"the resampler got the shape {samples.shape}: give {right}")

    def _convert(self, samples: NDArray[np.int16], *, last: bool) -> NDArray[np.int16]:
        import numpy as np

        if self._stream is None:
            return samples.copy()
        exact = self._stream.resample_chunk(np.ascontiguousarray(samples, dtype=np.float32), last=last)
        rounded: NDArray[np.int16] = np.clip(np.rint(exact), -32768, 32767).astype(np.int16)
        return rounded

    def _counted(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        self.given += len(samples)
        return samples


class SoxrResampler:
    """Converts a stream of PCM16 mono from one rate to another: a `duologue.rates.Resampler`.

    Pieces may have any length; an odd byte waits for the next piece. It begins anew after `flush`.

    Raises:
        UnsupportedFormat: a rate that is no audio rate.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._resampler = ArrayResampler(from_rate, to_rate)
        self._odd = b""

    def process(self, pcm: bytes) -> bytes:
        """Convert the next piece; the result may be empty."""
        import numpy as np

        data = self._odd + pcm
        whole = len(data) & ~1
        self._odd = data[whole:]
        return self._resampler.process(np.frombuffer(data[:whole], "<i2")).tobytes()

    def flush(self) -> bytes:
        """Return what is still held back; half a sample at the end is dropped."""
        self._odd = b""
        return self._resampler.flush().tobytes()
