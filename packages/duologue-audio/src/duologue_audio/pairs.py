"""Pairs: what the microphone heard with what the speaker played, at the application's rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duologue_audio.resample import ArrayResampler

if TYPE_CHECKING:
    from duologue_audio.backend import Captured, Samples


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One chunk of microphone audio and of what the speaker was given in the same device blocks.

    Attributes:
        near: the microphone, mono.
        far: the speaker, mono, silence included; as long as `near`.
        frame: number of the first frame, counted from the opening; a jump is a gap.
        lost: frames missing just before this pair: tell the canceller (`skip`).
        wide: the microphone with all its channels, one column each; the same as `near` where that is all.
        jolted: just before this pair the device ran dry, lost something, was replaced or was opened again, so the echo
            may take another time from here on: `reset` the canceller.
    """

    near: Samples
    far: Samples
    frame: int
    lost: int
    wide: Samples
    jolted: bool = False


class Pairer:
    """Turns what a stream captured into pairs of `size` frames; pure.

    Both directions go through converters that are fed the same lengths, so their outputs have the same lengths and
    near[i] belongs to far[i] for as long as the stream lasts.

    Attributes:
        frame: number of the next pair's first frame.
        lost: frames missing before it.
        jolted: whether the device stumbled before it.
    """

    def __init__(
        self,
        from_rate: int,
        to_rate: int,
        size: int,
        *,
        wide: bool = False,
        frame: int = 0,
        lost: int = 0,
        jolted: bool = False,
    ) -> None:
        self.size = size
        self.frame = frame
        self._wide = wide
        self._from, self._to = from_rate, to_rate
        self._near: ArrayResampler | None = None
        self._far: ArrayResampler | None = None
        self._parts: list[tuple[Samples, Samples]] = []
        self._held = 0
        self.lost = lost
        self.jolted = jolted

    def feed(self, captured: Captured) -> list[Pair]:
        """Take what was captured; return every whole pair."""
        if captured.lost:
            self.lose(captured.lost)
        near, far = captured.near, captured.far
        frames = max(len(near), len(far))
        if not frames:
            return []
        if not self._wide or near.shape[1] == 0:
            near = mono(near, frames)[:, None]
        far = mono(far, frames)
        if self._near is None or self._far is None:
            self._near = ArrayResampler(self._from, self._to, near.shape[1])
            self._far = ArrayResampler(self._from, self._to)
        played = self._far.process(far)
        heard = self._near.process(near if near.shape[1] > 1 else near[:, 0])
        self._parts.append((heard.reshape(len(heard), near.shape[1]), played))
        self._held += len(played)
        return self._cut()

    def lose(self, device_frames: int) -> None:
        """Begin behind a gap: what is before it and makes no whole pair is part of the gap."""
        held = self._held
        if self._near is not None:
            held += round(self._near.held * self._to / self._from)
        gap = held + round(device_frames * self._to / self._from)
        self._parts, self._held, self._near, self._far = [], 0, None, None
        self.lost += gap
        self.frame += gap

    def _cut(self) -> list[Pair]:
        if self._held < self.size:
            return []
        near, far = self._parts[0]
        if len(self._parts) > 1:
            near = np.concatenate([part[0] for part in self._parts])
            far = np.concatenate([part[1] for part in self._parts])
        pairs = []
        for begin in range(0, len(far) - self.size + 1, self.size):
            wide = near[begin : begin + self.size]
            played = far[begin : begin + self.size]
            pairs.append(Pair(mono(wide, self.size), played, self.frame, self.lost, wide, self.jolted))
            self.frame += self.size
            self.lost, self.jolted = 0, False
        rest = len(far) % self.size
        self._held = rest
        self._parts = [(near[len(near) - rest :], far[len(far) - rest :])] if rest else []
        return pairs


def mono(samples: Samples, frames: int) -> Samples:
    """One channel of several: their mean; silence where there is none."""
    if samples.shape[1] == 1:
        return samples[:, 0]
    if samples.shape[1] == 0:
        return np.zeros(frames, np.int16)
    mixed: Samples = np.rint(samples.mean(axis=1)).astype(np.int16)
    return mixed
