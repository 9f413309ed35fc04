"""Microphone: capture as an async iterator of blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.blocks import AudioBlock

from duologue_audio.backend import StreamSpec
from duologue_audio.line import Line, LineOptions
from duologue_audio.options import check_latency, chunk_frames

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from duologue_audio.backend import Backend, DeviceName
    from duologue_audio.notices import AudioNotice
    from duologue_audio.stats import AudioStats


class Microphone:
    """Records PCM16 mono: `async with Microphone() as mic`, then `async for block in mic`.

    The device runs at its own rate and is converted. Chunks that nobody takes are dropped, the oldest first, and
    counted in `stats`. Where a speaker plays at the same time and its echo matters, use `DuplexAudio`: two streams
    have two clocks.

    Attributes:
        sample_rate: Hz of the blocks.
        chunk_ms: how long one is.
        device: index or name of the device, None for the default.
        queue_maxsize: how many chunks may wait.
    """

    def __init__(
        self,
        sample_rate: int = 24000,
        chunk_ms: float = 50,
        device: DeviceName = None,
        queue_maxsize: int = 100,
        *,
        latency_ms: float | None = None,
        backend: Backend | None = None,
    ) -> None:
        self.sample_rate = sample_rate
        self.chunk_ms = chunk_ms
        self.device = device
        self.queue_maxsize = queue_maxsize
        self._media_type = f"audio/pcm;rate={sample_rate}"
        spec = StreamSpec(input=device, play=False, latency=check_latency(latency_ms))
        chunk = chunk_frames(sample_rate, chunk_ms, queue_maxsize)
        self._line = Line(
            LineOptions(
                spec,
                sample_rate,
                chunk,
                sample_rate,
                queue_maxsize=queue_maxsize,
                adaptive=latency_ms is None,
                backend=backend,
            )
        )

    async def __aenter__(self) -> Microphone:
        await self._line.enter()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._line.leave()

    async def __aiter__(self) -> AsyncIterator[AudioBlock]:
        """Yield `AudioBlock`s until the microphone is closed; one reader at a time."""
        async for pair in self._line.inlet.pairs():
            yield AudioBlock(pair.near.astype("<i2", copy=False).tobytes(), self._media_type)

    def events(self) -> AsyncIterator[AudioNotice]:
        """What happens to the device from now on, until the microphone is closed."""
        return self._line.board.listen()

    @property
    def stats(self) -> AudioStats:
        """What went wrong so far, counted."""
        return self._line.stats
