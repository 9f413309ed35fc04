"""Reciter: a model stage that talks without end, and a voice for the user."""

from __future__ import annotations

import itertools
import threading
from importlib.metadata import entry_points
from typing import Any

import numpy as np
from duologue_local import Emit, Generation, Request
from numpy.typing import NDArray

RATE = 48_000
PITCH = 1.12
"""The user's voice is the agent's, played this much faster: there is only one in the box."""
TEXT = """
The lighthouse stands on a rock three miles from the harbour, and nobody has lived in it since the lamp was made to
turn by itself. Twice a year a small boat brings a man with a box of tools, who climbs the two hundred steps, cleans
the lenses and writes the date into a thick green book. The first page of that book is older than his grandmother.

On clear evenings you can see the beam from the market square, four short flashes and a long pause. Children count
them before they go to bed. Sailors count them too, because every light along this coast has a rhythm of its own, and
whoever knows the rhythm knows where he is.

In the winter of the great storm the waves reached the gallery and broke eleven panes of glass. The keeper of those
days stuffed his mattress into the gap, lit the lamp with the last dry match and stayed awake for two nights. A
freighter with a cargo of oranges passed the reef because of him. Every Christmas after that, a crate of oranges came
to the island without a letter.

The rock itself is older than anything that was ever built on it. Geologists say that it was pushed up from the sea
floor, slowly, a finger's width in a lifetime. Gulls nest on its northern side, seals sleep on the southern one, and
between them grows a yellow flower that is found nowhere else in the country.

Some people want to turn the tower into a hotel, with a kitchen where the oil was stored and a bed under the lamp.
Others would like to leave it to the gulls. The council has talked about it for nine years, has ordered three reports
and has read one of them. Meanwhile the man with the box of tools still comes in spring and in autumn, and the light
still says the same four words and falls silent.
"""
PHRASES = (
    "Stop, please.",
    "Wait a moment.",
    "Excuse me, I have a question.",
    "Hold on, what was that?",
    "Could you say that again?",
    "No, that is not right.",
    "Thank you, that is enough.",
    "Let me ask you something.",
    "Hey, can you hear me?",
    "Tell me about something else.",
)


class Reciter:
    """A language model of one idea: it goes on with its text where it was when it was cut, whatever it is asked.

    It writes `words_per_s` words, faster than they are spoken and slower than a processor could.
    """

    context_tokens = 100_000

    def __init__(self, words_per_s: float = 5.0, head_start: int = 12) -> None:
        self._words = itertools.cycle(TEXT.split())
        self._pause = 1 / words_per_s
        self._head_start = head_start
        self._wait = threading.Event()

    def generate(self, request: Request, emit: Emit) -> Generation:
        """Recite until somebody says stop."""
        for number in itertools.count():
            if number > self._head_start:
                self._wait.wait(self._pause)  # a stage has a thread of its own and may block it
            if emit(next(self._words) + " "):
                return Generation("aborted")
        raise AssertionError


def user_voice(phrases: tuple[str, ...] = PHRASES) -> list[NDArray[np.int16]]:
    """Each phrase as the user says it, at 48 kHz, as loud as the agent and without silence around it."""
    import soxr

    (found,) = entry_points(group="duologue.tts", name="piper")
    stage: Any = found.load()()
    spoken = []
    for phrase in phrases:
        speech = stage.synthesize(phrase, stage.voices[0])
        exact = soxr.resample(np.frombuffer(speech.pcm, "<i2").astype(np.float64), speech.rate * PITCH, RATE)
        audible = np.flatnonzero(np.abs(exact) > 0.02 * np.abs(exact).max())
        spoken.append(np.clip(np.rint(exact[audible[0] : audible[-1]]), -32768, 32767).astype(np.int16))
    return spoken
