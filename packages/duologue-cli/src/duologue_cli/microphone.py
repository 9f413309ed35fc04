"""The virtual microphone: turns utterances and the silence between them into blocks of 20 ms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duologue_cli.wav import Sound

BLOCK_MS = 20


@dataclass(frozen=True, slots=True)
class MicBlock:
    """20 ms of sound, once at the session's rate and once at the recording's."""

    number: int
    pcm: bytes
    recorded: bytes


class VirtualMicrophone:
    """Cuts sound into blocks; pure, the caller keeps the time.

    Block `number` is what was captured from `number * 20` ms to 20 ms later, so it is due at the end of that.
    """

    def __init__(self, rate: int, recorded_rate: int) -> None:
        self.rate = rate
        self._recorded_rate = recorded_rate
        self._size = rate * BLOCK_MS // 1000 * 2
        self._recorded_size = recorded_rate * BLOCK_MS // 1000 * 2
        self._number = 0
        self._pcm = self._recorded = b""
        self._at = 0

    @property
    def busy(self) -> bool:
        """Whether an utterance is being spoken."""
        return self._at * self._size < len(self._pcm)

    def speak(self, sound: Sound) -> None:
        """Begin an utterance with the next block; one that is being spoken is dropped."""
        self._pcm, self._recorded, self._at = sound.pcm16(self.rate), sound.pcm16(self._recorded_rate), 0

    def next_block(self) -> MicBlock:
        """Return the next 20 ms: of the utterance, its last block filled up with silence, or silence."""
        pcm = _slice(self._pcm, self._at, self._size)
        recorded = _slice(self._recorded, self._at, self._recorded_size)
        if self.busy:
            self._at += 1
            if not self.busy:
                self._pcm, self._recorded, self._at = b"", b"", 0
        block = MicBlock(self._number, pcm, recorded)
        self._number += 1
        return block

    def skip(self, blocks: int) -> None:
        """Count blocks that could not be made in time (the machine slept); the utterance is not touched."""
        self._number += blocks


def _slice(pcm: bytes, index: int, size: int) -> bytes:
    return pcm[index * size : (index + 1) * size].ljust(size, b"\0")
