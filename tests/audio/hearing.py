"""Hearing: what a recording of the loudspeaker says about a cut. Pure.

The recording holds the agent and, on the set-ups where the user speaks through the same sink, the user. Both are known
signals, so they are found in it by correlation and told apart by subtraction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
FRAME = RATE // 200
"""5 ms: the resolution of everything measured here."""
AUDIBLE = 30.0
"""Root mean square of a frame that can be heard: -61 dBFS, what the pauses of the voice stay under."""
BEFORE_S = 1.2
"""How much of the reply before the user's first word says where in the reply we are."""
LONGEST_S = 4.0
"""A cut that takes longer than this is none."""

STAYS = 40
"""So many frames after a cut, 200 ms, the reply stays away."""

Sound = NDArray[np.int16] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a reply ended in a recording.

    Attributes:
        onset_s: when the user began, in seconds of the recording.
        silence_ms: from there to the reply's last audible frame.
        heard_from_ms: so much of the reply was heard for certain: the end of that frame.
        heard_to_ms: no more than this was heard: the reply's next audible frame is missing. Between the two the
            reply itself was silent.
        match: how well the reply fits the recording before the cut, 1.0 is perfectly.
    """

    onset_s: float
    silence_ms: float
    heard_from_ms: float
    heard_to_ms: float
    match: float

    def off_ms(self, heard_ms: float) -> float:
        """How far `heard_ms` is from what was heard: negative when it says too little."""
        return min(heard_ms - self.heard_from_ms, 0.0) + max(heard_ms - self.heard_to_ms, 0.0)


def find(known: Sound, recording: Sound) -> tuple[int, float]:
    """Return where `known` lies in `recording` (its first sample), and how well it fits there, 1.0 at best."""
    size = 1 << (len(known) + len(recording) - 1).bit_length()
    spectrum = np.fft.rfft(recording.astype(np.float64), size) * np.conj(np.fft.rfft(known.astype(np.float64), size))
    likeness = np.fft.irfft(spectrum, size)[: max(1, len(recording) - len(known) + 1)]
    at = int(np.argmax(likeness))
    there = recording[at : at + len(known)].astype(np.float64)
    scale = np.sqrt(np.sum(there**2) * np.sum(known.astype(np.float64) ** 2))
    return at, float(likeness[at] / scale) if scale else 0.0


def frames(sound: Sound) -> NDArray[np.float64]:
    """The whole frames of a sound, a row each."""
    whole = len(sound) // FRAME * FRAME
    return sound[:whole].astype(np.float64).reshape(-1, FRAME)


def without(recording: Sound, known: Sound, at: int) -> NDArray[np.float64]:
    """Take `known`, which begins at `at`, out of a recording."""
    rest = recording.astype(np.float64)
    part = rest[at : at + len(known)]
    there = known[: len(part)].astype(np.float64)
    part -= there * (np.dot(part, there) / max(1.0, np.dot(there, there)))
    return rest


def user_onset(recording: Sound, user: Sound, around_s: tuple[float, float]) -> tuple[int, float]:
    """Return the sample at which the user begins, looked for between two times, and how well it fits."""
    first = max(0, int(around_s[0] * RATE))
    at, match = find(user, recording[first : int(around_s[1] * RATE) + len(user)])
    return first + at, match


def cut_of(recording: Sound, reply: Sound, user: Sound, onset: int, *, apart: bool = False) -> Cut | None:
    """Measure the cut of `reply` by a user who begins to speak at the sample `onset`; None where none is found.

    Args:
        recording: of the loudspeaker, at 48 kHz.
        reply: all of the reply that was received, at 48 kHz.
        user: what the user says.
        onset: see `user_onset`.
        apart: the user is not in the recording.
    """
    rest = recording.astype(np.float64) if apart else without(recording, user, onset)
    before = rest[max(0, onset - int(BEFORE_S * RATE)) : onset]
    position, match = find(before, reply)
    lead = position + len(before)  # the sample of the reply that was at the speaker when the user began
    wanted = reply[lead : lead + int(LONGEST_S * RATE)]
    wanted = frames(wanted[: len(rest) - onset])
    found = frames(rest[onset : onset + wanted.size])
    sounds = np.sqrt(np.mean(wanted**2, axis=1)) > AUDIBLE
    # how much of the reply there is in each frame: 1.0 or 0.0, and something around that where the user's voice remains
    share = np.sum(wanted * found, axis=1) / np.maximum(1.0, np.sum(wanted**2, axis=1))
    missing = sounds & (share < 0.5)
    stays = [
        missing[n] and np.sum(missing[n : n + STAYS]) > 0.8 * np.sum(sounds[n : n + STAYS]) for n in range(len(missing))
    ]
    gone = np.flatnonzero(stays)
    if not len(gone) and lead + int(LONGEST_S * RATE) < len(reply):
        return None
    end = int(gone[0]) if len(gone) else len(missing)  # all that was received was heard
    heard = np.flatnonzero(sounds[:end])
    last = int(heard[-1]) + 1 if len(heard) else 0
    ms = FRAME * 1000 / RATE
    return Cut(onset / RATE, last * ms, lead * 1000 / RATE + last * ms, lead * 1000 / RATE + (end + 1) * ms, match)
