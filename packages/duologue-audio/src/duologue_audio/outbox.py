"""Outbox: the speaker's queue on the loop's side, from the sender's rate to the device's."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from duologue.errors import AudioError, UnsupportedFormat

from duologue_audio.resample import HIGHEST, LOWEST, ArrayResampler
from duologue_audio.sound import Sound

if TYPE_CHECKING:
    from duologue_audio.backend import Samples
    from duologue_audio.playback import Utterance

LONGEST_S = 15 * 60
STEP_S = 0.1  # converted at a time: ten minutes fed at once must not hold up the loop


class Ready(NamedTuple):
    """Samples at the device's rate, one column a channel, and whose they are."""

    samples: Samples
    utterance: Utterance


class Outbox:
    """Holds up to 15 minutes of sound as it came and converts what is wanted next.

    One converter lasts as long as the sound is of one utterance, so its pieces join without a click. Pieces may be cut
    anywhere, also within a sample: a half waits for its other half and is dropped if that never comes.

    Attributes:
        rate: the device's rate.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._pieces: deque[Sound] = deque()
        self._begun = 0  # bytes of the first piece already converted
        self._waiting_s = 0.0  # of the pieces
        self._half = b""
        self._half_of: object = None
        self._converter: ArrayResampler | None = None
        self._of: tuple[int, Utterance, int] | None = None  # what the converter converts
        self._ready: deque[Ready] = deque()

    @property
    def seconds(self) -> float:
        """How much sound waits."""
        held = self._converter.held / self._converter.from_rate if self._converter is not None else 0.0
        return max(0.0, self._waiting_s) + held + sum(len(ready.samples) for ready in self._ready) / self.rate

    def put(self, sound: Sound) -> float:
        """Queue a piece; return how many ms it adds to its utterance.

        Raises:
            AudioError: 15 minutes wait already; nothing is taken.
            UnsupportedFormat: a rate that is no audio rate.
        """
        if not LOWEST <= sound.rate <= HIGHEST:
            raise UnsupportedFormat(f"a speaker plays {LOWEST} to {HIGHEST} Hz, not {sound.rate}")
        pcm = self._half + sound.pcm if self._half and self._half_of == sound[1:] else sound.pcm
        whole = len(pcm) - len(pcm) % sound.frame
        seconds = whole / (sound.frame * sound.rate)
        if self._waiting_s + seconds > LONGEST_S:
            raise AudioError(
                f"the speaker has {self._waiting_s:.0f} s to play and queues no more than {LONGEST_S} s: `stop` it, or "
                "feed it as it plays"
            )
        self._half, self._half_of = pcm[whole:], sound[1:]
        if whole:
            self._pieces.append(sound._replace(pcm=pcm[:whole]))
            self._waiting_s += seconds
        return seconds * 1000

    def take(self, frames: int) -> Ready | None:
        """Return the next samples, at most `frames` and all of one utterance; None where none are ready."""
        while not self._ready:
            if not self._pieces:
                return None
            self._convert()
        samples, utterance = self._ready[0]
        if len(samples) > frames:
            self._ready[0] = Ready(samples[frames:], utterance)
            return Ready(samples[:frames], utterance)
        return self._ready.popleft()

    def finish(self) -> None:
        """Bring out what the converter holds back: nothing more has come in time."""
        if not self._pieces:
            self._end_converter()

    def move(self, unplayed: list[Ready], rate: int) -> None:
        """Go on with another device: put back what the last one did not play and give everything the new rate."""
        self._end_converter()
        if self._begun:
            piece = self._pieces.popleft()
            self._pieces.appendleft(piece._replace(pcm=piece.pcm[self._begun :]))
            self._begun = 0
        for samples, utterance in reversed([*unplayed, *self._ready]):
            data = samples.astype("<i2", copy=False).tobytes()
            self._pieces.appendleft(Sound(data, self.rate, utterance, samples.shape[1]))
            self._waiting_s += len(samples) / self.rate
        self._ready.clear()
        self.rate = rate

    def clear(self) -> None:
        """Drop everything."""
        self._pieces.clear()
        self._ready.clear()
        self._begun, self._waiting_s = 0, 0.0
        self._half, self._half_of = b"", None
        self._converter = self._of = None

    def _convert(self) -> None:
        piece = self._pieces[0]
        if self._converter is None or self._of != piece[1:]:
            self._end_converter()
            self._converter, self._of = ArrayResampler(piece.rate, self.rate, piece.channels), piece[1:]
        end = min(len(piece.pcm), self._begun + max(1, int(piece.rate * STEP_S)) * piece.frame)
        samples = np.frombuffer(piece.pcm, "<i2", (end - self._begun) // 2, self._begun).astype(np.int16, copy=False)
        self._waiting_s -= (end - self._begun) / (piece.frame * piece.rate)
        self._begun = end
        if end == len(piece.pcm):
            self._pieces.popleft()
            self._begun = 0
            if not self._pieces:
                self._waiting_s = 0.0  # rounding must not add up
        wide = samples.reshape(-1, piece.channels) if piece.channels > 1 else samples
        self._append(self._converter.process(wide), piece.utterance)

    def _end_converter(self) -> None:
        if self._converter is not None and self._of is not None:
            self._append(self._converter.flush(), self._of[1])
        self._converter = self._of = None

    def _append(self, samples: Samples, utterance: Utterance) -> None:
        if len(samples):  # of none, the columns can't be told
            self._ready.append(Ready(samples.reshape(len(samples), -1), utterance))
