"""AudioStats: what went wrong on the way between device and application, counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AudioStats:
    """Counters since the stream was first opened; reopening does not reset them.

    Attributes:
        blocks: device blocks served.
        input_overflows: blocks at which the device, or our ring, had lost microphone audio.
        output_underruns: blocks at which the device had run out of audio to play.
        mic_dropped: chunks dropped because nobody took them in time, each with its echo reference.
        restarts: how often the device was opened anew.
    """

    blocks: int = 0
    input_overflows: int = 0
    output_underruns: int = 0
    mic_dropped: int = 0
    restarts: int = 0
