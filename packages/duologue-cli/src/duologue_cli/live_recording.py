"""The recording of a live conversation: both sides at the times at which the devices gave and took them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.errors import DuologueError
from duologue_audio import DuplexAudio, SoxrResampler

from duologue_cli.recording import Timeline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from duologue_audio import Pair

    from duologue_cli.recording import WavWriter

WRITE_S = 0.5


class OverheardAudio(DuplexAudio):
    """A `DuplexAudio` whose pairs somebody watches: `on_pair` is called with each before it is heard."""

    on_pair: Callable[[Pair], None] | None = None

    async def pairs(self) -> AsyncIterator[Pair]:
        """Yield the pairs."""
        async for pair in super().pairs():
            if self.on_pair is not None:
                self.on_pair(pair)
            yield pair


class LiveRecording:
    """Places what was sent left and what was played right, by the frame numbers of the devices' pairs.

    What was lost, or a device that was gone, is silence of the true length on both sides.

    Args:
        writer: where it goes.
        rate: of what comes in.
        recorded_rate: of the file.
        failed: told when the file can't be written any more.
        now: seconds since the beginning of the conversation, which is that of the file.
    """

    def __init__(
        self,
        writer: WavWriter,
        rate: int,
        recorded_rate: int,
        failed: Callable[[DuologueError], None],
        now: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._writer: WavWriter | None = writer
        self._failed = failed
        self._now = now
        self._rate = rate
        self._recorded_rate = recorded_rate
        self._timeline = Timeline()
        self._resamplers = (SoxrResampler(rate, recorded_rate), SoxrResampler(rate, recorded_rate))
        self._ends = [0, 0]
        self._begun = False
        self._step = int(WRITE_S * recorded_rate)

    def paired(self, pair: Pair) -> None:
        """Take what was played while the microphone gave a chunk, and how much is missing before both."""
        if not self._begun:
            self._begun = True
            self._advance(max(0.0, self._now() - len(pair.far) / self._rate))
        elif pair.lost:
            self._advance(pair.lost / self._rate)
        self._place(Timeline.RIGHT, pair.far.astype("<i2", copy=False).tobytes())

    def captured(self, pcm: bytes) -> None:
        """Take what was sent of the microphone, chunk by chunk behind the pairs that it was made of."""
        self._place(Timeline.LEFT, pcm)
        if min(self._ends) - self._timeline.taken >= self._step:
            self._write(min(self._ends))

    def finish(self) -> None:
        """Write what is left."""
        self._write(max(self._ends))

    def _advance(self, seconds: float) -> None:
        for channel in (Timeline.LEFT, Timeline.RIGHT):
            self._ends[channel] += round(seconds * self._recorded_rate)

    def _place(self, channel: int, pcm: bytes) -> None:
        pcm = self._resamplers[channel].process(pcm)
        self._timeline.place(channel, self._ends[channel], pcm)
        self._ends[channel] += len(pcm) // 2

    def _write(self, until: int) -> None:
        stereo = self._timeline.take(until)
        if self._writer is None:
            return
        try:
            self._writer.write(stereo)
        except OSError as exc:
            self._writer = None
            self._failed(DuologueError(f"the recording can't be written any more ({exc.strerror or exc})"))
