"""Speaker: a playback buffer that can be cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue_audio.backend import StreamSpec
from duologue_audio.line import Line, LineOptions
from duologue_audio.options import check_latency, chunk_frames

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from duologue_audio.backend import Backend, DeviceName
    from duologue_audio.notices import AudioNotice
    from duologue_audio.playback import Position
    from duologue_audio.ready import Done, Stopped
    from duologue_audio.sound import Playable
    from duologue_audio.stats import AudioStats

TAP_MS = 20


class Playback:
    """Where a speaker is."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def position(self) -> Position:
        """Return (response_id, item_id, heard_ms) of what leaves the speaker now, or was the last to do so.

        `heard_ms` counts frames that have left the speaker, from the response's first; the silence of an underrun
        does not count, and it is never more than was fed. Sound without a response counts from the last `stop`, or
        from the last second of silence.
        """
        return self._line.position()


class Speaker:
    """Plays PCM16: `async with Speaker() as speaker`, then `speaker.feed(audio)`, and `speaker.stop()` to cut.

    `feed` takes an `AudioOutputDelta`, an `AudioBlock`, or bytes at `sample_rate`; any rate and any length is right, a
    piece may end within a sample. Both calls act before they return, with and without `await`.

    Threading: all calls come from the event loop's thread.

    Attributes:
        sample_rate: Hz of bytes without a rate of their own.
        device: index or name of the device, None for the default.
        playback: where it is, for those who want to know.
    """

    def __init__(
        self,
        sample_rate: int = 24000,
        device: DeviceName = None,
        playback_tap: Callable[[bytes], None] | None = None,
        *,
        latency_ms: float | None = None,
        backend: Backend | None = None,
    ) -> None:
        self.sample_rate = sample_rate
        self.device = device
        spec = StreamSpec(output=device, capture=False, latency=check_latency(latency_ms))
        chunk = chunk_frames(sample_rate, TAP_MS, 1)
        self._line = Line(
            LineOptions(
                spec, sample_rate, chunk, sample_rate, tap=playback_tap, adaptive=latency_ms is None, backend=backend
            )
        )
        self.playback = Playback(self._line)

    async def __aenter__(self) -> Speaker:
        await self._line.enter()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._line.leave()

    def feed(self, audio: Playable) -> Done:
        """Queue audio behind what waits already, up to 15 minutes of it.

        Raises:
            UnsupportedFormat: no PCM16.
            AudioError: 15 minutes wait already; nothing was taken.
            LocalProtocolError: the speaker is not open.
        """
        return self._line.feed(audio)

    def stop(self) -> Stopped:
        """Drop all that waits; silence begins with the device's next block. Awaited, it is the `heard_ms` of the cut.

        Raises:
            LocalProtocolError: the speaker is not open.
        """
        return self._line.stop()

    def pending_bytes(self) -> int:
        """How many bytes, at `sample_rate`, the device has still to take; 0 when all is handed over."""
        return self._line.pending_bytes()

    def events(self) -> AsyncIterator[AudioNotice]:
        """What happens to the device from now on, until the speaker is closed."""
        return self._line.board.listen()

    @property
    def stats(self) -> AudioStats:
        """What went wrong so far, counted."""
        return self._line.stats
