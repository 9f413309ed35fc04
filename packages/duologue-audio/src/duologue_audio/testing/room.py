"""Room: what a simulated microphone hears."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Room:
    """The user's voice, and the speaker's sound after its way through the room; pure, block by block.

    `echo_gain` and `echo_ms` describe one reflection; `response`, if given, is the whole impulse response instead, in
    samples at the device's rate, still `echo_ms` late.
    """

    def __init__(
        self, rate: int, *, echo_gain: float = 0.0, echo_ms: float = 0.0, response: NDArray[np.float64] | None = None
    ) -> None:
        taps = np.array([echo_gain]) if response is None else np.asarray(response, np.float64)
        self._delay = round(rate * echo_ms / 1000)
        self._taps = taps
        self._played = np.zeros(self._delay + len(taps) - 1)
        self._voice: list[NDArray[np.int16]] = []

    def say(self, samples: NDArray[np.int16]) -> None:
        """Let the user say something, after what they are saying already."""
        self._voice.append(np.asarray(samples, np.int16))

    @property
    def speaking(self) -> bool:
        """Whether the user has something left to say."""
        return any(len(part) for part in self._voice)

    def hear(self, played: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return what the microphone hears while the speaker plays a block."""
        size = len(played)
        past = np.concatenate((self._played, played.astype(np.float64)))
        heard = np.convolve(past[: len(past) - self._delay], self._taps, "valid")[:size] if self._taps.any() else 0.0
        self._played = past[size:]
        heard = heard + self._next_words(size)
        out: NDArray[np.int16] = np.clip(np.rint(heard), -32768, 32767).astype(np.int16)
        return out

    def _next_words(self, size: int) -> NDArray[np.float64]:
        words = np.zeros(size)
        filled = 0
        while self._voice and filled < size:
            part = self._voice[0][: size - filled]
            words[filled : filled + len(part)] = part
            filled += len(part)
            self._voice[0] = self._voice[0][len(part) :]
            if not len(self._voice[0]):
                self._voice.pop(0)
        return words
