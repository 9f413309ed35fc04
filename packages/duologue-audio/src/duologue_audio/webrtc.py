"""WebRTC: the canceller of browsers (AEC3), from the package pywebrtc-audio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.errors import MissingExtra

from duologue_audio.canceller import FramedCanceller

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Measured on a user alone: 8 ms for the bands and blocks of AEC3, more where it resamples to a rate of its own.
LATENCY_MS = {8000: 11.0, 16000: 8.0, 24000: 9.3, 32000: 8.1, 44100: 9.7, 48000: 9.0}


class WebRTCCanceller(FramedCanceller):
    """AEC3 in frames of 10 ms: nearly no echo is left; of a user who speaks at the same time, part is lost.

    It finds the delay of the echo by itself, follows some clock drift, and always takes the lowest frequencies
    out of the microphone. Noise suppression and gain control stay off: they are not the canceller's business, and
    providers expect a voice as it is.

    Threading: one thread at a time; the library releases the GIL while it works.

    Raises:
        ConfigurationError: a rate it does not run at.
        MissingExtra: pywebrtc-audio is not installed.
    """

    def __init__(self, rate: int) -> None:
        super().__init__("webrtc", rate, frame_ms=10, latency_ms=LATENCY_MS.get(rate, 0.0))
        try:
            from pywebrtc_audio import AudioProcessor
        except ImportError as error:
            raise MissingExtra("pywebrtc-audio", needed_for="the echo canceller 'webrtc'") from error
        # Not the package's EchoCanceller: that one knows 16, 32 and 48 kHz only.
        self._processor = AudioProcessor(
            sample_rate=rate, echo_cancellation=True, noise_suppression=False, auto_gain_control=False
        )

    def _cancel(self, near: NDArray[np.int16], far: NDArray[np.int16]) -> NDArray[np.int16]:
        return self._processor.process(near, far)

    def _forget(self) -> None:
        self._processor.reset()
