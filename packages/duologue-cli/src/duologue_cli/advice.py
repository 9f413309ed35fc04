"""Advice: what would make a live conversation better. Each piece is given once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duologue_audio import AudioStats

OFTEN = 5  # underruns: fewer may be the start of a stream

HEADPHONES = "Headphones make interrupting surer than any loudspeaker; with them say --aec off."
ECHO = (
    "No echo canceller is installed, so the agent may hear itself and stop: `pip install pywebrtc-audio`, "
    "or headphones and --aec off."
)
BRAIN = "The local model is a demo brain of 135 million parameters; --transport names a bigger one."
CRACKLING = (
    "The machine does not serve its sound card in time, so the sound has gaps: close other programs, "
    "or see the troubleshooting page."
)
LATE = "The program does not keep up with the microphone: close other programs, or use a faster model."


class Advice:
    """Says what could be better, never twice.

    Args:
        local: the offline models answer.
        echo_cancelled: a canceller is at work; None where it was switched off.
        missing: libraries whose absence costs something, each with how to get it.
    """

    def __init__(self, *, local: bool, echo_cancelled: bool | None, missing: tuple[str, ...] = ()) -> None:
        self._local = local
        self._cancelled = echo_cancelled
        self._missing = missing
        self._given: set[str] = set()

    def at_first(self) -> list[str]:
        """What is known before anybody has spoken."""
        found = []
        if self._cancelled is not None:
            found.append(HEADPHONES if self._cancelled else ECHO)
        found += self._missing
        if self._local:
            found.append(BRAIN)
        return self._new(found)

    def during(self, stats: AudioStats) -> list[str]:
        """What the devices' counters tell."""
        found = []
        if stats.output_underruns >= OFTEN:
            found.append(CRACKLING)
        if stats.mic_dropped:
            found.append(LATE)
        return self._new(found)

    def _new(self, found: list[str]) -> list[str]:
        new = [piece for piece in found if piece not in self._given]
        self._given.update(new)
        return new


def what_is_missing() -> tuple[str, ...]:
    """Return which of our optional audio libraries are not installed, and how to get them."""
    from duologue.errors import MissingExtra
    from duologue_audio import make_echo_canceller

    try:
        make_echo_canceller("speex", 16_000)
    except MissingExtra as exc:
        return (f"A second echo canceller, quicker to interrupt, is not there: {exc}.",)
    return ()
