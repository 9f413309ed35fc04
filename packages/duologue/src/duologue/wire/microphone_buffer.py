"""MicrophoneBuffer: the user's audio that a provider may not have heard. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from duologue.formats import parse_format

if TYPE_CHECKING:
    from duologue.blocks import AudioBlock

LOUD = 600
"""Peak of a block that may hold speech, of 32768: -35 dBFS. Quieter blocks are a room."""

LEAD_MS = 300.0
"""Milliseconds kept from before the first loud block: speech begins softly."""

PACKET_MS = 20.0
"""What a block counts whose length nobody knows: a packet of Opus, commonly."""

SPARSE = 16
"""Every so many samples are looked at: speech is loud for longer than a millisecond."""


class MicrophoneBuffer:
    """Blocks in order, bounded by their duration: the oldest are dropped first, and counted.

    Attributes:
        dropped: how many blocks were dropped because there was no room.
    """

    def __init__(self, limit_s: float, default_rate: int = 16000) -> None:
        self._limit_ms = limit_s * 1000
        self._rate = default_rate
        self._blocks: deque[tuple[AudioBlock, float]] = deque()
        self._ms = 0.0
        self._media_type = ""
        self._ms_per_byte = 0.0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._blocks)

    @property
    def ms(self) -> float:
        """How much audio waits, in milliseconds."""
        return self._ms

    def keep(self, block: AudioBlock) -> int:
        """Add a block; return how many old ones had to go for it."""
        if block.media_type != self._media_type:
            self._ms_per_byte = parse_format(block.media_type).duration_ms(1, self._rate)
            self._media_type = block.media_type
        ms = max(1.0, len(block.data) * self._ms_per_byte or PACKET_MS)
        blocks = self._blocks
        blocks.append((block, ms))
        self._ms += ms
        gone = 0
        while self._ms > self._limit_ms and len(blocks) > 1:
            self._ms -= blocks.popleft()[1]
            gone += 1
        self.dropped += gone
        return gone

    def pop(self) -> AudioBlock:
        """Take the oldest block."""
        block, ms = self._blocks.popleft()
        self._ms -= ms
        if not self._blocks:
            self._ms = 0.0
        return block

    def clear(self) -> None:
        """Forget everything; this counts no drop."""
        self._blocks.clear()
        self._ms = 0.0

    def from_first_loud(self) -> list[AudioBlock]:
        """The blocks since the user began to speak, and what came just before; none where nobody spoke."""
        blocks = [block for block, _ in self._blocks]
        first = next((index for index, block in enumerate(blocks) if is_loud(block)), None)
        if first is None:
            return []
        before = 0.0
        while first > 0 and before < LEAD_MS:
            first -= 1
            before += self._blocks[first][1]
        return blocks[first:]


def is_loud(block: AudioBlock) -> bool:
    """Whether a block may hold speech; of compressed audio nobody can tell, so it may."""
    if not block.media_type.startswith("audio/pcm") or block.media_type.startswith(("audio/pcmu", "audio/pcma")):
        return True
    samples = memoryview(block.data[: len(block.data) & ~1]).cast("h")[::SPARSE].tolist()
    return bool(samples) and max(max(samples), -min(samples)) > LOUD
